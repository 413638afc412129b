//! Limits of orders, and the checks that are put on record.

use super::*;
use crate::record::Check;

impl Desk {
    fn with_keys(keys: &str) -> Self {
        Self::with(AccountKind::Linear, &format!("{RISK}  {keys}\n"))
    }

    /// A quote without a spread.
    pub(super) fn tick(&mut self, at: u16, price: f64) {
        let quote = Quote { ts: self.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        self.tell(&Event::Quote { instrument: Ix(at), quote });
    }

    /// An order that the venue refuses at once.
    fn refuse_first(&mut self) {
        let order = self.orders.remove(0).id;
        self.tell(&Event::Report(Report::Done { order, reason: DoneReason::Rejected, text: None }));
    }
}

fn checks(verdict: &Verdict) -> &[Check] {
    match verdict {
        Verdict::Approved { checks, .. } | Verdict::Refused { checks, .. } => checks,
        Verdict::Unchanged => &[],
    }
}

fn names(verdict: &Verdict) -> Vec<&str> {
    checks(verdict).iter().map(|check| check.name.as_ref()).collect()
}

const ALL: [&str; 19] = [
    "ledger_fault",
    "halt",
    "frozen",
    "reconciling",
    "unknown_order",
    "spot_short",
    "numbers",
    "stale_data",
    "price_collar",
    "order_rate",
    "max_concurrent_positions",
    "max_correlated_positions",
    "measured_correlation",
    "equity",
    "min_position_usd",
    "max_order_usd",
    "venue_minimum",
    "duplicate",
    "exit_waits",
];

#[test]
fn an_approved_entry_has_every_check_and_every_term_on_record() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    let verdict = desk.enter(0, Direction::Long, 100.0);
    assert_eq!(names(&verdict), ALL, "in the order in which they were made");
    assert!(checks(&verdict).iter().all(|check| check.passed));
    let collar = checks(&verdict).iter().find(|check| check.name == "price_collar").unwrap();
    assert_eq!((collar.value, collar.limit), (Some(0.0), Some(5.0)));
    let Verdict::Approved { sizing: Some(sizing), .. } = verdict else { panic!("{verdict:?}") };
    let terms: Vec<(&str, f64)> = sizing.terms.iter().map(|t| (t.name.as_ref(), t.notional.round())).collect();
    let wanted = [
        ("risk_per_trade", 1_000.0),
        ("max_symbol_risk_pct", 2_000.0),
        ("max_position_usd", 1_000.0),
        ("max_order_usd", 1_000.0),
        ("available", 9_990.0),
    ];
    assert_eq!(terms, wanted);
    desk.assert_folds();
}

#[test]
fn a_refused_entry_has_the_checks_up_to_the_one_that_said_no() {
    let mut desk = Desk::new();
    for at in 0..3 {
        desk.flat_bar(at, 100.0);
    }
    desk.enter(0, Direction::Long, 100.0);
    desk.enter(1, Direction::Long, 100.0);
    let verdict = desk.enter(2, Direction::Long, 100.0);
    let last = checks(&verdict).last().unwrap();
    assert_eq!(names(&verdict), ALL[..11]);
    assert!(last.name == "max_concurrent_positions" && !last.passed, "{last:?}");
    assert_eq!((last.value, last.limit), (Some(2.0), Some(2.0)));
    assert!(matches!(verdict, Verdict::Refused { sizing: None, .. }), "it was not sized yet");

    let mut desk = Desk::with_keys("symbols: {AAA: {min_position_usd: 900, max_risk_pct: 0.01}}");
    desk.flat_bar(0, 100.0);
    let verdict = desk.enter(0, Direction::Long, 100.0);
    assert_eq!(Desk::check(&verdict), "min_position_usd");
    let Verdict::Refused { sizing: Some(sizing), .. } = verdict else { panic!("it was sized: {verdict:?}") };
    assert!((sizing.notional - 500.0).abs() < 1e-9, "half of the risk of the others: {sizing:?}");
}

#[test]
fn an_entry_far_from_the_last_price_is_refused() {
    for (reference, fits) in [(95.1, true), (104.9, true), (94.9, false), (105.1, false)] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        let verdict = desk.enter(0, Direction::Long, reference);
        assert_eq!(Desk::check(&verdict), if fits { "" } else { "price_collar" }, "{reference}");
    }
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.tick(0, 110.0);
    assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "price_collar", "a quote is the last price");
}

#[test]
fn an_entry_that_costs_more_than_its_bar_said_keeps_the_limits_at_the_price_it_costs() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.tick(0, 104.0);
    desk.enter(0, Direction::Long, 100.0);
    assert_eq!(desk.orders[0].qty.to_string(), "9.615", "1,000 at 104, not at 100");
}

#[test]
fn an_entry_on_old_prices_is_refused() {
    let mut desk = Desk::new();
    let verdict = desk.enter(0, Direction::Long, 100.0);
    assert_eq!(Desk::check(&verdict), "stale_data", "no price is known: {verdict:?}");
    for (hours, wanted) in [(2, ""), (3, "stale_data")] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        desk.now = desk.now + Span::HOUR.times(hours);
        desk.flat_bar(1, 100.0);
        assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), wanted, "{hours} h");
        assert_eq!(Desk::check(&desk.enter(1, Direction::Long, 100.0)), "", "each symbol has prices of its own");
    }
}

#[test]
fn a_decision_that_comes_late_is_refused_and_bars_do_not_renew_quotes() {
    let mut desk = Desk::with_keys("orders: {max_data_age: 30s}");
    desk.tick(0, 100.0);
    desk.now = desk.now + Span::SECOND.times(31);
    desk.flat_bar(0, 100.0);
    assert_eq!(
        Desk::check(&desk.enter(0, Direction::Long, 100.0)),
        "stale_data",
        "the last price is a quote's, which is not long ago enough to have ended"
    );
    desk.now = desk.now + Span::SECOND;
    desk.tick(0, 100.0);
    assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "");

    let mut desk = Desk::with_keys("orders: {max_data_age: 90s}");
    let bar = desk.now;
    desk.now = desk.now + Span::SECOND.times(91);
    desk.tick(0, 100.0);
    let bracket = BracketSpec { stop: Some(2.0), target: None, trailing: None, time_exit: None };
    let intent = Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 0.2,
        reference: 100.0,
        size: Size::Account,
        bracket,
    };
    let (instrument, intent) = (Ix(0), Some(intent));
    desk.tell(&Event::Decision(Decision { instrument, bar, policy: 7, features: 0, forecast: None, intent }));
    assert!(desk.orders.is_empty(), "the price is new and the decision is not");
}

#[test]
fn the_same_entry_within_a_moment_is_one_sent_twice() {
    for (millis, fits) in [(999, false), (1_000, true)] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        desk.enter(0, Direction::Long, 100.0);
        desk.refuse_first();
        desk.now = desk.now + Span::from_millis(millis);
        let verdict = desk.enter(0, Direction::Long, 100.0);
        assert_eq!(Desk::check(&verdict), if fits { "" } else { "duplicate" }, "{millis} ms");
        desk.assert_folds();
    }
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.flat_bar(1, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.refuse_first();
    desk.now = desk.now + Span::MILLISECOND;
    assert_eq!(Desk::check(&desk.enter(1, Direction::Long, 100.0)), "", "another symbol");
    assert_eq!(Desk::check(&desk.enter(0, Direction::Short, 100.0)), "", "another side");
}

#[test]
fn entries_stop_at_the_rate_and_everything_that_enters_halts_at_twice_the_rate() {
    let mut desk = Desk::with_keys("orders: {max_orders_per_minute: 5}");
    desk.flat_bar(0, 100.0);
    let mut refused = 0;
    for _ in 0..7 {
        desk.now = desk.now + Span::SECOND;
        match Desk::check(&desk.enter(0, Direction::Long, 100.0)) {
            "" => desk.refuse_first(),
            check => refused += usize::from(check == "order_rate"),
        }
    }
    assert_eq!((refused, desk.account.halt_level()), (2, HaltLevel::None), "the sixth and seventh");
    desk.now = desk.now + Span::MINUTE;
    assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "", "a minute later");
    desk.fill("100", 1);
    desk.flat_bar(1, 100.0);
    for _ in 0..4 {
        desk.now = desk.now + Span::SECOND;
        assert_eq!(Desk::check(&desk.enter(1, Direction::Long, 100.0)), "");
        desk.refuse_first();
    }
    // A venue that refuses every exit: protection goes on, later each time, and counts.
    for seconds in [0, 1, 2, 4, 8] {
        assert_eq!(desk.account.halt_level(), HaltLevel::None);
        desk.now = desk.now + Span::SECOND.times(seconds);
        desk.tick(0, 90.0);
        desk.refuse_first();
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::EntryHalt, "ten orders of any kind within a minute");
    assert!(desk.alerts.iter().any(|text| text.contains("runaway")), "{:?}", desk.alerts);
    desk.now = desk.now + Span::SECOND.times(16);
    desk.tick(0, 90.0);
    assert_eq!(desk.orders[0].leg, Leg::Exit, "the halt holds up no exit");
    desk.tell(&Event::Resume { reason: Reason { by: "trader".into(), text: "seen".into() } });
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "what was counted before is not counted again");
    desk.assert_folds();
}
