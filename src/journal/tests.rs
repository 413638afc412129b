use std::fs::{self, OpenOptions};
use std::sync::Mutex;

use levibot_core::domain::{FreezeCause, HaltLevel, Reason};
use levibot_core::record::LineFault;
use tempfile::TempDir;

use super::super::{JOURNAL_FILE, LOCK_FILE, scan};
use super::*;

fn record(n: u64) -> (Ts, Record) {
    let reason = Reason { by: "risk".into(), text: format!("loss {n}") };
    let record = match n % 3 {
        0 => Record::Halt { level: HaltLevel::ReduceOnly, reason },
        1 => Record::Command { by: "me".into(), command: "status".into(), outcome: format!("{n}") },
        _ => Record::Freeze { symbol: "BTCUSDT".parse().unwrap(), cause: FreezeCause::Engine, reason: None },
    };
    (Ts::from_secs(1_700_000_000).saturating_add(levibot_core::domain::Span::from_millis(n as i64)), record)
}

fn batch(range: Range<u64>) -> Vec<(Ts, Record)> {
    range.map(record).collect()
}

fn quiet() -> Notify {
    Arc::new(|_| {})
}

fn replay() -> Options {
    Options { durability: Durability::AtFlush, when_full: WhenFull::Block, ..Options::default() }
}

fn open(dir: &TempDir) -> Result<(Journal, Recovery, Vec<Envelope>), JournalError> {
    let mut seen = Vec::new();
    let (journal, recovery) = Journal::open(dir.path(), Options::default(), quiet(), &mut |e| seen.push(e))?;
    Ok((journal, recovery, seen))
}

fn filled(records: u64) -> (TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = open(&dir).unwrap();
    journal.append(&batch(0..records)).unwrap();
    journal.close().unwrap();
    let bytes = fs::read(dir.path().join(JOURNAL_FILE)).unwrap();
    (dir, bytes)
}

fn folder_with(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(JOURNAL_FILE), bytes).unwrap();
    dir
}

#[test]
fn records_are_numbered_at_once_and_read_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery, _) = open(&dir).unwrap();
    assert_eq!((recovery.head, recovery.offset, recovery.torn), (Chain::default(), 0, None));
    assert_eq!(journal.append(&batch(0..2)).unwrap(), 1..3);
    assert_eq!(journal.append(&[]).unwrap(), 3..3);
    assert_eq!(journal.append(&batch(2..5)).unwrap(), 3..6);
    let head = journal.close().unwrap().head;
    let (mut journal, recovery, seen) = open(&dir).unwrap();
    assert_eq!((recovery.head, seen.len()), (head, 5));
    let back: Vec<_> = seen.into_iter().map(|e| (e.ts, e.record)).collect();
    assert_eq!(back, batch(0..5));
    assert_eq!(journal.append(&batch(5..6)).unwrap(), 6..7);
    let durable = journal.wait_durable(u64::MAX).unwrap();
    assert_eq!(durable.head, journal.head());
    assert_eq!(durable.offset, fs::metadata(dir.path().join(JOURNAL_FILE)).unwrap().len());
}

#[test]
fn every_record_is_told_durable_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let notify: Notify = Arc::new(move |notice| match notice {
        Notice::Durable(durable) => sink.lock().unwrap().push(durable),
        Notice::Failed(error) => panic!("{error}"),
    });
    let (mut journal, _) = Journal::open(dir.path(), Options::default(), notify, &mut |_| {}).unwrap();
    for n in 0..200 {
        journal.append(&batch(n..n + 1)).unwrap();
    }
    let watch = journal.watch();
    let end = journal.flush().unwrap();
    assert_eq!((end.head.seq, watch.durable(), watch.failure().is_none()), (200, end, true));
    let told = told.lock().unwrap();
    assert!(told.is_sorted_by(|a, b| a.head.seq < b.head.seq && a.offset < b.offset), "{told:?}");
    assert_eq!(told.last(), Some(&end));
}

#[test]
fn a_writer_killed_at_any_byte_of_its_last_line_loses_that_line_alone() {
    let (_, bytes) = filled(6);
    let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in last..bytes.len() {
        let dir = folder_with(&bytes[..cut]);
        let (mut journal, recovery, seen) = open(&dir).unwrap();
        assert_eq!((seen.len(), recovery.offset), (5, last as u64), "cut at {cut}");
        if cut > last {
            let torn = recovery.torn.unwrap();
            assert_eq!((torn.seq, torn.bytes), (6, (cut - last) as u64));
            assert_eq!(fs::read(torn.kept.unwrap()).unwrap(), &bytes[last..cut]);
        }
        journal.append(&batch(5..6)).unwrap();
        journal.close().unwrap();
        assert_eq!(fs::read(dir.path().join(JOURNAL_FILE)).unwrap(), bytes, "cut at {cut}");
    }
}

#[test]
fn torn_lines_of_the_same_record_are_all_kept() {
    let (_, bytes) = filled(2);
    let dir = folder_with(&bytes[..bytes.len() - 1]);
    for times in 0..3 {
        drop(open(&dir).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3 + times, "journal, lock and what was torn");
        fs::write(dir.path().join(JOURNAL_FILE), &bytes[..bytes.len() - 5]).unwrap();
    }
}

#[test]
fn damage_in_the_middle_is_named_and_left_as_it_is() {
    let (_, bytes) = filled(6);
    let starts: Vec<_> = [0].into_iter().chain((1..bytes.len()).filter(|at| bytes[at - 1] == b'\n')).collect();
    let mut flipped = bytes.clone();
    flipped[starts[2] + 120] ^= 1;
    let deleted = [&bytes[..starts[2]], &bytes[starts[3]..]].concat();
    type Expected = fn(&LineFault) -> bool;
    let expected: [(Vec<u8>, Expected); 2] = [
        (flipped, |f| matches!(f, LineFault::Crc { .. })),
        (deleted, |f| matches!(f, LineFault::Sequence { expected: 3, found: 4 })),
    ];
    for (damaged, is_expected) in expected {
        let dir = folder_with(&damaged);
        let error = open(&dir).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 3") && text.contains("levibot audit") && text.contains(JOURNAL_FILE), "{text}");
        let JournalError::Damaged { offset, seq: 3, fault, .. } = error else { panic!("{error}") };
        assert!(offset == starts[2] as u64 && is_expected(&fault), "{fault}");
        assert_eq!(fs::read(dir.path().join(JOURNAL_FILE)).unwrap(), damaged);
        assert!(scan(&dir.path().join(JOURNAL_FILE), &mut |_| {}).is_err());
    }
}

#[test]
fn a_second_daemon_is_told_who_has_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _, _) = open(&dir).unwrap();
    let error = open(&dir).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&error, JournalError::Locked { pid: p, .. } if *p == pid), "{error}");
    assert!(error.to_string().contains(&format!("process {pid}")) && error.to_string().contains(LOCK_FILE));
    drop(journal);
    open(&dir).unwrap();
}

/// A journal over any file, to see it fail.
fn over(dir: &TempDir, file: &str, notify: Notify, options: Options) -> Journal {
    let path = PathBuf::from(file);
    let file = OpenOptions::new().append(true).open(file).unwrap();
    let start = Durable { head: Chain::default(), offset: 0 };
    Journal::start(file, path, lock(dir.path()).unwrap(), start, None, options, notify).unwrap()
}

#[test]
fn a_full_disk_fails_the_journal_for_good_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let notify: Notify = Arc::new(move |notice| sink.lock().unwrap().push(notice));
    let mut journal = over(&dir, "/dev/full", notify, Options::default());
    journal.append(&batch(0..1)).unwrap();
    let error = journal.wait_durable(1).unwrap_err();
    let JournalError::Failed { cause } = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("/dev/full") && cause.to_string().contains("room"), "{cause}");
    assert!(matches!(journal.append(&batch(1..2)), Err(JournalError::Failed { .. })));
    assert!(matches!(journal.flush(), Err(JournalError::Failed { .. })));
    assert!(journal.watch().failure().is_some() && journal.durable().head.seq == 0);
    assert!(matches!(journal.close(), Err(JournalError::Failed { .. })));
    assert!(matches!(told.lock().unwrap().as_slice(), [Notice::Failed(_)]));
}

#[test]
fn a_callback_that_panics_fails_the_journal_and_hangs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let notify: Notify = Arc::new(|_| panic!("in the callback"));
    let (mut journal, _) = Journal::open(dir.path(), Options::default(), notify, &mut |_| {}).unwrap();
    journal.append(&batch(0..1)).unwrap();
    assert!(journal.flush().is_err());
    assert!(journal.append(&batch(1..2)).is_err());
    assert!(journal.close().is_err());
}

#[test]
fn a_full_queue_refuses_and_leaves_the_numbers_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (release, held) = sync_channel::<()>(1);
    let held = Mutex::new(held);
    let notify: Notify = Arc::new(move |_| {
        let _ = held.lock().unwrap().recv();
    });
    let options = Options { queue_max: 1, ..Options::default() };
    let (mut journal, _) = Journal::open(dir.path(), options, notify, &mut |_| {}).unwrap();
    let mut taken = 0;
    let error = loop {
        match journal.append(&batch(taken..taken + 1)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Stalled { queue_max: 1 }) && journal.head().seq == taken);
    drop(release);
    journal.wait_durable(taken).unwrap();
    assert_eq!(journal.append(&batch(taken..taken + 1)).unwrap().start, taken + 1);
    journal.close().unwrap();
    assert_eq!(open(&dir).unwrap().2.len() as u64, taken + 1);
}

#[test]
fn a_record_that_cannot_be_written_spoils_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = open(&dir).unwrap();
    let bracket = levibot_core::record::Bracket {
        entry: "lb-a".parse().unwrap(),
        stop: Some(f64::NAN),
        target: None,
        trailing: None,
        trailed: false,
        best: 1.0,
        expires: None,
    };
    let bad = Record::Bracket { symbol: "BTCUSDT".parse().unwrap(), bracket };
    let both = [record(0), (Ts::EPOCH, bad)];
    assert!(matches!(journal.append(&both), Err(JournalError::Record { seq: 2, .. })));
    assert_eq!(journal.append(&batch(0..1)).unwrap(), 1..2);
    journal.close().unwrap();
    assert_eq!(open(&dir).unwrap().2.len(), 1);
}

/// A run of six records in uneven batches.
fn run_again(dir: &TempDir) -> Result<Durable, JournalError> {
    let mut journal = Journal::open_verifying(dir.path(), replay(), quiet())?;
    for range in [0..1, 1..4, 4..6] {
        journal.append(&batch(range))?;
    }
    journal.close()
}

#[test]
fn a_run_killed_at_any_byte_and_done_again_leaves_the_same_file() {
    let (_, bytes) = filled(6);
    for cut in 0..=bytes.len() {
        let dir = folder_with(&bytes[..cut]);
        let durable = run_again(&dir).unwrap();
        assert_eq!((durable.head.seq, durable.offset), (6, bytes.len() as u64));
        assert_eq!(fs::read(dir.path().join(JOURNAL_FILE)).unwrap(), bytes, "cut at {cut}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside journal and lock");
    }
}

#[test]
fn a_run_that_differs_from_its_journal_is_stopped_at_the_first_difference() {
    let (dir, bytes) = filled(6);
    let mut journal = Journal::open_verifying(dir.path(), replay(), quiet()).unwrap();
    journal.append(&batch(0..2)).unwrap();
    let error = journal.append(&[record(2), record(30)]).unwrap_err();
    let JournalError::Failed { cause } = error else { panic!("{error}") };
    let JournalError::Diverged { seq: 4, journaled, repeated, .. } = &*cause else { panic!("{cause}") };
    assert!(journaled.contains("loss 3") && repeated.contains("loss 30"), "{cause}");
    assert!(journal.append(&batch(3..4)).is_err() && journal.is_verifying());
    drop(journal);
    assert_eq!(fs::read(dir.path().join(JOURNAL_FILE)).unwrap(), bytes);
}

#[test]
fn a_folder_of_an_earlier_version_is_told_with_the_remedy() {
    let (dir, _) = filled(6);
    let mut journal = Journal::open_verifying(dir.path(), replay(), quiet()).unwrap();
    let error = journal.append(&[record(30)]).unwrap_err();
    let JournalError::Failed { cause } = error else { panic!("{error}") };
    let text = cause.to_string();
    for part in ["at record 1 ", "earlier version of levibot", "let that version finish it", "new data folder"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_run_that_ends_before_its_journal_is_told_so() {
    let (dir, _) = filled(7);
    let error = run_again(&dir).unwrap_err();
    assert!(matches!(error, JournalError::EndedEarly { seq: 6, .. }), "{error}");
}

#[test]
fn damage_met_by_a_run_done_again_is_damage_and_a_strange_tail_is_kept() {
    let (_, bytes) = filled(6);
    let mut flipped = bytes.clone();
    flipped[110] ^= 1;
    let error = run_again(&folder_with(&flipped)).unwrap_err();
    let JournalError::Failed { cause } = error else { panic!("{error}") };
    assert!(matches!(&*cause, JournalError::Damaged { seq: 1, .. }), "{cause}");

    let line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let dir = folder_with(&[&bytes[..line], &[0; 40]].concat());
    run_again(&dir).unwrap();
    assert_eq!(fs::read(dir.path().join(JOURNAL_FILE)).unwrap(), bytes);
    assert_eq!(fs::read(dir.path().join("journal.torn-2")).unwrap(), [0; 40]);
}
