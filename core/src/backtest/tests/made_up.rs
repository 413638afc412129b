//! Markets, accounts and policies for the tests.

use crate::account::AccountSetup;
use crate::account::fixtures::setup;
use crate::backtest::{Job, Keep, MarketPast, SymbolBars};
use crate::domain::hash::unit_draw;
use crate::domain::{AccountKind, Bar, Span, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::fills::{PaperSetup, RawPaperSetup};

pub(super) const ALL: Keep = Keep { curve: true, trips: true, executions: true };
pub(super) const NAMES: [&str; 4] = ["AAA", "BBB", "CCC", "DDD"];
/// A Wednesday, midnight.
pub(super) const START: Ts = Ts::from_secs(1_654_041_600);

pub(super) fn account(symbols: usize, risk: &str) -> AccountSetup {
    setup(&NAMES[..symbols], AccountKind::Linear, risk)
}

fn raw_paper(seed: u64, participation: f64) -> RawPaperSetup {
    RawPaperSetup {
        seed,
        fee: 0.0005,
        spread: 0.0002,
        slippage: 0.0001,
        latency: Span::from_millis(50),
        participation,
        funding: 0.0001,
    }
}

/// Slippage is drawn from the names of orders: a backtest names them.
pub(super) fn paper(seed: u64, participation: f64) -> PaperSetup {
    raw_paper(seed, participation).try_into().unwrap()
}

/// Nothing is drawn: a backtest without records counts its orders.
pub(super) fn drawless_paper(seed: u64, participation: f64) -> PaperSetup {
    RawPaperSetup { slippage: 0.0, ..raw_paper(seed, participation) }.try_into().unwrap()
}

/// A job over the whole of a market, of which everything is kept.
pub(super) fn whole<'a>(
    market: &'a MarketPast,
    setup: &'a AccountSetup,
    paper: &'a PaperSetup,
    policies: &'a [StrategyPolicy],
) -> Job<'a> {
    Job { market, from: None, to: None, setup, paper, policies, forecasts: None, keep: ALL, leaves_at_end: false }
}

/// Random walks of `count` frames; a symbol has no bar in a share `gaps` of them.
pub(super) fn walks(seed: u64, symbols: usize, count: usize, timeframe: Timeframe, gaps: f64) -> MarketPast {
    let walk = |symbol: usize| {
        let key = seed.wrapping_mul(31).wrapping_add(symbol as u64 + 1);
        let mut price = 100.0 * (symbol as f64 + 1.0);
        let bar = |at: usize| {
            let draw = |n: u64| unit_draw(key, at as u64 * 8 + n);
            let open = price * (1.0 + 0.002 * (draw(0) - 0.5));
            let close = open * (1.0 + 0.02 * (draw(1) - 0.5));
            let (high, low) = (open.max(close) * (1.0 + 0.004 * draw(2)), open.min(close) * (1.0 - 0.004 * draw(3)));
            price = close;
            let open_ts = START + timeframe.span().times(i64::try_from(at).unwrap());
            (draw(4) >= gaps).then_some(Bar { open_ts, open, high, low, close, volume: 50.0 + 200.0 * draw(5) })
        };
        SymbolBars { symbol: NAMES[symbol].parse().unwrap(), bars: (0..count).filter_map(bar).collect() }
    };
    MarketPast { timeframe, symbols: (0..symbols).map(walk).collect(), funding: Vec::new() }
}

/// Two averages that cross, with every kind of bracket; the stop stands so many average true ranges away.
pub(super) fn crossing(stop: f64) -> StrategyPolicy {
    crossing_with(stop, "")
}

/// The same with a size of its own, which an account without limits needs.
pub(super) fn sized_crossing(stop: f64) -> StrategyPolicy {
    crossing_with(stop, "size: {equity: 0.3}")
}

fn crossing_with(stop: f64, size: &str) -> StrategyPolicy {
    let text = format!(
        "
policy:
  name: test
  entry: {{long: 'crosses_above(ema(close, 2), ema(close, 5))', short: 'crosses_below(ema(close, 2), ema(close, 5))'}}
  bracket: {{stop: {stop} * atr(5), target: 3 * atr(5), trailing: 2.5 * atr(5), time: 20}}
  volatility: atr(5) / close
  {size}
"
    );
    StrategyPolicy::from_yaml(&text).unwrap()
}

/// The side that the model is sure of.
pub(super) fn believing() -> StrategyPolicy {
    let text = "
policy:
  name: test
  entry: {long: model.prob_up >= 0.7, short: 1 - model.prob_up >= 0.7}
  exit: {long: model.prob_up < 0.4, short: 1 - model.prob_up < 0.4}
  bracket: {stop: 1.5 * atr(5), target: 3 * atr(5), trailing: 2.5 * atr(5), time: 20}
  volatility: atr(5) / close
";
    StrategyPolicy::from_yaml(text).unwrap()
}
