//! Outcomes that follow each other as one.

use levibot_core::backtest::{Outcome, SymbolSums};
use levibot_core::domain::Money;

/// Joins outcomes in the order of time, each of which has left at its end what it held. Each begins with what the one before has
/// left; one that began with something else is moved there. `None` of none.
pub(super) fn stitch(outcomes: Vec<Outcome>) -> Option<Outcome> {
    let mut outcomes = outcomes.into_iter();
    let first = outcomes.next()?;
    Some(outcomes.fold(first, join))
}

fn join(mut whole: Outcome, next: Outcome) -> Outcome {
    let moved = whole.final_equity - next.initial_equity;
    let by = moved.to_f64();
    let leverage_max = if moved == Money::ZERO { next.leverage_max } else { leverage_max(&next, by) };
    whole.to = next.to.or(whole.to);
    whole.from = whole.from.or(next.from);
    whole.bars += next.bars;
    whole.frames += next.frames;
    whole.orders += next.orders;
    whole.fills += next.fills;
    whole.decisions += next.decisions;
    whole.unanswered += next.unanswered;
    for (check, count) in next.refused {
        *whole.refused.entry(check).or_default() += count;
    }
    whole.turnover += next.turnover;
    whole.slippage += next.slippage;
    whole.fees += next.fees;
    whole.funding += next.funding;
    whole.net_pnl += next.net_pnl;
    whole.final_equity = next.final_equity + moved;
    whole.leverage_max = whole.leverage_max.max(leverage_max);
    whole.halts.extend(next.halts);
    whole.curve.extend(next.curve.into_iter().map(|mut point| {
        point.equity += by;
        point
    }));
    whole.trips.extend(next.trips);
    whole.executions.extend(next.executions);
    for (symbol, sums) in next.symbols {
        let slot = whole.symbols.entry(symbol).or_default();
        *slot = added(*slot, sums);
    }
    whole
}

/// Largest gross exposure over an equity that is moved by so much; infinite where that is zero or less while something is held.
fn leverage_max(outcome: &Outcome, by: f64) -> f64 {
    let held = outcome.curve.iter().filter(|point| point.gross > 0.0);
    let leverage = |equity: f64, gross: f64| if equity > 0.0 { gross / equity } else { f64::INFINITY };
    held.map(|point| leverage(point.equity + by, point.gross)).fold(0.0, f64::max)
}

fn added(a: SymbolSums, b: SymbolSums) -> SymbolSums {
    SymbolSums {
        bars: a.bars + b.bars,
        fills: a.fills + b.fills,
        turnover: a.turnover + b.turnover,
        realised: a.realised + b.realised,
        fees: a.fees + b.fees,
        funding: a.funding + b.funding,
        unrealised: a.unrealised + b.unrealised,
        held: a.held + b.held,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use levibot_core::backtest::Point;
    use levibot_core::domain::{Timeframe, Ts};

    use super::*;

    fn money(value: i64) -> Money {
        Money::new(value.into()).unwrap()
    }

    /// A part that begins with 100, gains `gain` and holds `gross` at the end of its first frame.
    fn part(at: i64, gain: i64, gross: f64) -> Outcome {
        let point = |n: i64, equity: f64, gross| Point { ts: Ts::from_secs(at + n), equity, gross, net: gross };
        let after = money(100 + gain);
        Outcome {
            timeframe: Timeframe::HOUR,
            from: Some(Ts::from_secs(at)),
            to: Some(Ts::from_secs(at + 1)),
            bars: 2,
            frames: 2,
            orders: 2,
            fills: 2,
            decisions: 1,
            unanswered: 0,
            refused: BTreeMap::new(),
            turnover: 2.0 * gross,
            slippage: 0.0,
            fees: Money::ZERO,
            funding: Money::ZERO,
            net_pnl: money(gain),
            initial_equity: money(100),
            final_equity: after,
            leverage_max: gross / 100.0,
            halts: Vec::new(),
            curve: vec![point(0, 100.0, gross), point(1, after.to_f64(), 0.0)],
            trips: Vec::new(),
            executions: Vec::new(),
            symbols: BTreeMap::new(),
        }
    }

    #[test]
    fn a_part_that_began_anew_is_moved_to_where_the_one_before_ended() {
        let whole = stitch(vec![part(10, -60, 50.0), part(20, -60, 30.0), part(30, 5, 10.0)]).unwrap();
        let equities: Vec<f64> = whole.curve.iter().map(|point| point.equity).collect();
        assert_eq!(equities, [100.0, 40.0, 40.0, -20.0, -20.0, -15.0]);
        assert_eq!((whole.net_pnl, whole.final_equity, whole.initial_equity), (money(-115), money(-15), money(100)));
        assert!(whole.leverage_max.is_infinite(), "something was held without any equity");
        let two = stitch(vec![part(10, -60, 50.0), part(20, -60, 30.0)]).unwrap();
        assert!((two.leverage_max - 0.75).abs() < 1e-12, "30 over the 40 that were left: {}", two.leverage_max);
        assert_eq!((two.from, two.to), (Some(Ts::from_secs(10)), Some(Ts::from_secs(21))));
        assert!(stitch(Vec::new()).is_none());
    }
}
