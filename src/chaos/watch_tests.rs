use super::*;
use crate::control::Fault;

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn row(status: &str, errors: u64, restarts: u64) -> Row {
    let last_error = (errors > 0).then(|| format!("failure {errors}"));
    Row {
        symbol: symbol(),
        status: status.to_owned(),
        errors,
        generation: restarts + 1,
        pid: None,
        uptime: 100.0,
        last_error,
        last_bar: None,
    }
}

fn look(tracker: &mut Tracker, ms: u64, row: Row) {
    let totals = [1, u32::from(row.is_up()), 0, u32::from(!row.is_up())];
    tracker.look(&Look { at: Duration::from_millis(ms), totals, rows: vec![row] });
}

fn begin(tracker: &mut Tracker, ms: u64, in_burst: bool) {
    tracker.begin(symbol(), Blow::Fault(Fault::Spin), Duration::from_millis(ms), in_burst, 60.0);
}

#[test]
fn a_strike_is_timed_to_its_failure_and_to_the_next_generation() {
    let mut tracker = Tracker::default();
    look(&mut tracker, 0, row("running", 0, 0));
    begin(&mut tracker, 1_000, false);
    look(&mut tracker, 1_500, row("running", 0, 0));
    assert!(tracker.is_open(symbol()));
    look(&mut tracker, 4_000, row("crashed", 1, 0));
    look(&mut tracker, 4_200, row("starting", 1, 1));
    assert!(tracker.is_open(symbol()) && tracker.any_open());
    look(&mut tracker, 4_250, row("running", 1, 1));
    assert!(!tracker.is_open(symbol()));
    assert_eq!(tracker.recent(symbol(), Duration::from_secs(30), 60.0), 1);
    assert_eq!(tracker.recent(symbol(), Duration::from_secs(90), 60.0), 0);
    let seen = tracker.finish();
    let outcome = &seen.outcomes[0];
    assert_eq!((outcome.seen, outcome.ready), (Some(3.0), Some(3.25)));
    assert_eq!((outcome.failures, outcome.generations, outcome.blow), (1, 1, "spin"));
    assert!(outcome.was_healthy && outcome.hangs && outcome.cause.as_deref() == Some("failure 1"));
    assert!(seen.unasked.is_empty() && seen.quarantines.is_empty() && seen.bad_totals.is_empty());
    assert_eq!(seen.looks, 5);
}

#[test]
fn a_failure_that_is_quicker_than_a_look_is_seen_with_its_recovery() {
    let mut tracker = Tracker::default();
    look(&mut tracker, 0, row("running", 3, 3));
    begin(&mut tracker, 10, false);
    look(&mut tracker, 15, row("running", 4, 4));
    // And what it does later is still its own.
    look(&mut tracker, 500, row("running", 5, 5));
    let outcome = &tracker.finish().outcomes[0];
    assert!(outcome.ready.is_some_and(|ready| (ready - 0.005).abs() < 1e-9), "{outcome:?}");
    assert_eq!((outcome.failures, outcome.generations), (2, 2));
}

#[test]
fn what_nobody_asked_for_is_told() {
    let mut tracker = Tracker::default();
    look(&mut tracker, 0, row("running", 0, 0));
    look(&mut tracker, 10, row("crashed", 1, 0));
    look(&mut tracker, 20, row("quarantined", 5, 3));
    look(&mut tracker, 30, row("quarantined", 5, 3));
    tracker.look(&Look { at: Duration::ZERO, totals: [2, 0, 0, 1], rows: vec![row("quarantined", 5, 3)] });
    let seen = tracker.finish();
    assert_eq!(seen.unasked, ["BTCUSDT failed at 0.0 s: failure 1", "BTCUSDT failed at 0.0 s: failure 5"]);
    assert_eq!(seen.quarantines.len(), 1);
    assert!(!seen.quarantines[0].planned);
    assert_eq!(seen.bad_totals.len(), 1);
}

#[test]
fn a_burst_is_a_quarantine_on_purpose() {
    let mut tracker = Tracker::default();
    look(&mut tracker, 0, row("running", 0, 0));
    for n in 1..=5 {
        begin(&mut tracker, n * 100, true);
        let status = if n == 5 { "quarantined" } else { "running" };
        look(&mut tracker, n * 100 + 50, row(status, n, n.min(4)));
    }
    tracker.quarantine(symbol()).unwrap().restarted = true;
    let quarantine = &tracker.finish().quarantines[0];
    assert_eq!((quarantine.planned, quarantine.failures, quarantine.restarted), (true, 5, true));
}

#[test]
fn what_a_killed_daemon_cuts_short_says_nothing() {
    let mut tracker = Tracker::default();
    look(&mut tracker, 0, row("running", 0, 0));
    begin(&mut tracker, 10, false);
    tracker.daemon_gone();
    look(&mut tracker, 900, row("running", 0, 0));
    begin(&mut tracker, 1_000, false);
    tracker.never_mind(symbol());
    let seen = tracker.finish();
    assert!(seen.outcomes.len() == 1 && seen.outcomes[0].cut_short && seen.unasked.is_empty());
}
