//! Exponential averages.

use serde::{Deserialize, Serialize};

/// An exponential moving average, seeded with the plain mean of its first values as TA-Lib does:
/// `mean += alpha * (x - mean)`. It remembers for ever, so two of them agree only if they began at the same value.
///
/// A constant input gives exactly that constant: averages of different lengths do not cross on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ema {
    alpha: f64,
    seed: u32,
    seen: u32,
    mean: f64,
}

impl Ema {
    /// The usual average of `bars` values: alpha = 2 / (bars + 1), seeded with the mean of the first `bars`. A length of
    /// zero is taken as one.
    pub fn new(bars: u32) -> Self {
        let bars = bars.max(1);
        Self::with_alpha(2.0 / (f64::from(bars) + 1.0), bars)
    }

    /// Wilder's smoothing (Wilder 1978): alpha = 1 / bars, seeded with the mean of the first `bars`. A length of zero is
    /// taken as one.
    pub fn wilder(bars: u32) -> Self {
        let bars = bars.max(1);
        Self::with_alpha(1.0 / f64::from(bars), bars)
    }

    /// An average with weight `alpha` (over 0, up to 1) on the newest value, seeded with the mean of the first `seed`.
    pub const fn with_alpha(alpha: f64, seed: u32) -> Self {
        Self { alpha, seed, seen: 0, mean: 0.0 }
    }

    /// Takes the next value.
    pub fn update(&mut self, x: f64) {
        // Written as a difference of products because `x - mean` can overflow where these cannot.
        if self.seen >= self.seed {
            self.mean += self.alpha * x - self.alpha * self.mean;
        } else {
            self.seen += 1;
            let weight = f64::from(self.seen);
            self.mean += x / weight - self.mean / weight;
        }
    }

    /// The average, in the unit of its input; until it is warm, the mean of what it has seen, and 0 before that.
    pub const fn value(&self) -> f64 {
        self.mean
    }

    /// Whether the seed is complete.
    pub const fn is_warm(&self) -> bool {
        self.seen >= self.seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ema_of_three_by_hand() {
        // Seed (2 + 4 + 9) / 3 = 5; alpha = 1/2: 5 + (11 - 5)/2 = 8; 8 + (4 - 8)/2 = 6.
        let mut ema = Ema::new(3);
        let mut out = Vec::new();
        for x in [2.0, 4.0, 9.0, 11.0, 4.0] {
            ema.update(x);
            out.push((ema.is_warm(), ema.value()));
        }
        assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), [false, false, true, true, true]);
        for (got, want) in out[2..].iter().zip([5.0, 8.0, 6.0]) {
            assert!((got.1 - want).abs() < 1e-12, "{got:?} {want}");
        }
    }

    #[test]
    fn constants_are_kept_exactly() {
        for x in [0.1, 63_217.33, 1e-9, 1e300] {
            let (mut fast, mut slow) = (Ema::new(12), Ema::wilder(77));
            for _ in 0..500 {
                fast.update(x);
                slow.update(x);
                assert_eq!((fast.value().to_bits(), slow.value().to_bits()), (x.to_bits(), x.to_bits()));
            }
        }
    }
}
