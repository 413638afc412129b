//! Brackets on random paths: an oracle that knows only prices and the spec says when one must fire.

use super::*;
use rust_decimal::Decimal;

const RISKY: &str = "
risk_policy:
  max_daily_loss_pct: 50.0
  max_symbol_risk_pct: 1.0
  max_concurrent_positions: 3
  rebalance_frequency: never
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 1000}
";

/// What a bracket is to do, from the prices alone.
#[derive(Debug)]
struct Oracle {
    long: bool,
    spec: BracketSpec,
    stop: f64,
    target: Option<f64>,
    best: f64,
    expires: Ts,
}

impl Oracle {
    fn new(long: bool, spec: BracketSpec, entry: f64, entered: Ts) -> Self {
        let sign = if long { 1.0 } else { -1.0 };
        let expires = spec.time_exit.map_or(Ts::MAX, |t| entered + t);
        let target = spec.target.map(|t| entry + sign * t);
        Self { long, spec, stop: entry - sign * spec.stop.unwrap(), target, best: entry, expires }
    }

    /// Whether a level is reached by a path whose worst and best prices are these; else, while there is time, the stop
    /// follows the best.
    fn sees(&mut self, worst: f64, best: f64, now: Ts) -> bool {
        let sign = if self.long { 1.0 } else { -1.0 };
        if (worst - self.stop) * sign <= 0.0 || self.target.is_some_and(|t| (best - t) * sign >= 0.0) {
            return true;
        }
        if self.expires > now && (best - self.best) * sign > 0.0 {
            self.best = best;
            if let Some(distance) = self.spec.trailing
                && (best - sign * distance - self.stop) * sign > 0.0
            {
                self.stop = best - sign * distance;
            }
        }
        false
    }
}

/// A desk that may lose its process, and a venue that does as the test says.
struct Course {
    desk: Desk,
    oracle: Option<Oracle>,
    price: f64,
    bars: bool,
    /// Whether a good quote has come since the start and since the last bad one: two bad ones in a row confirm each other.
    heard: bool,
}

impl Desk {
    /// The process is lost and another one begins from the records.
    pub(super) fn restart(&mut self) {
        let mut state = State::open(self.records[0].0, &self.records[0].1).unwrap();
        for (ts, record) in &self.records[1..] {
            state.apply(*ts, record).unwrap();
        }
        self.account = Account::restart(state, self.now, self.records[0].1.clone(), &mut self.out).unwrap();
        self.collect();
    }

    fn quote(&mut self, at: u16, price: f64) {
        let quote = Quote { ts: self.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        self.tell(&Event::Quote { instrument: Ix(at), quote });
    }

    /// Executes a part of an order that stays at the venue.
    pub(super) fn fill_part(&mut self, order: &Order, qty: Qty, price: f64) {
        self.trades += 1;
        let price = Price::new(Decimal::from_f64_retain(price).unwrap().round_dp(2)).unwrap();
        let Order { id, symbol, side, .. } = *order;
        let (trade_id, fee, ts) = (self.trades, Money::ZERO, self.now);
        let fill = Fill { order: id, trade_id, symbol, side, price, qty, fee, commission: None, ts };
        self.tell(&Event::Report(Report::Fill(fill)));
    }

    fn end(&mut self, order: &Order, reason: DoneReason) {
        self.tell(&Event::Report(Report::Done { order: order.id, reason, text: None }));
    }

    fn live_exits(&self) -> Vec<(Order, Qty)> {
        let exits = self.account.state().orders().filter(|o| o.order.leg == Leg::Exit);
        exits.map(|o| (o.order.clone(), o.remaining())).collect()
    }

    fn stop(&self, at: usize) -> f64 {
        self.account.state().books()[at].bracket().unwrap().stop.unwrap()
    }
}

impl Course {
    fn new(bars: bool) -> Self {
        let mut desk = Desk::with(AccountKind::Linear, RISKY);
        desk.flat_bar(0, 100.0);
        Self { desk, oracle: None, price: 100.0, bars, heard: false }
    }

    fn is_flat(&self) -> bool {
        self.desk.account.state().books()[0].is_flat()
    }

    fn enter(&mut self, long: bool, spec: BracketSpec, parts: u32) {
        let direction = if long { Direction::Long } else { Direction::Short };
        let price = self.price;
        self.desk.now = self.desk.now + Span::HOUR;
        let intent = Intent::Enter {
            direction,
            probability: None,
            volatility: 0.2,
            reference: price,
            size: Size::Account,
            bracket: spec,
        };
        if !matches!(self.desk.decide(0, intent), Verdict::Approved { .. }) {
            return;
        }
        self.desk.fill(&format!("{price:.2}"), parts);
        let entry = self.desk.account.state().books()[0].entry_price();
        self.oracle = Some(Oracle::new(long, spec, entry, self.desk.now));
    }

    /// The market moves to `price`, over a bar or as a quote that is seen twice.
    fn moves(&mut self, factor: f64, wick: f64) -> Result<(), TestCaseError> {
        let from = self.price;
        self.price = (from * factor).clamp(1.0, 10_000.0);
        let before = self.desk.live_exits().len();
        let failed = self.desk.account.state().books()[0].failed().is_some();
        let (open, close) = (0.5 * (from + self.price), self.price);
        let (high, low) = (open.max(close) * (1.0 + wick), open.min(close) * (1.0 - wick));
        self.heard = !self.bars;
        if self.bars {
            self.desk.now = self.desk.now + Span::HOUR;
            self.desk.bar(0, open, high, low, close);
        } else {
            for pause in [Span::SECOND, Span::from_millis(100)] {
                self.desk.now = self.desk.now + pause;
                self.desk.quote(0, close);
            }
        }
        let (now, bars) = (self.desk.now, self.bars);
        let Some(oracle) = &mut self.oracle else { return Ok(()) };
        if before > 0 {
            // Nothing fires and nothing moves while an exit is on its way.
            return Ok(());
        }
        let stop = oracle.stop;
        let reached = match (bars, oracle.long) {
            (false, _) => oracle.sees(close, close, now),
            (true, true) => oracle.sees(low, high, now),
            (true, false) => oracle.sees(high, low, now),
        };
        let due = oracle.expires <= now;
        if failed {
            // What was triggered stays triggered: its exit is tried again when its delay is over, whatever the price does.
            return Ok(());
        }
        let exits = self.desk.live_exits();
        prop_assert_eq!(exits.len(), usize::from(reached || due), "reached {} due {}", reached, due);
        let Some((order, _)) = exits.first() else {
            prop_assert!((self.desk.stop(0) - oracle.stop).abs() < 1e-9);
            return Ok(());
        };
        if let (Cause::Bracket { rule: ExitReason::Stop | ExitReason::Trailing, .. }, true) = (order.cause, bars) {
            // A stop is filled at its level, and at the open where the market has jumped over it.
            let worst = if oracle.long { stop.min(open) } else { stop.max(open) };
            prop_assert!((order.trigger.unwrap().to_f64() - worst).abs() <= 0.005 + 1e-9);
        } else if !bars {
            prop_assert_eq!(order.trigger, None);
        }
        Ok(())
    }

    /// The venue fills a part of the exit that is live, and then ends it or leaves it.
    fn work_off(&mut self, tenths: u32, then: u8) {
        let Some((order, left)) = self.desk.live_exits().pop() else { return };
        self.desk.orders.clear();
        let part = Qty::new((left.get() * Decimal::from(tenths) / Decimal::from(10)).round_dp(3)).unwrap();
        if !part.is_zero() {
            self.desk.fill_part(&order, part, self.price);
        }
        match then {
            _ if part == left => self.desk.end(&order, DoneReason::Filled),
            0 => {}
            1 => self.desk.end(&order, DoneReason::Cancelled),
            _ => self.desk.end(&order, DoneReason::Rejected),
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let exits = self.desk.live_exits();
        let book = &self.desk.account.state().books()[0];
        prop_assert!(exits.len() <= 1, "{:?}", exits);
        prop_assert!(exits.iter().all(|(_, left)| *left <= book.size()), "more is sold than there is");
        if book.is_flat() {
            prop_assert!(book.bracket().is_none() && exits.is_empty());
            self.oracle = None;
        } else {
            prop_assert!(book.bracket().is_some());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the path, the fills and the restarts: the first price at or through a level closes, nothing else does, one
    /// exit is live at a time and for no more than there is, and stops only move closer.
    #[test]
    fn the_first_price_through_a_level_closes_and_nothing_else_does(
        bars in any::<bool>(),
        long in any::<bool>(),
        stop in 0.5..20.0_f64,
        target in proptest::option::of(1.0..40.0_f64),
        trailing in proptest::option::of(0.5..20.0_f64),
        hours in proptest::option::of(1i64..200),
        parts in 1u32..4,
        course in proptest::collection::vec((0u8..12, 0.7..1.4_f64, 0.97..1.03_f64, 0.0..0.02_f64, 0u32..11, 0u8..3), 1..80),
    ) {
        let spec = BracketSpec { stop: Some(stop), target, trailing, time_exit: hours.map(|h| Span::HOUR.times(h)) };
        let mut course_of = Course::new(bars);
        course_of.enter(long, spec, parts);
        course_of.check()?;
        for (what, gap, step, wick, tenths, then) in course {
            let before = course_of.desk.account.state().books()[0].bracket().cloned();
            match what {
                0 => course_of.moves(gap, wick)?,
                1..=5 => course_of.moves(step, wick)?,
                6 | 7 => course_of.work_off(tenths, then),
                8 => {
                    course_of.desk.restart();
                    course_of.heard = false;
                }
                9 => {
                    // One bad tick, and a bar that cannot be.
                    let price = course_of.price * if long { 0.2 } else { 5.0 };
                    if std::mem::take(&mut course_of.heard) {
                        course_of.desk.quote(0, price);
                    }
                    course_of.desk.bar(0, price, price * 0.9, price * 1.1, f64::NAN);
                }
                10 => {
                    // Time passes and only another symbol is heard of.
                    course_of.desk.now = course_of.desk.now + Span::HOUR;
                    let was_live = course_of.desk.live_exits().len();
                    let failed = course_of.desk.account.state().books()[0].failed().is_some();
                    if gap < 1.0 { course_of.desk.tell(&Event::FrameEnd) } else { course_of.desk.quote(1, 50.0) }
                    let due = course_of.oracle.as_ref().is_some_and(|o| o.expires <= course_of.desk.now);
                    let live = course_of.desk.live_exits().len();
                    prop_assert!(live == was_live.max(usize::from(due)) || (failed && live == 1));
                }
                _ => if course_of.is_flat() { course_of.enter(!long, spec, parts) },
            }
            course_of.check()?;
            let after = course_of.desk.account.state().books()[0].bracket();
            if let (Some(before), Some(after)) = (before, after) && before.entry == after.entry {
                let sign = if course_of.oracle.as_ref().unwrap().long { 1.0 } else { -1.0 };
                prop_assert!((after.stop.unwrap() - before.stop.unwrap()) * sign >= 0.0, "the stop was loosened");
            }
        }
        course_of.desk.assert_folds();
    }
}

fn long(desk: &mut Desk, at: u16, bracket: BracketSpec) {
    let intent = Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 0.2,
        reference: 100.0,
        size: Size::Account,
        bracket,
    };
    assert!(matches!(desk.decide(at, intent), Verdict::Approved { .. }));
}

const SPEC: BracketSpec = BracketSpec { stop: Some(2.0), target: Some(4.0), trailing: None, time_exit: None };

#[test]
fn further_parts_move_levels_with_the_mean_but_never_loosen_a_stop() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    long(&mut desk, 0, SPEC);
    let order = desk.orders.remove(0);
    let five: Qty = "4".parse().unwrap();
    desk.fill_part(&order, five, 100.0);
    assert!((desk.stop(0) - 98.0).abs() < 1e-9);
    desk.fill_part(&order, five, 101.0);
    assert!((desk.stop(0) - 98.5).abs() < 1e-9, "the mean has risen");
    desk.fill_part(&order, "2".parse().unwrap(), 90.0);
    assert!((desk.stop(0) - 98.5).abs() < 1e-9, "the mean has fallen, the stop stays");
    desk.assert_folds();
}

#[test]
fn a_tightened_stop_outlives_further_parts_and_restarts() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    long(&mut desk, 0, SPEC);
    let order = desk.orders.remove(0);
    desk.fill_part(&order, "5".parse().unwrap(), 100.0);
    desk.now = desk.now + Span::HOUR;
    desk.decide(0, Intent::Tighten { stop: 99.5 });
    desk.restart();
    desk.fill_part(&order, "5".parse().unwrap(), 100.0);
    assert!((desk.stop(0) - 99.5).abs() < 1e-9);
}

#[test]
fn a_reentry_has_its_own_bracket_and_its_own_orders() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    let mut exits = Vec::new();
    for price in [100.0, 50.0] {
        desk.next_hour();
        desk.flat_bar(0, price);
        let intent = Intent::Enter {
            direction: Direction::Long,
            probability: None,
            volatility: 0.2,
            reference: price,
            size: Size::Account,
            bracket: SPEC,
        };
        desk.decide(0, intent);
        desk.fill(&price.to_string(), 1);
        assert!((desk.stop(0) - (price - 2.0)).abs() < 1e-9);
        desk.next_hour();
        desk.flat_bar(0, price - 3.0);
        exits.push(desk.orders[0].id);
        desk.fill(&(price - 3.0).to_string(), 1);
    }
    assert_ne!(exits[0], exits[1]);
}

/// The minutes before the entry are in the bar too, and after a restart the account does not know that it had quotes.
#[test]
fn a_bar_that_began_before_the_bracket_was_set_counts_with_its_close_alone() {
    for (close, exits) in [(99.0, 0), (97.0, 1)] {
        let mut desk = Desk::new();
        let open = desk.now;
        desk.quote(0, 100.0);
        desk.now = open + Span::MINUTE.times(30);
        long(&mut desk, 0, SPEC);
        desk.fill("100", 1);
        desk.restart();
        desk.now = open + Span::HOUR;
        desk.bar(0, 100.0, 110.0, 90.0, close);
        assert_eq!(desk.orders.len(), exits);
    }
}

#[test]
fn bars_take_over_when_quotes_end() {
    let mut desk = Desk::new();
    desk.quote(0, 100.0);
    long(&mut desk, 0, SPEC);
    desk.fill("100", 1);
    desk.now = desk.now + Span::MINUTE;
    desk.quote(0, 100.0);
    desk.now = desk.now + Span::SECOND.times(59);
    desk.bar(0, 100.0, 100.0, 90.0, 91.0);
    assert!(desk.orders.is_empty(), "its own quotes have told all of it");
    desk.quote(0, 100.0);
    desk.now = desk.now + Span::MINUTE.times(59);
    desk.bar(0, 100.0, 100.0, 90.0, 99.0);
    assert!(desk.orders.is_empty(), "what the bar saw while there were quotes they have told");
    desk.quote(0, 100.0);
    desk.now = desk.now + Span::MINUTE.times(59);
    desk.bar(0, 100.0, 100.0, 90.0, 91.0);
    assert_eq!(desk.orders.len(), 1, "quotes that ended long before its close do not hide it");
}

#[test]
fn a_position_without_a_bracket_is_told_once() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    // An entry of an old record, which did not carry its protection.
    let id = "lb-old".parse().unwrap();
    let (symbol, qty): (_, Qty) = ("AAA".parse().unwrap(), "1".parse().unwrap());
    let (cause, side, leg) = (Cause::Command { seq: 1 }, Side::Buy, Leg::Entry);
    let order = Order { id, symbol, side, leg, qty, cause, attempt: 1, trigger: None, created: desk.now };
    desk.records.push((desk.now, Record::Intent { order: order.clone(), reserved: Money::ZERO, bracket: None }));
    desk.restart();
    desk.fill_part(&order, qty, 100.0);
    for _ in 0..3 {
        desk.next_hour();
    }
    assert_eq!(desk.alerts.iter().filter(|a| a.contains("no bracket")).count(), 1, "{:?}", desk.alerts);
}

/// Where only bars are heard, what is filled at the open of one is told at its close. The order was on its way for a
/// moment, or over a pause of the market.
#[test]
fn a_time_is_so_many_bars_from_the_one_in_which_it_was_filled() {
    for (bars, pause, late) in [(1, 0, 0), (3, 0, 50), (3, 40, 50), (2, 0, 3_599_999)] {
        let mut desk = Desk::new();
        desk.flat_bar(0, 100.0);
        long(&mut desk, 0, BracketSpec { time_exit: Some(Span::HOUR.times(bars)), ..SPEC });
        let opened = desk.now + Span::HOUR.times(pause);
        desk.now = opened + Span::HOUR;
        let Order { id, symbol, side, qty, .. } = desk.orders.remove(0);
        let (price, fee, ts) = ("100".parse().unwrap(), Money::ZERO, opened + Span::from_millis(late));
        let fill = Fill { order: id, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts };
        desk.tell(&Event::Report(Report::Fill(fill)));
        let bracket = desk.account.state().books()[0].bracket().unwrap();
        assert_eq!(bracket.expires, Some(opened + Span::HOUR.times(bars)));
        while desk.orders.is_empty() {
            desk.flat_bar(0, 100.0);
            desk.next_hour();
        }
        assert_eq!(desk.orders[0].created - opened, Span::HOUR.times(bars), "not one more");
        desk.assert_folds();
    }
}

#[test]
fn a_fill_of_the_future_lengthens_no_time() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    long(&mut desk, 0, BracketSpec { time_exit: Some(Span::HOUR), ..SPEC });
    let (order, now) = (desk.orders.remove(0), desk.now);
    let Order { id, symbol, side, qty, .. } = order;
    let (price, fee, ts) = ("100".parse().unwrap(), Money::ZERO, now + Span::DAY);
    let fill = Fill { order: id, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts };
    desk.tell(&Event::Report(Report::Fill(fill)));
    assert_eq!(desk.account.state().books()[0].bracket().unwrap().expires, Some(now + Span::HOUR));
}
