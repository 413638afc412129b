//! The tape's writer: blocks of inputs, compressed, in one segment file a trading day.
//!
//! ```text
//! <folder>/20240131-00000000000000000017.tape         day of its first entry, number of its first entry
//! LBTAPE1\n <event version: u16>                      then blocks:
//! <bytes: u32> <crc32: u32> <zstd of postcard items>  little endian throughout
//! ```
//!
//! The tape is not the truth of anything: it may lose its tail in a crash, and when the disk cannot keep up a live
//! daemon drops entries and leaves a mark of the gap rather than wait. Lockstep waits.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use levibot_core::domain::Ts;
use levibot_core::domain::event::EVENT_VERSION;
use levibot_core::record::tape::{TapeCodecError, encode_items};
use levibot_core::record::{TapeEntry, TapeItem};

/// First bytes of a segment.
pub(super) const MAGIC: &[u8; 8] = b"LBTAPE1\n";
/// Most bytes of a block, packed or not.
pub(super) const BLOCK_BYTES_MAX: usize = 64 << 20;
/// A level that costs less time than writing what it saves.
const ZSTD_LEVEL: i32 = 1;

/// How a tape is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapeOptions {
    /// How many trading days are kept besides the current one.
    pub keep_days: u32,
    /// Whether to wait for a slow disk (lockstep) instead of dropping entries (real time).
    pub wait: bool,
    /// Whether to delete what is there: for a run that is done again from its start.
    pub fresh: bool,
    /// Entries of a block, from 1 to 100,000. A block is written when it is full, at [`TapeWriter::flush`], and when the
    /// day changes.
    pub block_entries_max: usize,
    /// Blocks that may wait for the disk, from 1.
    pub queue_max: usize,
}

impl Default for TapeOptions {
    fn default() -> Self {
        Self { keep_days: 7, wait: false, fresh: false, block_entries_max: 4_096, queue_max: 64 }
    }
}

/// What can go wrong with a tape. Trading goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The system refused.
    #[error("cannot {operation} {path}: check that the disk has room and the folder may be written")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Items that cannot be written or read.
    #[error("a block of {path} at byte {offset} holds no items of this version")]
    Items {
        /// The segment.
        path: PathBuf,
        /// Bytes before the block.
        offset: u64,
        /// Why.
        #[source]
        source: TapeCodecError,
    },
    /// Another file, or another program's.
    #[error("{path} is no tape that this levibot reads: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A block in the middle is damaged.
    #[error("{path} is damaged at byte {offset}: {reason}; the tape can be replayed up to there")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Bytes before the block.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// It failed before.
    #[error("the tape has failed earlier in this run")]
    Failed {
        /// How.
        #[source]
        cause: Arc<TapeError>,
    },
    /// The thread is gone without a word.
    #[error("the tape's thread has ended before its time")]
    ThreadGone,
}

pub(super) fn io_error<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> TapeError + 'a {
    move |source| TapeError::Io { operation, path: path.to_owned(), source }
}

/// How a tape is doing.
#[derive(Debug, Clone, Default)]
pub struct TapeStatus {
    /// Entries handed to the system in this run.
    pub written: u64,
    /// Last entry handed to the system in this run.
    pub last_seq: u64,
    /// Entries dropped in this run because the disk did not keep up or has failed.
    pub dropped: u64,
    /// How it failed, if it did.
    pub failure: Option<Arc<TapeError>>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<TapeStatus>);

impl Shared {
    fn status(&self) -> MutexGuard<'_, TapeStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> TapeError {
        let cause = self.status().failure.clone();
        cause.map_or(TapeError::ThreadGone, |cause| TapeError::Failed { cause })
    }
}

enum Message {
    Block { day: Ts, items: Vec<TapeItem> },
    Sync(SyncSender<()>),
}

/// A tape opened for writing. Dropping it writes out what waits.
#[derive(Debug)]
pub struct TapeWriter {
    options: TapeOptions,
    block: Vec<TapeItem>,
    day: Ts,
    gap: Option<(u64, u64, u64)>,
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl TapeWriter {
    /// Creates the folder if need be and starts the thread. A new segment begins with the first entry; the entries'
    /// numbers go on from [`super::TapeReader::last_seq`].
    ///
    /// # Errors
    /// [`TapeError::Io`].
    pub fn open(dir: &Path, options: TapeOptions) -> Result<Self, TapeError> {
        fs::create_dir_all(dir).map_err(io_error("create the folder", dir))?;
        if options.fresh {
            for segment in segments(dir)? {
                fs::remove_file(&segment.path).map_err(io_error("delete", &segment.path))?;
            }
        }
        let (sender, queue) = sync_channel(options.queue_max.max(1));
        let shared = Arc::new(Shared::default());
        let keep_days = i64::from(options.keep_days);
        let thread = Thread { dir: dir.to_owned(), keep_days, segment: None, shared: Arc::clone(&shared) };
        let builder = std::thread::Builder::new().name("tape".to_owned());
        let thread = builder.spawn(move || thread.run(&queue)).map_err(io_error("start a thread for", dir))?;
        let block_entries_max = options.block_entries_max.clamp(1, 100_000);
        let options = TapeOptions { block_entries_max, ..options };
        let (sender, thread) = (Some(sender), Some(thread));
        Ok(Self { options, block: Vec::new(), day: Ts::EPOCH, gap: None, sender, thread, shared })
    }

    /// Takes an entry. Waits or drops when the disk does not keep up, as the options say.
    ///
    /// # Errors
    /// [`TapeError::Failed`], only when the options say to wait; else entries of a failed tape are counted as dropped.
    pub fn push(&mut self, entry: TapeEntry) -> Result<(), TapeError> {
        if self.block.is_empty() {
            self.day = entry.ts;
        } else if self.day.day() != entry.ts.day() {
            self.flush()?;
            self.day = entry.ts;
        }
        self.block.push(TapeItem::Entry(entry));
        if self.block.len() >= self.options.block_entries_max { self.flush() } else { Ok(()) }
    }

    /// Hands what is gathered to the thread as one block. Call it now and then (a second is a good pace): what is not
    /// handed over is lost with the process.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn flush(&mut self) -> Result<(), TapeError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut items = std::mem::take(&mut self.block);
        if let Some((first, last, entries)) = self.gap {
            items.insert(0, TapeItem::Gap { first, last, entries });
        }
        let Some(sender) = &self.sender else { return Err(TapeError::ThreadGone) };
        let message = Message::Block { day: self.day, items };
        if self.options.wait {
            return sender.send(message).map_err(|_| self.shared.gone());
        }
        match sender.try_send(message) {
            Ok(()) => self.gap = None,
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => self.drop_block(message),
        }
        Ok(())
    }

    fn drop_block(&mut self, message: Message) {
        let Message::Block { items, .. } = message else { return };
        for item in items {
            let TapeItem::Entry(entry) = item else { continue };
            let (first, _, entries) = self.gap.unwrap_or((entry.seq, entry.seq, 0));
            self.gap = Some((first, entry.seq, entries + 1));
            self.shared.status().dropped += 1;
        }
    }

    /// Waits until everything pushed and not dropped is durable.
    ///
    /// # Errors
    /// [`TapeError::Failed`] or [`TapeError::ThreadGone`].
    pub fn sync(&mut self) -> Result<(), TapeError> {
        self.flush()?;
        let (answer, done) = sync_channel(1);
        let sender = self.sender.as_ref().ok_or(TapeError::ThreadGone)?;
        if let Some((first, last, entries)) = self.gap.take() {
            let items = vec![TapeItem::Gap { first, last, entries }];
            sender.send(Message::Block { day: self.day, items }).map_err(|_| self.shared.gone())?;
        }
        sender.send(Message::Sync(answer)).map_err(|_| self.shared.gone())?;
        done.recv().map_err(|_| self.shared.gone())
    }

    /// How it is doing.
    pub fn status(&self) -> TapeStatus {
        self.shared.status().clone()
    }

    /// Writes everything out durably and ends.
    ///
    /// # Errors
    /// [`TapeError::Failed`] or [`TapeError::ThreadGone`].
    pub fn close(mut self) -> Result<TapeStatus, TapeError> {
        self.sync()?;
        Ok(self.status())
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        // A failure stands in the status already.
        let _ = self.flush();
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A segment file, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) day: String,
    pub(super) path: PathBuf,
}

/// The segments of a folder in the order of their entries; none when the folder is not there.
pub(super) fn segments(dir: &Path) -> Result<Vec<Segment>, TapeError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", dir)(error)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("list", dir))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some((day, first)) = name.strip_suffix(".tape").and_then(|stem| stem.split_once('-')) else { continue };
        if let Ok(first) = first.parse()
            && day.len() == 8
        {
            all.push(Segment { first, day: day.to_owned(), path: path.clone() });
        }
    }
    all.sort_unstable();
    Ok(all)
}

struct Thread {
    dir: PathBuf,
    keep_days: i64,
    segment: Option<Open>,
    shared: Arc<Shared>,
}

/// The segment that is written.
struct Open {
    day: i64,
    path: PathBuf,
    file: File,
    offset: u64,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Message>) {
        if let Err(error) = self.serve(queue) {
            self.shared.status().failure = Some(Arc::new(error));
        }
    }

    fn serve(&mut self, queue: &Receiver<Message>) -> Result<(), TapeError> {
        while let Ok(message) = queue.recv() {
            match message {
                Message::Block { day, items } => self.write(day, &items)?,
                Message::Sync(answer) => {
                    if let Some(open) = &self.segment {
                        open.file.sync_data().map_err(io_error("make durable", &open.path))?;
                    }
                    // Nobody may be waiting any more.
                    let _ = answer.send(());
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, ts: Ts, items: &[TapeItem]) -> Result<(), TapeError> {
        let seq_of = |item: &TapeItem| match item {
            TapeItem::Entry(entry) => entry.seq,
            TapeItem::Gap { last, .. } => *last,
        };
        let (first, last) = (items.first().map_or(0, seq_of), items.last().map_or(0, seq_of));
        let entries = items.iter().filter(|item| matches!(item, TapeItem::Entry(_))).count();
        let mut open = match self.segment.take() {
            Some(open) if open.day == ts.day() => open,
            _ => self.begin(ts, first)?,
        };
        let failed = |source| TapeError::Items { path: open.path.clone(), offset: open.offset, source };
        let plain = encode_items(items).map_err(failed)?;
        let packed = zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(io_error("pack a block of", &open.path))?;
        let too_long = || io_error("write a block over 64 MiB to", &open.path)(io::ErrorKind::FileTooLarge.into());
        if plain.len() > BLOCK_BYTES_MAX {
            return Err(too_long());
        }
        let length = u32::try_from(packed.len()).map_err(|_| too_long())?;
        let mut block = Vec::with_capacity(packed.len() + 8);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        block.extend_from_slice(&packed);
        open.file.write_all(&block).map_err(io_error("append to", &open.path))?;
        open.offset += block.len() as u64;
        self.segment = Some(open);
        let mut status = self.shared.status();
        status.written += entries as u64;
        status.last_seq = last;
        Ok(())
    }

    /// Begins a segment and deletes those that are too old. A segment of the same name holds no whole block, for else
    /// its entries' numbers would have been used: it is begun anew.
    fn begin(&self, ts: Ts, first: u64) -> Result<Open, TapeError> {
        let path = self.dir.join(format!("{}-{first:020}.tape", ts.yyyymmdd()));
        let create = || {
            let mut file = File::create(&path)?;
            file.write_all(MAGIC)?;
            file.write_all(&EVENT_VERSION.to_le_bytes())?;
            Ok(file)
        };
        let file = create().map_err(io_error("create", &path))?;
        let days = levibot_core::domain::Span::DAY.times(self.keep_days);
        let oldest = (ts - days).yyyymmdd();
        for segment in segments(&self.dir)? {
            if segment.day < oldest {
                fs::remove_file(&segment.path).map_err(io_error("delete", &segment.path))?;
            }
        }
        Ok(Open { day: ts.day(), path, file, offset: MAGIC.len() as u64 + 2 })
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::Event;
    use levibot_core::record::TapeTarget;

    use super::*;

    #[test]
    fn what_a_slow_disk_makes_us_drop_is_marked() {
        let (sender, queue) = sync_channel(1);
        let options = TapeOptions { block_entries_max: 2, ..TapeOptions::default() };
        let (shared, thread) = (Arc::new(Shared::default()), None);
        let (block, sender) = (Vec::new(), Some(sender));
        let mut tape = TapeWriter { options, block, day: Ts::EPOCH, gap: None, sender, thread, shared };
        let entry = |seq| TapeEntry { seq, ts: Ts::EPOCH, to: TapeTarget::Account, event: Event::FrameEnd };
        for seq in 1..=6 {
            tape.push(entry(seq)).unwrap();
        }
        assert_eq!(tape.status().dropped, 4);
        assert!(matches!(queue.recv(), Ok(Message::Block { items, .. }) if items.len() == 2));
        for seq in 7..=8 {
            tape.push(entry(seq)).unwrap();
        }
        let Ok(Message::Block { items, .. }) = queue.recv() else { panic!("a block") };
        let gap = TapeItem::Gap { first: 3, last: 6, entries: 4 };
        assert_eq!(items, [gap, TapeItem::Entry(entry(7)), TapeItem::Entry(entry(8))]);
        tape.push(entry(9)).unwrap();
        tape.flush().unwrap();
        let Ok(Message::Block { items, .. }) = queue.recv() else { panic!("a block") };
        assert_eq!(items, [TapeItem::Entry(entry(9))], "the mark is made once");
    }
}
