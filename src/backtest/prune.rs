//! The folder of kept forecasts does not grow without end.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files that are kept.
pub(super) const FILES_MAX: usize = 64;
/// The most that they hold together.
pub(super) const BYTES_MAX: u64 = 4 << 30;
/// What a file of forecasts is called at its end.
const ENDING: &str = ".forecasts";
/// A file in the making that has not grown for so many seconds belongs to nobody any more.
const ABANDONED_AFTER: i64 = 24 * 3_600;

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    bytes: u64,
    /// Seconds since the epoch, and nanoseconds.
    made: (i64, i64),
}

/// Takes the oldest files of forecasts away, so that `files` of them and `bytes` stay at most, and what was begun and
/// abandoned. `newest` has just been made and stays.
///
/// # Errors
/// The first file that cannot be looked at or taken away.
pub(super) fn prune(newest: &Path, files: usize, bytes: u64) -> io::Result<()> {
    let Some(folder) = newest.parent() else { return Ok(()) };
    let now = fs::metadata(newest)?.mtime();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(found) = entry.metadata() else { continue };
        let kept = Kept { path: entry.path(), bytes: found.len(), made: (found.mtime(), found.mtime_nsec()) };
        if name.starts_with('.') && name.contains(ENDING) {
            if now.saturating_sub(kept.made.0) > ABANDONED_AFTER {
                remove(&kept.path)?;
            }
        } else if name.ends_with(ENDING) && kept.path != newest {
            all.push(kept);
        }
    }
    all.sort_by_key(|kept| std::cmp::Reverse(kept.made));
    let (mut count, mut sum) = (1, fs::metadata(newest)?.len());
    for kept in all {
        (count, sum) = (count + 1, sum.saturating_add(kept.bytes));
        if count > files || sum > bytes {
            remove(&kept.path)?;
        }
    }
    Ok(())
}

/// Another backtest may have been quicker.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder of files of ten bytes, each so many hours older than the last one; gives what stays.
    fn left(ages: &[(&str, u64)], files: usize, bytes: u64) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, hours) in ages {
            let path = folder.path().join(name);
            fs::write(&path, "0123456789").unwrap();
            let made = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - 3_600 * hours);
            fs::File::options().write(true).open(&path).unwrap().set_modified(made).unwrap();
        }
        prune(&folder.path().join(ages.last().unwrap().0), files, bytes).unwrap();
        let mut left: Vec<String> =
            fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left
    }

    #[test]
    fn the_newest_stay() {
        let all = [("b.forecasts", 2), ("a.forecasts", 3), ("other", 9), ("c.forecasts", 1), ("d.forecasts", 0)];
        assert_eq!(left(&all, 9, 99), ["a.forecasts", "b.forecasts", "c.forecasts", "d.forecasts", "other"]);
        assert_eq!(left(&all, 2, 99), ["c.forecasts", "d.forecasts", "other"]);
        assert_eq!(left(&all, 9, 30), ["b.forecasts", "c.forecasts", "d.forecasts", "other"]);
        assert_eq!(left(&all, 1, 0), ["d.forecasts", "other"], "what was just made stays");
    }

    #[test]
    fn what_is_in_the_making_stays_until_it_is_abandoned() {
        let all = [(".a.forecasts.1", 25), (".b.forecasts.2", 23), ("c.forecasts", 0)];
        assert_eq!(left(&all, 9, 99), [".b.forecasts.2", "c.forecasts"]);
    }
}
