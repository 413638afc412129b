//! Names: venues, symbols, instruments, runs and orders.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that cannot be a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a {what}: {remedy}")]
pub struct NameError {
    what: &'static str,
    text: String,
    remedy: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $remedy:literal, $ok:expr) => {
        $(#[$doc])*
        // Names are compared far more often than they are read: zeros behind the text make that a comparison of whole words,
        // and sort as the text does, which has none in it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            bytes: [u8; $len],
            len: u8,
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                let text = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let fail = || NameError { what: $what, text: text.chars().take(64).collect(), remedy: $remedy };
                let ok: fn(char) -> bool = $ok;
                if text.is_empty() || !text.chars().all(ok) || text.starts_with('.') {
                    return Err(fail());
                }
                let mut bytes = [0; $len];
                bytes.get_mut(..text.len()).ok_or_else(fail)?.copy_from_slice(text.as_bytes());
                let len = u8::try_from(text.len()).map_err(|_| fail())?;
                Ok(Self { bytes, len })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// A venue's name, such as `binance` or `sim`. At most 16 characters.
    Venue, 16, "venue", "use 1 to 16 lower-case letters, digits or `_`",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
);
name!(
    /// An asset that can be held, such as `BTC` or `USDT`. At most 16 characters.
    Asset, 16, "asset", "use 1 to 16 upper-case letters, digits, `.`, `_` or `-`",
    |c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
);
name!(
    /// A symbol as its venue writes it, such as `BTCUSDT` or `AKBNK.IS`. At most 24 characters; it may stand in file
    /// names, so it holds no path separator and does not start with a dot.
    Symbol, 24, "symbol", "use 1 to 24 upper-case letters, digits, `.`, `_`, `-` or `=`",
    |c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '=')
);
name!(
    /// The name of a run: one account's life in one data folder.
    RunId, 32, "run id", "use 1 to 32 lower-case letters, digits or `-`",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);
name!(
    /// A client order id: `lb-` and 26 characters of base 32. Venues accept up to 36 characters.
    OrderId, 32, "order id", "it starts with `lb-` and holds lower-case base 32",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);
name!(
    /// A version of the fusion model: when it was trained, such as `20251014_030000`. At most 32 characters; it stands in
    /// the name of its folder, `ensemble_20251014_030000`.
    ModelVersion, 32, "model version", "use 1 to 32 lower-case letters, digits, `_` or `-`",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
);

impl OrderId {
    /// The id of an order that is counted and not named: `lb-` and the number in hexadecimal, so that they sort as they
    /// were counted. For backtests, where one number is one order for good.
    #[inline]
    pub fn counted(number: u64) -> Self {
        /// One in every byte.
        const ONES: u128 = u128::MAX / 0xFF;
        /// Halves, quarters and so on of 128 bits, every other one.
        const MASKS: [(u32, u128); 4] = [
            (32, 0x0000_0000_FFFF_FFFF_0000_0000_FFFF_FFFF),
            (16, 0x0000_FFFF_0000_FFFF_0000_FFFF_0000_FFFF),
            (8, 0x00FF_00FF_00FF_00FF_00FF_00FF_00FF_00FF),
            (4, 0x0F0F_0F0F_0F0F_0F0F_0F0F_0F0F_0F0F_0F0F),
        ];
        // Four bits go into each byte, and all bytes become digits at once: letters begin 39 places behind the nine.
        let nibbles = MASKS.iter().fold(u128::from(number), |x, (shift, mask)| (x | (x << shift)) & mask);
        let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
        let digits = nibbles + u128::from(b'0') * ONES + 39 * letters;
        let mut bytes = *b"lb-00000000000000000000000000000";
        if let Some(end) = bytes.last_chunk_mut() {
            *end = digits.to_be_bytes();
        }
        Self { bytes, len: 32 }
    }

    /// The last eight characters, as a number: bits that differ where ids do.
    #[inline]
    pub(crate) fn last_bits(&self) -> u64 {
        let text = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        text.last_chunk().map_or(0, |last| u64::from_be_bytes(*last))
    }
}

/// An instrument: a symbol at a venue. Written `binance:BTCUSDT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstrumentId {
    /// Where it trades.
    pub venue: Venue,
    /// What it is called there.
    pub symbol: Symbol,
}

impl fmt::Display for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.venue, self.symbol)
    }
}

/// The place of an instrument in the run's table, which is sorted by symbol when the run begins and only ever grows.
/// It is the order in which intents of one instant are taken. Events carry it instead of a name because it is a direct
/// index; records carry the name because they outlive the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ix(pub u16);

impl Ix {
    /// As an index into a vector.
    #[inline]
    pub const fn at(self) -> usize {
        self.0 as usize
    }

    /// From a position in a table; `None` beyond 65,535 instruments.
    #[inline]
    pub fn from_usize(at: usize) -> Option<Self> {
        u16::try_from(at).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_harm_are_refused() {
        for text in ["", "../etc", ".BTC", "btcusdt", "BTC/USDT", "A B", "BTCUSDTBTCUSDTBTCUSDTBTCUSDT", "BTC\n"] {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
        for text in ["BTCUSDT", "AKBNK.IS", "USDTRY=X", "1000SATSUSDT"] {
            assert_eq!(text.parse::<Symbol>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn counted_orders_are_told_apart_and_sort_as_they_were_counted() {
        let numbers = [0, 1, 9, 10, 15, 16, 255, 4_096, 1 << 40, u64::MAX];
        let ids = numbers.map(OrderId::counted);
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        for id in ids {
            assert_eq!(id.as_str().parse::<OrderId>().unwrap(), id);
            assert!(id.is_ours());
        }
    }

    #[test]
    fn names_sort_as_their_text_does() {
        let names = ["A", "A-", "A.B", "A0", "AA", "AAA", "AB", "B", "ZZZZZZZZZZZZZZZZZZZZZZZZ"];
        let symbols = names.map(|name| name.parse::<Symbol>().unwrap());
        assert!(names.is_sorted() && symbols.is_sorted(), "{symbols:?}");
        assert_eq!(symbols.map(|symbol| symbol.as_str().to_owned()), names);
    }

    #[test]
    fn an_error_names_value_and_remedy() {
        let error = "btc".parse::<Symbol>().unwrap_err().to_string();
        assert!(error.contains("`btc` is not a symbol") && error.contains("upper-case"), "{error}");
    }
}
