//! The account against a venue made of plain functions: every test speaks of what a trader would see.

mod brackets_tests;
mod course_tests;
mod dust_tests;
mod exit_tests;
mod funding_tests;
mod gone_tests;
mod halt_tests;
mod ledger_tests;
mod limit_tests;
mod lowered_tests;
mod number_tests;
mod order_model;
mod order_tests;
mod outside_tests;
mod protection_tests;
mod quotes_tests;
mod rebalance_tests;
mod reconcile_tests;
mod recording_tests;
mod size_tests;
mod stop_tests;
mod wanted_tests;

use super::*;
use crate::domain::*;
use crate::record::Verdict;
use proptest::prelude::*;

const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 3.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 2
  rebalance_frequency: weekly
  correlation_groups: {alts: [AAA, BBB]}
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 1000}
";

fn setup(kind: AccountKind, risk: &str) -> AccountSetup {
    fixtures::setup(&["AAA", "BBB", "CCC"], kind, risk)
}

/// An account with everything it has asked for, and the orders that are at the venue.
struct Desk {
    account: Account,
    out: Actions<Action>,
    records: Vec<(Ts, Record)>,
    orders: Vec<Order>,
    cancels: Vec<OrderId>,
    alerts: Vec<String>,
    halts: Vec<HaltLevel>,
    now: Ts,
    trades: u64,
}

impl Desk {
    fn with(kind: AccountKind, risk: &str) -> Self {
        Self::of(setup(kind, risk))
    }

    fn of(setup: AccountSetup) -> Self {
        let mut out = Actions::new();
        let started = Record::Started {
            run: "run-1".parse().unwrap(),
            timeframe: Timeframe::HOUR,
            config_hash: String::new(),
            setup: Box::new(setup),
        };
        let now = Ts::from_secs(1_654_041_600);
        let account = Account::open(now, started, &mut out).unwrap();
        let (records, orders, cancels, alerts, halts) = Default::default();
        let mut desk = Self { account, out, records, orders, cancels, alerts, halts, now, trades: 0 };
        desk.collect();
        desk
    }

    fn new() -> Self {
        Self::with(AccountKind::Linear, RISK)
    }

    fn collect(&mut self) {
        for action in self.out.drain() {
            match action {
                Action::Record(record) => self.records.push((self.now, *record)),
                Action::Submit(order) => self.orders.push((*order).clone()),
                Action::Cancel(id) => self.cancels.push(id),
                Action::Alert(alert) => self.alerts.push(alert.text),
                Action::Halt(level, _) => self.halts.push(level),
                Action::Position(_) | Action::Query(_) | Action::Reconcile => {}
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        self.account.step(event, self.now, &mut self.out);
        self.collect();
    }

    fn bar(&mut self, at: u16, o: f64, h: f64, l: f64, c: f64) {
        let bar = Bar { open_ts: self.now - Span::HOUR, open: o, high: h, low: l, close: c, volume: 1e6 };
        self.tell(&Event::Bar { instrument: Ix(at), bar, context: Context::default() });
    }

    fn flat_bar(&mut self, at: u16, price: f64) {
        self.bar(at, price, price, price, price);
    }

    fn next_hour(&mut self) {
        self.tell(&Event::FrameEnd);
        self.now = self.now + Span::HOUR;
    }

    fn decide(&mut self, at: u16, intent: Intent) -> Verdict {
        let (instrument, bar, intent) = (Ix(at), self.now, Some(intent));
        let decision = Decision { instrument, bar, policy: 7, features: 0, forecast: None, intent };
        let before = self.records.len();
        self.tell(&Event::Decision(decision));
        let mut new = self.records[before..].iter();
        let found =
            new.find_map(|(_, r)| if let Record::Decision { verdict, .. } = r { Some(verdict.clone()) } else { None });
        found.unwrap_or(Verdict::Unchanged)
    }

    fn enter(&mut self, at: u16, direction: Direction, price: f64) -> Verdict {
        let bracket =
            BracketSpec { stop: Some(2.0), target: Some(4.0), trailing: None, time_exit: Some(Span::HOUR.times(24)) };
        self.decide(
            at,
            Intent::Enter {
                direction,
                probability: None,
                volatility: 0.2,
                reference: price,
                size: Size::Account,
                bracket,
            },
        )
    }

    /// Accepts and fills the oldest order in parts.
    fn fill(&mut self, price: &str, parts: u32) {
        let order = self.orders.remove(0);
        self.tell(&Event::Report(Report::Accepted { order: order.id }));
        let part = Qty::new((order.qty.get() / rust_decimal::Decimal::from(parts)).round_dp(3)).unwrap();
        let mut left = order.qty;
        for n in 1..=parts {
            self.trades += 1;
            let qty = if n == parts { left } else { part };
            left = left.less(qty);
            let price: Price = price.parse().unwrap();
            let fee = Money::new(
                (price.notional(qty).get() * "0.0005".parse::<rust_decimal::Decimal>().unwrap()).round_dp(8),
            );
            let fill = Fill {
                order: order.id,
                trade_id: self.trades,
                symbol: order.symbol,
                side: order.side,
                price,
                qty,
                fee: fee.unwrap(),
                commission: None,
                ts: self.now,
            };
            self.tell(&Event::Report(Report::Fill(fill.clone())));
            self.tell(&Event::Report(Report::Fill(fill)));
        }
        self.tell(&Event::Report(Report::Done { order: order.id, reason: DoneReason::Filled, text: None }));
    }

    fn check(verdict: &Verdict) -> &str {
        if let Verdict::Refused { check, .. } = verdict { check } else { "" }
    }

    /// The fold of the records is the account, after everything.
    fn assert_folds(&self) {
        let mut state = State::open(self.records[0].0, &self.records[0].1).unwrap();
        for (ts, record) in &self.records[1..] {
            state.apply(*ts, record).unwrap();
        }
        assert_eq!(&state, self.account.state());
    }
}

#[test]
fn an_entry_is_sized_reserved_filled_once_and_protected() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    assert!(matches!(desk.enter(0, Direction::Long, 100.0), Verdict::Approved { .. }));
    // 10,000 * 0.02 / 0.2 = 1,000: ten units, all of it held back until it is filled.
    assert_eq!(desk.orders[0].qty.to_string(), "10");
    assert!(desk.account.reserved() > 1_000.0);
    desk.fill("100.1", 3);
    let book = &desk.account.state().books()[0];
    assert_eq!((book.net().to_string().as_str(), book.trades()), ("10", 0));
    assert!(desk.account.reserved().abs() < 1e-9);
    let bracket = book.bracket().unwrap();
    assert!(
        (bracket.stop.unwrap() - 98.1).abs() < 1e-9 && (bracket.target.unwrap() - 104.1).abs() < 1e-9,
        "{bracket:?}"
    );
    desk.assert_folds();
}

#[test]
fn a_stop_inside_a_bar_triggers_at_its_price_and_a_gap_at_the_open() {
    for (bar, trigger, rule) in [
        ((101.0, 101.0, 97.0, 97.5), "98", ExitReason::Stop),
        ((95.0, 96.0, 94.0, 95.5), "95", ExitReason::Stop),
        ((101.0, 105.0, 100.0, 104.5), "104", ExitReason::Target),
        ((106.0, 107.0, 105.0, 106.5), "106", ExitReason::Target),
        ((101.0, 105.0, 97.0, 100.0), "98", ExitReason::Stop),
    ] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        desk.enter(0, Direction::Long, 100.0);
        desk.next_hour();
        desk.fill("100", 1);
        desk.bar(0, bar.0, bar.1, bar.2, bar.3);
        let order = &desk.orders[0];
        assert_eq!((order.leg, order.side, order.qty.to_string().as_str()), (Leg::Exit, Side::Sell, "10"));
        assert_eq!(order.trigger.unwrap().to_string(), trigger, "{bar:?}");
        assert!(matches!(order.cause, Cause::Bracket { rule: r, .. } if r == rule), "{bar:?}");
        desk.fill(trigger, 1);
        assert!(desk.account.state().books()[0].is_flat() && desk.account.state().books()[0].bracket().is_none());
        desk.assert_folds();
    }
}

#[test]
fn a_short_is_the_mirror_of_a_long() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Short, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.bar(0, 100.0, 103.0, 99.0, 102.0);
    assert_eq!(desk.orders[0].trigger.unwrap().to_string(), "102");
    desk.fill("102", 1);
    // Ten units lost two each, and both sides paid 5 bps.
    assert_eq!(desk.account.state().cash().to_string(), "9978.99");
    desk.assert_folds();
}

#[test]
fn a_trailing_stop_follows_and_never_goes_back() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    let bracket = BracketSpec { stop: Some(2.0), target: None, trailing: Some(3.0), time_exit: None };
    desk.decide(
        0,
        Intent::Enter {
            direction: Direction::Long,
            probability: None,
            volatility: 0.2,
            reference: 100.0,
            size: Size::Account,
            bracket,
        },
    );
    desk.fill("100", 1);
    for (high, low, stop) in [(104.0, 100.0, 101.0), (103.0, 102.0, 101.0), (110.0, 103.5, 107.0)] {
        desk.next_hour();
        desk.bar(0, low, high, low, high);
        let now = desk.account.state().books()[0].bracket().unwrap().stop.unwrap();
        assert!((now - stop).abs() < 1e-9, "{now} is not {stop}");
    }
    desk.next_hour();
    desk.bar(0, 109.0, 109.0, 106.0, 106.5);
    assert!(matches!(desk.orders[0].cause, Cause::Bracket { rule: ExitReason::Trailing, .. }));
    desk.assert_folds();
}

#[test]
fn time_runs_out_for_a_position() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    for _ in 0..24 {
        assert!(desk.orders.is_empty());
        desk.next_hour();
        desk.flat_bar(0, 100.0);
    }
    assert!(matches!(desk.orders[0].cause, Cause::Bracket { rule: ExitReason::TimeExit, .. }));
    assert_eq!(desk.orders[0].trigger, None, "it leaves at the next price, not at a price of the past");
}

#[test]
fn a_reversal_closes_first_and_an_exit_never_turns_a_position_over() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Short, 100.0);
    assert_eq!(desk.orders.iter().map(|o| o.leg).collect::<Vec<_>>(), [Leg::Exit, Leg::Entry]);
    // The entry is filled before the exit (fees have made it a little smaller): the exit would now open a short.
    let exit = desk.orders.remove(0);
    desk.fill("100", 1);
    assert_eq!(desk.account.state().books()[0].net().to_string(), "0.001");
    assert_eq!(desk.cancels, [exit.id]);
    desk.assert_folds();
}

#[test]
fn limits_hold_over_all_symbols_together() {
    let mut desk = Desk::new();
    for at in 0..3 {
        desk.flat_bar(at, 100.0);
    }
    desk.enter(0, Direction::Long, 100.0);
    desk.enter(1, Direction::Long, 100.0);
    let verdict = desk.enter(2, Direction::Long, 100.0);
    assert_eq!(Desk::check(&verdict), "max_concurrent_positions", "entries on their way count: {verdict:?}");

    let mut desk = Desk::with(AccountKind::Linear, &format!("{RISK}  max_correlated_positions: 1\n"));
    desk.flat_bar(0, 100.0);
    desk.flat_bar(1, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    assert_eq!(Desk::check(&desk.enter(1, Direction::Long, 100.0)), "max_correlated_positions");
    desk.now = desk.now + Span::HOUR;
    assert!(
        matches!(desk.enter(1, Direction::Short, 100.0), Verdict::Approved { .. }),
        "the other direction is no cluster"
    );
}

#[test]
fn a_spot_account_buys_what_it_can_pay_and_is_never_short() {
    let mut desk = Desk::with(AccountKind::Spot, RISK);
    desk.flat_bar(0, 100.0);
    assert_eq!(Desk::check(&desk.enter(0, Direction::Short, 100.0)), "spot_short");
    desk.now = desk.now + Span::HOUR;
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    assert_eq!(desk.account.state().cash().to_string(), "8999.5");
    assert!((desk.account.equity() - 9_999.5).abs() < 1e-9);
}

#[test]
fn the_day_stop_latches_and_only_a_resume_lifts_it() {
    let mut desk = Desk::with(AccountKind::Linear, &RISK.replace("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 0.2"));
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 98.5);
    desk.next_hour();
    assert!(desk.alerts.iter().any(|a| a.contains("50 %")), "{:?}", desk.alerts);
    assert_eq!(desk.account.halt_level(), HaltLevel::None);
    desk.bar(0, 98.5, 98.5, 98.0, 98.0);
    desk.orders.clear();
    desk.tell(&Event::FrameEnd);
    assert_eq!(
        (desk.account.halt_level(), desk.halts.as_slice()),
        (HaltLevel::ReduceOnly, &[HaltLevel::ReduceOnly][..])
    );
    desk.now = desk.now + Span::DAY;
    desk.flat_bar(1, 50.0);
    desk.tell(&Event::FrameEnd);
    assert_eq!(Desk::check(&desk.enter(1, Direction::Long, 50.0)), "halt", "a new day does not lift it");
    desk.tell(&Event::Resume { reason: Reason { by: "trader".into(), text: "seen".into() } });
    desk.now = desk.now + Span::HOUR;
    assert!(matches!(desk.enter(1, Direction::Long, 50.0), Verdict::Approved { .. }));
    desk.assert_folds();
}

#[test]
fn one_bad_tick_stops_nothing_and_a_lasting_loss_does() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.tell(&Event::FrameEnd);
    let quote = |desk: &mut Desk, price: f64| {
        let quote = Quote { ts: desk.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        desk.tell(&Event::Quote { instrument: Ix(0), quote });
    };
    quote(&mut desk, 50.0);
    desk.now = desk.now + Span::from_millis(50);
    quote(&mut desk, 50.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "50 ms are one tick");
    quote(&mut desk, 100.0);
    desk.now = desk.now + Span::from_millis(500);
    quote(&mut desk, 50.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "it was not lasting");
    desk.now = desk.now + Span::from_millis(100);
    quote(&mut desk, 50.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly);
}

#[test]
fn a_bad_tick_is_not_confirmed_by_other_symbols_or_by_the_end_of_a_frame() {
    let mut desk = Desk::new();
    for at in 0..2 {
        desk.flat_bar(at, 100.0);
        desk.enter(at, Direction::Long, 100.0);
        desk.fill("100", 1);
    }
    desk.tell(&Event::FrameEnd);
    let quote = |desk: &mut Desk, at: u16, price: f64| {
        desk.now = desk.now + Span::SECOND;
        let quote = Quote { ts: desk.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        desk.tell(&Event::Quote { instrument: Ix(at), quote });
    };
    quote(&mut desk, 0, 100.0);
    quote(&mut desk, 1, 100.0);
    quote(&mut desk, 0, 50.0);
    quote(&mut desk, 1, 100.0);
    desk.tell(&Event::FrameEnd);
    quote(&mut desk, 1, 100.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "the bad mark is still there, and still one tick");
    quote(&mut desk, 0, 100.0);
    quote(&mut desk, 0, 50.0);
    quote(&mut desk, 1, 100.0);
    quote(&mut desk, 0, 50.0);
    assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly, "quoted again at that price, it is a loss");
}

#[test]
fn a_flatten_closes_everything_and_cancels_entries() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.flat_bar(1, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.enter(1, Direction::Short, 100.0);
    let entry = desk.orders.remove(0);
    let reason = Reason { by: "trader".into(), text: "enough".into() };
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason });
    assert_eq!(desk.cancels, [entry.id]);
    assert!(
        matches!(desk.orders[..], [Order { leg: Leg::Exit, cause: Cause::Command { .. }, .. }]),
        "{:?}",
        desk.orders
    );
}

#[test]
fn the_same_decision_again_is_the_same_order() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let (records, orders) = (desk.records.len(), desk.orders.len());
    desk.enter(0, Direction::Long, 100.0);
    assert_eq!((desk.records.len(), desk.orders.len()), (records, orders));
}

#[test]
fn a_rejected_exit_is_tried_again_under_a_new_id() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.bar(0, 100.0, 100.0, 97.0, 97.0);
    let first = desk.orders.remove(0);
    desk.tell(&Event::Report(Report::Done { order: first.id, reason: DoneReason::Rejected, text: Some("no".into()) }));
    desk.next_hour();
    desk.bar(0, 97.0, 97.0, 96.0, 96.0);
    assert_eq!((desk.orders[0].attempt, first.attempt), (2, 1));
    assert_ne!(desk.orders[0].id, first.id);
    desk.assert_folds();
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    for (volatility, reference, stop) in [
        (f64::NAN, 100.0, 2.0),
        (0.0, 100.0, 2.0),
        (0.2, f64::INFINITY, 2.0),
        (0.2, 100.0, -2.0),
        (0.2, 100.0, f64::NAN),
    ] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        let bracket = BracketSpec { stop: Some(stop), target: None, trailing: None, time_exit: None };
        let intent = Intent::Enter {
            direction: Direction::Long,
            probability: None,
            volatility,
            reference,
            size: Size::Account,
            bracket,
        };
        assert_eq!(Desk::check(&desk.decide(0, intent)), "numbers");
        assert!(desk.orders.is_empty());
    }
}
