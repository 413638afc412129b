//! Why there are no forecasts.

use std::io;
use std::path::{Path, PathBuf};

use levibot_core::domain::{ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::files::FileError;
use levibot_core::forecast::Refusal;

use crate::ensemble::LoadError;

/// Why there are no forecasts.
#[derive(Debug, thiserror::Error)]
pub enum ForecastsError {
    /// A price file, or a set of them, that cannot be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A symbol without prices.
    #[error("{} holds no prices of {symbol}, which is asked for: correct --symbols or --ask, or --data", path.display())]
    NoFile {
        /// Which.
        symbol: Symbol,
        /// Where was looked.
        path: PathBuf,
    },
    /// Bars of another length than that of training.
    #[error(
        "version {version} has learnt from bars of {learnt}, and `--timeframe` is {wanted}: write {learnt}, or train a \
         version with --timeframe {wanted}"
    )]
    Timeframe {
        /// Which version.
        version: ModelVersion,
        /// What it has learnt from.
        learnt: Timeframe,
        /// What was asked for.
        wanted: Timeframe,
    },
    /// The version cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The version refused a question.
    #[error(
        "version {version} does not answer about {symbol} at {bar}: {refusal:?}; check it with `levibot model verify`, or \
         train another"
    )]
    Refused {
        /// Which version.
        version: ModelVersion,
        /// Of which symbol.
        symbol: Symbol,
        /// Which bar.
        bar: Ts,
        /// Why.
        refusal: Refusal,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: give --threads a smaller number")]
    Thread(#[source] io::Error),
    /// A thread ended without a word.
    #[error("a thread of the model ended; the lines before say why")]
    Ended,
    /// The file cannot be written.
    #[error("cannot write {} (named by --out): check that the folder may be written to and has room", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ForecastsError {
    /// Whether the command line or the data are to be corrected.
    pub const fn is_setup(&self) -> bool {
        matches!(self, Self::Files(_) | Self::NoFile { .. } | Self::Timeframe { .. })
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}
