//! Symbols that leave the configuration.

use super::*;

#[test]
fn a_setup_that_drops_a_symbol_keeps_its_position_protected() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    let mut smaller = setup(AccountKind::Linear, RISK);
    smaller.instruments.remove(0);
    desk.account.reconfigure(smaller, desk.now, &mut desk.out).unwrap();
    desk.collect();
    let ix = desk.account.ix("AAA".parse().unwrap()).unwrap();
    assert_eq!(ix, Ix(2), "it stays, at the end");
    desk.next_hour();
    desk.bar(ix.0, 100.0, 100.0, 97.0, 97.0);
    assert_eq!(desk.orders[0].leg, Leg::Exit);
    assert_eq!(Desk::check(&desk.enter(ix.0, Direction::Short, 97.0)), "frozen");
    desk.assert_folds();
    let mut other = setup(AccountKind::Spot, RISK);
    other.name = "paper".into();
    assert!(desk.account.reconfigure(other, desk.now, &mut desk.out).is_err());
}

#[test]
fn an_entry_of_what_left_the_configuration_is_cancelled_and_others_are_not() {
    let mut desk = Desk::new();
    for at in 0..2 {
        desk.flat_bar(at, 100.0);
        desk.enter(at, Direction::Long, 100.0);
    }
    let entries: Vec<OrderId> = desk.orders.iter().map(|order| order.id).collect();
    let freeze =
        |cause, reason: Option<&str>| Event::Freeze { instrument: Ix(0), cause, reason: reason.map(str::to_owned) };
    // An engine that is down has not taken back what it said.
    desk.tell(&freeze(FreezeCause::Engine, Some("down")));
    desk.tell(&freeze(FreezeCause::Configuration, None));
    assert!(desk.cancels.is_empty());
    desk.tell(&freeze(FreezeCause::Configuration, Some("gone")));
    assert_eq!(desk.cancels, entries[..1]);
    let records = desk.records.len();
    desk.tell(&freeze(FreezeCause::Configuration, Some("gone")));
    assert_eq!((desk.cancels.len(), desk.records.len()), (2, records), "again, in case that the cancel was lost");
    desk.assert_folds();
}
