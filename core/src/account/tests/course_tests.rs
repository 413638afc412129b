//! Courses of things as they come.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, the records alone give the account, cash and positions make equity, and no exit adds.
    #[test]
    fn any_course_of_things_folds_and_balances(
        course in proptest::collection::vec((0u8..6, 0u16..3, 50.0..200.0_f64, 1u32..4), 1..120),
    ) {
        let mut desk = Desk::new();
        for (what, at, price, parts) in course {
            let price = (price * 100.0).round() / 100.0;
            match what {
                0 => desk.bar(at, price, price * 1.02, price * 0.98, price),
                1 => { desk.enter(at, Direction::Long, price); }
                2 => { desk.enter(at, Direction::Short, price); }
                3 => { desk.decide(at, Intent::Exit); }
                4 => if !desk.orders.is_empty() { desk.fill(&price.to_string(), parts) },
                _ => desk.next_hour(),
            }
        }
        desk.tell(&Event::FrameEnd);
        desk.assert_folds();
        let state = desk.account.state();
        let fills: rust_decimal::Decimal = desk.records.iter().map(|(_, r)| match r {
            Record::Fill { fill } => {
                let paid = fill.price.get() * fill.qty.get();
                (if fill.side == Side::Buy { -paid } else { paid }) - fill.fee.get()
            }
            _ => rust_decimal::Decimal::ZERO,
        }).sum();
        let cost: rust_decimal::Decimal = state.books().iter().map(|b| b.cost().get()).sum();
        prop_assert_eq!(state.cash().get(), rust_decimal::Decimal::from(10_000) + fills + cost);
        let net = state.realised().get() - state.fees().get();
        prop_assert_eq!(state.cash().get(), rust_decimal::Decimal::from(10_000) + net);
        prop_assert!(state.books().iter().all(|b| !b.is_flat() || b.cost().get().is_zero()));
    }
}
