//! The journal and the tape on disk.
//!
//! [`Journal`] appends records from a thread of its own with group commit: whatever waits is written at once and made
//! durable by one `fdatasync`. A host acts on a record only once the journal says that it is durable. A journal that
//! failed stays failed: no more records, so no new orders, until a person has looked at the disk.
//!
//! Nothing that was once durable is ever repaired in silence. Opening cuts off one thing alone, the incomplete last line
//! of a writer that died, and keeps it aside.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use levibot_core::record::{Chain, EncodeError, LineFault};

mod damage;
mod recovery;
pub mod tape;
mod tape_reader;
mod verify;
mod writer;

pub use damage::Damage;
pub use recovery::{Place, Recovery, TornTail, scan, scan_places};
pub use tape::{TapeError, TapeOptions, TapeStatus, TapeWriter};
pub use tape_reader::{TapeReader, TornBlock};
pub use writer::{Journal, JournalWatch};

/// The journal's name in its data folder.
pub const JOURNAL_FILE: &str = "journal.lbj";
/// The name of the file whose lock keeps a second daemon off the data folder.
pub const LOCK_FILE: &str = "levibot.lock";

/// When a record counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After an `fdatasync`: it survives the death of the machine. For everything that may send an order to a venue.
    #[default]
    EveryBatch,
    /// After it was handed to the system: it survives the death of the process. Made to survive the machine by
    /// [`Journal::flush`] and at the end. For replays, which can be run again from their start.
    AtFlush,
}

/// What an append does when the thread cannot keep up and the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Fails with [`JournalError::Stalled`]: a live account must not hang with its disk.
    #[default]
    Refuse,
    /// Waits. For lockstep, where time stands still meanwhile.
    Block,
}

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When a record counts as durable.
    pub durability: Durability,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// Most batches that wait for the disk, from 1.
    pub queue_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::default(), when_full: WhenFull::default(), queue_max: 4_096 }
    }
}

/// Up to where the journal is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// The last durable record and its hash.
    pub head: Chain,
    /// Bytes of the file up to its end.
    pub offset: u64,
}

/// What the journal's thread tells.
#[derive(Debug, Clone)]
pub enum Notice {
    /// More records are durable. One notice may cover many.
    Durable(Durable),
    /// The journal is lost for this run: records after the last durable one may or may not be on disk. Told once.
    Failed(Arc<JournalError>),
}

/// Who is told. Called on the journal's thread, so it must neither block nor call the journal back.
pub type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// What a difference at the very beginning mostly comes from.
const fn of_its_first_records(seq: u64) -> &'static str {
    match seq {
        1 | 2 => {
            " (where an earlier version of levibot began it and was interrupted, this one cannot go on: let that version \
             finish it)"
        }
        _ => "",
    }
}

/// What can go wrong with a journal. None of it is cured by trying again in the same run but [`JournalError::Stalled`],
/// [`JournalError::Locked`] and [`JournalError::Record`].
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("cannot {operation} {path}: check that the disk has room and the folder may be written, then start again")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Another daemon has the folder.
    #[error("another levibot (process {pid}) is using {path}: stop it, or give this one a data folder of its own")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the lock file says; `unknown` when it says nothing.
        pid: String,
    },
    /// A line in the middle is not the record that belongs there.
    #[error(
        "{path} is damaged at line {seq} (record {seq}, byte {offset}): nothing was changed; look at it with `levibot \
         audit`, restore a backup, or start on a new data folder"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Bytes before the line.
        offset: u64,
        /// The record that was expected, which is also the line's number.
        seq: u64,
        /// What is wrong.
        #[source]
        fault: LineFault,
    },
    /// A record that cannot be written. Nothing of its batch was.
    #[error("record {seq} cannot be put on the journal: this is a fault of the program, please report it")]
    Record {
        /// The number it would have had.
        seq: u64,
        /// Why.
        #[source]
        source: EncodeError,
    },
    /// The disk is too slow and the queue is full. Nothing of the batch was taken.
    #[error("the journal's disk does not keep up: the most that may wait, {queue_max} batches, wait for it")]
    Stalled {
        /// The queue's bound.
        queue_max: usize,
    },
    /// It failed before.
    #[error("the journal has failed earlier in this run and takes no more records")]
    Failed {
        /// How.
        #[source]
        cause: Arc<JournalError>,
    },
    /// The thread is gone without a word, as after a panic in the callback.
    #[error("the journal's thread has ended before its time: start again")]
    ThreadGone,
    /// A run that is done again does something else than it did.
    #[error(
        "the run differs from its journal {path} at record {seq} (byte {offset}), so it cannot be taken up again{}; run \
         it on a new data folder; the journal has {journaled}, this run has {repeated}",
        of_its_first_records(*seq)
    )]
    Diverged {
        /// The journal.
        path: PathBuf,
        /// The record.
        seq: u64,
        /// Bytes before its line.
        offset: u64,
        /// JSON in the journal.
        journaled: String,
        /// JSON of this run.
        repeated: String,
    },
    /// A run that is done again ended before its journal does.
    #[error(
        "the run ended after record {seq} (byte {offset}) while its journal {path} goes on: it differs from the run that \
         wrote it; run it on a new data folder"
    )]
    EndedEarly {
        /// The journal.
        path: PathBuf,
        /// Last record of this run.
        seq: u64,
        /// Bytes up to its end.
        offset: u64,
    },
}
