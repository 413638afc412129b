use levibot_core::domain::{
    BracketSpec, Decision, Direction, DoneReason, ExitReason, Funding, Intent, Ix, Leg, Side, Size, Span,
};
use levibot_core::record::{Bracket, MarkedPosition, Verdict};

use super::*;

const T0: Ts = Ts::from_secs(1_654_041_600);

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn at(minute: i64) -> Ts {
    T0 + Span::MINUTE.times(minute)
}

fn id(name: &str) -> OrderId {
    format!("lb-{name}").parse().unwrap()
}

/// What one side puts on record.
#[derive(Default)]
struct Told(Vec<(Ts, Record)>);

impl Told {
    fn note(&mut self, ts: Ts, record: Record) {
        self.0.push((ts, record));
        self.0.sort_by_key(|(ts, _)| *ts);
    }

    fn decide(&mut self, minute: i64, intent: Intent) {
        let bar = at(minute);
        let decision =
            Decision { instrument: Ix(0), bar, policy: 1, features: 2, forecast: None, intent: Some(intent) };
        let verdict = Verdict::Approved { sizing: None, checks: Vec::new() };
        self.note(bar, Record::Decision { symbol: symbol(), decision, verdict });
    }

    fn send(&mut self, minute: i64, name: &str, side: Side, cause: OrderCause) {
        let leg = if side == Side::Buy { Leg::Entry } else { Leg::Exit };
        let order = Order {
            id: id(name),
            symbol: symbol(),
            side,
            leg,
            qty: "1".parse().unwrap(),
            cause,
            attempt: 1,
            trigger: None,
            created: at(minute),
        };
        self.note(at(minute), Record::Intent { order, reserved: "0".parse().unwrap(), bracket: None });
    }

    fn fill(&mut self, ts: Ts, name: &str, side: Side, price: &str) {
        let fill = Fill {
            order: id(name),
            trade_id: 1,
            symbol: symbol(),
            side,
            price: price.parse().unwrap(),
            qty: "1".parse().unwrap(),
            fee: "0.05".parse().unwrap(),
            commission: None,
            ts,
        };
        self.note(ts, Record::Fill { fill });
        self.note(ts, Record::Done { order: id(name), reason: DoneReason::Filled, text: None });
    }

    /// In at `minute`, filled `late` seconds later, and out by a decision ten minutes after.
    fn trip(&mut self, minute: i64, late: i64) {
        self.enter(minute, late);
        let out = format!("out{minute}");
        self.decide(minute + 10, Intent::Exit);
        self.send(minute + 10, &out, Side::Sell, OrderCause::Decision { bar: at(minute + 10) });
        self.fill(at(minute + 10) + Span::SECOND, &out, Side::Sell, "101");
    }

    fn enter(&mut self, minute: i64, late: i64) {
        let name = format!("in{minute}");
        self.decide(minute, enter());
        self.send(minute, &name, Side::Buy, OrderCause::Decision { bar: at(minute) });
        self.fill(at(minute) + Span::SECOND.times(1 + late), &name, Side::Buy, "100");
    }
}

fn enter() -> Intent {
    Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 0.01,
        reference: 100.0,
        size: Size::default(),
        bracket: BracketSpec { stop: None, target: None, trailing: None, time_exit: None },
    }
}

fn reason(by: &str) -> Reason {
    Reason { by: by.to_owned(), text: "a test".to_owned() }
}

fn funding(amount: &str, rate: f64) -> Record {
    let (mark, amount) = ("100".parse().unwrap(), amount.parse().unwrap());
    Record::Funding { funding: Funding { symbol: symbol(), ts: at(480), rate, mark, amount } }
}

fn bracket(stop: f64) -> Record {
    let (stop, target, trailing) = (Some(stop), Some(120.0), None);
    let bracket = Bracket { entry: id("in1"), stop, target, trailing, trailed: false, best: 100.0, expires: None };
    Record::Bracket { symbol: symbol(), bracket }
}

fn compared(daemon: &Told, backtest: &Told) -> (Vec<Difference>, Counts) {
    let marks = BTreeMap::from([(symbol(), 110.0)]);
    let held = [(T0, Held::default())];
    compare(&Terms { daemon: &daemon.0, backtest: &backtest.0, marks: &marks, held: &held })
}

/// What, cause, and the number that it follows from.
fn told(rows: &[Difference]) -> Vec<(&'static str, Cause, Option<usize>)> {
    rows.iter().map(|row| (row.what, row.cause, row.follows)).collect()
}

/// The same day twice; each side may be changed.
fn days() -> [Told; 2] {
    let mut days = [Told::default(), Told::default()];
    days.iter_mut().for_each(|day| day.trip(1, 0));
    days
}

#[test]
fn the_same_day_differs_in_nothing() {
    let [daemon, backtest] = days();
    let (rows, counts) = compared(&daemon, &backtest);
    assert_eq!(rows, []);
    assert_eq!((counts.decisions.equal, counts.orders.equal, counts.fills.equal, counts.ends.equal), (2, 2, 2, 2));
}

#[test]
fn a_wrong_decision_after_a_late_fill_follows_only_while_something_is_held() {
    let [mut daemon, mut backtest] = [Told::default(), Told::default()];
    daemon.trip(1, 40);
    backtest.trip(1, 0);
    // Still in the position: its entry price may have been another one.
    daemon.decide(5, Intent::Tighten { stop: 99.0 });
    // Flat for an hour: whatever was late has nothing to do with it.
    daemon.decide(75, enter());
    let (rows, _) = compared(&daemon, &backtest);
    let wanted =
        [("fill", Cause::Latency, None), ("decision", Cause::Extra, Some(1)), ("decision", Cause::Extra, None)];
    assert_eq!(told(&rows), wanted);
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_difference_lives_as_long_as_one_side_holds_something() {
    let [mut daemon, mut backtest] = days();
    // Only the backtest goes in, and stays in.
    backtest.enter(20, 0);
    daemon.decide(300, Intent::Exit);
    let (rows, _) = compared(&daemon, &backtest);
    assert_eq!(told(&rows), [("decision", Cause::Missing, None), ("decision", Cause::Extra, Some(1))]);
    assert!((rows[0].effect + 9.95).abs() < 1e-9, "one at 100, worth 110, less the fee: {}", rows[0].effect);
}

#[test]
fn other_features_or_forecasts_follow_from_nothing() {
    let [mut daemon, mut backtest] = [Told::default(), Told::default()];
    daemon.enter(1, 40);
    backtest.enter(1, 0);
    [&mut daemon, &mut backtest].into_iter().for_each(|day| day.decide(5, Intent::Exit));
    for (_, record) in &mut daemon.0 {
        if let Record::Decision { decision: Decision { bar, features, .. }, .. } = record
            && *bar == at(5)
        {
            *features = 3;
        }
    }
    let (rows, _) = compared(&daemon, &backtest);
    assert_eq!(told(&rows), [("fill", Cause::Latency, None), ("decision", Cause::Signal, None)]);
}

#[test]
fn an_exit_of_a_bracket_follows_from_the_fill_of_its_entry() {
    let [mut daemon, mut backtest] = [Told::default(), Told::default()];
    daemon.enter(1, 40);
    backtest.enter(1, 0);
    let cause = OrderCause::Bracket { entry: id("in1"), rule: ExitReason::Stop };
    backtest.send(7, "stop", Side::Sell, cause);
    backtest.fill(at(8), "stop", Side::Sell, "95");
    let (rows, _) = compared(&daemon, &backtest);
    assert_eq!(told(&rows), [("fill", Cause::Latency, None), ("order", Cause::Missing, Some(1))]);
}

#[test]
fn fundings_are_compared_by_symbol_and_instant_and_have_a_cause_of_their_own() {
    let [mut daemon, mut backtest] = days();
    daemon.note(at(480), funding("-0.02", 0.0002));
    backtest.note(at(480), funding("-0.01", 0.0001));
    let (rows, counts) = compared(&daemon, &backtest);
    assert_eq!(told(&rows), [("funding", Cause::Funding, None)]);
    assert!((rows[0].effect + 0.01).abs() < 1e-12, "{}", rows[0].effect);
    assert_eq!((counts.fundings.daemon, counts.fundings.equal), (1, 0));
}

#[test]
fn ends_brackets_and_halts_are_compared() {
    let [mut daemon, mut backtest] = days();
    daemon.note(at(2), bracket(90.0));
    backtest.note(at(2), bracket(80.0));
    for day in [&mut daemon, &mut backtest] {
        day.send(30, "left", Side::Sell, OrderCause::Decision { bar: at(11) });
        day.note(at(40), Record::Halt { level: HaltLevel::EntryHalt, reason: reason("ann") });
    }
    daemon.note(at(31), Record::Done { order: id("left"), reason: DoneReason::Cancelled, text: None });
    backtest.note(at(31), Record::Done { order: id("left"), reason: DoneReason::Rejected, text: None });
    daemon.note(at(50), Record::Resume { reason: reason("ann"), start_equity: "10000".parse().unwrap() });
    let (rows, counts) = compared(&daemon, &backtest);
    let wanted = [("bracket", Cause::Signal, None), ("end", Cause::Fill, None), ("halt", Cause::Extra, None)];
    assert_eq!(told(&rows), wanted);
    assert_eq!((counts.halts.daemon, counts.halts.backtest, counts.halts.equal), (2, 1, 1));
    assert_eq!(rows[2].symbol, None);
}

#[test]
fn trades_of_others_are_held_too() {
    let [mut daemon, mut backtest] = [Told::default(), Told::default()];
    let held = || {
        let (net, cost, mark) = ("1".parse().unwrap(), "100".parse().unwrap(), "100".parse().unwrap());
        let positions = vec![MarkedPosition { symbol: symbol(), net, cost, mark }];
        let money = || "10000".parse().unwrap();
        Record::Mark { cash: money(), equity: money(), positions, stocks: Vec::new() }
    };
    [&mut daemon, &mut backtest].into_iter().for_each(|day| day.note(at(1), held()));
    daemon.decide(5, Intent::Tighten { stop: 99.0 });
    daemon.decide(90, Intent::Exit);
    let (rows, _) = compared(&daemon, &backtest);
    assert_eq!(told(&rows), [("decision", Cause::Extra, None), ("decision", Cause::Extra, Some(1))]);
}
