//! Money: whatever is traded, paid in and taken out by whomever, the sums are exact.

use rust_decimal::Decimal;

use super::*;
use crate::account::book::Book;
use crate::driver::audit::{Audit, AuditFault, AuditReport};
use crate::record::{Envelope, RECORD_VERSION};

/// A sequence of things that happen, by numbers that mean what is convenient.
type Course = Vec<(u8, u16, u32, u32)>;

fn course(length: usize) -> impl Strategy<Value = Course> {
    proptest::collection::vec((0u8..12, 0u16..3, 1u32..1_000_000, 0u32..1_000_000), 1..length)
}

fn dec(value: i64, scale: u32) -> Decimal {
    Decimal::new(value, scale).normalize()
}

/// A desk whose venue takes commissions of every kind, and whose reports may come twice.
struct Market {
    desk: Desk,
    /// What has been reported and must change nothing when it is reported again.
    told: Vec<Report>,
    trades: u64,
    transfers: u32,
}

impl Market {
    fn new(kind: AccountKind) -> Self {
        let risk = RISK.replace("max_concurrent_positions: 2", "max_concurrent_positions: 9");
        Self { desk: Desk::with(kind, &risk), told: Vec::new(), trades: 0, transfers: 0 }
    }

    fn tell(&mut self, report: Report) {
        self.desk.tell(&Event::Report(report.clone()));
        self.told.push(report);
    }

    fn commission(&self, kind: u32, base: Symbol, qty: Decimal) -> Option<Commission> {
        let asset = ["BNB", "USDT", "AAA", base.as_str()][kind as usize / 2 % 4].parse().unwrap();
        match kind % 8 {
            0..=2 => None,
            3 => Some(Commission::Base { amount: (qty * dec(1, 3)).normalize() }),
            4 => Some(Commission::Base { amount: (qty * dec(75_001, 8)).normalize() }),
            _ => Some(Commission::Other { asset, amount: dec(i64::from(kind % 1_000) + 1, 5) }),
        }
    }

    fn trade(&mut self, order: OrderId, symbol: Symbol, side: Side, qty: Qty, seeds: (u32, u32)) -> Fill {
        self.trades += 1;
        let price = Price::new(dec(i64::from(seeds.0 % 20_000) + 1, 2)).unwrap();
        let commission = self.commission(seeds.1, symbol, qty.get());
        let fee = if commission.is_none() { price.notional(qty).scaled(dec(5, 4)).rounded(8) } else { Money::ZERO };
        Fill { order, trade_id: self.trades, symbol, side, price, qty, fee, commission, ts: self.desk.now }
    }

    /// Fills a part of the oldest order, or all of it.
    fn fill(&mut self, seeds: (u32, u32)) {
        let Some(order) = self.desk.orders.first().cloned() else { return };
        let Some(filled) = self.desk.account.state.orders.get(&order.id).map(|o| o.filled) else {
            self.desk.orders.remove(0);
            return;
        };
        self.tell(Report::Accepted { order: order.id });
        let left = order.qty.less(filled);
        let half = Qty::new((left.get() / Decimal::TWO).round_dp(3)).unwrap();
        let qty = if seeds.1.is_multiple_of(3) && !half.is_zero() { half } else { left };
        let fill = self.trade(order.id, order.symbol, order.side, qty, seeds);
        self.tell(Report::Fill(fill));
        if qty == left {
            self.desk.orders.remove(0);
            self.desk.tell(&Event::Report(Report::Done { order: order.id, reason: DoneReason::Filled, text: None }));
        }
    }

    /// The oldest order is over before it is wholly filled.
    fn end(&mut self) {
        if !self.desk.orders.is_empty() {
            let order = self.desk.orders.remove(0).id;
            self.desk.tell(&Event::Report(Report::Done { order, reason: DoneReason::Cancelled, text: None }));
        }
    }

    /// Somebody else trades one of our symbols, or another one.
    fn foreign(&mut self, at: u16, seeds: (u32, u32)) {
        let symbol: Symbol =
            ["AAA", "BBB", "DDDUSDT", "EEEBTC"][(usize::from(at) + seeds.1 as usize) % 4].parse().unwrap();
        let (side, name) = (if seeds.0.is_multiple_of(2) { Side::Buy } else { Side::Sell }, format!("web-{}", seeds.0));
        let order = OrderId::foreign(symbol, &name).unwrap();
        let qty = Qty::new(dec(i64::from(seeds.1 % 30_000) + 1, 4)).unwrap();
        let fill = self.trade(order, symbol, side, qty, seeds);
        self.tell(Report::Foreign { fill, name });
    }

    fn transfer(&mut self, seeds: (u32, u32)) {
        self.transfers += 1;
        let asset: Asset = ["USDT", "BNB", "AAA", "DDD"][seeds.1 as usize % 4].parse().unwrap();
        let amount = dec(i64::from(seeds.0) - 400_000, 4);
        let value =
            if asset.as_str() == "USDT" { amount } else { (amount * dec(i64::from(seeds.1) + 1, 4)).normalize() };
        let (id, ts) = (format!("t-{}", self.transfers), self.desk.now);
        self.tell(Report::Transfer(Transfer { id, asset, amount, value: Money::new(value).unwrap(), ts }));
    }

    fn step(&mut self, (what, at, a, b): (u8, u16, u32, u32)) {
        let price = f64::from(a % 20_000 + 1) / 100.0;
        match what {
            0 => self.desk.bar(at, price, price * 1.02, price * 0.98, price),
            1 | 2 => drop(self.desk.enter(at, Direction::Long, price)),
            3 => drop(self.desk.enter(at, Direction::Short, price)),
            4 => drop(self.desk.decide(at, Intent::Exit)),
            5..=7 => self.fill((a, b)),
            8 => self.foreign(at, (a, b)),
            9 => self.transfer((a, b)),
            10 => self.end(),
            _ => self.desk.next_hour(),
        }
    }

    /// All decimals of the ledger.
    fn decimals(&self) -> Vec<Decimal> {
        let state = self.desk.account.state();
        let sums = [state.flow, state.contributed, state.realised(), state.fees(), state.stocks_value(), state.cash()];
        let mut all: Vec<Decimal> = sums.iter().map(|sum| sum.get()).collect();
        all.extend(state.books().iter().flat_map(|b| [b.net(), b.cost().get(), b.realised().get(), b.fees().get()]));
        all.extend(state.stocks().flat_map(|(_, stock)| [stock.amount, stock.value]));
        all
    }

    fn assert_sound(&self) {
        let (account, state) = (&self.desk.account, self.desk.account.state());
        assert_eq!(account.fault, None);
        let cost: Money = state.books().iter().map(Book::cost).sum();
        let held = state.flow + cost + state.stocks_value();
        let paid_in = state.setup().initial_cash + state.contributed();
        assert_eq!(held, paid_in + state.realised() - state.fees(), "{:?}", self.desk.records.last());
        assert!(self.decimals().iter().all(|d| d.to_string() == d.normalize().to_string()), "{:?}", self.decimals());
        assert!(state.books().iter().all(|b| !b.is_flat() || b.cost() == Money::ZERO));
        let is_spot = state.setup().kind == AccountKind::Spot;
        assert!(!is_spot || state.books().iter().all(|b| !b.net().is_sign_negative()));
        for (book, live) in state.books().iter().zip(&account.live) {
            let net = crate::domain::decimals::decimal_to_f64(book.net());
            assert!((live.net - net).abs() < f64::EPSILON, "{} is behind", book.symbol());
        }
        let Record::Mark { equity, .. } = account.mark_record() else { panic!("a mark") };
        assert!((equity.to_f64() - account.equity()).abs() < 0.01, "{equity} and {}", account.equity());
    }

    /// What was told already changes nothing.
    fn assert_told_once(&mut self) {
        // Exits that failed and are due go first: they wait for any event.
        self.desk.tell(&Event::FrameEnd);
        let before = self.desk.account.state().clone();
        for report in std::mem::take(&mut self.told) {
            let records = self.desk.records.len();
            let over = report.order().is_some_and(|id| !self.desk.account.state.orders.contains_key(&id));
            self.desk.tell(&Event::Report(report));
            assert_eq!(self.desk.records.len(), records);
            assert!(!over || before.orders == self.desk.account.state.orders);
        }
        assert_eq!(&before, self.desk.account.state());
    }

    /// The audit, which knows nothing of the ledger, finds the same at every mark.
    fn assert_audited(&mut self) {
        self.desk.tell(&Event::FrameEnd);
        let report = audit(&self.desk.records).unwrap();
        assert_eq!(report.contributed, self.desk.account.state().contributed());
        assert!(report.marks > 0);
    }
}

fn audit(records: &[(Ts, Record)]) -> Result<AuditReport, AuditFault> {
    let mut audit = Audit::default();
    for ((ts, record), seq) in records.iter().cloned().zip(1..) {
        audit.take(&Envelope { seq, ts, v: RECORD_VERSION, record })?;
    }
    Ok(audit.finish())
}

fn live(kind: AccountKind, course: Course) -> Market {
    let mut market = Market::new(kind);
    (0..3).for_each(|at| market.desk.flat_bar(at, 100.0));
    for step in course {
        market.step(step);
        market.assert_sound();
    }
    market
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_course_of_money_is_exact_folds_and_is_audited(is_spot in any::<bool>(), course in course(100)) {
        let mut market = live(if is_spot { AccountKind::Spot } else { AccountKind::Linear }, course);
        market.assert_told_once();
        market.desk.assert_folds();
        market.assert_audited();
    }
}

#[test]
fn the_courses_reach_what_they_are_made_for() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    let mut count = |what, is: bool| *seen.entry(what).or_default() += usize::from(is);
    for at in 0..40 {
        let steps = course(100).new_tree(&mut runner).unwrap().current();
        let market = live(if at % 2 == 0 { AccountKind::Spot } else { AccountKind::Linear }, steps);
        for (_, record) in &market.desk.records {
            count("dust", matches!(record, Record::Dust { .. }));
            count("fills", matches!(record, Record::Fill { .. }));
            count("foreign", matches!(record, Record::Foreign { .. }));
            count("transfers", matches!(record, Record::Transfer { .. }));
            count("freezes", matches!(record, Record::Freeze { .. }));
            count("stocks", matches!(record, Record::Mark { stocks, .. } if !stocks.is_empty()));
        }
        count("owed", market.desk.account.state().stocks().any(|(_, stock)| stock.amount.is_sign_negative()));
    }
    assert!(seen.len() == 7 && seen.values().all(|n| *n > 5), "{seen:?}");
}

#[test]
fn the_audit_finds_what_was_altered_about_others() {
    let mut market = Market::new(AccountKind::Spot);
    market.desk.flat_bar(0, 100.0);
    market.transfer((900_000, 1));
    market.foreign(0, (10_000, 24_000));
    market.desk.tell(&Event::FrameEnd);
    let clean = market.desk.records.clone();
    audit(&clean).unwrap();
    let alter = |change: &dyn Fn(&mut Record) -> bool| {
        let mut records = clean.clone();
        assert!(records.iter_mut().any(|(_, record)| change(record)), "there is something to be altered");
        audit(&records).unwrap_err()
    };
    let cent: Money = "0.01".parse().unwrap();
    let fault = alter(&|record| match record {
        Record::Mark { stocks, .. } => stocks.iter_mut().map(|stock| stock.value += cent).count() > 0,
        _ => false,
    });
    assert!(matches!(fault, AuditFault::Figure { what: "the list of stocks", .. }), "{fault}");
    let fault = alter(&|record| match record {
        Record::Transfer { transfer } => {
            transfer.value += cent;
            true
        }
        _ => false,
    });
    assert!(matches!(fault, AuditFault::Figure { .. }), "{fault}");
    let twice: Vec<_> =
        clean.iter().flat_map(|r| std::iter::repeat_n(r.clone(), 1 + usize::from(is_outside(&r.1)))).collect();
    assert!(matches!(audit(&twice), Err(AuditFault::Twice { .. })));
}

fn is_outside(record: &Record) -> bool {
    matches!(record, Record::Foreign { .. } | Record::Transfer { .. })
}

fn fill_of(desk: &Desk, trade_id: u64, qty: &str, price: &str, commission: Option<Commission>) -> Fill {
    let Order { id, symbol, side, .. } = desk.orders[0];
    let (price, qty) = (price.parse().unwrap(), qty.parse().unwrap());
    Fill { order: id, trade_id, symbol, side, price, qty, fee: Money::ZERO, commission, ts: desk.now }
}

fn figures(desk: &Desk) -> [String; 5] {
    let (state, book) = (desk.account.state(), &desk.account.state().books()[0]);
    let figures = [state.flow.get(), book.net(), book.cost().get(), book.realised().get(), book.fees().get()];
    figures.map(|figure| figure.to_string())
}

#[test]
fn a_commission_out_of_what_is_traded_is_less_bought_and_more_sold() {
    let mut desk = Desk::with(AccountKind::Spot, RISK);
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let amount = "0.0075".parse().unwrap();
    let fill = fill_of(&desk, 1, "10", "100", Some(Commission::Base { amount }));
    desk.tell(&Event::Report(Report::Fill(fill)));
    assert_eq!(figures(&desk), ["9000", "9.9925", "999.25", "0", "0.75"]);
    desk.tell(&Event::Report(Report::Done { order: desk.orders[0].id, reason: DoneReason::Filled, text: None }));
    desk.orders.clear();
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    assert_eq!(desk.orders[0].qty.to_string(), "9.992", "whole steps");
    let fill = fill_of(&desk, 2, "5", "110", Some(Commission::Base { amount }));
    desk.tell(&Event::Report(Report::Fill(fill)));
    // 5.0075 went, which had cost 500.75 and are worth 550.825; 550 were paid and 0.825 is the fee.
    assert_eq!(figures(&desk), ["9550", "4.985", "498.5", "50.075", "1.575"]);
}

#[test]
fn a_commission_in_a_third_asset_is_worth_what_the_asset_was_booked_at() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    let (id, asset, ts) = ("t".to_owned(), "BNB".parse().unwrap(), desk.now);
    let (amount, value) = ("3".parse().unwrap(), "1000".parse().unwrap());
    desk.tell(&Event::Report(Report::Transfer(Transfer { id, asset, amount, value, ts })));
    desk.enter(0, Direction::Long, 100.0);
    for (trade, amount, fees, left) in
        [(1, "1", "333.333333333333", "2"), (2, "2", "1000", ""), (3, "0.5", "1000", "-0.5")]
    {
        let alerts = desk.alerts.len();
        let fill =
            fill_of(&desk, trade, "1", "100", Some(Commission::Other { asset, amount: amount.parse().unwrap() }));
        desk.tell(&Event::Report(Report::Fill(fill)));
        let state = desk.account.state();
        assert_eq!(state.fees().to_string(), fees);
        let stock = state.stocks().next().map(|(_, stock)| stock.amount.to_string()).unwrap_or_default();
        assert_eq!((stock.as_str(), desk.alerts.len() > alerts), (left, left.starts_with('-')));
    }
    assert!(desk.alerts.last().unwrap().contains("more BNB was spent"), "{:?}", desk.alerts);
    assert_eq!(figures(&desk)[..2], ["9700", "3"], "the currency paid none of it");
    desk.assert_folds();
}

#[test]
fn a_spot_commission_beyond_its_stock_comes_out_of_the_position_of_that_asset() {
    let mut desk = Desk::with(AccountKind::Spot, RISK);
    (0..2).for_each(|at| desk.flat_bar(at, 100.0));
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.enter(1, Direction::Long, 100.0);
    let (asset, amount) = ("AAA".parse().unwrap(), "0.5".parse().unwrap());
    let fill = fill_of(&desk, 77, "1", "100", Some(Commission::Other { asset, amount }));
    desk.tell(&Event::Report(Report::Fill(fill)));
    let books = desk.account.state().books();
    assert_eq!((books[0].net().to_string(), books[0].cost().to_string()), ("9.5".into(), "950".into()));
    assert_eq!(books[1].fees().to_string(), "50");
    assert!((desk.account.live[0].net - 9.5).abs() < 1e-12);
    assert_eq!(desk.account.state().stocks().count(), 0);
}

#[test]
fn a_trade_is_booked_once_whichever_order_says_so() {
    let mut desk = Desk::new();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    let first = fill_of(&desk, 5, "1", "100", None);
    desk.fill("100", 1);
    desk.next_hour();
    desk.decide(0, Intent::Exit);
    desk.tell(&Event::Report(Report::Fill(Fill { trade_id: desk.trades, ..fill_of(&desk, 0, "1", "90", None) })));
    assert_eq!(desk.account.state().books()[0].net().to_string(), "10", "that number was booked for the entry");
    let name = "web".to_owned();
    let mut fill = Fill { trade_id: desk.trades, ..first };
    desk.tell(&Event::Report(Report::Foreign { fill: fill.clone(), name: name.clone() }));
    assert_eq!(desk.account.state().books()[0].net().to_string(), "10");
    let mut state = desk.account.state().clone();
    let again = state.apply(desk.now, &Record::Foreign { fill: fill.clone(), name: name.clone() });
    assert!(matches!(again, Err(ApplyError::RepeatedTrade { .. })), "a record of it is refused");
    fill.trade_id = 999;
    assert_eq!(state.apply(desk.now, &Record::Foreign { fill, name }), Ok(()));
}

/// One order from its intent to its end, as records.
fn round(state: &mut State, n: u64, fills: u64) {
    let (symbol, ts) = ("AAA".parse().unwrap(), Ts::from_nanos(i64::try_from(n).unwrap()));
    let id: OrderId = format!("lb-{n}").parse().unwrap();
    let cause = Cause::Command { seq: n };
    let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let (part, price): (Qty, Price) = ("0.003".parse().unwrap(), "100.07".parse().unwrap());
    let qty = Qty::new(part.get() * Decimal::from(fills)).unwrap();
    let order = Order { id, symbol, side, leg: Leg::Entry, qty, cause, attempt: 1, trigger: None, created: ts };
    state.apply(ts, &Record::Intent { order, reserved: Money::ZERO, bracket: None }).unwrap();
    for at in 0..fills {
        let (trade_id, fee) = (n * fills + at, "0.00015".parse().unwrap());
        let fill = Fill { order: id, trade_id, symbol, side, price, qty: part, fee, commission: None, ts };
        state.apply(ts, &Record::Fill { fill }).unwrap();
    }
    state.apply(ts, &Record::Done { order: id, reason: DoneReason::Filled, text: None }).unwrap();
}

fn rich() -> State {
    let mut setup = setup(AccountKind::Linear, RISK);
    setup.initial_cash = "100000000".parse().unwrap();
    let (run, config_hash) = ("run-1".parse().unwrap(), String::new());
    let started = Record::Started { run, timeframe: Timeframe::HOUR, config_hash, setup: Box::new(setup) };
    State::open(Ts::EPOCH, &started).unwrap()
}

#[test]
fn four_thousand_fills_make_one_exact_position() {
    let mut state = rich();
    round(&mut state, 0, 4_000);
    let book = &state.books()[0];
    // 4,000 * 0.003 * 100.07 = 1,200.84, and 4,000 * 0.00015 = 0.6 of fees.
    assert_eq!([book.net().to_string(), book.cost().to_string()], ["12", "1200.84"]);
    assert_eq!((state.cash().to_string(), book.fees().to_string()), ("99999999.4".into(), "0.6".into()));
}

#[test]
fn many_orders_on_a_large_balance_leave_it_exact() {
    const ORDERS: u64 = if cfg!(debug_assertions) { 9_000 } else { 90_000 };
    let mut state = rich();
    for n in 0..ORDERS {
        round(&mut state, n, 1);
    }
    let fees = dec(15, 5) * Decimal::from(ORDERS);
    assert_eq!(state.cash().get(), (Decimal::from(100_000_000) - fees).normalize());
    assert_eq!((state.fees().get(), state.realised(), state.orders().count()), (fees.normalize(), Money::ZERO, 0));
    assert!(state.books()[0].is_flat());
}
