use super::*;

/// A cancel that left with the process, or that no venue was there to hear, is asked for again.
#[test]
fn a_halt_that_stands_cancels_what_is_still_open_when_it_is_told_again() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let entry = desk.orders.remove(0);
    let reason = Reason { by: "venue".into(), text: "it is lost".into() };
    let halt = |level| Event::Halt { level, reason: reason.clone() };
    desk.tell(&halt(HaltLevel::EntryHalt));
    assert_eq!(desk.cancels, [entry.id]);
    let (records, alerts) = (desk.records.len(), desk.alerts.len());
    desk.tell(&halt(HaltLevel::EntryHalt));
    desk.tell(&halt(HaltLevel::None));
    assert_eq!(desk.cancels, [entry.id, entry.id], "what lifts nothing cancels nothing");
    assert_eq!((desk.records.len(), desk.alerts.len(), desk.halts.len()), (records, alerts, 1), "it is no new halt");
    desk.tell(&Event::Report(Report::Done { order: entry.id, reason: DoneReason::Cancelled, text: None }));
    desk.tell(&halt(HaltLevel::EntryHalt));
    assert_eq!(desk.cancels.len(), 2, "nothing is open any more");
    desk.assert_folds();
}
