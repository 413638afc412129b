//! What the curve says.

use serde::Serialize;

use super::super::Outcome;
use crate::domain::Ts;

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
    pub begin: Ts,
    /// When the loss was largest.
    pub trough: Ts,
    /// When the peak was reached again; `None` if it never was.
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

/// A day or a month, and its return.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Extreme {
    /// Its first instant, UTC.
    pub start: Ts,
    /// Its return.
    #[serde(rename = "return")]
    pub change: f64,
}

/// Best and worst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Extremes {
    /// The day with the highest return.
    pub best_day: Option<Extreme>,
    /// The day with the lowest one.
    pub worst_day: Option<Extreme>,
    /// The month with the highest return.
    pub best_month: Option<Extreme>,
    /// The month with the lowest one.
    pub worst_month: Option<Extreme>,
}

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Month {
    /// Of the common era.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// Its return.
    #[serde(rename = "return")]
    pub change: f64,
}

/// The returns of a curve.
pub fn periods(_outcome: &Outcome, on_initial: bool) -> Series {
    let returns_basis = if on_initial { ReturnsBasis::InitialEquity } else { ReturnsBasis::Equity };
    let about = Returns { period: Period::Day, returns_basis, count: 0, periods_a_year: 365.0 };
    Series { about, values: Vec::new() }
}
