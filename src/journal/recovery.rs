//! Taking possession of a data folder: lock, read, cut off a torn tail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use levibot_core::record::{Chain, Envelope, JournalReader, ReadFault};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{JOURNAL_FILE, JournalError, LOCK_FILE};

/// What opening a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The last whole record and its hash.
    pub head: Chain,
    /// Bytes of whole lines.
    pub offset: u64,
    /// The incomplete last line, if there was one.
    pub torn: Option<TornTail>,
}

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The record and its hash.
    pub head: Chain,
    /// Bytes of the journal up to its end.
    pub offset: u64,
}

/// The incomplete last line of a writer that died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The record it would have been.
    pub seq: u64,
    /// How long it is.
    pub bytes: u64,
    /// Where it is kept; `None` while it still stands in the journal.
    pub kept: Option<PathBuf>,
}

/// Makes an error of a failed operation on a path.
pub(super) fn io_error<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { operation, path: path.to_owned(), source }
}

/// Creates the folder if need be and takes its lock, which is held as long as the value lives.
pub(super) fn lock(dir: &Path) -> Result<Flock<File>, JournalError> {
    fs::create_dir_all(dir).map_err(io_error("create the folder", dir))?;
    let path = dir.join(LOCK_FILE);
    // The content is looked at before anything is written: it names the process that holds the lock.
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(io_error("open the lock file", &path))?;
    let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
            return Err(JournalError::Locked { path, pid });
        }
        Err((_, errno)) => return Err(io_error("lock", &path)(errno.into())),
    };
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut lock).map_err(io_error("write the lock file", &path))?;
    Ok(lock)
}

/// Opens the journal for reading and appending, creating an empty one.
pub(super) fn open_file(dir: &Path) -> Result<(File, PathBuf), JournalError> {
    let path = dir.join(JOURNAL_FILE);
    let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
    let file = open.map_err(io_error("open the journal", &path))?;
    sync_dir(dir)?;
    Ok((file, path))
}

/// Makes names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(io_error("make durable the folder", dir))
}

/// Reads a whole journal without changing it and gives each record to `each`. Needs no lock: a line that is just being
/// written is reported as torn.
///
/// # Errors
/// [`JournalError::Io`], or [`JournalError::Damaged`] at the first line that does not follow from those before it.
pub fn scan(path: &Path, each: &mut dyn FnMut(Envelope)) -> Result<Recovery, JournalError> {
    scan_places(path, &mut |envelope, _| each(envelope))
}

/// [`scan`] that gives each record with the journal's head after it and its end in bytes.
///
/// # Errors
/// As [`scan`].
pub fn scan_places(path: &Path, each: &mut dyn FnMut(Envelope, Place)) -> Result<Recovery, JournalError> {
    let file = File::open(path).map_err(io_error("open the journal", path))?;
    let mut reader = JournalReader::new(BufReader::with_capacity(1 << 20, &file));
    let mut torn = None;
    while let Some(item) = reader.next() {
        match item {
            Ok((envelope, offset)) => each(envelope, Place { head: reader.head(), offset }),
            Err(fault) if fault.is_torn_tail() => {
                let length = file.metadata().map_err(io_error("measure", path))?.len();
                torn = Some(length.saturating_sub(fault.offset()));
            }
            Err(ReadFault::Io { source, .. }) => return Err(io_error("read", path)(source)),
            Err(ReadFault::Line { offset, seq, fault }) => {
                return Err(JournalError::Damaged { path: path.to_owned(), offset, seq, fault });
            }
        }
    }
    let (head, offset) = (reader.head(), reader.offset());
    let torn = torn.map(|bytes| TornTail { seq: head.seq + 1, bytes, kept: None });
    Ok(Recovery { head, offset, torn })
}

/// Cuts the file to `offset`. What stood there goes first to `journal.torn-<seq>` (or `-2`, `-3` ... after it) and is
/// durable there.
pub(super) fn cut_tail(dir: &Path, path: &Path, file: &File, offset: u64, seq: u64) -> Result<PathBuf, JournalError> {
    let mut name = dir.join(format!("journal.torn-{seq}"));
    let mut copy = 1_u32;
    let mut aside = loop {
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(file) => break file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && copy < 1_000 => {
                copy += 1;
                name = dir.join(format!("journal.torn-{seq}-{copy}"));
            }
            Err(error) => return Err(io_error("create", &name)(error)),
        }
    };
    let copy = |aside: &mut File| {
        let mut from = file;
        from.seek(SeekFrom::Start(offset))?;
        io::copy(&mut from, aside)?;
        aside.sync_all()
    };
    copy(&mut aside).map_err(io_error("keep the torn line in", &name))?;
    sync_dir(dir)?;
    truncate(path, file, offset)?;
    Ok(name)
}

/// Cuts the file to `offset`, durably.
pub(super) fn truncate(path: &Path, file: &File, offset: u64) -> Result<(), JournalError> {
    file.set_len(offset).and_then(|()| file.sync_all()).map_err(io_error("cut the torn line off", path))
}
