//! The halt's latch file: `HALT` in the data folder. It stands as long as a halt does, so that a halt survives even a
//! journal that was moved away; where file and journal disagree, halt wins.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use levibot_core::domain::{HaltLevel, Reason};
use serde::{Deserialize, Serialize};

/// The file's name in the data folder.
pub const LATCH_FILE: &str = "HALT";

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
}

/// The latch file could not be read or written.
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

    /// The halt that the file holds. A file that cannot be understood is a halt all the same: people make them by hand.
    ///
    /// # Errors
    /// [`LatchError`] when the file is there and cannot be read.
    pub fn get(&self) -> Result<Option<(HaltLevel, Reason)>, LatchError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
            Err(source) => return Err(LatchError { operation: "read", path: self.path.clone(), source }),
        };
        let content = serde_json::from_str::<Content>(&text).unwrap_or_else(|_| Content {
            level: HaltLevel::ReduceOnly,
            by: "latch file".to_owned(),
            reason: "a HALT file stands in the data folder".to_owned(),
        });
        Ok(Some((content.level, Reason { by: content.by, text: content.reason })))
    }

    /// Writes the file for a halt unless it holds a higher one, and gives the level that it holds then. A file is written
    /// by the daemon and, beside it, by people who halt: neither lowers what the other has written.
    ///
    /// # Errors
    /// [`LatchError`] when the folder cannot be written.
    pub fn raise(&self, level: HaltLevel, reason: &Reason) -> Result<HaltLevel, LatchError> {
        match self.get() {
            Ok(Some((stands, _))) if stands >= level => Ok(stands),
            // What cannot be read is replaced, if it can be.
            _ => self.set(level, reason).map(|()| level),
        }
    }

    /// Writes the file for a halt, removes it for `None`. Durable when it returns.
    ///
    /// # Errors
    /// [`LatchError`] when the folder cannot be written.
    pub fn set(&self, level: HaltLevel, reason: &Reason) -> Result<(), LatchError> {
        let fail = |operation| move |source| LatchError { operation, path: self.path.clone(), source };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if level == HaltLevel::None {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail("remove")(error)),
                _ => {}
            }
        } else {
            let content = Content { level, by: reason.by.clone(), reason: reason.text.clone() };
            let text = serde_json::to_string_pretty(&content).map_err(io::Error::other).map_err(fail("write"))?;
            // Two may write at once; the last one to take the name stands, and neither takes the other's draft away.
            let draft = self.path.with_extension(format!("{}.tmp", std::process::id()));
            let write = || {
                let mut file = fs::File::create(&draft)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                fs::rename(&draft, &self.path)
            };
            write().map_err(fail("write"))?;
        }
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(fail("make durable"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latch_is_kept_until_it_is_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        assert!(latch.get().unwrap().is_none());
        let reason = Reason { by: "risk".into(), text: "the day's loss".into() };
        latch.set(HaltLevel::Flatten, &reason).unwrap();
        assert_eq!(latch.get().unwrap(), Some((HaltLevel::Flatten, reason.clone())));
        latch.set(HaltLevel::None, &reason).unwrap();
        latch.set(HaltLevel::None, &reason).unwrap();
        assert!(latch.get().unwrap().is_none());
    }

    #[test]
    fn a_latch_is_raised_and_never_lowered() {
        let dir = tempfile::tempdir().unwrap();
        let latch = LatchFile::new(dir.path());
        let reason = |text: &str| Reason { by: "somebody".into(), text: text.into() };
        assert_eq!(latch.raise(HaltLevel::EntryHalt, &reason("first")).unwrap(), HaltLevel::EntryHalt);
        assert_eq!(latch.raise(HaltLevel::Flatten, &reason("second")).unwrap(), HaltLevel::Flatten);
        assert_eq!(latch.raise(HaltLevel::ReduceOnly, &reason("third")).unwrap(), HaltLevel::Flatten);
        assert_eq!(latch.get().unwrap(), Some((HaltLevel::Flatten, reason("second"))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_made_by_hand_halts() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"stop!", b"\xff\xfe"] {
            fs::write(dir.path().join(LATCH_FILE), content).unwrap();
            let (level, _) = LatchFile::new(dir.path()).get().unwrap().unwrap();
            assert_eq!(level, HaltLevel::ReduceOnly);
        }
    }
}
