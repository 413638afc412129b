//! What a position pays for being held, in the books.

use super::*;

fn funding(desk: &mut Desk, rate: f64) -> Funding {
    let net = desk.account.state().books()[0].net();
    let (symbol, ts, mark) = ("AAA".parse().unwrap(), desk.now, "100".parse().unwrap());
    let amount = Funding::payment(net, mark, rate).unwrap();
    let funding = Funding { symbol, ts, rate, mark, amount };
    desk.tell(&Event::Report(Report::Funding(funding)));
    funding
}

fn held(direction: Direction) -> Desk {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.tell(&Event::FrameEnd);
    desk.enter(0, direction, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk
}

fn payments(desk: &Desk) -> usize {
    desk.records.iter().filter(|(_, r)| matches!(r, Record::Funding { .. })).count()
}

#[test]
fn a_long_pays_and_a_short_is_paid_and_the_day_shows_it() {
    for (direction, rate, paid) in [
        (Direction::Long, 0.001, "1"),
        (Direction::Short, 0.001, "-1"),
        (Direction::Long, -0.001, "-1"),
        (Direction::Short, -0.001, "1"),
    ] {
        let mut desk = held(direction);
        let before = desk.account.view();
        funding(&mut desk, rate);
        let (after, paid) = (desk.account.view(), paid.parse::<Money>().unwrap());
        assert_eq!((after.funding, after.fees), (paid, before.fees), "10 units at 100");
        assert_eq!((after.cash, after.equity), (before.cash - paid, before.equity - paid));
        assert_eq!(after.earned(), before.earned() - paid);
        assert_eq!(after.symbols[0].total_pnl, before.symbols[0].total_pnl - paid);
        assert_eq!(after.symbols[0].daily_pnl, before.symbols[0].daily_pnl - paid);
        assert_eq!(after.day_start_equity, before.day_start_equity, "it is a result, and no transfer");
        assert_eq!((after.contributed, after.realised), (Money::ZERO, before.realised));
        desk.assert_folds();
    }
}

#[test]
fn the_same_payment_is_booked_once_whoever_tells_it_again() {
    let mut desk = held(Direction::Long);
    let paid = funding(&mut desk, 0.001);
    let view = desk.account.view();
    funding(&mut desk, 0.001);
    assert_eq!((payments(&desk), desk.account.view()), (1, view));
    let mut state = desk.account.state().clone();
    let again = state.apply(desk.now, &Record::Funding { funding: paid });
    assert_eq!(again, Err(ApplyError::RepeatedFunding { symbol: paid.symbol, ts: paid.ts }));
    assert_eq!(&state, desk.account.state());
    // After a restart too.
    let started = desk.records[0].1.clone();
    desk.account = Account::restart(state, desk.now, started, &mut Actions::new()).unwrap();
    desk.tell(&Event::Report(Report::Funding(paid)));
    assert_eq!((payments(&desk), desk.account.view().funding.to_string()), (1, "1".into()));
    desk.next_hour();
    funding(&mut desk, 0.001);
    assert_eq!((payments(&desk), desk.account.view().funding.to_string()), (2, "2".into()));
}

#[test]
fn what_was_paid_stays_with_its_symbol_over_a_flip_and_beyond_its_leaving() {
    let mut desk = held(Direction::Long);
    let first = funding(&mut desk, 0.001).amount;
    desk.decide(0, Intent::Exit);
    desk.fill("100", 1);
    desk.next_hour();
    desk.enter(0, Direction::Short, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    let second = funding(&mut desk, 0.0005).amount;
    assert!(first < Money::ZERO && second > Money::ZERO, "{first} {second}");
    let (book, paid) = (&desk.account.state().books()[0], -(first + second));
    assert_eq!((book.direction(), book.funding()), (Some(Direction::Short), paid));
    assert_eq!(book.net_realised(), book.realised() - book.fees() - paid);
    desk.decide(0, Intent::Exit);
    desk.fill("100", 1);
    let earned = desk.account.view().earned();
    let fewer = fixtures::setup(&["BBB", "CCC"], AccountKind::Linear, RISK);
    let now = desk.now;
    desk.account.reconfigure(fewer, now, &mut desk.out).unwrap();
    desk.collect();
    assert_eq!(desk.account.state().funding(), paid);
    assert_eq!(desk.account.view().earned(), earned);
    desk.assert_folds();
}

#[test]
fn a_payment_that_cannot_be_is_refused_and_changes_nothing() {
    let paid = |symbol: &str, amount: &str| {
        let (mark, amount) = ("100".parse().unwrap(), amount.parse().unwrap());
        Record::Funding { funding: Funding { symbol: symbol.parse().unwrap(), ts: Ts::EPOCH, rate: 0.1, mark, amount } }
    };
    for (kind, record) in [
        (AccountKind::Spot, paid("AAA", "1")),
        (AccountKind::Linear, paid("ZZZ", "1")),
        (AccountKind::Linear, paid("AAA", "1000000000000000")),
    ] {
        let desk = Desk::with(kind, RISK);
        let mut state = desk.account.state().clone();
        let refused = state.apply(desk.now, &record);
        assert!(matches!(refused, Err(ApplyError::FundingImpossible { .. })), "{refused:?}");
        assert_eq!(&state, desk.account.state());
    }
}
