//! Orders whose fate is in doubt, and reports that come twice, late or in the wrong order.

use super::*;
use crate::account::orders::OrderStage;

/// What one event has asked of the venue.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) queries: Vec<OrderId>,
    pub(super) comparisons: usize,
}

impl Desk {
    /// Like `tell`, and says what is asked of the venue.
    pub(super) fn ask(&mut self, event: &Event) -> Asked {
        let mut asked = Asked::default();
        self.account.step(event, self.now, &mut self.out);
        for action in self.out.as_slice() {
            match action {
                Action::Query(id) => asked.queries.push(*id),
                Action::Reconcile => asked.comparisons += 1,
                _ => {}
            }
        }
        self.collect();
        asked
    }

    pub(super) fn report(&mut self, report: Report) -> Asked {
        self.ask(&Event::Report(report))
    }

    /// Time passes, and a quote says so.
    pub(super) fn wait(&mut self, seconds: i64, at: u16, price: f64) -> Asked {
        self.now = self.now + Span::from_secs(seconds);
        let quote = Quote { ts: self.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        self.ask(&Event::Quote { instrument: Ix(at), quote })
    }

    /// The venue's trade of a part of an order.
    pub(super) fn trade(&mut self, order: &Order, qty: &str, price: &str) -> Fill {
        self.trades += 1;
        Fill {
            order: order.id,
            trade_id: self.trades,
            symbol: order.symbol,
            side: order.side,
            price: price.parse().unwrap(),
            qty: qty.parse().unwrap(),
            fee: Money::ZERO,
            commission: None,
            ts: self.now,
        }
    }

    pub(super) fn unknown(&mut self, order: OrderId) -> Asked {
        let acceptable_until = self.now + Span::from_secs(10);
        self.report(Report::Unknown { order, acceptable_until, text: "no answer".into() })
    }

    pub(super) fn absent(&mut self, order: OrderId, gap: bool) -> Asked {
        let asked = self.now;
        self.report(Report::Absent { order, asked, gap })
    }

    pub(super) fn done(&mut self, order: OrderId, reason: DoneReason) -> Asked {
        self.report(Report::Done { order, reason, text: None })
    }

    /// Records that speak of doubt, and ends.
    fn doubts(&self) -> usize {
        let speaks = |r: &Record| matches!(r, Record::Unknown { .. } | Record::Absent { .. } | Record::Done { .. });
        self.records.iter().filter(|(_, r)| speaks(r)).count()
    }

    pub(super) fn book(&self, at: usize) -> &book::Book {
        &self.account.state().books()[at]
    }

    pub(super) fn net(&self, at: usize) -> String {
        self.book(at).net().to_string()
    }

    pub(super) fn stage(&self, id: OrderId) -> Option<OrderStage> {
        self.account.state().orders().find(|o| o.order.id == id).map(|o| o.stage)
    }

    /// A desk with an entry of ten units of the first symbol on its way.
    pub(super) fn entering(kind: AccountKind) -> (Self, Order) {
        let mut desk = Self::with(kind, RISK);
        desk.flat_bar(0, 100.0);
        desk.enter(0, Direction::Long, 100.0);
        let entry = desk.orders.remove(0);
        (desk, entry)
    }

    /// A desk with a long position of ten units of the first symbol.
    pub(super) fn holding(kind: AccountKind) -> (Self, Order) {
        let (mut desk, entry) = Self::entering(kind);
        let fill = desk.trade(&entry, "10", "100");
        desk.report(Report::Fill(fill));
        assert_eq!(desk.net(0), "10");
        (desk, entry)
    }
}

#[test]
fn an_unknown_order_keeps_its_reserve_and_locks_its_symbol_alone() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let reserved = desk.account.reserved();
    assert_eq!(desk.unknown(entry.id).queries, [entry.id]);
    assert!((desk.account.reserved() - reserved).abs() < 1e-9 && reserved > 1_000.0);
    assert!(desk.account.has_unknown(Ix(0)) && !desk.account.has_unknown(Ix(1)));
    desk.now = desk.now + Span::HOUR;
    assert_eq!(Desk::check(&desk.enter(0, Direction::Short, 100.0)), "unknown_order");
    desk.flat_bar(1, 100.0);
    assert!(matches!(desk.enter(1, Direction::Long, 100.0), Verdict::Approved { .. }), "others go on");
    desk.assert_folds();
}

#[test]
fn time_alone_never_resolves_an_unknown_order_and_questions_thin_out() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.unknown(entry.id);
    let mut at = Vec::new();
    for second in 1..=120 {
        if !desk.wait(1, 1, 100.0).queries.is_empty() {
            at.push(second);
        }
    }
    assert_eq!(at, [1, 3, 7, 15, 31, 61, 91]);
    desk.now = desk.now + Span::DAY;
    desk.flat_bar(1, 100.0);
    assert!(desk.account.has_unknown(Ix(0)) && desk.orders.is_empty(), "nothing is assumed and nothing sent again");
}

#[test]
fn two_absences_well_after_the_last_acceptable_instant_are_evidence() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.unknown(entry.id);
    let records = desk.doubts();
    desk.wait(39, 1, 100.0);
    desk.absent(entry.id, false);
    desk.wait(1, 1, 100.0);
    desk.absent(entry.id, true);
    assert_eq!(desk.doubts(), records, "too early, or with a gap: no evidence");
    desk.absent(entry.id, false);
    desk.absent(entry.id, false);
    assert_eq!(desk.doubts(), records + 1, "one answer twice is one answer");
    assert_eq!(desk.wait(5, 1, 100.0).queries, [entry.id], "asked again as soon as it counts");
    desk.absent(entry.id, false);
    let (_, Record::Done { reason: DoneReason::NotSent, text: Some(text), .. }) = desk.records.last().unwrap() else {
        panic!("{:?}", desk.records.last())
    };
    assert!(text.contains("absent when asked at") && text.contains("no further trade of it seen"), "{text}");
    assert!(desk.account.reserved().abs() < 1e-9 && !desk.account.has_unknown(Ix(0)));
    assert_eq!(desk.wait(60, 1, 100.0), Asked::default());
    desk.assert_folds();
}

#[test]
fn an_unknown_order_that_is_found_goes_on_where_it_is() {
    for evidence in 0..3 {
        let (mut desk, entry) = Desk::entering(AccountKind::Linear);
        desk.unknown(entry.id);
        let fill = desk.trade(&entry, "4", "100");
        match evidence {
            0 => desk.report(Report::Accepted { order: entry.id }),
            1 => desk.report(Report::Fill(fill)),
            _ => desk.done(entry.id, DoneReason::Expired),
        };
        let wanted = if evidence == 2 { None } else { Some(OrderStage::Live) };
        assert_eq!(desk.stage(entry.id), wanted);
        assert_eq!(desk.wait(60, 1, 100.0).queries, [], "nothing is in doubt any more");
        desk.unknown(entry.id);
        assert_eq!(desk.stage(entry.id), wanted, "a late word of doubt changes nothing");
        desk.assert_folds();
    }
}

#[test]
fn a_longer_acceptance_moves_the_evidence_and_a_shorter_one_does_not() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.unknown(entry.id);
    let (start, records) = (desk.now, desk.doubts());
    desk.unknown(entry.id);
    assert_eq!(desk.doubts(), records);
    let acceptable_until = start + Span::from_secs(60);
    desk.report(Report::Unknown { order: entry.id, acceptable_until, text: "queued".into() });
    desk.wait(89, 1, 100.0);
    desk.absent(entry.id, false);
    assert_eq!(desk.doubts(), records + 1, "until then it may still come");
    desk.wait(1, 1, 100.0);
    desk.absent(entry.id, false);
    assert_eq!(desk.doubts(), records + 2);
    desk.assert_folds();
}

#[test]
fn d14_d16_a_fill_before_its_acceptance_and_told_three_times_is_booked_once() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let fill = desk.trade(&entry, "4", "100");
    for _ in 0..3 {
        desk.report(Report::Fill(fill.clone()));
    }
    desk.report(Report::Accepted { order: entry.id });
    assert_eq!((desk.net(0).as_str(), desk.stage(entry.id)), ("4", Some(OrderStage::Live)));
    let accepted = desk.records.iter().filter(|(_, r)| matches!(r, Record::Accepted { .. })).count();
    assert_eq!(accepted, 1, "the fill is the word of it");
    desk.assert_folds();
}

#[test]
fn an_end_before_the_last_fill_waits_for_it() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let fill = desk.trade(&entry, "10", "100");
    assert_eq!(desk.done(entry.id, DoneReason::Filled).queries, [entry.id], "what is missing is asked for");
    assert!(desk.stage(entry.id).is_some() && desk.account.reserved() > 1_000.0);
    let again = |desk: &mut Desk| desk.done(entry.id, DoneReason::Filled).queries.len();
    assert_eq!((1..=3).map(|_| again(&mut desk)).sum::<usize>(), 0, "not as fast as the venue answers");
    let asked: Vec<i64> = (1..=20).filter(|_| desk.wait(1, 1, 100.0).queries == [entry.id]).collect();
    assert_eq!(asked, [1, 3, 7, 15]);
    desk.report(Report::Fill(fill));
    assert_eq!((desk.stage(entry.id), desk.net(0).as_str()), (None, "10"));
    assert_eq!(desk.wait(60, 1, 100.0), Asked::default());
    desk.done(entry.id, DoneReason::Filled);
    desk.assert_folds();
}

#[test]
fn a_late_fill_of_a_cancelled_entry_is_booked_once_and_protected() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    let (first, late) = (desk.trade(&entry, "4", "100"), desk.trade(&entry, "3", "100"));
    desk.report(Report::Fill(first));
    desk.done(entry.id, DoneReason::Cancelled);
    assert!(desk.account.reserved().abs() < 1e-9);
    let alerts = desk.alerts.len();
    desk.report(Report::Fill(late.clone()));
    desk.report(Report::Fill(late));
    assert_eq!((desk.net(0).as_str(), desk.alerts.len()), ("7", alerts + 1));
    assert!(desk.book(0).bracket().is_some_and(|b| (b.stop.unwrap() - 98.0).abs() < 1e-9));
    desk.wait(1, 0, 97.0);
    assert_eq!(desk.orders[0].qty.to_string(), "7", "its protection works");
    desk.assert_folds();
}

#[test]
fn a_late_fill_under_a_flatten_is_closed_at_once() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let reason = Reason { by: "trader".into(), text: "enough".into() };
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason });
    desk.done(entry.id, DoneReason::Cancelled);
    let late = desk.trade(&entry, "3", "100");
    desk.report(Report::Fill(late));
    let exit = &desk.orders[0];
    assert_eq!((exit.leg, exit.qty.to_string().as_str()), (Leg::Exit, "3"));
    desk.assert_folds();
}

#[test]
fn what_cannot_be_is_not_booked_and_freezes_its_symbol() {
    let spoil: [fn(&mut Fill); 3] = [
        |fill| fill.qty = "10.001".parse().unwrap(),
        |fill| fill.side = Side::Sell,
        |fill| fill.symbol = "BBB".parse().unwrap(),
    ];
    for spoil in spoil {
        let (mut desk, entry) = Desk::entering(AccountKind::Linear);
        let mut fill = desk.trade(&entry, "10", "100");
        spoil(&mut fill);
        desk.report(Report::Fill(fill));
        assert_eq!((desk.net(0).as_str(), desk.net(1).as_str()), ("0", "0"));
        assert!(desk.alerts.iter().any(|a| a.contains("is not booked")), "{:?}", desk.alerts);
        assert!(desk.book(0).frozen().contains_key(&FreezeCause::Venue));
        assert_eq!(desk.stage(entry.id), Some(OrderStage::Unsent));
        desk.done(entry.id, DoneReason::Cancelled);
        desk.now = desk.now + Span::HOUR;
        assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "frozen");
        desk.assert_folds();
    }
}

#[test]
fn a_fill_of_an_order_that_was_never_here_is_told_once_and_not_booked() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let mut fill = desk.trade(&entry, "1", "100");
    fill.order = "lb-nobodys".parse().unwrap();
    let (records, alerts) = (desk.records.len(), desk.alerts.len());
    desk.report(Report::Fill(fill.clone()));
    desk.report(Report::Fill(fill));
    assert_eq!((desk.records.len(), desk.alerts.len()), (records, alerts + 1));
    let stray: OrderId = "lb-stray".parse().unwrap();
    desk.report(Report::Accepted { order: stray });
    assert_eq!(desk.cancels, [stray]);
}

#[test]
fn an_order_that_is_live_is_never_believed_to_have_stayed_at_home() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    let records = desk.records.len();
    assert_eq!(desk.done(entry.id, DoneReason::NotSent).queries, [entry.id]);
    desk.absent(entry.id, false);
    assert_eq!((desk.records.len(), desk.stage(entry.id)), (records, Some(OrderStage::Live)));
}

#[test]
fn after_a_restart_what_is_unknown_is_asked_about_again() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.unknown(entry.id);
    let started = desk.records[0].1.clone();
    let state = desk.account.state().clone();
    desk.account = Account::restart(state, desk.now, started, &mut desk.out).unwrap();
    desk.collect();
    assert_eq!(desk.wait(0, 1, 100.0).queries, [entry.id]);
    assert!(desk.account.has_unknown(Ix(0)));
    desk.assert_folds();
}

#[test]
fn an_order_that_the_venue_has_forgotten_becomes_unknown_and_then_never_was() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    desk.wait(29, 1, 100.0);
    desk.absent(entry.id, false);
    desk.wait(1, 1, 100.0);
    desk.absent(entry.id, true);
    desk.absent(entry.id, false);
    desk.wait(4, 1, 100.0);
    desk.absent(entry.id, false);
    assert_eq!(desk.stage(entry.id), Some(OrderStage::Live), "too early, with a gap, or one answer twice");
    desk.report(Report::Accepted { order: entry.id });
    desk.wait(1, 1, 100.0);
    desk.absent(entry.id, false);
    assert_eq!(desk.stage(entry.id), Some(OrderStage::Live), "it was there in between");
    desk.wait(5, 1, 100.0);
    desk.absent(entry.id, false);
    assert!(desk.stage(entry.id).is_some_and(OrderStage::is_unknown));
    for _ in 0..2 {
        desk.wait(30, 1, 100.0);
        desk.absent(entry.id, false);
    }
    assert_eq!(desk.stage(entry.id), None);
    desk.assert_folds();
}
