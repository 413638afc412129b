//! What it would have earned to act on every forecast.

use std::collections::BTreeMap;

use crate::domain::{Bar, Direction, Timeframe, Ts};

/// A position that is taken at the close of a bar and given up at the close `horizon_bars` later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Whose bars: index into the series.
    pub series: usize,
    /// Which bar: index into its series.
    pub at: usize,
    /// Which side.
    pub side: Direction,
}

/// How calls become a portfolio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlapping {
    /// Bar length of all series.
    pub timeframe: Timeframe,
    /// How many bars a call is held, 1 or more.
    pub horizon_bars: usize,
    /// What entering and leaving costs together, a fraction of the notional at entry.
    pub round_trip_cost: f64,
    /// The first instant at which a call may be made: returns begin with the next one.
    pub from: Ts,
    /// The last instant of which a return is given; a call that would be held longer is left out.
    pub to: Ts,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Net simple return of the portfolio a bar, by the instant of its close: every instant after `from` and up to `to` at
    /// which a series has a bar, those without a position among them.
    pub returns: Vec<(Ts, f64)>,
    /// Calls that were held.
    pub calls: usize,
    /// Those of them that earned more than they cost.
    pub hits: usize,
    /// Calls that were left out: they lie outside of the range or over its end, or over a gap.
    pub left_out: usize,
    /// What was bought and sold a bar, as a share of the portfolio; a call counts at its entry and at its exit, even
    /// where the next one renews it.
    pub turnover: f64,
}

impl Evaluation {
    /// Share of calls that earned more than they cost; `None` without calls.
    pub fn hit_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.hits as f64 / self.calls as f64)
    }

    /// The returns alone.
    pub fn net(&self) -> Vec<f64> {
        self.returns.iter().map(|(_, net)| *net).collect()
    }
}

/// Holds every call for the horizon with the weight 1 / (horizon * series), so that a portfolio which calls at every bar is
/// whole and never more (overlapping portfolios, Jegadeesh & Titman 1993).
///
/// A call is entered at the close of its bar, on which it was decided: the paper venue fills right after it. Its
/// notional then moves with the price until its exit; half of the cost is charged in its first bar, half in its last.
/// So the bars of a call add up to weight * (side * (exit / entry - 1) - cost), what labels call earning. Calls of one
/// side that follow each other are charged in full, although who holds on need not trade.
pub fn evaluate(series: &[&[Bar]], calls: &[Call], how: &Overlapping) -> Evaluation {
    let mut returns: BTreeMap<Ts, f64> = BTreeMap::new();
    for bar in series.iter().copied().flatten() {
        let close = bar.close_ts(how.timeframe);
        if close > how.from && close <= how.to {
            returns.insert(close, 0.0);
        }
    }
    let weight = 1.0 / (how.horizon_bars.max(1) * series.len().max(1)) as f64;
    let (mut held, mut hits) = (0, 0);
    for call in calls {
        let Some(bars) = series.get(call.series).and_then(|bars| held_bars(bars, call.at, how)) else { continue };
        held += 1;
        let gain = call.side.sign() * (bars[bars.len() - 1].close / bars[0].close - 1.0);
        hits += usize::from(gain > how.round_trip_cost);
        hold(&mut returns, bars, call.side, weight, how);
    }
    let traded = 2.0 * weight * held as f64;
    let turnover = if returns.is_empty() { 0.0 } else { traded / returns.len() as f64 };
    let returns = returns.into_iter().collect();
    Evaluation { returns, calls: held, hits, left_out: calls.len() - held, turnover }
}

/// The bars from a call's entry to its exit, unless a gap or a border lies between them.
fn held_bars<'a>(bars: &'a [Bar], at: usize, how: &Overlapping) -> Option<&'a [Bar]> {
    let held = bars.get(at..=at.checked_add(how.horizon_bars)?)?;
    let (entry, exit) = (held.first()?, held.last()?);
    let span = how.timeframe.span().times(i64::try_from(how.horizon_bars).ok()?);
    let whole = how.horizon_bars > 0 && exit.open_ts - entry.open_ts == span;
    let inside = entry.close_ts(how.timeframe) >= how.from && exit.close_ts(how.timeframe) <= how.to;
    (whole && inside).then_some(held)
}

/// Adds a call's part to the returns of its bars.
fn hold(returns: &mut BTreeMap<Ts, f64>, bars: &[Bar], side: Direction, weight: f64, how: &Overlapping) {
    let entry = bars[0].close;
    let last = bars.len() - 2;
    for (at, pair) in bars.windows(2).enumerate() {
        let sides = u8::from(at == 0) + u8::from(at == last);
        let cost = how.round_trip_cost / 2.0 * f64::from(sides);
        let change = side.sign() * (pair[1].close - pair[0].close) / entry;
        if let Some(net) = returns.get_mut(&pair[1].close_ts(how.timeframe)) {
            *net += weight * (change - cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(closes: &[f64]) -> Vec<Bar> {
        let bar = |(hour, close): (usize, &f64)| {
            let open_ts = Ts::from_secs(3_600 * i64::try_from(hour).unwrap());
            Bar { open_ts, open: *close, high: *close, low: *close, close: *close, volume: 1.0 }
        };
        closes.iter().enumerate().map(bar).collect()
    }

    fn how(horizon_bars: usize, round_trip_cost: f64) -> Overlapping {
        Overlapping { timeframe: Timeframe::HOUR, horizon_bars, round_trip_cost, from: Ts::EPOCH, to: Ts::MAX }
    }

    fn call(at: usize, side: Direction) -> Call {
        Call { series: 0, at, side }
    }

    fn near(found: &[f64], wanted: &[f64]) -> bool {
        found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn overlapping_calls_add_up_by_hand() {
        let bars = bars(&[100.0, 110.0, 99.0, 108.9]);
        let calls = [call(0, Direction::Long), call(1, Direction::Short)];
        let found = evaluate(&[&bars], &calls, &how(2, 0.02));
        // The first bar closes at hour 1. Long from 100: +0.10, -0.11; short from 110: +0.10, -0.09. Each at a half, less
        // 0.01 in its first and last bar.
        let wanted = [0.0, 0.5 * (0.10 - 0.01), 0.5 * (-0.11 - 0.01) + 0.5 * (0.10 - 0.01), 0.5 * (-0.09 - 0.01)];
        assert!(near(&found.net(), &wanted), "{found:?}");
        assert_eq!((found.calls, found.hits, found.left_out), (2, 0, 0));
        assert!((found.turnover - 2.0 * 0.5 * 2.0 / 4.0).abs() < 1e-12);
        assert_eq!(found.hit_rate(), Some(0.0));
    }

    #[test]
    fn always_long_without_costs_is_the_market_itself_bar_by_bar() {
        let bars = bars(&[100.0, 101.0, 99.0, 103.0, 104.0]);
        let calls: Vec<Call> = (0..5).map(|at| call(at, Direction::Long)).collect();
        let found = evaluate(&[&bars], &calls, &how(1, 0.0));
        let wanted: Vec<f64> = bars.windows(2).map(|pair| pair[1].close / pair[0].close - 1.0).collect();
        assert!(near(&found.net()[1..], &wanted), "{found:?}");
        assert_eq!((found.calls, found.hits, found.left_out), (4, 3, 1), "the last bar has no outcome");
    }

    #[test]
    fn a_call_earns_what_its_label_says() {
        use crate::labels::label;
        let closes = [100.0, 100.9, 101.2, 98.0, 98.5, 97.1];
        let bars = bars(&closes);
        for at in 0..3 {
            let (_, earned) = label(closes[at], closes[at + 3], 0.012);
            for (side, wanted) in [(Direction::Long, Some(true)), (Direction::Short, Some(false))] {
                let found = evaluate(&[&bars], &[call(at, side)], &how(3, 0.012));
                let net: f64 = found.net().iter().sum();
                assert_eq!(found.hits == 1, earned == wanted, "{at} {side:?}");
                assert_eq!(net > 0.0, earned == wanted, "{at} {side:?} {net}");
            }
        }
    }

    #[test]
    fn gaps_and_borders_leave_calls_out_and_idle_bars_count() {
        let mut bars = bars(&[100.0; 8]);
        bars.remove(4);
        let calls: Vec<Call> = (0..7).map(|at| call(at, Direction::Long)).collect();
        let range = Overlapping { from: Ts::from_secs(2 * 3_600), to: Ts::from_secs(7 * 3_600), ..how(1, 0.001) };
        let found = evaluate(&[&bars], &calls, &range);
        // Bars close at hours 1 to 4 and 6 to 8. Entries at 2, 3 and 6; the one at 4 meets the gap, that at 7 the end.
        assert_eq!((found.calls, found.left_out), (3, 4));
        assert_eq!(found.returns.len(), 4, "closes at hours 3, 4, 6, 7");
        assert_eq!(evaluate(&[], &[], &range).hit_rate(), None);
    }
}
