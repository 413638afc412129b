//! The crossing of two averages, reckoned without any core: decimals, a loop, and nothing else.

use std::cmp::Ordering;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::made_up::{account, walks, whole};
use crate::account::AccountSetup;
use crate::backtest::{FillRow, Outcome, run};
use crate::domain::{Bar, Side, Span, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::fills::{PaperSetup, RawPaperSetup};

const SHIPPED: &str = include_str!("../../../../policies/strategies/ema_cross.yaml");
const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 3.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 1
  rebalance_frequency: never
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 500}
";

/// One execution of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plain {
    ts: Ts,
    side: Side,
    price: Decimal,
    fee: Decimal,
}

/// The average as TA-Lib has it: the plain mean of the first `bars`, then smoothed.
fn ema(closes: &[f64], bars: usize) -> Vec<Option<f64>> {
    let alpha = 2.0 / (bars as f64 + 1.0);
    let mut mean = closes[..bars].iter().sum::<f64>() / bars as f64;
    let mut all = vec![None; bars - 1];
    all.push(Some(mean));
    for close in &closes[bars..] {
        mean += alpha * (close - mean);
        all.push(Some(mean));
    }
    all
}

/// A price as an order is filled at it: the open in whole cents, against us.
fn filled(open: f64, side: Side) -> Decimal {
    let cents = Decimal::from_f64_retain(open).unwrap() * Decimal::ONE_HUNDRED;
    let near = cents.round();
    let exact = (cents - near).abs() < "0.000001".parse().unwrap();
    let whole = match side {
        _ if exact => near,
        Side::Buy => cents.ceil(),
        Side::Sell => cents.floor(),
    };
    whole / Decimal::ONE_HUNDRED
}

/// All executions, and what was earned at the last close.
fn reckon(bars: &[Bar], fast: usize, slow: usize) -> (Vec<Plain>, Decimal) {
    let closes: Vec<f64> = bars.iter().map(|bar| bar.close).collect();
    let (quick, steady) = (ema(&closes, fast), ema(&closes, slow));
    let rate: Decimal = "0.0005".parse().unwrap();
    let (mut fills, mut cash, mut held) = (Vec::new(), Decimal::ZERO, 0_i64);
    let mut above: Option<bool> = None;
    for (at, next) in bars.iter().enumerate().skip(1) {
        let (Some(quick), Some(steady)) = (quick[at - 1], steady[at - 1]) else { continue };
        let Some(over) = quick.partial_cmp(&steady).filter(|order| order.is_ne()).map(Ordering::is_gt) else {
            continue;
        };
        let turned = above.replace(over).is_some_and(|before| before != over);
        if !turned {
            continue;
        }
        let side = if over { Side::Buy } else { Side::Sell };
        let sign = if side == Side::Buy { 1 } else { -1 };
        let price = filled(next.open, side);
        // The position is closed, and another one opened.
        for _ in 0..if held == 0 { 1 } else { 2 } {
            fills.push(Plain { ts: next.open_ts, side, price, fee: price * rate });
            cash -= Decimal::from(sign) * price + price * rate;
            held += sign;
        }
    }
    let last = Decimal::from_f64_retain(bars.last().unwrap().close).unwrap();
    (fills, cash + Decimal::from(held) * last)
}

fn backtest(market: &crate::backtest::MarketPast, fast: usize, slow: usize) -> Outcome {
    let setup = AccountSetup { unlimited: true, ..account(1, RISK) };
    let raw = RawPaperSetup {
        seed: 1,
        fee: 0.0005,
        spread: 0.0,
        slippage: 0.0,
        latency: Span::ZERO,
        participation: 1.0,
        funding: 0.0,
    };
    let paper = PaperSetup::try_from(raw).unwrap();
    let shipped = StrategyPolicy::from_yaml(SHIPPED).unwrap();
    let policies = [shipped.with(&[("fast", fast as f64), ("slow", slow as f64)]).unwrap()];
    let job = whole(market, &setup, &paper, &policies);
    run(&job).unwrap()
}

fn plain(row: &FillRow) -> Plain {
    let decimal = |x: f64| Decimal::from_f64_retain(x).unwrap().round_dp(8).normalize();
    assert!((row.qty - 1.0).abs() < 1e-12, "one unit: {row:?}");
    Plain { ts: row.ts, side: row.side, price: decimal(row.price), fee: decimal(row.fee) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn every_fill_and_the_result_are_those_of_a_plain_loop(
        seed: u64,
        lengths in prop_oneof![Just((2_usize, 3_usize)), Just((5, 20)), Just((10, 20)), Just((50, 200))],
    ) {
        let (fast, slow) = lengths;
        let market = walks(seed, 1, 3_000, Timeframe::MINUTE, 0.0);
        let (wanted, earned) = reckon(&market.symbols[0].bars, fast, slow);
        let outcome = backtest(&market, fast, slow);
        let found: Vec<Plain> = outcome.executions.iter().map(plain).collect();
        prop_assert!(wanted.len() > 10, "{} fills", wanted.len());
        prop_assert_eq!(found, wanted);
        let apart = (outcome.net_pnl.get() - earned).abs();
        prop_assert!(apart < "0.005".parse().unwrap(), "{} and {}", outcome.net_pnl, earned);
        prop_assert!(outcome.refused.is_empty() && outcome.halts.is_empty());
    }
}

/// Always in the market: as many positions as crossings, each turned over into the next.
#[test]
fn one_position_follows_the_other() {
    let outcome = backtest(&walks(3, 1, 4_000, Timeframe::MINUTE, 0.0), 10, 20);
    assert!(outcome.trips.len() > 50);
    for pair in outcome.trips.windows(2) {
        assert_eq!(pair[0].left, Some(pair[1].entered));
        assert_ne!(pair[0].direction, pair[1].direction);
    }
    assert_eq!(outcome.fills, 2 * outcome.trips.len() as u64 - 1);
}
