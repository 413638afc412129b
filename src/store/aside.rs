//! Putting a damaged database out of the way: it is kept, for whoever wants to know what became of it.

use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Damaged databases that a folder keeps; with more, the disk is what needs a person.
const KEPT_MAX: u32 = 100;

/// Renames a database with what SQLite keeps beside it to `<name>.damaged-1`, or the next number that is free.
///
/// # Errors
/// [`StoreError::Aside`].
pub(super) fn set(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |source| StoreError::Aside { path: path.to_owned(), source };
    let free = (1..=KEPT_MAX).map(|n| with(path, &format!(".damaged-{n}"))).find(|aside| !aside.exists());
    let aside = free.ok_or_else(|| failed(io::ErrorKind::AlreadyExists.into()))?;
    // What belongs to the database goes first: left behind, it would be taken for the new one's.
    for beside in ["-wal", "-shm"] {
        match std::fs::rename(with(path, beside), with(&aside, beside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    std::fs::rename(path, &aside).map_err(failed)?;
    Ok(aside)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
