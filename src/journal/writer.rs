//! The journal's writer: records are encoded by their owner and written by a thread with group commit.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use levibot_core::domain::Ts;
use levibot_core::record::{Chain, Envelope, Record};
use nix::fcntl::Flock;

use super::recovery::{Recovery, cut_tail, io_error, lock, open_file, scan};
use super::verify::{Compared, Verifier};
use super::{Durability, Durable, JOURNAL_FILE, JournalError, Notice, Notify, Options, WhenFull};

/// Most bytes that one commit gathers before it looks at the disk again.
const COMMIT_BYTES_MAX: usize = 4 << 20;

/// The journal of one data folder, opened for appending. Holds the folder's lock as long as it lives; dropping it
/// writes out what waits.
#[derive(Debug)]
pub struct Journal {
    head: Chain,
    offset: u64,
    verifier: Option<Verifier>,
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    options: Options,
    path: PathBuf,
    _lock: Flock<File>,
}

/// A look at a journal from elsewhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JournalWatch {
    shared: Arc<Shared>,
}

impl JournalWatch {
    /// Up to where the journal is durable.
    pub fn durable(&self) -> Durable {
        self.shared.state().durable
    }

    /// How the journal failed, if it did.
    pub fn failure(&self) -> Option<Arc<JournalError>> {
        self.shared.state().failure.clone()
    }
}

#[derive(Debug)]
struct State {
    durable: Durable,
    failure: Option<Arc<JournalError>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain values: a panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, durable: Durable) {
        self.state().durable = durable;
        self.changed.notify_all();
    }

    /// The first failure stays.
    fn fail(&self, error: JournalError) -> Arc<JournalError> {
        let cause = Arc::clone(self.state().failure.get_or_insert_with(|| Arc::new(error)));
        self.changed.notify_all();
        cause
    }

    fn healthy(&self) -> Result<(), JournalError> {
        match &self.state().failure {
            Some(cause) => Err(JournalError::Failed { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// What to say when the thread does not answer.
    fn gone(&self) -> JournalError {
        self.healthy().err().unwrap_or(JournalError::ThreadGone)
    }
}

enum Message {
    /// Lines to append, none when they stand there already, and what is durable with them.
    Lines { bytes: Vec<u8>, end: Durable },
    /// Answer when everything before is on disk.
    Flush(SyncSender<()>),
}

impl Journal {
    /// Takes the folder, reads the whole journal, gives each record to `each`, and opens it for appending.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another daemon has the folder, [`JournalError::Damaged`] when anything but an
    /// incomplete last line is wrong, [`JournalError::Io`].
    pub fn open(
        dir: &Path,
        options: Options,
        notify: Notify,
        each: &mut dyn FnMut(Envelope),
    ) -> Result<(Self, Recovery), JournalError> {
        Self::open_if(dir, options, notify, each, |_| Ok(()))
    }

    /// [`Self::open`] that asks, before anything of the journal is changed, whether it may be: `may` is given what was found.
    ///
    /// # Errors
    /// As [`Self::open`], and what `may` says.
    pub fn open_if<E: From<JournalError>>(
        dir: &Path,
        options: Options,
        notify: Notify,
        each: &mut dyn FnMut(Envelope),
        may: impl FnOnce(&Recovery) -> Result<(), E>,
    ) -> Result<(Self, Recovery), E> {
        let lock = lock(dir)?;
        let path = dir.join(JOURNAL_FILE);
        let mut recovery =
            if path.exists() { scan(&path, each)? } else { Recovery { head: Chain::default(), offset: 0, torn: None } };
        may(&recovery)?;
        let (file, path) = open_file(dir)?;
        if let Some(torn) = &mut recovery.torn {
            torn.kept = Some(cut_tail(dir, &path, &file, recovery.offset, torn.seq)?);
        }
        // What a killed process wrote may be in the system's memory only; from here on it is a fact.
        file.sync_all().map_err(io_error("make durable", &path))?;
        let end = Durable { head: recovery.head, offset: recovery.offset };
        let journal = Self::start(file, path, lock, end, None, options, notify)?;
        Ok((journal, recovery))
    }

    /// Takes the folder for a lockstep run that is done again from its start. As long as the existing journal has
    /// lines, appended records are compared with them and nothing is written; from its end on, its torn tail cut off,
    /// they are appended. The file becomes that of a run that was never interrupted. A full queue blocks.
    ///
    /// # Errors
    /// [`JournalError::Locked`] or [`JournalError::Io`].
    pub fn open_verifying(dir: &Path, options: Options, notify: Notify) -> Result<Self, JournalError> {
        let lock = lock(dir)?;
        let (file, path) = open_file(dir)?;
        file.sync_all().map_err(io_error("make durable", &path))?;
        let (existing, _) = open_file(dir)?;
        let verifier = Some(Verifier::new(dir, &path, existing));
        let options = Options { when_full: WhenFull::Block, ..options };
        let start = Durable { head: Chain::default(), offset: 0 };
        Self::start(file, path, lock, start, verifier, options, notify)
    }

    fn start(
        file: File,
        path: PathBuf,
        lock: Flock<File>,
        end: Durable,
        verifier: Option<Verifier>,
        options: Options,
        notify: Notify,
    ) -> Result<Self, JournalError> {
        let (sender, queue) = sync_channel(options.queue_max.max(1));
        let shared =
            Arc::new(Shared { state: Mutex::new(State { durable: end, failure: None }), changed: Condvar::new() });
        let writer = Writer {
            file,
            path: path.clone(),
            durability: options.durability,
            queue,
            shared: Arc::clone(&shared),
            notify,
            bytes: Vec::new(),
            end: None,
            flushed: Vec::new(),
            unsynced: false,
        };
        let builder = std::thread::Builder::new().name("journal".to_owned());
        let thread = builder.spawn(move || writer.run()).map_err(io_error("start a thread for", &path))?;
        Ok(Self {
            head: end.head,
            offset: end.offset,
            verifier,
            sender: Some(sender),
            thread: Some(thread),
            shared,
            options,
            path,
            _lock: lock,
        })
    }

    /// Gives records to the journal and returns their numbers at once; they are durable when [`Notice::Durable`] says
    /// so. All of the batch is taken or nothing.
    ///
    /// # Errors
    /// [`JournalError::Record`] for a record that cannot be written, [`JournalError::Stalled`] for a full queue: both
    /// leave the journal as it was. [`JournalError::Failed`], final, once the disk has failed or a repeated run met
    /// another journal than its own; its cause is then [`JournalError::Diverged`] or [`JournalError::Damaged`].
    pub fn append(&mut self, batch: &[(Ts, Record)]) -> Result<Range<u64>, JournalError> {
        self.shared.healthy()?;
        let (mut head, mut bytes) = (self.head, Vec::with_capacity(batch.len() * 640));
        let mut lines = Vec::new();
        for (ts, record) in batch {
            let (before, start) = (head, bytes.len());
            let seq = before.seq + 1;
            head.encode(*ts, record, &mut bytes).map_err(|source| JournalError::Record { seq, source })?;
            if self.verifier.is_some() {
                lines.push((before, start..bytes.len()));
            }
        }
        let end = Durable { head, offset: self.offset + bytes.len() as u64 };
        if self.verifier.is_some() {
            let known = self.compare(&bytes, &lines).map_err(|error| self.final_failure(error))?;
            bytes.drain(..known);
        }
        self.send(Message::Lines { bytes, end })?;
        let first = self.head.seq + 1;
        (self.head, self.offset) = (end.head, end.offset);
        Ok(first..end.head.seq + 1)
    }

    /// How many of the bytes stand in the journal already.
    fn compare(&mut self, bytes: &[u8], lines: &[(Chain, Range<usize>)]) -> Result<usize, JournalError> {
        for (before, line) in lines {
            let Some(verifier) = &mut self.verifier else { break };
            let at = self.offset + line.start as u64;
            if verifier.compare(&bytes[line.clone()], *before, at)? == Compared::End {
                self.verifier = None;
                return Ok(line.start);
            }
        }
        Ok(bytes.len())
    }

    fn final_failure(&self, error: JournalError) -> JournalError {
        JournalError::Failed { cause: self.shared.fail(error) }
    }

    fn send(&self, message: Message) -> Result<(), JournalError> {
        let Some(sender) = &self.sender else { return Err(JournalError::ThreadGone) };
        match self.options.when_full {
            WhenFull::Block => sender.send(message).map_err(|_| self.shared.gone()),
            WhenFull::Refuse => sender.try_send(message).map_err(|error| match error {
                TrySendError::Full(_) => JournalError::Stalled { queue_max: self.options.queue_max.max(1) },
                TrySendError::Disconnected(_) => self.shared.gone(),
            }),
        }
    }

    /// The last record taken, durable or not.
    pub const fn head(&self) -> Chain {
        self.head
    }

    /// Up to where the journal is durable.
    pub fn durable(&self) -> Durable {
        self.shared.state().durable
    }

    /// Whether records are still compared with an existing journal.
    pub const fn is_verifying(&self) -> bool {
        self.verifier.is_some()
    }

    /// A look at this journal for others.
    pub fn watch(&self) -> JournalWatch {
        JournalWatch { shared: Arc::clone(&self.shared) }
    }

    /// Waits until a record (the last taken, if `seq` is beyond it) is durable. For lockstep and tools: a live host
    /// goes by [`Notice`].
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn wait_durable(&self, seq: u64) -> Result<Durable, JournalError> {
        let seq = seq.min(self.head.seq);
        let mut state = self.shared.state();
        loop {
            if state.durable.head.seq >= seq {
                return Ok(state.durable);
            }
            if let Some(cause) = &state.failure {
                return Err(JournalError::Failed { cause: Arc::clone(cause) });
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until everything taken survives the death of the machine, whatever the [`Durability`].
    ///
    /// # Errors
    /// [`JournalError::Failed`] or [`JournalError::ThreadGone`].
    pub fn flush(&self) -> Result<Durable, JournalError> {
        let (answer, done) = sync_channel(1);
        let sender = self.sender.as_ref().ok_or(JournalError::ThreadGone)?;
        sender.send(Message::Flush(answer)).map_err(|_| self.shared.gone())?;
        done.recv().map_err(|_| self.shared.gone())?;
        self.shared.healthy()?;
        Ok(self.durable())
    }

    /// For a repeated run that has come to its end: whether its journal ends there too.
    ///
    /// # Errors
    /// [`JournalError::EndedEarly`] when the journal has more records, [`JournalError::Io`].
    pub fn check_end(&mut self) -> Result<(), JournalError> {
        if let Some(verifier) = &mut self.verifier
            && verifier.has_more()?
        {
            return Err(JournalError::EndedEarly { path: self.path.clone(), seq: self.head.seq, offset: self.offset });
        }
        Ok(())
    }

    /// Writes everything out, lets the folder go and tells whether all of it is durable.
    ///
    /// # Errors
    /// [`JournalError::Failed`], [`JournalError::ThreadGone`], or [`JournalError::EndedEarly`] when a repeated run
    /// ended before its journal.
    pub fn close(mut self) -> Result<Durable, JournalError> {
        self.end()?;
        self.shared.healthy()?;
        self.check_end()?;
        Ok(self.durable())
    }

    fn end(&mut self) -> Result<(), JournalError> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(self.shared.gone()),
            _ => Ok(()),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A failure was told by the notice already.
        let _ = self.end();
    }
}

/// The thread's side.
struct Writer {
    file: File,
    path: PathBuf,
    durability: Durability,
    queue: Receiver<Message>,
    shared: Arc<Shared>,
    notify: Notify,
    bytes: Vec<u8>,
    end: Option<Durable>,
    flushed: Vec<SyncSender<()>>,
    unsynced: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Says that the thread is gone if it leaves by a panic of the callback.
struct Farewell {
    shared: Arc<Shared>,
    in_order: bool,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if !self.in_order {
            self.shared.fail(JournalError::ThreadGone);
        }
    }
}

impl Writer {
    fn run(mut self) {
        let mut farewell = Farewell { shared: Arc::clone(&self.shared), in_order: false };
        if let Err(error) = self.serve() {
            let cause = self.shared.fail(error);
            (self.notify)(Notice::Failed(cause));
        }
        farewell.in_order = true;
    }

    fn serve(&mut self) -> Result<(), JournalError> {
        while let Ok(message) = self.queue.recv() {
            self.take(message);
            while self.bytes.len() < COMMIT_BYTES_MAX {
                let Ok(message) = self.queue.try_recv() else { break };
                self.take(message);
            }
            self.commit()?;
        }
        self.sync()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Lines { bytes, end } => {
                self.bytes.extend_from_slice(&bytes);
                self.end = Some(end);
            }
            Message::Flush(answer) => self.flushed.push(answer),
        }
    }

    /// One write, at most one sync, one notice for all that waited. An error is never tried again: after a failed sync
    /// the system may have forgotten what it could not write.
    fn commit(&mut self) -> Result<(), JournalError> {
        if !self.bytes.is_empty() {
            self.file.write_all(&self.bytes).map_err(io_error("append to", &self.path))?;
            self.bytes.clear();
            self.unsynced = true;
        }
        if self.durability == Durability::EveryBatch || !self.flushed.is_empty() {
            self.sync()?;
        }
        if let Some(end) = self.end.take() {
            self.shared.publish(end);
            (self.notify)(Notice::Durable(end));
        }
        for answer in self.flushed.drain(..) {
            // Nobody may be waiting any more.
            let _ = answer.send(());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data().map_err(io_error("make durable", &self.path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
