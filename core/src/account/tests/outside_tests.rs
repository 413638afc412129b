//! What others do to the account: they trade, pay in and take out.

use super::*;

fn foreign(desk: &mut Desk, symbol: &str, side: Side, qty: &str, price: &str) {
    desk.trades += 1;
    let (symbol, name): (Symbol, _) = (symbol.parse().unwrap(), "web-1".to_owned());
    let (order, trade_id, ts) = (OrderId::foreign(symbol, &name).unwrap(), desk.trades, desk.now);
    let (qty, price, fee) = (qty.parse().unwrap(), price.parse().unwrap(), "0.1".parse().unwrap());
    let fill = Fill { order, trade_id, symbol, side, price, qty, fee, commission: None, ts };
    desk.tell(&Event::Report(Report::Foreign { fill, name }));
}

fn transfer(desk: &mut Desk, id: &str, asset: &str, amount: &str, value: &str) {
    let (id, asset, ts) = (id.to_owned(), asset.parse().unwrap(), desk.now);
    let (amount, value) = (amount.parse().unwrap(), value.parse().unwrap());
    desk.tell(&Event::Report(Report::Transfer(Transfer { id, asset, amount, value, ts })));
}

fn net(desk: &Desk) -> String {
    desk.account.state().books()[0].net().to_string()
}

fn stocks(desk: &Desk) -> Vec<String> {
    let show = |(asset, stock): (Asset, assets::Stock)| format!("{asset} {} at {}", stock.amount, stock.value);
    desk.account.state().stocks().map(show).collect()
}

fn held(kind: AccountKind) -> Desk {
    let mut desk = Desk::with(kind, RISK);
    desk.flat_bar(0, 100.0);
    desk.tell(&Event::FrameEnd);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.alerts.clear();
    desk
}

#[test]
fn a_position_that_others_open_is_told_and_stops_entries_until_it_is_flat() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let entry = desk.orders.remove(0).id;
    foreign(&mut desk, "AAA", Side::Sell, "2", "100");
    assert_eq!((net(&desk).as_str(), desk.cancels.as_slice()), ("-2", &[entry][..]));
    assert!(desk.alerts.iter().any(|a| a.contains("levibot close AAA")), "{:?}", desk.alerts);
    desk.tell(&Event::Report(Report::Done { order: entry, reason: DoneReason::Cancelled, text: None }));
    desk.next_hour();
    assert_eq!(Desk::check(&desk.enter(0, Direction::Long, 100.0)), "frozen");
    // The opposite direction was wanted: what is held is closed, whoever opened it, and with that entries are free.
    desk.fill("100", 1);
    assert_eq!(net(&desk), "0");
    desk.next_hour();
    assert!(matches!(desk.enter(0, Direction::Long, 100.0), Verdict::Approved { .. }));
    desk.assert_folds();
}

#[test]
fn a_person_may_lift_the_freeze_over_a_position_of_others() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    foreign(&mut desk, "AAA", Side::Buy, "2", "100");
    desk.tell(&Event::Freeze { instrument: Ix(0), cause: FreezeCause::Venue, reason: None });
    desk.next_hour();
    assert!(desk.account.state().books()[0].frozen().is_empty());
    // What ledger and venue disagree about is another cause, and being flat does not lift it.
    let reason = Some("3 are missing at the venue".to_owned());
    desk.tell(&Event::Freeze { instrument: Ix(0), cause: FreezeCause::Venue, reason });
    foreign(&mut desk, "AAA", Side::Sell, "2", "100");
    assert!(desk.account.state().books()[0].is_flat() && desk.account.state().books()[0].frozen().len() == 1);
}

#[test]
fn others_may_add_to_reduce_close_and_turn_our_position() {
    let mut desk = held(AccountKind::Linear);
    foreign(&mut desk, "AAA", Side::Buy, "5", "101");
    assert!(desk.account.state().books()[0].frozen().is_empty(), "our stop guards all of it");
    desk.next_hour();
    desk.bar(0, 100.0, 100.0, 97.0, 97.0);
    assert_eq!(desk.orders[0].qty.to_string(), "15");
    let exit = desk.orders[0].id;
    foreign(&mut desk, "AAA", Side::Sell, "1", "97");
    assert_eq!(desk.cancels, [exit], "it would sell more than there is");
    desk.tell(&Event::Report(Report::Done { order: exit, reason: DoneReason::Cancelled, text: None }));
    foreign(&mut desk, "AAA", Side::Sell, "14", "97");
    let book = &desk.account.state().books()[0];
    assert!(book.is_flat() && book.bracket().is_none() && book.frozen().is_empty());
    assert_eq!(book.realised().to_string(), "-50", "15 for 1,505 were sold for 1,455");
    desk.assert_folds();

    let mut desk = held(AccountKind::Linear);
    foreign(&mut desk, "AAA", Side::Sell, "12", "100");
    let book = &desk.account.state().books()[0];
    assert_eq!((book.direction(), book.bracket(), book.frozen().len()), (Some(Direction::Short), None, 1));
}

#[test]
fn on_spot_others_have_a_stock_of_their_own_and_only_the_rest_is_ours() {
    let mut desk = held(AccountKind::Spot);
    foreign(&mut desk, "AAA", Side::Buy, "4", "110");
    assert_eq!((net(&desk).as_str(), stocks(&desk)), ("10", vec!["AAA 4 at 440".to_owned()]));
    let equity = desk.account.equity();
    assert!((equity - (10_000.0 - 0.5 - 0.1)).abs() < 1e-9, "a stock is worth what it was bought for: {equity}");
    foreign(&mut desk, "AAA", Side::Sell, "1", "130");
    assert_eq!((net(&desk).as_str(), stocks(&desk)), ("10", vec!["AAA 3 at 330".to_owned()]));
    assert_eq!(desk.account.state().realised().to_string(), "20");
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    foreign(&mut desk, "AAA", Side::Sell, "5", "90");
    assert_eq!((net(&desk).as_str(), stocks(&desk).len()), ("8", 0), "three of theirs and two of ours");
    assert_eq!(desk.cancels, [desk.orders[0].id]);
    assert_eq!(desk.account.state().books()[0].realised().to_string(), "-20");
    foreign(&mut desk, "AAA", Side::Sell, "9", "100");
    assert_eq!((net(&desk).as_str(), stocks(&desk)), ("0", vec!["AAA -1 at 0".to_owned()]));
    assert!(desk.alerts.last().unwrap().contains("more AAA was spent"), "{:?}", desk.alerts);
    desk.assert_folds();
}

#[test]
fn a_trade_of_what_is_not_traded_here_is_booked_where_that_can_be() {
    let mut spot = Desk::with(AccountKind::Spot, RISK);
    foreign(&mut spot, "ETHUSDT", Side::Buy, "2", "1000");
    assert_eq!(
        (stocks(&spot), spot.account.state().cash().to_string()),
        (vec!["ETH 2 at 2000".into()], "7999.9".into())
    );
    let mut linear = Desk::new();
    foreign(&mut linear, "ETHUSDT", Side::Buy, "2", "1000");
    for desk in [&mut spot, &mut linear] {
        foreign(desk, "ETHBTC", Side::Buy, "2", "0.1");
        assert!(desk.alerts.last().unwrap().contains("not booked"), "{:?}", desk.alerts);
    }
    assert_eq!((stocks(&spot).len(), linear.account.state().cash().to_string()), (1, "10000".into()));
    assert!(linear.alerts.iter().all(|a| a.contains("the balance of USDT will differ")), "{:?}", linear.alerts);
}

#[test]
fn a_withdrawal_is_no_loss_and_a_deposit_hides_none() {
    for (amount, lost) in [("-5000", 99.0), ("5000", 98.0)] {
        let mut desk = held(AccountKind::Linear);
        transfer(&mut desk, "t-1", "USDT", amount, amount);
        desk.next_hour();
        desk.flat_bar(0, 100.0);
        desk.tell(&Event::FrameEnd);
        assert_eq!(desk.account.halt_level(), HaltLevel::None, "{amount}: nothing was lost");
        let view = desk.account.view();
        assert_eq!((view.contributed.to_string().as_str(), view.earned().to_string().as_str()), (amount, "-0.5"));
        // A day's loss of 3 %: of what the account is now.
        let start = view.day_start_equity.to_f64();
        assert!((start - 10_000.0 - view.contributed.to_f64()).abs() < 1e-9);
        let loss_at = 100.0 - (start * 0.03 - 0.5) / 10.0;
        desk.tell(&Event::Bar { instrument: Ix(0), bar: at(&desk, loss_at + 0.1), context: Context::default() });
        desk.tell(&Event::FrameEnd);
        assert_eq!(desk.account.halt_level(), HaltLevel::None, "{amount} {lost}");
        desk.tell(&Event::Bar { instrument: Ix(0), bar: at(&desk, loss_at - 0.1), context: Context::default() });
        desk.tell(&Event::FrameEnd);
        assert_eq!(desk.account.halt_level(), HaltLevel::ReduceOnly, "{amount} {lost}");
        desk.assert_folds();
    }
}

#[test]
fn what_is_held_besides_is_neither_a_loss_of_the_day_nor_capital() {
    let mut desk = held(AccountKind::Linear);
    let free = desk.account.available(0.0);
    transfer(&mut desk, "t-1", "BNB", "1", "500");
    assert!((desk.account.available(0.0) - free).abs() < 1e-9, "a stock is no margin");
    for _ in 0..2 {
        desk.next_hour();
        desk.flat_bar(0, 100.0);
        desk.tell(&Event::FrameEnd);
    }
    assert_eq!(desk.account.halt_level(), HaltLevel::None, "{:?}", desk.alerts);
    desk.assert_folds();
}

fn at(desk: &Desk, price: f64) -> Bar {
    Bar { open_ts: desk.now - Span::HOUR, open: price, high: price, low: price, close: price, volume: 1e6 }
}

#[test]
fn the_next_day_begins_with_what_was_paid_in() {
    let mut desk = held(AccountKind::Linear);
    desk.tell(&Event::FrameEnd);
    transfer(&mut desk, "t-1", "USDT", "700", "700");
    desk.now = desk.now + Span::DAY;
    let quote = Quote { ts: desk.now, bid: 100.0, ask: 100.0, bid_size: 1.0, ask_size: 1.0 };
    desk.tell(&Event::Quote { instrument: Ix(0), quote });
    assert_eq!(desk.account.state().day().unwrap().start_equity.to_string(), "10699.5");
}

#[test]
fn transfers_are_booked_once_and_what_leaves_leaves_at_what_it_was_booked_at() {
    let mut desk = Desk::new();
    transfer(&mut desk, "t-1", "BNB", "4", "1200");
    transfer(&mut desk, "t-1", "BNB", "4", "1200");
    assert_eq!(stocks(&desk), ["BNB 4 at 1200"]);
    assert!((desk.account.equity() - 11_200.0).abs() < 1e-9);
    transfer(&mut desk, "t-2", "BNB", "-1", "-900");
    assert_eq!(
        (stocks(&desk), desk.account.state().contributed().to_string()),
        (vec!["BNB 3 at 900".into()], "900".into())
    );
    assert_eq!(desk.account.view().earned(), Money::ZERO);
    transfer(&mut desk, "t-3", "BNB", "-5", "-1500");
    assert_eq!(stocks(&desk), ["BNB -2 at 0"]);
    assert!(desk.alerts.last().unwrap().contains("more BNB was spent"), "{:?}", desk.alerts);
    transfer(&mut desk, "t-4", "USDT", "-10001", "-10001");
    assert!(desk.alerts.last().unwrap().contains("more than there was: cash is -1"), "{:?}", desk.alerts);
    let record = Record::Transfer {
        transfer: Transfer {
            id: "t-4".into(),
            asset: "USDT".parse().unwrap(),
            amount: "1".parse().unwrap(),
            value: "1".parse().unwrap(),
            ts: desk.now,
        },
    };
    let again = desk.account.state().clone().apply(desk.now, &record);
    assert_eq!(again, Err(ApplyError::RepeatedTransfer { id: "t-4".into() }));
    desk.assert_folds();
}

#[test]
fn a_withdrawal_of_what_our_position_holds_makes_it_smaller() {
    let mut desk = held(AccountKind::Spot);
    let equity = desk.account.equity();
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    transfer(&mut desk, "t-1", "AAA", "-4", "-400");
    assert_eq!((net(&desk).as_str(), desk.cancels.as_slice()), ("6", &[desk.orders[0].id][..]));
    assert!((desk.account.equity() - (equity - 400.0)).abs() < 1e-9);
    assert_eq!(desk.account.view().earned().to_string(), "-0.5");
    desk.assert_folds();
}
