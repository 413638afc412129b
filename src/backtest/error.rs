//! Why a backtest is not done.

use std::io;
use std::path::PathBuf;

use levibot_core::domain::{ModelVersion, Symbol, Timeframe, Ts};
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
    /// Prices to which no tick fits.
    #[error(
        "the prices of {symbol} go from {lowest} to {highest}: a tick of {tick} is the finest that decimals keep exact, and it is \
         too coarse for the lowest; multiply the prices by a power of ten, and divide the volumes by it, as venues do with \
         1000SHIBUSDT"
    )]
    Prices {
        /// The symbol.
        symbol: Symbol,
        /// Lowest price of all bars.
        lowest: f64,
        /// Highest price of all bars.
        highest: f64,
        /// The finest tick.
        tick: String,
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
    #[error("{} (named by {key}) is refused with {set}: {text}", file.display())]
    Parameters {
        /// The file.
        file: PathBuf,
        /// What names it.
        key: &'static str,
        /// What was set, as it was written.
        set: String,
        /// What the policy says.
        text: String,
    },
    /// The folder of versions holds none that can be asked.
    #[error("{} (named by {key}): {reason}; {remedy}", path.display())]
    Version {
        /// The folder, or a file in it.
        path: PathBuf,
        /// What names it.
        key: &'static str,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The version has learnt from what would be decided on.
    #[error(
        "version {version} has learnt from bars through {through}, and the first decision is on the bar after {start}: what it \
         earned would mean nothing; begin later with --from, train one with `levibot train --to {start}`, or ask it all the \
         same with --in-sample"
    )]
    InSample {
        /// Which.
        version: ModelVersion,
        /// Close of the last bar that it has learnt from.
        through: Ts,
        /// Open of the first bar that is traded.
        start: Ts,
    },
    /// The program of the model failed; it has said why.
    #[error("the model was not asked ({how}), its own words stand above: `{command}` does it again")]
    Ask {
        /// How it ended.
        how: String,
        /// The command.
        command: String,
    },
    /// What the program of the model has just written cannot be read.
    #[error("{} was just written and cannot be used: {reason}; check the disk, and that both programs are of one build", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
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
            Self::Config(_) | Self::Files(_) | Self::NoPriceFile { .. } => 2,
            Self::Timeframes { .. } | Self::Prices { .. } => 2,
            Self::Value { .. } | Self::Parameters { .. } | Self::Version { .. } | Self::InSample { .. } => 2,
            Self::Ask { .. } | Self::Kept { .. } => 1,
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
