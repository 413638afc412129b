//! What the trips say.

use serde::Serialize;

use super::super::Trip;
use super::{ratio, two_sided};
use crate::domain::Span;
use crate::statistics::{Bounds, Quantiles, mean, wilson};

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

/// Trips that were left.
pub(super) fn left(trips: &[Trip]) -> impl Iterator<Item = &Trip> {
    trips.iter().filter(|trip| trip.left.is_some() && trip.net.is_finite())
}

impl Trades {
    pub(super) fn of(trips: &[Trip], confidence: f64) -> Self {
        let mut left: Vec<&Trip> = left(trips).collect();
        // Those that were left at one instant keep the order of their entries.
        left.sort_by_key(|trip| trip.left);
        let nets = |which: fn(f64) -> bool| left.iter().map(|trip| trip.net).filter(|net| which(*net)).collect();
        let (wins, losses): (Vec<f64>, Vec<f64>) = (nets(|net| net > 0.0), nets(|net| net < 0.0));
        let all: Vec<f64> = nets(|_| true);
        let (mean_win, mean_loss) = (mean(&wins), mean(&losses));
        let quantiles = |of: fn(&Trip) -> f64| Quantiles::of(left.iter().map(|trip| of(trip)).collect());
        Self {
            count: left.len(),
            open: trips.iter().filter(|trip| trip.left.is_none()).count(),
            wins: wins.len(),
            losses: losses.len(),
            win_rate: ratio(wins.len() as f64, left.len() as f64),
            win_rate_bounds: wilson(wins.len() as f64, left.len() as f64, two_sided(confidence)),
            mean_win,
            mean_loss,
            payoff: mean_win.zip(mean_loss).and_then(|(win, loss)| ratio(win, -loss)),
            profit_factor: ratio(wins.iter().sum(), -losses.iter().sum::<f64>()),
            expectancy: mean(&all),
            longest_losing_run: left.chunk_by(|a, b| (a.net < 0.0) == (b.net < 0.0)).fold(0, longer_loss),
            holding_seconds: quantiles(|trip| trip.left.map_or(Span::ZERO, |left| left - trip.entered).secs_f64()),
            holding_bars: quantiles(|trip| f64::from(trip.bars)),
            adverse: quantiles(|trip| trip.adverse),
            favourable: quantiles(|trip| trip.favourable),
        }
    }
}

fn longer_loss(longest: usize, run: &[&Trip]) -> usize {
    if run.iter().all(|trip| trip.net < 0.0) { longest.max(run.len()) } else { longest }
}
