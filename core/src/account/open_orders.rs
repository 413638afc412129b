//! Orders that are not done, by id. There are mostly one or two of them, and every step looks them up many times; there may
//! be thousands.

use super::book::OrderState;
use crate::domain::OrderId;

/// Up to so many places are looked through one after the other, which is faster than a search.
const FEW: usize = 8;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenOrders {
    /// Those that are open, and free places between them.
    places: Vec<Option<OrderState>>,
    free: Vec<usize>,
    /// Where those that are open stand, by id.
    sorted: Vec<usize>,
}

/// Where they stand is no part of what they are.
impl PartialEq for OpenOrders {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl OpenOrders {
    #[inline]
    fn at(&self, place: usize) -> Option<&OrderState> {
        self.places.get(place)?.as_ref()
    }

    /// The place of an order.
    #[inline]
    fn find(&self, id: &OrderId) -> Option<usize> {
        let is = |open: &Option<OrderState>| open.as_ref().is_some_and(|open| open.order.id == *id);
        if self.places.len() <= FEW {
            return self.places.iter().position(is);
        }
        self.sorted.get(self.rank(id)).copied().filter(|place| self.places.get(*place).is_some_and(is))
    }

    /// How many ids are lower.
    fn rank(&self, id: &OrderId) -> usize {
        self.sorted.partition_point(|place| self.at(*place).is_some_and(|open| open.order.id < *id))
    }

    #[inline]
    pub(super) fn contains_key(&self, id: &OrderId) -> bool {
        self.find(id).is_some()
    }

    #[inline]
    pub(super) fn get(&self, id: &OrderId) -> Option<&OrderState> {
        self.at(self.find(id)?)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: &OrderId) -> Option<&mut OrderState> {
        let place = self.find(id)?;
        self.places.get_mut(place)?.as_mut()
    }

    /// Puts in one whose id is not there.
    pub(super) fn insert(&mut self, open: OrderState) {
        let rank = self.rank(&open.order.id);
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                self.places.len() - 1
            }
        };
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(open);
        }
        self.sorted.insert(rank, place);
    }

    pub(super) fn remove(&mut self, id: &OrderId) -> Option<OrderState> {
        let rank = self.rank(id);
        let place =
            self.sorted.get(rank).copied().filter(|place| self.at(*place).is_some_and(|o| o.order.id == *id))?;
        self.sorted.remove(rank);
        self.free.push(place);
        self.places.get_mut(place)?.take()
    }

    /// All of them, by id.
    pub(super) fn values(&self) -> impl Iterator<Item = &OrderState> {
        self.sorted.iter().filter_map(|place| self.at(*place))
    }

    /// All of them, in no order that means anything.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut OrderState> {
        self.places.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::orders::Touch;
    use super::*;
    use crate::domain::{Cause, Leg, Money, Order, Qty, Side, Ts};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn open(number: u64, attempt: u32) -> OrderState {
        let order = Order {
            id: OrderId::counted(number),
            symbol: "AAA".parse().unwrap(),
            side: Side::Buy,
            leg: Leg::Entry,
            qty: Qty::ZERO,
            cause: Cause::Command { seq: 1 },
            attempt,
            trigger: None,
            created: Ts::EPOCH,
        };
        OrderState::new(order, Money::ZERO, None, Touch::default())
    }

    proptest! {
        #[test]
        fn they_are_a_map_by_id(course in proptest::collection::vec((0u64..24, any::<u32>(), any::<bool>()), 1..200)) {
            let (mut orders, mut map) = (OpenOrders::default(), BTreeMap::new());
            for (number, attempt, comes) in course {
                let id = OrderId::counted(number);
                if comes && !map.contains_key(&id) {
                    orders.insert(open(number, attempt));
                    map.insert(id, open(number, attempt));
                } else {
                    prop_assert_eq!(orders.remove(&id), map.remove(&id));
                }
                for number in 0..24 {
                    let id = OrderId::counted(number);
                    prop_assert_eq!(orders.get(&id), map.get(&id));
                    prop_assert_eq!(orders.contains_key(&id), map.contains_key(&id));
                }
                prop_assert!(orders.values().eq(map.values()));
                prop_assert!(orders.places.len() <= 24, "places are used again");
            }
        }
    }
}
