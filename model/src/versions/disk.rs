//! Files, sums, locks and what makes them durable.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use levibot_core::domain::hash::hex;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use super::error::{VersionError, io_error};
use super::metadata::FileSum;

/// Length and SHA-256 of a file.
pub(super) fn sum_of(path: &Path) -> Result<FileSum, VersionError> {
    let sum = || -> io::Result<FileSum> {
        let (mut file, mut hasher, mut bytes) = (File::open(path)?, Sha256::new(), 0_u64);
        let mut piece = vec![0_u8; 1 << 16];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                n => {
                    hasher.update(&piece[..n]);
                    bytes += n as u64;
                }
            }
        }
        Ok(FileSum { bytes, sha256: hex(&hasher.finalize()) })
    };
    sum().map_err(io_error("read the file", path))
}

/// Sums of every file below a folder, by its path from there, each made durable together with the folders. `except` is
/// a name at the top that is passed over. Links and other things that are no plain file are refused.
pub(super) fn seal_files(folder: &Path, except: &str) -> Result<BTreeMap<String, FileSum>, VersionError> {
    let mut sums = BTreeMap::new();
    seal_below(folder, "", except, &mut sums)?;
    Ok(sums)
}

fn seal_below(
    folder: &Path,
    prefix: &str,
    except: &str,
    sums: &mut BTreeMap<String, FileSum>,
) -> Result<(), VersionError> {
    for entry in entries(folder)? {
        let path = folder.join(&entry);
        let name = format!("{prefix}{entry}");
        if name == except {
            continue;
        }
        let kind = fs::symlink_metadata(&path).map_err(io_error("look at the file", &path))?.file_type();
        if kind.is_dir() {
            seal_below(&path, &format!("{name}/"), except, sums)?;
        } else if kind.is_file() {
            sync(&path)?;
            sums.insert(name, sum_of(&path)?);
        } else {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it is neither a file nor a folder");
            return Err(io_error("take this into a version", &path)(source));
        }
    }
    sync(folder)
}

/// Names in a folder, sorted. Names that are not Unicode are none of ours.
pub(super) fn entries(folder: &Path) -> Result<Vec<String>, VersionError> {
    let list = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    let mut names = list().map_err(io_error("list the folder", folder))?;
    names.sort();
    Ok(names)
}

/// Makes a file, or the names in a folder, durable.
pub(super) fn sync(path: &Path) -> Result<(), VersionError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error("make durable", path))
}

/// Takes the lock that whoever changes the folder of versions holds, waiting for it: changes take moments.
pub(super) fn change_lock(dir: &Path) -> Result<Flock<File>, VersionError> {
    fs::create_dir_all(dir).map_err(io_error("create the folder", dir))?;
    let path = dir.join(".lock");
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    for _ in 0..100 {
        let file = open().map_err(io_error("open the lock file", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, Errno::EWOULDBLOCK)) => std::thread::sleep(std::time::Duration::from_millis(100)),
            Err((_, errno)) => return Err(io_error("lock", &path)(errno.into())),
        }
    }
    Err(VersionError::Busy { path })
}

/// Locks a folder itself, as long as its writer lives; `None` when a living writer has it.
pub(super) fn folder_lock(folder: &Path) -> Result<Option<Flock<File>>, VersionError> {
    let file = File::open(folder).map_err(io_error("open the folder", folder))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(io_error("lock", folder)(errno.into())),
    }
}
