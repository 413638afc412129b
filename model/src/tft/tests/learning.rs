//! It learns what is there to be learnt, and nothing where there is nothing.

use levibot_core::features::FeatureId;

use super::super::inputs::place;
use super::fixtures::{MOVE, input, noise, samples, series, settings, table, train};
use crate::dataset::Table;
use crate::progress::Silent;
use crate::tft::{Tft, TftError, TftInput};

/// Share of later labelled samples whose direction is foretold, how many these are, and the share of returns inside the
/// band from the 10 % to the 90 % quantile.
fn judged(table: &Table, model: &Tft) -> (f64, f64, f64) {
    let later: Vec<_> = samples(table, 0.82, 1.0);
    let inputs: Vec<TftInput<'_>> = later.iter().map(|sample| input(table, *sample)).collect();
    let outputs = model.predict(&inputs).unwrap();
    let (mut right, mut labelled, mut inside) = (0.0, 0.0, 0.0);
    for (sample, output) in later.iter().zip(&outputs) {
        let outcome = table.outcome(*sample).unwrap();
        let [low, middle, high] = output.quantiles;
        assert!(low <= middle && middle <= high);
        inside += f64::from(u8::from((low..=high).contains(&outcome.log_return)));
        if let Some(up) = outcome.label {
            labelled += 1.0;
            right += f64::from(u8::from((output.prob_up > 0.5) == up));
        }
    }
    (right / labelled, labelled, inside / later.len() as f64)
}

#[test]
fn it_learns_a_season_and_how_far_prices_stray_from_it() {
    // Up in one half of the day and down in the other, under noise of the same size.
    let season = |n: usize| {
        let hour = (n % 24) as f64;
        MOVE * (0.6 * (std::f64::consts::TAU * hour / 24.0).sin() + 0.6 * noise(3, n as u64))
    };
    let table = table(4, vec![series("AAA", 4_000, 4, season, |_, _| {})]);
    let (model, history) = train(&table, &[FeatureId::LogReturn1], &settings());
    assert!(history.epochs[history.best as usize - 1].log_loss < 0.6, "{history:?}");
    let (accuracy, _, coverage) = judged(&table, &model);
    assert!(accuracy > 0.75, "accuracy {accuracy}");
    assert!((0.72..0.88).contains(&coverage), "coverage {coverage}");
}

#[test]
fn it_finds_the_one_column_that_drives_prices() {
    let driver = FeatureId::BodyRatio;
    let noises = [FeatureId::Rsi14, FeatureId::VolumeZ20, FeatureId::UpperWick, FeatureId::Breadth];
    let step = |n: usize| MOVE * (0.8 * noise(5, n as u64 - u64::from(n > 0)) + 0.4 * noise(6, n as u64));
    let fill = |n: usize, row: &mut [f32]| {
        row[place(driver)] = noise(5, n as u64) as f32;
        for (key, id) in (50..).zip(noises) {
            row[place(id)] = noise(key, n as u64) as f32;
        }
    };
    let table = table(1, vec![series("AAA", 4_000, 1, step, fill)]);
    let columns = [&noises[..], &[driver]].concat();
    let (model, _) = train(&table, &columns, &settings());
    let (accuracy, _, _) = judged(&table, &model);
    assert!(accuracy > 0.75, "accuracy {accuracy}");
    let explanation = model.explain(&input(&table, samples(&table, 0.9, 1.0)[0])).unwrap();
    let weight = |id| explanation.past.iter().find(|(of, _)| *of == id).unwrap().1;
    for (id, other) in &explanation.past {
        assert!(*id == driver || weight(driver) > 1.5 * other, "{id:?}: {explanation:?}");
    }
    let sums = [
        explanation.past.iter().map(|(_, x)| x).sum::<f32>(),
        explanation.future.iter().map(|(_, x)| x).sum(),
        explanation.statics.iter().map(|(_, x)| x).sum(),
        explanation.attention.iter().sum(),
    ];
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{sums:?}");
    assert_eq!(explanation.attention.len(), 8 + 1);
}

#[test]
fn it_has_no_skill_where_there_is_none_to_have() {
    let walk =
        |key: u64| series(["AAA", "BBB"][key as usize % 2], 3_000, 1, move |n| MOVE * noise(key, n as u64), |_, _| {});
    let table = table(1, vec![walk(8), walk(9)]);
    let (model, _) = train(&table, &[FeatureId::LogReturn1], &settings());
    let (accuracy, count, coverage) = judged(&table, &model);
    let deviation = (0.25 / count).sqrt();
    assert!((accuracy - 0.5).abs() < 4.0 * deviation, "accuracy {accuracy} of {count}");
    assert!((0.74..0.86).contains(&coverage), "coverage {coverage}");
}

#[test]
fn quantiles_widen_with_the_expected_volatility() {
    let (table, model) = super::fixtures::hasty(4, 1, 4);
    let sample = samples(&table, 0.5, 1.0)[0];
    let width = |volatility: f32| {
        let mut window = table.window(sample).to_vec();
        let start = window.len() - levibot_core::forecast::INPUTS;
        window[start + place(FeatureId::EwmaVolatility)] = volatility;
        let output = model.predict(&[TftInput { window: &window, ..input(&table, sample) }]).unwrap()[0];
        output.quantiles[2] - output.quantiles[0]
    };
    assert!((width(0.04) / width(0.02) - 2.0).abs() < 1e-9);
    assert!(width(0.0) > 0.0);
}

#[test]
fn two_trainings_with_one_thread_give_the_same_model() {
    let walk = series("AAA", 500, 4, |n| MOVE * noise(1, n as u64), |_, _| {});
    let table = table(4, vec![walk]);
    let few = crate::settings::TftSettings { epochs: 2, windows_per_epoch: 256, ..settings() };
    let (one, history) = train(&table, &[FeatureId::LogReturn1], &few);
    let (other, again) = train(&table, &[FeatureId::LogReturn1], &few);
    assert_eq!(history, again);
    let inputs: Vec<_> = samples(&table, 0.8, 1.0).into_iter().map(|sample| input(&table, sample)).collect();
    assert_eq!(one.predict(&inputs).unwrap(), other.predict(&inputs).unwrap());
}

#[test]
fn a_table_without_outcomes_or_with_bad_rows_is_refused() {
    let walk = || series("AAA", 300, 4, |n| MOVE * noise(1, n as u64), |_, _| {});
    let mut table = table(4, vec![walk()]);
    let (learnt, judged) = (samples(&table, 0.0, 0.7), samples(&table, 0.7, 0.8));
    let columns = [FeatureId::LogReturn1];
    let train = |table: &Table, learnt, columns: &[FeatureId]| {
        Tft::train(table, learnt, &judged, columns, &settings(), 7, 1, &Silent).map(|_| ())
    };
    assert!(matches!(train(&table, &[], &columns), Err(TftError::NoSamples { what: "training" })));
    assert!(matches!(train(&table, &learnt, &[]), Err(TftError::NoColumns)));
    table.series[0].rows[100 * levibot_core::forecast::INPUTS] = f32::NAN;
    assert!(matches!(train(&table, &learnt, &columns), Err(TftError::Row { at: 100, .. })));
    table.series[0] = walk();
    table.series[0].outcomes.fill(None);
    assert!(matches!(train(&table, &learnt, &columns), Err(TftError::NoSamples { .. })));
}
