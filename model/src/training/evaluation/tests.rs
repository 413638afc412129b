use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Bar, Timeframe};
use levibot_core::forecast::INPUTS;
use levibot_core::labels::outcomes;

use super::*;

const HORIZON: u32 = 4;
const COST: f64 = 0.002;
const RULES: Rules = Rules { threshold: 0.6, round_trip_cost: COST };

/// Two symbols of hourly bars that move by up to 1 %, up or down.
fn table(bars: u64) -> Table {
    let series = |(key, symbol): (u64, &str)| {
        let mut close = 100.0;
        let bar = |n: u64| {
            close *= 1.0 + 0.02 * (unit_draw(key, n) - 0.5);
            let open_ts = Ts::from_secs(1_577_836_800 + 3_600 * i64::try_from(n).unwrap());
            Bar { open_ts, open: close, high: close, low: close, close, volume: 1.0 }
        };
        let bars: Vec<Bar> = (0..bars).map(bar).collect();
        let outcomes = outcomes(&bars, HORIZON as usize, Timeframe::HOUR, COST);
        let rows = vec![0.0; bars.len() * INPUTS];
        SymbolTable { symbol: symbol.parse().unwrap(), bars, rows, outcomes, first: 0 }
    };
    Table {
        timeframe: Timeframe::HOUR,
        horizon_bars: HORIZON,
        series: [(1, "AAA"), (2, "BBB")].into_iter().map(series).collect(),
    }
}

fn samples(table: &Table) -> Vec<Sample> {
    let of = |(series, own): (u32, &SymbolTable)| {
        (0..own.bars.len()).map(move |at| Sample { series, at: u32::try_from(at).unwrap() })
    };
    (0..).zip(&table.series).flat_map(of).collect()
}

/// Probabilities that come from knowing the outcome, or from nothing.
fn said(table: &Table, samples: &[Sample], knows: bool) -> Vec<f64> {
    let one = |(n, sample): (u64, &Sample)| {
        let up = table.outcome(*sample).is_some_and(|outcome| outcome.log_return > 0.0);
        match (knows, up) {
            (true, true) => 0.7 + 0.2 * unit_draw(9, n),
            (true, false) => 0.3 - 0.2 * unit_draw(9, n),
            (false, _) => 0.3 + 0.4 * unit_draw(9, n),
        }
    };
    (0..).zip(samples).map(one).collect()
}

#[test]
fn who_knows_the_outcome_is_always_right_earns_and_is_not_believed() {
    let table = table(600);
    let samples = samples(&table);
    let found = Evaluation::of(&table, &samples, &said(&table, &samples, true), RULES).unwrap();
    assert_eq!(found.bars, 2 * (600 - u64::from(HORIZON)), "the last bars have no outcome");
    assert!(found.skill.iter().chain(&found.symbols[1].skill).all(|skill| skill.accuracy.unwrap() > 0.999));
    assert!(found.at_coverage.mean_call.unwrap() > 0.0 && found.at_coverage.sharpe.unwrap() > 3.0);
    assert_eq!(found.at_threshold.calls, found.bars);
    assert!(found.warnings[0].starts_with("looks too good: check for a leak"), "{:?}", found.warnings);
    let minute = Table { timeframe: Timeframe::MINUTE, ..table.clone() };
    assert!(minute.series[0].outcomes[0].is_some());
}

#[test]
fn who_knows_nothing_is_right_by_chance_and_pays_the_costs() {
    let table = table(2_000);
    let samples = samples(&table);
    let found = Evaluation::of(&table, &samples, &said(&table, &samples, false), RULES).unwrap();
    let full = found.full().unwrap();
    let [low, high] = full.interval.unwrap();
    assert!(low < 0.5 && 0.5 < high && low < full.accuracy.unwrap() && full.accuracy.unwrap() < high, "{full:?}");
    // Overlap of four bars: 4,000 bars are worth about 1,000.
    assert!((full.effective - full.labelled as f64 / 4.0).abs() < 0.2 * full.effective, "{full:?}");
    assert!(found.at_coverage.mean_call.unwrap() < 0.0, "{:?}", found.at_coverage);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let calls: Vec<u64> = found.skill.iter().map(|skill| skill.calls).collect();
    assert_eq!(calls, [found.bars, found.bars.div_ceil(5), found.bars.div_ceil(20)]);
    assert!(found.reliability.iter().map(|bin| bin.count).sum::<u64>() == full.labelled);
}

#[test]
fn symbols_that_move_as_one_are_worth_one() {
    let mut table = table(500);
    let (bars, outcomes) = (table.series[0].bars.clone(), table.series[0].outcomes.clone());
    (table.series[1].bars, table.series[1].outcomes) = (bars, outcomes);
    let samples = samples(&table);
    let found = Evaluation::of(&table, &samples, &said(&table, &samples, false), RULES).unwrap();
    let (both, one) = (found.full().unwrap().effective, found.symbols[0].skill[0].effective);
    assert!((both - one).abs() < 1e-6, "{both} against {one}");
}

#[test]
fn a_constant_is_told_as_one_and_prefers_no_symbol() {
    let table = table(600);
    let samples = samples(&table);
    let found = Evaluation::of(&table, &samples, &vec![0.49; samples.len()], RULES).unwrap();
    let full = found.full().unwrap();
    assert!((full.accuracy.unwrap() + full.always_up.unwrap() - 1.0).abs() < 1e-12);
    assert!(found.warnings[0].starts_with("nearly every call says down"), "{:?}", found.warnings);
    assert!(found.warnings[1].starts_with("no bar reaches the threshold"), "{:?}", found.warnings);
    let all: Vec<Told> = tell(&table, &samples, &vec![0.49; samples.len()]).unwrap();
    let taken = surest(&all.iter().collect::<Vec<_>>(), 0.2);
    let first = taken.iter().filter(|told| told.sample.series == 0).count() as f64 / taken.len() as f64;
    assert!((0.35..0.65).contains(&first), "{first}");
    assert!(taken.iter().map(|told| told.sample.at).max() > Some(500), "late bars too");
}

#[test]
fn figures_come_back_from_json() {
    let table = table(150);
    let samples = samples(&table);
    let found = Evaluation::of(&table, &samples, &said(&table, &samples, false), RULES).unwrap();
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), found);
    assert!(json.contains("\"from\":\"2020-01-01T01:00:00Z\""), "{json}");
    assert!(found.warnings.iter().any(|warning| warning.contains("may be luck")), "{:?}", found.warnings);
    assert!(Evaluation::of(&table, &samples, &[0.5], RULES).is_none());
    assert!(Evaluation::of(&table, &[], &[], RULES).is_none());
}
