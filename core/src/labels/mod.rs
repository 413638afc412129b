//! What became of a bar: the outcomes that models learn and are judged by.
//!
//! Fixed-horizon labelling (Lopez de Prado 2018, Advances in Financial Machine Learning, ch. 3.2): the close `horizon`
//! bars later against the close of the bar. Up and down are told apart by what a round trip costs, so that a label
//! stands for a move that somebody could have earned something with.

use crate::domain::{Bar, Timeframe, Ts};

/// What became of a bar: known only after the horizon has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// ln(close after the horizon / close).
    pub log_return: f64,
    /// Whether the price rose (`true`) or fell (`false`) by more than a round trip costs; `None` for a move in between,
    /// which nobody could have earned anything with.
    pub label: Option<bool>,
    /// Close of the bar that decided it.
    pub resolves: Ts,
}

/// The log return from one close to a later one, and the side that would have earned more than `round_trip_cost`, a
/// fraction of the notional at entry: long (`true`) where `later / now - 1 > cost`, short (`false`) where
/// `1 - later / now > cost`, and nobody else. Prices are positive.
pub fn label(close_now: f64, close_later: f64, round_trip_cost: f64) -> (f64, Option<bool>) {
    let log_return = (close_later / close_now).ln();
    let gain = close_later / close_now - 1.0;
    let side = if gain > round_trip_cost {
        Some(true)
    } else if -gain > round_trip_cost {
        Some(false)
    } else {
        None
    };
    (log_return, side)
}

/// What became of the bar at `at`: the bar `horizon_bars` further on decides, and only if it closes exactly
/// `horizon_bars * timeframe` later. Over a gap an engine, which counts bars, and the clock mean different instants, so
/// such a bar has no outcome; neither has one whose horizon lies beyond the end of the series.
pub fn outcome(
    bars: &[Bar],
    at: usize,
    horizon_bars: usize,
    timeframe: Timeframe,
    round_trip_cost: f64,
) -> Option<Outcome> {
    let now = bars.get(at)?;
    let later = bars.get(at.checked_add(horizon_bars)?)?;
    let span = timeframe.span().times(i64::try_from(horizon_bars).ok()?);
    if later.open_ts - now.open_ts != span {
        return None;
    }
    let (log_return, label) = label(now.close, later.close, round_trip_cost);
    Some(Outcome { log_return, label, resolves: later.close_ts(timeframe) })
}

/// [`outcome`] of every bar, in their order.
pub fn outcomes(bars: &[Bar], horizon_bars: usize, timeframe: Timeframe, round_trip_cost: f64) -> Vec<Option<Outcome>> {
    (0..bars.len()).map(|at| outcome(bars, at, horizon_bars, timeframe, round_trip_cost)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: f64 = 0.01;

    #[test]
    fn a_side_must_earn_more_than_a_round_trip_costs() {
        for (later, wanted) in [
            (102.0, Some(true)),
            (101.0 + 1e-9, Some(true)),
            (100.5, None),
            (100.0, None),
            (99.5, None),
            (99.0 - 1e-9, Some(false)),
            (98.0, Some(false)),
        ] {
            let (log_return, side) = label(100.0, later, COST);
            assert_eq!(side, wanted, "{later}");
            assert!((log_return - (later / 100.0_f64).ln()).abs() < 1e-15);
        }
        assert_eq!(label(100.0, 100.0, 0.0).1, None, "no move is nobody's, even for free");
        assert_eq!(label(100.0, 100.0 + 1e-9, 0.0).1, Some(true));
    }

    #[test]
    fn a_long_and_a_short_of_the_same_log_return_do_not_earn_the_same() {
        // exp(0.01005) - 1 is over 1 %, 1 - exp(-0.01005) is under it.
        assert_eq!(label(1.0, 0.01005_f64.exp(), COST).1, Some(true));
        assert_eq!(label(1.0, (-0.01005_f64).exp(), COST).1, None);
    }

    #[test]
    fn outcomes_end_with_the_data_and_at_gaps() {
        let hours = [0, 1, 2, 3, 5, 6, 7, 8];
        let bar = |hour: &i64| {
            let close = 100.0 + 2.0 * f64::from(i32::try_from(*hour).unwrap());
            Bar { open_ts: Ts::from_secs(hour * 3_600), open: close, high: close, low: close, close, volume: 1.0 }
        };
        let bars: Vec<Bar> = hours.iter().map(bar).collect();
        let outcomes = outcomes(&bars, 2, Timeframe::HOUR, COST);
        let known: Vec<bool> = outcomes.iter().map(Option::is_some).collect();
        // From hours 2 and 3 the second bar on lies beyond the gap; hours 7 and 8 end beyond the data.
        assert_eq!(known, [true, true, false, false, true, true, false, false]);
        let first = outcomes[0].unwrap();
        assert_eq!((first.label, first.resolves), (Some(true), Ts::from_secs(3 * 3_600)));
        assert!((first.log_return - 1.04_f64.ln()).abs() < 1e-15);
        assert_eq!(outcome(&bars, 99, 2, Timeframe::HOUR, COST), None);
    }
}
