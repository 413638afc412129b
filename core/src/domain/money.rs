//! Prices, quantities and money: checked decimals with only the operators that mean something.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number that cannot be a price, a quantity or money.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NumberError {
    /// Not a decimal number at all.
    #[error("`{0}` is not a decimal number")]
    NotDecimal(String),
    /// A price must be over zero.
    #[error("{0} is not a price: it must be over zero")]
    PriceNotPositive(Decimal),
    /// A quantity must not be under zero.
    #[error("{0} is not a quantity: it must not be negative")]
    QtyNegative(Decimal),
    /// Over the largest magnitude the account keeps exact (10^14, money 10^15).
    #[error("{0} is larger than what is kept exact (1e14, money 1e15)")]
    TooLarge(Decimal),
    /// NaN, infinite, or too far from what decimals hold.
    #[error("{0} is not a finite number in range")]
    NotFinite(f64),
}

/// Everything beyond is refused, so that the product of a price and a quantity, at most 1e28, is a decimal too.
const LARGEST: Decimal = Decimal::from_parts(276_447_232, 23_283, 0, false, 0);
/// The same for money: ten times as much.
const LARGEST_MONEY: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);

/// Whether a value, sign aside, is over a bound that is a whole number. One whose digits alone are not is not: no digit stands
/// before the first.
fn is_over(value: Decimal, most: Decimal) -> bool {
    value.mantissa().unsigned_abs() > most.mantissa().unsigned_abs() && value.abs() > most
}

/// Without trailing zeros: what [`Decimal::normalize`] gives, by divisions of 64 bits where they hold the digits. Every sum of
/// an account goes through here.
pub(crate) fn normalized(value: Decimal) -> Decimal {
    let mut scale = value.scale();
    let Ok(mut digits) = u64::try_from(value.mantissa().unsigned_abs()) else { return value.normalize() };
    if digits == 0 {
        return Decimal::ZERO;
    }
    if scale == 0 {
        return value;
    }
    while scale > 0 && digits.is_multiple_of(10) {
        (digits, scale) = (digits / 10, scale - 1);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
    let (low, high) = (digits as u32, (digits >> 32) as u32);
    Decimal::from_parts(low, high, 0, value.is_sign_negative(), scale)
}

/// A price in quote currency, over zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Decimal);

/// A quantity in base units, zero or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qty(Decimal);

/// An amount of quote currency, of either sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

impl Price {
    /// Checks and wraps.
    ///
    /// # Errors
    /// [`NumberError`] unless `0 < value <= 1e14`.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        if value <= Decimal::ZERO {
            return Err(NumberError::PriceNotPositive(value));
        }
        if is_over(value, LARGEST) { Err(NumberError::TooLarge(value)) } else { Ok(Self(normalized(value))) }
    }

    /// What `qty` costs at this price.
    pub fn notional(self, qty: Qty) -> Money {
        Money(normalized(self.0 * qty.0))
    }
}

impl Qty {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Checks and wraps.
    ///
    /// # Errors
    /// [`NumberError`] unless `0 <= value <= 1e14`.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        if value < Decimal::ZERO {
            return Err(NumberError::QtyNegative(value));
        }
        if is_over(value, LARGEST) { Err(NumberError::TooLarge(value)) } else { Ok(Self(normalized(value))) }
    }

    /// Whether there is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// What is left after taking `other`; zero when that is more.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        if other.is_zero() {
            self
        } else if self <= other {
            Self::ZERO
        } else {
            Self(normalized(self.0 - other.0))
        }
    }
}

impl Add for Qty {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(normalized(self.0 + rhs.0))
    }
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Checks and wraps.
    ///
    /// # Errors
    /// [`NumberError::TooLarge`] beyond 1e15 either way.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        if is_over(value, LARGEST_MONEY) { Err(NumberError::TooLarge(value)) } else { Ok(Self(normalized(value))) }
    }

    /// From `f64`, rounded to 8 decimals: for marks and reports, never for the ledger.
    ///
    /// # Errors
    /// [`NumberError`] when not finite or beyond 1e14.
    pub fn approx(value: f64) -> Result<Self, NumberError> {
        let decimal = Decimal::from_f64_retain(value).ok_or(NumberError::NotFinite(value))?;
        Self::new(decimal.round_dp(8))
    }

    /// This amount times a plain factor, rounded half-even to 18 decimals.
    #[must_use]
    pub fn scaled(self, factor: Decimal) -> Self {
        Self(normalized((self.0 * factor).round_dp(18)))
    }

    /// Rounded half-even to `dp` decimals.
    #[must_use]
    pub fn rounded(self, dp: u32) -> Self {
        Self(normalized(self.0.round_dp(dp)))
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether this is under zero.
    pub fn is_negative(self) -> bool {
        self.0 < Decimal::ZERO
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(normalized(self.0 + rhs.0))
    }
}
impl Sub for Money {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(normalized(self.0 - rhs.0))
    }
}
impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}
impl AddAssign for Money {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}
impl SubAssign for Money {
    fn sub_assign(&mut self, rhs: Self) {
        *self = *self - rhs;
    }
}
impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

/// The powers of ten that `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A decimal as `f64`, for marks and reports.
pub fn decimal_to_f64(value: Decimal) -> f64 {
    // Digits are exact in f64 up to 2^53 and these powers up to 10^22; beyond that the nearest value is what a report wants.
    let (digits, scale) = (value.mantissa(), value.scale());
    let digits = i64::try_from(digits).map_or_else(|_| digits as f64, |digits| digits as f64);
    let power = POWERS.get(scale as usize).copied();
    digits / power.unwrap_or_else(|| 10_f64.powi(i32::try_from(scale).unwrap_or(0)))
}

macro_rules! decimal_face {
    ($name:ident) => {
        impl $name {
            /// The decimal inside.
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// As `f64`, for marks and reports.
            pub fn to_f64(self) -> f64 {
                decimal_to_f64(self.0)
            }
        }

        impl FromStr for $name {
            type Err = NumberError;
            fn from_str(text: &str) -> Result<Self, NumberError> {
                let value = Decimal::from_str_exact(text).map_err(|_| NumberError::NotDecimal(text.to_owned()))?;
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
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
decimal_face!(Price);
decimal_face!(Qty);
decimal_face!(Money);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_door_has_the_same_guard() {
        assert!("0".parse::<Price>().is_err() && "-1".parse::<Price>().is_err());
        assert!("NaN".parse::<Price>().is_err() && "1e400".parse::<Price>().is_err() && "".parse::<Qty>().is_err());
        assert!(serde_json::from_str::<Price>("\"0\"").is_err());
        assert!(serde_json::from_str::<Qty>("\"-0.1\"").is_err());
        assert!("1000000000000001".parse::<Money>().is_err());
        assert!("1000000000000000".parse::<Money>().is_ok());
        assert!(Money::approx(f64::NAN).is_err() && Money::approx(f64::INFINITY).is_err());
    }

    #[test]
    fn equal_values_print_alike() {
        let a: Money = "1.50".parse().unwrap();
        let b: Money = "1.5".parse().unwrap();
        assert_eq!(a.to_string(), b.to_string());
        assert_eq!(serde_json::to_string(&(a + b)).unwrap(), "\"3\"");
    }

    proptest! {
        #[test]
        fn the_short_ways_agree_with_the_long_ones(
            digits in prop_oneof![
                -(1_i128 << 95)..(1_i128 << 95),
                any::<i64>().prop_map(i128::from),
                (any::<i32>(), 0..19_u32).prop_map(|(n, zeros)| i128::from(n) * 10_i128.pow(zeros)),
            ],
            scale in 0..=28_u32,
        ) {
            let value = Decimal::from_i128_with_scale(digits, scale);
            prop_assert_eq!(normalized(value).serialize(), value.normalize().serialize());
            for most in [LARGEST, LARGEST_MONEY] {
                prop_assert_eq!(is_over(value, most), value.abs() > most);
            }
            let long = value.mantissa() as f64 / 10_f64.powi(i32::try_from(scale).unwrap());
            prop_assert_eq!(decimal_to_f64(value).to_bits(), long.to_bits());
        }
    }

    #[test]
    fn f64_of_a_decimal_is_the_nearest() {
        for (text, value) in [("0.1", 0.1), ("16537.6", 16537.6), ("0.00000123", 0.00000123)] {
            let back = text.parse::<Price>().unwrap().to_f64();
            assert!((back - value).abs() <= f64::EPSILON * value, "{text}: {back}");
        }
    }
}
