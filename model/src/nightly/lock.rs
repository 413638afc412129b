//! One night at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use levibot_core::domain::Ts;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Held from start to end of a retraining; the system releases it however the process ends.
#[derive(Debug)]
pub struct NightLock {
    _file: Flock<File>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another retraining runs.
    #[error("already running: {who}")]
    Held {
        /// What that one wrote about itself.
        who: String,
    },
    /// The file cannot be opened, written or locked.
    #[error("{}: the lock cannot be taken; check that the folder may be written", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl NightLock {
    /// Takes the lock in the folder of versions, without waiting, and writes into it who holds it.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it, [`LockError::Io`].
    pub fn take(models: &Path, now: Ts) -> Result<Self, LockError> {
        let path = models.join(".retrain.lock");
        let fail = |source| LockError::Io { path: path.clone(), source };
        std::fs::create_dir_all(models).map_err(fail)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match Flock::lock(open.map_err(fail)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut who = String::new();
                file.read_to_string(&mut who).map_err(fail)?;
                let who = who.trim();
                let who = if who.is_empty() { "another process" } else { who };
                return Err(LockError::Held { who: who.to_owned() });
            }
            Err((_, errno)) => return Err(fail(errno.into())),
        };
        let who = format!("process {} since {}\n", std::process::id(), Ts::from_secs(now.secs()));
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(who.as_bytes())
        };
        write(&mut file).map_err(fail)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_hears_who_the_first_is() {
        let models = tempfile::tempdir().unwrap();
        let first = NightLock::take(models.path(), Ts::from_secs(1_700_000_000)).unwrap();
        let error = NightLock::take(models.path(), Ts::EPOCH).unwrap_err().to_string();
        let wanted = format!("already running: process {} since 2023-11-14T22:13:20Z", std::process::id());
        assert_eq!(error, wanted);
        drop(first);
        NightLock::take(models.path(), Ts::EPOCH).unwrap();
    }
}
