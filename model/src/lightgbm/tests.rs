//! Tests of trees: what they learn, what they do not, and what they refuse.

use std::path::PathBuf;
use std::process::Command;

use levibot_core::domain::{Direction, Timeframe};
use levibot_core::files::{FileError, Series};
use levibot_core::forecast::{INPUTS, input_ids};
use levibot_core::statistics::{
    Call, Judged, Overlapping, accuracy, binomial_bounds, brier, effective_size, evaluate, sharpe, std_dev,
};
use tempfile::TempDir;

use super::*;
use crate::dataset::walk::{market, normal, walk, wanted};
use crate::dataset::{EngineRows, Part, RowSource, Split, SymbolRows};
use crate::progress::Silent;
use crate::settings::SplitSettings;

const HORIZON: u32 = 6;
const COST: f64 = 0.0014;
const SPLIT: SplitSettings = SplitSettings { validation: 0.15, test: 0.3, embargo_bars: 12 };

fn settings() -> LightGbmSettings {
    LightGbmSettings {
        trees: 60,
        patience: 15,
        leaves: 15,
        depth: 4,
        learning_rate: 0.1,
        leaf_rows: 50,
        feature_fraction: 0.7,
        row_fraction: 0.8,
        l2: 5.0,
    }
}

fn table(data: &[Series]) -> (Table, Split) {
    let table = Table::of(data, &wanted(HORIZON, COST), &EngineRows, &Silent).unwrap().0;
    let split = Split::new(&table, &SPLIT).unwrap();
    (table, split)
}

fn grow(table: &Table, split: &Split, threads: u32) -> LightGbm {
    let parts = (&split.training, &split.validation);
    LightGbm::train(table, parts.0, parts.1, input_ids(), &settings(), 42, threads, &Silent).unwrap()
}

fn walks(bars: u64) -> Vec<Series> {
    vec![walk("AAA", bars, 11), walk("BBB", bars, 22), walk("CCC", bars, 33)]
}

/// Log returns of which much carries over to the next bar: what goes up goes on.
fn trending(symbol: &str, bars: u64, key: u64) -> Series {
    let mut steps = vec![0.0; usize::try_from(bars).unwrap()];
    for n in 1..steps.len() {
        steps[n] = 0.8 * steps[n - 1] + 0.004 * normal(key, n as u64);
    }
    market(symbol, bars, key, |n| steps[usize::try_from(n).unwrap()])
}

fn rows_of(table: &Table, samples: &[Sample]) -> Vec<f32> {
    samples.iter().flat_map(|sample| table.row(*sample).to_vec()).collect()
}

/// Forecasts of the test part against whether the price rose at all, and what calling every bar would have earned.
fn judge(table: &Table, split: &Split, trees: &LightGbm) -> (Vec<Judged>, Vec<f64>, f64) {
    let forecasts = trees.predict(&rows_of(table, &split.test)).unwrap();
    let pairs = || split.test.iter().zip(&forecasts);
    let judged = pairs()
        .map(|(sample, p)| Judged { probability: *p, happened: table.outcome(*sample).unwrap().log_return > 0.0 });
    let calls: Vec<Call> = pairs()
        .map(|(sample, p)| Call {
            series: sample.series as usize,
            at: sample.at as usize,
            side: if *p >= 0.5 { Direction::Long } else { Direction::Short },
        })
        .collect();
    let series: Vec<_> = table.series.iter().map(|series| series.bars.as_slice()).collect();
    let how = Overlapping {
        timeframe: table.timeframe,
        horizon_bars: HORIZON as usize,
        round_trip_cost: COST,
        from: table.close_ts(split.test[0]),
        to: split.last + table.timeframe.span().times(i64::from(HORIZON)),
    };
    let evaluation = evaluate(&series, &calls, &how);
    assert_eq!(evaluation.left_out, 0);
    (judged.collect(), evaluation.net(), evaluation.hit_rate().unwrap())
}

#[test]
fn a_planted_signal_is_learnt() {
    let (table, split) = table(&[trending("AAA", 3_000, 1), trending("BBB", 3_000, 2)]);
    let trees = grow(&table, &split, 1);
    let (judged, net, hits) = judge(&table, &split, &trees);
    let share = accuracy(&judged, 1.0).unwrap().share();
    let surest = accuracy(&judged, 0.2).unwrap().share();
    assert!(share > 0.62 && surest > share + 0.05, "{share} {surest}");
    assert!(brier(&judged).unwrap() < 0.24 && hits > 0.55);
    assert!(sharpe(&net, 8_766.0).unwrap() > 3.0);
    let gains = trees.importance().unwrap();
    let best = gains.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    let recent = ["log_return_1", "log_return_3", "body_ratio", "relative_return", "macd_histogram", "ema_gap_12"];
    assert!(recent.contains(&best.name()), "{}", best.name());
}

#[test]
fn a_random_walk_gives_no_skill_and_no_profit() {
    let (table, split) = table(&walks(4_000));
    let trees = grow(&table, &split, 1);
    let (judged, net, _) = judge(&table, &split, &trees);
    let n = effective_size(judged.len(), HORIZON, 1.0);
    let bounds = binomial_bounds(n, 0.5, 0.01).unwrap();
    let share = accuracy(&judged, 1.0).unwrap().share();
    assert!(bounds.hold(share), "{share} of {n} effective, {bounds:?}");
    let net_mean = net.iter().sum::<f64>() / net.len() as f64;
    let error = std_dev(&net).unwrap() / (net.len() as f64).sqrt();
    assert!(net_mean < 2.6 * error, "no profit beyond chance: {net_mean} +- {error}");
    assert!(brier(&judged).unwrap() > 0.245);
}

/// Rows of engines in which the distance to an average is replaced by the return of the bar that comes next.
#[derive(Debug)]
struct NextBar;

impl RowSource for NextBar {
    #[expect(clippy::cast_possible_truncation, reason = "a log return")]
    fn rows(&self, data: &[Series], timeframe: Timeframe) -> Result<Vec<SymbolRows>, FileError> {
        let mut all = EngineRows.rows(data, timeframe)?;
        let place = places(&[FeatureId::EmaGap200]).unwrap()[0];
        for rows in &mut all {
            for (at, pair) in rows.bars.windows(2).enumerate() {
                rows.rows[at * INPUTS + place] = (pair[1].close / pair[0].close).ln() as f32;
            }
        }
        Ok(all)
    }
}

#[test]
fn the_same_walk_gives_itself_away_when_a_row_knows_the_next_bar() {
    let table = Table::of(&walks(4_000), &wanted(HORIZON, COST), &NextBar, &Silent).unwrap().0;
    let split = Split::new(&table, &SPLIT).unwrap();
    let (judged, net, _) = judge(&table, &split, &grow(&table, &split, 1));
    let bounds = binomial_bounds(effective_size(judged.len(), HORIZON, 1.0), 0.5, 0.01).unwrap();
    let share = accuracy(&judged, 1.0).unwrap().share();
    assert!(share > bounds.high && sharpe(&net, 8_766.0).unwrap() > 10.0, "{share} {bounds:?}");
}

#[test]
fn trees_are_the_same_for_any_number_of_threads_and_a_row_for_any_batch() {
    let (table, split) = table(&[trending("AAA", 1_500, 1), walk("BBB", 1_500, 2)]);
    let trees = grow(&table, &split, 1);
    let dir = TempDir::new().unwrap();
    let text = |trees: &LightGbm, name: &str| {
        let path = dir.path().join(name);
        trees.save(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        // What the trees are; the parameters after them name the threads.
        text.split_once("end of trees").unwrap().0.to_owned()
    };
    assert_eq!(text(&trees, "one"), text(&grow(&table, &split, 2), "two"));
    let rows = rows_of(&table, &split.test);
    let all = trees.predict(&rows).unwrap();
    for batch in [1, 2, 3, 15, 64] {
        let parts = rows.chunks(batch * INPUTS).flat_map(|part| trees.predict(part).unwrap());
        assert!(parts.zip(&all).all(|(a, b)| a.to_bits() == b.to_bits()), "batches of {batch}");
    }
    assert!(trees.predict(&[]).unwrap().is_empty());
}

#[test]
fn contributions_add_up_to_the_log_odds_but_for_a_constant() {
    let (table, split) = table(&[trending("AAA", 1_500, 1), walk("BBB", 1_500, 2)]);
    let trees = grow(&table, &split, 1);
    let base = |sample: &Sample| {
        let row = table.row(*sample);
        let p = trees.predict(row).unwrap()[0];
        let parts: f64 = trees.contributions(row).unwrap().iter().map(|(_, value)| value).sum();
        (p / (1.0 - p)).ln() - parts
    };
    let first = base(&split.test[0]);
    assert!(split.test.iter().step_by(20).all(|sample| (base(sample) - first).abs() < 1e-9));
}

#[test]
fn columns_are_picked_inside() {
    let (table, split) = table(&[trending("AAA", 1_500, 1), walk("BBB", 1_500, 2)]);
    let columns = [FeatureId::Breadth, FeatureId::LogReturn1];
    let trees =
        LightGbm::train(&table, &split.training, &split.validation, &columns, &settings(), 1, 1, &Silent).unwrap();
    let mut row = table.row(split.test[0]).to_vec();
    let p = trees.predict(&row).unwrap()[0];
    for (at, id) in input_ids().iter().enumerate().filter(|(_, id)| !columns.contains(id)) {
        row[at] = f32::NAN;
        assert_eq!(trees.predict(&row).unwrap()[0].to_bits(), p.to_bits(), "{} is not read", id.name());
    }
    let named: Vec<FeatureId> = trees.contributions(&row).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(named, columns);
    row[input_ids().iter().position(|id| *id == FeatureId::LogReturn1).unwrap()] = f32::INFINITY;
    let error = trees.predict(&row).unwrap_err().to_string();
    assert!(error.contains("log_return_1 is not a finite number in row 0 of a question"), "{error}");
    assert!(matches!(trees.predict(&row[1..]), Err(LightGbmError::Shape { .. })));
    assert!(matches!(trees.contributions(&[0.0; 2 * INPUTS]), Err(LightGbmError::Shape { .. })));
}

#[test]
fn what_cannot_be_learnt_from_is_refused_before_native_code_sees_it() {
    let (table, split) = table(&walks(1_200));
    let train = |table: &Table, training: &[Sample], columns: &[FeatureId]| {
        LightGbm::train(table, training, &split.validation, columns, &settings(), 1, 1, &Silent)
            .map(|_| ())
            .map_err(|error| (error.to_string(), error))
            .unwrap_err()
    };
    let up = |sample: &&Sample| table.outcome(**sample).unwrap().label == Some(true);
    let ups: Vec<Sample> = split.training.iter().filter(up).copied().collect();
    let (text, error) = train(&table, &ups, input_ids());
    assert!(matches!(error, LightGbmError::OneClass { part: Part::Training, downs: 0, .. }), "{text}");
    let (text, _) = train(&table, &split.training[..50], input_ids());
    assert!(text.contains("the training part holds") && text.contains("100 are needed"), "{text}");
    assert!(matches!(train(&table, &split.training, &[]).1, LightGbmError::NoColumns));

    let mut broken = table.clone();
    let at = split.training[5].at as usize * INPUTS;
    let series = split.training[5].series as usize;
    broken.series[series].rows[at..at + INPUTS].fill(f32::NAN);
    let labelled = broken.outcome(split.training[5]).unwrap().label.is_some();
    assert!(labelled, "the sample is one that would be learnt from");
    let (text, error) = train(&broken, &split.training, input_ids());
    assert!(matches!(error, LightGbmError::NotFinite { .. }), "{text}");
    assert!(text.contains("AAA, bar of") || text.contains("BBB, bar of") || text.contains("CCC, bar of"), "{text}");
}

#[test]
fn where_nothing_can_be_split_the_answer_is_the_share_of_rises() {
    let (table, split) = table(&walks(1_200));
    let mut flat = table.clone();
    for series in &mut flat.series {
        series.rows.fill(1.0);
    }
    let trees = grow(&flat, &split, 1);
    let labels: Vec<bool> = split.training.iter().filter_map(|sample| table.outcome(*sample)?.label).collect();
    let rises = labels.iter().filter(|up| **up).count() as f64 / labels.len() as f64;
    let p = trees.predict(flat.row(split.test[0])).unwrap()[0];
    assert!((p - rises).abs() < 1e-6, "{p} {rises}");
    assert!(trees.importance().unwrap().iter().all(|(_, gain)| gain.abs() < 1e-12));
    let dir = TempDir::new().unwrap();
    trees.save(&dir.path().join("flat")).unwrap();
    let again = LightGbm::load(&dir.path().join("flat"), input_ids()).unwrap();
    assert_eq!(again.predict(flat.row(split.test[0])).unwrap()[0].to_bits(), p.to_bits());
}

#[test]
fn a_file_gives_the_same_answers_and_a_damaged_one_is_refused() {
    let (table, split) = table(&[trending("AAA", 1_500, 1), walk("BBB", 1_500, 2)]);
    let trees = grow(&table, &split, 1);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lightgbm.txt");
    trees.save(&path).unwrap();
    let again = LightGbm::load(&path, input_ids()).unwrap();
    let rows = rows_of(&table, &split.test);
    assert_eq!(again.predict(&rows).unwrap(), trees.predict(&rows).unwrap());
    assert_eq!((again.trees(), again.columns()), (trees.trees(), trees.columns()));

    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        let path = dir.path().join("damaged.txt");
        std::fs::write(&path, bytes).unwrap();
        let error = LightGbm::load(&path, input_ids()).unwrap_err();
        assert!(matches!(error, LightGbmError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("damaged.txt is damaged"), "{error}");
    };
    for part in 0..200 {
        refused(&whole[..whole.len() * part / 200]);
        let mut flipped = whole.clone();
        flipped[whole.len() * part / 200] ^= 1 << (part % 8);
        refused(&flipped);
    }
    refused(&whole[..whole.len() - 1]);
    let error = LightGbm::load(&path, &input_ids()[1..]).unwrap_err().to_string();
    assert!(error.contains("was grown on the features log_return_1"), "{error}");
    assert!(matches!(LightGbm::load(&dir.path().join("absent"), input_ids()), Err(LightGbmError::Read { .. })));
    assert!(matches!(trees.save(&dir.path().join("no/such/folder")), Err(LightGbmError::Write { .. })));
}

/// A Python with the package `lightgbm`: that of LEVIBOT_TEST_PYTHON, or else `python3`.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("LEVIBOT_TEST_PYTHON").map(PathBuf::from);
    let program = named.unwrap_or_else(|| PathBuf::from("python3"));
    let found = Command::new(&program).args(["-c", "import lightgbm"]).output();
    found.is_ok_and(|output| output.status.success()).then_some(program)
}

#[test]
fn pythons_lightgbm_reads_the_file_and_gives_the_same_answers() {
    let Some(python) = python() else {
        println!("SKIPPED: no Python with the package lightgbm; LEVIBOT_TEST_PYTHON names one");
        return;
    };
    let (table, split) = table(&[trending("AAA", 1_500, 1), walk("BBB", 1_500, 2)]);
    let trees = grow(&table, &split, 1);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lightgbm.txt");
    trees.save(&path).unwrap();
    let rows = rows_of(&table, &split.test);
    let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(dir.path().join("rows"), bytes).unwrap();
    let script = format!(
        "import lightgbm, numpy\nb = lightgbm.Booster(model_file='lightgbm.txt')\n\
         x = numpy.fromfile('rows', dtype='<f4').reshape(-1, {INPUTS})\n\
         print('\\n'.join(float(p).hex() + ' ' + repr(float(p)) for p in b.predict(x)))"
    );
    let output = Command::new(python).args(["-c", &script]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<f64> = text.lines().filter_map(|line| line.split_once(" ")?.1.parse().ok()).collect();
    let wanted = trees.predict(&rows).unwrap();
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-12));
}
