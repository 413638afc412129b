//! What is wrong with a damaged journal, for people: which record, what was expected, and what it means.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use levibot_core::record::{Chain, LINE_BYTES_MAX, LineFault};
use serde::Serialize;

use super::JournalError;
use super::recovery::io_error;

/// Bytes of a line that hold what it states of itself.
const HEAD_BYTES: usize = 104;

/// A journal's first line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The record that was expected, which is also the line's number. All before it are whole and prove each other.
    pub seq: u64,
    /// Bytes before its line.
    pub offset: u64,
    /// What was expected there.
    pub expected: String,
    /// What stands there.
    pub found: String,
    /// What was most probably done.
    pub meaning: String,
    /// Lines from there on, which cannot be believed.
    pub lines: u64,
    /// The highest record that one of them states.
    pub last: Option<u64>,
}

impl Damage {
    /// Looks at the lines from a fault on; they are only read.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn look(path: &Path, offset: u64, seq: u64, fault: &LineFault) -> Result<Self, JournalError> {
        let rest = Rest::read(path, offset, seq).map_err(io_error("read", path))?;
        Ok(Self {
            seq,
            offset,
            expected: format!("record {seq}, which follows from record {}", seq.saturating_sub(1)),
            found: fault.to_string(),
            meaning: rest.meaning(seq, fault),
            lines: rest.lines,
            last: rest.last,
        })
    }
}

/// What the lines from a fault on state of themselves.
#[derive(Debug, Default)]
struct Rest {
    lines: u64,
    /// Whether the expected record stands further on.
    is_later: bool,
    last: Option<u64>,
}

impl Rest {
    fn read(path: &Path, offset: u64, seq: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut rest, mut line) = (Self::default(), Vec::new());
        loop {
            line.clear();
            let taken = reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
            if taken == 0 {
                return Ok(rest);
            }
            rest.lines += 1;
            let Ok(stated) = Chain::stated_by(line.get(..HEAD_BYTES).unwrap_or(&line)) else { continue };
            rest.is_later |= rest.lines > 1 && stated.seq == seq;
            rest.last = rest.last.max(Some(stated.seq));
        }
    }

    fn meaning(&self, seq: u64, fault: &LineFault) -> String {
        match fault {
            LineFault::Sequence { found, .. } if *found > seq && self.is_later => {
                format!("lines were swapped or moved: record {seq} stands further on")
            }
            LineFault::Sequence { found, .. } if *found > seq => {
                format!("{} line(s) were deleted: records {seq} to {} are missing", found - seq, found - 1)
            }
            LineFault::Sequence { found, .. } => {
                format!("record {found} stands there once more: a line was doubled, or an old one inserted")
            }
            LineFault::Crc { .. } => {
                format!("the content of record {seq} was changed: by the disk, or by an editor")
            }
            LineFault::Hash => format!(
                "record {seq}, or the one before it, was altered or exchanged by somebody who mended its checksum"
            ),
            LineFault::Version { .. } => "a newer levibot wrote it, or its first bytes were changed".to_owned(),
            LineFault::Json(_) => "it was written by another program, or by a levibot with a fault".to_owned(),
            LineFault::Format(_) | LineFault::TooLong if self.is_later => {
                format!("something that is no record was inserted before record {seq}")
            }
            LineFault::Format(_) | LineFault::TooLong | LineFault::Torn { .. } => {
                format!(
                    "the line of record {seq} was changed or partly overwritten, or something was inserted in its place"
                )
            }
        }
    }
}
