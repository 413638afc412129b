//! Whatever is done to a journal, somebody notices: the reader, or whoever knows the head that it had.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{LineFault, samples};
use super::*;
use crate::domain::Ts;

/// A journal with where each line ends and the chain after it, the empty one first.
struct Journal {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    chains: Vec<Chain>,
}

impl Journal {
    fn of(picks: impl IntoIterator<Item = usize>) -> Self {
        let samples = samples::records();
        let (mut chain, mut bytes) = (Chain::default(), Vec::new());
        let (mut ends, mut chains) = (vec![0], vec![chain]);
        for pick in picks {
            chain.encode(Ts::from_secs(7), &samples[pick % samples.len()], &mut bytes).unwrap();
            ends.push(bytes.len());
            chains.push(chain);
        }
        Self { bytes, ends, chains }
    }

    fn whole() -> Self {
        Self::of(0..samples::records().len())
    }

    fn head(&self) -> Chain {
        self.chains[self.chains.len() - 1]
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        self.ends.windows(2).map(|ends| self.bytes[ends[0]..ends[1]].to_vec()).collect()
    }

    /// Reads other bytes in the place of what follows line `line`.
    fn go_on(&self, line: usize, bytes: &[u8]) -> Outcome {
        read(JournalReader::resume(bytes, self.chains[line], self.ends[line] as u64))
    }
}

struct Outcome {
    head: Chain,
    fault: Option<ReadFault>,
}

fn read(mut reader: JournalReader<&[u8]>) -> Outcome {
    let fault = reader.by_ref().find_map(Result::err);
    Outcome { head: reader.head(), fault }
}

#[test]
fn every_changed_byte_is_found_at_its_record_or_the_next() {
    let journal = Journal::whole();
    for line in 0..journal.ends.len() - 1 {
        let (start, end) = (journal.ends[line], journal.ends[line + 1]);
        let next = journal.ends.get(line + 2).copied().unwrap_or(end);
        let mut bytes = journal.bytes[start..next].to_vec();
        for at in 0..end - start {
            let byte = bytes[at];
            // Two of its bits, and bytes that mean something to a reader.
            let others = [byte ^ (1 << (at % 8)), byte ^ (1 << ((at + 3) % 8)), b'\n', b'0'];
            let others = others.into_iter().filter(|other| *other != byte);
            for other in others {
                bytes[at] = other;
                let found = journal.go_on(line, &bytes);
                let fault = found.fault.unwrap_or_else(|| panic!("byte {at} of record {} became {other}", line + 1));
                assert!(!fault.is_torn_tail(), "byte {at} of record {} became {other}: {fault:?}", line + 1);
                assert!(matches!(fault, ReadFault::Line { seq, .. } if seq == line as u64 + 1), "{fault:?}");
            }
            bytes[at] = byte;
        }
    }
}

#[test]
fn a_cut_inside_a_line_is_a_torn_tail_and_one_between_lines_is_seen_by_who_knows_the_head() {
    let journal = Journal::whole();
    for line in 0..journal.ends.len() - 1 {
        let (start, end) = (journal.ends[line], journal.ends[line + 1]);
        for cut in start..end {
            let found = journal.go_on(line, &journal.bytes[start..cut]);
            assert_eq!(found.head, journal.chains[line], "what is before is whole");
            assert_ne!(found.head, journal.head(), "whoever knows the head sees it");
            match found.fault {
                None => assert_eq!(cut, start),
                Some(fault) => assert!(fault.is_torn_tail() && fault.offset() == start as u64, "{fault:?}"),
            }
        }
    }
}

#[test]
fn what_was_done_to_a_line_is_told_by_number() {
    let journal = Journal::whole();
    let lines = journal.lines();
    let fault = |lines: &[Vec<u8>]| match read(JournalReader::new(lines.concat().as_slice())).fault {
        Some(ReadFault::Line { seq, fault, .. }) => (seq, fault),
        other => panic!("{other:?}"),
    };
    let sequence = |expected, found| (expected, LineFault::Sequence { expected, found });
    let mut deleted = lines.clone();
    deleted.drain(4..7);
    assert_eq!(fault(&deleted), sequence(5, 8));
    let mut doubled = lines.clone();
    doubled.insert(5, lines[4].clone());
    assert_eq!(fault(&doubled), sequence(6, 5));
    let mut swapped = lines.clone();
    swapped.swap(2, 9);
    assert_eq!(fault(&swapped), sequence(3, 10));
    // A line of another journal with the right number and a sound checksum.
    let mut exchanged = lines.clone();
    exchanged[3] = Journal::of([0, 0, 0, 7, 1]).lines().remove(3);
    assert_eq!(fault(&exchanged), (4, LineFault::Hash));
}

/// What somebody may do to the lines of a journal.
#[derive(Debug, Clone)]
enum Surgery {
    Swap(Index, Index),
    Delete(Index),
    Double(Index, Index),
    /// A line of another journal.
    Insert(Index, Vec<usize>),
    /// Bytes anywhere.
    Splice(Index, usize, Vec<u8>),
    Cut(Index),
}

fn surgery() -> impl Strategy<Value = Surgery> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index()).prop_map(|(a, b)| Surgery::Swap(a, b)),
        index().prop_map(Surgery::Delete),
        (index(), index()).prop_map(|(a, b)| Surgery::Double(a, b)),
        (index(), prop::collection::vec(any::<usize>(), 1..12)).prop_map(|(at, picks)| Surgery::Insert(at, picks)),
        (index(), 0..300_usize, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(a, n, b)| Surgery::Splice(a, n, b)),
        index().prop_map(Surgery::Cut),
    ]
}

fn operate(journal: &Journal, surgery: &Surgery) -> Vec<u8> {
    let (mut lines, bytes) = (journal.lines(), journal.bytes.clone());
    match surgery {
        Surgery::Swap(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        Surgery::Delete(at) => drop(lines.remove(at.index(lines.len()))),
        Surgery::Double(from, to) => {
            let line = lines[from.index(lines.len())].clone();
            lines.insert(to.index(lines.len() + 1), line);
        }
        Surgery::Insert(at, picks) => {
            let other = Journal::of(picks.iter().copied()).lines().pop();
            lines.insert(at.index(lines.len() + 1), other.unwrap_or_default());
        }
        Surgery::Splice(at, removed, inserted) => {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            return [&bytes[..at], inserted, &bytes[end..]].concat();
        }
        Surgery::Cut(at) => return bytes[..at.index(bytes.len())].to_vec(),
    }
    lines.concat()
}

proptest! {
    #[test]
    fn no_surgery_goes_unnoticed(picks in prop::collection::vec(any::<usize>(), 1..14), surgery in surgery()) {
        let journal = Journal::of(picks);
        let operated = operate(&journal, &surgery);
        let found = read(JournalReader::new(operated.as_slice()));
        let is_whole = found.fault.is_none() && found.head == journal.head();
        // Bytes that begin no whole line are harmless behind the head, and are told all the same.
        prop_assert_eq!(is_whole, operated == journal.bytes, "{:?}", found.fault);
        // Nothing is believed that was not on record.
        let believed = usize::try_from(found.head.seq).unwrap();
        if believed < journal.chains.len() {
            let is_prefix = found.head == journal.chains[believed];
            // But a line of another journal in the place of the first, which nothing stands before.
            prop_assert!(is_prefix || matches!(surgery, Surgery::Insert(..)), "{:?}", found.fault);
        }
        if found.fault.as_ref().is_some_and(ReadFault::is_torn_tail) {
            prop_assert!(!operated.ends_with(b"\n"), "only what has no end is torn");
        }
    }
}
