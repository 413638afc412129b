//! What can go wrong with the transformer.

use std::path::PathBuf;

use levibot_core::domain::Symbol;

/// Why a transformer could not be trained, used, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum TftError {
    /// There is nothing to learn from or to judge by.
    #[error("no {what} sample has an outcome and a whole window: give it a longer history")]
    NoSamples {
        /// `training` or `validation`.
        what: &'static str,
    },
    /// A sample's bar or window is not in the table, or its values are not finite.
    #[error("the table's row {at} of {symbol} cannot be used: {reason}")]
    Row {
        /// Which symbol.
        symbol: Symbol,
        /// Index of the bar.
        at: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// Columns without one that a past step could be told by.
    #[error("the transformer has no input: name a group of features for it in the ensemble's file")]
    NoColumns,
    /// The loss stopped being a number.
    #[error("training diverged in pass {epoch}: lower `tft.learning_rate`")]
    Diverged {
        /// Counted from 1.
        epoch: u32,
    },
    /// A window of another length.
    #[error("window {index} has {found} values instead of {wanted}")]
    Length {
        /// Which of the batch, counted from 0.
        index: usize,
        /// How many values it has.
        found: usize,
        /// How many it must have.
        wanted: usize,
    },
    /// A value that is not finite.
    #[error("value {at} of window {index} is not finite")]
    NotFinite {
        /// Which of the batch, counted from 0.
        index: usize,
        /// Which value, counted from 0 over the whole window.
        at: usize,
    },
    /// What came out is not finite.
    #[error("the transformer gave a number that is not finite for window {index}")]
    Output {
        /// Which of the batch, counted from 0.
        index: usize,
    },
    /// A file could not be read or written.
    #[error("{}: {operation} failed", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than a transformer of this program.
    #[error("{}: {reason}: use another version or train anew", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// libtorch failed.
    #[error("libtorch failed")]
    Native(#[from] tch::TchError),
}
