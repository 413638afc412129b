//! Tests of building, splitting and the check for leaks.

#![expect(clippy::cast_possible_truncation, reason = "small numbers, and features that are bounded")]

use std::fs;

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Bar, Feed, Ix, MarketEvent, Timeframe, Ts};
use levibot_core::engine::{Core, EngineSetup, StrategyPolicy};
use levibot_core::features::FeatureId;
use levibot_core::files::{FileError, FileFeed, Series};
use levibot_core::forecast::{INPUTS, WINDOW, input_ids};
use tempfile::TempDir;

use super::walk::{BEGIN, walk, wanted};
use super::*;
use crate::progress::Silent;
use crate::settings::SplitSettings;

const SPLIT: SplitSettings = SplitSettings { validation: 0.2, test: 0.2, embargo_bars: 5 };
const WARM: usize = 199;

fn three(bars: u64) -> Vec<Series> {
    vec![walk("AAA", bars, 1), walk("BBB", bars, 2), walk("CCC", bars, 3)]
}

fn table(data: &[Series], wanted: &Wanted<'_>) -> Table {
    Table::of(data, wanted, &EngineRows, &Silent).unwrap().0
}

fn csv(series: &Series, damage: impl Fn(usize) -> Option<&'static str>) -> String {
    let mut text = "time,open,high,low,close,volume\n".to_owned();
    for (at, bar) in series.bars.iter().enumerate() {
        let close = damage(at).map_or_else(|| bar.close.to_string(), str::to_owned);
        let (open, high, low) = (bar.open, bar.high, bar.low);
        text.push_str(&format!("{},{open},{high},{low},{close},{}\n", bar.open_ts.secs(), bar.volume));
    }
    text
}

#[test]
fn rows_are_those_of_live_engines() {
    let mut data = three(300);
    data[1].bars.remove(250);
    let table = table(&data, &wanted(6, 0.002));
    let policy = StrategyPolicy::from_yaml(include_str!("../../../policies/strategies/ema_cross.yaml")).unwrap();
    let engine = |ix| Core::new(EngineSetup::new(Ix(ix), Timeframe::HOUR, policy.clone()));
    let mut engines: Vec<Core> = (0..3).map(engine).collect();
    let mut taken = [0; 3];
    let indexed = (0..).map(Ix).zip(data.iter().cloned()).collect();
    let mut feed = FileFeed::new(indexed, Timeframe::HOUR, None, None).unwrap();
    while let Some(MarketEvent::Frame(frame)) = Feed::next_event(&mut feed) {
        for (ix, bar) in &frame.bars {
            engines[ix.at()].prime(bar, &frame.context);
            let live: Vec<f32> = engines[ix.at()].features().values().iter().map(|x| *x as f32).collect();
            let series = &table.series[ix.at()];
            let at = taken[ix.at()];
            assert_eq!(series.bars[at], *bar);
            assert_eq!(series.rows[at * INPUTS..(at + 1) * INPUTS], live);
            assert_eq!(engines[ix.at()].features().is_warm(), at >= WARM);
            taken[ix.at()] += 1;
        }
    }
    assert_eq!(taken, [300, 299, 300]);
    assert!(table.series.iter().all(|series| series.first == WARM));
}

#[test]
fn a_window_ends_with_its_own_row_and_outcomes_look_the_horizon_ahead() {
    let data = three(320);
    let table = table(&data, &wanted(6, 0.002));
    let sample = Sample { series: 1, at: 250 };
    let window = table.window(sample);
    assert_eq!(window.len(), WINDOW * INPUTS);
    assert_eq!(window[(WINDOW - 1) * INPUTS..], *table.row(sample));
    let outcome = table.outcome(sample).unwrap();
    assert_eq!(outcome.resolves, table.close_ts(Sample { series: 1, at: 256 }));
    let bars = &data[1].bars;
    assert!((outcome.log_return - (bars[256].close / bars[250].close).ln()).abs() < 1e-12);
    assert_eq!(table.forward_return(sample, 6), Some(outcome.log_return));
    assert!(table.outcome(Sample { series: 1, at: 314 }).is_none(), "its horizon ends beyond the data");
}

#[test]
fn files_become_a_table_and_what_is_wrong_with_them_is_told() {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    // A whole column of NaN is refused row by row; so are single ones.
    write("AAA.csv", csv(&walk("AAA", 400, 1), |at| (at % 100 == 50).then_some("NaN")));
    write("BBB.csv", csv(&walk("BBB", 150, 2), |_| None));
    let all = Wanted { path: dir.path(), ..wanted(6, 0.002) };
    let built = Table::build(&all, &Silent).unwrap();
    assert_eq!(built.table.series.len(), 1);
    assert_eq!(built.left_out, [LeftOut { symbol: "BBB".parse().unwrap(), bars: 150, needed: 206 }]);
    assert_eq!((built.reports.len(), built.reports[0].kept, built.reports[0].gaps), (2, 396, 4));
    assert!(built.reports[0].to_string().contains("not finite x4"), "{}", built.reports[0]);
    assert!(built.table.series[0].rows.iter().all(|x| x.is_finite()));

    let symbols = ["AAA".parse().unwrap(), "ZZZ".parse().unwrap()];
    let some = Table::build(&Wanted { symbols: Some(&symbols), ..all.clone() }, &Silent).unwrap();
    assert_eq!((some.data.len(), some.absent.as_slice()), (1, &symbols[1..]));
    let error = Table::build(&Wanted { symbols: Some(&symbols[1..]), ..all.clone() }, &Silent).unwrap_err();
    assert!(error.to_string().ends_with("holds no prices of ZZZ: it has AAA, BBB"), "{error}");
    let symbols = ["BBB".parse().unwrap()];
    let error = Table::build(&Wanted { symbols: Some(&symbols), ..all.clone() }, &Silent).unwrap_err();
    assert!(error.to_string().starts_with("too little data: BBB has 150 bars, 206 are needed"), "{error}");
    write("AAA.csv", csv(&walk("AAA", 400, 1), |_| Some("NaN")));
    let error = Table::build(&all, &Silent).unwrap_err();
    assert!(matches!(error, DatasetError::Files(FileError::NoBars { .. })), "{error}");
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(Table::build(&Wanted { path: &nowhere, ..all }, &Silent), Err(DatasetError::Files(_))));
}

#[test]
fn a_range_holds_samples_and_what_lies_before_it_only_warms_up() {
    let data = three(500);
    let hour = |n: i64| Ts::from_secs(BEGIN + 3_600 * n);
    let dir = TempDir::new().unwrap();
    for series in &data {
        fs::write(dir.path().join(format!("{}.csv", series.symbol)), csv(series, |_| None)).unwrap();
    }
    let all = Wanted { path: dir.path(), ..wanted(6, 0.002) };
    let whole = Table::build(&all, &Silent).unwrap().table;
    let range = Wanted { from: Some(hour(301)), to: Some(hour(400)), ..all.clone() };
    let part = Table::build(&range, &Silent).unwrap().table;
    for (a, b) in part.series.iter().zip(&whole.series) {
        assert_eq!((a.first, a.bars.len()), (300, 400));
        assert_eq!(a.rows, b.rows[..400 * INPUTS], "the same rows, whatever the range");
        assert!(a.outcomes[394..].iter().all(Option::is_none), "nothing after the range decides");
        assert!(a.outcomes[300..394].iter().all(Option::is_some));
    }
    let error = Table::build(&Wanted { from: Some(hour(497)), ..all }, &Silent).unwrap_err().to_string();
    assert!(error.contains("AAA has 203 bars, 206 are needed"), "{error}");
}

/// Every bar from the first on is in one part or counted as dropped; parts are in order and their outcomes do not meet.
fn check(table: &Table, split: &Split, embargo_bars: u32) {
    let kept = split.training.len() + split.validation.len() + split.test.len();
    let Dropped { unresolved, purged, embargoed } = split.dropped;
    let all: usize = table.series.iter().map(|series| series.bars.len() - series.first).sum();
    assert_eq!(kept + unresolved + purged + embargoed, all);
    let embargo = table.timeframe.span().times(i64::from(embargo_bars));
    for (part, next, border) in
        [(&split.training, &split.validation, split.train_end), (&split.validation, &split.test, split.validation_end)]
    {
        let resolved = part.iter().map(|sample| table.outcome(*sample).unwrap().resolves).max().unwrap();
        let begin = next.iter().map(|sample| table.close_ts(*sample)).min().unwrap();
        assert!(resolved < border && border + embargo <= begin, "{resolved} {border} {begin}");
    }
    for part in [&split.training, &split.validation, &split.test] {
        assert!(part.is_sorted_by_key(|sample| (table.close_ts(*sample), *sample)));
        assert!(part.iter().all(|sample| sample.at as usize >= table.series_of(*sample).first));
    }
    let learnt = split.training.iter().chain(&split.validation);
    let through = learnt.map(|sample| table.outcome(*sample).unwrap().resolves).max().unwrap();
    assert_eq!(split.trained_through, through);
}

#[test]
fn parts_of_any_split_are_apart_and_complete() {
    for case in 0..60_u64 {
        let draw = |n: u64| unit_draw(1_000 + case, n);
        let mut data = three(700);
        for (n, series) in (0..).zip(&mut data) {
            let mut at = 0;
            series.bars.retain(|_| {
                at += 1;
                unit_draw(case * 3 + n, at) > 0.01 * draw(9)
            });
            series.bars.drain(..(100.0 * draw(10 + n)) as usize);
        }
        let table = table(&data, &wanted(1 + (20.0 * draw(1)) as u32, 0.002));
        let settings = SplitSettings {
            validation: 0.1 + 0.2 * draw(2),
            test: 0.1 + 0.2 * draw(3),
            embargo_bars: (12.0 * draw(4)) as u32,
        };
        match Split::new(&table, &settings) {
            Ok(split) => check(&table, &split, settings.embargo_bars),
            // With many gaps and a long horizon there may be nothing left.
            Err(error) => assert!(matches!(error, DatasetError::EmptyPart { .. }), "{case}: {error}"),
        }
        let from = Ts::from_secs(BEGIN + 3_600 * (500 + (100.0 * draw(5)) as i64));
        match Split::with_test_from(&table, &settings, from) {
            Ok(split) => {
                check(&table, &split, settings.embargo_bars);
                assert!(split.test.iter().all(|sample| table.close_ts(*sample) >= from));
                let first = |series: &SymbolTable| {
                    let samples = (0..).zip(&series.bars).skip(series.first);
                    let there = |(at, bar): &(usize, &Bar)| {
                        bar.close_ts(table.timeframe) >= from && series.outcomes[*at].is_some()
                    };
                    samples.filter(there).map(|(_, bar)| bar.close_ts(table.timeframe)).next()
                };
                let begin = table.series.iter().filter_map(first).min().unwrap();
                assert_eq!(table.close_ts(split.test[0]), begin, "no day of the test is lost");
            }
            Err(error) => assert!(matches!(error, DatasetError::EmptyPart { .. }), "{case}: {error}"),
        }
    }
}

#[test]
fn a_part_without_samples_or_with_one_class_is_refused() {
    let data = three(260);
    let error = Split::new(&table(&data, &wanted(20, 0.002)), &SPLIT).unwrap_err().to_string();
    assert!(error.starts_with("too little data: no sample is left for the validation part"), "{error}");
    let rising = vec![walk::market("AAA", 600, 1, |n| 0.02 + 0.001 * walk::normal(1, n))];
    let error = Split::new(&table(&rising, &wanted(3, 0.002)), &SPLIT).unwrap_err().to_string();
    assert!(error.starts_with("the training part holds ") && error.contains("and 0 moves down"), "{error}");
    let error = Split::new(&table(&three(600), &wanted(3, 0.9)), &SPLIT).unwrap_err().to_string();
    assert!(error.contains("holds 0 moves up and 0 moves down"), "{error}");
}

/// Rows of engines, one value of which knows the close of `ahead` bars later.
#[derive(Debug)]
struct Peeking {
    at: usize,
    ahead: usize,
    only: &'static str,
}

impl RowSource for Peeking {
    fn rows(&self, data: &[Series], timeframe: Timeframe) -> Result<Vec<SymbolRows>, FileError> {
        let mut all = EngineRows.rows(data, timeframe)?;
        for (series, rows) in data.iter().zip(&mut all).filter(|(series, _)| series.symbol.as_str() == self.only) {
            for n in 0..rows.bars.len() {
                let later = &series.bars[(n + self.ahead).min(series.bars.len() - 1)];
                rows.rows[n * INPUTS + self.at] = (later.close / series.bars[n].close).ln() as f32;
            }
        }
        Ok(all)
    }
}

#[test]
fn the_check_finds_a_value_that_looks_ahead_and_names_it_alone() {
    let data = three(400);
    let honest = table(&data, &wanted(6, 0.002));
    let check = truncated_against_full(&data, &honest, &EngineRows, 5, 7, &Silent).unwrap();
    assert!(check.is_clean() && check.instants.len() == 5, "{check:?}");
    assert!(check.rows > 5 * 3 * 199);
    assert_eq!(check, truncated_against_full(&data, &honest, &EngineRows, 5, 7, &Silent).unwrap());
    let at = input_ids().iter().position(|id| *id == FeatureId::Rsi14).unwrap();
    for ahead in [1, 30] {
        let source = Peeking { at, ahead, only: "BBB" };
        let leaking = Table::of(&data, &wanted(6, 0.002), &source, &Silent).unwrap().0;
        let check = truncated_against_full(&data, &leaking, &source, 5, 7, &Silent).unwrap();
        assert!(!check.is_clean());
        let named: Vec<(&str, &str)> = check.leaks.iter().map(|l| (l.symbol.as_str(), l.feature.as_str())).collect();
        assert_eq!(named, [("BBB", "rsi_14")], "{check:?}");
        assert_eq!((check.leaks[0].at, check.leaks[0].rows), (check.instants[4], 5 * ahead as u64));
        assert!(check.leaks[0].full.to_bits() != check.leaks[0].truncated.to_bits());
    }
}
