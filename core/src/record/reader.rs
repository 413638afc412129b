//! Reading a journal from any buffered source, checking every line against the chain.

use std::io::{self, BufRead, ErrorKind};

use super::line::{LINE_BYTES_MAX, unended};
use super::{Chain, Envelope, LineFault};

/// Where reading stopped, and why. Record `seq` would have been line `seq` of the file: one record is one line.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The line at `offset` is not the record that belongs there.
    #[error("line {seq} (record {seq}, byte {offset}) cannot be taken")]
    Line {
        /// Bytes before the line.
        offset: u64,
        /// The record that was expected, which is also the line's number, from 1.
        seq: u64,
        /// What is wrong with it.
        #[source]
        fault: LineFault,
    },
    /// The source failed.
    #[error("reading line {seq} (record {seq}, byte {offset}) failed")]
    Io {
        /// Bytes before the line.
        offset: u64,
        /// The record that was expected.
        seq: u64,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl ReadFault {
    /// Whether this is only the incomplete last line of a writer that died, or that has not finished it yet. All before
    /// it is whole.
    pub const fn is_torn_tail(&self) -> bool {
        matches!(self, Self::Line { fault: LineFault::Torn { .. }, .. })
    }

    /// Bytes before the line.
    pub const fn offset(&self) -> u64 {
        match self {
            Self::Line { offset, .. } | Self::Io { offset, .. } => *offset,
        }
    }
}

/// An iterator over the records of a journal, each with the byte after its line. Ends after the first fault. Holds one
/// line in memory, at most [`LINE_BYTES_MAX`] bytes.
#[derive(Debug)]
pub struct JournalReader<R> {
    input: R,
    chain: Chain,
    offset: u64,
    line: Vec<u8>,
    stopped: bool,
}

impl<R: BufRead> JournalReader<R> {
    /// Reads from the start of a journal.
    pub fn new(input: R) -> Self {
        Self::resume(input, Chain::default(), 0)
    }

    /// Goes on after a known head: `input` stands `offset` bytes after the journal's start, just behind record
    /// `chain.seq`.
    pub const fn resume(input: R, chain: Chain, offset: u64) -> Self {
        Self { input, chain, offset, line: Vec::new(), stopped: false }
    }

    /// The head of what was read so far.
    pub const fn head(&self) -> Chain {
        self.chain
    }

    /// Bytes of whole, good lines so far, those before a resumed start included.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next line into the buffer, but no more than the longest allowed. Returns its whole length
    /// and whether it has an end.
    fn fill(&mut self) -> io::Result<(u64, bool)> {
        self.line.clear();
        let mut length = 0_u64;
        loop {
            let available = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok((length, false));
            }
            let end = available.iter().position(|b| *b == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&available[..taken.min(room)]);
            self.input.consume(taken);
            length += taken as u64;
            if end.is_some() {
                return Ok((length, true));
            }
        }
    }

    fn read(&mut self) -> Result<Option<(Envelope, u64)>, ReadFault> {
        let (offset, seq) = (self.offset, self.chain.seq + 1);
        let (length, ended) = self.fill().map_err(|source| ReadFault::Io { offset, seq, source })?;
        if length == 0 {
            return Ok(None);
        }
        let line_fault = |fault| ReadFault::Line { offset, seq, fault };
        if length > self.line.len() as u64 {
            // Too long to be kept whole. With a line end after it, it is no journal; without one, it is a tail.
            return Err(line_fault(if ended { LineFault::TooLong } else { unended(&self.line, length) }));
        }
        let envelope = self.chain.decode_line(&self.line).map_err(line_fault)?;
        self.offset += length;
        Ok(Some((envelope, self.offset)))
    }
}

impl<R: BufRead> Iterator for JournalReader<R> {
    type Item = Result<(Envelope, u64), ReadFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let item = self.read().transpose();
        self.stopped = !matches!(item, Some(Ok(_)));
        item
    }
}

#[cfg(test)]
#[path = "damage_tests.rs"]
mod damage_tests;

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::domain::Ts;

    fn journal() -> (Vec<u8>, Vec<usize>) {
        let (mut chain, mut out, mut ends) = (Chain::default(), Vec::new(), vec![0]);
        for record in samples::records() {
            chain.encode(Ts::from_secs(7), &record, &mut out).unwrap();
            ends.push(out.len());
        }
        (out, ends)
    }

    fn read(bytes: &[u8]) -> (u64, u64, Option<ReadFault>) {
        let mut reader = JournalReader::new(io::BufReader::with_capacity(17, bytes));
        let fault = reader.by_ref().find_map(Result::err);
        assert!(reader.next().is_none(), "it ends after a fault");
        (reader.head().seq, reader.offset(), fault)
    }

    #[test]
    fn a_journal_cut_anywhere_is_whole_up_to_its_last_full_line() {
        let (bytes, ends) = journal();
        let last_lines = ends[ends.len() - 4]..=bytes.len();
        for cut in (0..=ends[1]).chain(ends.iter().copied()).chain(last_lines) {
            let (seq, offset, fault) = read(&bytes[..cut]);
            let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
            assert_eq!((seq, offset), (whole as u64, ends[whole] as u64), "cut at {cut}");
            assert_eq!(fault.is_some_and(|f| f.is_torn_tail()), ends[whole] != cut, "cut at {cut}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_no_torn_tail_and_names_its_line() {
        let (bytes, ends) = journal();
        let mut flipped = bytes.clone();
        flipped[ends[3] + 150] ^= 4;
        let (seq, offset, fault) = read(&flipped);
        let fault = fault.unwrap();
        assert_eq!((seq, offset), (3, ends[3] as u64));
        assert!(!fault.is_torn_tail() && fault.to_string().contains("line 4"), "{fault}");

        let deleted = [&bytes[..ends[3]], &bytes[ends[4]..]].concat();
        let fault = read(&deleted).2.unwrap();
        let expected = LineFault::Sequence { expected: 4, found: 5 };
        assert!(matches!(fault, ReadFault::Line { seq: 4, fault, .. } if fault == expected));
    }

    #[test]
    fn a_tail_of_zeros_is_torn_and_an_endless_line_is_refused() {
        let (bytes, ends) = journal();
        let fault = read(&[bytes.clone(), vec![0; 5_000]].concat()).2.unwrap();
        assert!(fault.is_torn_tail() && fault.offset() == bytes.len() as u64);

        let mut long = vec![b'x'; LINE_BYTES_MAX + 10];
        let fault = read(&[bytes[..ends[1]].to_vec(), long.clone()].concat()).2.unwrap();
        assert!(fault.is_torn_tail());
        long.push(b'\n');
        let fault = read(&[bytes[..ends[1]].to_vec(), long].concat()).2.unwrap();
        assert!(matches!(fault, ReadFault::Line { seq: 2, fault: LineFault::TooLong, .. }));
    }

    #[test]
    fn reading_goes_on_from_any_line() {
        let (bytes, ends) = journal();
        let mut first = JournalReader::new(&bytes[..ends[5]]);
        assert_eq!(first.by_ref().filter(Result::is_ok).count(), 5);
        let mut rest = JournalReader::resume(&bytes[ends[5]..], first.head(), first.offset());
        assert!(rest.by_ref().all(|r| r.is_ok()));
        assert_eq!(rest.offset(), bytes.len() as u64);
    }
}
