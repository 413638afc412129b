//! A backtest makes the records that the sequencer makes.

use proptest::prelude::*;

use super::lockstep::{House, Left, market_of};
use super::made_up::{ALL, START, account, believing, crossing, paper, walks};
use super::recorded::{Replay, replay, run_recorded};
use crate::account::AccountSetup;
use crate::backtest::{Forecasts, Job, MarketPast, Opening, Outcome, run};
use crate::domain::{Frame, HaltLevel, Ix, MarketEvent, Quote, Span, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::features::FeatureId;
use crate::record::Record;

/// What a made-up run is drawn from.
#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    symbols: usize,
    /// Whether engines ask the model.
    asks: bool,
    /// Percent of the day's start at which everything stops.
    stop: f64,
    flatten: bool,
    resumes: bool,
    participation: f64,
    gaps: f64,
    /// Frames before the first one that is traded.
    history: usize,
    extras: bool,
}

impl Case {
    fn risk(&self) -> String {
        let Self { stop, flatten, extras, .. } = self;
        let on_stop = if *flatten { "flatten" } else { "reduce_only" };
        let more = if *extras {
            "  entry_halt_at: 0.7\n  correlation: {window_bars: 60, min_bars: 20, threshold: 0.3}\n  protections:\n    cooldown: {after_exit: 2h}\n"
        } else {
            ""
        };
        format!(
            "risk_policy:\n  max_daily_loss_pct: {stop}\n  max_symbol_risk_pct: 0.5\n  max_concurrent_positions: 3\n  \
             rebalance_frequency: weekly\n  on_stop: {on_stop}\n  position_sizing: {{method: fixed_fractional, \
             kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 4000}}\n{more}"
        )
    }

    fn setup(&self) -> AccountSetup {
        AccountSetup { resume_next_day: self.resumes, ..account(self.symbols, &self.risk()) }
    }

    fn policies(&self) -> Vec<StrategyPolicy> {
        let policy = |at| if self.asks { believing() } else { crossing(1.0 + at as f64) };
        (0..self.symbols).map(policy).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let asks = prop_oneof![3 => Just(false), 1 => Just(true)];
    let stop = prop_oneof![Just(0.5), Just(2.0), Just(50.0)];
    let shape = (1_usize..=4, asks, stop, any::<bool>(), any::<bool>(), any::<bool>());
    let market = (any::<u64>(), prop_oneof![Just(0.1), Just(1.0)], prop_oneof![Just(0.0), Just(0.1)], 0_usize..700);
    (shape, market).prop_map(
        |((symbols, asks, stop, flatten, resumes, extras), (seed, participation, gaps, history))| Case {
            seed,
            symbols,
            asks,
            stop,
            flatten,
            resumes,
            participation,
            gaps,
            history,
            extras,
        },
    )
}

/// Runs the job through both and holds one to the other.
fn compare(job: &Job<'_>, at_least: usize) -> (Left, Outcome) {
    let (history, events) = market_of(job);
    let first = job.market.symbols.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min().unwrap();
    let left = House::run(job, &[], job.from.map_or(first, |from| from.max(first)), &history, events);
    let forecasts = job.policies.iter().any(StrategyPolicy::asks_model).then_some(&left.forecasts);
    let job = Job { forecasts, ..*job };
    let mut records = Vec::new();
    let outcome = run_recorded(&job, &mut |ts, record| records.push((ts, record))).unwrap();
    same(&left.records, &records);
    assert!(records.len() >= at_least, "{} records", records.len());
    assert_eq!(run(&job).unwrap(), outcome, "records change nothing");
    (left, outcome)
}

fn same(wanted: &[(Ts, Record)], found: &[(Ts, Record)]) {
    for (at, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        assert_eq!(found, wanted, "record {at}");
    }
    assert_eq!(found.len(), wanted.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_records_are_those_of_the_sequencer(case in cases()) {
        let market = walks(case.seed, case.symbols, case.history + 260, Timeframe::HOUR, case.gaps);
        let (setup, policies, paper) = (case.setup(), case.policies(), paper(case.seed, case.participation));
        let from = START + Span::HOUR.times(i64::try_from(case.history).unwrap());
        let (from, to) = (Some(from).filter(|_| case.history > 0), None);
        let job = Job {
            market: &market, from, to, setup: &setup, paper: &paper, policies: &policies, forecasts: None, keep: ALL, leaves_at_end: false,
        };
        compare(&job, 200);
    }
}

fn calm(market: &MarketPast, asks: bool) -> (AccountSetup, Vec<StrategyPolicy>) {
    let symbols = market.symbols.len();
    let case = Case {
        seed: 1,
        symbols,
        asks,
        stop: 0.5,
        flatten: true,
        resumes: true,
        participation: 0.1,
        gaps: 0.0,
        history: 0,
        extras: false,
    };
    (case.setup(), case.policies())
}

#[test]
fn stops_of_the_day_halt_and_the_next_day_goes_on() {
    let market = walks(3, 3, 900, Timeframe::HOUR, 0.05);
    let (setup, policies) = calm(&market, false);
    let paper = paper(3, 0.1);
    let from = Some(START + Span::HOUR.times(520));
    let job = Job {
        market: &market,
        from,
        to: None,
        setup: &setup,
        paper: &paper,
        policies: &policies,
        forecasts: None,
        keep: ALL,
        leaves_at_end: false,
    };
    let (left, outcome) = compare(&job, 1_000);
    assert!(left.halts.contains(&HaltLevel::Flatten) && left.halts.contains(&HaltLevel::None), "{:?}", left.halts);
    let halted = left.halts.iter().filter(|level| **level > HaltLevel::None).count();
    assert_eq!(outcome.halts.len(), halted);
}

#[test]
fn an_engine_that_was_halted_for_longer_than_bars_are_kept_begins_cold() {
    let market = walks(5, 2, 4_400, Timeframe::MINUTE, 0.0);
    let (setup, policies) = calm(&market, false);
    let paper = paper(5, 1.0);
    let job = Job {
        market: &market,
        from: None,
        to: None,
        setup: &setup,
        paper: &paper,
        policies: &policies,
        forecasts: None,
        keep: ALL,
        leaves_at_end: false,
    };
    let (left, _) = compare(&job, 1_000);
    assert!(left.cold > 2, "one more than the two of the beginning: {}", left.cold);
}

#[test]
fn what_the_model_says_stands_on_record_and_is_acted_on() {
    let market = walks(7, 3, 700, Timeframe::HOUR, 0.05);
    let (setup, policies) = calm(&market, true);
    let paper = paper(7, 1.0);
    let job = Job {
        market: &market,
        from: Some(START + Span::HOUR.times(300)),
        to: None,
        setup: &setup,
        paper: &paper,
        policies: &policies,
        forecasts: None,
        keep: ALL,
        leaves_at_end: false,
    };
    let (left, outcome) = compare(&job, 1_000);
    assert!(left.records.iter().any(|(_, record)| matches!(record, Record::Forecasts { .. })));
    assert!(outcome.fills > 20 && outcome.fees.to_f64() > 0.0);
}

/// The events of a market with quotes of the last symbol in its second half.
fn with_quotes(events: Vec<MarketEvent>) -> Vec<MarketEvent> {
    let (half, mut all) = (events.len() / 2, Vec::new());
    for (at, event) in events.into_iter().enumerate() {
        if let MarketEvent::Frame(Frame { bars, .. }) = &event
            && at > half
            && let Some((ix, bar)) = bars.last()
        {
            for part in 1..4_i32 {
                let mid = bar.open + (bar.close - bar.open) * f64::from(part) / 4.0;
                let ts = bar.open_ts + Span::from_secs(900).times(i64::from(part));
                let quote = Quote { ts, bid: mid - 0.05, ask: mid + 0.05, bid_size: 50.0, ask_size: 50.0 };
                all.push(MarketEvent::Quotes { ts, quotes: vec![(*ix, quote)] });
            }
        }
        all.push(event);
    }
    all
}

#[test]
fn recorded_days_with_quotes_are_replayed_to_the_records_of_the_sequencer() {
    for (asks, features) in [(false, FeatureId::ALL), (true, &[])] {
        let market = walks(11, 3, 900, Timeframe::HOUR, 0.05);
        let (setup, policies) = calm(&market, asks);
        let paper = paper(11, 0.5);
        let start = START + Span::HOUR.times(500);
        let job = Job {
            market: &market,
            from: Some(start),
            to: None,
            setup: &setup,
            paper: &paper,
            policies: &policies,
            forecasts: None,
            keep: ALL,
            leaves_at_end: false,
        };
        let (history, events) = market_of(&job);
        let events = with_quotes(events);
        let left = House::run(&job, features, start, &history, events.clone());
        let forecasts: Option<&Forecasts> = Some(&left.forecasts);
        let terms = Replay { history: &history, policies: &policies, features, forecasts };
        let opening = Opening::new(&setup, &paper, "backtest".parse().unwrap(), Timeframe::HOUR, start).unwrap();
        let mut records = Vec::new();
        let outcome = replay(opening, &terms, events, &mut |ts, record| records.push((ts, record)));
        same(&left.records, &records);
        let quoted = market.symbols[Ix(2).at()].symbol;
        assert!(
            outcome
                .executions
                .iter()
                .any(|fill| fill.symbol == quoted && fill.ts.time_of_day().secs_f64() % 3600.0 > 1.0)
        );
    }
}
