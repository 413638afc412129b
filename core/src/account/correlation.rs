//! What the account measures of its symbols together.

use super::core::Account;
use super::returns::Returns;
use super::state::State;
use crate::domain::{Bar, Ix, Symbol};

impl Account {
    /// Rings for the symbols of `state`, where its policy measures; what `old` knew of a symbol stays.
    pub(super) fn returns_of(state: &State, old: Option<(&Returns, &[Symbol])>) -> Option<Returns> {
        let keys = state.setup.risk.correlation().filter(|_| !state.setup.unlimited)?;
        let mut returns = Returns::new(keys, state.timeframe, state.books.len());
        if let Some((old, symbols)) = old {
            for (to, book) in state.books.iter().enumerate() {
                if let Some(from) = symbols.iter().position(|symbol| *symbol == book.symbol()) {
                    returns.adopt(to, old, from);
                }
            }
        }
        Some(returns)
    }

    /// Takes a closed bar of the past, to measure with and nothing else: what comes before the first event, oldest first for each
    /// symbol. `false` when it was not wanted: nothing is measured, or it is known already.
    pub fn remember(&mut self, ix: Ix, bar: &Bar) -> bool {
        bar.check().is_ok() && self.returns.as_mut().is_some_and(|returns| returns.take(ix, bar))
    }

    /// How many bars of the past are wanted of each symbol: see [`Self::remember`].
    pub fn remembers(&self) -> usize {
        self.returns.as_ref().map_or(0, Returns::bars)
    }

    /// How much two symbols move alike: Pearson's correlation of the log returns of the bars that both have within the
    /// window, -1 to 1. `None` when the policy has no key `correlation`, or the two have less than `min_bars` in common.
    ///
    /// It knows nothing of positions. A long in one and a long in the other are the same bet at `threshold` and over; a
    /// long and a short are the same bet at `-threshold` and under.
    pub(super) fn measured_correlation(&self, a: Ix, b: Ix) -> Option<f64> {
        self.returns.as_ref()?.correlation(a, b)
    }

    /// What a symbol moves in a bar, a fraction of price: the standard deviation of its returns within the window.
    pub(super) fn measured_volatility(&self, ix: Ix) -> Option<f64> {
        self.returns.as_ref()?.volatility(ix)
    }
}
