//! How much may be chance.

use serde::Serialize;

use super::super::{MarketPast, Outcome, SymbolBars, Trip};
use super::curve::{ReturnsBasis, Series};
use super::trades::left;
use super::{SummaryOptions, finite};
use crate::domain::{Timeframe, Ts};
pub use crate::statistics::Placement as EntryTest;
use crate::statistics::{
    Held, Interval, PathSetup, Paths, Placed, Shape, block_length, expected_max_sharpe, intervals, max_drawdown, mean,
    min_track_record, paths, placement_test, probabilistic_sharpe, sharpe, sharpe_variance,
};

/// A sweep: what was tried before this was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trials {
    /// How many were tried, this one among them. Trials that resemble each other count for less; this number is not
    /// corrected for that, so that what follows from it is on the careful side.
    pub count: u32,
    /// Variance of their Sharpe ratios a year.
    pub sharpe_variance: f64,
}

impl Trials {
    /// Of the Sharpe ratios a year of all trials; `None` for one that traded nothing. Absent where fewer than two are known.
    pub fn of(sharpes: &[Option<f64>]) -> Option<Self> {
        let sharpe_variance = sharpe_variance(sharpes.iter().copied())?;
        Some(Self { count: u32::try_from(sharpes.len()).ok()?, sharpe_variance })
    }
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

/// Percentile intervals by the stationary bootstrap of the returns of periods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intervals {
    /// Level.
    pub confidence: f64,
    /// How many series were drawn.
    pub draws: u32,
    /// Mean length of a block, periods of `returns`.
    pub block: f64,
    /// How many periods of `returns` were joined to one before they were drawn; 1 unless there are very many.
    pub joined: usize,
    /// Of the Sharpe ratio a year.
    pub sharpe: Option<Interval>,
    /// Of the return a year.
    pub annual_return: Option<Interval>,
    /// Of the deepest drawdown by the ends of those periods; [`super::Summary::max_drawdown`] is by the ends of frames, and deeper.
    pub max_drawdown: Option<Interval>,
    /// The deepest drawdown by the ends of those periods: what happened of what `max_drawdown` is the interval of.
    pub max_drawdown_of_periods: Option<f64>,
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

impl Chance {
    /// `sharpe` is a year's.
    pub(super) fn of(sharpe: Option<f64>, shape: Option<&Shape>, a_year: f64, options: &SummaryOptions<'_>) -> Self {
        let known = sharpe.zip(shape).map(|(sharpe, shape)| (sharpe / a_year.sqrt(), shape));
        let exceeds = |benchmark| known.and_then(|(ratio, shape)| probabilistic_sharpe(ratio, benchmark, shape));
        let length = known.and_then(|(ratio, shape)| min_track_record(ratio, 0.0, shape, options.confidence));
        let deflated = options.trials.and_then(|trials| {
            let expected = expected_max_sharpe(trials.sharpe_variance, trials.count)?;
            let probability = finite(Some(expected / a_year.sqrt())).and_then(exceeds);
            Some(Deflated { trials, expected_max_sharpe: expected, probability })
        });
        Self {
            probabilistic_sharpe: exceeds(0.0),
            min_track_record: length,
            min_track_record_years: finite(length.map(|length| length / a_year)),
            deflated,
        }
    }
}

/// Most returns that are drawn in one series: what a bar of a second would make of a month is a thousand times the days of years.
const DRAWN_MAX: usize = 5_000;

impl Intervals {
    pub(super) fn of(series: &Series, options: &SummaryOptions<'_>) -> Option<Self> {
        if options.resamples == 0 || series.values.len() < 2 {
            return None;
        }
        let compound = series.about.returns_basis == ReturnsBasis::Equity;
        let joined = series.values.len().div_ceil(DRAWN_MAX);
        let join = |values: &[f64]| {
            if compound { values.iter().map(|x| 1.0 + x).product::<f64>() - 1.0 } else { values.iter().sum() }
        };
        let values: Vec<f64> = series.values.chunks(joined).map(join).collect();
        let a_year = series.about.periods_a_year / joined as f64;
        let block = block_length(&values);
        let depth = |drawn: &[f64]| if compound { max_drawdown(drawn) } else { added_drawdown(drawn) };
        let figures =
            |drawn: &[f64]| [sharpe(drawn, a_year), a_years_return(drawn, a_year, compound), Some(depth(drawn))];
        let (draws, confidence) = (options.resamples, options.confidence);
        let [sharpe, annual_return, max_drawdown] =
            intervals(&values, block, (options.seed, draws), confidence, figures);
        let happened = finite(Some(depth(&values)));
        let block = block * joined as f64;
        Some(Self {
            confidence,
            draws,
            block,
            joined,
            sharpe,
            annual_return,
            max_drawdown,
            max_drawdown_of_periods: happened,
        })
    }
}

fn a_years_return(returns: &[f64], a_year: f64, compound: bool) -> Option<f64> {
    if compound {
        let logarithms: f64 = returns.iter().map(|x| (1.0 + x).ln()).sum();
        Some((logarithms / returns.len() as f64 * a_year).exp_m1())
    } else {
        Some(mean(returns)? * a_year)
    }
}

/// Deepest loss from a peak where returns add up, in their unit.
fn added_drawdown(returns: &[f64]) -> f64 {
    let (mut sum, mut peak, mut deepest) = (0.0_f64, 0.0_f64, 0.0_f64);
    for change in returns {
        sum += change;
        peak = peak.max(sum);
        deepest = deepest.max(peak - sum);
    }
    deepest
}

/// [`placement_test`] of the trips of an outcome among the bars of its own time. A trip begins at the last close before or at
/// its first fill and ends at the last one before or at its last fill, a bar later at least, or at the end; trips of symbols that the
/// market does not have are left out.
pub fn entry_test(market: &MarketPast, outcome: &Outcome, seed: u64, draws: u32) -> Option<EntryTest> {
    let (from, to) = outcome.from.zip(outcome.to)?;
    let begin = from - market.timeframe.span();
    let closes: Vec<(&SymbolBars, Vec<(Ts, f64)>)> =
        market.symbols.iter().map(|one| (one, closes(one, market.timeframe, begin, to))).collect();
    let prices: Vec<Vec<f64>> =
        closes.iter().map(|(_, closes)| closes.iter().map(|(_, price)| *price).collect()).collect();
    let placed = |((bars, closes), prices): (&(&SymbolBars, Vec<(Ts, f64)>), _)| Placed {
        closes: prices,
        held: outcome
            .trips
            .iter()
            .filter(|trip| trip.symbol == bars.symbol)
            .filter_map(|trip| held(trip, closes))
            .collect(),
    };
    let placed: Vec<Placed<'_>> = closes.iter().zip(prices.iter().map(Vec::as_slice)).map(placed).collect();
    placement_test(&placed, seed, draws)
}

/// Closes from `from` to `to`, with their times.
fn closes(bars: &SymbolBars, timeframe: Timeframe, from: Ts, to: Ts) -> Vec<(Ts, f64)> {
    let closes = bars.bars.iter().map(|bar| (bar.close_ts(timeframe), bar.close));
    closes.filter(|(ts, price)| (from..=to).contains(ts) && *price > 0.0 && price.is_finite()).collect()
}

fn held(trip: &Trip, closes: &[(Ts, f64)]) -> Option<Held> {
    let last_at = |ts: Ts| closes.partition_point(|(close, _)| *close <= ts).saturating_sub(1);
    let at = last_at(trip.entered);
    let end = trip.left.map_or(closes.len().saturating_sub(1), last_at);
    let notional = trip.direction.sign() * trip.qty * trip.entry_price;
    (at + 1 < closes.len() && notional.is_finite()).then(|| Held { at, bars: end.saturating_sub(at).max(1), notional })
}

/// Most gains that are walked, over all paths of a kind; but no fewer paths than [`PATHS_MIN`], if so many are asked for.
const WALKED_MAX: usize = 20_000_000;
/// See [`WALKED_MAX`].
const PATHS_MIN: usize = 200;

impl OrderTest {
    pub(super) fn of(outcome: &Outcome, basis: ReturnsBasis, options: &SummaryOptions<'_>) -> Option<Self> {
        let compound = basis == ReturnsBasis::Equity && !outcome.curve.is_empty();
        let initial = outcome.initial_equity.to_f64();
        let equity_at = |ts: Ts| {
            let before = outcome.curve.partition_point(|point| point.ts <= ts).checked_sub(1);
            before.and_then(|at| outcome.curve.get(at)).map_or(initial, |point| point.equity)
        };
        let gain = |trip: &Trip| trip.net / if compound { equity_at(trip.entered) } else { initial };
        let gains: Vec<f64> = left(&outcome.trips).map(gain).collect();
        let most = (WALKED_MAX / gains.len().max(1)).max(PATHS_MIN);
        let draws = options.resamples.min(u32::try_from(most).unwrap_or(u32::MAX));
        let ruin_level = options.ruin_level;
        let of = |replace| paths(&gains, &PathSetup { compound, replace, ruin_level, seed: options.seed, draws });
        Some(Self { draws, ruin_level, shuffled: of(false)?, redrawn: of(true)? })
    }
}
