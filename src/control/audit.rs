//! Who asked for what, when, from where, and what came of it: one line of JSON each, in a file a year.
//!
//! The journal tells what was done to the account and by whom; this file tells besides who was denied what. It is written by
//! a thread of its own, so that a slow disk never holds up a command; what does not fit into its queue is counted, and
//! the next line says how many there were.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use levibot_core::domain::Ts;
use serde::Serialize;

use super::{Answer, Caller, Face, Request, Role};

/// Lines that may wait for the disk.
const QUEUE_MAX: usize = 1_024;
/// Longest text that is kept of an outcome, characters.
const TOLD_MAX: usize = 500;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It was carried out.
    Done,
    /// It was not, for a reason of the daemon.
    Refused,
    /// Its outcome was not known in time.
    UnderWay,
    /// Who asked may not.
    Denied,
}

/// A line of the file.
#[derive(Debug, Serialize)]
struct Row {
    ts: Ts,
    who: String,
    role: Role,
    face: Face,
    origin: String,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    came: Came,
    told: String,
    /// Lines before this one that the disk was too slow for.
    #[serde(skip_serializing_if = "is_none")]
    lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
const fn is_none(lost: &u64) -> bool {
    *lost == 0
}

/// Takes lines; clones write to the same file. One that was not opened takes none.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    to: Option<SyncSender<Row>>,
    lost: Arc<AtomicU64>,
    clock: Option<fn() -> Ts>,
}

impl Audit {
    /// An audit in this folder, whose times are those of `clock`.
    ///
    /// # Errors
    /// Where its file cannot be opened for appending, or no thread can be started.
    pub fn open(dir: &Path, clock: fn() -> Ts) -> io::Result<Self> {
        let mut book = Book { dir: dir.to_owned(), open: None };
        book.of(clock())?;
        let (to, rows) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || book.keep(&rows))?;
        Ok(Self { to: Some(to), lost: Arc::default(), clock: Some(clock) })
    }

    /// Puts down what came of a request.
    pub(super) fn note(&self, caller: &Caller, request: &Request, came: Came, told: &str) {
        let (Some(to), Some(clock)) = (&self.to, self.clock) else { return };
        let (request, key) = match request {
            Request::Ask(question) => (format!("{question:?}").to_lowercase(), None),
            Request::Do(command) => (command.to_string(), None),
            Request::Once { key, command } => (command.to_string(), Some(key.clone())),
        };
        let row = Row {
            ts: clock(),
            who: caller.name.clone(),
            role: caller.role,
            face: caller.face,
            origin: caller.origin.clone(),
            request,
            key,
            came,
            told: told.chars().take(TOLD_MAX).collect(),
            lost: self.lost.swap(0, Ordering::Relaxed),
        };
        let lost = row.lost;
        if to.try_send(row).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// What an answer says of its command.
pub(super) fn came(answer: &Answer) -> (Came, &str) {
    match answer {
        Answer::Refused(why) => (Came::Refused, why),
        Answer::UnderWay(words) => (Came::UnderWay, words),
        Answer::Done(done) => (Came::Done, done),
        _ => (Came::Done, ""),
    }
}

/// The files.
#[derive(Debug)]
struct Book {
    dir: PathBuf,
    /// The year's file.
    open: Option<(String, File)>,
}

impl Book {
    fn keep(mut self, rows: &Receiver<Row>) {
        let mut is_told = false;
        while let Ok(row) = rows.recv() {
            let written = self.write(&row);
            if let Err(error) = &written
                && !is_told
            {
                tracing::error!(%error, dir = %self.dir.display(), "the audit cannot be written: make room, or give the folder back");
            }
            is_told = written.is_err();
        }
    }

    fn write(&mut self, row: &Row) -> io::Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        let written = self.of(row.ts).and_then(|file| file.write_all(&line));
        if written.is_err() {
            // The next line tries again with a file that is opened anew.
            self.open = None;
        }
        written
    }

    /// The file of the year in which `ts` lies.
    fn of(&mut self, ts: Ts) -> io::Result<&mut File> {
        let year: String = ts.to_string().chars().take(4).collect();
        let is_there = self.open.as_ref().is_some_and(|(open, _)| *open == year);
        if !is_there {
            let path = self.dir.join(format!("audit-{year}.jsonl"));
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            self.open = Some((year, file));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::other("no file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Command, Scope};
    use serde_json::Value;
    use std::fs;
    use std::time::{Duration, Instant};

    fn now() -> Ts {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    fn lines(path: &Path, least: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if rows.len() >= least {
                return rows;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_line_tells_who_asked_for_what_when_from_where_and_what_came_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), now).unwrap();
        let caller = Caller {
            name: "ayse \"x\"\n".to_owned(),
            role: Role::Viewer,
            face: Face::Http,
            origin: "10.0.0.7".to_owned(),
        };
        let request = Request::Once { key: "k1".to_owned(), command: Command::Pause(Scope::All) };
        audit.note(&caller, &request, Came::Denied, &"é".repeat(TOLD_MAX + 9));
        let path = dir.path().join("audit-2026.jsonl");
        let row = lines(&path, 1).remove(0);
        assert_eq!(row["ts"], serde_json::to_value(now()).unwrap());
        let text = ["who", "role", "face", "origin", "request", "key", "came"].map(|key| row[key].as_str().unwrap());
        assert_eq!(text, ["ayse \"x\"\n", "viewer", "http", "10.0.0.7", "pause all", "k1", "denied"]);
        assert_eq!(row["told"].as_str().unwrap().chars().count(), TOLD_MAX);
        assert!(row.get("lost").is_none());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "others need not read it");
    }

    #[test]
    fn what_the_disk_is_too_slow_for_is_counted_and_told() {
        let (to, rows) = sync_channel(1);
        let audit = Audit { to: Some(to), lost: Arc::default(), clock: Some(now) };
        let caller = Caller::socket("root");
        for _ in 0..4 {
            audit.note(&caller, &Request::Do(Command::Reload), Came::Done, "");
        }
        assert_eq!(rows.recv().unwrap().lost, 0);
        audit.note(&caller, &Request::Do(Command::Reload), Came::Done, "");
        assert_eq!(rows.recv().unwrap().lost, 3);
    }
}
