//! The files behind the JSON lines: one a symbol and UTC day, old ones deleted.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use levibot_core::domain::{Symbol, Ts};

use super::logs::Line;

/// Files held open at a time: hundreds of engines must not use up the process's file descriptors.
pub(crate) const OPEN_MAX: usize = 128;

/// The log folder.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    keep_days: i64,
    /// The latest day that was written: a later one is midnight.
    today: i64,
    open: HashMap<Option<Symbol>, DayFile>,
}

#[derive(Debug)]
struct DayFile {
    day: i64,
    to: BufWriter<File>,
}

impl Files {
    /// Makes the folder and deletes what is too old. Fails when nothing can be written there.
    pub(super) fn open(dir: &Path, keep_days: u32, now: Ts) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        let mut files = Self {
            dir: dir.to_path_buf(),
            keep_days: i64::from(keep_days.max(1)),
            today: now.day(),
            open: HashMap::new(),
        };
        files.file(None, now)?;
        files.delete_old()?;
        Ok(files)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one line to the file of its symbol and day.
    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        if line.ts.day() > self.today {
            self.today = line.ts.day();
            self.flush()?;
            self.open.clear();
            self.delete_old()?;
        }
        let to = self.file(line.symbol, line.ts)?;
        to.write_all(line.json.as_bytes())?;
        to.write_all(b"\n")
    }

    /// Hands everything to the operating system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.open.values_mut().try_for_each(|file| file.to.flush())
    }

    fn file(&mut self, symbol: Option<Symbol>, ts: Ts) -> io::Result<&mut BufWriter<File>> {
        let day = ts.day();
        if self.open.get(&symbol).is_some_and(|file| file.day != day)
            && let Some(mut old) = self.open.remove(&symbol)
        {
            old.to.flush()?;
        }
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&symbol) {
            self.flush()?;
            self.open.clear();
        }
        match self.open.entry(symbol) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(&mut entry.into_mut().to),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let to = append(&self.dir.join(name(symbol, ts)))?;
                Ok(&mut entry.insert(DayFile { day, to }).to)
            }
        }
    }

    fn delete_old(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let day = entry.file_name().to_str().and_then(day_of);
            if day.is_some_and(|day| day <= self.today - self.keep_days) {
                match fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn name(symbol: Option<Symbol>, ts: Ts) -> String {
    match symbol {
        Some(symbol) => format!("engine-{symbol}-{}.jsonl", ts.yyyymmdd()),
        None => format!("daemon-{}.jsonl", ts.yyyymmdd()),
    }
}

/// The UTC day in the name of one of our files; `None` for anything else, which is left alone.
fn day_of(name: &str) -> Option<i64> {
    let stem = name.strip_suffix(".jsonl")?;
    let date = match stem.strip_prefix("daemon-") {
        Some(date) => date,
        None => {
            let (symbol, date) = stem.strip_prefix("engine-")?.rsplit_once('-')?;
            symbol.parse::<Symbol>().ok()?;
            date
        }
    };
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let stamp: Ts = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]).parse().ok()?;
    Some(stamp.day())
}

/// Opens for appending; a line that a crash cut short is ended first, so that it spoils no other.
fn append(path: &Path) -> io::Result<BufWriter<File>> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(BufWriter::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use levibot_core::domain::Span;

    const DAY: Ts = Ts::from_secs(1_760_400_000); // 2025-10-14T00:00:00Z

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn line(symbol: Option<&str>, ts: Ts) -> Line {
        Line { symbol: symbol.map(|s| s.parse().unwrap()), ts, json: format!(r#"{{"ts":"{ts}"}}"#) }
    }

    #[test]
    fn old_files_go_at_the_start_and_at_midnight_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let keep = ["daemon-20250915.jsonl", "engine-BTC-USD-20250915.jsonl", "notes.txt", "daemon-2025.jsonl"];
        let old = ["daemon-20250914.jsonl", "engine-BTC-USD-20250914.jsonl", "engine-AKBNK.IS-20240101.jsonl"];
        let foreign = ["engine-btc-20240101.jsonl", "other-20240101.jsonl", "daemon-20251399.jsonl"];
        for name in keep.iter().chain(&old).chain(&foreign) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let mut files = Files::open(dir.path(), 30, DAY).unwrap();
        let left = names(dir.path());
        assert!(keep.iter().chain(&foreign).all(|n| left.contains(&(*n).to_owned())), "{left:?}");
        assert!(old.iter().all(|n| !left.contains(&(*n).to_owned())), "{left:?}");

        files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
        files.write(&line(Some("BTCUSDT"), DAY + Span::DAY)).unwrap();
        files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
        files.flush().unwrap();
        let left = names(dir.path());
        assert!(!left.contains(&"daemon-20250915.jsonl".to_owned()), "{left:?}");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap().lines().count();
        assert_eq!((read("engine-BTCUSDT-20251014.jsonl"), read("engine-BTCUSDT-20251015.jsonl")), (2, 1));
    }

    #[test]
    fn a_line_cut_by_a_crash_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon-20251014.jsonl");
        fs::write(&path, r#"{"ts":"2025-10"#).unwrap();
        let mut files = Files::open(dir.path(), 30, DAY).unwrap();
        files.write(&line(None, DAY)).unwrap();
        files.flush().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(1), Some(r#"{"ts":"2025-10-14T00:00:00Z"}"#), "{text}");
    }

    #[test]
    fn hundreds_of_symbols_hold_a_bounded_number_of_files_open() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), 30, DAY).unwrap();
        for round in 0..2 {
            for n in 0..300 {
                files.write(&line(Some(&format!("S{n}")), DAY + Span::from_secs(round))).unwrap();
                assert!(files.open.len() <= OPEN_MAX);
            }
        }
        files.flush().unwrap();
        let text = fs::read_to_string(dir.path().join("engine-S7-20251014.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 2);
    }
}
