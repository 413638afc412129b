//! The rule of crossing averages.

use serde::{Deserialize, Serialize};

use super::policy::StrategyPolicy;
use crate::domain::{Bar, BracketSpec, Direction, Intent, PositionView, Timeframe};
use crate::features::indicators::{Atr, Ema};

/// The averages and which of them is on top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct EmaCross {
    fast: Ema,
    slow: Ema,
    atr: Atr,
    /// Long while fast was last over slow; `None` until they are warm and differ.
    side: Option<Direction>,
}

impl EmaCross {
    pub(super) fn new(policy: &StrategyPolicy) -> Self {
        let keys = policy.keys();
        Self { fast: Ema::new(keys.fast), slow: Ema::new(keys.slow), atr: Atr::new(keys.atr), side: None }
    }

    /// Takes the next bar and tells to which side the averages crossed on it. The first comparison, once all three are
    /// warm, only says where they stand; equal averages leave the side as it was.
    pub(super) fn update(&mut self, bar: &Bar) -> Option<Direction> {
        self.fast.update(bar.close);
        self.slow.update(bar.close);
        self.atr.update(bar);
        if !(self.slow.is_warm() && self.atr.is_warm()) {
            return None;
        }
        let side = if self.fast.value() > self.slow.value() {
            Direction::Long
        } else if self.fast.value() < self.slow.value() {
            Direction::Short
        } else {
            return None;
        };
        self.side.replace(side).filter(|before| *before != side).map(|_| side)
    }

    /// What a cross to `side` at the close of `bar` asks for.
    ///
    /// `position` is the account's word, or `None` before it has spoken: then nothing is left out, because an intent
    /// names the state that is wanted, and the account, which knows better, finds it reached.
    pub(super) fn intent(
        &self,
        side: Direction,
        bar: &Bar,
        policy: &StrategyPolicy,
        timeframe: Timeframe,
        position: Option<&PositionView>,
    ) -> Option<Intent> {
        if !policy.trades(side) {
            let flat = position.is_some_and(|p| p.direction.is_none() && !p.entry_pending);
            return (!flat).then_some(Intent::Exit);
        }
        if position.is_some_and(|p| p.direction == Some(side) || p.entry_pending) {
            return None;
        }
        let (keys, atr) = (policy.keys(), self.atr.value());
        let bracket = BracketSpec {
            stop: keys.stop_atr * atr,
            target: keys.target_atr.map(|x| x * atr),
            trailing: keys.trailing_atr.map(|x| x * atr),
            time_exit: keys.time_exit_bars.map(|bars| timeframe.span().times(i64::from(bars))),
        };
        let volatility = atr / bar.close;
        // Prices hundreds of decades apart can make these zero or infinite: then there is nothing to size by.
        let sound = bracket.is_sound() && volatility.is_finite() && volatility > 0.0;
        sound.then_some(Intent::Enter { direction: side, probability: None, volatility, reference: bar.close, bracket })
    }
}
