//! Whether everything is closed, and what is left.

use std::time::Duration;

use levibot_core::domain::{Direction, HaltLevel, Symbol};
use serde::{Deserialize, Serialize};

use super::{AccountView, OpenPosition, SymbolView};

/// What a command that closes positions has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlatView {
    /// Whether nothing is left.
    pub flat: bool,
    /// In words.
    pub outcome: String,
    /// How much the account still forbids.
    pub halt: HaltLevel,
    /// What is left, in instrument order.
    pub left: Vec<Left>,
    /// What is too small to be closed and counts as no position, in instrument order.
    #[serde(default)]
    pub dust: Vec<Left>,
    /// How long it took, real time.
    pub seconds: f64,
}

/// One symbol that is not closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Which.
    pub symbol: Symbol,
    /// Its position, such as `long 0.015`; `null` when only orders are left.
    pub position: Option<String>,
    /// Orders on their way.
    pub orders: u32,
}

fn in_words(position: &OpenPosition) -> String {
    let word = if position.direction == Direction::Long { "long" } else { "short" };
    format!("{word} {}", position.qty)
}

/// What is left of a symbol, if anything.
fn left(symbol: &SymbolView) -> Option<Left> {
    let position = symbol.position.as_ref().filter(|position| !position.dust).map(in_words);
    (position.is_some() || symbol.orders > 0).then_some(Left { symbol: symbol.symbol, position, orders: symbol.orders })
}

/// What of a symbol is too small to be closed.
fn dust(symbol: &SymbolView) -> Option<Left> {
    let position = symbol.position.as_ref().filter(|position| position.dust)?;
    Some(Left { symbol: symbol.symbol, position: Some(in_words(position)), orders: 0 })
}

impl FlatView {
    /// What `account` has open, of one symbol or of all.
    pub fn of(account: &AccountView, only: Option<Symbol>, took: Duration) -> Self {
        let meant = || account.symbols.iter().filter(|symbol| only.is_none_or(|only| symbol.symbol == only));
        let (left, dust): (Vec<Left>, Vec<Left>) =
            (meant().filter_map(left).collect(), meant().filter_map(dust).collect());
        let seconds = (took.as_secs_f64() * 1e3).round() / 1e3;
        let mut outcome = match (only, left.is_empty()) {
            (None, true) => format!("flat: no position and no order is open, after {seconds} s"),
            (Some(symbol), true) => format!("{symbol} is flat, after {seconds} s"),
            (_, false) => format!("not closed after {seconds} s: {}", words(&left)),
        };
        if !dust.is_empty() {
            outcome = format!("{outcome}; too small to be closed: {}", words(&dust));
        }
        Self { flat: left.is_empty(), outcome, halt: account.halt, left, dust, seconds }
    }

    /// The same where the account does not show the halt, or not any more. What is open is told as it is.
    #[must_use]
    pub fn halt_lifted(mut self) -> Self {
        if self.flat && self.halt < HaltLevel::Flatten {
            self.flat = false;
            self.outcome = format!(
                "nothing is open, but the account is not halted at flatten (its halt is {}): somebody may have resumed it \
                 meanwhile; `levibot flatten` halts it again",
                self.halt
            );
        }
        self
    }

    /// The same where the record is not whole: what was closed is not all on it.
    #[must_use]
    pub fn not_on_record(mut self, failure: &str) -> Self {
        self.flat = false;
        self.outcome = format!("{}; but not all of it is on record: {failure}", self.outcome);
        self
    }

    /// The same for a symbol that was closed and is open again.
    #[must_use]
    pub fn closed_meanwhile(mut self, symbol: Symbol) -> Self {
        self.flat = true;
        self.outcome = format!(
            "{symbol} was closed, and its engine has opened it again since: {}; `levibot pause {symbol}` keeps entries away",
            words(&self.left)
        );
        self
    }
}

/// What is left, in words.
pub fn words(left: &[Left]) -> String {
    let one = |left: &Left| match (&left.position, left.orders) {
        (Some(position), 0) => format!("{} {position}", left.symbol),
        (Some(position), orders) => format!("{} {position} with {orders} order(s)", left.symbol),
        (None, orders) => format!("{} with {orders} order(s)", left.symbol),
    };
    left.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples;

    #[test]
    fn what_is_open_is_named() {
        let mut account = samples::account();
        let took = Duration::from_millis(1_234);
        let view = FlatView::of(&account, None, took);
        assert!(!view.flat);
        assert_eq!(view.outcome, "not closed after 1.234 s: BTCUSDT long 0.015, ETHUSDT with 1 order(s)");
        let sol = samples::symbol("SOLUSDT");
        assert_eq!(FlatView::of(&account, Some(sol), took).outcome, "SOLUSDT is flat, after 1.234 s");
        account.symbols[1].orders = 0;
        account.symbols[0].position.as_mut().unwrap().dust = true;
        let dust = FlatView::of(&account, None, took);
        assert!(dust.flat && dust.left.is_empty(), "{dust:?}");
        assert!(dust.outcome.ends_with("; too small to be closed: BTCUSDT long 0.015"), "{}", dust.outcome);
        account.symbols[0].position = None;
        let flat = FlatView::of(&account, None, took);
        assert!(flat.flat);
        let lost = flat.not_on_record("the disk is full");
        assert!(!lost.flat && lost.outcome.ends_with("; but not all of it is on record: the disk is full"), "{lost:?}");
    }

    #[test]
    fn what_is_not_on_record_or_not_halted_is_not_done() {
        let mut account = samples::account();
        account.symbols.clear();
        let view = || FlatView::of(&account, None, Duration::ZERO);
        let lost = view().not_on_record("the journal is lost");
        assert!(!lost.flat && lost.outcome.ends_with("not all of it is on record: the journal is lost"), "{lost:?}");
        let lifted = view().halt_lifted();
        assert!(!lifted.flat && lifted.outcome.starts_with("nothing is open, but"), "{lifted:?}");
        let open = FlatView::of(&samples::account(), None, Duration::ZERO);
        assert_eq!(open.clone().halt_lifted(), open);
        account.halt = HaltLevel::Flatten;
        let halted = FlatView::of(&account, None, Duration::ZERO);
        assert_eq!(halted.clone().halt_lifted(), halted);
    }
}
