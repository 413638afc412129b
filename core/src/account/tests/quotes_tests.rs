//! Which quotes are believed.

use super::*;

fn quote(desk: &mut Desk, bid: f64, ask: f64, ts: Ts) {
    let quote = Quote { ts, bid, ask, bid_size: 1.0, ask_size: 1.0 };
    desk.tell(&Event::Quote { instrument: Ix(0), quote });
}

/// Long ten at 100, the stop at 98, quoted at 100.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    let now = desk.now;
    quote(&mut desk, 100.0, 100.0, now);
    desk
}

fn mark(desk: &Desk) -> f64 {
    desk.account.view().symbols[0].position.as_ref().unwrap().mark
}

#[test]
fn one_bad_tick_marks_and_triggers_nothing_and_is_told_once() {
    let mut desk = desk();
    for price in [50.0, 100.5, 0.01, 100.0, 1e9, 99.5] {
        desk.now = desk.now + Span::SECOND;
        let now = desk.now;
        quote(&mut desk, price, price, now);
        assert!((mark(&desk) - 100.0).abs() < 1.0, "{price}");
    }
    assert!(desk.orders.is_empty());
    assert_eq!(desk.alerts.iter().filter(|a| a.contains("not believed")).count(), 3);
}

#[test]
fn a_crash_is_acted_upon_one_quote_later() {
    let mut desk = desk();
    desk.now = desk.now + Span::SECOND;
    let now = desk.now;
    quote(&mut desk, 80.0, 80.1, now);
    desk.now = now + Span::from_millis(99);
    quote(&mut desk, 79.0, 79.1, now);
    assert!(desk.orders.is_empty(), "99 ms are the same burst");
    desk.now = now + Span::from_millis(100);
    quote(&mut desk, 78.0, 78.1, now);
    assert_eq!(desk.orders.len(), 1);
    assert!((mark(&desk) - 78.05).abs() < 1e-9);
    assert_eq!(desk.alerts.iter().filter(|a| a.contains("not believed")).count(), 1);
}

#[test]
fn a_level_must_be_seen_again_and_not_another_one() {
    let mut desk = desk();
    for price in [50.0, 80.0, 20.0, 150.0] {
        desk.now = desk.now + Span::SECOND;
        let now = desk.now;
        quote(&mut desk, price, price, now);
        assert!(desk.orders.is_empty() && (mark(&desk) - 100.0).abs() < 1e-9, "{price}");
    }
    // A market that never comes to rest is believed in the end.
    desk.now = desk.now + Span::MINUTE;
    let now = desk.now;
    quote(&mut desk, 60.0, 60.0, now);
    assert_eq!(desk.orders.len(), 1);
}

#[test]
fn what_cannot_be_a_quote_and_what_is_out_of_order_is_ignored() {
    let mut desk = desk();
    let now = desk.now;
    for (bid, ask) in [(101.0, 99.0), (0.0, 100.0), (-1.0, 100.0), (f64::NAN, 100.0), (100.0, f64::INFINITY)] {
        desk.now = desk.now + Span::SECOND;
        let now = desk.now;
        quote(&mut desk, bid, ask, now);
    }
    quote(&mut desk, 95.0, 95.0, now - Span::from_nanos(1));
    assert!(desk.orders.is_empty() && (mark(&desk) - 100.0).abs() < 1e-9);
    // A time of the future does not silence the quotes of the present.
    quote(&mut desk, 101.0, 101.0, Ts::MAX);
    desk.now = desk.now + Span::SECOND;
    let now = desk.now;
    quote(&mut desk, 102.0, 102.0, now);
    assert!((mark(&desk) - 102.0).abs() < 1e-9);
}

/// The middle is where it was, and nobody would buy.
#[test]
fn a_book_with_one_side_gone_is_not_believed_at_once() {
    let mut desk = desk();
    desk.now = desk.now + Span::SECOND;
    let now = desk.now;
    quote(&mut desk, 1.0, 199.0, now);
    assert!(desk.orders.is_empty());
}

#[test]
fn after_a_restart_a_recent_mark_is_the_reference_and_an_old_one_is_not() {
    for (pause, orders) in [(Span::MINUTE, 0), (Span::HOUR.times(2), 1)] {
        let mut desk = desk();
        desk.tell(&Event::FrameEnd);
        let mut state = State::open(desk.records[0].0, &desk.records[0].1).unwrap();
        for (ts, record) in &desk.records[1..] {
            state.apply(*ts, record).unwrap();
        }
        desk.now = desk.now + pause;
        desk.account = Account::restart(state, desk.now, desk.records[0].1.clone(), &mut desk.out).unwrap();
        let now = desk.now;
        quote(&mut desk, 80.0, 80.0, now);
        assert_eq!(desk.orders.len(), orders, "after {} s", pause.secs_f64());
    }
}

#[test]
fn bars_that_cannot_be_are_ignored() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    for (o, h, l, c) in [
        (90.0, 80.0, 95.0, 90.0),
        (100.0, 100.0, 99.0, 50.0),
        (100.0, 100.0, -1.0, 100.0),
        (f64::NAN, 100.0, 90.0, 95.0),
    ] {
        desk.bar(0, o, h, l, c);
        assert!(desk.orders.is_empty() && (mark(&desk) - 100.0).abs() < 1e-9);
    }
}

proptest! {
    /// No sequence of quotes in which every far one stands alone marks or triggers anything by a far one.
    #[test]
    fn lonely_ticks_never_count(
        ticks in proptest::collection::vec(
            (prop_oneof![0.001..0.9_f64, 0.95..1.05_f64, 1.1001..1000.0_f64], 0i64..100_000),
            1..60,
        ),
    ) {
        let mut desk = desk();
        for (factor, ms) in ticks {
            for price in [100.0 * factor, 100.0] {
                desk.now = desk.now + Span::from_millis(ms);
                let now = desk.now;
                quote(&mut desk, price, price, now);
                prop_assert!((mark(&desk) / 100.0 - 1.0).abs() <= 0.05 + 1e-9);
            }
            desk.orders.clear();
        }
    }
}
