//! What the trips say.

use serde::Serialize;

use crate::statistics::{Bounds, Quantiles};

/// Positions that were taken and left. One that stands at the end counts in `open` alone. Quote currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trades {
    /// Positions that were left.
    pub count: usize,
    /// Positions that stand.
    pub open: usize,
    /// Those that gained after costs.
    pub wins: usize,
    /// Those that lost after costs.
    pub losses: usize,
    /// `wins / count`.
    pub win_rate: Option<f64>,
    /// Its Wilson bounds. Trips that stand at the same time are not independent: then the bounds are too narrow.
    pub win_rate_bounds: Option<Bounds>,
    /// Mean net gain of wins.
    pub mean_win: Option<f64>,
    /// Mean net gain of losses, under zero.
    pub mean_loss: Option<f64>,
    /// `mean_win` over the size of `mean_loss`.
    pub payoff: Option<f64>,
    /// Sum of wins over the size of the sum of losses.
    pub profit_factor: Option<f64>,
    /// Mean net gain.
    pub expectancy: Option<f64>,
    /// Most losses in a row, by the time at which positions were left.
    pub longest_losing_run: usize,
    /// Seconds from the first fill to the last.
    pub holding_seconds: Option<Quantiles>,
    /// Bars from the first fill to the last.
    pub holding_bars: Option<Quantiles>,
    /// How far trips went against us, fractions of the entry price (maximum adverse excursion).
    pub adverse: Option<Quantiles>,
    /// How far they went for us (maximum favourable excursion).
    pub favourable: Option<Quantiles>,
}
