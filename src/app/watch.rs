//! Two ways to ask for a reload besides `levibot reload`: the signal SIGHUP, and a watched file that changes; and one to
//! halt besides `levibot halt`, the signal SIGUSR1. All go through the one queue of orders, so that nothing is read twice at
//! once and each is on record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::hash::sha256;
use levibot_core::domain::{HaltLevel, Reason};
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use super::apart::apart;
use crate::config::Config;
use crate::control::{Command, Desk};
use crate::latch::LatchFile;
use crate::supervisor::AlertChannels;
use crate::telemetry::chain;

/// How often watched files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Of a larger file only so much is compared; no configuration is as large.
const BYTES_MAX: u64 = 4 << 20;

/// What tells that a file may be another one. A link is followed, so that one that is made to point elsewhere shows too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let m: Metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (m.dev(), m.ino()),
            bytes: m.len(),
            modified: (m.mtime(), m.mtime_nsec()),
            changed: (m.ctime(), m.ctime_nsec()),
        })
    }
}

/// A file as it was when it was last read.
#[derive(Debug, Clone)]
struct Known {
    stamp: Option<Stamp>,
    /// Hash of what stood in it; `None` where that could not be used, so that any touch counts as a change.
    digest: Option<[u8; 32]>,
    /// The other stamp that it showed at the last look: it is acted on when it shows it twice.
    seen: Option<Option<Stamp>>,
}

impl Known {
    /// Read at some time and not looked at before that: nobody knows what it held.
    const UNSEEN: Self = Self { stamp: None, digest: None, seen: None };

    fn of(path: &Path) -> Self {
        let stamp = Stamp::of(path);
        Self { stamp, digest: digest(path).ok(), seen: None }
    }
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    // A pipe or a device could block or never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(sha256(&[&bytes]))
}

/// The watched files as they were when they were last read. One that is not there is watched for its coming.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    files: BTreeMap<PathBuf, Known>,
    /// Files that have changed since.
    changed: BTreeSet<PathBuf>,
}

impl Sight {
    /// The files as they are now. Made *before* they are read: what changes while that is done then shows.
    pub(super) fn of(files: Vec<PathBuf>) -> Self {
        let files = files.into_iter().map(|path| (path.clone(), Known::of(&path))).collect();
        Self { files, changed: BTreeSet::new() }
    }

    /// What was looked at before it was read, for the files that are named from now on. One that was not looked at may have
    /// been another when it was read, and so it counts as changed.
    pub(super) fn now_of(mut self, files: Vec<PathBuf>) -> Self {
        let known = |path: PathBuf| {
            let known = self.files.remove(&path).unwrap_or(Known::UNSEEN);
            (path, known)
        };
        Self { files: files.into_iter().map(known).collect(), changed: BTreeSet::new() }
    }

    /// The same, none of which could be used: it is tried again as soon as one is written again, even with what it holds
    /// now, because a file that it names may be there by then.
    pub(super) fn refused(mut self) -> Self {
        self.files.values_mut().for_each(|known| known.digest = None);
        self
    }

    /// Looks at each file; those whose content has changed, once none of them changes any more. They are told again until
    /// they have been read.
    fn look(&mut self) -> Vec<PathBuf> {
        let mut settled = true;
        for (path, known) in &mut self.files {
            let stamp = Stamp::of(path);
            if stamp == known.stamp {
                known.seen = None;
                continue;
            }
            if known.seen.replace(stamp) != Some(stamp) {
                settled = false;
                continue;
            }
            let now = Known::of(path);
            if now.stamp != stamp {
                settled = false;
            } else {
                if now.digest != known.digest || now.digest.is_none() {
                    self.changed.insert(path.clone());
                }
                *known = now;
            }
        }
        if settled { self.changed.iter().cloned().collect() } else { Vec::new() }
    }
}

/// What the watch and the clerk share. Nobody holds it while a file is waited for.
pub(super) type SharedSight = Arc<ArcSwap<Sight>>;

/// Asks for a reload whenever watched files have changed, as long as the configuration in force wants it. Never ends.
pub(super) async fn files(sight: SharedSight, live: Arc<ArcSwap<Config>>, desk: Desk, alerts: AlertChannels) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if !live.load().run.watch {
            continue;
        }
        let changed = look(&sight).await;
        if !changed.is_empty() {
            let names = changed.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            tracing::info!(files = names, "watched files have changed");
            ask(&desk, "file watch", &alerts).await;
        }
    }
}

/// Looks at a copy, because a file system may be slow to answer. What a reload has put there meanwhile stands.
async fn look(sight: &SharedSight) -> Vec<PathBuf> {
    let before = sight.load_full();
    let mut copy = Sight::clone(&before);
    let looked = apart(move || {
        let changed = copy.look();
        (copy, changed)
    });
    let Ok((after, changed)) = looked.await else { return Vec::new() };
    let found = sight.compare_and_swap(&before, Arc::new(after));
    if Arc::ptr_eq(&found, &before) { changed } else { Vec::new() }
}

/// Asks for a reload at each SIGHUP.
pub(super) async fn hang_ups(mut signals: Signal, desk: Desk, alerts: AlertChannels) {
    while signals.recv().await.is_some() {
        ask(&desk, "SIGHUP", &alerts).await;
    }
}

/// Halts the account at each SIGUSR1, so far that positions are only reduced.
///
/// The latch file is written besides, on a thread of its own: it halts the account also where the clerk hangs.
pub(super) async fn halts(mut signals: Signal, latch: LatchFile, desk: Desk) {
    const BY: &str = "SIGUSR1";
    while signals.recv().await.is_some() {
        let (level, text) = (HaltLevel::ReduceOnly, "the signal SIGUSR1".to_owned());
        let (latch, reason) = (latch.clone(), Reason { by: BY.to_owned(), text: text.clone() });
        let raise = apart(move || latch.raise(level, &reason).map_err(|error| chain(&error)));
        let told = desk.see_through(Command::Halt { level, reason: text }, BY);
        let (raised, told) = tokio::join!(raise, told);
        if let Err(why) = raised.and_then(|raised| raised) {
            tracing::error!(why, "the latch file of the halt that SIGUSR1 asked for is not written");
        }
        if let Err(why) = told {
            tracing::error!(why, "the halt that SIGUSR1 asked for is not in force");
        }
    }
}

/// Nobody waits for the outcome of these: a refusal is told as an alert, however late it comes, and one that is still under
/// way is not asked for again.
async fn ask(desk: &Desk, by: &str, alerts: &AlertChannels) {
    if let Err(why) = desk.see_through(Command::Reload, by).await {
        let text = format!("the configuration was not taken over ({by}): {why}");
        alerts.send(&Alert::warning(Topic::Configuration, None, text));
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
