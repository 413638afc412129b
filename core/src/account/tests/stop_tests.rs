//! The day's stop, drills of it, and closing by hand.

use super::*;

fn by(text: &str) -> Reason {
    Reason { by: "trader".into(), text: text.into() }
}

impl Desk {
    /// A long position of ten units at 100 in each of the first `count` symbols.
    fn with_positions(count: u16, risk: &str) -> Self {
        let mut desk = Self::with(AccountKind::Linear, risk);
        for at in 0..count {
            desk.flat_bar(at, 100.0);
            desk.enter(at, Direction::Long, 100.0);
            desk.fill("100", 1);
        }
        desk.tell(&Event::FrameEnd);
        desk
    }

    fn tick_after(&mut self, millis: i64, at: u16, price: f64) {
        self.now = self.now + Span::from_millis(millis);
        self.tick(at, price);
    }

    fn exits(&self) -> usize {
        self.orders.iter().filter(|order| order.leg == Leg::Exit).count()
    }
}

#[test]
fn a_bad_tick_of_a_symbol_that_falls_silent_never_stops_and_people_are_told() {
    let mut desk = Desk::with_positions(2, &RISK.replace("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 0.5"));
    for at in 0..2 {
        desk.tick_after(1_000, at, 100.0);
    }
    desk.tick_after(1_000, 0, 92.0);
    for _ in 0..10 {
        desk.tick_after(30_000, 1, 100.0);
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "one tick is one tick, however old");
    assert_eq!(desk.alerts.iter().filter(|text| text.contains("never confirmed")).count(), 1, "{:?}", desk.alerts);
    // A closed bar has many trades behind it. At 100 it denies the tick, at 92 it confirms it.
    desk.flat_bar(0, 100.0);
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.account.halt_level(), HaltLevel::None);
    desk.now = desk.now + Span::MINUTE;
    desk.flat_bar(0, 92.0);
    desk.now = desk.now + Span::MINUTE;
    desk.flat_bar(0, 92.0);
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly);
}

#[test]
fn a_position_that_came_before_any_price_is_worth_what_was_paid_for_it() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.tell(&Event::FrameEnd);
    desk.enter(0, Direction::Long, 100.0);
    let order = desk.orders.pop().unwrap();
    desk.restart();
    desk.fill_part(&order, order.qty, 100.0);
    desk.tick(1, 50.0);
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "{:?}", desk.alerts);
    assert!((desk.account.equity() - 10_000.0).abs() < 1.0);
    desk.assert_folds();
}

#[test]
fn a_loss_in_many_symbols_needs_a_second_quote_of_each() {
    let mut desk = Desk::with_positions(2, RISK);
    for price in [100.0, 84.0] {
        for at in 0..2 {
            desk.tick_after(50, at, price);
        }
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "320 of 10,000, seen once");
    desk.tick_after(50, 0, 84.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "half of it is confirmed");
    desk.tick_after(50, 1, 84.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly);
}

#[test]
fn warnings_come_once_a_day_and_not_for_one_tick() {
    let mut desk = Desk::with_positions(1, RISK);
    desk.orders.clear();
    let warned = |desk: &Desk| desk.alerts.iter().filter(|text| text.contains("% of the daily loss limit")).count();
    desk.tick_after(1_000, 0, 100.0);
    desk.tick_after(1_000, 0, 74.0);
    desk.tick_after(1_000, 0, 100.0);
    assert_eq!(warned(&desk), 0, "86 % of the limit for one tick");
    for price in [84.0, 84.0, 99.0, 84.0, 84.0, 75.0, 75.0] {
        desk.tick_after(1_000, 0, price);
    }
    assert_eq!(warned(&desk), 2, "{:?}", desk.alerts);
    assert_eq!(desk.account.halt_level(), HaltLevel::None);
}

#[test]
fn entries_halt_before_the_stop_where_the_policy_says_so() {
    let mut desk = Desk::with_positions(1, &format!("{RISK}  entry_halt_at: 0.5\n"));
    for (price, wanted) in [(84.0, HaltLevel::EntryHalt), (69.0, HaltLevel::ReduceOnly)] {
        desk.tick_after(1_000, 0, price);
        assert!(desk.account.halt_level() < wanted);
        desk.tick_after(1_000, 0, price);
        assert_eq!(desk.account.halt_level(), wanted);
    }
    desk.assert_folds();
}

#[test]
fn a_flatten_told_again_closes_what_is_still_open() {
    let mut desk = Desk::with_positions(2, RISK);
    let flatten = || Event::Halt { level: HaltLevel::Flatten, reason: by("enough") };
    desk.tell(&flatten());
    assert_eq!(desk.exits(), 2);
    desk.tell(&flatten());
    assert_eq!(desk.exits(), 2, "they are on their way");
    let lost = desk.orders.remove(0);
    desk.tell(&Event::Report(Report::Done { order: lost.id, reason: DoneReason::NotSent, text: None }));
    desk.now = desk.now + Span::SECOND;
    desk.tell(&flatten());
    let again = desk.orders.last().unwrap();
    assert_eq!((again.symbol, again.leg, again.attempt), (lost.symbol, Leg::Exit, 2));
    desk.tell(&Event::Halt { level: HaltLevel::EntryHalt, reason: by("less") });
    assert_eq!(desk.account.halt_level(), HaltLevel::Flatten, "a lower level lifts nothing");
    let rejected = desk.orders.pop().unwrap();
    desk.tell(&Event::Report(Report::Done { order: rejected.id, reason: DoneReason::Rejected, text: None }));
    desk.next_hour();
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.orders.last().unwrap().attempt, 3, "an instant tries again what was refused");
    desk.assert_folds();
}

#[test]
fn an_entry_that_fills_after_a_flatten_is_closed_at_once() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason: by("enough") });
    desk.fill("100", 1);
    assert!(matches!(desk.orders[..], [Order { leg: Leg::Exit, cause: Cause::Command { .. }, .. }]));
    desk.fill("100", 1);
    assert!(desk.account.state().books()[0].is_flat() && desk.orders.is_empty());
    desk.assert_folds();
}

#[test]
fn a_position_is_closed_by_hand_once() {
    let mut desk = Desk::with_positions(2, RISK);
    let close = |at| Event::Close { instrument: Ix(at), reason: by("enough") };
    desk.tell(&close(0));
    let Some((_, Record::Close { symbol, .. })) =
        desk.records.iter().find(|(_, record)| matches!(record, Record::Close { .. }))
    else {
        panic!("it is on record: {:?}", desk.records)
    };
    let seq = desk.records.iter().position(|(_, r)| matches!(r, Record::Close { .. })).unwrap() as u64 + 1;
    assert_eq!((*symbol, desk.orders[0].symbol), ("AAA".parse().unwrap(), *symbol));
    assert_eq!((desk.orders.len(), desk.orders[0].cause), (1, Cause::Command { seq }));
    let records = desk.records.len();
    desk.tell(&close(0));
    assert!(desk.alerts.last().unwrap().contains("an exit is on its way already"), "{:?}", desk.alerts);
    desk.fill("100", 1);
    let filled = desk.records.len();
    for at in [0, 2, 9] {
        desk.tell(&close(at));
    }
    assert_eq!((desk.records.len(), desk.orders.len()), (filled, 0), "nothing to close, and nothing written");
    assert!(filled > records && desk.alerts.iter().filter(|text| text.contains("nothing is closed")).count() == 4);
    assert!(!desk.account.state().books()[1].is_flat(), "the other one stays");
    desk.assert_folds();
}

#[test]
fn closing_by_hand_takes_back_an_entry_on_its_way() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.tell(&Event::Close { instrument: Ix(0), reason: by("no") });
    assert_eq!(desk.cancels, [desk.orders[0].id]);
    assert_eq!(desk.exits(), 0);
}

#[test]
fn a_drill_stops_by_the_next_two_quotes_and_the_ledger_knows_nothing_of_it() {
    let mut desk = Desk::with_positions(1, &format!("{RISK}  on_stop: flatten\n"));
    desk.tick_after(1_000, 0, 100.0);
    let (equity, cash) = (desk.account.equity(), desk.account.state().cash());
    desk.tell(&Event::Drill { loss: 0.04, reason: by("drill") });
    assert_eq!(desk.account.halt_level(), HaltLevel::None);
    desk.tick_after(1_000, 0, 100.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "seen once");
    desk.tick_after(100, 0, 100.0);
    assert_eq!((desk.account.halt_level(), desk.exits()), (HaltLevel::Flatten, 1));
    assert!(desk.alerts.iter().any(|text| text.contains("4.00 % of it a drill")), "{:?}", desk.alerts);
    assert_eq!((desk.account.equity(), desk.account.state().cash()), (equity, cash));
    desk.fill("100", 1);
    desk.tell(&Event::Resume { reason: by("seen") });
    for _ in 0..3 {
        desk.tick_after(1_000, 0, 100.0);
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "the resume ended the drill");
    let start = desk.account.state().day().unwrap().start_equity.to_f64();
    assert!((start - desk.account.equity()).abs() < 1e-6, "the loss counts from the equity that is there");
    desk.assert_folds();
}

#[test]
fn a_drill_before_the_first_bar_works_and_one_of_no_loss_is_refused() {
    let mut desk = Desk::new();
    for loss in [0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let records = desk.records.len();
        desk.tell(&Event::Drill { loss, reason: by("drill") });
        assert_eq!(desk.records.len(), records, "{loss}");
    }
    assert_eq!(desk.alerts.len(), 5);
    desk.tell(&Event::Drill { loss: 0.03, reason: by("drill") });
    desk.tell(&Event::Resume { reason: by("enough") });
    assert!(matches!(desk.records.last(), Some((_, Record::Resume { .. }))), "a drill ends without a halt too");
    for _ in 0..2 {
        desk.tick_after(1_000, 0, 100.0);
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::None);
    desk.tell(&Event::Drill { loss: 0.03, reason: by("drill") });
    for _ in 0..2 {
        desk.tick_after(1_000, 0, 100.0);
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly);
    desk.assert_folds();
}

/// Long positions of ten units at 100 in the first symbols, each under its bracket.
fn held(risk: &str, brackets: &[BracketSpec]) -> Desk {
    let mut desk = Desk::with(AccountKind::Linear, risk);
    for (at, bracket) in (0..).zip(brackets) {
        desk.flat_bar(at, 100.0);
        desk.decide(at, long(*bracket));
        desk.fill("100", 1);
    }
    desk.tell(&Event::FrameEnd);
    desk
}

fn long(bracket: BracketSpec) -> Intent {
    let (direction, size) = (Direction::Long, Size::Account);
    Intent::Enter { direction, probability: None, volatility: 0.2, reference: 100.0, size, bracket }
}

const NONE: BracketSpec = BracketSpec { stop: None, target: None, trailing: None, time_exit: None };
/// A target and a time end no loss by its size.
const STOPLESS: BracketSpec = BracketSpec { target: Some(400.0), time_exit: Some(Span::DAY), ..NONE };
const STOPPED: BracketSpec = BracketSpec { stop: Some(90.0), ..NONE };
const TRAILED: BracketSpec = BracketSpec { trailing: Some(90.0), ..NONE };

fn exits_of(desk: &Desk) -> Vec<(&str, Cause)> {
    let exits = desk.orders.iter().filter(|order| order.leg == Leg::Exit);
    exits.map(|order| (order.symbol.as_str(), order.cause)).collect()
}

#[test]
fn the_days_stop_closes_what_no_stop_guards_and_leaves_the_rest() {
    let risk = RISK.replace("max_concurrent_positions: 2", "max_concurrent_positions: 3");
    for (brackets, closed) in [([STOPLESS, STOPPED, NONE], vec!["AAA", "CCC"]), ([STOPPED, TRAILED, TRAILED], vec![])] {
        let mut desk = held(&risk, &brackets);
        for _ in 0..2 {
            desk.tick_after(1_000, 0, 65.0);
        }
        assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly);
        let seq = desk.account.state().halt().unwrap().seq;
        let wanted: Vec<_> = closed.iter().map(|symbol| (*symbol, Cause::Command { seq })).collect();
        assert_eq!(exits_of(&desk), wanted);
        let told = desk.alerts.iter().filter(|text| text.contains("closed by the day's stop")).collect::<Vec<_>>();
        assert_eq!(told.len(), usize::from(!closed.is_empty()), "{:?}", desk.alerts);
        assert!(told.iter().all(|text| text.contains("AAA, CCC")), "{told:?}");
        desk.assert_folds();
    }
}

#[test]
fn a_stopless_position_is_closed_though_its_exit_is_refused_or_lost_with_the_process() {
    let mut desk = held(RISK, &[NONE]);
    for _ in 0..2 {
        desk.tick_after(1_000, 0, 65.0);
    }
    let lost = desk.orders.remove(0);
    desk.tell(&Event::Report(Report::Done { order: lost.id, reason: DoneReason::Rejected, text: None }));
    desk.tick_after(1_000, 0, 65.0);
    assert_eq!((desk.orders.len(), desk.orders[0].attempt), (1, 2));
    desk.fill("65", 1);
    assert!(desk.account.state().books()[0].is_flat());
    desk.assert_folds();

    let mut desk = held(RISK, &[NONE]);
    let reason = Reason { by: "risk".into(), text: "the record of a life that ended here".into() };
    desk.records.push((desk.now, Record::Halt { level: HaltLevel::ReduceOnly, reason }));
    desk.restart();
    desk.next_hour();
    assert_eq!(exits_of(&desk).len(), 1);
    desk.assert_folds();
}

#[test]
fn an_entry_without_a_stop_that_fills_after_the_days_stop_is_closed_at_once() {
    let mut desk = held(RISK, &[STOPPED]);
    desk.flat_bar(1, 100.0);
    desk.decide(1, long(NONE));
    for _ in 0..2 {
        desk.tick_after(1_000, 0, 65.0);
    }
    assert_eq!((desk.account.halt_level(), desk.exits()), (HaltLevel::ReduceOnly, 0));
    desk.fill("100", 2);
    assert_eq!(exits_of(&desk).first().map(|exit| exit.0), Some("BBB"));
    desk.assert_folds();
}

#[test]
fn a_halt_by_hand_tells_what_no_stop_guards_and_the_days_loss_closes_it_all_the_same() {
    let mut desk = held(RISK, &[NONE, STOPPED]);
    let before = desk.alerts.len();
    desk.tell(&Event::Halt { level: HaltLevel::ReduceOnly, reason: by("wait") });
    let told = desk.alerts[before..].iter().filter(|text| text.contains("no stop guards the position of AAA,")).count();
    assert_eq!((told, desk.exits()), (1, 0), "{:?}", desk.alerts);
    for _ in 0..4 {
        desk.tick_after(1_000, 0, 65.0);
    }
    assert_eq!((desk.account.state().halt().unwrap().reason.by.as_str(), exits_of(&desk).len()), ("trader", 1));
    assert_eq!(desk.alerts.iter().filter(|text| text.contains("closed by the day's stop")).count(), 1);
    desk.assert_folds();
}

#[test]
fn a_strategy_without_a_stop_is_told_of_once_a_symbol() {
    let mut desk = held(RISK, &[NONE, STOPPED]);
    let told = |desk: &Desk| desk.alerts.iter().filter(|text| text.contains("has no stop")).count();
    assert_eq!(told(&desk), 1, "{:?}", desk.alerts);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.decide(0, Intent::Exit);
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.decide(0, long(NONE));
    desk.fill("100", 1);
    desk.next_hour();
    assert_eq!(told(&desk), 1, "{:?}", desk.alerts);
}
