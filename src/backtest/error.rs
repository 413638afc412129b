//! Why a backtest is not done.

use std::io;
use std::path::PathBuf;

use levibot_core::domain::{Symbol, Timeframe};
use levibot_core::files::FileError;

use crate::config::ConfigError;
use crate::reports::ReportError;

/// A backtest that cannot be done. Every variant names where, which key, what was given, why it is refused and what to do
/// about it.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// A configuration, limits, trading rules or a policy that are refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Price files that cannot be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A symbol for which there is no price file.
    #[error(
        "{} holds no prices of {symbol} (--symbols asks for it; there are {found}): correct the symbol or the path",
        path.display()
    )]
    NoPriceFile {
        /// The symbol.
        symbol: Symbol,
        /// Where it was looked for.
        path: PathBuf,
        /// The symbols that are there, in words.
        found: String,
    },
    /// Bars of two lengths.
    #[error(
        "the bars of {symbol} are {found} long and those of {first} are {expected}: give --timeframe with a multiple of \
         both, or name symbols of one timeframe"
    )]
    Timeframes {
        /// Whose bars differ.
        symbol: Symbol,
        /// How long they are.
        found: Timeframe,
        /// From whose.
        first: Symbol,
        /// How long those are.
        expected: Timeframe,
    },
    /// A value of the command line that cannot be meant.
    #[error("the command line: `{key}` is {value}: {reason}; {remedy}")]
    Value {
        /// The option.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: String,
        /// What to write instead.
        remedy: String,
    },
    /// A policy that refuses what its parameters were set to.
    #[error("{} (named by --policy) is refused with {set}: {text}", file.display())]
    Parameters {
        /// The file.
        file: PathBuf,
        /// What was set, as it was written.
        set: String,
        /// What the policy says.
        text: String,
    },
    /// The account or the venue came to something that cannot go on.
    #[error("the backtest cannot go on: {0}")]
    Run(String),
    /// Ctrl-C before anything was done.
    #[error("interrupted before anything was done")]
    Interrupted,
    /// A report that could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file of the result that could not be written.
    #[error("cannot write {} (named by --out): check that the folder may be written to and has room", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BacktestError {
    /// What the process should end with: 2 where the command line, files or the configuration are wrong, 1 where the work failed.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Files(_) | Self::NoPriceFile { .. } | Self::Timeframes { .. } => 2,
            Self::Value { .. } | Self::Parameters { .. } => 2,
            Self::Run(_) | Self::Interrupted | Self::Report(_) | Self::Write { .. } => 1,
        }
    }

    pub(super) fn value(
        key: &'static str,
        value: impl ToString,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Value { key, value: value.to_string(), reason: reason.into(), remedy: remedy.into() }
    }
}
