//! What a backtest's outcome means: how much, at what risk, and how much of it may be chance.
//!
//! Every figure is finite or absent, so that JSON holds no NaN. Fractions are fractions: 0.1 is 10 %. Money is in account
//! currency; that of trips is in quote currency and is added up as if both were one.

mod breakdown;
mod calendar;
mod chance;
mod curve;
mod trades;

use serde::Serialize;

pub use breakdown::{Breakdowns, Group};
pub use calendar::{Extreme, Extremes, Month};
pub use chance::{Chance, Deflated, EntryTest, Intervals, OrderTest, Trials, entry_test};
pub use curve::{Costs, Drawdown, Drawdowns, Exposure, Period, Returns, ReturnsBasis, Series, periods};
pub use trades::Trades;

use self::calendar::Calendar;
use self::curve::Curve;
use super::{MarketPast, Outcome};
use crate::domain::Ts;
pub use crate::statistics::{Interval, Paths};
use crate::statistics::{Shape, Z95, normal_quantile, sharpe, sortino, std_dev};

/// How an outcome is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SummaryOptions<'a> {
    /// Seed of every draw: the same seed gives the same figures.
    pub seed: u64,
    /// How often is drawn again (bootstrap, order of trips, entries); 0 leaves these out. Long lists of trips are drawn
    /// less often, see [`OrderTest::draws`] and [`EntryTest::draws`].
    pub resamples: u32,
    /// The sweep that this is the chosen one of; `None`: nothing was tried beside it.
    pub trials: Option<Trials>,
    /// Level of all intervals, over 0 and under 1.
    pub confidence: f64,
    /// Share of the first equity at which a path counts as ruined, 0 to 1.
    pub ruin_level: f64,
    /// Whether returns are taken on the first equity although equity stays over zero: so for an account without limits
    /// that trades a fixed size, whose gains do not grow with equity.
    pub on_initial: bool,
    /// The market, for the test of entries; without it there is none.
    pub market: Option<&'a MarketPast>,
}

impl Default for SummaryOptions<'_> {
    fn default() -> Self {
        Self {
            seed: 0,
            resamples: 1_000,
            trials: None,
            confidence: 0.95,
            ruin_level: 0.5,
            on_initial: false,
            market: None,
        }
    }
}

/// What a backtest came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Close of the first frame.
    #[serde(serialize_with = "crate::domain::as_text::maybe")]
    pub from: Option<Ts>,
    /// Close of the last frame.
    #[serde(serialize_with = "crate::domain::as_text::maybe")]
    pub to: Option<Ts>,
    /// Length in years of 365 days, from the open of the first frame.
    pub years: f64,
    /// Bars over all symbols.
    pub bars: u64,
    /// Frames.
    pub frames: u64,
    /// Executions.
    pub fills: u64,
    /// Cash in the beginning.
    pub initial_equity: f64,
    /// Cash and positions at the end.
    pub final_equity: f64,
    /// The difference.
    pub net_pnl: f64,
    /// `net_pnl` as a fraction of the first equity.
    pub total_return: Option<f64>,
    /// What `returns`, and all that is made of them, are.
    pub returns: Returns,
    /// Growth a year; where returns are taken on the first equity, mean gain a year as a fraction of it.
    pub annual_return: Option<f64>,
    /// Sharpe ratio a year.
    pub sharpe: Option<f64>,
    /// Sortino ratio a year, target 0.
    pub sortino: Option<f64>,
    /// `annual_return` over the deepest drawdown.
    pub calmar: Option<f64>,
    /// Standard deviation a year.
    pub volatility: Option<f64>,
    /// Skewness of the returns of periods.
    pub skewness: Option<f64>,
    /// Kurtosis of the returns of periods; 3 for a normal distribution.
    pub kurtosis: Option<f64>,
    /// Depth of the deepest drawdown, a fraction, 0 where there was none; absent, as all that is made of the curve, where
    /// none was kept.
    pub max_drawdown: Option<f64>,
    /// Drawdowns.
    pub drawdowns: Option<Drawdowns>,
    /// How much was held.
    pub exposure: Option<Exposure>,
    /// Notional traded a year, in multiples of mean equity (of the first equity, where returns are taken on it).
    pub turnover: Option<f64>,
    /// What trading cost.
    pub costs: Costs,
    /// Positions that were taken and left.
    pub trades: Trades,
    /// Best and worst days and months.
    pub extremes: Extremes,
    /// Calendar months, UTC, oldest first; the first and the last may be parts of months.
    pub months: Vec<Month>,
    /// How sure the Sharpe ratio is.
    pub chance: Chance,
    /// Intervals by the bootstrap.
    pub intervals: Option<Intervals>,
    /// Whether the times of the entries mattered.
    pub entries: Option<EntryTest>,
    /// What other orders of the same trips would have come to.
    pub orders: Option<OrderTest>,
    /// Trips by what they have in common.
    pub by: Breakdowns,
}

/// What trials of a sweep are compared by: those figures of a [`Summary`] that cost little, and the returns that they are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFigures {
    /// See [`periods`].
    pub returns: Series,
    /// As [`Summary::total_return`].
    pub total_return: Option<f64>,
    /// As [`Summary::annual_return`].
    pub annual_return: Option<f64>,
    /// As [`Summary::sharpe`].
    pub sharpe: Option<f64>,
    /// As [`Summary::calmar`].
    pub calmar: Option<f64>,
    /// As [`Summary::max_drawdown`].
    pub max_drawdown: Option<f64>,
}

impl KeyFigures {
    fn new(outcome: &Outcome, curve: &Curve<'_>, drawdowns: Option<&Drawdowns>) -> Self {
        let returns = curve.series();
        let max_drawdown = drawdowns.map(|all| all.deepest.first().map_or(0.0, |deepest| deepest.depth));
        let annual_return = curve.annual_return();
        Self {
            total_return: ratio(outcome.net_pnl.to_f64(), outcome.initial_equity.to_f64()),
            annual_return,
            sharpe: finite(sharpe(&returns.values, returns.about.periods_a_year)),
            calmar: annual_return.zip(max_drawdown).and_then(|(gain, depth)| ratio(gain, depth)),
            max_drawdown,
            returns,
        }
    }
}

/// The key figures of an outcome whose curve was kept. `on_initial` as in [`SummaryOptions`].
pub fn key_figures(outcome: &Outcome, on_initial: bool) -> KeyFigures {
    let curve = Curve::of(outcome, on_initial);
    let drawdowns = curve.drawdowns();
    KeyFigures::new(outcome, &curve, drawdowns.as_ref())
}

/// Judges an outcome. Returns, ratios and drawdowns are made of its curve, trades of its trips; what was not kept is absent. The
/// cost is linear in frames; drawing again costs `resamples` times the days (of less than 30 days: up to 5,000 bars) and trips.
pub fn summarise(outcome: &Outcome, options: &SummaryOptions<'_>) -> Summary {
    let curve = Curve::of(outcome, options.on_initial);
    let drawdowns = curve.drawdowns();
    let figures = KeyFigures::new(outcome, &curve, drawdowns.as_ref());
    let KeyFigures { returns: series, total_return, annual_return, sharpe, calmar, max_drawdown } = figures;
    let (values, a_year) = (&series.values, series.about.periods_a_year);
    let shape = Shape::of(values);
    let calendar = Calendar::of(&curve);
    Summary {
        from: outcome.from,
        to: outcome.to,
        years: curve.years,
        bars: outcome.bars,
        frames: outcome.frames,
        fills: outcome.fills,
        initial_equity: outcome.initial_equity.to_f64(),
        final_equity: outcome.final_equity.to_f64(),
        net_pnl: outcome.net_pnl.to_f64(),
        total_return,
        returns: series.about,
        annual_return,
        sharpe,
        sortino: finite(sortino(values, a_year)),
        calmar,
        volatility: finite(std_dev(values).map(|deviation| deviation * a_year.sqrt())),
        skewness: shape.map(|shape| shape.skewness),
        kurtosis: shape.map(|shape| shape.kurtosis),
        max_drawdown,
        drawdowns,
        exposure: curve.exposure(outcome),
        turnover: curve.turnover(outcome),
        costs: Costs::of(outcome),
        trades: Trades::of(&outcome.trips, options.confidence),
        extremes: calendar.extremes(),
        months: calendar.months,
        chance: Chance::of(sharpe, shape.as_ref(), a_year, options),
        intervals: Intervals::of(&series, options),
        entries: options.market.and_then(|market| entry_test(market, outcome, options.seed, options.resamples)),
        orders: OrderTest::of(outcome, series.about.returns_basis, options),
        by: Breakdowns::of(&outcome.trips, options.confidence),
    }
}

/// A figure if it is finite: JSON knows no other.
fn finite(figure: Option<f64>) -> Option<f64> {
    figure.filter(|figure| figure.is_finite())
}

/// `part / whole`, for a whole over zero.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    finite((whole > 0.0).then(|| part / whole))
}

/// The quantile of a two-sided interval of this level; that of 95 % for one that is none.
fn two_sided(confidence: f64) -> f64 {
    normal_quantile(f64::midpoint(1.0, confidence)).filter(|z| *z > 0.0).unwrap_or(Z95)
}

#[cfg(test)]
mod tests;
