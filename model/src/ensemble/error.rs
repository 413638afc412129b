//! Why a version cannot answer.

use std::path::PathBuf;

use levibot_core::domain::Member;

use crate::versions::VersionError;

/// Why a version cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its files are not those that were written, or the folder cannot be read.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A file of the version does not hold what it should.
    #[error("{}: {reason}; use another version (`levibot model list`)", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A member cannot be loaded.
    #[error("{}: {} cannot be loaded: {reason}; use another version (`levibot model list`)", path.display(), member.name())]
    Member {
        /// Which.
        member: Member,
        /// From where.
        path: PathBuf,
        /// The words of native code.
        reason: String,
    },
    /// A member cannot be saved.
    #[error("{}: {} cannot be saved: {reason}; see whether the disk is full, free some space there and start again", path.display(), member.name())]
    Save {
        /// Which.
        member: Member,
        /// To where.
        path: PathBuf,
        /// The words of native code.
        reason: String,
    },
    /// The members failed on the questions of training.
    #[error("{}: the questions of training were not answered: {reason}; use another version (`levibot model list`)", path.display())]
    Unanswered {
        /// The file of questions.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The members answer the questions of training otherwise than then.
    #[error(
        "{}: question {question} of training is answered otherwise than then: {difference}; use another version \
         (`levibot model list`) or train one on this machine",
        path.display()
    )]
    Canary {
        /// The file of questions.
        path: PathBuf,
        /// Which one, from 1.
        question: usize,
        /// In which way.
        difference: String,
    },
}
