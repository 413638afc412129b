//! Compares what a daemon put on record with what the backtest did: decisions by symbol and bar, orders by their ids, fills
//! by order and number.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::domain::{Cause as OrderCause, Decision, Fill, Leg, Order, OrderId, Side, Span, Symbol, Ts};
use levibot_core::record::{Record, Sizing, Verdict};
use serde::Serialize;

use super::super::words::{self, Iso};

/// Why something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Something else was decided, or with other features, forecast or strategy.
    Signal,
    /// The same was decided, and its quantity or the account's answer differs.
    Size,
    /// The same was done at another time.
    Latency,
    /// Another fee was paid.
    Fee,
    /// Another price or quantity was filled.
    Fill,
    /// The backtest did it, the daemon did not.
    Missing,
    /// The daemon did it, the backtest did not.
    Extra,
}

impl Cause {
    /// A short stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Size => "size",
            Self::Latency => "latency",
            Self::Fee => "fee",
            Self::Fill => "fill",
            Self::Missing => "missing",
            Self::Extra => "extra",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// When the daemon did it; where it did not, when the backtest did.
    pub ts: Iso,
    /// Of what.
    pub symbol: Symbol,
    /// `decision`, `order` or `fill`.
    pub what: &'static str,
    /// The order, where it is about one.
    pub order: Option<String>,
    /// Why.
    pub cause: Cause,
    /// Whether it follows from an earlier difference.
    pub follows: bool,
    /// What the daemon did.
    pub daemon: String,
    /// What the backtest did.
    pub backtest: String,
    /// What made the difference.
    pub why: String,
    /// By how much it makes the daemon's equity larger at the end of the day, account currency. What follows from a decision
    /// or an order is reckoned there.
    pub effect: f64,
}

/// How many there are on each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Of the daemon.
    pub daemon: u64,
    /// Of the backtest.
    pub backtest: u64,
    /// Those that are the same.
    pub equal: u64,
}

/// How many things were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Decisions that wanted something.
    pub decisions: Count,
    /// Orders.
    pub orders: Count,
    /// Fills.
    pub fills: Count,
}

/// See the module. The last prices value what is held: quote currency, by symbol.
pub(super) fn compare(
    daemon: &[(Ts, Record)],
    backtest: &[(Ts, Record)],
    marks: &BTreeMap<Symbol, f64>,
) -> (Vec<Difference>, Counts) {
    let mut comparison = Comparison::new(Deeds::of(daemon), Deeds::of(backtest), marks);
    comparison.decisions();
    comparison.orders();
    comparison.fills();
    comparison.finish()
}

/// What one side did.
#[derive(Debug, Default)]
struct Deeds<'a> {
    decisions: BTreeMap<(Symbol, Ts), (Ts, &'a Decision, &'a Verdict)>,
    orders: BTreeMap<OrderId, &'a Order>,
    /// In the order in which they were sent.
    sent: Vec<OrderId>,
    fills: BTreeMap<OrderId, Vec<(Ts, &'a Fill)>>,
}

impl<'a> Deeds<'a> {
    fn of(records: &'a [(Ts, Record)]) -> Self {
        let mut deeds = Self::default();
        for (ts, record) in records {
            match record {
                Record::Decision { symbol, decision, verdict } => {
                    deeds.decisions.insert((*symbol, decision.bar), (*ts, decision, verdict));
                }
                Record::Intent { order, .. } if deeds.orders.insert(order.id, order).is_none() => {
                    deeds.sent.push(order.id);
                }
                Record::Fill { fill } => deeds.fills.entry(fill.order).or_default().push((*ts, fill)),
                _ => {}
            }
        }
        deeds
    }
}

/// Of a pair only one side is there at times.
type Pair<T> = (Option<T>, Option<T>);

struct Comparison<'a> {
    daemon: Deeds<'a>,
    backtest: Deeds<'a>,
    marks: &'a BTreeMap<Symbol, f64>,
    /// Orders of the backtest by those of the daemon that they stand for.
    pairs: Vec<Pair<OrderId>>,
    rows: Vec<(Ts, Difference)>,
    /// Which row tells of a decision, and of an order of either side.
    of_decision: BTreeMap<(Symbol, Ts), usize>,
    of_order: BTreeMap<OrderId, usize>,
    counts: Counts,
}

impl<'a> Comparison<'a> {
    fn new(daemon: Deeds<'a>, backtest: Deeds<'a>, marks: &'a BTreeMap<Symbol, f64>) -> Self {
        let pairs = pairs(&daemon, &backtest);
        Self {
            daemon,
            backtest,
            marks,
            pairs,
            rows: Vec::new(),
            of_decision: BTreeMap::new(),
            of_order: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    fn row(&mut self, ts: Ts, row: Row) -> usize {
        let Row { symbol, what, order, cause, daemon, backtest, why } = row;
        let order = order.map(|id| id.to_string());
        let (ts, follows, effect) = (Iso(ts), false, 0.0);
        let row = Difference { ts, symbol, what, order, cause, follows, daemon, backtest, why, effect };
        self.rows.push((ts.0, row));
        self.rows.len() - 1
    }

    fn decisions(&mut self) {
        let keys: BTreeSet<_> = self.daemon.decisions.keys().chain(self.backtest.decisions.keys()).copied().collect();
        for key in keys {
            let (then, now) = (self.daemon.decisions.get(&key).copied(), self.backtest.decisions.get(&key).copied());
            count(&mut self.counts.decisions, then.is_some(), now.is_some());
            let found = match (then, now) {
                (Some(then), Some(now)) => decided(then, now),
                (Some(_), None) => Some((Cause::Extra, "the backtest's engine wanted nothing at this bar".to_owned())),
                _ => Some((Cause::Missing, "the daemon's engine wanted nothing at this bar, or was away".to_owned())),
            };
            let Some((cause, why)) = found else {
                self.counts.decisions.equal += 1;
                continue;
            };
            let say = |side: Option<(Ts, &Decision, &Verdict)>| {
                side.map_or_else(|| "nothing".to_owned(), |(_, decision, verdict)| told(decision, verdict))
            };
            let ts = then.or(now).map_or(key.1, |side| side.0);
            let (symbol, what, order) = (key.0, "decision", None);
            let row = Row { symbol, what, order, cause, daemon: say(then), backtest: say(now), why };
            let at = self.row(ts, row);
            self.of_decision.insert(key, at);
        }
    }

    /// The row of the decision behind an order, if its sides differ.
    fn cause_of(&self, order: &Order) -> Option<usize> {
        match order.cause {
            OrderCause::Decision { bar } => self.of_decision.get(&(order.symbol, bar)).copied(),
            OrderCause::Bracket { entry, .. } => self.of_order.get(&entry).copied(),
            OrderCause::Command { .. } | OrderCause::Rebalance { .. } => None,
        }
    }

    fn orders(&mut self) {
        for (then, now) in self.pairs.clone() {
            let then_id = then.or(now);
            let then = then.and_then(|id| self.daemon.orders.get(&id).copied());
            let now = now.and_then(|id| self.backtest.orders.get(&id).copied());
            let Some(one) = then.or(now) else { continue };
            count(&mut self.counts.orders, then.is_some(), now.is_some());
            let found = match (then, now) {
                (Some(then), Some(now)) => ordered(then, now),
                (Some(_), None) => Some((Cause::Extra, "the backtest sent no such order".to_owned())),
                _ => Some((Cause::Missing, "the daemon sent no such order".to_owned())),
            };
            let Some((cause, why)) = found else {
                self.counts.orders.equal += 1;
                continue;
            };
            // A decision that differs says it all.
            let at = match self.cause_of(one) {
                Some(at) if matches!(one.cause, OrderCause::Decision { .. }) => at,
                _ => {
                    let say = |order: Option<&Order>| order.map_or_else(|| "nothing".to_owned(), described);
                    let (symbol, what, order) = (one.symbol, "order", then_id);
                    let row = Row { symbol, what, order, cause, daemon: say(then), backtest: say(now), why };
                    self.row(one.created, row)
                }
            };
            for order in [then, now].into_iter().flatten() {
                self.of_order.insert(order.id, at);
            }
        }
    }

    fn fills(&mut self) {
        for (then, now) in self.pairs.clone() {
            let of = |deeds: &Deeds<'a>, id: Option<OrderId>| -> Vec<(Ts, &'a Fill)> {
                id.and_then(|id| deeds.fills.get(&id)).cloned().unwrap_or_default()
            };
            let (daemon, backtest) = (of(&self.daemon, then), of(&self.backtest, now));
            for number in 0..daemon.len().max(backtest.len()) {
                self.fill((daemon.get(number).copied(), backtest.get(number).copied()), then.or(now));
            }
        }
    }

    fn fill(&mut self, (then, now): Pair<(Ts, &Fill)>, order: Option<OrderId>) {
        count(&mut self.counts.fills, then.is_some(), now.is_some());
        let Some((ts, one)) = then.or(now) else { return };
        let mark = self.marks.get(&one.symbol).copied().unwrap_or_else(|| one.price.to_f64());
        let [then_worth, now_worth] = [then, now].map(|side| side.map_or((0.0, 0.0), |(_, fill)| worth(fill, mark)));
        let fee = then.zip(now).and_then(|((_, then), (_, now))| fees(then, now));
        let moved = match (then, now) {
            (Some(then), Some(now)) => filled(then, now),
            (Some(_), None) => Some((Cause::Extra, "the backtest has no such fill".to_owned())),
            _ => Some((Cause::Missing, "the daemon has no such fill".to_owned())),
        };
        if moved.is_none() && fee.is_none() {
            self.counts.fills.equal += 1;
            return;
        }
        let say = |side: Option<(Ts, &Fill)>| side.map_or_else(|| "nothing".to_owned(), |(_, fill)| executed(fill));
        let (daemon, backtest) = (say(then), say(now));
        let (symbol, what) = (one.symbol, "fill");
        let mut effect = (then_worth.0 - now_worth.0) - (then_worth.1 - now_worth.1);
        if let Some((extra, why)) = fee {
            effect += extra;
            let row =
                Row { symbol, what, order, cause: Cause::Fee, daemon: daemon.clone(), backtest: backtest.clone(), why };
            let at = self.row(ts, row);
            self.add(at, -extra);
        }
        if let Some((cause, why)) = moved {
            let known = order.and_then(|id| self.of_order.get(&id).copied());
            let at = known.unwrap_or_else(|| self.row(ts, Row { symbol, what, order, cause, daemon, backtest, why }));
            self.add(at, effect);
        }
    }

    fn add(&mut self, at: usize, effect: f64) {
        if let Some((_, row)) = self.rows.get_mut(at) {
            row.effect += effect;
        }
    }

    /// In order of time; what comes after another difference of its symbol follows from it, but for fees.
    fn finish(mut self) -> (Vec<Difference>, Counts) {
        self.rows.sort_by_key(|(ts, row)| (*ts, row.symbol));
        let mut touched = BTreeSet::new();
        for (_, row) in &mut self.rows {
            let others = matches!(row.cause, Cause::Size) && !touched.is_empty();
            row.follows = row.cause != Cause::Fee && (others || touched.contains(&row.symbol));
            touched.insert(row.symbol);
        }
        (self.rows.into_iter().map(|(_, row)| row).collect(), self.counts)
    }
}

/// A row before it has its effect.
struct Row {
    symbol: Symbol,
    what: &'static str,
    order: Option<OrderId>,
    cause: Cause,
    daemon: String,
    backtest: String,
    why: String,
}

/// Which order stands for which: by id. Those of a command are named after its number on record, which differs: they go by
/// symbol and leg, in the order in which they were sent.
fn pairs(daemon: &Deeds<'_>, backtest: &Deeds<'_>) -> Vec<Pair<OrderId>> {
    let is_known = |deeds: &Deeds<'_>, id: &OrderId| deeds.orders.contains_key(id) || deeds.fills.contains_key(id);
    let kind = |order: &Order| match order.cause {
        OrderCause::Command { .. } => Some((order.symbol, order.leg == Leg::Entry)),
        _ => None,
    };
    let mut pairs: Vec<Pair<OrderId>> = Vec::new();
    let mut free: Vec<OrderId> =
        backtest.sent.iter().chain(backtest.fills.keys()).filter(|id| !is_known(daemon, id)).copied().collect();
    free.dedup();
    let mut seen = BTreeSet::new();
    free.retain(|id| seen.insert(*id));
    let mut all: BTreeSet<OrderId> = BTreeSet::new();
    for id in daemon.sent.iter().chain(daemon.fills.keys()).filter(|id| all.insert(**id)) {
        if is_known(backtest, id) {
            pairs.push((Some(*id), Some(*id)));
            continue;
        }
        let wanted = daemon.orders.get(id).and_then(|order| kind(order));
        let place = wanted.and_then(|wanted| {
            free.iter().position(|id| backtest.orders.get(id).and_then(|order| kind(order)) == Some(wanted))
        });
        pairs.push((Some(*id), place.map(|place| free.remove(place))));
    }
    pairs.extend(free.into_iter().map(|id| (None, Some(id))));
    pairs
}

const fn count(count: &mut Count, daemon: bool, backtest: bool) {
    count.daemon += daemon as u64;
    count.backtest += backtest as u64;
}

fn decided(then: (Ts, &Decision, &Verdict), now: (Ts, &Decision, &Verdict)) -> Option<(Cause, String)> {
    let ((then_ts, a, then_said), (now_ts, b, now_said)) = (then, now);
    let signal = |why: &str| Some((Cause::Signal, why.to_owned()));
    if a.policy != b.policy {
        return signal("another strategy decided");
    }
    if a.forecast != b.forecast {
        return signal("the model said something else");
    }
    if a.features != b.features {
        return signal("the engines saw other features");
    }
    if a.intent != b.intent {
        return signal("something else was wanted with the same features: the position was another one");
    }
    let answer = answered(then_said, now_said);
    if then_ts == now_ts {
        return answer.map(|why| (Cause::Size, why));
    }
    let when = late("taken", then_ts - now_ts);
    Some((Cause::Latency, answer.map_or(when.clone(), |why| format!("{when}: {why}"))))
}

/// What differs in what the account said, as far as anything comes of it.
fn answered(then: &Verdict, now: &Verdict) -> Option<String> {
    match (then, now) {
        (Verdict::Unchanged, Verdict::Unchanged) => None,
        (Verdict::Refused { check: a, .. }, Verdict::Refused { check: b, .. }) if a == b => None,
        (Verdict::Approved { sizing: a, .. }, Verdict::Approved { sizing: b, .. }) => match (a, b) {
            (Some(a), Some(b)) => sized(a, b),
            _ => None,
        },
        (Verdict::Refused { reason, .. }, Verdict::Refused { reason: other, .. }) => {
            Some(format!("another check said no: {reason}; in the backtest {other}"))
        }
        (Verdict::Refused { reason, .. }, _) => Some(format!("the daemon's account refused: {reason}")),
        (_, Verdict::Refused { reason, .. }) => Some(format!("the backtest's account refused: {reason}")),
        _ => Some("one account found it to be so already".to_owned()),
    }
}

/// Whether two amounts are the same but for rounding.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn sized(a: &Sizing, b: &Sizing) -> Option<String> {
    if same(a.notional, b.notional) && a.bound_by == b.bound_by {
        return None;
    }
    let terms = a.terms.iter().zip(&b.terms).find(|(a, b)| a.name != b.name || !same(a.notional, b.notional));
    let term = terms.map_or_else(String::new, |(a, b)| {
        format!("; `{}` allowed {} and {}", a.name, words::number(a.notional), words::number(b.notional))
    });
    let equity = if same(a.equity, b.equity) {
        String::new()
    } else {
        format!("; equity was {} and {}", words::number(a.equity), words::number(b.equity))
    };
    let (a_notional, b_notional) = (words::number(a.notional), words::number(b.notional));
    let bound = format!("bound by `{}` and `{}`", a.bound_by, b.bound_by);
    Some(format!("sized to {a_notional} and {b_notional}, {bound}{term}{equity}"))
}

fn ordered(then: &Order, now: &Order) -> Option<(Cause, String)> {
    if then.side != now.side || then.leg != now.leg {
        return Some((Cause::Signal, "it goes the other way".to_owned()));
    }
    if then.created != now.created {
        return Some((Cause::Latency, late("sent", then.created - now.created)));
    }
    if then.qty != now.qty {
        return Some((Cause::Size, "the quantity differs".to_owned()));
    }
    (then.trigger != now.trigger).then(|| (Cause::Fill, "it was triggered at another price".to_owned()))
}

fn filled((then_ts, then): (Ts, &Fill), (now_ts, now): (Ts, &Fill)) -> Option<(Cause, String)> {
    if then.ts != now.ts {
        return Some((Cause::Latency, late("filled", then.ts - now.ts)));
    }
    if then.qty != now.qty || then.side != now.side {
        return Some((Cause::Fill, "another quantity was filled".to_owned()));
    }
    if then.price != now.price {
        return Some((Cause::Fill, "another price was paid".to_owned()));
    }
    (then_ts != now_ts).then(|| (Cause::Latency, late("heard of", then_ts - now_ts)))
}

/// What was paid beyond the fee that the same fill has in the backtest, where the rates differ by more than rounding.
fn fees(then: &Fill, now: &Fill) -> Option<(f64, String)> {
    let (a, b) = (then.price.to_f64() * then.qty.to_f64(), now.price.to_f64() * now.qty.to_f64());
    if !(a > 0.0 && b > 0.0) {
        return None;
    }
    let (rate, other) = (then.fee.to_f64() / a, now.fee.to_f64() / b);
    let extra = (rate - other) * a;
    let is_rounding = extra.abs() <= 1e-7_f64.max(1e-6 * then.fee.to_f64().abs());
    let percent = |rate: f64| words::number((rate * 1e8).round() / 1e6);
    (!is_rounding).then(|| (extra, format!("the fee was {} % and {} %", percent(rate), percent(other))))
}

/// What a fill is worth at the end before its fee, and the fee. Quote currency.
fn worth(fill: &Fill, mark: f64) -> (f64, f64) {
    let sign = if fill.side == Side::Buy { 1.0 } else { -1.0 };
    (sign * fill.qty.to_f64() * (mark - fill.price.to_f64()), fill.fee.to_f64())
}

fn late(what: &str, by: Span) -> String {
    let seconds = words::number(by.secs_f64().abs());
    if by > Span::from_nanos(0) { format!("{what} {seconds} s later") } else { format!("{what} {seconds} s earlier") }
}

fn described(order: &Order) -> String {
    let Order { side, leg, qty, .. } = order;
    format!("{} {} {}", words::leg(*leg), words::side(*side), words::rounded(qty.get(), 8))
}

fn executed(fill: &Fill) -> String {
    let [qty, price, fee] = [fill.qty.get(), fill.price.get(), fill.fee.get()].map(|value| words::rounded(value, 8));
    format!("{} {qty} at {price}, fee {fee}", words::side(fill.side))
}

fn told(decision: &Decision, verdict: &Verdict) -> String {
    use levibot_core::domain::Intent;
    let wanted = match &decision.intent {
        Some(Intent::Enter { direction, .. }) => format!("enter {}", words::direction(*direction)),
        Some(Intent::Exit) => "exit".to_owned(),
        Some(Intent::Tighten { stop }) => format!("stop to {}", words::number(*stop)),
        None => "nothing".to_owned(),
    };
    match verdict {
        Verdict::Approved { sizing: Some(sizing), .. } => {
            format!("{wanted}, approved for {}", words::number(sizing.notional))
        }
        Verdict::Approved { .. } => format!("{wanted}, approved"),
        Verdict::Refused { check, .. } => format!("{wanted}, refused by {check}"),
        Verdict::Unchanged => format!("{wanted}, already so"),
    }
}
