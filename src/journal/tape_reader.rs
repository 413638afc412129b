//! Reading a tape, block by block and segment by segment.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use levibot_core::domain::event::EVENT_VERSION;
use levibot_core::record::TapeItem;
use levibot_core::record::tape::decode_items;

use super::tape::{BLOCK_BYTES_MAX, MAGIC, Segment, TapeError, io_error, segments};

/// The incomplete last block of a segment whose writer died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornBlock {
    /// The segment.
    pub path: PathBuf,
    /// Bytes of whole blocks before it.
    pub offset: u64,
}

/// An iterator over the items of a folder's segments, in the order of their numbers. Holds one block in memory. Torn
/// last blocks are passed over and listed; anything else that is wrong ends the iteration with an error.
#[derive(Debug)]
pub struct TapeReader {
    segments: VecDeque<Segment>,
    open: Option<Reading>,
    items: std::vec::IntoIter<TapeItem>,
    torn: Vec<TornBlock>,
    stopped: bool,
}

#[derive(Debug)]
struct Reading {
    path: PathBuf,
    file: BufReader<File>,
    length: u64,
    offset: u64,
}

impl TapeReader {
    /// Lists the segments. A folder that is not there is an empty tape.
    ///
    /// # Errors
    /// [`TapeError::Io`].
    pub fn open(dir: &Path) -> Result<Self, TapeError> {
        let segments = segments(dir)?.into();
        Ok(Self { segments, open: None, items: Vec::new().into_iter(), torn: Vec::new(), stopped: false })
    }

    /// The number of the last entry of a tape, 0 for an empty one: where a sequencer goes on. Reads the newest segment
    /// that has an entry.
    ///
    /// # Errors
    /// As the iteration.
    pub fn last_seq(dir: &Path) -> Result<u64, TapeError> {
        for segment in segments(dir)?.into_iter().rev() {
            let mut reader = Self::open(dir)?;
            reader.segments = VecDeque::from([segment]);
            let mut last = None;
            for item in reader {
                match item? {
                    TapeItem::Entry(entry) => last = Some(entry.seq),
                    TapeItem::Gap { last: dropped, .. } => last = last.max(Some(dropped)),
                }
            }
            if let Some(last) = last {
                return Ok(last);
            }
        }
        Ok(0)
    }

    /// The torn blocks met so far.
    pub fn torn(&self) -> &[TornBlock] {
        &self.torn
    }

    fn read(&mut self) -> Result<Option<TapeItem>, TapeError> {
        loop {
            if let Some(item) = self.items.next() {
                return Ok(Some(item));
            }
            let mut reading = match self.open.take() {
                Some(reading) => reading,
                None => match self.segments.pop_front() {
                    Some(segment) => match Reading::begin(segment.path)? {
                        Begun::Reading(reading) => reading,
                        Begun::Torn(torn) => {
                            self.torn.push(torn);
                            continue;
                        }
                    },
                    None => return Ok(None),
                },
            };
            match reading.block()? {
                Block::Items(items) => {
                    self.items = items.into_iter();
                    self.open = Some(reading);
                }
                Block::Torn => self.torn.push(TornBlock { path: reading.path, offset: reading.offset }),
                Block::End => {}
            }
        }
    }
}

impl Iterator for TapeReader {
    type Item = Result<TapeItem, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let item = self.read().transpose();
        self.stopped = !matches!(item, Some(Ok(_)));
        item
    }
}

enum Begun {
    Reading(Reading),
    Torn(TornBlock),
}

enum Block {
    Items(Vec<TapeItem>),
    Torn,
    End,
}

impl Reading {
    fn begin(path: PathBuf) -> Result<Begun, TapeError> {
        let file = File::open(&path).map_err(io_error("open", &path))?;
        let length = file.metadata().map_err(io_error("measure", &path))?.len();
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut head = [0; 10];
        if length < head.len() as u64 {
            return Ok(Begun::Torn(TornBlock { path, offset: 0 }));
        }
        file.read_exact(&mut head).map_err(io_error("read", &path))?;
        let version = u16::from_le_bytes([head[8], head[9]]);
        if !head.starts_with(MAGIC) {
            return Err(TapeError::Foreign { path, reason: "it does not begin with LBTAPE1".to_owned() });
        }
        if version != EVENT_VERSION {
            let reason = format!("its events are version {version}, this levibot's are {EVENT_VERSION}");
            return Err(TapeError::Foreign { path, reason });
        }
        Ok(Begun::Reading(Self { path, file, length, offset: head.len() as u64 }))
    }

    /// The next block. A bad block that reaches the end of the file is torn; before the end it is damage.
    fn block(&mut self) -> Result<Block, TapeError> {
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Block::End);
        }
        if left < 8 {
            return Ok(Block::Torn);
        }
        let mut head = [0; 8];
        self.file.read_exact(&mut head).map_err(io_error("read", &self.path))?;
        let bytes = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let whole = u64::from(bytes) + 8;
        if whole > left {
            return Ok(Block::Torn);
        }
        let (path, offset) = (self.path.clone(), self.offset);
        let damaged = |reason| TapeError::Damaged { path, offset, reason };
        if bytes == 0 {
            return if self.only_zeros_left()? { Ok(Block::Torn) } else { Err(damaged("an empty block")) };
        }
        let mut packed = Vec::new();
        let mut limited = self.file.by_ref().take(u64::from(bytes));
        limited.read_to_end(&mut packed).map_err(io_error("read", &self.path))?;
        if crc32fast::hash(&packed) != crc {
            return if whole == left { Ok(Block::Torn) } else { Err(damaged("a checksum does not agree")) };
        }
        let plain = zstd::bulk::decompress(&packed, BLOCK_BYTES_MAX).map_err(|_| damaged("it cannot be unpacked"))?;
        let items = decode_items(&plain).map_err(|source| {
            let path = self.path.clone();
            TapeError::Items { path, offset: self.offset, source }
        })?;
        self.offset += whole;
        Ok(Block::Items(items))
    }

    /// Whether the rest is what a file system leaves of bytes that never reached the disk.
    fn only_zeros_left(&mut self) -> Result<bool, TapeError> {
        let mut buffer = [0; 4_096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(read) if buffer[..read].iter().all(|b| *b == 0) => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("read", &self.path)(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use levibot_core::domain::{Event, Ix, Quote, Span, Ts};
    use levibot_core::record::{TapeEntry, TapeTarget};

    use super::super::{TapeOptions, TapeWriter};
    use super::*;

    fn entry(seq: u64, day: i64) -> TapeEntry {
        let ts = Ts::from_secs(1_700_000_000) + Span::DAY.times(day);
        let quote = Quote { ts, bid: seq as f64, ask: seq as f64 + 0.1, bid_size: 1.0, ask_size: 2.0 };
        TapeEntry { seq, ts, to: TapeTarget::Engine(Ix(3)), event: Event::Quote { instrument: Ix(3), quote } }
    }

    fn options() -> TapeOptions {
        TapeOptions { wait: true, block_entries_max: 5, ..TapeOptions::default() }
    }

    fn write(dir: &Path, entries: impl Iterator<Item = TapeEntry>) {
        let mut tape = TapeWriter::open(dir, options()).unwrap();
        for entry in entries {
            tape.push(entry).unwrap();
        }
        assert_eq!(tape.close().unwrap().dropped, 0);
    }

    fn seqs(dir: &Path) -> (Vec<u64>, Vec<TornBlock>) {
        let mut reader = TapeReader::open(dir).unwrap();
        let seqs = reader.by_ref().map(|item| match item.unwrap() {
            TapeItem::Entry(entry) => {
                assert_eq!(
                    entry,
                    self::entry(entry.seq, (entry.ts - self::entry(0, 0).ts).nanos() / Span::DAY.nanos())
                );
                entry.seq
            }
            TapeItem::Gap { .. } => 0,
        });
        (seqs.collect(), reader.torn().to_vec())
    }

    #[test]
    fn entries_come_back_in_order_across_days_and_restarts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(TapeReader::last_seq(dir.path()).unwrap(), 0);
        write(dir.path(), (1..=12).map(|n| entry(n, n as i64 / 6)));
        assert_eq!(TapeReader::last_seq(dir.path()).unwrap(), 12);
        write(dir.path(), (13..=14).map(|n| entry(n, 2)));
        assert_eq!(seqs(dir.path()), ((1..=14).collect(), vec![]));
        let fresh = TapeOptions { fresh: true, ..options() };
        drop(TapeWriter::open(dir.path(), fresh).unwrap());
        assert_eq!(seqs(dir.path()), (vec![], vec![]));
    }

    #[test]
    fn old_days_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let mut tape = TapeWriter::open(dir.path(), TapeOptions { keep_days: 2, ..options() }).unwrap();
        for n in 0..10 {
            tape.push(entry(n + 1, n as i64)).unwrap();
        }
        drop(tape);
        assert_eq!(seqs(dir.path()).0, [8, 9, 10]);
    }

    #[test]
    fn a_tape_cut_at_any_byte_keeps_its_whole_blocks_and_its_later_segments() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), (1..=12).map(|n| entry(n, 0)));
        let path = segments(dir.path()).unwrap().remove(0).path;
        write(dir.path(), (13..=14).map(|n| entry(n, 0)));
        let bytes = fs::read(&path).unwrap();
        let mut seen = Vec::new();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let (mut read, torn) = seqs(dir.path());
            assert_eq!(read.split_off(read.len() - 2), [13, 14]);
            assert_eq!(read, (1..=read.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
            assert!(torn.len() <= 1 && (torn.len() == 1 || [0, 5, 10, 12].contains(&read.len())));
            seen.push(read.len());
        }
        seen.dedup();
        assert_eq!(seen, [0, 5, 10, 12]);
        fs::write(&path, [bytes.as_slice(), &[0; 100]].concat()).unwrap();
        assert_eq!(seqs(dir.path()).1, [TornBlock { path, offset: bytes.len() as u64 }]);
    }

    #[test]
    fn damage_in_the_middle_and_other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), (1..=12).map(|n| entry(n, 0)));
        let path = segments(dir.path()).unwrap().remove(0).path;
        let bytes = fs::read(&path).unwrap();
        let first_error = || TapeReader::open(dir.path()).unwrap().find_map(Result::err).unwrap();
        let mut flipped = bytes.clone();
        flipped[30] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(matches!(first_error(), TapeError::Damaged { offset: 10, .. }));
        fs::write(&path, [b"LBTAPE1\n\xff\xff", &bytes[10..]].concat()).unwrap();
        assert!(first_error().to_string().contains("version 65535"));
        fs::write(&path, b"something else").unwrap();
        assert!(matches!(first_error(), TapeError::Foreign { .. }));
    }

    #[test]
    fn a_disk_that_fails_costs_entries_in_real_time_and_an_error_in_lockstep() {
        for wait in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("tape");
            let options = TapeOptions { wait, block_entries_max: 1, queue_max: 1, ..TapeOptions::default() };
            let mut tape = TapeWriter::open(&path, options).unwrap();
            fs::remove_dir(&path).unwrap();
            let mut results = (1..=50).map(|n| tape.push(entry(n, 0)));
            assert_eq!(results.any(|r| r.is_err()), wait);
            assert!(matches!(tape.sync(), Err(TapeError::Failed { .. })));
            let status = tape.status();
            assert!(status.failure.is_some() && status.written == 0);
            assert_eq!(status.dropped > 40, !wait, "{status:?}");
        }
    }
}
