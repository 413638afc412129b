//! What variable selection made of past rows. It depends on the symbol and the row alone, and from one bar to the next
//! all rows of a window but one stay the same.

use std::collections::HashMap;

/// Rows in one generation.
const ROWS_MAX: usize = 8_192;

/// The symbol's number and the bits of the columns that are read: the whole of what the selection depends on.
type Key = Box<[u32]>;

/// At most two generations of [`ROWS_MAX`] rows. When the younger is full it becomes the older, which is forgotten.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<Key, Box<[f32]>>,
    old: HashMap<Key, Box<[f32]>>,
}

impl Cache {
    /// What was selected of a row.
    pub(super) fn get(&mut self, key: &[u32]) -> Option<&[f32]> {
        if let Some((key, selected)) = self.old.remove_entry(key) {
            self.insert(key, selected);
        }
        self.young.get(key).map(AsRef::as_ref)
    }

    /// Remembers what was selected of a row.
    pub(super) fn insert(&mut self, key: Key, selected: Box<[f32]>) {
        if self.young.len() >= ROWS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, selected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_is_not_asked_for_and_never_grows_past_its_bound() {
        let mut cache = Cache::default();
        let key = |n: u32| -> Key { Box::new([n, 7]) };
        let rows = u32::try_from(ROWS_MAX).unwrap();
        for n in 0..10 * rows {
            cache.insert(key(n), Box::new([0.5]));
            assert!(n < 5 || cache.get(&key(5)).is_some(), "what is asked for stays");
            assert!(cache.young.len() + cache.old.len() <= 2 * ROWS_MAX);
        }
        assert!(cache.get(&key(6)).is_none());
        assert_eq!(cache.get(&key(10 * rows - 1)), Some(&[0.5_f32][..]));
    }
}
