//! What the account holds at the venue: what may fill, what is told of it, and how it is rebuilt.

use super::*;
use crate::domain::{AccountKind, Transfer, VenueState};

fn state(bench: &mut Bench) -> VenueState {
    bench.venue.tell_all(at(9), &mut bench.out);
    match bench.out.drain().next() {
        Some(Report::State(state)) => *state,
        other => panic!("{other:?}"),
    }
}

fn told(bench: &mut Bench, id: OrderId) -> Vec<Report> {
    bench.venue.tell_of(id, at(9), &mut bench.out);
    bench.out.drain().collect()
}

fn balances(state: &VenueState) -> Vec<String> {
    state.balances.iter().map(|(asset, held)| format!("{asset} {held}")).collect()
}

fn exit(name: &str, side: Side, qty: &str, created: Ts) -> Order {
    Order { leg: Leg::Exit, ..order(name, side, qty, created) }
}

fn quantities(reports: &[Report]) -> Vec<String> {
    fills(reports).iter().map(|fill| fill.qty.to_string()).collect()
}

#[test]
fn an_exit_never_fills_beyond_the_position_that_is_there() {
    let mut bench = Bench::new(plain()).holding(Side::Buy, "1");
    let (first, second) = (exit("a", Side::Sell, "0.7", at(1)), exit("b", Side::Sell, "0.7", at(1)));
    bench.submit(&first, at(1));
    bench.submit(&second, at(1));
    let reports = bench.bar(1, 100.0, 5.0);
    assert_eq!(quantities(&reports), ["0.7", "0.3"]);
    assert_eq!(ends(&reports), [DoneReason::Filled, DoneReason::Expired]);
    let wrong_side = exit("c", Side::Buy, "1", at(2));
    bench.submit(&wrong_side, at(2));
    let reports = bench.bar(2, 100.0, 5.0);
    assert_eq!((fills(&reports).len(), ends(&reports)), (0, vec![DoneReason::Expired]), "it would open a position");
    assert_eq!(state(&mut bench).positions, []);
    bench.submit(&order("d", Side::Sell, "1", at(3)), at(3));
    assert_eq!(quantities(&bench.bar(3, 100.0, 5.0)), ["1"], "an entry may open one");
}

#[test]
fn on_spot_nothing_is_sold_that_is_not_there_nor_bought_that_cannot_be_paid() {
    let mut bench = Bench::of(AccountKind::Spot, plain());
    bench.bar(0, 100.0, 5000.0);
    assert!(refusal(&bench.submit(&order("a", Side::Sell, "1", at(1)), at(1))).contains("insufficient balance"));
    assert!(refusal(&bench.submit(&order("b", Side::Buy, "1000", at(1)), at(1))).contains("insufficient balance"));
    let buy = order("c", Side::Buy, "900", at(1));
    assert_eq!(bench.submit(&buy, at(1)), [Report::Accepted { order: buy.id }]);
    let refused = bench.submit(&order("d", Side::Buy, "900", at(1)), at(1));
    assert!(refusal(&refused).contains("are free"), "the first one holds the currency");
    // The price has run away meanwhile: as much as can be paid is bought, and the rest expires.
    let reports = bench.bar(1, 200.0, 5000.0);
    assert_eq!((quantities(&reports), ends(&reports)), (vec!["499.75".to_owned()], vec![DoneReason::Expired]));
    let state = state(&mut bench);
    assert_eq!(balances(&state), ["USDT 0.025", "BASE 499.75"]);
    assert_eq!(state.positions, []);
}

#[test]
fn the_venue_tells_of_an_order_all_that_became_of_it() {
    let mut bench = Bench::new(RawPaperSetup { participation: 0.1, ..plain() });
    let buy = order("a", Side::Buy, "1", at(1));
    assert_eq!(told(&mut bench, buy.id), [Report::Absent { order: buy.id, asked: at(9), gap: false }]);
    let mut all = bench.submit(&buy, at(1));
    all.extend(bench.bar(1, 100.0, 4.0));
    assert_eq!(told(&mut bench, buy.id), all, "live, with a part filled");
    all.extend(bench.cancel(buy.id, at(2)));
    assert_eq!(told(&mut bench, buy.id), all, "over");
    let zero = order("b", Side::Buy, "0", at(2));
    let refused = bench.submit(&zero, at(2));
    assert_eq!(told(&mut bench, zero.id), refused, "refused, hence never accepted");
}

#[test]
fn the_venue_tells_all_that_is_there_and_each_trade_twice() {
    let mut bench = Bench::new(RawPaperSetup { participation: 0.1, ..plain() });
    let buy = order("a", Side::Buy, "1", at(1));
    bench.submit(&buy, at(1));
    let trade = fills(&bench.bar(1, 100.0, 4.0))[0].clone();
    let first = state(&mut bench);
    assert_eq!((first.asked, first.gap, first.fills.as_slice()), (at(9), false, &[trade][..]));
    let [open] = first.orders.as_slice() else { panic!("{:?}", first.orders) };
    assert_eq!((open.id, open.filled.to_string()), (Some(buy.id), "0.4".into()));
    assert_eq!(first.positions, [(buy.symbol, "0.4".parse().unwrap())]);
    assert_eq!(balances(&first), ["USDT 99999.98"]);
    bench.bar(2, 100.0, 100.0);
    let second = state(&mut bench);
    assert_eq!((second.orders.len(), second.fills.len()), (0, 2), "the answer before may have been lost");
    assert_eq!(state(&mut bench).fills.len(), 1);
    assert_eq!(state(&mut bench).fills, []);
}

#[test]
fn a_rebuilt_venue_holds_what_the_lost_one_held() {
    for kind in [AccountKind::Linear, AccountKind::Spot] {
        let (mut whole, mut rebuilt) = (Bench::of(kind, raw_setup()), Bench::of(kind, raw_setup()));
        for (step, now) in script() {
            let reports = run(&mut whole.venue, &step, now);
            records(&step, &reports).iter().for_each(|record| rebuilt.venue.recover(record, now));
            let (ours, theirs) = (state(&mut whole), state(&mut rebuilt));
            assert_eq!(
                (ours.orders, ours.positions, ours.balances),
                (theirs.orders, theirs.positions, theirs.balances)
            );
            if let Step::Submit(order) = &step {
                assert_eq!(told(&mut whole, order.id), told(&mut rebuilt, order.id));
            }
        }
        assert!(!balances(&state(&mut whole)).is_empty());
    }
}

#[test]
fn the_record_says_with_what_the_account_began_and_what_was_paid_in() {
    let mut bench = Bench::new(plain());
    let setup = crate::account::fixtures::setup(
        &["BTCUSDT"],
        AccountKind::Linear,
        "
risk_policy:
  max_daily_loss_pct: 20.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 3
  rebalance_frequency: weekly
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 3000}
",
    );
    let started = |initial_cash: &str| Record::Started {
        run: "run-1".parse().unwrap(),
        timeframe: crate::domain::Timeframe::HOUR,
        config_hash: String::new(),
        setup: Box::new(crate::account::AccountSetup { initial_cash: initial_cash.parse().unwrap(), ..setup.clone() }),
    };
    bench.venue.recover(&started("500"), at(0));
    bench.venue.recover(&started("900"), at(1));
    let (asset, value, ts) = ("USDT".parse().unwrap(), "-20".parse().unwrap(), at(1));
    let transfer = Transfer { id: "t".into(), asset, amount: "-20".parse().unwrap(), value, ts };
    bench.venue.recover(&Record::Transfer { transfer }, at(1));
    assert_eq!(balances(&state(&mut bench)), ["USDT 480"]);
}

#[test]
fn an_order_that_the_record_has_wholly_filled_and_not_ended_is_told_as_over() {
    let mut bench = Bench::new(plain());
    let buy = order("a", Side::Buy, "1", at(1));
    let mut all = bench.submit(&buy, at(1));
    all.extend(bench.bar(1, 100.0, 5.0));
    let mut rebuilt = Bench::new(plain());
    let step = Step::Submit(buy.clone());
    records(&step, &all[..2]).iter().for_each(|record| rebuilt.venue.recover(record, at(1)));
    assert_eq!(state(&mut rebuilt).orders, []);
    assert_eq!(told(&mut rebuilt, buy.id), all);
    assert_eq!(rebuilt.bar(2, 100.0, 5.0), [], "and told so once");
}
