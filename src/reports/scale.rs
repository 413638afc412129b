//! Axes: how values become places, where marks stand, and what is written at them. Pages and pictures share them.

use jiff::civil::{Date, date};
use levibot_core::domain::Ts;

const DAY_SECS: f64 = 86_400.0;
/// Largest over smallest from which a positive curve is shown in logarithms: equal steps up are then equal gains.
const LOG_FROM: f64 = 4.0;

/// Equal steps in value, or equal steps in ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart; needs values over zero.
    Log,
}

impl Steps {
    /// What fits a curve between these values.
    pub(super) fn fitting((low, high): (f64, f64)) -> Self {
        if low > 0.0 && high / low >= LOG_FROM { Self::Log } else { Self::Linear }
    }
}

/// An axis from its lowest value to its highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    steps: Steps,
}

impl Axis {
    /// Equal steps. What is not finite becomes 0 to 1, and no span at all is widened, so that one value can be drawn.
    pub(super) fn linear((low, high): (f64, f64)) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() { (low.min(high), low.max(high)) } else { (0.0, 1.0) };
        let least = (low.abs().max(high.abs()) * 1e-9).max(1e-12);
        let pad = match high - low > least {
            true => 0.0,
            false if low.abs() > least => low.abs() * 0.01,
            false => 0.01,
        };
        Self { low: low - pad, high: high + pad, steps: Steps::Linear }
    }

    /// As `steps` says; linear where a logarithm does not exist.
    pub(super) fn new(steps: Steps, (low, high): (f64, f64)) -> Self {
        let axis = Self::linear((low, high));
        if steps == Steps::Log && axis.low > 0.0 { Self { steps, ..axis } } else { axis }
    }

    /// Whether steps are ratios.
    pub(super) fn is_log(&self) -> bool {
        self.steps == Steps::Log
    }

    /// With room of a share of its length at both ends.
    pub(super) fn padded(self, share: f64) -> Self {
        match self.steps {
            Steps::Linear => {
                let room = (self.high - self.low) * share;
                Self { low: self.low - room, high: self.high + room, ..self }
            }
            Steps::Log => {
                let room = (self.high / self.low).powf(share);
                Self { low: self.low / room, high: self.high * room, ..self }
            }
        }
    }

    /// Where a value lies: 0 at the lower end, 1 at the upper one; held inside.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.steps {
            Steps::Linear => (value - self.low) / (self.high - self.low),
            Steps::Log => (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln(),
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Round values inside, at most about `most`, and how far apart they are at least.
    pub(super) fn marks(&self, most: usize) -> Marks {
        let values = match self.steps {
            Steps::Linear => return linear_marks((self.low, self.high), most),
            Steps::Log => log_marks((self.low, self.high)),
        };
        // Less than three round ones between narrow ends: equal steps say more.
        if values.len() < 3 || values.len() > most.max(3) * 2 {
            return linear_marks((self.low, self.high), most);
        }
        let apart = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        Marks { values, apart }
    }
}

/// Marks of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marks {
    /// Lowest first.
    pub(super) values: Vec<f64>,
    /// Least distance between two.
    pub(super) apart: f64,
}

/// Steps of 1, 2 or 5 times a power of ten.
fn linear_marks((low, high): (f64, f64), most: usize) -> Marks {
    let rough = (high - low) / most.max(2) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    let at = |n: u32| {
        let value = (first + f64::from(n)) * step;
        // Zero is zero, not the rest of a sum.
        if value.abs() < step * 1e-9 { 0.0 } else { value }
    };
    let values = (0..64).map(at).take_while(|mark| *mark <= high + step * 1e-9).collect();
    Marks { values, apart: step }
}

/// 1, 2 and 5 times powers of ten; only powers where these are many.
fn log_marks((low, high): (f64, f64)) -> Vec<f64> {
    let decades = (high / low).log10();
    let times: &[f64] = if decades > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut power = 10_f64.powf(low.log10().floor());
    let mut values = Vec::new();
    while power <= high && values.len() < 64 {
        values.extend(times.iter().map(|n| n * power).filter(|value| (low..=high).contains(value)));
        power *= 10.0;
    }
    values
}

/// Marks of a time axis, given in seconds since the epoch, with their words: years, months, days or times of day.
pub(super) fn time_marks((from, to): (f64, f64), most: usize) -> Vec<(f64, String)> {
    let days = (to - from) / DAY_SECS;
    let most = most.max(2) as f64;
    if days < 2.0 {
        return clock_marks((from, to), most);
    }
    let months = days / 30.4;
    let step = if months < most / 2.0 {
        None
    } else {
        [1, 2, 3, 6, 12, 24, 60, 120].into_iter().find(|step| months / f64::from(*step) <= most)
    };
    match step {
        Some(step) => month_marks((from, to), step),
        None if months >= most / 2.0 => month_marks((from, to), 240),
        None => day_marks((from, to), most),
    }
}

fn clock_marks((from, to): (f64, f64), most: f64) -> Vec<(f64, String)> {
    let steps = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0];
    let step = steps.into_iter().find(|step| (to - from) / step <= most).unwrap_or(DAY_SECS);
    let from_text = if step < 60.0 { 11..19 } else { 11..16 };
    every((from, to), step, |text| text.get(from_text.clone()).unwrap_or_default().to_owned())
}

fn day_marks((from, to): (f64, f64), most: f64) -> Vec<(f64, String)> {
    let steps = [1.0, 2.0, 7.0, 14.0, 28.0];
    let days = (to - from) / DAY_SECS;
    let step = steps.into_iter().find(|step| days / step <= most).unwrap_or(28.0);
    every((from, to), step * DAY_SECS, |text| text.get(5..10).unwrap_or_default().to_owned())
}

fn every((from, to): (f64, f64), step: f64, words: impl Fn(&str) -> String) -> Vec<(f64, String)> {
    let first = (from / step).ceil();
    let at = |n: u32| (first + f64::from(n)) * step;
    (0..64).map(at).take_while(|at| *at <= to).map(|at| (at, words(&moment(at).to_string()))).collect()
}

fn month_marks((from, to): (f64, f64), step: i32) -> Vec<(f64, String)> {
    let Some(start) = civil(from) else { return Vec::new() };
    let first = (i32::from(start.year()) * 12 + i32::from(start.month()) - 1).div_euclid(step) * step;
    let month_at = |n: i32| {
        let month = first + n * step;
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let day = Date::new(year, i8::try_from(month.rem_euclid(12) + 1).ok()?, 1).ok()?;
        let words = if step >= 12 { day.strftime("%Y") } else { day.strftime("%Y-%m") };
        Some((day_number(day) * DAY_SECS, words.to_string()))
    };
    let inside = |mark: &(f64, String)| (from..=to).contains(&mark.0);
    (0..64).filter_map(month_at).filter(inside).collect()
}

/// Seconds since the epoch as an instant.
#[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates, and so does the instant")]
pub(super) fn moment(secs: f64) -> Ts {
    Ts::from_secs(secs as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates; a day outside the calendar is none")]
fn civil(secs: f64) -> Option<Date> {
    let days = jiff::Span::new().try_days((secs / DAY_SECS).floor() as i64).ok()?;
    date(1970, 1, 1).checked_add(days).ok()
}

/// Days from the epoch to a date.
fn day_number(day: Date) -> f64 {
    day.duration_since(date(1970, 1, 1)).as_secs() as f64 / DAY_SECS
}

/// The lowest and the highest of some numbers, those that are not finite left out; infinite where there is none.
pub(super) fn span_of(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}
