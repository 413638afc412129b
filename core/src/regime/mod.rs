//! What the market is like: whether it has a direction, and how it moves compared with what is usual.

use serde::{Deserialize, Serialize};

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
