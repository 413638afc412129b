//! What can be wrong with trees.

use std::io;
use std::path::PathBuf;

use levibot_core::features::FeatureId;

use crate::dataset::Part;

/// Why there are no trees, or no answer of theirs.
#[derive(Debug, thiserror::Error)]
pub enum LightGbmError {
    /// It was given nothing to look at.
    #[error("LightGBM was given no features: name at least one group under ensemble.models for it")]
    NoColumns,
    /// Too few labelled rows to grow a tree.
    #[error(
        "too little data for LightGBM: {part} holds {rows} bars whose move exceeded the cost of a round trip, {needed} are \
         needed; give a longer history, or make lightgbm.leaf_rows smaller"
    )]
    TooFew {
        /// Which part.
        part: Part,
        /// Labelled rows in it.
        rows: usize,
        /// How many there must be.
        needed: usize,
    },
    /// Nothing is to be told apart.
    #[error(
        "LightGBM needs moves up and down: {part} holds {ups} up and {downs} down that exceeded the cost of a round trip; \
         give a longer history, a longer horizon_bars or a smaller round_trip_cost"
    )]
    OneClass {
        /// Which part.
        part: Part,
        /// Rises.
        ups: usize,
        /// Falls.
        downs: usize,
    },
    /// A value that native code is not shown.
    #[error("the feature {} is not a finite number in {row}: check the prices behind it", feature.name())]
    NotFinite {
        /// Which feature.
        feature: FeatureId,
        /// Which row.
        row: String,
    },
    /// Values that are not whole rows.
    #[error("{found} values are not rows of {wanted}: daemon and model are of different versions")]
    Shape {
        /// How many values there are.
        found: usize,
        /// How long a row is.
        wanted: usize,
    },
    /// A file that cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is not what was saved.
    #[error("{} is damaged: {reason}; train again or go back to another version", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Trees over other features.
    #[error("{} was grown on the features {found}, not on {wanted}: train again", path.display())]
    Columns {
        /// Which file.
        path: PathBuf,
        /// Its features.
        found: String,
        /// Those that it should have.
        wanted: String,
    },
    /// What the native library says.
    #[error("LightGBM refuses: {text}")]
    Library {
        /// Its words.
        text: String,
    },
}

impl From<lightgbm3::Error> for LightGbmError {
    fn from(error: lightgbm3::Error) -> Self {
        Self::Library { text: error.to_string() }
    }
}
