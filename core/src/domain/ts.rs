//! Time: instants and spans, both whole nanoseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, UTC, without leap seconds. Covers the years 1678 to 2261.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ts(i64);

/// A signed length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

/// Text that is not an instant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a time: write 2022-06-01 or 2022-06-01T13:30:00Z (UTC)")]
pub struct ParseTsError {
    text: String,
}

impl Ts {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last instant that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the epoch; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Seconds since the epoch as a floating number, for JSON and metrics.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Whole UTC days since the epoch: the number that changes at midnight.
    #[inline]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Span::DAY.0)
    }

    /// Nanoseconds since midnight UTC.
    pub const fn time_of_day(self) -> Span {
        Span(self.0.rem_euclid(Span::DAY.0))
    }

    /// Day of the week, Monday = 0. The epoch was a Thursday.
    pub const fn weekday(self) -> i64 {
        (self.day() + 3).rem_euclid(7)
    }

    /// `YYYYMMDD` in UTC, as in names of log files.
    pub fn yyyymmdd(self) -> String {
        self.to_string().chars().take(10).filter(|c| *c != '-').collect()
    }

    /// The instant `span` later, staying inside the range.
    #[inline]
    pub const fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// Writes instants as text, where people read what is written: `#[serde(serialize_with = "as_text::one")]`.
pub mod as_text {
    use serde::{Serialize, Serializer};

    use super::Ts;

    /// One, as in `2022-06-01T13:30:00Z`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn one<S: Serializer>(ts: &Ts, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(ts)
    }

    /// One that may be absent.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn maybe<S: Serializer>(ts: &Option<Ts>, to: S) -> Result<S::Ok, S::Error> {
        ts.map(|ts| ts.to_string()).serialize(to)
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One millisecond.
    pub const MILLISECOND: Self = Self(1_000_000);
    /// One second.
    pub const SECOND: Self = Self(1_000_000_000);
    /// One minute.
    pub const MINUTE: Self = Self(60 * Self::SECOND.0);
    /// One hour.
    pub const HOUR: Self = Self(60 * Self::MINUTE.0);
    /// Twenty-four hours.
    pub const DAY: Self = Self(24 * Self::HOUR.0);

    /// From nanoseconds.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    #[inline]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds as a floating number.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This span `n` times, saturating.
    #[inline]
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add<Span> for Ts {
    type Output = Self;
    #[inline]
    fn add(self, rhs: Span) -> Self {
        self.saturating_add(rhs)
    }
}

impl Sub<Span> for Ts {
    type Output = Self;
    #[inline]
    fn sub(self, rhs: Span) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl Sub for Ts {
    type Output = Span;
    #[inline]
    fn sub(self, rhs: Self) -> Span {
        Span(self.0.saturating_sub(rhs.0))
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{stamp}")
    }
}

impl Ts {
    /// Reads the end of a range. A date alone means the end of that day, which is therefore inside: `2022-12-31` is
    /// 2023-01-01T00:00:00Z, the instant at which the last bar of the day closes. Anything else is read as text of an
    /// instant.
    ///
    /// # Errors
    /// [`ParseTsError`] when the text is no time.
    pub fn parse_end(text: &str) -> Result<Self, ParseTsError> {
        let ts: Self = text.parse()?;
        let date_alone = !text.trim().contains(['T', 't', ' ', ':']);
        Ok(if date_alone { ts + Span::DAY } else { ts })
    }
}

impl FromStr for Ts {
    type Err = ParseTsError;

    /// Reads `2022-06-01`, `2022-06-01T13:30:00Z`, an explicit offset (`+03:00`), or a date and time without one, which
    /// is taken as UTC. A space may stand for the `T`.
    fn from_str(text: &str) -> Result<Self, ParseTsError> {
        let fail = || ParseTsError { text: text.to_owned() };
        let text = text.trim();
        let nanos = if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
            stamp.as_nanosecond()
        } else if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| fail())?.timestamp().as_nanosecond()
        } else {
            return Err(fail());
        };
        i64::try_from(nanos).map(Self).map_err(|_| fail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_stamp_of_the_data_sources() {
        let noon = Ts::from_secs(1_654_084_800);
        for text in
            ["2022-06-01T12:00:00Z", "2022-06-01 12:00:00+00:00", "2022-06-01 15:00:00+03:00", "2022-06-01 12:00:00"]
        {
            assert_eq!(text.parse::<Ts>(), Ok(noon), "{text}");
        }
        assert_eq!("2022-06-01".parse::<Ts>(), Ok(Ts::from_secs(1_654_041_600)));
        assert_eq!(noon.to_string(), "2022-06-01T12:00:00Z");
        assert_eq!(noon.yyyymmdd(), "20220601");
        assert_eq!(noon.weekday(), 2, "a Wednesday");
        assert_eq!(noon.time_of_day(), Span::HOUR.times(12));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "yesterday", "2022-13-01", "2022-06-01T25:00:00Z", "NaN"] {
            assert!(text.parse::<Ts>().is_err(), "{text}");
        }
    }
}
