//! Gradient-boosted trees over the row of one bar (LightGBM, Ke et al. 2017). The only room that names `lightgbm3`.
//!
//! What native code is shown has been checked before: shape and finiteness of every row, both classes, and for a file
//! the seal over its bytes. LightGBM 4.7 reads a damaged model as far as it gets: of 30 files cut short 27 ended the process
//! (segmentation fault or abort), and most files with one altered byte were loaded and answered. One instance belongs to
//! one thread (the native handle cannot be sent); a second thread loads its own.

mod error;
mod file;
mod train;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use levibot_core::features::FeatureId;
use levibot_core::forecast::{self, INPUTS};
use lightgbm3::{Booster, ImportanceType};

use crate::dataset::{Sample, Table};
use crate::progress::Progress;
use crate::settings::LightGbmSettings;

pub use error::LightGbmError;

/// Native code computes a batch on one thread: a question is answered in microseconds, and the threads of the model server
/// belong to the transformer.
const PREDICT: &str = "num_threads=1 verbosity=-1 predict_disable_shape_check=false";

/// Trees that have been grown or loaded.
pub struct LightGbm {
    booster: Booster,
    /// What it reads of a row, in the order of its columns.
    columns: Vec<FeatureId>,
    /// Their places in a row.
    places: Vec<usize>,
}

impl fmt::Debug for LightGbm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LightGbm").field("trees", &self.trees()).field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl LightGbm {
    /// Grows trees that tell rises from falls, on the samples that have a label; the others are passed over. No more are
    /// grown once the log loss on validation has not fallen for `patience` trees, and those after the lowest are cut
    /// off; where the limit of trees is reached first, all of them stay. The same input gives the same trees, whatever
    /// the number of threads.
    ///
    /// The native library tells nothing while it works: the progress steps to the number of trees when it is done.
    ///
    /// # Errors
    /// [`LightGbmError`] naming the part and what it lacks, the first value that is not finite, or what the library says.
    #[expect(clippy::too_many_arguments, reason = "each is another thing, and all are needed at once")]
    pub fn train(
        table: &Table,
        train: &[Sample],
        validation: &[Sample],
        columns: &[FeatureId],
        settings: &LightGbmSettings,
        seed: u64,
        threads: u32,
        progress: &dyn Progress,
    ) -> Result<Self, LightGbmError> {
        progress.begin("LightGBM", u64::from(settings.trees));
        let booster = train::train(table, (train, validation), columns, settings, (seed, threads))?;
        let grown = Self::of(booster, columns)?;
        progress.step(u64::from(settings.trees), &format!("{} trees kept", grown.trees()));
        progress.end();
        Ok(grown)
    }

    fn of(booster: Booster, columns: &[FeatureId]) -> Result<Self, LightGbmError> {
        Ok(Self { booster, columns: columns.to_vec(), places: places(columns)? })
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        usize::try_from(self.booster.num_iterations()).unwrap_or_default()
    }

    /// What it reads of a row.
    pub fn columns(&self) -> &[FeatureId] {
        &self.columns
    }

    /// The raw (not calibrated) probability that the price rises, 0 to 1, for each of several rows of [`INPUTS`] values.
    /// A row's answer does not depend on the others.
    ///
    /// # Errors
    /// [`LightGbmError::Shape`] and [`LightGbmError::NotFinite`] for rows that native code is not shown.
    pub fn predict(&self, rows: &[f32]) -> Result<Vec<f64>, LightGbmError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let flat = self.pick(rows)?;
        Ok(self.booster.predict_with_params(&flat, self.width()?, true, PREDICT)?)
    }

    /// What each column adds to the log odds of a rise for one row of [`INPUTS`] values, against the mean over training
    /// (SHAP values of trees, Lundberg et al. 2020), in the order of the columns.
    ///
    /// # Errors
    /// As [`LightGbm::predict`].
    pub fn contributions(&self, row: &[f32]) -> Result<Vec<(FeatureId, f64)>, LightGbmError> {
        if row.len() != INPUTS {
            return Err(LightGbmError::Shape { found: row.len(), wanted: INPUTS });
        }
        let values = self.booster.predict_contrib(&self.pick(row)?, self.width()?, true)?;
        Ok(self.columns.iter().copied().zip(values).collect())
    }

    /// The gain of all splits on each column, 0 or more, in the order of the columns.
    ///
    /// # Errors
    /// [`LightGbmError::Library`].
    pub fn importance(&self) -> Result<Vec<(FeatureId, f64)>, LightGbmError> {
        let gains = self.booster.feature_importance(ImportanceType::Gain)?;
        Ok(self.columns.iter().copied().zip(gains).collect())
    }

    /// Writes LightGBM's text format, which its other bindings read, and a last line with a seal over it.
    ///
    /// # Errors
    /// [`LightGbmError::Write`], [`LightGbmError::Library`].
    pub fn save(&self, path: &Path) -> Result<(), LightGbmError> {
        let text = file::seal(&self.booster.save_string()?);
        std::fs::write(path, text).map_err(|source| LightGbmError::Write { path: path.to_owned(), source })
    }

    /// Reads what [`LightGbm::save`] wrote.
    ///
    /// # Errors
    /// [`LightGbmError::Read`]; [`LightGbmError::Damaged`] for a file that is cut short or altered: its seal is checked
    /// before native code sees it; [`LightGbmError::Columns`] where it was grown on other columns.
    pub fn load(path: &Path, columns: &[FeatureId]) -> Result<Self, LightGbmError> {
        let text = file::read(path, columns)?;
        let booster = Booster::from_string(&text)?;
        if usize::try_from(booster.num_features()).ok() != Some(columns.len()) || booster.num_iterations() < 1 {
            return Err(LightGbmError::Damaged { path: path.to_owned(), reason: "it holds no tree over its columns" });
        }
        Self::of(booster, columns)
    }

    /// The columns of rows, checked.
    fn pick(&self, rows: &[f32]) -> Result<Vec<f32>, LightGbmError> {
        if !rows.len().is_multiple_of(INPUTS) {
            return Err(LightGbmError::Shape { found: rows.len(), wanted: INPUTS });
        }
        let mut flat = Vec::with_capacity(rows.len() / INPUTS * self.places.len());
        for row in rows.chunks_exact(INPUTS) {
            flat.extend(self.places.iter().map(|place| row[*place]));
        }
        match flat.iter().position(|value| !value.is_finite()) {
            None => Ok(flat),
            Some(at) => Err(LightGbmError::NotFinite {
                feature: self.columns[at % self.columns.len()],
                row: format!("row {} of a question", at / self.columns.len()),
            }),
        }
    }

    fn width(&self) -> Result<i32, LightGbmError> {
        i32::try_from(self.columns.len()).map_err(|_| LightGbmError::NoColumns)
    }
}

/// Where the columns stand in a row.
fn places(columns: &[FeatureId]) -> Result<Vec<usize>, LightGbmError> {
    let place = |id: &FeatureId| forecast::input_ids().iter().position(|input| input == id);
    let places: Vec<usize> = columns.iter().filter_map(place).collect();
    if places.is_empty() || places.len() != columns.len() {
        return Err(LightGbmError::NoColumns);
    }
    Ok(places)
}
