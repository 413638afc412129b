//! Which difference follows from which earlier one.
//!
//! A decision, an order and its fills hang together by name. Beyond that a difference lives on in what its symbol holds:
//! until both sides hold nothing and wait for no order there, what differs in that symbol may come of it, and nothing after.
//! Sizes and risk's halts look at the whole account: they may come of what any symbol holds, and of money that was
//! gained or lost otherwise.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::domain::{OrderId, Side, Symbol, Ts};
use levibot_core::record::Record;
use rust_decimal::Decimal;

use super::difference::{Cause, Difference};

/// What a difference may follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing.
    Root,
    /// The row at this place.
    Row(usize),
    /// What its symbol holds.
    Position,
    /// What any symbol holds, and money.
    House,
}

/// What is held, and which orders are under way, at an instant at which both sides are alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// Base units, negative when short.
    pub(super) net: BTreeMap<Symbol, Decimal>,
    pub(super) open: BTreeMap<OrderId, Symbol>,
}

impl Held {
    fn is_at_rest(&self, symbol: Symbol) -> bool {
        self.net.get(&symbol).is_none_or(Decimal::is_zero) && !self.open.values().any(|one| *one == symbol)
    }

    /// Takes what a record says; tells of which symbols.
    fn take(&mut self, record: &Record) -> Vec<Symbol> {
        match record {
            Record::Intent { order, .. } => {
                self.open.insert(order.id, order.symbol);
                vec![order.symbol]
            }
            Record::Done { order, .. } => self.open.remove(order).into_iter().collect(),
            Record::Fill { fill } => {
                let signed = if fill.side == Side::Buy { fill.qty.get() } else { -fill.qty.get() };
                *self.net.entry(fill.symbol).or_default() += signed;
                vec![fill.symbol]
            }
            // What came by no fill, such as trades of others.
            Record::Mark { positions, .. } => {
                let net: BTreeMap<Symbol, Decimal> = positions.iter().map(|one| (one.symbol, one.net)).collect();
                let before = std::mem::replace(&mut self.net, net);
                let of =
                    |held: &BTreeMap<Symbol, Decimal>, symbol: &Symbol| held.get(symbol).copied().unwrap_or_default();
                let all: BTreeSet<Symbol> = before.keys().chain(self.net.keys()).copied().collect();
                all.into_iter().filter(|symbol| of(&before, symbol) != of(&self.net, symbol)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// When each symbol was at rest: nothing held and no order under way, on both sides.
#[derive(Debug, Default)]
pub(super) struct Rests {
    /// By symbol, instants at which anything happened, and whether it was at rest after all of that instant.
    of: BTreeMap<Symbol, Vec<(Ts, bool)>>,
    /// When both sides were made alike.
    reopened: Vec<Ts>,
}

impl Rests {
    /// `held` says when both sides were made alike, and what was held then; the first is the beginning.
    pub(super) fn new(daemon: &[(Ts, Record)], backtest: &[(Ts, Record)], held: &[(Ts, Held)]) -> Self {
        let mut rests = Self { of: BTreeMap::new(), reopened: held.iter().skip(1).map(|(ts, _)| *ts).collect() };
        let mut sides = [Held::default(), Held::default()];
        let mut places = [daemon, backtest].map(|side| side.iter().peekable());
        let mut held = held.iter().peekable();
        loop {
            let of_record = places.iter_mut().filter_map(|side| side.peek().map(|(ts, _)| *ts)).min();
            let Some(now) = of_record.into_iter().chain(held.peek().map(|(ts, _)| *ts)).min() else { return rests };
            let mut touched = BTreeSet::new();
            while let Some((_, alike)) = held.next_if(|(ts, _)| *ts <= now) {
                touched.extend(alike.net.keys().chain(alike.open.values()).copied());
                touched.extend(rests.of.keys().copied());
                sides = [alike.clone(), alike.clone()];
            }
            for (side, records) in sides.iter_mut().zip(&mut places) {
                while let Some((_, record)) = records.next_if(|(ts, _)| *ts <= now) {
                    touched.extend(side.take(record));
                }
            }
            for symbol in touched {
                let is_at_rest = sides.iter().all(|side| side.is_at_rest(symbol));
                rests.of.entry(symbol).or_default().push((now, is_at_rest));
            }
        }
    }

    /// Whether what differed in a symbol at `from` may still be at work at `at`.
    fn is_held(&self, symbol: Symbol, from: Ts, at: Ts) -> bool {
        if from == at {
            return true;
        }
        let Some(list) = self.of.get(&symbol).filter(|_| self.is_one_account(from, at)) else { return false };
        // What held when the difference came is what the last instant up to it left.
        let first = list.partition_point(|(ts, _)| *ts <= from).saturating_sub(1);
        let since = list.get(first..).unwrap_or_default();
        let mut since = since.iter().take_while(|(ts, _)| *ts < at).peekable();
        since.peek().is_some_and(|(ts, _)| *ts <= from) && since.all(|(_, rests)| !rests)
    }

    /// Whether nothing was made alike between.
    fn is_one_account(&self, from: Ts, at: Ts) -> bool {
        !self.reopened.iter().any(|ts| from < *ts && *ts <= at)
    }
}

/// Numbers the rows in order of time and says what follows from what.
pub(super) fn number(mut rows: Vec<(Difference, Link)>, rests: &Rests) -> Vec<Difference> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rows.get(*at).map(|(row, _)| (row.ts.0, row.symbol)));
    let mut numbers = BTreeMap::new();
    let (mut last, mut money) = (BTreeMap::<Symbol, (Ts, usize)>::new(), None);
    let mut all = Vec::with_capacity(rows.len());
    for (number, at) in (1..).zip(&order) {
        numbers.insert(*at, number);
        let Some((row, link)) = rows.get_mut(*at) else { continue };
        let now = row.ts.0;
        let of_symbol = |symbol: Symbol| {
            let held = last.get(&symbol).filter(|(from, _)| rests.is_held(symbol, *from, now));
            held.map(|(_, number)| *number)
        };
        let own = || row.symbol.and_then(of_symbol);
        let of_money = || money.filter(|(from, _)| rests.is_one_account(*from, now)).map(|(_, number)| number);
        (row.number, row.follows) = (
            number,
            match link {
                Link::Root => None,
                Link::Row(at) => numbers.get(at).copied(),
                Link::Position => own(),
                Link::House => {
                    own().or_else(|| last.keys().filter_map(|symbol| of_symbol(*symbol)).max()).or_else(of_money)
                }
            },
        );
        if let Some(symbol) = row.symbol.filter(|_| !matches!(row.cause, Cause::Fee | Cause::Funding)) {
            last.insert(symbol, (now, number));
        }
        if row.effect.abs() > 1e-9 {
            money = Some((now, number));
        }
        all.push(row.clone());
    }
    all
}
