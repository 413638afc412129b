//! What one side did, as its record says, and which order of one side stands for which of the other.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::domain::{
    Cause as OrderCause, Decision, DoneReason, Fill, Funding, HaltLevel, Leg, Order, OrderId, Reason, Symbol, Ts,
};
use levibot_core::record::{Bracket, Record, Verdict};

/// What one side did.
#[derive(Debug, Default)]
pub(super) struct Deeds<'a> {
    pub(super) decisions: BTreeMap<(Symbol, Ts), (Ts, &'a Decision, &'a Verdict)>,
    pub(super) orders: BTreeMap<OrderId, &'a Order>,
    /// In the order in which they were sent.
    sent: Vec<OrderId>,
    pub(super) fills: BTreeMap<OrderId, Vec<(Ts, &'a Fill)>>,
    pub(super) ends: BTreeMap<OrderId, (Ts, DoneReason)>,
    /// The last of each symbol.
    pub(super) brackets: BTreeMap<Symbol, (Ts, &'a Bracket)>,
    pub(super) fundings: BTreeMap<(Symbol, Ts), (Ts, &'a Funding)>,
    /// Halts by their levels, and resumptions, which are to none.
    pub(super) halts: Vec<(Ts, HaltLevel, &'a Reason)>,
}

impl<'a> Deeds<'a> {
    pub(super) fn of(records: &'a [(Ts, Record)]) -> Self {
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
                Record::Done { order, reason, .. } => {
                    deeds.ends.insert(*order, (*ts, *reason));
                }
                Record::Bracket { symbol, bracket } => {
                    deeds.brackets.insert(*symbol, (*ts, bracket));
                }
                Record::Funding { funding } => {
                    deeds.fundings.insert((funding.symbol, funding.ts), (*ts, funding));
                }
                Record::Halt { level, reason } => deeds.halts.push((*ts, *level, reason)),
                Record::Resume { reason, .. } => deeds.halts.push((*ts, HaltLevel::None, reason)),
                _ => {}
            }
        }
        deeds
    }

    fn knows(&self, id: &OrderId) -> bool {
        self.orders.contains_key(id) || self.fills.contains_key(id) || self.ends.contains_key(id)
    }

    /// All orders of which anything was done, each once: those that were sent, as they were; then older ones.
    fn all(&self) -> Vec<OrderId> {
        let mut seen = BTreeSet::new();
        let all = self.sent.iter().chain(self.fills.keys()).chain(self.ends.keys());
        all.filter(|id| seen.insert(**id)).copied().collect()
    }
}

/// Of a pair only one side is there at times.
pub(super) type Pair<T> = (Option<T>, Option<T>);

/// Which order of the daemon stands for which of the backtest: by id. Those of a command are named after its number on
/// record, which differs: they go by symbol and leg, in the order in which they were sent.
pub(super) fn pairs(daemon: &Deeds<'_>, backtest: &Deeds<'_>) -> Vec<Pair<OrderId>> {
    let kind = |order: &Order| match order.cause {
        OrderCause::Command { .. } => Some((order.symbol, order.leg == Leg::Entry)),
        _ => None,
    };
    let mut pairs: Vec<Pair<OrderId>> = Vec::new();
    let mut free: Vec<OrderId> = backtest.all().into_iter().filter(|id| !daemon.knows(id)).collect();
    for id in daemon.all() {
        if backtest.knows(&id) {
            pairs.push((Some(id), Some(id)));
            continue;
        }
        let wanted = daemon.orders.get(&id).and_then(|order| kind(order));
        let place = wanted.and_then(|wanted| {
            free.iter().position(|id| backtest.orders.get(id).and_then(|order| kind(order)) == Some(wanted))
        });
        pairs.push((Some(id), place.map(|place| free.remove(place))));
    }
    pairs.extend(free.into_iter().map(|id| (None, Some(id))));
    pairs
}
