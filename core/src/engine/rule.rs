//! The rules: what a strategy remembers of bars, and what it makes of them.

use serde::{Deserialize, Serialize};

use super::policy::{Rule, StrategyPolicy};
use crate::domain::{Bar, BracketSpec, Direction, Forecast, Intent, PositionView, Size, Timeframe};
use crate::features::indicators::{Atr, Ema};

/// What a rule remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleState {
    atr: Atr,
    /// The averages of `ema_cross`.
    cross: Option<Cross>,
}

/// The averages and which of them is on top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cross {
    fast: Ema,
    slow: Ema,
    /// Long while fast was last over slow; `None` until they are warm and differ.
    side: Option<Direction>,
}

/// Where a decision is made: the last bar, and what the account has said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) close: f64,
    pub(super) timeframe: Timeframe,
    pub(super) position: Option<&'a PositionView>,
}

impl RuleState {
    pub(super) fn new(policy: &StrategyPolicy) -> Self {
        let keys = policy.keys();
        let cross = match (keys.rule, keys.fast, keys.slow) {
            (Rule::EmaCross, Some(fast), Some(slow)) => {
                Some(Cross { fast: Ema::new(fast), slow: Ema::new(slow), side: None })
            }
            _ => None,
        };
        Self { atr: Atr::new(keys.atr), cross }
    }

    /// Takes the next bar and tells to which side the averages crossed on it.
    pub(super) fn update(&mut self, bar: &Bar) -> Option<Direction> {
        self.atr.update(bar);
        let is_warm = self.atr.is_warm();
        self.cross.as_mut().and_then(|cross| cross.update(bar, is_warm))
    }

    /// Whether distances can be measured.
    pub(super) const fn is_warm(&self) -> bool {
        self.atr.is_warm()
    }

    /// What a cross to `side` asks for.
    pub(super) fn on_cross(&self, side: Direction, policy: &StrategyPolicy, scene: Scene<'_>) -> Option<Intent> {
        self.go(side, None, policy, scene)
    }

    /// What a forecast asks for: the side that it is sure enough of; else to leave a side that it does not believe in any
    /// more; else nothing. A forecast whose numbers cannot be meant asks for nothing.
    pub(super) fn on_forecast(&self, forecast: &Forecast, policy: &StrategyPolicy, scene: Scene<'_>) -> Option<Intent> {
        if !forecast.is_sound() {
            return None;
        }
        let keys = policy.keys();
        if keys.threshold.is_some_and(|threshold| forecast.confidence() >= threshold) {
            let side = forecast.side();
            return self.go(side, Some(forecast.probability_of(side)), policy, scene);
        }
        let held = scene.position.and_then(|position| position.direction)?;
        let lost = keys.exit_under.is_some_and(|under| forecast.probability_of(held) < under);
        lost.then_some(Intent::Exit)
    }

    /// To be on `side`, unless that is so or on its way.
    ///
    /// The position is the account's word, or `None` before it has spoken: then nothing is left out, because an intent
    /// names the state that is wanted, and the account, which knows better, finds it reached.
    fn go(
        &self,
        side: Direction,
        probability: Option<f64>,
        policy: &StrategyPolicy,
        scene: Scene<'_>,
    ) -> Option<Intent> {
        let Scene { close, timeframe, position } = scene;
        if !policy.trades(side) {
            let flat = position.is_some_and(|p| p.direction.is_none() && !p.entry_pending);
            return (!flat).then_some(Intent::Exit);
        }
        if position.is_some_and(|p| p.direction == Some(side) || p.entry_pending) {
            return None;
        }
        let (keys, atr) = (policy.keys(), self.atr.value());
        let bracket = BracketSpec {
            stop: Some(keys.stop_atr * atr),
            target: keys.target_atr.map(|x| x * atr),
            trailing: keys.trailing_atr.map(|x| x * atr),
            time_exit: keys.time_exit_bars.map(|bars| timeframe.span().times(i64::from(bars))),
        };
        let volatility = atr / close;
        // Prices hundreds of decades apart can make these zero or infinite: then there is nothing to size by.
        let sound = bracket.is_sound() && volatility.is_finite() && volatility > 0.0;
        sound.then_some(Intent::Enter {
            direction: side,
            probability,
            volatility,
            reference: close,
            size: Size::Account,
            bracket,
        })
    }
}

impl Cross {
    /// The first comparison, once all are warm, only says where the averages stand; equal averages leave the side as it
    /// was.
    fn update(&mut self, bar: &Bar, atr_is_warm: bool) -> Option<Direction> {
        self.fast.update(bar.close);
        self.slow.update(bar.close);
        if !(self.slow.is_warm() && atr_is_warm) {
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
}
