//! Ledger and venue compared.

use super::*;
use crate::account::orders::OrderStage;
use rust_decimal::Decimal;

const START: ReconcileCause = ReconcileCause::Start;

impl Desk {
    /// What a venue says that agrees with the ledger and has no open orders.
    fn agreeing(&self) -> VenueState {
        let state = self.account.state();
        let held = state.books().iter().filter(|b| !b.is_flat());
        let mut balances = vec![("USDT".parse().unwrap(), state.cash().get())];
        let mut positions = Vec::new();
        match state.setup().kind {
            AccountKind::Linear => positions.extend(held.map(|b| (b.symbol(), b.net()))),
            AccountKind::Spot => balances.extend(held.map(|b| (b.symbol().as_str().parse().unwrap(), b.net()))),
        }
        let (orders, fills, foreign, transfers) = Default::default();
        VenueState { asked: self.now, gap: false, orders, fills, foreign, transfers, positions, balances }
    }

    fn compare(&mut self, cause: ReconcileCause) -> Asked {
        self.ask(&Event::Reconcile { cause })
    }

    fn answer(&mut self, venue: VenueState) -> Asked {
        self.report(Report::State(Box::new(venue)))
    }

    fn found(&self) -> Vec<String> {
        let found = |r: &Record| if let Record::Reconciled { found, .. } = r { Some(found.clone()) } else { None };
        self.records.iter().rev().find_map(|(_, r)| found(r)).unwrap_or_default()
    }

    fn is_frozen(&self, at: usize) -> bool {
        self.book(at).frozen().contains_key(&FreezeCause::Venue)
    }

    fn enter_later(&mut self, at: u16) -> String {
        self.now = self.now + Span::HOUR;
        self.flat_bar(at, 100.0);
        Self::check(&self.enter(at, Direction::Long, 100.0)).to_owned()
    }
}

use super::order_tests::Asked;

fn open(order: &Order, filled: &str) -> VenueOrder {
    let (name, symbol, side, qty) = (order.id.to_string(), order.symbol, order.side, order.qty);
    VenueOrder { id: Some(order.id), name, symbol, side, qty, filled: filled.parse().unwrap() }
}

#[test]
fn entries_wait_for_the_answer_at_start_and_after_a_reconnect_and_not_for_the_periodic_one() {
    for (cause, check) in [(START, "reconciling"), (ReconcileCause::Gap, "reconciling"), (ReconcileCause::Periodic, "")]
    {
        let mut desk = Desk::new();
        assert_eq!(desk.compare(cause).comparisons, 1);
        assert_eq!(desk.enter_later(0), check, "{cause:?}");
        if check.is_empty() {
            continue;
        }
        let mut old = desk.agreeing();
        desk.compare(cause);
        old.asked = desk.now - Span::MINUTE;
        desk.answer(old);
        assert_eq!(desk.enter_later(0), check, "an answer from before the question is none");
        desk.answer(VenueState { gap: true, ..desk.agreeing() });
        assert_eq!(desk.enter_later(0), check, "lists that are not whole prove nothing");
        desk.answer(desk.agreeing());
        assert_eq!(desk.enter_later(0), "");
        desk.assert_folds();
    }
}

#[test]
fn an_answer_that_never_comes_is_asked_for_again() {
    let mut desk = Desk::new();
    desk.compare(ReconcileCause::Reconnect);
    let asked: Vec<i64> = (1..=100).filter(|_| desk.wait(1, 0, 100.0).comparisons > 0).collect();
    assert_eq!(asked, [5, 15, 35, 65, 95]);
}

#[test]
fn equality_is_on_record_when_it_matters_and_not_every_minute() {
    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    let records = desk.records.len();
    desk.compare(ReconcileCause::Periodic);
    desk.answer(desk.agreeing());
    assert_eq!(desk.records.len(), records);
    desk.compare(START);
    desk.answer(desk.agreeing());
    assert!(
        matches!(desk.records.last(), Some((_, Record::Reconciled { cause: START, found, .. })) if found.is_empty())
    );
    desk.assert_folds();
}

#[test]
fn a1_a2_an_intent_without_a_word_after_a_crash_is_in_doubt_and_not_sent_again() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.compare(START);
    let asked = desk.answer(desk.agreeing());
    assert_eq!(asked.queries, [entry.id]);
    assert!(desk.account.has_unknown(Ix(0)) && desk.orders.is_empty());
    assert!(desk.found()[0].contains("not at the venue"), "{:?}", desk.found());
    // A minute in which the venue might accept it, then the evidence.
    desk.wait(89, 1, 100.0);
    desk.absent(entry.id, false);
    assert_eq!(desk.stage(entry.id).map(OrderStage::as_str), Some("unknown"));
    for _ in 0..2 {
        desk.wait(5, 1, 100.0);
        desk.absent(entry.id, false);
    }
    assert_eq!(desk.stage(entry.id), None);
    desk.assert_folds();
}

#[test]
fn a3_a5_an_order_accepted_while_nobody_listened_is_live_and_keeps_its_capital() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.compare(START);
    desk.answer(VenueState { orders: vec![open(&entry, "0")], ..desk.agreeing() });
    assert_eq!(desk.stage(entry.id), Some(OrderStage::Live));
    assert!(desk.account.reserved() > 1_000.0 && desk.cancels.is_empty());
    desk.assert_folds();
}

#[test]
fn a4_an_order_that_was_refused_while_nobody_listened_is_found_out_by_its_answer() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.compare(START);
    desk.answer(desk.agreeing());
    desk.done(entry.id, DoneReason::Rejected);
    assert!(desk.stage(entry.id).is_none() && desk.account.reserved().abs() < 1e-9);
    desk.assert_folds();
}

#[test]
fn a6_a7_d15_fills_that_only_the_lists_know_are_booked_once_and_protected() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let parts: Vec<Fill> = ["4", "6"].map(|qty| desk.trade(&entry, qty, "100")).into();
    desk.report(Report::Fill(parts[0].clone()));
    desk.compare(START);
    let positions = vec![("AAA".parse().unwrap(), Decimal::from(10))];
    desk.answer(VenueState { fills: parts.clone(), positions, ..desk.agreeing() });
    assert_eq!((desk.net(0).as_str(), desk.stage(entry.id)), ("10", None));
    assert!(desk.book(0).bracket().is_some() && !desk.is_frozen(0));
    desk.report(Report::Fill(parts[1].clone()));
    assert_eq!(desk.net(0), "10", "and then from the stream");
    assert_eq!(desk.found().len(), 1, "{:?}", desk.found());
    desk.assert_folds();
}

#[test]
fn a8_an_order_cancelled_while_nobody_listened_is_asked_about() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    desk.compare(ReconcileCause::Periodic);
    assert_eq!(desk.answer(desk.agreeing()).queries, [], "its last record is too young");
    desk.now = desk.now + Span::from_secs(5);
    desk.compare(ReconcileCause::Periodic);
    assert_eq!(desk.answer(desk.agreeing()).queries, [entry.id]);
    desk.done(entry.id, DoneReason::Cancelled);
    assert!(desk.stage(entry.id).is_none());
    desk.assert_folds();
}

#[test]
fn a9_an_entry_cancelled_by_a_halt_and_filled_all_the_same_is_booked_and_protected() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let fill = desk.trade(&entry, "10", "100");
    desk.tell(&Event::Halt { level: HaltLevel::EntryHalt, reason: Reason { by: "trader".into(), text: "x".into() } });
    assert_eq!(desk.cancels, [entry.id]);
    desk.compare(START);
    let positions = vec![("AAA".parse().unwrap(), Decimal::from(10))];
    desk.answer(VenueState { fills: vec![fill], positions, ..desk.agreeing() });
    assert!(desk.book(0).bracket().is_some() && !desk.is_frozen(0));
    desk.assert_folds();
}

#[test]
fn a10_a_crash_in_the_middle_of_each_comparison_changes_nothing() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    let fill = desk.trade(&entry, "4", "100");
    for _ in 0..5 {
        let started = desk.records[0].1.clone();
        let state = desk.account.state().clone();
        desk.account = Account::restart(state, desk.now, started.clone(), &mut desk.out).unwrap();
        desk.collect();
        desk.compare(START);
        assert_eq!(desk.enter_later(1), "reconciling");
        let positions = vec![("AAA".parse().unwrap(), Decimal::from(4))];
        let (fills, orders) = (vec![fill.clone()], vec![open(&entry, "4")]);
        desk.answer(VenueState { fills, orders, positions, ..desk.agreeing() });
    }
    assert_eq!((desk.net(0).as_str(), desk.stage(entry.id)), ("4", Some(OrderStage::Live)));
    assert!(desk.orders.is_empty() && desk.cancels.is_empty() && !desk.is_frozen(0));
    let accepted =
        desk.records.iter().filter(|(_, r)| matches!(r, Record::Accepted { .. } | Record::Fill { .. })).count();
    assert_eq!(accepted, 2);
    desk.assert_folds();
}

#[test]
fn an_order_of_ours_that_nothing_here_wants_is_cancelled_and_others_are_left_alone() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.done(entry.id, DoneReason::Cancelled);
    desk.now = desk.now + Span::SECOND;
    let theirs = VenueOrder { id: None, name: "web_1".into(), ..open(&entry, "0") };
    let stray = VenueOrder { id: Some("lb-stray".parse().unwrap()), ..open(&entry, "0") };
    for round in 0..2 {
        desk.compare(ReconcileCause::Periodic);
        let orders = vec![theirs.clone(), open(&entry, "0"), stray.clone()];
        desk.answer(VenueState { orders, ..desk.agreeing() });
        assert_eq!(desk.cancels.len(), 2 * (round + 1), "{:?}", desk.cancels);
        assert_eq!(desk.alerts.iter().filter(|a| a.contains("not ours") || a.contains("not here")).count(), 3);
    }
    assert!(!desk.cancels.iter().any(|id| id.as_str() == "web_1"));
    desk.assert_folds();
}

#[test]
fn an_order_that_ended_after_the_venue_was_asked_is_no_stray() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    desk.compare(ReconcileCause::Periodic);
    let venue = VenueState { orders: vec![open(&entry, "0")], ..desk.agreeing() };
    desk.done(entry.id, DoneReason::Expired);
    desk.answer(venue);
    assert!(desk.cancels.is_empty());
}

#[test]
fn a_position_that_differs_freezes_its_symbol_until_it_is_equal() {
    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.now = desk.now + Span::SECOND;
    desk.compare(ReconcileCause::Periodic);
    let positions = vec![("AAA".parse().unwrap(), "7.5".parse().unwrap())];
    desk.answer(VenueState { positions: positions.clone(), ..desk.agreeing() });
    assert!(desk.is_frozen(0) && !desk.is_frozen(1), "nothing was under way: it counts at once");
    let alert = desk.alerts.last().unwrap().clone();
    assert!(alert.contains("7.5 at the venue, 10 here") && alert.contains("compare"), "{alert}");
    let records = desk.records.len();
    desk.compare(ReconcileCause::Periodic);
    desk.answer(VenueState { positions, ..desk.agreeing() });
    assert_eq!((desk.records.len(), desk.alerts.last()), (records + 1, Some(&alert)), "told once, found again");
    desk.wait(1, 0, 97.0);
    assert_eq!(desk.orders.remove(0).leg, Leg::Exit, "exits go on");
    desk.compare(ReconcileCause::Periodic);
    desk.answer(desk.agreeing());
    assert!(!desk.is_frozen(0));
    desk.assert_folds();
}

#[test]
fn a_difference_that_time_may_explain_is_asked_for_twice() {
    let (mut desk, entry) = Desk::entering(AccountKind::Linear);
    desk.report(Report::Accepted { order: entry.id });
    let positions = vec![("AAA".parse().unwrap(), Decimal::from(4))];
    let ahead =
        |desk: &Desk| VenueState { positions: positions.clone(), orders: vec![open(&entry, "4")], ..desk.agreeing() };
    desk.compare(ReconcileCause::Periodic);
    let asked = desk.answer(ahead(&desk));
    assert_eq!((asked.comparisons, asked.queries, desk.is_frozen(0)), (1, vec![entry.id], false));
    desk.answer(ahead(&desk));
    assert!(desk.is_frozen(0), "twice in a row");
    let fill = desk.trade(&entry, "4", "100");
    desk.report(Report::Fill(fill));
    desk.compare(ReconcileCause::Periodic);
    desk.answer(ahead(&desk));
    assert!(!desk.is_frozen(0));
    desk.assert_folds();
}

#[test]
fn the_currency_concerns_all_symbols() {
    let (mut desk, _) = Desk::holding(AccountKind::Linear);
    desk.now = desk.now + Span::SECOND;
    desk.compare(ReconcileCause::Periodic);
    let balances = vec![("USDT".parse().unwrap(), "9999.99999999".parse().unwrap())];
    desk.answer(VenueState { balances, ..desk.agreeing() });
    assert!((0..3).all(|at| desk.is_frozen(at)));
    desk.compare(ReconcileCause::Periodic);
    desk.answer(VenueState { balances: Vec::new(), gap: true, ..desk.agreeing() });
    assert!((0..3).all(|at| desk.is_frozen(at)), "what is not said frees nothing");
    desk.compare(ReconcileCause::Periodic);
    desk.answer(desk.agreeing());
    assert!((0..3).all(|at| !desk.is_frozen(at)));
    desk.assert_folds();
}

#[test]
fn what_is_missing_in_lists_that_are_not_whole_is_not_flat() {
    for gap in [true, false] {
        let (mut desk, _) = Desk::holding(AccountKind::Linear);
        desk.now = desk.now + Span::SECOND;
        desk.compare(ReconcileCause::Periodic);
        desk.answer(VenueState { positions: Vec::new(), gap, ..desk.agreeing() });
        assert_eq!(desk.is_frozen(0), !gap);
    }
}

#[test]
fn on_spot_what_a_person_holds_is_a_part_of_the_balance() {
    let (mut desk, _) = Desk::holding(AccountKind::Spot);
    for (asset, name) in [("AAA", "t-1"), ("BNB", "t-2")] {
        let (id, amount, value) = (name.to_owned(), "2".parse().unwrap(), "200".parse().unwrap());
        let transfer = Transfer { id, asset: asset.parse().unwrap(), amount, value, ts: desk.now };
        desk.tell(&Event::Report(Report::Transfer(transfer)));
    }
    desk.now = desk.now + Span::SECOND;
    desk.compare(ReconcileCause::Periodic);
    let mut venue = VenueState { balances: Vec::new(), ..desk.agreeing() };
    for (asset, amount) in [("USDT", "9000"), ("AAA", "12"), ("BNB", "2")] {
        venue.balances.push((asset.parse().unwrap(), amount.parse().unwrap()));
    }
    desk.answer(venue);
    assert!((0..3).all(|at| !desk.is_frozen(at)), "{:?}", desk.alerts);
    desk.assert_folds();
}

#[test]
fn on_spot_assets_are_compared() {
    let (mut desk, _) = Desk::holding(AccountKind::Spot);
    let state = desk.account.state();
    let expected = |name: &str| state.expected_balance(name.parse().unwrap()).map(|d| d.to_string());
    assert_eq!(
        ["USDT", "AAA", "BBB", "XYZ"].map(expected),
        [Some("9000".into()), Some("10".into()), Some("0".into()), None]
    );
    desk.now = desk.now + Span::SECOND;
    desk.compare(ReconcileCause::Periodic);
    desk.answer(desk.agreeing());
    assert!((0..3).all(|at| !desk.is_frozen(at)));
    let balances = vec![("USDT".parse().unwrap(), Decimal::from(9_000)), ("AAA".parse().unwrap(), Decimal::from(9))];
    desk.answer(VenueState { balances, ..desk.agreeing() });
    assert_eq!([0, 1, 2].map(|at| desk.is_frozen(at)), [true, false, false]);
    desk.assert_folds();
}

#[test]
fn a_position_in_what_is_not_traded_here_is_told_of() {
    let mut desk = Desk::new();
    for _ in 0..2 {
        desk.compare(ReconcileCause::Periodic);
        desk.answer(VenueState { positions: vec![("ZZZ".parse().unwrap(), Decimal::ONE)], ..desk.agreeing() });
    }
    assert_eq!(desk.alerts.iter().filter(|a| a.contains("ZZZ")).count(), 1);
}

#[test]
fn any_answer_since_entries_began_to_wait_frees_them() {
    let mut desk = Desk::new();
    desk.compare(ReconcileCause::Reconnect);
    let first = desk.agreeing();
    assert_eq!(desk.wait(5, 0, 100.0).comparisons, 1, "asked again");
    desk.answer(first.clone());
    assert_eq!(desk.enter_later(0), "", "the first answer was only slow");
    desk.compare(ReconcileCause::Gap);
    desk.answer(first);
    assert_eq!(desk.enter_later(1), "reconciling", "one from before a new gap is none");
}

#[test]
fn what_is_held_back_here_until_the_answer_is_not_in_doubt() {
    for (cause, sent_before, is_lost) in [
        (ReconcileCause::Periodic, true, false),
        (ReconcileCause::Gap, true, false),
        (ReconcileCause::Reconnect, true, true),
        (ReconcileCause::Reconnect, false, false),
    ] {
        let (mut desk, _) = Desk::holding(AccountKind::Linear);
        if !sent_before {
            desk.compare(cause);
        }
        desk.wait(1, 0, 97.0);
        let exit = desk.orders.remove(0);
        desk.now = desk.now + Span::MINUTE;
        if sent_before {
            desk.compare(cause);
        }
        desk.answer(desk.agreeing());
        let wanted = if is_lost { "unknown" } else { "unsent" };
        assert_eq!(desk.stage(exit.id).map(OrderStage::as_str), Some(wanted), "{cause} {sent_before}");
    }
}
