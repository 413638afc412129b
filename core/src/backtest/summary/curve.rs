//! What the curve says.

use serde::Serialize;

use super::super::{Outcome, Point};
use super::{finite, ratio};
use crate::domain::{Span, Ts};

/// What returns are fractions of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnsBasis {
    /// Of the equity before; they compound.
    Equity,
    /// Of the first equity; they add up.
    InitialEquity,
}

/// What a return spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A UTC day.
    Day,
    /// A frame.
    Bar,
}

/// What the returns are that ratios are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Returns {
    /// Days where there are 30 or more of them, else bars.
    pub period: Period,
    /// What they are fractions of.
    pub returns_basis: ReturnsBasis,
    /// How many there are.
    pub count: usize,
    /// How many a year of 365 days has: what ratios are annualised by.
    pub periods_a_year: f64,
}

/// Returns of a curve, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What they are.
    pub about: Returns,
    /// One a period.
    pub values: Vec<f64>,
}

/// From a peak of equity to the next time it is reached again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drawdown {
    /// Largest loss, a fraction of the peak; where returns are taken on the first equity, of that, and then it may exceed
    /// 1. By closes of frames: what happened inside a bar is not seen.
    pub depth: f64,
    /// When the peak was.
    #[serde(serialize_with = "crate::domain::as_text::one")]
    pub begin: Ts,
    /// When the loss was largest.
    #[serde(serialize_with = "crate::domain::as_text::one")]
    pub trough: Ts,
    /// When the peak was reached again; `None` if it never was.
    #[serde(serialize_with = "crate::domain::as_text::maybe")]
    pub recovery: Option<Ts>,
    /// Seconds from the peak to the recovery, or to the end.
    pub seconds: f64,
}

/// Drawdowns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drawdowns {
    /// Up to ten, the deepest first.
    pub deepest: Vec<Drawdown>,
    /// Share of frames that end under an earlier peak, 0 to 1.
    pub under_water: f64,
    /// Seconds of the longest time from a peak to its recovery, or to the end.
    pub longest_seconds: f64,
    /// Ulcer index: root of the mean squared drawdown over all frames (Martin & McCann 1989), a fraction.
    pub ulcer_index: f64,
}

/// How much was held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Exposure {
    /// Share of frames that end with a position, 0 to 1.
    pub time: f64,
    /// Mean of gross exposure over equity (over the first equity, where returns are taken on it).
    pub gross: Option<f64>,
    /// Largest gross exposure over equity; absent where equity was zero or less while something was held.
    pub leverage_max: Option<f64>,
}

/// What trading cost, account currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Costs {
    /// Net gain with all costs added back.
    pub gross_pnl: f64,
    /// Fees.
    pub fees: f64,
    /// What fills cost beside the price reckoned with.
    pub slippage: f64,
    /// Funding paid (negative: received).
    pub funding: f64,
    /// `fees` as a fraction of `gross_pnl`; absent, as those below, where that is zero or less.
    pub fees_share: Option<f64>,
    /// `slippage` likewise.
    pub slippage_share: Option<f64>,
    /// `funding` likewise.
    pub funding_share: Option<f64>,
}

/// Days from which on returns are those of days.
const DAYS_MIN: usize = 30;
/// Drawdowns that are listed.
const DEEPEST: usize = 10;
/// A year, seconds.
const YEAR_SECS: f64 = 365.0 * 86_400.0;

/// The curve of an outcome, and what its returns are fractions of.
pub(super) struct Curve<'a> {
    points: &'a [Point],
    /// Cash in the beginning.
    pub(super) initial: f64,
    /// When the beginning was: the open of the first frame.
    pub(super) begin: Ts,
    /// What returns are fractions of.
    pub(super) basis: ReturnsBasis,
    /// Length in years of 365 days.
    pub(super) years: f64,
    /// Last equity of each UTC day that has a frame, with its number since the epoch.
    pub(super) days: Vec<(i64, f64)>,
}

impl<'a> Curve<'a> {
    /// A curve whose equity is not finite somewhere, or that begins with nothing, is none.
    pub(super) fn of(outcome: &'a Outcome, on_initial: bool) -> Self {
        let initial = outcome.initial_equity.to_f64();
        let is_sound = initial > 0.0 && outcome.curve.iter().all(|point| point.equity.is_finite());
        let points = if is_sound { outcome.curve.as_slice() } else { &[] };
        let ends = points.first().map(|point| point.ts).zip(points.last().map(|point| point.ts));
        let (first, last) = ends.or(outcome.from.zip(outcome.to)).unwrap_or_default();
        let begin = first - outcome.timeframe.span();
        let is_lost = points.iter().any(|point| point.equity <= 0.0);
        let mut days: Vec<(i64, f64)> = Vec::new();
        for point in points {
            let day = day_of(point.ts);
            match days.last_mut() {
                Some(last) if last.0 == day => last.1 = point.equity,
                _ => days.push((day, point.equity)),
            }
        }
        Self {
            points,
            initial,
            begin,
            basis: if on_initial || is_lost { ReturnsBasis::InitialEquity } else { ReturnsBasis::Equity },
            years: if ends.is_some() || outcome.from.is_some() { (last - begin).secs_f64() / YEAR_SECS } else { 0.0 },
            days,
        }
    }

    /// What a step from one equity to another returns.
    pub(super) fn change(&self, from: f64, to: f64) -> f64 {
        match self.basis {
            ReturnsBasis::Equity => to / from - 1.0,
            ReturnsBasis::InitialEquity => (to - from) / self.initial,
        }
    }

    fn base(&self, equity: f64) -> f64 {
        match self.basis {
            ReturnsBasis::Equity => equity,
            ReturnsBasis::InitialEquity => self.initial,
        }
    }

    /// Returns of days, with days between that have no frame as zeros, or of frames.
    pub(super) fn series(&self) -> Series {
        let span = self.days.first().zip(self.days.last()).map_or(0, |(first, last)| last.0 - first.0 + 1);
        let span = usize::try_from(span).unwrap_or_default();
        let (period, values) = if span < DAYS_MIN {
            (Period::Bar, self.steps(self.points.iter().map(|point| point.equity)).collect())
        } else {
            let mut values = vec![0.0; span];
            let first = self.days.first().map_or(0, |first| first.0);
            for ((day, _), change) in self.days.iter().zip(self.steps(self.days.iter().map(|day| day.1))) {
                let at = usize::try_from(day - first).unwrap_or_default();
                values.get_mut(at).into_iter().for_each(|value| *value = change);
            }
            (Period::Day, values)
        };
        let periods_a_year = match period {
            Period::Day => 365.0,
            Period::Bar => ratio(values.len() as f64, self.years).unwrap_or_default(),
        };
        let about = Returns { period, returns_basis: self.basis, count: values.len(), periods_a_year };
        Series { about, values }
    }

    /// Returns from equity to equity, the first from the beginning.
    fn steps(&self, equities: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
        let mut before = self.initial;
        equities.map(move |equity| {
            let change = self.change(before, equity);
            before = equity;
            change
        })
    }

    pub(super) fn annual_return(&self) -> Option<f64> {
        let last = self.points.last().filter(|_| self.years > 0.0)?.equity;
        finite(Some(match self.basis {
            ReturnsBasis::Equity => (last / self.initial).powf(1.0 / self.years) - 1.0,
            ReturnsBasis::InitialEquity => self.change(self.initial, last) / self.years,
        }))
    }

    pub(super) fn drawdowns(&self) -> Option<Drawdowns> {
        let end = self.points.last()?.ts;
        let mut found = Deepest::default();
        let (mut peak, mut peak_at) = (self.initial, self.begin);
        let (mut depth, mut trough) = (0.0, self.begin);
        let (mut under, mut squares) = (0_usize, 0.0);
        for point in self.points {
            if point.equity >= peak {
                found.add(depth, peak_at, trough, Some(point.ts), end);
                (peak, peak_at, depth) = (point.equity, point.ts, 0.0);
                continue;
            }
            let loss = (peak - point.equity) / self.base(peak);
            if loss > depth {
                (depth, trough) = (loss, point.ts);
            }
            under += 1;
            squares += loss * loss;
        }
        found.add(depth, peak_at, trough, None, end);
        let n = self.points.len() as f64;
        Some(Drawdowns {
            deepest: found.list,
            under_water: under as f64 / n,
            longest_seconds: found.longest,
            ulcer_index: (squares / n).sqrt(),
        })
    }

    pub(super) fn exposure(&self, outcome: &Outcome) -> Option<Exposure> {
        let held = self.points.iter().filter(|point| point.gross > 0.0).count();
        let gross: f64 = self.points.iter().map(|point| point.gross / self.base(point.equity)).sum();
        let n = self.points.len() as f64;
        (!self.points.is_empty()).then(|| Exposure {
            time: held as f64 / n,
            gross: finite(Some(gross / n)),
            leverage_max: finite(Some(outcome.leverage_max)),
        })
    }

    pub(super) fn turnover(&self, outcome: &Outcome) -> Option<f64> {
        let bases: f64 = self.points.iter().map(|point| self.base(point.equity)).sum();
        ratio(ratio(outcome.turnover, self.years)? * self.points.len() as f64, bases)
    }
}

/// The day that a frame which closes at `close` belongs to: one that closes at midnight ends the day before.
fn day_of(close: Ts) -> i64 {
    (close - Span::from_nanos(1)).day()
}

/// The deepest drawdowns so far, the deepest first; of equal ones the earlier.
#[derive(Default)]
struct Deepest {
    list: Vec<Drawdown>,
    longest: f64,
}

impl Deepest {
    fn add(&mut self, depth: f64, begin: Ts, trough: Ts, recovery: Option<Ts>, end: Ts) {
        if depth <= 0.0 {
            return;
        }
        let seconds = (recovery.unwrap_or(end) - begin).secs_f64();
        self.longest = self.longest.max(seconds);
        let at = self.list.partition_point(|other| other.depth >= depth);
        if at < DEEPEST {
            self.list.truncate(DEEPEST - 1);
            self.list.insert(at, Drawdown { depth, begin, trough, recovery, seconds });
        }
    }
}

/// The returns of an outcome's curve, as [`super::Summary::returns`] describes them: what trials of a sweep are compared by, see
/// [`crate::statistics::overfitting`]. A curve that was not kept has none. Days without a frame return zero, so that a year has
/// 365 days in every market; the first and the last day may be parts of days. `on_initial` as in [`super::SummaryOptions`].
pub fn periods(outcome: &Outcome, on_initial: bool) -> Series {
    Curve::of(outcome, on_initial).series()
}

impl Costs {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let (fees, funding) = (outcome.fees.to_f64(), outcome.funding.to_f64());
        let slippage = finite(Some(outcome.slippage)).unwrap_or_default();
        let gross_pnl = outcome.net_pnl.to_f64() + fees + funding + slippage;
        Self {
            gross_pnl,
            fees,
            slippage,
            funding,
            fees_share: ratio(fees, gross_pnl),
            slippage_share: ratio(slippage, gross_pnl),
            funding_share: ratio(funding, gross_pnl),
        }
    }
}
