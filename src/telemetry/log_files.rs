//! The files behind the JSON lines: one a symbol and UTC day, old ones deleted.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use levibot_core::domain::{Span, Symbol, Ts};

use super::log_line::{Line, json_text};

/// Files held open at a time: hundreds of engines must not use up the process's file descriptors.
pub(crate) const OPEN_MAX: usize = 128;

/// Kept free for the last line of a full file.
const LAST_LINE_BYTES: u64 = 512;
/// What the last line of a full file says.
const FULL: &str = r#""msg":"log file is full""#;
/// A full file takes alerts and errors of our own until it is larger by one part in so many.
const RESERVE: u64 = 4;
/// How often it is told that full files have left out lines.
const TELL_EVERY: Span = Span::MINUTE;
/// A file that ended as full and has more room than this now, because the limit was raised, goes on.
const ROOM_TO_GO_ON: u64 = 64 * 1_024;

/// The log folder.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    keep_days: i64,
    /// Size at which a file stops growing.
    bytes_max: u64,
    /// The latest day that was written: a later one is midnight.
    today: i64,
    open: HashMap<Option<Symbol>, DayFile>,
    /// Lines that full files have left out, and of which nobody was told.
    left_out: u64,
    /// When that was told the last time, monotonic.
    told: Option<Ts>,
}

#[derive(Debug)]
struct DayFile {
    day: i64,
    to: BufWriter<File>,
    bytes: u64,
    /// Its last line is written.
    is_full: bool,
}

impl DayFile {
    fn put(&mut self, json: &str) -> io::Result<()> {
        self.bytes += json.len() as u64 + 1;
        self.to.write_all(json.as_bytes())?;
        self.to.write_all(b"\n")
    }
}

impl Files {
    /// Makes the folder and deletes what is too old. Fails when nothing can be written there.
    pub(super) fn open(dir: &Path, keep_days: u32, bytes_max: u64, now: Ts) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        let mut files = Self {
            dir: dir.to_path_buf(),
            keep_days: i64::from(keep_days.max(1)),
            bytes_max,
            today: now.day(),
            open: HashMap::new(),
            left_out: 0,
            told: None,
        };
        files.file(None, now)?;
        files.delete_old()?;
        Ok(files)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one line to the file of its symbol and day. A full file takes one last line that says so, and then only
    /// what is vital, up to its reserve; the rest is counted.
    pub(super) fn write(&mut self, line: &Line) -> io::Result<()> {
        if line.ts.day() > self.today {
            self.today = line.ts.day();
            self.flush()?;
            self.open.clear();
            self.delete_old()?;
        }
        let bytes_max = self.bytes_max;
        let file = self.file(line.symbol, line.ts)?;
        // One byte more ends the line.
        let bytes = file.bytes.saturating_add(line.json.len() as u64);
        if !file.is_full {
            if bytes < bytes_max.saturating_sub(LAST_LINE_BYTES) {
                return file.put(&line.json);
            }
            file.is_full = true;
            file.put(&last_line(line, bytes_max))?;
        }
        if line.is_vital && bytes < bytes_max.saturating_add(bytes_max / RESERVE).saturating_sub(LAST_LINE_BYTES) {
            file.put(&line.json)?;
            return file.to.flush();
        }
        file.to.flush()?;
        self.left_out += 1;
        Ok(())
    }

    /// Says once a minute how many lines full files have left out: on stderr, and in the daemon's own file.
    pub(super) fn tell_full(&mut self, ts: Ts, now: Ts, is_end: bool) -> io::Result<()> {
        if self.left_out == 0 || (!is_end && self.told.is_some_and(|at| now - at < TELL_EVERY)) {
            return Ok(());
        }
        self.told = Some(now);
        let count = std::mem::take(&mut self.left_out);
        let dir = self.dir.display();
        let _ = writeln!(io::stderr(), "{ts}  WARN {count} lines left out of full log files in {dir}");
        let target = json_text(module_path!());
        let json = format!(
            r#"{{"ts":"{ts}","level":"warn","msg":"lines left out of full log files","target":{target},"count":{count}}}"#
        );
        let before = self.left_out;
        let written = self.write(&Line { symbol: None, ts, json, is_vital: true });
        // With its reserve full, too, the line would be told of in the next one.
        self.left_out = before;
        written
    }

    /// Hands everything to the operating system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.open.values_mut().try_for_each(|file| file.to.flush())
    }

    fn file(&mut self, symbol: Option<Symbol>, ts: Ts) -> io::Result<&mut DayFile> {
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
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let (to, bytes, ended) = append(&self.dir.join(name(symbol, ts)))?;
                // Behind the line that says so may stand what the reserve took.
                let ended = ended || bytes.saturating_add(LAST_LINE_BYTES) >= self.bytes_max;
                let is_full = ended && bytes.saturating_add(ROOM_TO_GO_ON) > self.bytes_max;
                Ok(entry.insert(DayFile { day, to, bytes, is_full }))
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

fn last_line(line: &Line, bytes_max: u64) -> String {
    let symbol = line.symbol.map(|symbol| format!(r#","symbol":{}"#, json_text(symbol.as_str()))).unwrap_or_default();
    let target = json_text(module_path!());
    format!(
        r#"{{"ts":"{}","level":"warn"{symbol},{FULL},"target":{target},"bytes_max":{bytes_max},"until":"the next day"}}"#,
        line.ts
    )
}

/// Opens for appending; a line that a crash cut short is ended first, so that it spoils no other. How many bytes it has,
/// and whether it ended as full.
fn append(path: &Path) -> io::Result<(BufWriter<File>, u64, bool)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    let mut bytes = file.metadata()?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(bytes.saturating_sub(LAST_LINE_BYTES)))?;
    (&mut file).take(LAST_LINE_BYTES).read_to_end(&mut end)?;
    if end.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n")?;
        bytes += 1;
    }
    let last = end.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_full = last.windows(FULL.len()).any(|part| part == FULL.as_bytes());
    Ok((BufWriter::new(file), bytes, is_full))
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
        Line { symbol: symbol.map(|s| s.parse().unwrap()), ts, json: format!(r#"{{"ts":"{ts}"}}"#), is_vital: false }
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
        let mut files = Files::open(dir.path(), 30, u64::MAX, DAY).unwrap();
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
        let mut files = Files::open(dir.path(), 30, u64::MAX, DAY).unwrap();
        files.write(&line(None, DAY)).unwrap();
        files.flush().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(1), Some(r#"{"ts":"2025-10-14T00:00:00Z"}"#), "{text}");
    }

    #[test]
    fn hundreds_of_symbols_hold_a_bounded_number_of_files_open() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path(), 30, u64::MAX, DAY).unwrap();
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

    #[test]
    fn a_file_stops_growing_with_a_last_line_and_goes_on_the_next_day() {
        let dir = tempfile::tempdir().unwrap();
        let max = 4_096;
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        // Opened again and again, as a restart does.
        for _ in 0..3 {
            let mut files = Files::open(dir.path(), 30, max, DAY).unwrap();
            for _ in 0..1_000 {
                files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
            }
            files.write(&line(Some("ETHUSDT"), DAY)).unwrap();
            files.flush().unwrap();
        }
        let text = read("engine-BTCUSDT-20251014.jsonl");
        assert!((3_500..=4_096).contains(&text.len()), "{}", text.len());
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&last["msg"], &last["symbol"]), (&"log file is full".into(), &"BTCUSDT".into()));
        assert_eq!(text.matches("log file is full").count(), 1);
        assert_eq!(read("engine-ETHUSDT-20251014.jsonl").lines().count(), 3, "others are not touched");
        let mut files = Files::open(dir.path(), 30, 1 << 20, DAY).unwrap();
        files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
        files.write(&line(Some("BTCUSDT"), DAY + Span::DAY)).unwrap();
        files.flush().unwrap();
        assert_eq!(read("engine-BTCUSDT-20251014.jsonl").len(), text.len() + 30, "more room was given");
        assert_eq!(read("engine-BTCUSDT-20251015.jsonl").lines().count(), 1);
    }

    #[test]
    fn a_full_file_takes_alerts_and_errors_into_a_bounded_reserve_and_the_rest_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (max, vital) = (4_096, |text: &str| Line {
            json: format!(r#"{{"vital":"{text}"}}"#),
            is_vital: true,
            ..line(Some("BTCUSDT"), DAY)
        });
        let path = dir.path().join("engine-BTCUSDT-20251014.jsonl");
        let mut files = Files::open(dir.path(), 30, max, DAY).unwrap();
        for _ in 0..1_000 {
            files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
        }
        let full = fs::metadata(&path).unwrap().len();
        assert!(full <= max && files.left_out > 800, "{full}, {}", files.left_out);
        let left_out = files.left_out;
        files.write(&vital("engine is quarantined")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().last(), Some(r#"{"vital":"engine is quarantined"}"#), "it is there at once");
        assert_eq!(files.left_out, left_out);

        let told = || {
            let text = fs::read_to_string(dir.path().join("daemon-20251014.jsonl")).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|line| line["count"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        let tell = |files: &mut Files, seconds, is_end| {
            files.tell_full(DAY, Ts::from_secs(seconds), is_end).unwrap();
            files.flush().unwrap();
        };
        tell(&mut files, 100, false);
        assert_eq!(told(), [left_out]);
        files.write(&line(Some("BTCUSDT"), DAY)).unwrap();
        tell(&mut files, 159, false);
        assert_eq!(told(), [left_out], "once a minute");
        tell(&mut files, 160, false);
        tell(&mut files, 161, true);
        assert_eq!(told(), [left_out, 1], "and nothing where there is nothing");

        // The reserve is no way to fill the disk, nor is a restart.
        for _ in 0..3 {
            let mut files = Files::open(dir.path(), 30, max, DAY).unwrap();
            for _ in 0..1_000 {
                files.write(&vital("again")).unwrap();
            }
            assert!(files.left_out > 900, "{}", files.left_out);
        }
        assert!((4_500..=5_120).contains(&fs::metadata(&path).unwrap().len()));
    }
}
