//! From samples to trees.

use levibot_core::domain::hash::hash64;
use levibot_core::features::FeatureId;
use lightgbm3::{Booster, Dataset};
use serde_json::{Value, json};

use super::{LightGbmError, places};
use crate::dataset::{Part, Sample, Table};
use crate::settings::LightGbmSettings;

/// The labelled rows of a part.
struct Rows {
    flat: Vec<f32>,
    labels: Vec<f32>,
}

pub(super) fn train(
    table: &Table,
    (train, validation): (&[Sample], &[Sample]),
    columns: &[FeatureId],
    settings: &LightGbmSettings,
    (seed, threads): (u64, u32),
) -> Result<Booster, LightGbmError> {
    let places = places(columns)?;
    // A split leaves two leaves behind.
    let needed = 2 * settings.leaf_rows as usize;
    let train = rows(table, train, columns, &places, (Part::Training, needed))?;
    let validation = rows(table, validation, columns, &places, (Part::Validation, 2))?;
    let width = i32::try_from(columns.len()).map_err(|_| LightGbmError::NoColumns)?;
    let mut known = Dataset::from_slice(&train.flat, &train.labels, width, true)?;
    known.set_feature_names(&columns.iter().map(|id| id.name().to_owned()).collect::<Vec<_>>())?;
    let judge = Dataset::from_slice_with_reference(&validation.flat, &validation.labels, width, true, Some(&known))?;
    Ok(Booster::train_with_valid(known, Some(judge), &parameters(settings, seed, threads))?)
}

/// LightGBM's parameters. Those that make its result depend on the machine are fixed.
fn parameters(settings: &LightGbmSettings, seed: u64, threads: u32) -> Value {
    // It takes seeds of 31 bits.
    let seed = hash64(&[b"lightgbm", &seed.to_le_bytes()]) >> 33;
    json!({
        "objective": "binary",
        "metric": "binary_logloss",
        "num_iterations": settings.trees,
        "early_stopping_rounds": settings.patience,
        "num_leaves": settings.leaves,
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.leaf_rows,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.row_fraction,
        "bagging_freq": u8::from(settings.row_fraction < 1.0),
        "lambda_l2": settings.l2,
        "seed": seed,
        "num_threads": threads,
        "deterministic": true,
        "force_row_wise": true,
        "verbosity": -1,
    })
}

/// The rows that have a label, checked: every value finite, both labels there, and at least `needed` of them.
fn rows(
    table: &Table,
    samples: &[Sample],
    columns: &[FeatureId],
    places: &[usize],
    (part, needed): (Part, usize),
) -> Result<Rows, LightGbmError> {
    let mut rows = Rows { flat: Vec::with_capacity(samples.len() * places.len()), labels: Vec::new() };
    for sample in samples {
        let Some(up) = table.outcome(*sample).and_then(|outcome| outcome.label) else { continue };
        let row = table.row(*sample);
        if let Some(at) = places.iter().position(|place| !row[*place].is_finite()) {
            let (symbol, close) = (table.series_of(*sample).symbol, table.close_ts(*sample));
            return Err(LightGbmError::NotFinite { feature: columns[at], row: format!("{symbol}, bar of {close}") });
        }
        rows.flat.extend(places.iter().map(|place| row[*place]));
        rows.labels.push(f32::from(u8::from(up)));
    }
    let count = rows.labels.len();
    if count < needed {
        return Err(LightGbmError::TooFew { part, rows: count, needed });
    }
    let ups = rows.labels.iter().filter(|label| **label > 0.5).count();
    if ups == 0 || ups == count {
        return Err(LightGbmError::OneClass { part, ups, downs: count - ups });
    }
    Ok(rows)
}
