//! Why there is no version.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use levibot_core::chain::chain;
use levibot_core::domain::Member;
use levibot_core::fusion::EnsembleError;

use super::limits::LimitError;
use super::show::line;
use crate::dataset::{DatasetError, LeakCheck};
use crate::ensemble::LoadError;
use crate::settings::SettingsError;
use crate::versions::VersionError;

/// Exit codes of `levibot-model train`, as in its help.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// The command line or a file of settings cannot be used; clap ends with this too.
    pub const USAGE: u8 = 2;
    /// There is not enough to learn from.
    pub const DATA: u8 = 3;
    /// Training failed.
    pub const FAILED: u8 = 4;
    /// The version cannot be written.
    pub const WRITE: u8 = 5;
}

/// Why there is no version.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The file of settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file of members cannot be read.
    #[error("{}: cannot be read; check that it is there", path.display())]
    EnsembleRead {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file of members cannot be meant.
    #[error("{}: it cannot be used", path.display())]
    Ensemble {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: EnsembleError,
    },
    /// A limit that cannot be set.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Price files without enough to learn from.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A half of validation in which nothing is to be told apart.
    #[error(
        "{part} holds {ups} moves up and {downs} moves down that exceed the cost of a round trip: both are needed; give a \
         longer history, or raise split.validation"
    )]
    OneClass {
        /// Which part.
        part: &'static str,
        /// Rises.
        ups: usize,
        /// Falls.
        downs: usize,
    },
    /// Rows that know of bars after them.
    #[error("features know the future: {}; nothing that was learnt from them would hold", leaks(.0))]
    Leak(LeakCheck),
    /// A member could not be trained, or does not answer.
    #[error("{} failed: {reason}", member.name())]
    Member {
        /// Which.
        member: Member,
        /// Its words.
        reason: String,
    },
    /// Votes from which no fusion can be made.
    #[error(
        "the votes cannot be fused: a member gave numbers that are no probabilities; train with another learning_rate"
    )]
    Fusion,
    /// The version cannot be written, or does not answer as it did in memory.
    #[error(transparent)]
    Save(#[from] LoadError),
    /// The folder of versions cannot be used.
    #[error(transparent)]
    Version(#[from] VersionError),
}

fn leaks(check: &LeakCheck) -> String {
    let one = |leak: &crate::dataset::Leak| {
        format!(
            "{} of {} at {} is {} with and {} without later bars",
            leak.feature, leak.symbol, leak.at, leak.full, leak.truncated
        )
    };
    check.leaks.iter().take(3).map(one).collect::<Vec<_>>().join(", ")
}

impl TrainError {
    /// What the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::EnsembleRead { .. } | Self::Ensemble { .. } | Self::Limit(_) => exit::USAGE,
            Self::Dataset(_) | Self::OneClass { .. } => exit::DATA,
            Self::Leak(_) | Self::Member { .. } | Self::Fusion => exit::FAILED,
            Self::Save(_) | Self::Version(_) => exit::WRITE,
        }
    }
}

/// Says on standard error what went wrong, and gives the exit code back.
pub(crate) fn complain(error: &dyn Error, code: u8) -> u8 {
    line(&format!("levibot-model: {}", chain(error)));
    code
}
