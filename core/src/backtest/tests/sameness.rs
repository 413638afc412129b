//! A backtest makes the records that the sequencer makes.

use proptest::prelude::*;

use super::lockstep::{House, Left, market_of};
use super::made_up::{START, account, believing, crossing, drawless_paper, paper, sized_crossing, walks, whole};
use super::recorded::{Replay, replay, run_recorded};
use crate::account::AccountSetup;
use crate::backtest::{Forecasts, Job, Keep, MarketPast, Opening, Outcome, run};
use crate::domain::hash::unit_draw;
use crate::domain::{AccountKind, Frame, FundingRates, HaltLevel, Ix, MarketEvent, Quote, Span, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::features::FeatureId;
use crate::fills::PaperSetup;
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
    /// Whether slippage is drawn: without records orders keep their names then, and are counted else.
    draws: bool,
    spot: bool,
    unlimited: bool,
    /// Whether rates of funding are on file.
    rates: bool,
    timeframe: Timeframe,
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
        let kind = if self.spot { AccountKind::Spot } else { AccountKind::Linear };
        let Self { resumes: resume_next_day, unlimited, .. } = *self;
        AccountSetup { kind, resume_next_day, unlimited, ..account(self.symbols, &self.risk()) }
    }

    fn paper(&self) -> PaperSetup {
        let paper = if self.draws { paper } else { drawless_paper };
        paper(self.seed, self.participation)
    }

    fn market(&self, bars: usize) -> MarketPast {
        let mut market = walks(self.seed, self.symbols, bars, self.timeframe, self.gaps);
        if self.rates {
            let rate = |symbol: usize, at: usize| 0.0004 * unit_draw(self.seed, (symbol * bars + at) as u64) - 0.0001;
            let row = |symbol, at| (self.open_of(7 * at), rate(symbol, at));
            let rows = |symbol| (0..bars / 7).map(|at| row(symbol, at)).collect();
            market.funding = (0..self.symbols).map(|symbol| FundingRates::new(rows(symbol)).unwrap()).collect();
        }
        market
    }

    /// When the bar at this place opens.
    fn open_of(&self, at: usize) -> Ts {
        START + self.timeframe.span().times(i64::try_from(at).unwrap())
    }

    fn policies(&self) -> Vec<StrategyPolicy> {
        let policy = |at| match at as f64 + 1.0 {
            _ if self.asks => believing(),
            stop if self.unlimited => sized_crossing(stop),
            stop => crossing(stop),
        };
        (0..self.symbols).map(policy).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let asks = prop_oneof![3 => Just(false), 1 => Just(true)];
    let stop = prop_oneof![Just(0.5), Just(2.0), Just(50.0)];
    // One symbol is run in stretches where nothing is put on record.
    let symbols = prop_oneof![1 => Just(1_usize), 1 => 2_usize..=4];
    let shape = (symbols, asks, stop, any::<bool>(), any::<bool>(), any::<bool>());
    let timeframe = prop_oneof![Just(Timeframe::HOUR), Just(Timeframe::MINUTE)];
    let market = (any::<u64>(), prop_oneof![Just(0.1), Just(1.0)], prop_oneof![Just(0.0), Just(0.1)], 0_usize..700);
    let terms = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), timeframe);
    (shape, market, terms).prop_map(
        |(
            (symbols, asks, stop, flatten, resumes, extras),
            (seed, participation, gaps, history),
            (draws, spot, unlimited, rates, timeframe),
        )| Case {
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
            draws,
            spot,
            // Without limits only a strategy that states its size trades.
            unlimited: unlimited && !asks,
            rates,
            timeframe,
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
    alike(run(&job).unwrap(), &outcome, "records change nothing");
    let bare = Keep { curve: false, trips: false, executions: false };
    let kept = Outcome { curve: Vec::new(), trips: Vec::new(), executions: Vec::new(), ..outcome.clone() };
    alike(run(&Job { keep: bare, ..job }).unwrap(), &kept, "what is kept changes nothing");
    (left, outcome)
}

/// Holds one outcome to another, row by row first: a whole one is hardly read.
fn alike(found: Outcome, wanted: &Outcome, what: &str) {
    let rows = found.executions.iter().zip(&wanted.executions).enumerate();
    rows.for_each(|(at, (found, wanted))| assert_eq!(found, wanted, "{what}: execution {at}"));
    let points = found.curve.iter().zip(&wanted.curve).enumerate();
    points.for_each(|(at, (found, wanted))| assert_eq!(found, wanted, "{what}: point {at}"));
    assert_eq!(found, *wanted, "{what}");
}

fn same(wanted: &[(Ts, Record)], found: &[(Ts, Record)]) {
    for (at, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        assert_eq!(found, wanted, "record {at}");
    }
    assert_eq!(found.len(), wanted.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn the_records_are_those_of_the_sequencer(case in cases()) {
        let market = case.market(case.history + 260);
        let (setup, policies, paper) = (case.setup(), case.policies(), case.paper());
        let (from, to) = (Some(case.open_of(case.history)).filter(|_| case.history > 0), None);
        let job = Job { from, to, ..whole(&market, &setup, &paper, &policies) };
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
        draws: true,
        spot: false,
        unlimited: false,
        rates: false,
        timeframe: Timeframe::HOUR,
    };
    (case.setup(), case.policies())
}

#[test]
fn stops_of_the_day_halt_and_the_next_day_goes_on() {
    let market = walks(3, 3, 900, Timeframe::HOUR, 0.05);
    let (setup, policies) = calm(&market, false);
    // The order that closes everything is named after the number of its record: where names count, records do.
    for paper in [paper(3, 0.1), drawless_paper(3, 0.1)] {
        let from = Some(START + Span::HOUR.times(520));
        let job = Job { from, ..whole(&market, &setup, &paper, &policies) };
        let (left, outcome) = compare(&job, 1_000);
        let halts = &left.halts;
        assert!(halts.contains(&HaltLevel::Flatten) && halts.contains(&HaltLevel::None), "{halts:?}");
        let halted = halts.iter().filter(|level| **level > HaltLevel::None).count();
        assert_eq!(outcome.halts.len(), halted);
    }
}

/// What is taken in stretches: days of minutes, with positions over many bars, brackets and funding between.
#[test]
fn an_account_without_limits_trades_the_same_in_stretches() {
    let market = walks(13, 1, 4_400, Timeframe::MINUTE, 0.02);
    let (setup, _) = calm(&market, false);
    let policies = [sized_crossing(1.0)];
    for kind in [AccountKind::Linear, AccountKind::Spot] {
        let setup = AccountSetup { kind, unlimited: true, ..setup.clone() };
        for paper in [drawless_paper(13, 1.0), paper(13, 1.0)] {
            let job = Job {
                from: Some(START + Span::MINUTE.times(300)),
                to: Some(START + Span::MINUTE.times(4_300)),
                ..whole(&market, &setup, &paper, &policies)
            };
            let (_, outcome) = compare(&job, 4_000);
            assert!(outcome.fills > 100, "{}", outcome.fills);
        }
    }
}

#[test]
fn an_engine_that_was_halted_for_longer_than_bars_are_kept_begins_cold() {
    let market = walks(5, 2, 4_400, Timeframe::MINUTE, 0.0);
    let (setup, policies) = calm(&market, false);
    let paper = paper(5, 1.0);
    let job = whole(&market, &setup, &paper, &policies);
    let (left, _) = compare(&job, 1_000);
    assert!(left.cold > 2, "one more than the two of the beginning: {}", left.cold);
}

#[test]
fn what_the_model_says_stands_on_record_and_is_acted_on() {
    let market = walks(7, 3, 700, Timeframe::HOUR, 0.05);
    let (setup, policies) = calm(&market, true);
    let paper = paper(7, 1.0);
    let job = Job { from: Some(START + Span::HOUR.times(300)), ..whole(&market, &setup, &paper, &policies) };
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
        let job = Job { from: Some(start), ..whole(&market, &setup, &paper, &policies) };
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
