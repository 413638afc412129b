//! What is wanted to be closed is closed, whatever is in the way and whoever stops in between.

use super::rebalance_tests::{WEEKLY, actions, desk_of, exits, prices, rebalance, reducing};
use super::*;

/// Exits on their way that are to close all.
fn closing(desk: &Desk) -> Vec<Order> {
    exits(desk).into_iter().filter(|order| !order.cause.is_rebalance()).collect()
}

#[test]
fn a_reduction_of_unknown_fate_closes_nothing() {
    let (mut desk, reduce) = reducing();
    desk.unknown(reduce.id);
    for _ in 0..5 {
        prices(&mut desk, [150.0, 100.0, 100.0]);
        desk.tell(&Event::FrameEnd);
    }
    assert_eq!(closing(&desk), []);
    assert_eq!(desk.book(0).failed(), None);
    desk.assert_folds();
}

#[test]
fn a_reduction_that_fills_does_not_hide_that_the_exit_failed() {
    let (mut desk, reduce) = reducing();
    desk.unknown(reduce.id);
    desk.decide(0, Intent::Exit);
    let exit = closing(&desk).pop().unwrap();
    desk.done(exit.id, DoneReason::Rejected);
    let failed = desk.book(0).failed();
    assert!(failed.is_some());
    desk.fill_part(&reduce, "0.5".parse().unwrap(), 150.0);
    assert_eq!(desk.book(0).failed(), failed);
    desk.done(reduce.id, DoneReason::Cancelled);
    desk.orders.retain(|order| order.leg == Leg::Entry);
    while !desk.orders.is_empty() {
        desk.fill("100", 1);
    }
    desk.flat_bar(0, 300.0);
    let rows = rebalance(&mut desk);
    assert_eq!(actions(&rows)[0], "busy", "what is to be closed is not traded: {rows:?}");
    prices(&mut desk, [150.0, 100.0, 100.0]);
    assert_eq!(closing(&desk).pop().map(|exit| exit.qty), Some(desk.book(0).size()));
    desk.assert_folds();
}

#[test]
fn what_waits_for_a_reduction_is_not_forgotten_at_a_restart() {
    for by_bracket in [false, true] {
        let (mut desk, reduce) = reducing();
        if by_bracket {
            desk.now = desk.now + Span::HOUR;
            desk.bar(0, 100.0, 100.0, 4.0, 50.0);
        } else {
            desk.decide(0, Intent::Exit);
        }
        assert_eq!(closing(&desk), []);
        desk.restart();
        desk.cancels.clear();
        prices(&mut desk, [120.0, 100.0, 100.0]);
        desk.tell(&Event::FrameEnd);
        assert_eq!(desk.cancels, [reduce.id], "the cancel may have been lost with the process");
        desk.done(reduce.id, DoneReason::Cancelled);
        let exit = closing(&desk).pop().unwrap();
        assert_eq!(matches!(exit.cause, Cause::Bracket { .. }), by_bracket);
        assert_eq!(exit.qty, desk.book(0).size());
        desk.assert_folds();
    }
}

#[test]
fn a_reduction_whose_end_only_a_comparison_tells_makes_way() {
    let (mut desk, reduce) = reducing();
    desk.now = desk.now + Span::HOUR;
    desk.bar(0, 100.0, 100.0, 4.0, 50.0);
    desk.now = desk.now + Span::MINUTE;
    let fill = desk.trade(&reduce, &reduce.qty.to_string(), "50");
    let (foreign, transfers, orders, positions, balances) = Default::default();
    let asked = desk.now;
    let venue = VenueState { asked, gap: true, orders, fills: vec![fill], foreign, transfers, positions, balances };
    desk.tell(&Event::Report(Report::State(Box::new(venue))));
    assert_eq!(closing(&desk).pop().map(|exit| exit.qty), Some(desk.book(0).size()));
    desk.assert_folds();
}

#[test]
fn on_spot_the_rest_follows_when_an_unknown_reduction_never_was() {
    let mut desk = desk_of(AccountKind::Spot, &WEEKLY.replace("5000", "2000"), [0.2; 3]);
    prices(&mut desk, [150.0, 100.0, 100.0]);
    rebalance(&mut desk);
    let reduce = desk.orders.remove(0);
    desk.unknown(reduce.id);
    desk.decide(0, Intent::Exit);
    let exit = closing(&desk).pop().unwrap();
    assert_eq!(exit.qty, desk.book(0).size().less(reduce.qty));
    desk.fill_part(&exit, exit.qty, 150.0);
    assert_eq!(closing(&desk), [], "the unknown one may sell the rest");
    for _ in 0..2 {
        prices(&mut desk, [150.0, 100.0, 100.0]);
        desk.absent(reduce.id, false);
    }
    assert_eq!(closing(&desk).pop().map(|exit| exit.qty), Some(reduce.qty));
    desk.assert_folds();
}

#[test]
fn what_an_entry_fills_that_was_given_up_is_closed() {
    for by_hand in [false, true] {
        let (mut desk, entry) = Desk::entering(AccountKind::Linear);
        let parts = ["4", "3", "2"].map(|qty| desk.trade(&entry, qty, "100"));
        let [first, second, late] = parts;
        desk.report(Report::Fill(first));
        desk.now = desk.now + Span::HOUR;
        if by_hand {
            let reason = Reason { by: "trader".into(), text: "enough".into() };
            desk.tell(&Event::Close { instrument: Ix(0), reason });
        } else {
            desk.decide(0, Intent::Exit);
        }
        assert_eq!(desk.cancels, [entry.id]);
        let exit = desk.orders.remove(0);
        desk.report(Report::Fill(second));
        assert!(desk.orders.is_empty(), "one exit at a time");
        desk.fill_part(&exit, exit.qty, 100.0);
        let rest = desk.orders.remove(0);
        assert_eq!((rest.leg, rest.qty.to_string().as_str(), rest.attempt), (Leg::Exit, "3", 2));
        desk.fill_part(&rest, rest.qty, 100.0);
        desk.done(entry.id, DoneReason::Cancelled);
        desk.restart();
        desk.report(Report::Fill(late));
        assert_eq!(desk.orders.remove(0).qty.to_string(), "2", "also after its end");
        desk.assert_folds();
    }
}

#[test]
fn an_entry_that_is_turned_away_from_is_given_up_and_the_new_one_is_not() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.now = desk.now + Span::HOUR;
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Short, 100.0);
    let short = desk.orders.remove(0);
    desk.fill_part(&entry, "1".parse().unwrap(), 100.0);
    let exit = desk.orders.remove(0);
    assert_eq!((exit.side, exit.qty.to_string().as_str()), (Side::Sell, "1"));
    desk.fill_part(&exit, exit.qty, 100.0);
    desk.fill_part(&short, "3".parse().unwrap(), 100.0);
    desk.wait(60, 0, 100.0);
    assert!(desk.orders.is_empty() && desk.net(0) == "-3", "{:?}", desk.orders);
    desk.assert_folds();
}

#[test]
fn the_exit_of_a_late_addition_is_tried_again() {
    let (mut desk, reduce) = reducing();
    desk.fill_part(&reduce, reduce.qty, 150.0);
    desk.done(reduce.id, DoneReason::Filled);
    let add = desk.orders.remove(0);
    desk.orders.clear();
    desk.decide(1, Intent::Exit);
    desk.fill("100", 1);
    desk.fill_part(&add, "0.4".parse().unwrap(), 100.0);
    let exit = desk.orders.remove(0);
    desk.done(exit.id, DoneReason::Rejected);
    desk.wait(1, 1, 100.0);
    let again = desk.orders.remove(0);
    assert_eq!((again.leg, again.qty, again.cause, again.attempt), (Leg::Exit, exit.qty, exit.cause, 2));
    desk.assert_folds();
}

#[test]
fn by_hand_a_position_is_closed_while_a_reduction_or_an_unknown_exit_is_live() {
    let close = || Event::Close { instrument: Ix(0), reason: Reason { by: "trader".into(), text: "enough".into() } };
    let (mut desk, reduce) = reducing();
    desk.tell(&close());
    assert_eq!(desk.cancels, [reduce.id]);
    let records = desk.records.len();
    desk.tell(&close());
    assert_eq!((desk.records.len(), closing(&desk)), (records, vec![]), "said once is enough");
    desk.done(reduce.id, DoneReason::Cancelled);
    assert!(matches!(closing(&desk)[..], [Order { cause: Cause::Command { .. }, .. }]));

    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.wait(1, 0, 97.0);
    let (first, second) = (desk.orders.remove(0), |desk: &mut Desk| desk.orders.pop());
    desk.unknown(first.id);
    let next = second(&mut desk).unwrap();
    desk.unknown(next.id);
    desk.tell(&close());
    assert!(
        matches!(second(&mut desk), Some(Order { cause: Cause::Command { .. }, .. })),
        "a person's word does not wait"
    );
    desk.assert_folds();
}

#[test]
fn what_is_wanted_of_a_position_is_not_wanted_of_the_next_one() {
    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.wait(1, 0, 97.0);
    let exit = desk.orders.remove(0);
    desk.done(exit.id, DoneReason::Rejected);
    let order = Order { id: "web-1".parse().unwrap(), ..exit };
    let sold = desk.trade(&order, "10", "97");
    let bought = Fill { side: Side::Buy, ..desk.trade(&order, "5", "97") };
    for fill in [sold, bought] {
        desk.report(Report::Foreign { fill, name: "web-1".into() });
    }
    desk.wait(60, 0, 97.0);
    assert_eq!((desk.net(0).as_str(), desk.orders.len()), ("5", 0), "it is somebody else's");
    desk.assert_folds();
}

#[test]
fn a_reversal_whose_exit_must_wait_enters_nothing_and_a_change_of_mind_takes_the_entry_back() {
    let (mut desk, _) = reducing();
    let verdict = desk.enter(0, Direction::Short, 150.0);
    assert_eq!(Desk::check(&verdict), "exit_waits", "{verdict:?}");

    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Short, 100.0);
    let short = desk.orders.iter().find(|order| order.leg == Leg::Entry).unwrap().id;
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.cancels.clear();
    desk.enter(0, Direction::Long, 100.0);
    assert_eq!(desk.cancels, [short]);
    desk.assert_folds();
}

#[test]
fn a_bracket_that_must_wait_cancels_once() {
    let (mut desk, _) = reducing();
    for _ in 0..5 {
        desk.now = desk.now + Span::HOUR;
        desk.bar(0, 100.0, 100.0, 4.0, 50.0);
    }
    assert_eq!(desk.cancels.len(), 1);
}

#[test]
fn engines_are_told_the_side_on_its_way_and_every_change_of_mind_counts() {
    let (long, short) = (Some(Direction::Long), Some(Direction::Short));
    let (mut desk, first) = Desk::entering(AccountKind::Linear);
    let view = |desk: &Desk| {
        let view = desk.account.position_view(Ix(0));
        (view.direction, view.entry_pending)
    };
    assert_eq!(view(&desk), (None, long));
    desk.fill_part(&first, "1".parse().unwrap(), 100.0);
    assert_eq!(view(&desk), (long, long));
    desk.now = desk.now + Span::HOUR;
    desk.flat_bar(0, 100.0);
    assert!(matches!(desk.enter(0, Direction::Short, 100.0), Verdict::Approved { .. }));
    assert_eq!(view(&desk), (long, short));
    // Closed; the first entry, given up, is still at the venue.
    desk.fill("100", 1);
    assert_eq!(view(&desk), (None, short));
    desk.now = desk.now + Span::HOUR;
    desk.flat_bar(0, 100.0);
    let cancelled = desk.orders.remove(0);
    assert!(matches!(desk.enter(0, Direction::Long, 100.0), Verdict::Approved { .. }), "it is not the one given up");
    assert_eq!(view(&desk), (None, long));
    assert!(desk.cancels.contains(&cancelled.id) && desk.cancels.contains(&first.id));
    assert!(matches!(desk.orders[..], [Order { leg: Leg::Entry, side: Side::Buy, .. }]), "{:?}", desk.orders);
    for id in [cancelled.id, first.id] {
        desk.done(id, DoneReason::Cancelled);
    }
    desk.decide(0, Intent::Exit);
    desk.assert_folds();
}
