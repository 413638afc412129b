//! Comparing a run that is done again with the journal that it left.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use levibot_core::record::{Chain, LINE_BYTES_MAX, LineFault};

use super::JournalError;
use super::recovery::{cut_tail, io_error, truncate};

/// The existing journal, read along with the run. Holds one line in memory.
#[derive(Debug)]
pub(super) struct Verifier {
    reader: BufReader<File>,
    dir: PathBuf,
    path: PathBuf,
    existing: Vec<u8>,
}

/// How a line of this run compares with the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// It stands there already.
    Same,
    /// The journal ends before it, its torn tail cut off: go on by writing.
    End,
}

impl Verifier {
    pub(super) fn new(dir: &Path, path: &Path, file: File) -> Self {
        let reader = BufReader::with_capacity(1 << 18, file);
        Self { reader, dir: dir.to_owned(), path: path.to_owned(), existing: Vec::new() }
    }

    /// Compares the line that follows `before` and stands at `offset`.
    pub(super) fn compare(&mut self, line: &[u8], before: Chain, offset: u64) -> Result<Compared, JournalError> {
        self.existing.clear();
        let mut limited = self.reader.by_ref().take(LINE_BYTES_MAX as u64);
        limited.read_until(b'\n', &mut self.existing).map_err(io_error("read", &self.path))?;
        if self.existing == line {
            return Ok(Compared::Same);
        }
        let seq = before.seq + 1;
        if !self.existing.is_empty() {
            let mut chain = before;
            match chain.decode_line(&self.existing) {
                Err(LineFault::Torn { .. }) => self.cut(line, offset, seq)?,
                Err(fault) => return Err(JournalError::Damaged { path: self.path.clone(), offset, seq, fault }),
                Ok(_) => {
                    let (journaled, repeated) = (json_of(&self.existing), json_of(line));
                    return Err(JournalError::Diverged { path: self.path.clone(), seq, offset, journaled, repeated });
                }
            }
        }
        Ok(Compared::End)
    }

    /// Cuts off a torn tail. The beginning of the very line that is written next is not worth keeping.
    fn cut(&self, line: &[u8], offset: u64, seq: u64) -> Result<(), JournalError> {
        let file = self.reader.get_ref();
        if line.starts_with(&self.existing) {
            return truncate(&self.path, file, offset);
        }
        cut_tail(&self.dir, &self.path, file, offset, seq).map(|_| ())
    }

    /// Whether anything is left that the run did not come to.
    pub(super) fn has_more(&mut self) -> Result<bool, JournalError> {
        self.existing.clear();
        let mut limited = self.reader.by_ref().take(LINE_BYTES_MAX as u64);
        limited.read_until(b'\n', &mut self.existing).map_err(io_error("read", &self.path))?;
        Ok(!self.existing.is_empty())
    }
}

/// The JSON of a line, shortened for an error message.
fn json_of(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(104..).unwrap_or_default()).trim_end().chars().take(600).collect()
}
