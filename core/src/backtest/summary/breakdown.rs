//! Trips by what they have in common.

use serde::Serialize;

use crate::statistics::Bounds;

/// Trips that have something in common. Quote currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common: `BTCUSDT`, `up_wild`, `07`, `monday`, `long`, `stop`.
    pub key: String,
    /// How many.
    pub trades: usize,
    /// Those that gained after costs.
    pub wins: usize,
    /// `wins / trades`.
    pub win_rate: Option<f64>,
    /// Its Wilson bounds.
    pub win_rate_bounds: Option<Bounds>,
    /// Sum of net gains.
    pub net: f64,
    /// Mean net gain.
    pub mean: Option<f64>,
    /// Its bounds, mean +- z * deviation / root of the count; absent for fewer than two trips.
    pub mean_bounds: Option<Bounds>,
}

/// Positions that were left, by what they have in common; what nothing has is not listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdowns {
    /// By symbol, in their order.
    pub symbol: Vec<Group>,
    /// By regime at entry: trend and activity.
    pub regime: Vec<Group>,
    /// By hour of the entry, UTC, `00` to `23`.
    pub hour: Vec<Group>,
    /// By weekday of the entry, UTC, from `monday` on.
    pub weekday: Vec<Group>,
    /// By direction: `long`, `short`.
    pub side: Vec<Group>,
    /// By reason of the exit.
    pub exit: Vec<Group>,
}
