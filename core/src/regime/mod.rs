//! What the market is like: whether it has a direction, and how it moves compared with what is usual.
//!
//! [`Classifier`] says it bar by bar, from closes alone. With `d` the change from close to close and `r` that change over the
//! close before:
//!
//! - **Trend** by the efficiency ratio (Kaufman, "Smarter Trading", 1995) over [`TREND_BARS`] bars, with the sign of the
//!   net move: `E = sum(d) / sum(|d|)`, -1 to 1. Up where `E >= 0.3`, down where `E <= -0.3`, else range.
//!   On a random walk `E` is about `z / (sqrt(48) * sqrt(2 / pi))` with `z` standard normal, so that 0.3 lies 1.66
//!   deviations out: such a walk, which has no trend, is called one on about one bar in ten, half of them up.
//! - **Activity** by `A = sqrt(short / long)`, both exponential averages of `r^2` (RiskMetrics, 1996, without a mean),
//!   `alpha = 2 / (bars + 1)`, of [`ACTIVITY_BARS`] and [`USUAL_BARS`] bars, seeded with the plain mean of their first
//!   values. Calm where `A < 0.7`, wild where `A > 1.5`, else usual; usual also in a market that has not moved at all. A
//!   walk with normal steps of one size is calm on about seven bars in a thousand, and wild on two in ten thousand.

mod classifier;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use classifier::{ACTIVITY_BARS, Classifier, TREND_BARS, USUAL_BARS};

/// Direction of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// Rising.
    Up,
    /// Falling.
    Down,
    /// Neither.
    #[default]
    Range,
}

/// How large moves are, compared with the market's own past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Smaller than usual.
    Calm,
    /// As usual.
    #[default]
    Usual,
    /// Larger than usual.
    Wild,
}

/// What a market is like at a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Regime {
    /// Its direction.
    pub trend: Trend,
    /// Its moves.
    pub activity: Activity,
}
