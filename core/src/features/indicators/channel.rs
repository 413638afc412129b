//! Highest and lowest of a window.

use serde::{Deserialize, Serialize};

use crate::domain::Bar;

/// The largest of the last `len` values, in amortised constant time: a queue of falling values (Lemire 2006), held in a
/// ring that is as long as the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlidingMax {
    /// (number of the value, value).
    ring: Box<[(u64, f64)]>,
    head: usize,
    count: usize,
    seen: u64,
}

impl SlidingMax {
    /// An empty window of `len` values; zero is taken as one.
    pub fn new(len: usize) -> Self {
        Self { ring: vec![(0, 0.0); len.max(1)].into_boxed_slice(), head: 0, count: 0, seen: 0 }
    }

    const fn place(&self, at: usize) -> usize {
        let at = self.head + at;
        if at >= self.ring.len() { at - self.ring.len() } else { at }
    }

    /// Takes the next value.
    pub fn update(&mut self, x: f64) {
        if self.count > 0 && self.ring[self.head].0 + self.ring.len() as u64 <= self.seen {
            self.head = self.place(1);
            self.count -= 1;
        }
        while self.count > 0 && self.ring[self.place(self.count - 1)].1 <= x {
            self.count -= 1;
        }
        let end = self.place(self.count);
        self.ring[end] = (self.seen, x);
        self.count += 1;
        self.seen += 1;
    }

    /// The largest value held; 0 when there is none.
    pub fn value(&self) -> f64 {
        if self.count > 0 { self.ring[self.head].1 } else { 0.0 }
    }

    /// Whether as many values as it looks back on have come.
    pub const fn is_full(&self) -> bool {
        self.seen >= self.ring.len() as u64
    }
}

/// Highest high and lowest low of the last `len` bars, in quote currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    highs: SlidingMax,
    /// Negated.
    lows: SlidingMax,
}

impl Channel {
    /// An empty channel of `len` bars; zero is taken as one.
    pub fn new(len: usize) -> Self {
        Self { highs: SlidingMax::new(len), lows: SlidingMax::new(len) }
    }

    /// Takes the next bar.
    pub fn update(&mut self, bar: &Bar) {
        self.highs.update(bar.high);
        self.lows.update(-bar.low);
    }

    /// The highest high held.
    pub fn high(&self) -> f64 {
        self.highs.value()
    }

    /// The lowest low held.
    pub fn low(&self) -> f64 {
        -self.lows.value()
    }

    /// Where a price lies: 0 at the low, 1 at the high, outside these when it is outside them; 0.5 when they are equal.
    pub fn position(&self, price: f64) -> f64 {
        let width = self.high() - self.low();
        if width > 0.0 { (price - self.low()) / width } else { 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hash::unit_draw;

    #[test]
    fn the_largest_of_a_window_is_that_of_a_search() {
        for len in [1, 2, 5, 20] {
            let mut max = SlidingMax::new(len);
            // Few distinct values, so that equal ones meet.
            let xs: Vec<f64> = (0..2_000).map(|i| (unit_draw(9, i) * 12.0).floor() - 6.0).collect();
            for (i, x) in xs.iter().enumerate() {
                max.update(*x);
                let from = (i + 1).saturating_sub(len);
                let want = xs[from..=i].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(max.value().to_bits(), want.to_bits(), "len {len} at {i}");
            }
        }
    }
}
