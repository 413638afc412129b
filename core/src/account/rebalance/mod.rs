//! Rebalancing: once a week the open positions are brought back to equal shares of the risk that is there.

mod execution;
mod plan;

use serde::{Deserialize, Serialize};

use super::policy::{PolicyError, refuse};
use crate::domain::{Cause, Order, Span, Symbol, Ts};
use crate::record::RebalanceRow;

/// The keys under `rebalance`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRebalance {
    /// Smallest trade worth making, account currency.
    #[serde(default = "defaults::trade")]
    pub min_trade_usd: f64,
    /// A position so close to its target is left alone, percent of the target.
    #[serde(default = "defaults::band")]
    pub band_pct: f64,
}

mod defaults {
    pub(super) const fn trade() -> f64 {
        25.0
    }
    pub(super) const fn band() -> f64 {
        5.0
    }
}

impl Default for RawRebalance {
    fn default() -> Self {
        Self { min_trade_usd: defaults::trade(), band_pct: defaults::band() }
    }
}

impl RawRebalance {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let Self { min_trade_usd, band_pct } = *self;
        if !min_trade_usd.is_finite() || min_trade_usd <= 0.0 || min_trade_usd > 1e12 {
            let remedy = "write an amount of the account's currency";
            return Err(refuse("rebalance.min_trade_usd", min_trade_usd, "it is not an amount over zero", remedy));
        }
        if !band_pct.is_finite() || !(0.1..=100.0).contains(&band_pct) {
            let remedy = "this key is in percent: write 5.0 for 5 %";
            return Err(refuse("rebalance.band_pct", band_pct, "no target can be kept with it", remedy));
        }
        Ok(())
    }
}

/// Mondays at 02:00 UTC, `0 2 * * 1` as cron writes it: the quietest hour of the week's first day.
const WEEKDAY: i64 = 0;
const TIME_OF_DAY: Span = Span::from_secs(2 * 3_600);
const WEEK_DAYS: i64 = 7;

/// The latest instant at or before `now` at which a rebalancing was due.
fn latest_due(now: Ts) -> Ts {
    let midnight = now - now.time_of_day();
    let due = midnight - Span::DAY.times(now.weekday() - WEEKDAY) + TIME_OF_DAY;
    if due > now { due - Span::DAY.times(WEEK_DAYS) } else { due }
}

/// The last rebalancing, folded out of the records.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rebalancing {
    /// When it was due, or since when one could be.
    pub(super) last: Ts,
    /// When it was made.
    made: Ts,
    /// What was to be enlarged and has not been, and what it should be worth.
    adds: Vec<(Symbol, f64)>,
}

impl Rebalancing {
    /// None was made; what was due before `ts` is not made up for.
    pub(super) const fn since(ts: Ts) -> Self {
        Self { last: ts, made: ts, adds: Vec::new() }
    }

    /// The one on record.
    pub(super) fn of(ts: Ts, at: Ts, rows: &[RebalanceRow]) -> Self {
        let adds = rows.iter().filter(|row| row.action == plan::ADD).map(|row| (row.symbol, row.target)).collect();
        Self { last: at, made: ts, adds }
    }

    /// Whether nothing of it is still to be done.
    pub(super) const fn is_done(&self) -> bool {
        self.adds.is_empty()
    }

    /// An addition is on its way.
    pub(super) fn note_entry(&mut self, order: &Order) {
        if order.cause == (Cause::Rebalance { at: self.last }) {
            self.adds.retain(|(symbol, _)| *symbol != order.symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mondays_at_two() {
        for (now, due) in [
            ("2024-06-10T02:00:00Z", "2024-06-10T02:00:00Z"),
            ("2024-06-10T01:59:59Z", "2024-06-03T02:00:00Z"),
            ("2024-06-16T23:00:00Z", "2024-06-10T02:00:00Z"),
            ("1969-12-31T00:00:00Z", "1969-12-29T02:00:00Z"),
        ] {
            assert_eq!(latest_due(now.parse().unwrap()), due.parse().unwrap(), "{now}");
        }
    }

    proptest! {
        #[test]
        fn the_latest_is_never_later_and_less_than_a_week_ago(secs in -4_000_000_000_i64..8_000_000_000) {
            let now = Ts::from_secs(secs);
            let due = latest_due(now);
            prop_assert!(due <= now && now - due < Span::DAY.times(7));
            prop_assert_eq!((due.weekday(), due.time_of_day()), (0, TIME_OF_DAY));
        }
    }
}
