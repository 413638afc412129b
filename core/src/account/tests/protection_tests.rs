//! Pauses of entries after bad times.

use super::*;

impl Desk {
    fn protected(keys: &str) -> Self {
        let ten = RISK.replace("max_concurrent_positions: 2", "max_concurrent_positions: 10");
        Self::with(AccountKind::Linear, &format!("{ten}  protections: {{{keys}}}\n"))
    }

    /// A long position from 100 to `price`, an hour after what was before: by its stop or target when it gets there,
    /// else by decision.
    fn trip(&mut self, at: u16, price: f64) -> Verdict {
        self.next_hour();
        self.flat_bar(at, 100.0);
        let verdict = self.enter(at, Direction::Long, 100.0);
        if self.orders.is_empty() {
            return verdict;
        }
        self.fill("100", 1);
        self.next_hour();
        self.flat_bar(at, price);
        if self.orders.is_empty() {
            self.decide(at, Intent::Exit);
        }
        self.fill(&price.to_string(), 1);
        self.tell(&Event::FrameEnd);
        verdict
    }

    fn wants(&mut self, at: u16) -> String {
        self.flat_bar(at, 100.0);
        let verdict = self.enter(at, Direction::Long, 100.0);
        if let Some(order) = self.orders.pop() {
            self.tell(&Event::Report(Report::Done { order: order.id, reason: DoneReason::Rejected, text: None }));
        }
        Self::check(&verdict).to_owned()
    }

    fn hours(&mut self, hours: i64) {
        self.now = self.now + Span::HOUR.times(hours);
    }

    fn paused(&self, word: &str) -> usize {
        let begins = format!("{word}: entries are paused until");
        self.alerts.iter().filter(|text| text.contains(&begins)).count()
    }
}

#[test]
fn nothing_is_paused_by_default() {
    let mut desk = Desk::new();
    for _ in 0..6 {
        assert!(matches!(desk.trip(0, 97.0), Verdict::Approved { .. }));
    }
    assert!(desk.account.view().protections.is_empty());
}

#[test]
fn a_symbol_cools_down_after_its_position_closed() {
    let mut desk = Desk::protected("cooldown: {after_exit: 2h}");
    desk.trip(0, 101.0);
    let view = desk.account.view().protections;
    assert_eq!(
        view.iter().map(|p| (p.name, p.symbol)).collect::<Vec<_>>(),
        [(Protection::Cooldown, "AAA".parse().ok())]
    );
    assert_eq!(view[0].until, desk.now + Span::HOUR.times(2));
    desk.hours(1);
    assert_eq!((desk.wants(0).as_str(), desk.wants(1).as_str()), ("cooldown", ""), "others may enter");
    desk.hours(1);
    assert_eq!((desk.wants(0).as_str(), desk.paused("cooldown")), ("", 1), "two hours after");
    desk.tell(&Event::FrameEnd);
    assert!(desk.account.view().protections.is_empty());
    desk.assert_folds();
}

#[test]
fn a_position_that_would_be_turned_over_is_closed_where_symbols_cool_down() {
    let mut desk = Desk::protected("cooldown: {after_exit: 2h}");
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    assert_eq!(Desk::check(&desk.enter(0, Direction::Short, 100.0)), "cooldown");
    assert!(matches!(desk.orders[..], [Order { leg: Leg::Exit, .. }]), "exits are never held up: {:?}", desk.orders);
}

#[test]
fn many_stops_at_a_loss_pause_everything_once() {
    let mut desk = Desk::protected("stop_loss_guard: {stops: 3, within: 24h, pause: 12h}");
    desk.trip(0, 97.0);
    desk.trip(1, 97.0);
    desk.trip(1, 99.0);
    desk.trip(1, 105.0);
    assert!(desk.account.view().protections.is_empty(), "a decision to leave is no stop, and a target none either");
    desk.trip(2, 97.0);
    let view = desk.account.view().protections;
    assert_eq!(view.len(), 1);
    assert_eq!((view[0].symbol, view[0].until), (None, desk.now + Span::HOUR.times(12)));
    assert!(view[0].reason.contains("3 positions were stopped"), "{}", view[0].reason);
    desk.hours(11);
    assert_eq!((desk.wants(0).as_str(), desk.wants(1).as_str()), ("stop_loss_guard", "stop_loss_guard"));
    desk.hours(1);
    assert_eq!(desk.wants(0), "", "and the pause is over");
    desk.trip(0, 97.0);
    assert_eq!(desk.paused("stop_loss_guard"), 1, "stops that were counted are not counted again");
    desk.assert_folds();
}

#[test]
fn stops_of_one_symbol_pause_that_symbol_alone_and_old_ones_do_not_count() {
    let mut desk = Desk::protected("stop_loss_guard: {stops: 2, within: 6h, pause: 4h, per_symbol: true}");
    desk.trip(0, 97.0);
    desk.trip(1, 97.0);
    desk.hours(6);
    desk.trip(0, 97.0);
    assert_eq!(desk.paused("stop_loss_guard"), 0, "the first is too old");
    desk.trip(0, 97.0);
    desk.hours(1);
    assert_eq!((desk.wants(0).as_str(), desk.wants(1).as_str()), ("stop_loss_guard", ""));
}

#[test]
fn a_trailing_stop_in_profit_is_no_bad_stop() {
    let mut desk = Desk::protected("stop_loss_guard: {stops: 1, within: 24h, pause: 12h}");
    desk.flat_bar(0, 100.0);
    let bracket = BracketSpec { stop: Some(2.0), target: None, trailing: Some(1.0), time_exit: None };
    let direction = Direction::Long;
    desk.decide(
        0,
        Intent::Enter { direction, probability: None, volatility: 0.2, reference: 100.0, size: Size::Account, bracket },
    );
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 110.0);
    desk.next_hour();
    desk.flat_bar(0, 108.0);
    assert!(matches!(desk.orders[0].cause, Cause::Bracket { rule: ExitReason::Trailing, .. }));
    desk.fill("108", 1);
    assert_eq!(desk.paused("stop_loss_guard"), 0);
}

#[test]
fn a_symbol_that_earns_too_little_is_left_alone_for_a_while() {
    let mut desk = Desk::protected("low_profit: {profit_pct: 0.5, trades: 3, within: 48h, pause: 6h}");
    desk.trip(0, 101.0);
    desk.trip(0, 99.0);
    assert_eq!(desk.paused("low_profit"), 0, "two are too few");
    desk.trip(1, 99.0);
    assert_eq!(desk.paused("low_profit"), 0, "of another symbol");
    // 10, -10 and 16 of 3,000 are 0.53 %; fees of 0.1 % make it less than 0.5 %.
    desk.trip(0, 101.6);
    assert_eq!(desk.paused("low_profit"), 1);
    desk.hours(5);
    assert_eq!((desk.wants(0).as_str(), desk.wants(1).as_str()), ("low_profit", ""));
    desk.hours(1);
    assert_eq!(desk.wants(0), "");
    desk.trip(0, 99.0);
    assert_eq!(desk.paused("low_profit"), 1, "counted anew");
    desk.assert_folds();

    let mut desk = Desk::protected("low_profit: {profit_pct: 0.4, trades: 3, within: 48h, pause: 6h}");
    for price in [101.0, 99.0, 101.6] {
        desk.trip(0, price);
    }
    assert_eq!(desk.paused("low_profit"), 0, "0.43 % are enough here");
}

/// Marks of an account that holds ten units, with a price each hour.
fn marks(keys: &str, prices: &[f64]) -> Desk {
    let mut desk = Desk::protected(keys);
    desk.flat_bar(0, 100.0);
    let bracket = BracketSpec { stop: Some(99.0), target: None, trailing: None, time_exit: None };
    let direction = Direction::Long;
    desk.decide(
        0,
        Intent::Enter { direction, probability: None, volatility: 0.2, reference: 100.0, size: Size::Account, bracket },
    );
    desk.fill("100", 1);
    for price in prices {
        desk.next_hour();
        desk.flat_bar(0, *price);
    }
    desk.tell(&Event::FrameEnd);
    desk
}

#[test]
fn a_drawdown_pauses_at_its_limit_and_not_before() {
    // 9,999.50 after the fee; from 10,199.50 at 120 a fall of 2 % is 203.99: to 99.601.
    let keys = "max_drawdown: {drawdown_pct: 2.0, within: 48h, pause: 3h}";
    assert_eq!(marks(keys, &[110.0, 120.0, 110.0, 99.61]).paused("max_drawdown"), 0);
    let mut desk = marks(keys, &[110.0, 120.0, 110.0, 99.6]);
    assert_eq!(desk.paused("max_drawdown"), 1, "{:?}", desk.alerts);
    assert_eq!(desk.wants(1), "max_drawdown");
    desk.assert_folds();
}

#[test]
fn a_drawdown_pauses_once_and_a_win_after_it_pauses_nothing() {
    let keys = "max_drawdown: {drawdown_pct: 2.0, within: 48h, pause: 3h}";
    let mut desk = marks(keys, &[120.0, 99.0, 98.0, 97.0]);
    assert_eq!(desk.paused("max_drawdown"), 1, "falling on while it is paused is the same fall");
    for price in [98.0, 98.0, 99.0, 97.0, 98.0] {
        desk.next_hour();
        desk.flat_bar(0, price);
    }
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.paused("max_drawdown"), 1, "it is counted from the end of the pause, not from 120");
    assert_eq!(desk.wants(1), "");
    for price in [99.0, 78.0] {
        desk.next_hour();
        desk.flat_bar(0, price);
    }
    desk.tell(&Event::FrameEnd);
    assert_eq!(desk.paused("max_drawdown"), 2, "a new fall is one");
}

#[test]
fn a_slow_fall_outside_the_window_and_money_paid_out_are_no_drawdown() {
    let keys = "max_drawdown: {drawdown_pct: 2.0, within: 3h, pause: 3h}";
    let slow: Vec<f64> = (0..20).map(|n| 120.0 - 5.0 * f64::from(n)).collect();
    assert_eq!(marks(keys, &slow).paused("max_drawdown"), 0, "150 in three hours are 1.5 %");
    let mut desk = marks(keys, &[110.0, 110.0]);
    let asset = "USDT".parse().unwrap();
    let (amount, value) = ("-5000".parse().unwrap(), "-5000".parse().unwrap());
    let transfer = Transfer { id: "out".into(), asset, amount, value, ts: desk.now };
    let mut state = desk.account.state().clone();
    state.apply(desk.now, &Record::Transfer { transfer }).unwrap();
    desk.next_hour();
    let equity = Money::approx(desk.account.equity() - 5_000.0).unwrap();
    state.apply(desk.now, &Record::Mark { cash: equity, equity, positions: Vec::new(), stocks: Vec::new() }).unwrap();
    assert_eq!(state.protections.begun(), 0, "half of it was taken home");
}

#[test]
fn pauses_survive_a_restart_and_end_with_their_rule() {
    let mut desk =
        Desk::protected("cooldown: {after_exit: 12h}, low_profit: {profit_pct: 9, trades: 1, within: 1d, pause: 9h}");
    desk.trip(0, 99.0);
    assert_eq!(desk.account.view().protections.len(), 2);
    let mut state = State::open(desk.records[0].0, &desk.records[0].1).unwrap();
    for (ts, record) in &desk.records[1..] {
        state.apply(*ts, record).unwrap();
    }
    desk.account = Account::restart(state, desk.now, desk.records[0].1.clone(), &mut desk.out).unwrap();
    desk.collect();
    assert_eq!(desk.account.view().protections.len(), 2);
    let ten = RISK.replace("max_concurrent_positions: 2", "max_concurrent_positions: 10");
    let fewer = format!("{ten}  protections: {{cooldown: {{after_exit: 1h}}}}\n");
    desk.account.reconfigure(setup(AccountKind::Linear, &fewer), desk.now, &mut desk.out).unwrap();
    desk.collect();
    let left: Vec<Protection> = desk.account.view().protections.iter().map(|p| p.name).collect();
    assert_eq!(left, [Protection::Cooldown], "what has begun runs to its end, unless its rule is gone");
    desk.assert_folds();
}
