//! Why a version cannot be written, read or changed.

use std::io;
use std::path::{Path, PathBuf};

use levibot_core::domain::ModelVersion;

/// Why a version cannot be written, read or changed. Each names the path and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The disk is full. What was begun is removed.
    #[error("{}: the disk is full; free some space there and start again, nothing half-written stays", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The system refused something.
    #[error("{}: cannot {operation}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else is changing the folder.
    #[error("{}: another process is changing this folder; wait until it is done", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no such version.
    #[error("{}: there is no version {version}; `levibot model list` shows those that are there", dir.display())]
    Unknown {
        /// The folder of versions.
        dir: PathBuf,
        /// What was asked for.
        version: ModelVersion,
    },
    /// Nothing is in use yet.
    #[error(
        "{}: no version is in use; train one (`levibot train`) or choose one (`levibot model promote VERSION`)",
        dir.display()
    )]
    NoCurrent {
        /// The folder of versions.
        dir: PathBuf,
    },
    /// `current` is something else than a link to a version.
    #[error(
        "{}: this is not a link to a version beside it; move it away and choose one (`levibot model promote VERSION`)",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// There is no version to go back to.
    #[error("{}: no version was in use before this one, so there is nothing to go back to", dir.display())]
    NoPrevious {
        /// The folder of versions.
        dir: PathBuf,
    },
    /// The metadata cannot be read.
    #[error("{}: this is not the metadata of a version ({reason}); {AWAY}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is not the one that was written in training.
    #[error("{}: {found}; {AWAY}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// In which way.
        found: FileFault,
    },
    /// The version was trained on other features than this program computes.
    #[error(
        "{}: trained with feature schema {found}, but this program computes {wanted}; train a version with this program",
        path.display()
    )]
    Schema {
        /// The metadata.
        path: PathBuf,
        /// That of the version.
        found: String,
        /// That of the program.
        wanted: String,
    },
    /// A line of the history cannot be read.
    #[error("{}: line {line} is not an entry ({reason}); move the file away to begin a new history", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

const AWAY: &str = "use another version (`levibot model list`) or restore this one from a copy";

/// In which way a file is not the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is gone, or is no plain file.
    #[error("the file is missing")]
    Missing,
    /// Another length.
    #[error("the file has {found} bytes instead of {wanted}")]
    Size {
        /// How many there are.
        found: u64,
        /// How many were written.
        wanted: u64,
    },
    /// The same length, other bytes.
    #[error("the file was altered: its SHA-256 is {found} instead of {wanted}")]
    Sum {
        /// That of the file.
        found: String,
        /// That which was written.
        wanted: String,
    },
    /// A name that leads out of the folder.
    #[error("the name leads out of the version's folder")]
    Outside,
    /// Metadata whose digest is not its own.
    #[error("the metadata were altered: they do not agree with their digest")]
    Digest,
}

/// Makes an error of a failed operation on a path.
pub(super) fn io_error<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> VersionError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            VersionError::Full { path: path.to_owned(), source }
        }
        _ => VersionError::Io { operation, path: path.to_owned(), source },
    }
}
