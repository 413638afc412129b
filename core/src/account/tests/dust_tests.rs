//! What is left of a position and too small to be closed.

use super::*;

/// A spot desk that has bought 10 at 100 with a commission out of it.
fn bought(commission: &str) -> Desk {
    let mut desk = Desk::with(AccountKind::Spot, RISK);
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    report(&mut desk, "10", Some(commission));
    desk
}

/// The oldest order is filled with so much and is over.
fn report(desk: &mut Desk, qty: &str, commission: Option<&str>) {
    let Order { id, symbol, side, qty: ordered, .. } = desk.orders.remove(0);
    desk.trades += 1;
    let (trade_id, ts, qty) = (desk.trades, desk.now, qty.parse().unwrap());
    let commission = commission.map(|amount| Commission::Base { amount: amount.parse().unwrap() });
    let (price, fee) = ("100".parse().unwrap(), Money::ZERO);
    desk.tell(&Event::Report(Report::Fill(Fill {
        order: id,
        trade_id,
        symbol,
        side,
        price,
        qty,
        fee,
        commission,
        ts,
    })));
    let reason = if qty == ordered { DoneReason::Filled } else { DoneReason::Cancelled };
    desk.tell(&Event::Report(Report::Done { order: id, reason, text: None }));
}

fn dust(desk: &Desk) -> Vec<String> {
    let of = |(_, record): &(Ts, Record)| match record {
        Record::Dust { size, .. } => Some(size.to_string()),
        _ => None,
    };
    desk.records.iter().filter_map(of).collect()
}

#[test]
fn what_is_under_a_step_stays_counts_as_nothing_and_goes_with_the_next_position() {
    let mut desk = bought("0.0075");
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    report(&mut desk, "9.992", None);
    assert_eq!(dust(&desk), ["0.0005"]);
    let book = &desk.account.state().books()[0];
    assert!(book.is_dust() && !book.is_flat() && book.direction().is_none() && book.bracket().is_none());
    assert_eq!(book.trades(), 1, "the round trip is over");
    assert_eq!(desk.account.position_view(Ix(0)), PositionView::flat(Ix(0)));
    assert!((desk.account.equity() - 9_999.25).abs() < 1e-9, "it is still worth something");
    assert!(desk.alerts.iter().any(|a| a.contains("0.0005 AAA of AAA are left")), "{:?}", desk.alerts);

    // It is not tried again, neither by its old stop nor by a decision nor by a command.
    let (records, orders) = (desk.records.len(), desk.orders.len());
    desk.now = desk.now + Span::HOUR;
    desk.bar(0, 90.0, 90.0, 50.0, 50.0);
    desk.tell(&Event::Halt { level: HaltLevel::Flatten, reason: Reason { by: "me".into(), text: "test".into() } });
    desk.tell(&Event::Resume { reason: Reason { by: "me".into(), text: "test".into() } });
    assert_eq!((desk.orders.len(), dust(&desk).len()), (orders, 1), "{:?}", &desk.records[records..]);
    assert_eq!(desk.decide(0, Intent::Exit), Verdict::Unchanged);

    // The next position holds it, and its exit takes what is whole of both.
    desk.now = desk.now + Span::HOUR;
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let qty = desk.orders[0].qty;
    report(&mut desk, &qty.to_string(), Some("0.0005"));
    let book = &desk.account.state().books()[0];
    assert!(!book.is_dust() && book.bracket().is_some());
    assert_eq!(book.net(), qty.get(), "one has come and one has gone");
    desk.decide(0, Intent::Exit);
    desk.now = desk.now + Span::HOUR;
    desk.decide(0, Intent::Exit);
    assert_eq!(desk.orders[0].qty, qty);
    report(&mut desk, &qty.to_string(), None);
    assert!(desk.account.state().books()[0].is_flat());
    desk.assert_folds();
}

#[test]
fn what_is_worth_less_than_the_least_order_is_left_on_spot_and_closed_on_linear() {
    for (kind, left) in [(AccountKind::Spot, true), (AccountKind::Linear, false)] {
        let mut desk = Desk::with(kind, RISK);
        desk.flat_bar(0, 100.0);
        desk.enter(0, Direction::Long, 100.0);
        report(&mut desk, "0.06", None);
        assert_eq!(dust(&desk).len(), 0, "6 can be sold");
        desk.next_hour();
        desk.bar(0, 80.0, 80.0, 80.0, 80.0);
        assert_eq!((dust(&desk).len() == 1, desk.orders.is_empty()), (left, left), "4.8 on {kind:?}");
        desk.next_hour();
        desk.bar(0, 70.0, 70.0, 70.0, 70.0);
        assert_eq!(dust(&desk).len(), usize::from(left), "it is said once");
        desk.assert_folds();
    }
}

#[test]
fn dust_leaves_room_for_other_positions() {
    let mut desk = bought("0.0075");
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    report(&mut desk, "9.992", None);
    for at in 1..3 {
        desk.flat_bar(at, 100.0);
        assert!(matches!(desk.enter(at, Direction::Long, 100.0), Verdict::Approved { .. }), "two are allowed");
    }
}

#[test]
fn dust_is_there_again_after_a_restart() {
    let mut desk = bought("0.0075");
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    report(&mut desk, "9.992", None);
    let (state, started) = (desk.account.state().clone(), desk.records[0].1.clone());
    desk.account = Account::restart(state, desk.now, started, &mut desk.out).unwrap();
    desk.collect();
    assert_eq!(desk.account.position_view(Ix(0)), PositionView::flat(Ix(0)));
    let view = desk.account.view();
    assert!(view.symbols[0].position.as_ref().is_some_and(|p| p.dust && p.qty == "0.0005"), "people see it");
}
