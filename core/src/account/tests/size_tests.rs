//! Sizes that a policy asks for, and accounts that nothing limits.

use super::*;

const BRACKET: BracketSpec = BracketSpec { stop: Some(2.0), target: None, trailing: None, time_exit: None };

fn entry(size: Size, price: f64) -> Intent {
    let direction = Direction::Long;
    Intent::Enter { direction, probability: None, volatility: 0.2, reference: price, size, bracket: BRACKET }
}

fn desk(unlimited: bool) -> Desk {
    let mut desk = Desk::of(AccountSetup { unlimited, ..setup(AccountKind::Linear, RISK) });
    desk.flat_bar(0, 100.0);
    desk
}

fn sizing(verdict: &Verdict) -> &crate::record::Sizing {
    match verdict {
        Verdict::Approved { sizing: Some(sizing), .. } => sizing,
        other => panic!("an entry that was sized: {other:?}"),
    }
}

#[test]
fn what_the_policy_asks_for_takes_the_place_of_the_formula() {
    for (size, name, qty) in [
        (Size::Units(1.0), "policy_units", "1"),
        (Size::Units(0.0079), "", ""),
        (Size::Units(2.3456), "policy_units", "2.345"),
        (Size::Notional(250.0), "policy_notional", "2.5"),
        (Size::Equity(0.03), "policy_equity", "3"),
        (Size::Account, "risk_per_trade", "10"),
    ] {
        let mut desk = desk(false);
        let verdict = desk.decide(0, entry(size, 100.0));
        if name.is_empty() {
            assert_eq!(Desk::check(&verdict), "min_position_usd", "0.79 is under the policy's smallest position");
            continue;
        }
        let sizing = sizing(&verdict);
        assert_eq!((sizing.bound_by.as_str(), sizing.terms[0].name.as_ref(), sizing.terms.len()), (name, name, 5));
        assert_eq!(desk.orders[0].qty.to_string(), qty, "{size:?}");
        desk.assert_folds();
    }
}

#[test]
fn every_other_limit_still_binds() {
    for size in [Size::Units(50.0), Size::Notional(5_000.0), Size::Equity(0.9)] {
        let mut desk = desk(false);
        let verdict = desk.decide(0, entry(size, 100.0));
        assert_eq!(sizing(&verdict).bound_by, "max_position_usd");
        assert_eq!(desk.orders[0].qty.to_string(), "10", "1,000 at 100");
    }
}

proptest! {
    /// Whole steps stay what they are, whatever the price is: no notional stands between them and the order.
    #[test]
    fn units_are_ordered_as_they_are(steps in 1_000u32..9_000, price in 1.0..100.0_f64) {
        let price = (100.0 * price).round() / 100.0;
        let units = f64::from(steps) / 1_000.0;
        let mut desk = Desk::of(AccountSetup { unlimited: true, ..setup(AccountKind::Linear, RISK) });
        desk.flat_bar(0, price);
        desk.decide(0, entry(Size::Units(units), price));
        let wanted = Qty::new(rust_decimal::Decimal::new(i64::from(steps), 3)).unwrap();
        prop_assert_eq!(desk.orders.first().map(|order| order.qty), (units * price >= 5.0).then_some(wanted));
    }
}

#[test]
fn nothing_limits_an_account_without_limits() {
    let mut desk = desk(true);
    for at in 0..3 {
        desk.flat_bar(at, 100.0);
        let verdict = desk.decide(at, entry(Size::Units(1_000.0), 100.0));
        assert_eq!(sizing(&verdict).terms.len(), 1, "ten times its cash in each of three symbols");
        desk.fill("100", 1);
    }
    // Two thirds are lost and more than there was.
    for at in 0..3 {
        desk.bar(at, 98.5, 98.5, 98.1, 98.1);
    }
    desk.next_hour();
    desk.flat_bar(0, 90.0);
    desk.next_hour();
    assert!(desk.account.equity() < 0.0 && desk.halts.is_empty() && desk.alerts.is_empty(), "{:?}", desk.alerts);
    desk.fill("90", 1);
    let verdict = desk.decide(0, entry(Size::Units(7.0), 90.0));
    assert!(matches!(verdict, Verdict::Approved { .. }), "{verdict:?}");
    desk.assert_folds();
}

#[test]
fn without_limits_the_formula_has_no_cap_and_needs_an_equity() {
    let mut desk = desk(true);
    let verdict = desk.decide(0, entry(Size::Account, 100.0));
    assert_eq!((sizing(&verdict).bound_by.as_str(), desk.orders[0].qty.to_string().as_str()), ("risk_per_trade", "10"));
    let mut desk = Desk::of(AccountSetup { unlimited: true, ..setup(AccountKind::Linear, RISK) });
    desk.flat_bar(0, 100.0);
    let quiet = Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 0.001,
        reference: 100.0,
        size: Size::Account,
        bracket: BracketSpec { stop: None, ..BRACKET },
    };
    desk.decide(0, quiet);
    assert_eq!(desk.orders[0].qty.to_string(), "2000", "10,000 * 0.02 / 0.001 at 100");
    desk.fill("100", 1);
    desk.flat_bar(0, 90.0);
    desk.flat_bar(1, 100.0);
    for size in [Size::Account, Size::Equity(0.5)] {
        desk.now = desk.now + Span::SECOND;
        assert_eq!(Desk::check(&desk.decide(1, entry(size, 100.0))), "equity", "{:.0}", desk.account.equity());
    }
}

#[test]
fn without_limits_people_and_the_venue_are_still_obeyed() {
    let mut halted = desk(true);
    let reason = Reason { by: "ann".into(), text: "enough".into() };
    halted.tell(&Event::Halt { level: HaltLevel::EntryHalt, reason });
    assert_eq!(Desk::check(&halted.decide(0, entry(Size::Units(1.0), 100.0))), "halt");
    let mut small = desk(true);
    assert_eq!(Desk::check(&small.decide(0, entry(Size::Units(0.01), 100.0))), "venue_minimum");
    let mut spot = Desk::of(AccountSetup { unlimited: true, ..setup(AccountKind::Spot, RISK) });
    spot.flat_bar(0, 100.0);
    let short = Intent::Enter {
        direction: Direction::Short,
        probability: None,
        volatility: 0.2,
        reference: 100.0,
        size: Size::Units(1.0),
        bracket: BRACKET,
    };
    assert_eq!(Desk::check(&spot.decide(0, short)), "spot_short");
    let unsound = entry(Size::Units(f64::NAN), 100.0);
    assert_eq!(Desk::check(&spot.decide(0, unsound)), "", "the same bar is not decided twice");
    spot.now = spot.now + Span::SECOND;
    assert_eq!(Desk::check(&spot.decide(0, unsound)), "numbers");
}
