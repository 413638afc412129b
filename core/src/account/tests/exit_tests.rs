//! Exits that fail: tried again, bounded, and never a second too many.

use super::*;
use crate::account::orders::OrderStage;

impl Desk {
    /// A desk whose stop was reached: the position of ten and its first exit.
    fn stopped(kind: AccountKind) -> (Self, Order) {
        let (mut desk, _) = Self::holding(kind);
        desk.wait(1, 0, 97.0);
        let exit = desk.orders.remove(0);
        assert_eq!((exit.leg, exit.qty.to_string().as_str(), exit.attempt), (Leg::Exit, "10", 1));
        (desk, exit)
    }

    fn reject(&mut self, order: OrderId) {
        self.report(Report::Done { order, reason: DoneReason::Rejected, text: Some("margin".into()) });
    }
}

#[test]
fn a_rejected_exit_is_tried_again_ever_more_slowly_and_never_given_up() {
    let (mut desk, mut exit) = Desk::stopped(AccountKind::Linear);
    let mut waits = Vec::new();
    for _ in 0..8 {
        desk.reject(exit.id);
        let mut waited = 0;
        // The price is back: what was to be closed is closed all the same.
        while desk.orders.is_empty() {
            desk.wait(1, 0, 100.0);
            waited += 1;
        }
        let next = desk.orders.remove(0);
        assert_eq!((next.attempt, next.cause), (exit.attempt + 1, exit.cause));
        (exit, waits) = (next, [waits, vec![waited]].concat());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(desk.alerts.iter().filter(|a| a.contains("tried again")).count(), 8, "never in silence");
    let fill = desk.trade(&exit, "4", "100");
    desk.report(Report::Fill(fill));
    desk.done(exit.id, DoneReason::Expired);
    desk.wait(1, 0, 100.0);
    assert_eq!(desk.orders[0].qty.to_string(), "6", "a fill has begun the count anew");
    desk.assert_folds();
}

#[test]
fn the_exit_of_a_decision_or_a_command_is_tried_again_too() {
    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.now = desk.now + Span::HOUR;
    desk.decide(0, Intent::Exit);
    let first = desk.orders.remove(0);
    desk.reject(first.id);
    desk.wait(1, 0, 100.0);
    let second = desk.orders.remove(0);
    assert_eq!((second.cause, second.attempt), (first.cause, 2));
    desk.reject(second.id);
    let reason = Reason { by: "trader".into(), text: "now".into() };
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason });
    assert!(matches!(desk.orders[0].cause, Cause::Command { .. }), "a person's word does not wait");
}

#[test]
fn an_entry_that_the_venue_refuses_is_not_tried_again() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.reject(entry.id);
    for _ in 0..100 {
        desk.wait(1, 0, 100.0);
    }
    assert!(desk.orders.is_empty());
}

#[test]
fn an_unknown_exit_is_cancelled_and_followed_at_once_on_a_linear_account() {
    let (mut desk, exit) = Desk::stopped(AccountKind::Linear);
    desk.unknown(exit.id);
    assert_eq!(desk.cancels[0], exit.id, "first the cancel");
    let next = desk.orders.remove(0);
    assert_eq!((next.attempt, next.qty.to_string().as_str()), (2, "10"), "the venue holds it to what is there");
    // Both reach the venue: the second closes, the first can only be cut to nothing there, and is cancelled here.
    let fill = desk.trade(&next, "10", "97");
    desk.cancels.clear();
    desk.report(Report::Fill(fill));
    assert_eq!((desk.net(0).as_str(), &desk.cancels[..]), ("0", &[exit.id][..]));
    desk.done(exit.id, DoneReason::Cancelled);
    desk.wait(100, 0, 97.0);
    assert!(desk.orders.is_empty() && desk.book(0).live().is_empty());
    desk.assert_folds();
}

#[test]
fn exits_that_vanish_one_after_the_other_are_bounded() {
    let (mut desk, mut exit) = Desk::stopped(AccountKind::Linear);
    let mut sent = 1;
    for _ in 0..600 {
        if desk.stage(exit.id) == Some(OrderStage::Unsent) {
            desk.unknown(exit.id);
        }
        desk.wait(1, 0, 97.0);
        if let Some(next) = desk.orders.pop() {
            (exit, sent) = (next, sent + 1);
        }
    }
    assert_eq!(sent, 8);
    desk.assert_folds();
}

#[test]
fn on_spot_the_next_exit_sells_only_what_the_unknown_one_cannot() {
    let (mut desk, exit) = Desk::stopped(AccountKind::Spot);
    let fill = desk.trade(&exit, "4", "97");
    desk.unknown(exit.id);
    desk.wait(5, 0, 97.0);
    assert!(desk.orders.is_empty(), "all of it may be sold already");
    desk.report(Report::Fill(fill));
    desk.done(exit.id, DoneReason::Cancelled);
    desk.wait(2, 0, 97.0);
    assert_eq!(desk.orders.iter().map(|o| o.qty.to_string()).collect::<Vec<_>>(), ["6"]);
    desk.assert_folds();
}

#[test]
fn a_position_that_an_exit_has_opened_is_closed_again() {
    let (mut desk, exit) = Desk::stopped(AccountKind::Linear);
    desk.unknown(exit.id);
    let next = desk.orders.remove(0);
    for order in [&next, &exit] {
        let fill = desk.trade(order, "10", "97");
        desk.report(Report::Fill(fill));
    }
    assert_eq!(desk.net(0), "-10", "a venue that does not hold to reduce-only");
    let repair = desk.orders.remove(0);
    assert_eq!((repair.side, repair.qty.to_string().as_str()), (Side::Buy, "10"));
    let fill = desk.trade(&repair, "10", "97");
    desk.report(Report::Fill(fill));
    assert_eq!(desk.net(0), "0");
    desk.assert_folds();
}

#[test]
fn what_failed_for_one_position_does_not_close_the_next() {
    let (mut desk, exit) = Desk::stopped(AccountKind::Linear);
    desk.unknown(exit.id);
    let next = desk.orders.remove(0);
    let fill = desk.trade(&next, "10", "97");
    desk.report(Report::Fill(fill));
    desk.done(exit.id, DoneReason::Rejected);
    desk.now = desk.now + Span::HOUR;
    assert!(matches!(desk.enter(0, Direction::Long, 97.0), Verdict::Approved { .. }));
    let entry = desk.orders.remove(0);
    let fill = desk.trade(&entry, &entry.qty.to_string(), "97");
    desk.report(Report::Fill(fill));
    for _ in 0..10 {
        desk.wait(10, 0, 97.0);
    }
    assert!(desk.orders.is_empty());
    desk.assert_folds();
}
