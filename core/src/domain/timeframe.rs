//! Bar lengths.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Span, Ts};

/// The length of a bar: whole seconds, from one second to one week. Written `1s`, `5m`, `1h`, `1d`, `1w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeframe(u32);

/// Text that is not a timeframe.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a timeframe: write a number and a unit, from 1s to 1w (1m, 15m, 1h, 1d)")]
pub struct ParseTimeframeError {
    text: String,
}

const UNITS: [(char, u32); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Timeframe {
    /// One second.
    pub const SECOND: Self = Self(1);
    /// One minute.
    pub const MINUTE: Self = Self(60);
    /// One hour.
    pub const HOUR: Self = Self(3_600);

    /// From seconds; `None` outside 1 second to 1 week.
    pub fn from_secs(secs: u32) -> Option<Self> {
        (1..=604_800).contains(&secs).then_some(Self(secs))
    }

    /// Length in seconds.
    pub const fn secs(self) -> u32 {
        self.0
    }

    /// Length as a span.
    pub const fn span(self) -> Span {
        Span::from_secs(self.0 as i64)
    }

    /// The start of the bar that holds `ts`, bars being aligned to the epoch.
    pub const fn floor(self, ts: Ts) -> Ts {
        let len = self.span().nanos();
        Ts::from_nanos(ts.nanos().div_euclid(len) * len)
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, secs) in UNITS {
            if self.0.is_multiple_of(secs) {
                return write!(f, "{}{unit}", self.0 / secs);
            }
        }
        Ok(())
    }
}

impl FromStr for Timeframe {
    type Err = ParseTimeframeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeframeError> {
        let fail = || ParseTimeframeError { text: text.to_owned() };
        let unit = text.chars().last().ok_or_else(fail)?;
        let number = text.strip_suffix(unit).ok_or_else(fail)?;
        let (_, secs) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?;
        let count: u32 = number.parse().map_err(|_| fail())?;
        count.checked_mul(*secs).and_then(Self::from_secs).ok_or_else(fail)
    }
}

impl Serialize for Timeframe {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timeframe {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_in_its_largest_unit() {
        for text in ["1s", "90s", "5m", "1h", "4h", "1d", "1w"] {
            assert_eq!(text.parse::<Timeframe>().unwrap().to_string(), text);
        }
        assert_eq!("60m".parse::<Timeframe>().unwrap().to_string(), "1h");
        for text in ["", "m", "0m", "-1h", "1y", "2w", "1.5h", "99999999999h", "5µ"] {
            assert!(text.parse::<Timeframe>().is_err(), "{text}");
        }
    }

    #[test]
    fn floor_is_aligned_before_the_epoch_too() {
        assert_eq!(Timeframe::HOUR.floor(Ts::from_secs(-1)), Ts::from_secs(-3_600));
        assert_eq!(Timeframe::HOUR.floor(Ts::from_secs(7_199)), Ts::from_secs(3_600));
    }
}
