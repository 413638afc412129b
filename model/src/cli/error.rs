//! What can go wrong with a command.

use std::io;
use std::path::PathBuf;

use levibot_core::domain::{ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::forecast::Refusal;
use levibot_core::fusion::EnsembleError;

use crate::dataset::DatasetError;
use crate::ensemble::LoadError;
use crate::forecasts::ForecastsError;
use crate::server::ServeError;
use crate::versions::VersionError;

/// What can go wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The folder of versions, or one of them.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A version that cannot answer.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The prices.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// Forecasts of a range.
    #[error(transparent)]
    Forecasts(#[from] ForecastsError),
    /// A file that cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The ensemble's configuration.
    #[error("{}", path.display())]
    Ensemble {
        /// Which file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: EnsembleError,
    },
    /// No bar closes near the time.
    #[error(
        "{symbol}: the last bar of {timeframe} at or before {at} closes at {last}; ask for a time from then until the \
         next close, or give newer prices"
    )]
    NoBar {
        /// Of which symbol.
        symbol: Symbol,
        /// Bar length of the version.
        timeframe: Timeframe,
        /// What was asked for.
        at: Ts,
        /// What is there.
        last: Ts,
    },
    /// The bar's window is not full.
    #[error("{symbol}: the prices before {at} do not fill a window and warm the features up; give a longer history")]
    Cold {
        /// Of which symbol.
        symbol: Symbol,
        /// What was asked for.
        at: Ts,
    },
    /// The model knows what came after the bar.
    #[error(
        "version {version} has learnt from prices up to {through}, so it knows what came after {bar}; ask for a later bar, \
         or add --in-sample to see what it says nevertheless"
    )]
    InSample {
        /// Which version.
        version: ModelVersion,
        /// What it has learnt from.
        through: Ts,
        /// The last bar in question.
        bar: Ts,
    },
    /// No bar can be judged.
    #[error(
        "{}: no bar after {through}, which version {version} has learnt from, has an outcome yet; give newer prices{}",
        symbol.as_ref().map_or("the prices", Symbol::as_str),
        if *forced { "" } else { ", or add --in-sample to see those before" }
    )]
    NothingToJudge {
        /// Of which symbol, if of one.
        symbol: Option<Symbol>,
        /// Which version.
        version: ModelVersion,
        /// What it has learnt from.
        through: Ts,
        /// Whether bars before were allowed.
        forced: bool,
    },
    /// The version refused the question.
    #[error("version {version} does not answer about {symbol} at {bar}: {refusal:?}")]
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
    /// The outcome cannot be written.
    #[error("cannot write the outcome")]
    Write(#[source] io::Error),
}

impl CliError {
    /// 2 for a command line, configuration or data to be corrected, 1 for the rest.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Version(VersionError::Unknown { .. } | VersionError::NoCurrent { .. }) => 2,
            Self::Load(LoadError::Version(VersionError::Unknown { .. } | VersionError::NoCurrent { .. })) => 2,
            Self::Data(_) | Self::Read { .. } | Self::Ensemble { .. } => 2,
            Self::NoBar { .. } | Self::Cold { .. } | Self::InSample { .. } | Self::NothingToJudge { .. } => 2,
            Self::Forecasts(error) => {
                if error.is_setup() {
                    2
                } else {
                    1
                }
            }
            Self::Serve(error) => error.exit_code(),
            Self::Version(_) | Self::Load(_) | Self::Refused { .. } | Self::Write(_) => 1,
        }
    }
}
