//! The last of a kind, found by key: a ring in the order in which they came, and a table over it. Putting one in, looking one
//! up and forgetting the oldest cost the same however many there are.

use std::collections::VecDeque;

/// A key of a ring.
pub(super) trait RingKey: Eq {
    /// Bits that differ where keys do, mostly.
    fn bits(&self) -> u64;
}

/// No entry.
const FREE: u32 = u32::MAX;
/// Entries are numbered modulo this, which is far more than any ring holds.
const NUMBERS: u32 = 1 << 31;
/// Slots of the smallest table.
const SLOTS_MIN: usize = 16;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Ring<K, V> {
    /// Oldest first.
    items: VecDeque<(K, V)>,
    most: usize,
    /// Number of the oldest.
    first: u32,
    /// Numbers of entries, each at the first free place from where its bits point to. At most half of them are taken.
    slots: Vec<u32>,
}

/// What was put in is the same; the table follows from it.
impl<K: PartialEq, V: PartialEq> PartialEq for Ring<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.most == other.most && self.items == other.items
    }
}

impl<K: RingKey, V> Ring<K, V> {
    /// A ring of the last `most`, at most a thousand million.
    pub(super) const fn new(most: usize) -> Self {
        Self { items: VecDeque::new(), most, first: 0, slots: Vec::new() }
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.items.get(self.find(key)?).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key)?;
        self.items.get_mut(at).map(|(_, value)| value)
    }

    /// Puts one in, and forgets the oldest where there are too many. A key that is there keeps its place and takes the new
    /// value.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        if self.slots.len() < 2 * (self.items.len() + 1) {
            self.grow();
        }
        let number = (self.first.wrapping_add(small(self.items.len()))) % NUMBERS;
        self.note(&key, number);
        self.items.push_back((key, value));
        if self.items.len() > self.most {
            self.forget_oldest();
        }
    }

    /// The place in `items` of a key.
    #[inline]
    fn find(&self, key: &K) -> Option<usize> {
        let mut slot = self.home(key)?;
        loop {
            let number = self.slots.get(slot).copied().filter(|number| *number != FREE)?;
            let at = self.place(number);
            if self.items.get(at).is_some_and(|(known, _)| known == key) {
                return Some(at);
            }
            slot = self.after(slot);
        }
    }

    #[inline]
    const fn place(&self, number: u32) -> usize {
        (number.wrapping_sub(self.first) % NUMBERS) as usize
    }

    /// Where the search for a key begins; `None` without a table. Neighbours stay neighbours, so that what is counted
    /// upwards stays near to what was used last.
    #[inline]
    fn home(&self, key: &K) -> Option<usize> {
        /// 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        // As many of the upper bits, which all others have a part in, as there are blocks of eight slots.
        let blocks = self.slots.len().checked_ilog2()?.checked_sub(3)?;
        let bits = key.bits();
        let block = (bits >> 3).wrapping_mul(SPREAD) >> (u64::BITS - blocks);
        usize::try_from((block << 3) | (bits & 7)).ok()
    }

    #[inline]
    const fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    fn note(&mut self, key: &K, number: u32) {
        let Some(mut slot) = self.home(key) else { return };
        while self.slots.get(slot).is_some_and(|taken| *taken != FREE) {
            slot = self.after(slot);
        }
        if let Some(free) = self.slots.get_mut(slot) {
            *free = number;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; (2 * self.slots.len()).max(SLOTS_MIN)];
        let items = std::mem::take(&mut self.items);
        for (at, (key, _)) in items.iter().enumerate() {
            self.note(key, self.first.wrapping_add(small(at)) % NUMBERS);
        }
        self.items = items;
    }

    fn forget_oldest(&mut self) {
        let Some((key, _)) = self.items.front() else { return };
        let mut hole = self.home(key);
        while let Some(slot) = hole
            && self.slots.get(slot).is_some_and(|number| *number != self.first)
        {
            hole = Some(self.after(slot));
        }
        if let Some(hole) = hole {
            self.close(hole);
        }
        self.items.pop_front();
        self.first = self.first.wrapping_add(1) % NUMBERS;
    }

    /// Frees a slot and moves up what would not be found behind it (Knuth, algorithm R of 6.4).
    fn close(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = hole;
        loop {
            slot = self.after(slot);
            let Some(number) = self.slots.get(slot).copied().filter(|number| *number != FREE) else { break };
            let Some(home) = self.items.get(self.place(number)).and_then(|(key, _)| self.home(key)) else { break };
            // What is nearer to its home than the hole is to the slot must stay behind the hole.
            if (slot.wrapping_sub(home) & mask) >= (slot.wrapping_sub(hole) & mask) {
                self.put(hole, number);
                hole = slot;
            }
        }
        self.put(hole, FREE);
    }

    fn put(&mut self, slot: usize, number: u32) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = number;
        }
    }
}

/// A number of entries, which no ring has over 2^31.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NUMBERS)
}

impl RingKey for u64 {
    fn bits(&self) -> u64 {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// A ring is a map that forgets what came first.
        #[test]
        fn a_ring_is_a_map_of_the_last(
            most in 1usize..40,
            course in proptest::collection::vec((prop_oneof![0u64..64, (0u64..64).prop_map(|k| k << 20)], any::<u8>()), 1..400),
        ) {
            let mut ring = Ring::new(most);
            let (mut map, mut order) = (BTreeMap::new(), VecDeque::new());
            // So that numbers begin anew on the way.
            ring.first = NUMBERS - 100;
            for (key, value) in course {
                ring.insert(key, value);
                if map.insert(key, value).is_none() {
                    order.push_back(key);
                }
                if order.len() > most && let Some(oldest) = order.pop_front() {
                    map.remove(&oldest);
                }
                for key in (0..64).chain((0..64).map(|k| k << 20)) {
                    prop_assert_eq!(ring.get(&key), map.get(&key));
                }
                prop_assert_eq!(ring.slots.iter().filter(|slot| **slot != FREE).count(), map.len());
            }
        }
    }
}
