//! The folder of versions.
//!
//! ```text
//! models/
//!   ensemble_20251014_030000/   one version: model_metadata.json and the files that it names, never changed again
//!   current -> ensemble_...     the one in use
//!   history.jsonl               what was in use when, and why
//! ```
//!
//! A version is written into a hidden folder, made durable, and only then gets its name; the link is swapped by a
//! rename. Whoever reads sees whole versions only, and needs no lock. Whoever changes something holds one.

mod change;
mod disk;
mod draft;
mod error;
mod metadata;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use levibot_core::domain::ModelVersion;

pub use change::{Change, ChangeKind};
pub use draft::Draft;
pub use error::{FileFault, VersionError};
pub use metadata::{FileSum, METADATA_FILE, MemberEntry, Metadata, Trained};

const PREFIX: &str = "ensemble_";

/// The name of a version's folder.
fn folder_of(version: &ModelVersion) -> String {
    format!("{PREFIX}{version}")
}

/// The version that a folder's name stands for.
fn version_of(folder: &str) -> Option<ModelVersion> {
    folder.strip_prefix(PREFIX)?.parse().ok()
}

/// A folder of versions. It need not be there before the first one is written.
#[derive(Debug, Clone)]
pub struct Versions {
    dir: PathBuf,
}

/// A version whose files are those that were written, and whose inputs are those of this program.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Where its files are.
    pub folder: PathBuf,
    /// What it is.
    pub metadata: Metadata,
}

/// A version as a list shows it.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub version: ModelVersion,
    /// Whether it is the one in use.
    pub current: bool,
    /// What it is, or why it cannot be used.
    pub metadata: Result<Metadata, VersionError>,
}

impl Versions {
    /// The versions in this folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a version's files are, if it is there.
    pub fn folder(&self, version: &ModelVersion) -> PathBuf {
        self.dir.join(folder_of(version))
    }

    /// The names of the versions that are there, broken ones included, oldest first.
    ///
    /// # Errors
    /// [`VersionError::Io`]; a folder that is not there holds none.
    pub fn names(&self) -> Result<Vec<ModelVersion>, VersionError> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let names = disk::entries(&self.dir)?;
        let mut versions: Vec<ModelVersion> = names.iter().filter_map(|name| version_of(name)).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// Every version, oldest first, each opened.
    ///
    /// # Errors
    /// [`VersionError`] when the folder itself cannot be read; what is wrong with one version stands with it.
    pub fn list(&self) -> Result<Vec<Listed>, VersionError> {
        let current = self.current()?;
        let listed = |version: ModelVersion| Listed {
            version,
            current: current == Some(version),
            metadata: self.open(&version).map(|opened| opened.metadata),
        };
        Ok(self.names()?.into_iter().map(listed).collect())
    }

    /// Looks at every byte of a version: metadata, length and sum of each file, schema.
    ///
    /// # Errors
    /// [`VersionError`] naming the file that is missing, cut short or altered, or the schema that differs.
    pub fn open(&self, version: &ModelVersion) -> Result<Opened, VersionError> {
        let folder = self.folder(version);
        if !folder.is_dir() {
            return Err(VersionError::Unknown { dir: self.dir.clone(), version: *version });
        }
        let metadata = Metadata::read(&folder, version)?;
        metadata.verify(&folder)?;
        Ok(Opened { folder, metadata })
    }

    /// The version in use, opened.
    ///
    /// # Errors
    /// [`VersionError::NoCurrent`], and those of [`Self::current`] and [`Self::open`].
    pub fn open_current(&self) -> Result<Opened, VersionError> {
        match self.current()? {
            Some(version) => self.open(&version),
            None => Err(VersionError::NoCurrent { dir: self.dir.clone() }),
        }
    }
}
