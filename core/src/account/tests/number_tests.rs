//! Numbers that cannot be meant, and what no decision whatever can bring about.

use super::*;
use crate::record::Chain;

const SANE: [f64; 3] = [0.2, 100.0, 2.0];

fn entry([volatility, reference, stop]: [f64; 3], others: [Option<f64>; 3], time_exit: Option<Span>) -> Intent {
    let [probability, target, trailing] = others;
    let bracket = BracketSpec { stop: Some(stop), target, trailing, time_exit };
    Intent::Enter { direction: Direction::Long, probability, volatility, reference, size: Size::Account, bracket }
}

fn bad() -> Vec<Intent> {
    let smallest = |x: f64| x > 0.0 && x <= f64::MIN_POSITIVE;
    let mut all = Vec::new();
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, f64::MIN_POSITIVE, 1e300] {
        for at in 0..3 {
            let mut numbers = SANE;
            numbers[at] = x;
            // The smallest stop there is is near, not absurd; it is the only exception.
            if !(at == 2 && smallest(x)) {
                all.push(entry(numbers, [None; 3], None));
            }
        }
        for at in 0..3 {
            let mut others = [None; 3];
            others[at] = Some(x);
            let meant = match at {
                0 => (0.0..=1.0).contains(&x),
                _ => smallest(x),
            };
            if !meant {
                all.push(entry(SANE, others, None));
            }
        }
    }
    all.push(entry([0.2, 100.0, 100.0], [None; 3], None));
    all.push(entry([10.1, 100.0, 2.0], [None; 3], None));
    all.push(entry(SANE, [Some(1.000_1), None, None], None));
    for span in [Span::ZERO, Span::from_secs(-1), Span::from_secs(i64::MAX)] {
        all.push(entry(SANE, [None; 3], Some(span)));
    }
    all
}

/// Every record can be written and read back.
fn assert_readable(records: &[(Ts, Record)]) {
    let mut chain = Chain::default();
    for (ts, record) in records {
        chain.encode(*ts, record, &mut Vec::new()).unwrap();
    }
}

#[test]
fn numbers_that_cannot_be_meant_are_refused_by_name_and_leave_a_readable_record() {
    for intent in bad() {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        assert_eq!(Desk::check(&desk.decide(0, intent)), "numbers", "{intent:?}");
        assert!(desk.orders.is_empty());
        assert_readable(&desk.records);
        desk.assert_folds();
    }
    let bare = BracketSpec { stop: None, target: None, trailing: None, time_exit: None };
    let stopped = BracketSpec { stop: Some(2.0), ..bare };
    for (stop, bracket) in [f64::NAN, f64::INFINITY, 0.0, -1.0].into_iter().flat_map(|x| [(x, bare), (x, stopped)]) {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        let Intent::Enter { direction, probability, volatility, reference, size, .. } = entry(SANE, [None; 3], None)
        else {
            panic!("an entry")
        };
        desk.decide(0, Intent::Enter { direction, probability, volatility, reference, size, bracket });
        desk.fill("100", 1);
        desk.next_hour();
        assert_eq!(Desk::check(&desk.decide(0, Intent::Tighten { stop })), "numbers", "{stop}");
        assert_readable(&desk.records);
    }
}

#[test]
fn a_decision_for_a_bar_that_has_not_closed_is_refused_and_blocks_no_later_one() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    let now = desk.now;
    desk.now = now + Span::DAY;
    let intent = Some(entry(SANE, [None; 3], None));
    let (instrument, bar) = (Ix(0), desk.now);
    desk.now = now;
    desk.tell(&Event::Decision(Decision { instrument, bar, policy: 7, features: 0, forecast: None, intent }));
    assert!(desk.orders.is_empty());
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "");
    desk.assert_folds();
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.001..200.0_f64,
        1 => proptest::num::f64::ANY,
        1 => prop_oneof![Just(0.0), Just(-1.0), Just(1e300), Just(f64::NAN), Just(f64::INFINITY)],
    ]
}

#[derive(Debug, Clone)]
struct Wish {
    at: u16,
    long: bool,
    numbers: [f64; 4],
    optional: [Option<f64>; 2],
    wait_ms: i64,
    price: f64,
    news: bool,
    fills: bool,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let numbers = [any_number(), any_number(), any_number(), any_number()];
    let optional = [proptest::option::of(any_number()), proptest::option::of(any_number())];
    let wait = prop_oneof![3 => 0i64..2_000, 1 => 0i64..10_000_000];
    let rest = (any::<bool>(), wait, 80.0..120.0_f64, any::<bool>(), any::<bool>());
    let wish = (0u16..3, numbers, optional, rest).prop_map(|(at, numbers, optional, rest)| {
        let (long, wait_ms, price, news, fills) = rest;
        Wish { at, long, numbers, optional, wait_ms, price, news, fills }
    });
    proptest::collection::vec(wish, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever engines say: no entry is beyond a limit, not finite, far from the last price, on old prices or over the
    /// rate, and every record can be written.
    #[test]
    fn no_decision_whatever_makes_an_order_that_limits_forbid(wishes in wishes()) {
        let keys = "orders: {max_orders_per_minute: 8, max_order_usd: 700, price_collar_pct: 3}";
        let mut desk = Desk::with(AccountKind::Linear, &format!("{RISK}  {keys}\n"));
        let mut prices = [(0.0_f64, Ts::EPOCH); 3];
        let mut sent: Vec<Ts> = Vec::new();
        for wish in wishes {
            desk.now = desk.now + Span::from_millis(wish.wait_ms);
            let price = (wish.price * 100.0).round() / 100.0;
            if wish.news {
                desk.flat_bar(wish.at, price);
                prices[usize::from(wish.at)] = (price, desk.now);
            }
            let (last, priced_at) = prices[usize::from(wish.at)];
            let [volatility, stop, probability, away] = wish.numbers;
            let reference = if away < 1.0 { last * (1.0 + away / 10.0) } else { away };
            let bracket = BracketSpec { stop: Some(stop), target: wish.optional[0], trailing: wish.optional[1], time_exit: None };
            let direction = if wish.long { Direction::Long } else { Direction::Short };
            let probability = (probability < 1.0).then_some(probability);
            let before = desk.orders.len();
            let equity = desk.account.equity();
            desk.decide(wish.at, Intent::Enter { direction, probability, volatility, reference, size: Size::Account, bracket });
            for order in &desk.orders[before..] {
                sent.push(desk.now);
                if order.leg == Leg::Exit {
                    continue;
                }
                let notional = order.qty.to_f64() * last;
                prop_assert!(notional.is_finite() && notional <= 700.0_f64.min(equity * 0.2) + 1e-6, "{notional}");
                prop_assert!((reference / last - 1.0).abs() <= 0.03 + 1e-9, "{reference} {last}");
                prop_assert!(desk.now - priced_at <= Span::HOUR.times(2));
                let recent = sent.iter().filter(|ts| desk.now - **ts < Span::MINUTE).count();
                // A position that is turned over is closed in the same step.
                prop_assert!(recent <= 8 + 1, "{recent} orders within a minute");
                prop_assert!([volatility, reference, stop].iter().all(|x| x.is_finite() && *x > 0.0));
            }
            let state = desk.account.state();
            let held = state.books().iter().filter(|book| {
                !book.is_flat() || book.has_live(Leg::Entry, &state.orders)
            }).count();
            prop_assert!(held <= 2, "{held} positions");
            if wish.fills && !desk.orders.is_empty() {
                // The order may be of a symbol that was never heard of.
                desk.fill(&last.max(0.01).to_string(), 1);
            }
        }
        assert_readable(&desk.records);
        desk.assert_folds();
    }
}
