//! Prices, quantities and money: checked decimals with only the operators that mean something.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::decimals::{compare, decimal_to_f64, is_at_most, normal, of_short, plus, times};

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
const LARGEST_DIGITS: u64 = 100_000_000_000_000;
const LARGEST: Decimal = of_short(LARGEST_DIGITS, 0, false);
/// The same for money: ten times as much.
const LARGEST_MONEY: Decimal = of_short(10 * LARGEST_DIGITS, 0, false);

/// A price in quote currency, over zero.
#[derive(Clone, Copy)]
pub struct Price(Decimal);

/// A quantity in base units, zero or more.
#[derive(Clone, Copy, Default)]
pub struct Qty(Decimal);

/// An amount of quote currency, of either sign.
#[derive(Clone, Copy, Default)]
pub struct Money(Decimal);

impl Price {
    /// Checks and wraps.
    ///
    /// # Errors
    /// [`NumberError`] unless `0 < value <= 1e14`.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        if value.is_zero() || value.is_sign_negative() {
            return Err(NumberError::PriceNotPositive(value));
        }
        if is_at_most(value, LARGEST, LARGEST_DIGITS) {
            Ok(Self(normal(value)))
        } else {
            Err(NumberError::TooLarge(value))
        }
    }

    /// What `qty` costs at this price.
    pub fn notional(self, qty: Qty) -> Money {
        Money(normal(times(self.0, qty.0).unwrap_or_else(|| self.0 * qty.0)))
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
        if value.is_sign_negative() && !value.is_zero() {
            return Err(NumberError::QtyNegative(value));
        }
        if is_at_most(value, LARGEST, LARGEST_DIGITS) {
            Ok(Self(normal(value)))
        } else {
            Err(NumberError::TooLarge(value))
        }
    }

    /// The size of a holding of the ledger, whatever its sign. `None` beyond what a quantity is.
    pub(crate) fn of_holding(net: Decimal) -> Option<Self> {
        // The ledger keeps no trailing zeros.
        is_at_most(net, LARGEST, LARGEST_DIGITS).then(|| Self(net.abs()))
    }

    /// Whether there is nothing.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// What is left after taking `other`; zero when that is more.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        if other.is_zero() {
            return self;
        }
        match self.cmp(&other) {
            Ordering::Greater => Self(normal(plus(self.0, -other.0).unwrap_or_else(|| self.0 - other.0))),
            Ordering::Less | Ordering::Equal => Self::ZERO,
        }
    }
}

impl Add for Qty {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        if self.is_zero() {
            return rhs;
        }
        Self(normal(plus(self.0, rhs.0).unwrap_or_else(|| self.0 + rhs.0)))
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
        if Self::holds(value) { Ok(Self(normal(value))) } else { Err(NumberError::TooLarge(value)) }
    }

    /// Whether a decimal is in the range of money.
    #[inline]
    pub(crate) fn holds(value: Decimal) -> bool {
        is_at_most(value, LARGEST_MONEY, 10 * LARGEST_DIGITS)
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
        Self(normal((self.0 * factor).round_dp(18)))
    }

    /// Rounded half-even to `dp` decimals.
    #[must_use]
    pub fn rounded(self, dp: u32) -> Self {
        Self(normal(self.0.round_dp(dp)))
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
        Self(normal(plus(self.0, rhs.0).unwrap_or_else(|| self.0 + rhs.0)))
    }
}
impl Sub for Money {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(normal(plus(self.0, -rhs.0).unwrap_or_else(|| self.0 - rhs.0)))
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

macro_rules! decimal_face {
    ($name:ident) => {
        impl $name {
            /// The decimal inside.
            #[inline]
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// As `f64`, for marks and reports.
            #[inline]
            pub fn to_f64(self) -> f64 {
                decimal_to_f64(self.0)
            }
        }

        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                compare(self.0, other.0).is_eq()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                compare(self.0, other.0)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
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
    use crate::domain::decimals::quotient_to_f64;
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
        fn numbers_compare_as_decimals(a in -300i64..300, b in -300i64..300, scales in (0u32..4, 0u32..4)) {
            let (a, b) = (Decimal::new(a, scales.0), Decimal::new(b, scales.1));
            prop_assert_eq!(compare(a, b), a.cmp(&b));
            let (x, y) = (Money::new(a).unwrap(), Money::new(b).unwrap());
            prop_assert_eq!((x.cmp(&y), x == y), (a.cmp(&b), a == b));
            if let (Ok(x), Ok(y)) = (Qty::new(a), Qty::new(b)) {
                prop_assert_eq!(x.less(y).get().serialize(), (a - b).max(Decimal::ZERO).normalize().serialize());
                prop_assert_eq!((x + y).get().serialize(), (a + b).normalize().serialize());
            }
        }

        #[test]
        fn quotients_are_those_of_the_division(price in 1i64..10_000_000_000, units in 1i64..100_000_000,
            scales in (0u32..9, 0u32..9), more in prop_oneof![Just(0i64), 0i64..1000], short in any::<bool>()) {
            let price = Decimal::new(price, scales.0);
            let net = Decimal::new(if short { -units } else { units }, scales.1);
            let cost = price * net + Decimal::new(more, 3);
            let divided = decimal_to_f64(cost / net);
            prop_assert_eq!(quotient_to_f64(cost, net).to_bits(), divided.to_bits(), "{} / {}", cost, net);
            let (cost, net) = (normal(cost), normal(net));
            prop_assert_eq!(quotient_to_f64(cost, net).to_bits(), divided.to_bits(), "{} / {}", cost, net);
        }

        /// What is quick for short numbers says what is said of all.
        #[test]
        fn short_numbers_are_numbers(digits in any::<i64>(), zeros in 0u32..9, scale in 0u32..=28, high in 0u32..3) {
            let digits = i128::from(digits) / 10_i128.pow(zeros) * 10_i128.pow(zeros) * i128::from(high.max(1));
            let value = Decimal::from_i128_with_scale(digits, scale);
            prop_assert_eq!(normal(value).serialize(), value.normalize().serialize());
            let as_before = value.mantissa() as f64 / 10_f64.powi(i32::try_from(scale).unwrap());
            prop_assert_eq!(decimal_to_f64(value).to_bits(), as_before.to_bits());
            prop_assert_eq!(Money::new(value).is_ok(), value.abs() <= LARGEST_MONEY);
            prop_assert_eq!(Qty::new(value).is_ok(), value >= Decimal::ZERO && value <= LARGEST);
            prop_assert_eq!(Price::new(value).is_ok(), value > Decimal::ZERO && value <= LARGEST);
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
