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
