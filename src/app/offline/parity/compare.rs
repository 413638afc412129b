//! Compares what a daemon put on record with what the backtest did: decisions by symbol and bar, orders by their ids, fills
//! by order and number, ends by order, the last bracket of each symbol, fundings by symbol and instant, halts as they came.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::domain::{Cause as OrderCause, Fill, HaltLevel, Order, OrderId, Reason, Symbol, Ts};
use levibot_core::record::Record;

use super::super::words::Iso;
use super::deeds::{Deeds, Pair, pairs};
use super::differ::{self, Decided, Found};
use super::difference::{Cause, Counts, Difference};
use super::follow::{Held, Link, Rests, number};

/// What is compared.
pub(super) struct Terms<'a> {
    pub(super) daemon: &'a [(Ts, Record)],
    pub(super) backtest: &'a [(Ts, Record)],
    /// The last prices, which value what is held: quote currency.
    pub(super) marks: &'a BTreeMap<Symbol, f64>,
    /// When both sides were made alike, and what was held then: first of all in the beginning.
    pub(super) held: &'a [(Ts, Held)],
}

/// See the module.
pub(super) fn compare(terms: &Terms<'_>) -> (Vec<Difference>, Counts) {
    let mut comparison = Comparison::new(terms);
    comparison.decisions();
    comparison.orders();
    comparison.fills();
    comparison.ends();
    comparison.brackets();
    comparison.fundings();
    comparison.halts();
    let rests = Rests::new(terms.daemon, terms.backtest, terms.held);
    (number(comparison.rows, &rests), comparison.counts)
}

struct Comparison<'a> {
    daemon: Deeds<'a>,
    backtest: Deeds<'a>,
    marks: &'a BTreeMap<Symbol, f64>,
    /// Orders of the backtest by those of the daemon that they stand for.
    pairs: Vec<Pair<OrderId>>,
    rows: Vec<(Difference, Link)>,
    /// Which row tells of a decision, of an order of either side, and of the last fill that differs of it.
    of_decision: BTreeMap<(Symbol, Ts), usize>,
    of_order: BTreeMap<OrderId, usize>,
    of_fill: BTreeMap<OrderId, usize>,
    counts: Counts,
}

/// A row before it has its number and its effect.
struct Row {
    ts: Ts,
    symbol: Option<Symbol>,
    what: &'static str,
    order: Option<OrderId>,
    found: Found,
    daemon: String,
    backtest: String,
}

fn say<T>(side: Option<T>, words: impl FnOnce(T) -> String) -> String {
    side.map_or_else(|| "nothing".to_owned(), words)
}

/// What only one side has done.
fn alone<T>(daemon: Option<T>, extra: &str, missing: &str, link: Link) -> Found {
    match daemon {
        Some(_) => (Cause::Extra, extra.to_owned(), link),
        None => (Cause::Missing, missing.to_owned(), link),
    }
}

impl<'a> Comparison<'a> {
    fn new(terms: &Terms<'a>) -> Self {
        let (daemon, backtest) = (Deeds::of(terms.daemon), Deeds::of(terms.backtest));
        let pairs = pairs(&daemon, &backtest);
        Self {
            daemon,
            backtest,
            marks: terms.marks,
            pairs,
            rows: Vec::new(),
            of_decision: BTreeMap::new(),
            of_order: BTreeMap::new(),
            of_fill: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    fn row(&mut self, row: Row) -> usize {
        let Row { ts, symbol, what, order, found: (cause, why, link), daemon, backtest } = row;
        let order = order.map(|id| id.to_string());
        let (ts, follows, number, effect) = (Iso(ts), None, 0, 0.0);
        let row = Difference { number, ts, symbol, what, order, cause, follows, daemon, backtest, why, effect };
        self.rows.push((row, link));
        self.rows.len() - 1
    }

    fn decisions(&mut self) {
        let keys: BTreeSet<_> = self.daemon.decisions.keys().chain(self.backtest.decisions.keys()).copied().collect();
        for key in keys {
            let (then, now) = (self.daemon.decisions.get(&key).copied(), self.backtest.decisions.get(&key).copied());
            self.counts.decisions.see(then.is_some(), now.is_some());
            let found = match (then, now) {
                (Some(then), Some(now)) => differ::decided(then, now),
                _ => Some(alone(
                    then,
                    "the backtest's engine wanted nothing at this bar",
                    "the daemon's engine wanted nothing at this bar, or was away",
                    Link::Position,
                )),
            };
            let Some(found) = found else {
                self.counts.decisions.equal += 1;
                continue;
            };
            let told = |(_, decision, verdict): Decided<'_>| differ::told(decision, verdict);
            let ts = then.or(now).map_or(key.1, |side| side.0);
            let (symbol, daemon, backtest) = (Some(key.0), say(then, told), say(now, told));
            let at = self.row(Row { ts, symbol, what: "decision", order: None, found, daemon, backtest });
            self.of_decision.insert(key, at);
        }
    }

    /// What a differing order may follow from.
    fn cause_of(&self, order: &Order) -> Link {
        match order.cause {
            OrderCause::Bracket { entry, .. } => {
                let row = self.of_order.get(&entry).or_else(|| self.of_fill.get(&entry));
                row.map_or(Link::Position, |at| Link::Row(*at))
            }
            OrderCause::Decision { .. } | OrderCause::Command { .. } | OrderCause::Rebalance { .. } => Link::House,
        }
    }

    fn orders(&mut self) {
        for (then_id, now_id) in self.pairs.clone() {
            let then = then_id.and_then(|id| self.daemon.orders.get(&id).copied());
            let now = now_id.and_then(|id| self.backtest.orders.get(&id).copied());
            let Some(one) = then.or(now) else { continue };
            self.counts.orders.see(then.is_some(), now.is_some());
            let link = self.cause_of(one);
            let found = match (then, now) {
                (Some(then), Some(now)) => differ::ordered(then, now).map(|(cause, why)| (cause, why, link)),
                _ => Some(alone(then, "the backtest sent no such order", "the daemon sent no such order", link)),
            };
            let Some(found) = found else {
                self.counts.orders.equal += 1;
                continue;
            };
            // A decision that differs says it all.
            let decided = match one.cause {
                OrderCause::Decision { bar } => self.of_decision.get(&(one.symbol, bar)).copied(),
                _ => None,
            };
            let at = decided.unwrap_or_else(|| {
                let (symbol, order) = (Some(one.symbol), then_id.or(now_id));
                let [daemon, backtest] = [then, now].map(|side| say(side, differ::described));
                self.row(Row { ts: one.created, symbol, what: "order", order, found, daemon, backtest })
            });
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
                let fills = (daemon.get(number).copied(), backtest.get(number).copied());
                if let Some(at) = then.or(now).and_then(|order| self.fill(fills, order)) {
                    for order in [then, now].into_iter().flatten() {
                        self.of_fill.insert(order, at);
                    }
                }
            }
        }
    }

    /// Compares a fill, and gives its row where it differs in more than its fee.
    fn fill(&mut self, (then, now): Pair<(Ts, &Fill)>, order: OrderId) -> Option<usize> {
        self.counts.fills.see(then.is_some(), now.is_some());
        let (ts, one) = then.or(now)?;
        let mark = self.marks.get(&one.symbol).copied().unwrap_or_else(|| one.price.to_f64());
        let [then_worth, now_worth] =
            [then, now].map(|side| side.map_or((0.0, 0.0), |(_, fill)| differ::worth(fill, mark)));
        let fee = then.zip(now).and_then(|((_, then), (_, now))| differ::fees(then, now));
        let moved = match (then, now) {
            (Some(then), Some(now)) => differ::filled(then, now),
            _ => Some(alone(then, "the backtest has no such fill", "the daemon has no such fill", Link::Position)),
        };
        if moved.is_none() && fee.is_none() {
            self.counts.fills.equal += 1;
            return None;
        }
        let [daemon, backtest] = [then, now].map(|side| say(side, |(_, fill)| differ::executed(fill)));
        let row = |found| {
            let (symbol, daemon, backtest) = (Some(one.symbol), daemon.clone(), backtest.clone());
            Row { ts, symbol, what: "fill", order: Some(order), found, daemon, backtest }
        };
        let mut effect = (then_worth.0 - now_worth.0) - (then_worth.1 - now_worth.1);
        if let Some((extra, why)) = fee {
            effect += extra;
            let at = self.row(row((Cause::Fee, why, Link::Root)));
            self.add(at, -extra);
        }
        let (cause, why, link) = moved?;
        // The parts of an order hang together.
        let link = self.of_fill.get(&order).map_or(link, |at| Link::Row(*at));
        let known = self.of_order.get(&order).copied();
        let at = known.unwrap_or_else(|| self.row(row((cause, why, link))));
        self.add(at, effect);
        Some(at)
    }

    fn add(&mut self, at: usize, effect: f64) {
        if let Some((row, _)) = self.rows.get_mut(at) {
            row.effect += effect;
        }
    }

    fn ends(&mut self) {
        for (then_id, now_id) in self.pairs.clone() {
            let then = then_id.and_then(|id| self.daemon.ends.get(&id).copied());
            let now = now_id.and_then(|id| self.backtest.ends.get(&id).copied());
            let (Some((ts, _)), Some(order)) = (then.or(now), then_id.or(now_id)) else { continue };
            self.counts.ends.see(then.is_some(), now.is_some());
            let link = self.of_fill.get(&order).map_or(Link::Position, |at| Link::Row(*at));
            let found = match (then, now) {
                (Some((_, then)), Some((_, now))) if then == now => {
                    self.counts.ends.equal += 1;
                    continue;
                }
                (Some(_), Some(_)) => (Cause::Fill, "the order ended otherwise".to_owned(), link),
                _ => alone(then, "the backtest's order is not over", "the daemon's order is not over", link),
            };
            // An order that differs says it all.
            if self.of_order.contains_key(&order) {
                continue;
            }
            let [daemon, backtest] = [then, now].map(|side| say(side, |(_, reason)| differ::ended(reason).to_owned()));
            let sent = self.daemon.orders.get(&order).or_else(|| self.backtest.orders.get(&order));
            let symbol = sent.map(|sent| sent.symbol);
            self.row(Row { ts, symbol, what: "end", order: Some(order), found, daemon, backtest });
        }
    }

    fn brackets(&mut self) {
        let symbols: BTreeSet<Symbol> =
            self.daemon.brackets.keys().chain(self.backtest.brackets.keys()).copied().collect();
        for symbol in symbols {
            let (then, now) =
                (self.daemon.brackets.get(&symbol).copied(), self.backtest.brackets.get(&symbol).copied());
            let Some((ts, one)) = then.or(now) else { continue };
            self.counts.brackets.see(then.is_some(), now.is_some());
            let row = self.of_order.get(&one.entry).or_else(|| self.of_fill.get(&one.entry));
            let link = row.map_or(Link::Position, |at| Link::Row(*at));
            let found = match (then, now) {
                (Some((_, then)), Some((_, now))) => differ::guarded(then, now).map(|why| (Cause::Signal, why, link)),
                _ => Some(alone(then, "the backtest set no bracket", "the daemon set no bracket", link)),
            };
            let Some(found) = found else {
                self.counts.brackets.equal += 1;
                continue;
            };
            let [daemon, backtest] = [then, now].map(|side| say(side, |(_, bracket)| differ::protected(bracket)));
            let (order, symbol) = (Some(one.entry), Some(symbol));
            self.row(Row { ts, symbol, what: "bracket", order, found, daemon, backtest });
        }
    }

    fn fundings(&mut self) {
        let keys: BTreeSet<_> = self.daemon.fundings.keys().chain(self.backtest.fundings.keys()).copied().collect();
        for key in keys {
            let (then, now) = (self.daemon.fundings.get(&key).copied(), self.backtest.fundings.get(&key).copied());
            let Some((ts, _)) = then.or(now) else { continue };
            self.counts.fundings.see(then.is_some(), now.is_some());
            let found = match (then, now) {
                (Some((_, then)), Some((_, now))) => differ::paid(then, now),
                (Some(_), None) => {
                    Some((Cause::Funding, "the backtest paid none at this instant".to_owned(), Link::Position))
                }
                _ => Some((Cause::Funding, "the daemon paid none at this instant".to_owned(), Link::Position)),
            };
            let Some(found) = found else {
                self.counts.fundings.equal += 1;
                continue;
            };
            let amount = |side: Option<(Ts, &levibot_core::domain::Funding)>| {
                side.map_or(0.0, |(_, funding)| funding.amount.to_f64())
            };
            let effect = amount(then) - amount(now);
            let [daemon, backtest] = [then, now].map(|side| say(side, |(_, funding)| differ::funded(funding)));
            let symbol = Some(key.0);
            let at = self.row(Row { ts, symbol, what: "funding", order: None, found, daemon, backtest });
            self.add(at, effect);
        }
    }

    /// Halts go by level and by who asked, in the order in which they came.
    fn halts(&mut self) {
        type Halt<'a> = (Ts, HaltLevel, &'a Reason);
        let mut free = self.backtest.halts.clone();
        let mut pairs: Vec<Pair<Halt<'a>>> = Vec::new();
        for then in &self.daemon.halts {
            let place = free.iter().position(|now| (now.1, &now.2.by) == (then.1, &then.2.by));
            pairs.push((Some(*then), place.map(|place| free.remove(place))));
        }
        pairs.extend(free.into_iter().map(|now| (None, Some(now))));
        for (then, now) in pairs {
            let Some((ts, ..)) = then.or(now) else { continue };
            self.counts.halts.see(then.is_some(), now.is_some());
            let found = match (then, now) {
                (Some(then), Some(now)) if then.0 == now.0 => {
                    self.counts.halts.equal += 1;
                    continue;
                }
                (Some(then), Some(now)) => (Cause::Latency, differ::late("done", then.0 - now.0), Link::House),
                _ => alone(then, "the backtest did not", "the daemon did not", Link::House),
            };
            let [daemon, backtest] = [then, now].map(|side| {
                say(side, |(_, level, reason)| match level {
                    HaltLevel::None => format!("resumed by {}", reason.by),
                    level => format!("{level} by {}: {}", reason.by, reason.text),
                })
            });
            self.row(Row { ts, symbol: None, what: "halt", order: None, found, daemon, backtest });
        }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
