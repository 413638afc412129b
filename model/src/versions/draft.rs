//! Writing a version: all of it or nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use levibot_core::domain::{ModelVersion, Span, Ts};
use nix::fcntl::Flock;

use super::disk::{change_lock, entries, folder_lock, seal_files, sync};
use super::error::{VersionError, io_error};
use super::metadata::{METADATA_FILE, Metadata, Trained};
use super::{Versions, folder_of};

/// What folders of versions that are not whole yet begin with.
const DRAFT: &str = ".draft_";
/// What folders of versions that are about to go begin with.
pub(super) const GONE: &str = ".gone_";
/// Seconds that are tried for a free name.
const NAMES_MAX: i64 = 3_600;

/// A version that is being written into a hidden folder. [`Self::commit`] makes it a version; dropping it removes it. A
/// writer that is killed leaves the folder to the next one, which sweeps it.
#[derive(Debug)]
pub struct Draft {
    dir: PathBuf,
    folder: PathBuf,
    version: ModelVersion,
    at: Ts,
    committed: bool,
    /// Says that the writer lives.
    _alive: Flock<File>,
}

impl Versions {
    /// Begins a version that was trained at `at`. Its name is that second, or the first one after it that is free.
    /// Sweeps what dead writers left.
    ///
    /// # Errors
    /// [`VersionError`] when the folder cannot be written.
    pub fn begin(&self, at: Ts) -> Result<Draft, VersionError> {
        let _lock = change_lock(&self.dir)?;
        self.sweep()?;
        for n in 0..NAMES_MAX {
            let version = name_of(at + Span::SECOND.times(n));
            let folder = self.dir.join(format!("{DRAFT}{version}"));
            if self.dir.join(folder_of(&version)).exists() || folder.exists() {
                continue;
            }
            fs::create_dir(&folder).map_err(io_error("create the folder", &folder))?;
            // Under the lock of changes nobody else looks at a folder that was just made.
            let Some(alive) = folder_lock(&folder)? else { continue };
            let dir = self.dir.clone();
            return Ok(Draft { dir, folder, version, at, committed: false, _alive: alive });
        }
        let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        Err(io_error("find a free name for a version", &self.dir)(source))
    }

    /// Removes folders whose writer, or remover, is dead. The caller holds the lock of changes.
    pub(super) fn sweep(&self) -> Result<(), VersionError> {
        for name in entries(&self.dir)? {
            let folder = self.dir.join(&name);
            let ours = name.starts_with(DRAFT) || name.starts_with(GONE);
            if ours && folder.is_dir() && folder_lock(&folder)?.is_some() {
                fs::remove_dir_all(&folder).map_err(io_error("remove the folder", &folder))?;
            }
        }
        Ok(())
    }
}

/// The name of a version that was trained at `at`.
#[expect(clippy::expect_used, reason = "fifteen digits and an underscore are a name")]
fn name_of(at: Ts) -> ModelVersion {
    let digits: String = Ts::from_secs(at.secs()).to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    format!("{day}_{time}").parse().expect("digits are a name")
}

impl Draft {
    /// Where its files go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it will be called.
    pub const fn version(&self) -> ModelVersion {
        self.version
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// [`VersionError::Full`] or [`VersionError::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), VersionError> {
        let path = self.folder.join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).map_err(io_error("write the file", &path))
    }

    /// Makes every file durable, writes the metadata with their sums, and gives the folder its name. Either the version
    /// is there afterwards, whole and over a loss of power, or nothing of it.
    ///
    /// # Errors
    /// [`VersionError::Full`] or [`VersionError::Io`]; the folder is removed then.
    pub fn commit(mut self, trained: Trained) -> Result<Metadata, VersionError> {
        let files = seal_files(&self.folder, METADATA_FILE)?;
        let metadata = Metadata::seal(self.version, self.at, trained, files);
        let path = self.folder.join(METADATA_FILE);
        let mut text = serde_json::to_vec_pretty(&metadata)
            .map_err(|error| VersionError::Metadata { path: path.clone(), reason: error.to_string() })?;
        text.push(b'\n');
        self.write(METADATA_FILE, &text)?;
        sync(&path)?;
        // Read back as everybody will read it: what would not be taken later is not kept now.
        Metadata::read(&self.folder, &self.version)?.verify(&self.folder)?;
        sync(&self.folder)?;
        let _lock = change_lock(&self.dir)?;
        let to = self.dir.join(folder_of(&self.version));
        fs::rename(&self.folder, &to).map_err(io_error("give the finished version its name", &to))?;
        self.committed = true;
        sync(&self.dir)?;
        Ok(metadata)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed {
            // If this fails too, the next writer sweeps.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
