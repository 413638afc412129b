//! The halt's latch file: `HALT` in the data folder. It stands as long as a halt does, so that a halt survives even a
//! journal that was moved away; where file and journal disagree, halt wins.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levibot_core::domain::{HaltLevel, Reason};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::telemetry::clock::wall_now;

/// The file's name in the data folder.
pub const LATCH_FILE: &str = "HALT";
/// Of the file whose lock everybody who changes the latch holds meanwhile.
const LOCK_FILE: &str = "HALT.lock";
/// How often that lock is tried for, and the pause in between: a writer that was stopped keeps nobody from halting.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// Whoever may read the folder may read the file, whatever the umask of the one who halted.
const MODE: u32 = 0o644;

/// See the module.
#[derive(Debug, Clone)]
pub struct LatchFile {
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    level: HaltLevel,
    by: String,
    reason: String,
    /// Differs from writing to writing, so that a halt that is asked for again is a new one.
    #[serde(default)]
    stamp: String,
}

/// What tells one writing of the file from another: all that stands in it, `None` where that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Option<Vec<u8>>);

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latched {
    /// How much it forbids.
    pub level: HaltLevel,
    /// By whom and why.
    pub reason: Reason,
    /// Which writing of the file it is.
    pub mark: Mark,
}

impl Latched {
    /// A file that says no level that one can read.
    fn unclear(text: String, mark: Mark) -> Self {
        Self { level: HaltLevel::ReduceOnly, reason: Reason { by: "latch file".to_owned(), text }, mark }
    }
}

/// The latch file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} the latch file {path}: check the folder's permissions and free space")]
pub struct LatchError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl LatchFile {
    /// The latch of a data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(LATCH_FILE) }
    }

    /// The halt that the file holds. A file that cannot be understood or read is a halt all the same: people make them by
    /// hand.
    pub fn get(&self) -> Option<(HaltLevel, Reason)> {
        self.look().map(|latched| (latched.level, latched.reason))
    }

    /// The same, with what tells it from a later writing.
    pub fn look(&self) -> Option<Latched> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let text = format!("{} cannot be read: {error}", self.path.display());
                return Some(Latched::unclear(text, Mark(None)));
            }
        };
        Some(match serde_json::from_slice::<Content>(&bytes) {
            Ok(Content { level, by, reason, .. }) => {
                Latched { level, reason: Reason { by, text: reason }, mark: Mark(Some(bytes)) }
            }
            Err(_) => Latched::unclear("a HALT file stands in the data folder".to_owned(), Mark(Some(bytes))),
        })
    }

    /// Writes the file for a halt that somebody asks for, and gives the level that it holds then: a higher one stands. The
    /// file is written anew in any case, so that a resume that is on its way does not take this halt for the one it lifts.
    ///
    /// # Errors
    /// [`LatchError`] when the folder cannot be written.
    pub fn raise(&self, level: HaltLevel, reason: &Reason) -> Result<HaltLevel, LatchError> {
        let _lock = self.lock();
        match self.look() {
            Some(stands) if stands.level > level => self.write(stands.level, &stands.reason).map(|_| stands.level),
            _ => self.write(level, reason).map(|_| level),
        }
    }

    /// Sees to it that the file holds at least the halt in force, and gives what it holds then.
    ///
    /// # Errors
    /// [`LatchError`] when the folder cannot be written.
    pub fn keep(&self, level: HaltLevel, reason: &Reason) -> Result<Latched, LatchError> {
        let _lock = self.lock();
        match self.look() {
            Some(stands) if stands.level >= level => Ok(stands),
            _ => self.write(level, reason).map(|mark| Latched { level, reason: reason.clone(), mark }),
        }
    }

    /// Removes the file of a halt that was lifted, unless somebody has written it since `taken`: then what stands in it is
    /// given. Durable when it returns.
    ///
    /// # Errors
    /// [`LatchError`] when it cannot be removed.
    pub fn lift(&self, taken: Option<&Mark>) -> Result<Option<Latched>, LatchError> {
        let _lock = self.lock().map_err(|source| self.fail("lock", source))?;
        match self.look() {
            Some(stands) if taken != Some(&stands.mark) => Ok(Some(stands)),
            Some(_) => self.remove().map(|()| None),
            None => Ok(None),
        }
    }

    /// Writes the file for a halt, removes it for `None`. Durable when it returns.
    ///
    /// # Errors
    /// [`LatchError`] when the folder cannot be written.
    pub fn set(&self, level: HaltLevel, reason: &Reason) -> Result<(), LatchError> {
        let lock = self.lock();
        if level == HaltLevel::None {
            // What nobody may have looked at stays.
            lock.map_err(|source| self.fail("lock", source)).and_then(|_lock| self.remove())
        } else {
            self.write(level, reason).map(drop)
        }
    }

    fn fail(&self, operation: &'static str, source: io::Error) -> LatchError {
        LatchError { operation, path: self.path.clone(), source }
    }

    /// Keeps others from changing the file. One who halts goes on without it: better two that write at once than none.
    fn lock(&self) -> io::Result<Flock<File>> {
        let path = self.path.with_file_name(LOCK_FILE);
        // It may be another user's, who lets us read it: that is enough.
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
                file.set_permissions(Permissions::from_mode(MODE))?;
                file
            }
            opened => opened?,
        };
        for _ in 0..LOCK_TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((same, nix::errno::Errno::EWOULDBLOCK)) => file = same,
                Err((_, errno)) => return Err(errno.into()),
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(io::Error::other("somebody else has held its lock for too long"))
    }

    fn write(&self, level: HaltLevel, reason: &Reason) -> Result<Mark, LatchError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let stamp = format!("{}.{process}.{count}", wall_now().nanos());
        let content = Content { level, by: reason.by.clone(), reason: reason.text.clone(), stamp };
        let bytes = serde_json::to_vec_pretty(&content).map_err(|error| self.fail("write", io::Error::other(error)))?;
        // Two that write without the lock do not take each other's draft away.
        let draft = self.path.with_extension(format!("{process}.{count}.tmp"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.set_permissions(Permissions::from_mode(MODE))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        };
        write().map_err(|error| {
            // It is of no use to anybody; that it is left is no error of its own.
            fs::remove_file(&draft).ok();
            self.fail("write", error)
        })?;
        self.make_durable()?;
        Ok(Mark(Some(bytes)))
    }

    fn remove(&self) -> Result<(), LatchError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.fail("remove", error)),
            _ => {}
        }
        self.make_durable()
    }

    fn make_durable(&self) -> Result<(), LatchError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| self.fail("make durable", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in the folder.
    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_latch_is_kept_until_it_is_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        assert!(latch.get().is_none());
        let reason = Reason { by: "risk".into(), text: "the day's loss".into() };
        latch.set(HaltLevel::Flatten, &reason).unwrap();
        assert_eq!(latch.get(), Some((HaltLevel::Flatten, reason.clone())));
        latch.set(HaltLevel::None, &reason).unwrap();
        latch.set(HaltLevel::None, &reason).unwrap();
        assert!(latch.get().is_none());
    }

    #[test]
    fn a_latch_is_raised_and_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let reason = |text: &str| Reason { by: "somebody".into(), text: text.into() };
        assert_eq!(latch.raise(HaltLevel::EntryHalt, &reason("first")).unwrap(), HaltLevel::EntryHalt);
        assert_eq!(latch.raise(HaltLevel::Flatten, &reason("second")).unwrap(), HaltLevel::Flatten);
        assert_eq!(latch.raise(HaltLevel::ReduceOnly, &reason("third")).unwrap(), HaltLevel::Flatten);
        assert_eq!(latch.get(), Some((HaltLevel::Flatten, reason("second"))));
        assert_eq!(names(&dir), [LATCH_FILE, LOCK_FILE], "no draft is left");
    }

    #[test]
    fn a_file_made_by_hand_halts() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"stop!", b"\xff\xfe"] {
            fs::write(dir.path().join(LATCH_FILE), content).unwrap();
            let (level, _) = LatchFile::new(dir.path()).get().unwrap();
            assert_eq!(level, HaltLevel::ReduceOnly);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_halts() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        fs::create_dir(dir.path().join(LATCH_FILE)).unwrap();
        let (level, reason) = latch.get().unwrap();
        assert_eq!(level, HaltLevel::ReduceOnly);
        assert!(reason.text.contains("HALT cannot be read: "), "{reason:?}");
        // And one that cannot be written leaves nothing behind.
        latch.raise(HaltLevel::Flatten, &reason).unwrap_err();
        latch.lift(Some(&latch.look().unwrap().mark)).unwrap_err();
        assert_eq!(names(&dir), [LATCH_FILE, LOCK_FILE]);
    }

    #[test]
    fn whoever_may_enter_the_folder_may_read_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        let raised = latch.raise(HaltLevel::Flatten, &Reason { by: "somebody".into(), text: "a test".into() });
        nix::sys::stat::umask(umask);
        raised.unwrap();
        for name in [LATCH_FILE, LOCK_FILE] {
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, MODE, "{name}");
        }
    }

    #[test]
    fn what_was_written_since_is_not_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let reason = |text: &str| Reason { by: "somebody".into(), text: text.into() };
        let taken = latch.keep(HaltLevel::ReduceOnly, &reason("first")).unwrap().mark;
        assert_eq!(latch.keep(HaltLevel::EntryHalt, &reason("kept")).unwrap().mark, taken, "it holds as much already");
        // Asked for again, in the same words.
        latch.raise(HaltLevel::ReduceOnly, &reason("first")).unwrap();
        let again = latch.lift(Some(&taken)).unwrap().unwrap();
        assert_eq!((again.level, again.reason), (HaltLevel::ReduceOnly, reason("first")));
        assert!(latch.lift(None).unwrap().is_some());
        assert!(latch.lift(Some(&again.mark)).unwrap().is_none() && latch.get().is_none());
    }

    #[test]
    fn of_two_that_write_at_once_the_higher_halt_stands() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let reason = Reason { by: "somebody".into(), text: "a test".into() };
        for round in 0..100 {
            std::thread::scope(|scope| {
                for level in [HaltLevel::EntryHalt, HaltLevel::Flatten, HaltLevel::ReduceOnly] {
                    let (latch, reason) = (&latch, &reason);
                    scope.spawn(move || latch.raise(level, reason).unwrap());
                }
            });
            assert_eq!(latch.get().unwrap().0, HaltLevel::Flatten, "round {round}");
            latch.set(HaltLevel::None, &reason).unwrap();
        }
    }

    #[test]
    fn a_lock_that_is_never_given_back_keeps_nobody_from_halting() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let lock = latch.lock().unwrap();
        let reason = Reason { by: "somebody".into(), text: "a test".into() };
        assert_eq!(latch.raise(HaltLevel::Flatten, &reason).unwrap(), HaltLevel::Flatten);
        latch.lift(latch.look().map(|stands| stands.mark).as_ref()).unwrap_err();
        assert_eq!(latch.get().unwrap().0, HaltLevel::Flatten, "but from lifting one");
        drop(lock);
    }
}
