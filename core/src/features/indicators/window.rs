//! Sliding windows.

use serde::{Deserialize, Serialize};

/// Mean and spread of the last `len` values.
///
/// The moments slide (Welford's recurrence with the oldest value taken out) and are computed again from the values
/// whenever the ring comes round, every `len` values: rounding errors live that long at most, and a number that
/// overflowed is forgotten with the value that caused it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    ring: Box<[f64]>,
    at: usize,
    count: usize,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    /// Largest absolute value that entered since the last exact computation: what rounding errors are measured by.
    scale: f64,
}

impl Window {
    /// An empty window of `len` values; zero is taken as one.
    pub fn new(len: usize) -> Self {
        let ring = vec![0.0; len.max(1)].into_boxed_slice();
        Self { ring, at: 0, count: 0, mean: 0.0, squares: 0.0, scale: 0.0 }
    }

    /// Takes the next value, which pushes the oldest out once the window is full.
    pub fn update(&mut self, x: f64) {
        let len = self.ring.len();
        let old = std::mem::replace(&mut self.ring[self.at], x);
        let before = self.mean;
        if self.count < len {
            self.count += 1;
            self.mean += (x - before) / self.count as f64;
            self.squares += (x - before) * (x - self.mean);
        } else {
            self.mean += (x - old) / len as f64;
            self.squares += (x - old) * ((x - self.mean) + (old - before));
        }
        self.scale = self.scale.max(x.abs());
        self.at += 1;
        if self.at == len {
            self.at = 0;
            self.recompute();
        }
    }

    fn recompute(&mut self) {
        let len = self.ring.len() as f64;
        self.mean = self.ring.iter().sum::<f64>() / len;
        self.squares = self.ring.iter().map(|x| (x - self.mean) * (x - self.mean)).sum();
        self.scale = self.ring.iter().fold(0.0, |most, x| x.abs().max(most));
    }

    /// Mean of the values held, in their unit; 0 when there is none, and when it is nothing but rounding.
    pub fn mean(&self) -> f64 {
        if self.mean.abs() > 1e-12 * self.scale { self.mean } else { 0.0 }
    }

    /// Population standard deviation of the values held, in their unit; 0 when it is nothing but rounding.
    pub fn deviation(&self) -> f64 {
        let deviation = (self.squares.max(0.0) / self.count.max(1) as f64).sqrt();
        if deviation > 1e-9 * self.scale { deviation } else { 0.0 }
    }

    /// How many deviations `x` lies over the mean; 0 when the values are all equal.
    pub fn z(&self, x: f64) -> f64 {
        let deviation = self.deviation();
        if deviation > 0.0 { (x - self.mean) / deviation } else { 0.0 }
    }

    /// Whether as many values as it can hold have come.
    pub fn is_full(&self) -> bool {
        self.count == self.ring.len()
    }
}

/// The last 32 values, to be read by age.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Lags {
    ring: [f64; 32],
    seen: usize,
}

impl Lags {
    /// Takes the next value.
    pub const fn update(&mut self, x: f64) {
        self.ring[self.seen % 32] = x;
        self.seen = self.seen.wrapping_add(1);
    }

    /// Whether nothing has come yet.
    pub const fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The newest value less the one `age` (1 to 31) before it; 0 while there are not so many.
    pub const fn change(&self, age: usize) -> f64 {
        if age >= 32 || self.seen <= age {
            return 0.0;
        }
        self.ring[(self.seen - 1) % 32] - self.ring[(self.seen - 1 - age) % 32]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hash::unit_draw;

    #[test]
    fn a_million_updates_do_not_drift() {
        let mut window = Window::new(20);
        let mut held = std::collections::VecDeque::new();
        for i in 0..1_000_000 {
            // Jumps of ten orders of magnitude: what makes plain running sums useless.
            let x = unit_draw(3, i) * if i % 50_021 < 7 { 1e10 } else { 1.0 };
            window.update(x);
            held.push_back(x);
            if held.len() > 20 {
                held.pop_front();
            }
            if i % 997 == 0 && held.len() == 20 && held.iter().all(|x| *x < 2.0) && i % 50_021 > 60 {
                let mean = held.iter().sum::<f64>() / 20.0;
                let deviation = (held.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20.0).sqrt();
                assert!((window.mean() - mean).abs() < 1e-12 && (window.deviation() - deviation).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_long_window_of_prices_does_not_drift_in_a_million_updates() {
        // Small moves on a high level: what makes the mean of squares less the square of the mean useless.
        let (len, mut price) = (5_000, 60_000.0);
        let (mut window, mut past) = (Window::new(len), Vec::with_capacity(1_000_000));
        for i in 0..1_000_000 {
            price += 0.02 * (unit_draw(5, i) - 0.5);
            window.update(price);
            past.push(price);
            // Just before the ring comes round, where errors are largest, and in between.
            if past.len() > len && past.len() % 49_999 == 0 {
                let held = &past[past.len() - len..];
                let mean = held.iter().sum::<f64>() / len as f64;
                let deviation = (held.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / len as f64).sqrt();
                let (got, spread) = (window.mean(), window.deviation());
                assert!((got - mean).abs() < 1e-8 && (spread / deviation - 1.0).abs() < 1e-6, "{spread} {deviation}");
            }
        }
    }

    #[test]
    fn a_window_of_zeros_after_large_values_is_zero() {
        let mut window = Window::new(10);
        for i in 0..17 {
            window.update(1e9 * unit_draw(1, i));
        }
        for _ in 0..10 {
            window.update(0.0);
        }
        assert!(window.mean() == 0.0 && window.z(0.0).abs() < 1e-5 && window.is_full());
        for _ in 0..10 {
            window.update(0.0);
        }
        assert!(window.mean() == 0.0 && window.deviation() == 0.0);
    }

    #[test]
    fn lags_are_read_by_age() {
        let mut lags = Lags::default();
        for i in 0..100 {
            lags.update(f64::from(i * i));
        }
        assert!((lags.change(1) - (99.0 * 99.0 - 98.0 * 98.0)).abs() < 1e-12);
        assert!((lags.change(24) - (99.0 * 99.0 - 75.0 * 75.0)).abs() < 1e-12);
        assert!(lags.change(32) == 0.0 && Lags::default().change(1) == 0.0);
    }
}
