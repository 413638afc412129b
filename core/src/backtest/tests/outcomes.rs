//! What an outcome says fits together, and what cannot be run is refused.

use proptest::prelude::*;

use super::made_up::{ALL, START, account, crossing, paper, walks};
use crate::account::AccountSetup;
use crate::backtest::{BacktestError, Forecasts, Job, Keep, MarketPast, Outcome, run};
use crate::domain::{ExitReason, Forecast, Money, Side, Span, Timeframe, Ts, Vote};
use crate::engine::StrategyPolicy;
use crate::fills::PaperSetup;

const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 50.0
  max_symbol_risk_pct: 0.3
  max_concurrent_positions: 4
  rebalance_frequency: never
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 3000}
";

/// The parts of a job.
struct Parts {
    market: MarketPast,
    setup: AccountSetup,
    paper: PaperSetup,
    policies: Vec<StrategyPolicy>,
}

impl Parts {
    fn new(seed: u64, symbols: usize, bars: usize) -> Self {
        Self {
            market: walks(seed, symbols, bars, Timeframe::HOUR, 0.05),
            setup: account(symbols, RISK),
            paper: paper(seed, 0.5),
            policies: vec![crossing(1.5); symbols],
        }
    }

    fn job(&self) -> Job<'_> {
        Job {
            market: &self.market,
            from: None,
            to: None,
            setup: &self.setup,
            paper: &self.paper,
            policies: &self.policies,
            forecasts: None,
            keep: ALL,
            leaves_at_end: false,
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * (1.0 + a.abs())
}

/// Sums of rows against sums of the ledger.
fn check_sums(outcome: &Outcome) {
    let last = outcome.curve.last().unwrap();
    assert!(near(last.equity, outcome.final_equity.to_f64()), "{last:?} {}", outcome.final_equity);
    assert_eq!(outcome.net_pnl, outcome.final_equity - outcome.initial_equity);
    let trips = |of: fn(&crate::backtest::Trip) -> f64| outcome.trips.iter().map(of).sum::<f64>();
    assert!(near(trips(|trip| trip.net), outcome.net_pnl.to_f64()), "{} {}", trips(|t| t.net), outcome.net_pnl);
    assert!(near(trips(|trip| trip.fees), outcome.fees.to_f64()));
    assert_eq!(outcome.fills, outcome.executions.len() as u64);
    assert_eq!(outcome.frames, outcome.curve.len() as u64);
    let rows = |of: fn(&crate::backtest::FillRow) -> f64| outcome.executions.iter().map(of).sum::<f64>();
    assert!(near(rows(|row| row.fee), outcome.fees.to_f64()));
    assert!(near(rows(|row| row.qty * row.price), outcome.turnover));
    let symbols = outcome.symbols.values();
    let pnl: Money = symbols.clone().map(|s| s.realised + s.unrealised - s.fees - s.funding).sum();
    assert!(near(pnl.to_f64(), outcome.net_pnl.to_f64()));
    assert_eq!(symbols.clone().map(|s| s.fills).sum::<u64>(), outcome.fills);
    assert_eq!(symbols.map(|s| s.bars).sum::<u64>(), outcome.bars);
}

fn check_trips(outcome: &Outcome) {
    let step = outcome.timeframe.span();
    assert!(outcome.trips.is_sorted_by_key(|trip| trip.entered));
    for trip in &outcome.trips {
        assert_eq!(trip.left.is_none(), trip.exit.is_none());
        assert!(trip.left.is_none_or(|left| left >= trip.entered));
        let best = trip.direction.sign() * (trip.exit_price - trip.entry_price) / trip.entry_price;
        assert!(trip.adverse >= -best - 1e-12 && trip.favourable >= best - 1e-12, "{trip:?}");
        assert!(near(trip.net, trip.gross - trip.fees - trip.funding));
    }
    for row in &outcome.executions {
        assert_eq!(
            row.ts.nanos() % step.nanos(),
            0,
            "the open of a bar, or its end where a level was reached: {row:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn rows_trips_and_curve_add_up_to_the_ledger(seed: u64, symbols in 1_usize..=4) {
        let parts = Parts::new(seed, symbols, 500);
        let outcome = run(&parts.job()).unwrap();
        prop_assert!(outcome.trips.len() > 10, "{} trips", outcome.trips.len());
        check_sums(&outcome);
        check_trips(&outcome);
    }
}

#[test]
fn what_is_held_at_the_end_is_left_there_with_its_costs_where_that_is_asked_for() {
    for seed in 0..8 {
        let parts = Parts::new(seed, 3, 500);
        let (stands, left) = (run(&parts.job()).unwrap(), run(&Job { leaves_at_end: true, ..parts.job() }).unwrap());
        check_sums(&left);
        check_trips(&left);
        let open = stands.trips.iter().filter(|trip| trip.left.is_none()).count() as u64;
        let exits: Vec<_> =
            left.executions.iter().filter(|row| row.exit == Some(ExitReason::RangeEnd)).copied().collect();
        assert_eq!((exits.len() as u64, left.fills), (open, stands.fills + open));
        assert!(left.trips.iter().all(|trip| trip.left.is_some()));
        assert!(left.symbols.values().all(|sums| sums.unrealised == Money::ZERO));
        let last = left.curve.last().unwrap();
        assert!(near(last.gross, 0.0) && Some(last.ts) == left.to, "{last:?}");
        // Each costs its fee, and what lies between the close and its price.
        let cost: f64 = exits.iter().map(|row| row.fee + (row.price - row.reference).abs() * row.qty).sum();
        let lost = (stands.net_pnl - left.net_pnl).to_f64();
        assert!(near(cost, lost), "{cost} {lost}");
        for row in exits {
            let against = (row.price - row.reference) * if row.side == Side::Buy { 1.0 } else { -1.0 };
            assert!(against > 0.0 && row.fee > 0.0 && Some(row.ts) == left.to, "{row:?}");
        }
    }
}

#[test]
fn stops_and_targets_are_told_with_their_levels() {
    let parts = Parts::new(4, 2, 900);
    let outcome = run(&parts.job()).unwrap();
    let count = |reason| outcome.executions.iter().filter(|row| row.exit == Some(reason)).count();
    for reason in [ExitReason::Stop, ExitReason::Target, ExitReason::Trailing, ExitReason::Reverse] {
        assert!(count(reason) > 0, "{reason}");
    }
    // Spread and slippage are against us; a gap from the close to the next open may be for us.
    let stopped = outcome.executions.iter().filter(|row| row.exit == Some(ExitReason::Stop));
    for row in stopped.filter(|row| row.ts.nanos() % Span::HOUR.nanos() == 0) {
        assert!((row.price - row.reference).abs() < 0.02 * row.reference, "{row:?}");
    }
}

#[test]
fn what_is_not_kept_changes_nothing_else() {
    let parts = Parts::new(9, 3, 600);
    let all = run(&parts.job()).unwrap();
    let none = run(&Job { keep: Keep { curve: false, trips: false, executions: false }, ..parts.job() }).unwrap();
    let bare = Outcome { curve: Vec::new(), trips: Vec::new(), executions: Vec::new(), ..all };
    assert_eq!(none, bare);
}

#[test]
fn a_range_takes_whole_bars_and_warms_up_before_it() {
    let parts = Parts::new(2, 2, 900);
    let (from, to) = (START + Span::HOUR.times(600), START + Span::HOUR.times(700));
    let outcome = run(&Job { from: Some(from), to: Some(to), ..parts.job() }).unwrap();
    assert_eq!((outcome.from, outcome.to), (Some(from + Span::HOUR), Some(to)));
    assert!((98..=100).contains(&outcome.frames), "some hours are without any bar: {}", outcome.frames);
    let first = outcome.executions.first().unwrap().ts;
    assert!(first < from + Span::HOUR.times(20), "warm from the first bar on: {first}");
}

fn refused(job: &Job<'_>) -> BacktestError {
    run(job).unwrap_err()
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_reason() {
    let parts = Parts::new(1, 2, 50);
    let none = AccountSetup { instruments: Vec::new(), ..parts.setup.clone() };
    assert_eq!(refused(&Job { setup: &none, ..parts.job() }), BacktestError::NoSymbols);
    let error = refused(&Job { policies: &parts.policies[..1], ..parts.job() }).to_string();
    assert!(error.contains("1 policies for 2 instruments"), "{error}");
    let mut other = parts.market.clone();
    other.symbols.reverse();
    let error = refused(&Job { market: &other, ..parts.job() }).to_string();
    assert!(error.contains("at place 0 are the bars of BBB and the instrument AAA"), "{error}");
    other.symbols.pop();
    let error = refused(&Job { market: &other, ..parts.job() });
    assert_eq!(error, BacktestError::Lengths { what: "series of bars", found: 1, instruments: 2 });
    let past = refused(&Job { to: Some(START), ..parts.job() });
    assert!(matches!(past, BacktestError::EmptyRange { have: Some((START, _)), .. }), "{past}");
    let after = refused(&Job { from: Some(START + Span::DAY.times(9)), ..parts.job() });
    assert!(after.to_string().contains("choose a range within"), "{after}");
}

#[test]
fn bars_that_cannot_be_are_refused_where_they_are_met() {
    let parts = Parts::new(1, 2, 50);
    let mut market = parts.market.clone();
    market.symbols[1].bars[20].high = 0.5;
    let error = refused(&Job { market: &market, ..parts.job() });
    let open = market.symbols[1].bars[20].open_ts;
    assert!(matches!(error, BacktestError::Unsound { open: at, .. } if at == open), "{error}");
    let before = Job { market: &market, to: Some(open), ..parts.job() };
    assert!(run(&before).is_ok(), "what is not traded is not looked at");
    let mut market = parts.market.clone();
    market.symbols[0].bars[7].open_ts = market.symbols[0].bars[6].open_ts + Span::from_secs(60);
    assert!(matches!(refused(&Job { market: &market, ..parts.job() }), BacktestError::BarOrder { .. }));
}

#[test]
fn forecasts_must_be_there_and_in_order() {
    let parts = Parts::new(1, 2, 50);
    let policies = vec![super::made_up::believing(); 2];
    let error = refused(&Job { policies: &policies, ..parts.job() }).to_string();
    assert!(error.contains("the policy `test` of AAA asks the model"), "{error}");
    let forecast = Forecast {
        version: "20220601_030000".parse().unwrap(),
        features: 1,
        votes: [Some(Vote { probability: 0.6, weight: 1.0 }), None, None],
        prob_up: 0.6,
        quantiles: None,
    };
    let at = |secs| (Ts::from_secs(secs), forecast);
    let forecasts = Forecasts { symbols: vec![Vec::new(), vec![at(20), at(10)]], start: None };
    let error = refused(&Job { policies: &policies, forecasts: Some(&forecasts), ..parts.job() });
    assert!(matches!(error, BacktestError::ForecastOrder { bar, .. } if bar == Ts::from_secs(10)), "{error}");
    let forecasts = Forecasts { symbols: vec![vec![at(10), at(20)], Vec::new()], start: None };
    assert!(run(&Job { policies: &policies, forecasts: Some(&forecasts), ..parts.job() }).is_ok());
}
