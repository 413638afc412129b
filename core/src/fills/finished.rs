//! Orders of the paper venue that are over.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use crate::domain::{Actions, DoneReason, Fill, OrderId, Report};

/// How many finished orders are remembered, so that none of them is taken a second time.
pub(super) const FINISHED_MAX: usize = 10_000;

/// What became of an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Oldest first.
    pub(super) fills: Vec<Fill>,
    pub(super) reason: DoneReason,
    pub(super) text: Option<String>,
}

/// The orders that ended last.
#[derive(Debug)]
pub(super) struct Finished {
    known: BTreeMap<OrderId, Outcome>,
    oldest_first: VecDeque<OrderId>,
    most: usize,
    /// Whether it is said that an order is wholly filled.
    tells_filled: bool,
}

impl Finished {
    /// Remembers at most so many, or none.
    pub(super) const fn new(most: usize) -> Self {
        Self { known: BTreeMap::new(), oldest_first: VecDeque::new(), most, tells_filled: true }
    }

    /// Remembers none, and says nothing of an order whose last fill has said that it is over.
    pub(super) fn terse() -> Self {
        Self { tells_filled: false, ..Self::new(0) }
    }

    pub(super) fn contains(&self, id: OrderId) -> bool {
        self.known.contains_key(&id)
    }

    /// Keeps how an order ended, and says so.
    pub(super) fn end(&mut self, id: OrderId, outcome: Outcome, out: &mut Actions<Report>) {
        if self.most == 0 {
            if self.tells_filled || outcome.reason != DoneReason::Filled {
                out.push(Report::Done { order: id, reason: outcome.reason, text: outcome.text });
            }
            return;
        }
        out.push(Report::Done { order: id, reason: outcome.reason, text: outcome.text.clone() });
        self.insert(id, outcome);
    }

    /// Keeps how an order ended. What was kept first stands.
    pub(super) fn insert(&mut self, id: OrderId, outcome: Outcome) {
        if self.most == 0 {
            return;
        }
        let Entry::Vacant(place) = self.known.entry(id) else { return };
        place.insert(outcome);
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// A trade that the record names after the end of its order.
    pub(super) fn add(&mut self, fill: &Fill) {
        if let Some(outcome) = self.known.get_mut(&fill.order) {
            outcome.fills.push(fill.clone());
        }
    }

    /// Says all of an order from its beginning to its end; `false` when there is none of this id. One that never came here is
    /// none.
    pub(super) fn tell(&self, id: OrderId, out: &mut Actions<Report>) -> bool {
        let Some(outcome) = self.known.get(&id).filter(|outcome| outcome.reason != DoneReason::NotSent) else {
            return false;
        };
        if outcome.reason != DoneReason::Rejected {
            out.push(Report::Accepted { order: id });
        }
        outcome.fills.iter().for_each(|fill| out.push(Report::Fill(fill.clone())));
        out.push(Report::Done { order: id, reason: outcome.reason, text: outcome.text.clone() });
        true
    }
}

/// Trades that have not been told twice to who asks for everything: an answer that is lost loses none of them.
#[derive(Debug)]
pub(super) struct Recent {
    fills: VecDeque<Fill>,
    /// How many there were where none are kept.
    count: u64,
    /// How many of the oldest were told once.
    told: usize,
    most: usize,
}

/// How many trades wait for being asked about. Where nobody ever asks, the oldest go.
pub(super) const RECENT_MAX: usize = 10_000;

impl Recent {
    /// Keeps at most so many, or none.
    pub(super) const fn new(most: usize) -> Self {
        Self { fills: VecDeque::new(), count: 0, told: 0, most }
    }

    /// The number of the next trade, where none are kept.
    pub(super) fn number(&self) -> Option<u64> {
        (self.most == 0).then_some(self.count + 1)
    }

    pub(super) fn push(&mut self, fill: &Fill) {
        if self.most == 0 {
            self.count += 1;
            return;
        }
        if self.fills.len() == self.most {
            self.fills.pop_front();
            self.told = self.told.saturating_sub(1);
        }
        self.fills.push_back(fill.clone());
    }

    pub(super) fn tell(&mut self) -> Vec<Fill> {
        let all: Vec<Fill> = self.fills.iter().cloned().collect();
        self.fills.drain(..self.told);
        self.told = self.fills.len();
        all
    }
}
