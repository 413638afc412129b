//! Why a report was not written.

use std::path::PathBuf;

use super::PictureError;

/// Why a report was not written, whole or in part.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A folder or a file could not be written.
    #[error("cannot write {}: choose another folder with --out, or make room and give yourself the right to write there", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The figures could not be put into JSON.
    #[error("cannot write the figures as JSON")]
    Json(#[from] serde_json::Error),
    /// The picture could not be drawn.
    #[error("cannot draw equity.png")]
    Picture(#[from] PictureError),
}
