//! What was booked already: bounded memories of the last trades and transfers, so that nothing is booked twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ring::Ring;
use crate::domain::Symbol;

/// How many trades of a symbol are remembered.
pub(super) const TRADES_MAX: usize = 65_536;
/// How many transfers are remembered.
pub(super) const TRANSFERS_MAX: usize = 4_096;

/// The last keys of a kind, in the order in which they came. Looking one up costs the logarithm of how many there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recent<T> {
    known: BTreeSet<T>,
    oldest_first: VecDeque<T>,
    most: usize,
}

impl<T: Ord + Clone> Recent<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { known: BTreeSet::new(), oldest_first: VecDeque::new(), most }
    }

    /// Whether it is remembered.
    pub(super) fn contains(&self, key: &T) -> bool {
        self.known.contains(key)
    }

    /// Remembers a key, and forgets the oldest one where there are too many.
    pub(super) fn insert(&mut self, key: T) {
        if !self.known.insert(key.clone()) {
            return;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// The venue's numbers of the trades that were booked, by symbol: a venue numbers the trades of each symbol by itself. They
/// outlive the book of a symbol that leaves the setup, because the symbol may come back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TradeIds {
    by_symbol: BTreeMap<Symbol, Ring<u64, ()>>,
    /// Whether nothing is remembered: who tells of trades tells each of them once.
    is_trusting: bool,
}

impl TradeIds {
    /// Remembers nothing from here on.
    pub(super) fn trust(&mut self) {
        *self = Self { by_symbol: BTreeMap::new(), is_trusting: true };
    }

    /// Whether it remembers nothing.
    pub(super) const fn is_trusting(&self) -> bool {
        self.is_trusting
    }

    pub(super) fn contains(&self, symbol: Symbol, trade_id: u64) -> bool {
        self.by_symbol.get(&symbol).is_some_and(|ring| ring.contains(&trade_id))
    }

    pub(super) fn insert(&mut self, symbol: Symbol, trade_id: u64) {
        if self.is_trusting {
            return;
        }
        self.by_symbol.entry(symbol).or_insert_with(|| Ring::new(TRADES_MAX)).insert(trade_id, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_what_came_twice_counts_once() {
        let mut recent = Recent::new(3);
        for key in [5, 1, 5, 9] {
            recent.insert(key);
        }
        assert!([5, 1, 9].iter().all(|key| recent.contains(key)));
        recent.insert(2);
        assert!(!recent.contains(&5), "it came first");
        assert!([1, 9, 2].iter().all(|key| recent.contains(key)));
        assert_eq!((recent.known.len(), recent.oldest_first.len()), (3, 3));
    }

    #[test]
    fn each_symbol_has_numbers_of_its_own() {
        let (a, b) = ("AAA".parse().unwrap(), "BBB".parse().unwrap());
        let mut trades = TradeIds::default();
        trades.insert(a, 7);
        assert!(trades.contains(a, 7) && !trades.contains(b, 7) && !trades.contains(a, 8));
    }
}
