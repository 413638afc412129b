//! What days and months came to.

use serde::Serialize;

use super::curve::Curve;
use crate::domain::{Span, Ts};

/// A day or a month, and its return.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Extreme {
    /// Its first instant, UTC.
    #[serde(serialize_with = "crate::domain::as_text::one")]
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

/// Days and months with a frame. A month belongs to the days whose last equity it holds.
pub(super) struct Calendar {
    days: Vec<Extreme>,
    /// Oldest first.
    pub(super) months: Vec<Month>,
}

impl Calendar {
    pub(super) fn of(curve: &Curve<'_>) -> Self {
        let mut found = Self { days: Vec::with_capacity(curve.days.len()), months: Vec::new() };
        // What a month's return is reckoned from: the last equity before it.
        let (mut before, mut before_month) = (curve.initial, curve.initial);
        for (day, equity) in &curve.days {
            found.days.push(Extreme { start: start_of(*day), change: curve.change(before, *equity) });
            let (year, month) = month_of(*day);
            if found.months.last().is_none_or(|last| (last.year, last.month) != (year, month)) {
                before_month = before;
                found.months.push(Month { year, month, change: 0.0 });
            }
            if let Some(last) = found.months.last_mut() {
                last.change = curve.change(before_month, *equity);
            }
            before = *equity;
        }
        found
    }

    pub(super) fn extremes(&self) -> Extremes {
        let months = || self.months.iter().map(|month| Extreme { start: start_of_month(*month), change: month.change });
        let days = || self.days.iter().copied();
        Extremes {
            best_day: days().reduce(|a, b| if b.change > a.change { b } else { a }),
            worst_day: days().reduce(|a, b| if b.change < a.change { b } else { a }),
            best_month: months().reduce(|a, b| if b.change > a.change { b } else { a }),
            worst_month: months().reduce(|a, b| if b.change < a.change { b } else { a }),
        }
    }
}

fn start_of(day: i64) -> Ts {
    Ts::EPOCH + Span::DAY.times(day)
}

/// 1970-01-01, which days are counted from.
const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

fn month_of(day: i64) -> (i16, i8) {
    let date = EPOCH.saturating_add(jiff::Span::new().days(day));
    (date.year(), date.month())
}

fn start_of_month(month: Month) -> Ts {
    let first = jiff::civil::date(month.year, month.month, 1);
    let days = first.duration_since(EPOCH).as_secs().div_euclid(86_400);
    start_of(days)
}
