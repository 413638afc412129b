use levibot_core::account::{AccountSetup, RiskPolicy};
use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::{
    AccountKind, Decision, DoneReason, Fill, HaltLevel, InstrumentId, Ix, Leg, Order, Reason, Side, Span, Timeframe,
};
use levibot_core::record::Verdict;
use proptest::prelude::*;

use super::*;

const T0: Ts = Ts::from_secs(1_654_041_600);

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn started() -> Record {
    started_as(AccountKind::Linear, &["BTC"])
}

fn started_as(kind: AccountKind, bases: &[&str]) -> Record {
    let raw = |base: &&str| RawInstrument {
        id: InstrumentId { venue: "sim".parse().unwrap(), symbol: format!("{base}USDT").parse().unwrap() },
        base: (*base).into(),
        quote: "USDT".into(),
        tick: "0.01".parse().unwrap(),
        step: "0.001".parse().unwrap(),
        min_qty: "0.001".parse().unwrap(),
        min_notional: "5".parse().unwrap(),
    };
    let yaml = "risk_policy: {max_daily_loss_pct: 3.0, max_symbol_risk_pct: 0.2, max_concurrent_positions: 15, \
                rebalance_frequency: weekly, position_sizing: {method: kelly, kelly_fraction: 0.5, min_position_usd: 10, \
                max_position_usd: 1000}}";
    let setup = AccountSetup {
        name: "paper".into(),
        kind,
        currency: "USDT".into(),
        initial_cash: "10000".parse().unwrap(),
        instruments: bases.iter().map(|base| raw(base).try_into().unwrap()).collect(),
        risk: RiskPolicy::from_yaml(yaml).unwrap(),
        cost_per_side: 0.001,
        resume_next_day: false,
        unlimited: false,
    };
    let (run, setup) = ("run-1".parse().unwrap(), Box::new(setup));
    Record::Started { run, timeframe: Timeframe::HOUR, config_hash: "ab".into(), setup }
}

/// A journal that grows by a second with each record.
struct Rig {
    trips: Trips,
    seq: u64,
    steps: Vec<Step>,
}

impl Rig {
    fn new() -> Self {
        Self::begun(started())
    }

    fn begun(started: Record) -> Self {
        let mut rig = Self { trips: Trips::default(), seq: 0, steps: Vec::new() };
        rig.take(started);
        rig
    }

    fn now(&self) -> Ts {
        T0 + Span::SECOND.times(i64::try_from(self.seq).unwrap())
    }

    fn take(&mut self, record: Record) -> u64 {
        self.seq += 1;
        let envelope = Envelope { seq: self.seq, ts: self.now(), v: 4, record };
        self.steps.extend(self.trips.take(&envelope).unwrap());
        self.seq
    }

    /// An order of its own for each fill.
    fn fill(&mut self, cause: Cause, side: Side, qty: &str, price: &str) -> OrderId {
        let id: OrderId = format!("lb-{}", self.seq).parse().unwrap();
        let (qty, ts) = (qty.parse().unwrap(), self.now());
        let order =
            Order { id, symbol: symbol(), side, leg: Leg::Entry, qty, cause, attempt: 1, trigger: None, created: ts };
        self.take(Record::Intent { order, reserved: "0".parse().unwrap(), bracket: None });
        let (price, fee) = (price.parse().unwrap(), "0.3".parse().unwrap());
        let fill =
            Fill { order: id, trade_id: self.seq, symbol: symbol(), side, price, qty, fee, commission: None, ts };
        self.take(Record::Fill { fill });
        self.take(Record::Done { order: id, reason: DoneReason::Filled, text: None });
        id
    }

    fn closed(&self) -> Vec<&Trip> {
        let closed = self.steps.iter().filter_map(|step| match step {
            Step::Closed(trip) => Some(trip),
            Step::Apart { .. } => None,
        });
        closed.collect()
    }
}

fn decision(bar: i64) -> Cause {
    Cause::Decision { bar: Ts::from_secs(bar) }
}

fn text(value: Option<Decimal>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[test]
fn parts_make_one_trip_and_a_turn_makes_two() {
    let mut rig = Rig::new();
    let entry = rig.fill(decision(1), Side::Buy, "2", "100");
    rig.fill(decision(2), Side::Buy, "1", "130");
    rig.fill(decision(3), Side::Sell, "1", "120");
    assert!(rig.closed().is_empty());
    // Two close the rest, one opens the other side.
    rig.fill(decision(4), Side::Sell, "3", "140");
    let first = rig.closed()[0].clone();
    assert_eq!((first.direction, first.orders[0], first.parts), (Direction::Long, entry, 4));
    assert_eq!([text(first.entry_price()), text(first.exit_price())], ["110", "133.333333333333"]);
    assert_eq!((first.entered, first.exited), (Decimal::from(3), Decimal::from(3)));
    // 10 and 60; three fees and two thirds of the fourth.
    assert_eq!((first.gross.to_string(), first.fees.normalize().to_string()), ("70".into(), "1.1".into()));
    assert_eq!(first.return_pct().unwrap().to_string(), "20.8788");
    let open = &rig.trips.open()[&symbol()];
    assert_eq!((open.direction, open.entered, open.closed), (Direction::Short, Decimal::ONE, None));
    assert_eq!((open.fees.normalize().to_string(), open.return_pct()), ("0.1".to_owned(), None));
}

#[test]
fn the_reason_is_that_of_the_last_exit() {
    let mut rig = Rig::new();
    let decide = |rig: &mut Rig, bar: i64, intent| {
        let bar = Ts::from_secs(bar);
        let decision = Decision { instrument: Ix(0), bar, policy: 1, features: 2, forecast: None, intent };
        rig.take(Record::Decision { symbol: symbol(), decision, verdict: Verdict::Unchanged });
    };
    let reason = || Reason { by: "me".into(), text: "why".into() };
    let mut wanted = Vec::new();
    let mut cycle = |rig: &mut Rig, word: &'static str, cause: Cause| {
        rig.fill(decision(1), Side::Buy, "1", "100");
        rig.fill(cause, Side::Sell, "1", "90");
        wanted.push(word);
    };
    let entry = "lb-1".parse().unwrap();
    cycle(&mut rig, "stop", Cause::Bracket { entry, rule: ExitReason::Stop });
    cycle(&mut rig, "time_exit", Cause::Bracket { entry, rule: ExitReason::TimeExit });
    let halt = rig.take(Record::Halt { level: HaltLevel::Flatten, reason: reason() });
    cycle(&mut rig, "halt", Cause::Command { seq: halt });
    let close = rig.take(Record::Close { symbol: symbol(), reason: reason() });
    cycle(&mut rig, "close", Cause::Command { seq: close });
    cycle(&mut rig, "rebalance", Cause::Rebalance { at: T0 });
    decide(&mut rig, 50, Some(Intent::Exit));
    cycle(&mut rig, "signal", decision(50));
    let bracket = levibot_core::domain::BracketSpec { stop: Some(1.0), target: None, trailing: None, time_exit: None };
    let (direction, probability, volatility, reference) = (Direction::Short, None, 0.1, 90.0);
    decide(
        &mut rig,
        60,
        Some(Intent::Enter {
            direction,
            probability,
            volatility,
            reference,
            size: levibot_core::domain::Size::Account,
            bracket,
        }),
    );
    cycle(&mut rig, "reverse", decision(60));
    let reasons: Vec<_> = rig.closed().iter().map(|trip| trip.reason.unwrap()).collect();
    assert_eq!(reasons, wanted);
}

#[test]
fn a_fill_that_comes_late_has_the_reason_of_its_order() {
    let mut rig = Rig::new();
    rig.fill(decision(1), Side::Buy, "1", "100");
    let (id, entry): (OrderId, OrderId) = ("lb-x".parse().unwrap(), "lb-1".parse().unwrap());
    let (symbol, side, qty, ts) = (symbol(), Side::Sell, "1".parse().unwrap(), rig.now());
    let cause = Cause::Bracket { entry, rule: ExitReason::Stop };
    let order = Order { id, symbol, side, leg: Leg::Exit, qty, cause, attempt: 1, trigger: None, created: ts };
    rig.take(Record::Intent { order, reserved: "0".parse().unwrap(), bracket: None });
    rig.take(Record::Done { order: id, reason: DoneReason::Cancelled, text: None });
    let (price, fee) = ("90".parse().unwrap(), "0.3".parse().unwrap());
    rig.take(Record::Fill {
        fill: Fill { order: id, trade_id: 99, symbol, side, price, qty, fee, commission: None, ts },
    });
    assert_eq!(rig.closed()[0].reason, Some("stop"));
}

#[test]
fn sums_are_the_ledgers_whatever_no_book_knows_of() {
    let mut rig = Rig::begun(started_as(AccountKind::Spot, &["BTC", "BNB"]));
    let trade = |rig: &Rig, order: OrderId, name: &str, side, [qty, price]: [&str; 2], commission| {
        let (symbol, qty, price) = (name.parse().unwrap(), qty.parse().unwrap(), price.parse().unwrap());
        let (trade_id, fee, ts) = (rig.seq, "0".parse().unwrap(), rig.now());
        Fill { order, trade_id, symbol, side, price, qty, fee, commission, ts }
    };
    let entry = |rig: &mut Rig, name: &str, figures: [&str; 2], commission| {
        let id: OrderId = format!("lb-{}", rig.seq).parse().unwrap();
        let fill = trade(rig, id, name, Side::Buy, figures, commission);
        let (symbol, side, leg, qty, created) = (fill.symbol, fill.side, Leg::Entry, fill.qty, fill.ts);
        let order = Order { id, symbol, side, leg, qty, cause: decision(1), attempt: 1, trigger: None, created };
        rig.take(Record::Intent { order, reserved: "0".parse().unwrap(), bracket: None });
        rig.take(Record::Fill { fill });
        rig.take(Record::Done { order: id, reason: DoneReason::Filled, text: None });
    };
    entry(&mut rig, "BNBUSDT", ["2", "300"], None);
    // Its commission comes out of the other position.
    let amount = "0.5".parse().unwrap();
    let bnb = levibot_core::domain::Commission::Other { asset: "BNB".parse().unwrap(), amount };
    entry(&mut rig, "BTCUSDT", ["1", "100"], Some(bnb));
    let trip = &rig.trips.open()[&"BNBUSDT".parse().unwrap()];
    assert_eq!((trip.exited, trip.proceeds, trip.reason), (amount, Decimal::from(150), Some("commission")));
    assert_eq!(trip.orders.len(), 1, "the order is another symbol's");
    // Somebody else buys and sells what the account does not trade.
    for (side, price) in [(Side::Buy, "10"), (Side::Sell, "12")] {
        let fill = trade(&rig, "lb-9".parse().unwrap(), "SOLUSDT", side, ["3", price], None);
        rig.take(Record::Foreign { fill, name: "web".into() });
    }
    let (asset, value, ts) = ("BTC".parse().unwrap(), "-60".parse().unwrap(), rig.now());
    let transfer =
        levibot_core::domain::Transfer { id: "t-1".into(), asset, amount: "-0.5".parse().unwrap(), value, ts };
    rig.take(Record::Transfer { transfer });
    let (mut gross, mut fees) = (Decimal::ZERO, Decimal::ZERO);
    for trip in rig.closed().into_iter().chain(rig.trips.open().values()) {
        gross += trip.gross;
        fees += trip.fees;
    }
    assert_eq!((gross, fees), (Decimal::ZERO, Decimal::from(150)));
    for step in &rig.steps {
        if let Step::Apart { gross: more, fees: paid, .. } = step {
            gross += more;
            fees += paid;
        }
    }
    let state = rig.trips.state().unwrap();
    assert_eq!((gross, fees), (state.realised().get(), state.fees().get()));
    // Six of the coins that others have traded, ten of what was taken out.
    assert_eq!(gross, Decimal::from(16));
}

#[test]
fn funding_belongs_to_the_position_that_was_open_for_it() {
    let mut rig = Rig::new();
    let pay = |rig: &mut Rig, hours: i64, amount: &str| {
        let (symbol, ts) = ("BTCUSDT".parse().unwrap(), Ts::from_secs(3_600 * hours));
        let (mark, amount) = ("100".parse().unwrap(), amount.parse().unwrap());
        rig.take(Record::Funding { funding: levibot_core::domain::Funding { symbol, ts, rate: 0.001, mark, amount } });
    };
    rig.fill(decision(1), Side::Buy, "0.002", "100");
    pay(&mut rig, 8, "-0.01");
    // Turned over: what comes from then on is the short's.
    rig.fill(decision(2), Side::Sell, "0.005", "110");
    pay(&mut rig, 16, "0.03");
    let long = rig.closed()[0].clone();
    assert_eq!(long.funding.to_string(), "0.01");
    assert_eq!(long.net(), long.gross - long.fees - long.funding);
    assert_eq!((long.parts, rig.trips.open().len()), (2, 1), "a payment is no execution");
    let open = rig.trips.open().values().next().unwrap();
    assert_eq!(open.funding.to_string(), "-0.03");
    assert_eq!(long.funding + open.funding, rig.trips.state().unwrap().funding().get());
}

proptest! {
    #[test]
    fn trips_add_up_to_the_ledger(fills in prop::collection::vec((any::<bool>(), 1..9_u32, 1..2_000_u32), 1..40)) {
        let mut rig = Rig::new();
        for (buy, qty, price) in fills {
            let side = if buy { Side::Buy } else { Side::Sell };
            let (qty, price) = (format!("0.00{qty}"), format!("{}.{:02}", price, price % 97));
            rig.fill(decision(1), side, &qty, &price);
        }
        let state = rig.trips.state().unwrap();
        let (mut gross, mut fees, mut net) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for trip in rig.closed().into_iter().chain(rig.trips.open().values()) {
            gross += trip.gross;
            fees += trip.fees;
            let left = trip.entered - trip.exited;
            prop_assert!(trip.closed.is_none() || left.is_zero(), "{:?}", trip);
            net += if trip.direction == Direction::Long { left } else { -left };
        }
        prop_assert_eq!(gross, state.realised().get());
        prop_assert_eq!(fees, state.fees().get());
        prop_assert_eq!(net, state.books()[0].net());
        prop_assert!(rig.steps.iter().all(|step| matches!(step, Step::Closed(_))));
    }
}
