//! How much may be chance.

use serde::Serialize;

use super::super::{MarketPast, Outcome};
use crate::statistics::Quantiles;

/// A sweep: what was tried before this was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trials {
    /// How many were tried, this one among them. Trials that resemble each other count for less; this number is not
    /// corrected for that, so that what follows from it is on the careful side.
    pub count: u32,
    /// Variance of their Sharpe ratios a year.
    pub sharpe_variance: f64,
}

/// The Sharpe ratio against the best of the trials under luck alone (Bailey & Lopez de Prado 2014).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Deflated {
    /// The sweep.
    pub trials: Trials,
    /// Expected highest Sharpe ratio a year among them if none is worth anything.
    pub expected_max_sharpe: f64,
    /// Probability that the true Sharpe ratio exceeds that, 0 to 1; absent where it cannot be told.
    pub probability: Option<f64>,
}

/// How sure the Sharpe ratio is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// Probability that the true Sharpe ratio exceeds zero (probabilistic Sharpe ratio), 0 to 1.
    pub probabilistic_sharpe: Option<f64>,
    /// Periods needed to be sure, at the level of the options, that it exceeds zero; absent where it is zero or less.
    pub min_track_record: Option<f64>,
    /// The same in years.
    pub min_track_record_years: Option<f64>,
    /// What is left after the trials; `None` without a sweep.
    pub deflated: Option<Deflated>,
}

/// An interval of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// Upper end.
    pub high: f64,
}

/// Percentile intervals by the stationary bootstrap of the returns of periods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intervals {
    /// Level.
    pub confidence: f64,
    /// How many series were drawn.
    pub draws: u32,
    /// Mean length of a block, periods.
    pub block: f64,
    /// How many periods of `returns` were joined to one before they were drawn; 1 unless there are very many.
    pub joined: usize,
    /// Of the Sharpe ratio a year.
    pub sharpe: Option<Interval>,
    /// Of the return a year.
    pub annual_return: Option<Interval>,
    /// Of the deepest drawdown.
    pub max_drawdown: Option<Interval>,
}

/// Whether the times of the entries mattered: the same trips at other times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EntryTest {
    /// How often the entries were placed anew.
    pub draws: u32,
    /// Trips that took part; those whose symbol or time the market does not have are left out.
    pub trips: usize,
    /// Gain of the trips by closes, before costs, quote currency.
    pub observed: f64,
    /// Mean of the gains at other times.
    pub mean: f64,
    /// Probability of a gain at least as large if the times did not matter: (b + 1) / (m + 1) (Phipson & Smyth 2010).
    pub p_value: f64,
}

/// Where many paths end, and how deep they fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paths {
    /// Deepest drawdown, by trips that were left.
    pub max_drawdown: Quantiles,
    /// Last equity, in multiples of the first.
    pub terminal: Quantiles,
    /// Share of the paths that touched the level of ruin.
    pub ruin: f64,
}

/// What other orders of the same trips would have come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OrderTest {
    /// How many paths of each kind were drawn.
    pub draws: u32,
    /// Share of the first equity at which a path counts as ruined.
    pub ruin_level: f64,
    /// All trips once, in another order: they end where they ended, but not by the same way.
    pub shuffled: Paths,
    /// As many trips, each drawn from all (with replacement): they end elsewhere too.
    pub redrawn: Paths,
}

/// Places the trips anew.
pub fn entry_test(_market: &MarketPast, _outcome: &Outcome, _seed: u64, _draws: u32) -> Option<EntryTest> {
    None
}
