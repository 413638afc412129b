//! The weekly rebalancing, as a trader would see it.

use super::*;
use crate::record::RebalanceRow;

pub(super) const WEEKLY: &str = "
risk_policy:
  max_daily_loss_pct: 50.0
  max_symbol_risk_pct: 1.0
  max_concurrent_positions: 3
  rebalance_frequency: weekly
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 5000}
";
const WIDE: BracketSpec = BracketSpec { stop: Some(95.0), target: None, trailing: None, time_exit: None };

/// Longs of equal risk: notional times volatility is 200 of each.
pub(super) fn desk(risk: &str, volatilities: [f64; 3]) -> Desk {
    desk_of(AccountKind::Linear, risk, volatilities)
}

pub(super) fn desk_of(kind: AccountKind, risk: &str, volatilities: [f64; 3]) -> Desk {
    let mut desk = Desk::with(kind, risk);
    for (at, volatility) in (0..).zip(volatilities) {
        desk.flat_bar(at, 100.0);
        let (direction, probability, reference, bracket) = (Direction::Long, None, 100.0, WIDE);
        desk.decide(at, Intent::Enter { direction, probability, volatility, reference, size: Size::Account, bracket });
        desk.fill("100", 1);
    }
    desk.tell(&Event::FrameEnd);
    desk
}

pub(super) fn prices(desk: &mut Desk, prices: [f64; 3]) {
    desk.now = desk.now + Span::HOUR;
    (0..).zip(prices).for_each(|(at, price)| desk.flat_bar(at, price));
}

pub(super) fn rebalance(desk: &mut Desk) -> Vec<RebalanceRow> {
    desk.tell(&Event::Rebalance { reason: Reason { by: "trader".into(), text: "now".into() } });
    rebalancings(desk).pop().unwrap().1
}

fn rebalancings(desk: &Desk) -> Vec<(Ts, Vec<RebalanceRow>)> {
    let found = desk.records.iter().filter_map(|(_, record)| match record {
        Record::Rebalance { at, rows, .. } => Some((*at, rows.clone())),
        _ => None,
    });
    found.collect()
}

fn mark(desk: &Desk, symbol: Symbol) -> f64 {
    let view = desk.account.view();
    view.symbols.iter().find(|s| s.symbol == symbol).unwrap().position.as_ref().unwrap().mark
}

/// The venue fills everything at the last price, also what follows from that.
fn settle(desk: &mut Desk) -> usize {
    let mut filled = 0;
    while let Some(order) = desk.orders.first() {
        let price = format!("{:.2}", mark(desk, order.symbol));
        desk.fill(&price, 1);
        filled += 1;
    }
    filled
}

pub(super) fn actions(rows: &[RebalanceRow]) -> Vec<&str> {
    rows.iter().map(|row| &*row.action).collect()
}

fn ends_of_frames(desk: &mut Desk, hours: i64) {
    for _ in 0..hours {
        desk.next_hour();
    }
}

#[test]
fn positions_are_brought_back_to_equal_shares_and_a_second_run_changes_nothing() {
    let mut desk = desk(WEEKLY, [0.2, 0.4, 0.1]);
    prices(&mut desk, [150.0, 80.0, 100.0]);
    let view = desk.account.view();
    assert_eq!(actions(&view.rebalance), ["reduce", "add", "add"], "a dry run shows it: {:?}", view.rebalance);
    let rows = rebalance(&mut desk);
    assert_eq!(rows, view.rebalance);
    assert_eq!(desk.orders.len(), 1, "what is added waits for what is freed");
    let reduce = &desk.orders[0];
    assert!(matches!((reduce.leg, reduce.cause), (Leg::Exit, Cause::Rebalance { .. })), "{reduce:?}");
    assert_eq!(settle(&mut desk), 3);
    let shares: Vec<f64> = desk.account.view().rebalance.iter().map(|row| row.share).collect();
    let (least, most) = shares.iter().fold((1.0_f64, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(most / least - 1.0 < 0.05, "{shares:?}");
    assert!(desk.account.state().books().iter().all(|book| (book.bracket().unwrap().stop.unwrap() - 5.0).abs() < 1e-9));
    assert_eq!(actions(&rebalance(&mut desk)), ["keep"; 3]);
    assert!(desk.orders.is_empty());
    desk.assert_folds();
}

#[test]
fn it_is_due_on_mondays_and_once_after_a_pause() {
    let mut desk = desk(WEEKLY, [0.2, 0.2, 0.2]);
    // The account was opened on a Wednesday.
    ends_of_frames(&mut desk, 5 * 24 + 1);
    assert!(rebalancings(&desk).is_empty());
    ends_of_frames(&mut desk, 3);
    let monday: Ts = "2022-06-06T02:00:00Z".parse().unwrap();
    assert_eq!(rebalancings(&desk).iter().map(|r| r.0).collect::<Vec<_>>(), [monday]);
    desk.now = desk.now + Span::DAY.times(22);
    ends_of_frames(&mut desk, 2);
    let later = monday + Span::DAY.times(21);
    assert_eq!(rebalancings(&desk).iter().map(|r| r.0).collect::<Vec<_>>(), [monday, later]);
    desk.assert_folds();
}

#[test]
fn a_week_without_positions_is_over_and_never_means_never() {
    for (risk, count) in [(WEEKLY.to_owned(), 1), (WEEKLY.replace("weekly", "never"), 0)] {
        let mut desk = Desk::with(AccountKind::Linear, &risk);
        ends_of_frames(&mut desk, 7 * 24);
        assert_eq!(rebalancings(&desk).len(), count);
        assert!(rebalancings(&desk).iter().all(|(_, rows)| rows.is_empty()));
    }
}

#[test]
fn what_was_due_before_it_was_wanted_is_not_made_up_for() {
    let mut desk = desk(&WEEKLY.replace("weekly", "never"), [0.2, 0.2, 0.2]);
    ends_of_frames(&mut desk, 9 * 24);
    let wanted = setup(AccountKind::Linear, WEEKLY);
    desk.account.reconfigure(wanted, desk.now, &mut desk.out).unwrap();
    desk.collect();
    ends_of_frames(&mut desk, 2);
    assert!(rebalancings(&desk).is_empty());
    ends_of_frames(&mut desk, 7 * 24);
    assert_eq!(rebalancings(&desk).len(), 1);
    desk.assert_folds();
}

#[test]
fn small_and_dear_trades_are_not_made() {
    let keys = |keys: &str| format!("{WEEKLY}  rebalance: {{{keys}}}\n");
    for (risk, moved, wanted) in [
        (WEEKLY.to_owned(), [102.0, 100.0, 98.0], ["keep"; 3]),
        (keys("band_pct: 1.0"), [102.0, 100.0, 98.0], ["too_small", "keep", "too_small"]),
        (keys("band_pct: 1.0, min_trade_usd: 5"), [102.0, 100.0, 98.0], ["reduce", "keep", "add"]),
    ] {
        let mut desk = desk(&risk, [0.2; 3]);
        prices(&mut desk, moved);
        let rows = desk.account.view().rebalance;
        assert_eq!(actions(&rows), wanted, "{rows:?}");
    }
    // Two sides of 5 bps against a move of a week: 0.00005 * sqrt(168) is less.
    let mut quiet = desk(WEEKLY, [0.2; 3]);
    for at in 0..3 {
        let record = Record::Decision {
            symbol: quiet.account.state().books()[at].symbol(),
            decision: Decision {
                instrument: Ix(0),
                bar: quiet.now,
                policy: 7,
                features: 0,
                forecast: None,
                intent: Some(Intent::Enter {
                    direction: Direction::Long,
                    probability: None,
                    volatility: 0.00005,
                    reference: 100.0,
                    size: Size::Account,
                    bracket: WIDE,
                }),
            },
            verdict: Verdict::Approved { sizing: None, checks: Vec::new() },
        };
        quiet.records.push((quiet.now, record));
    }
    quiet.restart();
    prices(&mut quiet, [100.0; 3]);
    prices(&mut quiet, [150.0, 100.0, 50.0]);
    assert_eq!(actions(&quiet.account.view().rebalance), ["too_dear", "keep", "too_dear"]);
}

#[test]
fn limits_bind_and_what_they_keep_away_goes_to_the_others() {
    let mut desk = desk(&WEEKLY.replace("5000", "2000"), [0.1, 0.2, 0.2]);
    prices(&mut desk, [150.0, 100.0, 100.0]);
    let rows = rebalance(&mut desk);
    assert!((rows[0].target - 2_000.0).abs() < 1e-6, "{rows:?}");
    let near = |row: &RebalanceRow| (row.target - 1_250.0).abs() < 1.0;
    assert!(near(&rows[1]) && near(&rows[2]), "{rows:?}");
    settle(&mut desk);
    assert!(actions(&rebalance(&mut desk)).iter().all(|action| *action == "keep"));
}

#[test]
fn while_entries_are_not_allowed_nothing_is_added() {
    let reason = || Reason { by: "trader".into(), text: "wait".into() };
    let mut halted = desk(WEEKLY, [0.2; 3]);
    prices(&mut halted, [150.0, 100.0, 50.0]);
    halted.tell(&Event::Halt { level: HaltLevel::EntryHalt, reason: reason() });
    assert_eq!(actions(&rebalance(&mut halted)), ["keep"; 3], "nobody takes what the first would give");
    let mut frozen = desk(WEEKLY, [0.2; 3]);
    prices(&mut frozen, [150.0, 100.0, 50.0]);
    let (instrument, cause) = (Ix(2), FreezeCause::Person);
    frozen.tell(&Event::Freeze { instrument, cause, reason: Some("no".into()) });
    let rows = rebalance(&mut frozen);
    assert_eq!(actions(&rows), ["reduce", "add", "keep"], "{rows:?}");
}

#[test]
fn without_capital_nothing_is_added_that_cannot_be_paid() {
    let risk = WEEKLY.replace("max_position_usd: 5000", "max_position_usd: 4000");
    let mut desk = desk(&risk, [0.055; 3]);
    prices(&mut desk, [130.0, 70.0, 70.0]);
    rebalance(&mut desk);
    settle(&mut desk);
    assert!(desk.account.available(0.0) >= -1e-6, "{}", desk.account.available(0.0));
    assert_eq!(rebalance(&mut desk).iter().filter(|row| ["add", "reduce"].contains(&&*row.action)).count(), 0);
}

pub(super) fn reducing() -> (Desk, Order) {
    let mut desk = desk(WEEKLY, [0.2; 3]);
    prices(&mut desk, [150.0, 100.0, 100.0]);
    rebalance(&mut desk);
    let order = desk.orders.remove(0);
    assert_eq!((order.symbol.as_str(), order.leg), ("AAA", Leg::Exit));
    (desk, order)
}

pub(super) fn exits(desk: &Desk) -> Vec<Order> {
    desk.account.state().orders().filter(|o| o.order.leg == Leg::Exit).map(|o| o.order.clone()).collect()
}

#[test]
fn a_bracket_that_fires_meanwhile_ends_the_rebalancing_and_closes_all_that_is_left() {
    for ends in [DoneReason::Cancelled, DoneReason::Rejected, DoneReason::Filled] {
        let (mut desk, reduce) = reducing();
        desk.now = desk.now + Span::HOUR;
        desk.bar(0, 100.0, 100.0, 4.0, 50.0);
        assert_eq!(desk.cancels, [reduce.id]);
        assert_eq!(exits(&desk).len(), 1, "one exit at a time");
        // Meanwhile the price is back: what has fired has fired.
        desk.now = desk.now + Span::HOUR;
        desk.flat_bar(0, 120.0);
        assert_eq!(desk.cancels, [reduce.id], "asked once");
        let left = if ends == DoneReason::Filled { reduce.qty } else { "0.5".parse().unwrap() };
        desk.fill_part(&reduce, left, 50.0);
        desk.tell(&Event::Report(Report::Done { order: reduce.id, reason: ends, text: None }));
        let exit = exits(&desk).pop().unwrap();
        assert!(matches!(exit.cause, Cause::Bracket { rule: ExitReason::Stop, .. }), "{exit:?}");
        assert_eq!(exit.qty, desk.account.state().books()[0].size());
        assert_eq!(exit.trigger.unwrap().to_string(), "5");
        desk.assert_folds();
    }
}

#[test]
fn a_flatten_and_a_decision_do_not_wait_behind_a_rebalancing() {
    let (mut desk, reduce) = reducing();
    desk.decide(0, Intent::Exit);
    assert_eq!(desk.cancels, [reduce.id]);
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason: Reason { by: "trader".into(), text: "all".into() } });
    desk.tell(&Event::Report(Report::Done { order: reduce.id, reason: DoneReason::Cancelled, text: None }));
    let all = exits(&desk);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|o| !o.cause.is_rebalance()));
}

#[test]
fn after_a_restart_in_the_middle_additions_still_follow() {
    let (mut desk, reduce) = reducing();
    desk.restart();
    assert!(desk.account.view().rebalance.iter().all(|row| ["keep", "no_price"].contains(&&*row.action)));
    prices(&mut desk, [150.0, 100.0, 100.0]);
    desk.fill_part(&reduce, reduce.qty, 150.0);
    desk.tell(&Event::Report(Report::Done { order: reduce.id, reason: DoneReason::Filled, text: None }));
    assert_eq!(desk.orders.iter().map(|o| o.leg).collect::<Vec<_>>(), [Leg::Entry; 2]);
    assert!(desk.account.reserved() > 0.0);
    settle(&mut desk);
    assert_eq!(actions(&rebalance(&mut desk)), ["keep"; 3]);
    desk.assert_folds();
}

#[test]
fn an_addition_that_comes_after_its_position_is_gone_is_closed_again() {
    let (mut desk, reduce) = reducing();
    desk.fill_part(&reduce, reduce.qty, 150.0);
    desk.tell(&Event::Report(Report::Done { order: reduce.id, reason: DoneReason::Filled, text: None }));
    let add = desk.orders.remove(0);
    assert_eq!((add.symbol.as_str(), add.leg), ("BBB", Leg::Entry));
    desk.orders.clear();
    desk.decide(1, Intent::Exit);
    assert_eq!(desk.cancels, [add.id]);
    desk.fill("100", 1);
    assert!(desk.account.state().books()[1].is_flat());
    desk.fill_part(&add, "0.4".parse().unwrap(), 100.0);
    let exit = desk.orders.remove(0);
    assert_eq!((exit.leg, exit.side, exit.qty.to_string().as_str()), (Leg::Exit, Side::Sell, "0.4"));
    desk.fill_part(&exit, exit.qty, 100.0);
    desk.tell(&Event::Report(Report::Done { order: exit.id, reason: DoneReason::Filled, text: None }));
    desk.fill_part(&add, "0.3".parse().unwrap(), 100.0);
    assert_ne!(desk.orders[0].id, exit.id, "another part is closed by another order");
    desk.assert_folds();
}

#[test]
fn keys_that_cannot_be_meant_are_refused() {
    for (keys, wanted) in [
        ("rebalance: {band_pct: 0.05}", "rebalance.band_pct"),
        ("rebalance: {min_trade_usd: -1}", "rebalance.min_trade_usd"),
        ("rebalance: {at: Mon}", "at"),
        ("correlation: {min_bars: 300}", "correlation.min_bars"),
        ("correlation: {window_bars: 2000}", "correlation.min_bars"),
        ("correlation: {threshold: 80}", "correlation.threshold"),
    ] {
        let error = RiskPolicy::from_yaml(&format!("{WEEKLY}  {keys}\n")).unwrap_err().to_string();
        assert!(error.contains(wanted), "{keys}: {error}");
    }
    let policy =
        RiskPolicy::from_yaml(&format!("{WEEKLY}  correlation: {{}}\n  rebalance: {{band_pct: 2}}\n")).unwrap();
    assert_eq!(policy.correlation().unwrap().window_bars, 200);
    assert!((policy.rebalance().band_pct - 2.0).abs() < 1e-12);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<RiskPolicy>(&json).unwrap(), policy);
}

#[test]
fn what_moves_is_measured_where_the_policy_says_so() {
    let risk = format!("{WEEKLY}  correlation: {{window_bars: 50, min_bars: 20}}\n");
    let mut desk = desk(&risk, [0.2; 3]);
    let price = |at: i32, size: f64| 100.0 * (1.0 + size * f64::from(at * 7 % 5 - 2));
    for at in 0..60 {
        prices(&mut desk, [price(at, 0.01), price(at, 0.02), price(at, -0.01)]);
    }
    let rows = desk.account.view().rebalance;
    assert!((rows[1].volatility / rows[0].volatility - 2.0).abs() < 0.05, "{rows:?}");
    let correlation = |a, b| desk.account.measured_correlation(Ix(a), Ix(b)).unwrap();
    assert!(correlation(0, 1) > 0.99 && correlation(0, 2) < -0.99);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However unequal they have become: after the fills the shares lie within five points of each other, unless a limit
    /// is in the way or a trade was not worth it, and a second run right after trades nothing.
    #[test]
    fn any_book_is_brought_to_balance_at_once(
        volatilities in prop::array::uniform3(0.05..1.0_f64),
        moved in prop::array::uniform3(0.5..2.0_f64),
        most in 300.0..5000.0_f64,
    ) {
        let mut desk = desk(&WEEKLY.replace("5000", &format!("{most:.0}")), volatilities);
        prices(&mut desk, moved.map(|factor| (10_000.0 * factor).round() / 100.0));
        rebalance(&mut desk);
        settle(&mut desk);
        let rows = rebalance(&mut desk);
        prop_assert!(desk.orders.is_empty(), "{:?}", rows);
        prop_assert!(desk.account.available(0.0) >= -1.0);
        let cap = desk.account.equity().min(most.round());
        let free: Vec<_> = rows.iter().filter(|row| row.target < 0.99 * cap && row.action == "keep").collect();
        for (a, b) in free.iter().zip(free.iter().skip(1)) {
            prop_assert!((a.share - b.share).abs() < 0.05, "{:?}", rows);
        }
        for row in rows.iter().filter(|row| row.action != "too_small") {
            prop_assert!(row.notional <= cap * 1.05 + 1.0, "{:?}", rows);
        }
        desk.assert_folds();
    }
}

/// Longs of ten units whose strategies have said so, but for the last, which the account sizes.
fn stated(risk: &str) -> Desk {
    let mut desk = Desk::with(AccountKind::Linear, risk);
    for (at, size) in (0..).zip([Size::Units(10.0), Size::Notional(1_000.0), Size::Account]) {
        desk.flat_bar(at, 100.0);
        // What stands for a volatility where nobody asks for one.
        let volatility = if size == Size::Account { 0.2 } else { 1e-9 };
        let (direction, probability, reference, bracket) = (Direction::Long, None, 100.0, WIDE);
        desk.decide(at, Intent::Enter { direction, probability, volatility, reference, size, bracket });
        desk.fill("100", 1);
    }
    desk.tell(&Event::FrameEnd);
    desk
}

#[test]
fn a_size_that_a_strategy_states_is_neither_enlarged_nor_cut_but_by_its_cap() {
    let mut desk = stated(WEEKLY);
    prices(&mut desk, [180.0, 50.0, 130.0]);
    let rows = rebalance(&mut desk);
    assert_eq!(actions(&rows), ["stated", "stated", "keep"], "{rows:?}");
    assert!(rows.iter().all(|row| (row.target - row.notional).abs() < 1e-9), "{rows:?}");
    assert!(desk.orders.is_empty(), "{:?}", desk.orders);
    // Ten units at 600 are worth more than a position may be.
    prices(&mut desk, [600.0, 50.0, 130.0]);
    assert_eq!(actions(&rebalance(&mut desk)), ["reduce", "stated", "keep"]);
    assert_eq!(desk.orders.len(), 1);
    let cut = desk.orders[0].qty.to_f64();
    assert!((cut - (10.0 - 5_000.0 / 600.0)).abs() < 2e-3, "{cut}");
    settle(&mut desk);
    desk.restart();
    prices(&mut desk, [600.0, 50.0, 130.0]);
    // What the step of an order leaves over the cap is in the band.
    assert_eq!(actions(&rebalance(&mut desk)), ["keep", "stated", "keep"], "the record knows it");
    desk.assert_folds();
}

#[test]
fn what_a_rebalancing_adds_is_no_entry_of_the_strategy() {
    let mut desk = desk(WEEKLY, [0.2, 0.4, 0.1]);
    prices(&mut desk, [150.0, 80.0, 100.0]);
    rebalance(&mut desk);
    desk.fill("150", 1);
    let adds: Vec<_> = desk.orders.iter().map(|order| (order.leg, order.cause.is_rebalance())).collect();
    assert_eq!(adds, [(Leg::Entry, true); 2]);
    for at in 0..3 {
        let view = desk.account.position_view(Ix(at));
        assert_eq!((view.direction, view.entry_pending), (Some(Direction::Long), None));
    }
}
