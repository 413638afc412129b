//! `risk_policy.protections`: pauses of entries after bad times. Each is off when its key is absent.

use serde::{Deserialize, Serialize};

use super::{PolicyError, refuse};
use crate::domain::{Span, Timeframe};

/// The keys under `protections`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProtections {
    /// No entry in a symbol for a while after its position closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Cooldown>,
    /// A pause after many stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_loss_guard: Option<StopLossGuard>,
    /// A pause after a fall of the account's equity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drawdown: Option<MaxDrawdown>,
    /// A pause of a symbol that earns too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_profit: Option<LowProfit>,
}

/// `protections.cooldown`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooldown {
    /// How long after a position has closed its symbol is not entered.
    pub after_exit: Timeframe,
}

/// `protections.stop_loss_guard`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopLossGuard {
    /// So many positions closed at a loss by their stop or trailing stop,
    pub stops: u32,
    /// within this time,
    pub within: Timeframe,
    /// pause entries this long:
    pub pause: Timeframe,
    /// those of the symbol, counted by itself, or those of all.
    #[serde(default)]
    pub per_symbol: bool,
}

/// `protections.max_drawdown`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxDrawdown {
    /// A fall of equity from its highest mark, percent of that mark,
    pub drawdown_pct: f64,
    /// within this time,
    pub within: Timeframe,
    /// pauses all entries this long. Then the fall is counted anew.
    pub pause: Timeframe,
}

/// `protections.low_profit`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowProfit {
    /// Closed positions of one symbol that together made less than this, percent of what they cost, fees counted,
    pub profit_pct: f64,
    /// at least so many,
    pub trades: u32,
    /// within this time,
    pub within: Timeframe,
    /// pause the symbol's entries this long.
    pub pause: Timeframe,
}

impl RawProtections {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The longest time over which closed positions are counted.
    pub fn longest_window(&self) -> Span {
        let guard = self.stop_loss_guard.map_or(Span::ZERO, |g| g.within.span());
        guard.max(self.low_profit.map_or(Span::ZERO, |l| l.within.span()))
    }
}

/// The most closed positions that a protection may count.
const COUNT_MAX: u32 = 1_000;

fn count(key: &str, value: u32) -> Result<(), PolicyError> {
    if (1..=COUNT_MAX).contains(&value) {
        return Ok(());
    }
    Err(refuse(key, value, "nothing is counted so", "write a whole number from 1 to 1000"))
}

pub(super) fn check(raw: &RawProtections) -> Result<(), PolicyError> {
    if let Some(guard) = &raw.stop_loss_guard {
        count("protections.stop_loss_guard.stops", guard.stops)?;
    }
    if let Some(drawdown) = &raw.max_drawdown {
        let pct = drawdown.drawdown_pct;
        if !pct.is_finite() || !(0.1..=90.0).contains(&pct) {
            let reason = "it is not a percentage from 0.1 to 90";
            let remedy = "this key is in percent: write 8.0 for 8 %";
            return Err(refuse("protections.max_drawdown.drawdown_pct", pct, reason, remedy));
        }
    }
    if let Some(low) = &raw.low_profit {
        count("protections.low_profit.trades", low.trades)?;
        if !low.profit_pct.is_finite() || !(-100.0..=100.0).contains(&low.profit_pct) {
            let reason = "it is not a percentage from -100 to 100";
            let remedy = "this key is in percent: write 1.0 for 1 %";
            return Err(refuse("protections.low_profit.profit_pct", low.profit_pct, reason, remedy));
        }
    }
    Ok(())
}
