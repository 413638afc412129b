//! What a venue says about an instrument, and the only border between `f64` market data and decimals.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::decimals::{decimal_to_f64, short, times};
use super::money::NumberError;
use super::{InstrumentId, Money, Price, Qty};

/// An instrument and its trading rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawInstrument", into = "RawInstrument")]
pub struct Instrument {
    id: InstrumentId,
    base: String,
    quote: String,
    tick: Decimal,
    step: Decimal,
    min_qty: Qty,
    min_notional: Money,
}

/// The rules as a file or a venue states them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInstrument {
    /// Venue and symbol.
    pub id: InstrumentId,
    /// What is bought, such as `BTC`.
    pub base: String,
    /// What it is paid with, such as `USDT`.
    pub quote: String,
    /// Smallest price difference, quote currency.
    pub tick: Decimal,
    /// Smallest quantity difference, base units.
    pub step: Decimal,
    /// Smallest order, base units.
    pub min_qty: Qty,
    /// Smallest order, quote currency.
    pub min_notional: Money,
}

/// Rules that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentError {
    /// A tick or step of zero or less.
    #[error("{id}: `{key}` is {value}, it must be over zero")]
    NotPositive {
        /// The instrument.
        id: InstrumentId,
        /// `tick` or `step`.
        key: &'static str,
        /// What was given.
        value: Decimal,
    },
    /// A negative least notional.
    #[error("{id}: `min_notional` is {value}, it must not be negative")]
    NegativeNotional {
        /// The instrument.
        id: InstrumentId,
        /// What was given.
        value: Money,
    },
}

impl TryFrom<RawInstrument> for Instrument {
    type Error = InstrumentError;

    fn try_from(raw: RawInstrument) -> Result<Self, InstrumentError> {
        for (key, value) in [("tick", raw.tick), ("step", raw.step)] {
            if value <= Decimal::ZERO {
                return Err(InstrumentError::NotPositive { id: raw.id, key, value });
            }
        }
        if raw.min_notional.is_negative() {
            return Err(InstrumentError::NegativeNotional { id: raw.id, value: raw.min_notional });
        }
        let RawInstrument { id, base, quote, tick, step, min_qty, min_notional } = raw;
        Ok(Self { id, base, quote, tick: tick.normalize(), step: step.normalize(), min_qty, min_notional })
    }
}

impl From<Instrument> for RawInstrument {
    fn from(i: Instrument) -> Self {
        let Instrument { id, base, quote, tick, step, min_qty, min_notional } = i;
        Self { id, base, quote, tick, step, min_qty, min_notional }
    }
}

/// Which way a price is rounded to whole ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
    /// To the nearest, halves away from zero.
    Nearest,
}

impl Instrument {
    /// Venue and symbol.
    pub const fn id(&self) -> InstrumentId {
        self.id
    }

    /// What is bought.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What it is paid with.
    pub fn quote(&self) -> &str {
        &self.quote
    }

    /// Smallest price difference, quote currency.
    pub const fn tick(&self) -> Decimal {
        self.tick
    }

    /// Smallest order, base units.
    pub const fn min_qty(&self) -> Qty {
        self.min_qty
    }

    /// Smallest order, quote currency.
    pub const fn min_notional(&self) -> Money {
        self.min_notional
    }

    /// A market price as a decimal of whole ticks, at least one.
    ///
    /// # Errors
    /// [`NumberError`] when `value` is not finite, not positive or beyond 1e14.
    pub fn price(&self, value: f64, rounding: Rounding) -> Result<Price, NumberError> {
        let units = whole_units(value, self.tick, rounding)?;
        Price::new(product(units.max(1), self.tick))
    }

    /// A quantity as a decimal of whole steps, rounded down; zero when under one step.
    ///
    /// # Errors
    /// [`NumberError`] when `value` is not finite, negative or beyond 1e14.
    pub fn qty_floor(&self, value: f64) -> Result<Qty, NumberError> {
        let units = whole_units(value, self.step, Rounding::Down)?;
        Qty::new(product(units, self.step))
    }

    /// The whole steps in a quantity; zero when it is under one.
    pub fn whole_steps(&self, qty: Qty) -> Qty {
        // Nearly always it is a whole number of them already, which 64 bits can tell.
        if let (Some((digits, scale)), Some((step, of))) = (short(qty.get()), short(self.step))
            && let Some(finer) = of.checked_sub(scale)
            && let Some(digits) = 10_u64.checked_pow(finer).and_then(|power| digits.checked_mul(power))
            && digits.is_multiple_of(step)
        {
            return qty;
        }
        qty.less(Qty::new(qty.get() % self.step).unwrap_or(Qty::ZERO))
    }

    /// Whether the venue would take an order of this size at this price.
    pub fn is_tradable(&self, qty: Qty, price: Price) -> bool {
        !qty.is_zero() && qty >= self.min_qty && price.notional(qty) >= self.min_notional
    }
}

fn product(units: i64, unit: Decimal) -> Decimal {
    let units = Decimal::from(units);
    times(units, unit).unwrap_or_else(|| units * unit)
}

/// How many whole units of `unit` make `value`. Goes through an integer so that the decimal has exactly the unit's digits.
fn whole_units(value: f64, unit: Decimal, rounding: Rounding) -> Result<i64, NumberError> {
    if !value.is_finite() || value < 0.0 {
        return Err(NumberError::NotFinite(value));
    }
    let ratio = value / decimal_to_f64(unit);
    // A value that is a whole number of units is often a hair beside it in binary (0.3 / 0.1); take it as whole.
    let near = ratio.round();
    let exact = (ratio - near).abs() <= 1e-9 * near.max(1.0);
    let units = match rounding {
        _ if exact => near,
        Rounding::Down => ratio.floor(),
        Rounding::Up => ratio.ceil(),
        Rounding::Nearest => near,
    };
    if units > 9.0e15 {
        return Err(NumberError::NotFinite(value));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded above, finite and not negative: a whole number under 2^53"
    )]
    Ok(units as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn btc() -> Instrument {
        let raw = RawInstrument {
            id: InstrumentId { venue: "sim".parse().unwrap(), symbol: "BTCUSDT".parse().unwrap() },
            base: "BTC".into(),
            quote: "USDT".into(),
            tick: "0.1".parse().unwrap(),
            step: "0.001".parse().unwrap(),
            min_qty: "0.001".parse().unwrap(),
            min_notional: "5".parse().unwrap(),
        };
        raw.try_into().unwrap()
    }

    #[test]
    fn whole_units_survive_binary() {
        assert_eq!(btc().price(0.3, Rounding::Down).unwrap().to_string(), "0.3");
        assert_eq!(btc().qty_floor(0.003).unwrap().to_string(), "0.003");
        assert_eq!(btc().qty_floor(0.0039999).unwrap().to_string(), "0.003");
        assert_eq!(btc().price(16537.64, Rounding::Nearest).unwrap().to_string(), "16537.6");
        assert_eq!(btc().price(0.000_1, Rounding::Down).unwrap().to_string(), "0.1", "a price is at least one tick");
    }

    #[test]
    fn what_is_under_a_step_is_left_out() {
        for (qty, whole) in [("0.0015", "0.001"), ("0.0009", "0"), ("7", "7"), ("0", "0"), ("12.34567", "12.345")] {
            assert_eq!(btc().whole_steps(qty.parse().unwrap()).to_string(), whole, "{qty}");
        }
    }

    #[test]
    fn the_border_refuses_what_is_not_a_number() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            assert!(btc().price(value, Rounding::Nearest).is_err(), "{value}");
            assert!(btc().qty_floor(value).is_err(), "{value}");
        }
    }

    #[test]
    fn impossible_rules_are_refused_through_serde_too() {
        let mut raw = RawInstrument::from(btc());
        raw.step = Decimal::ZERO;
        let text = serde_json::to_string(&raw).unwrap();
        let error = serde_json::from_str::<Instrument>(&text).unwrap_err().to_string();
        assert!(error.contains("`step` is 0"), "{error}");
    }

    proptest! {
        /// What is left out is less than a step, and what stays is a whole number of steps.
        #[test]
        fn whole_steps_are_whole(digits in 0u32..u32::MAX, scale in 0u32..12) {
            let qty = Qty::new(Decimal::new(i64::from(digits), scale)).unwrap();
            let whole = btc().whole_steps(qty);
            prop_assert!((whole.get() % btc().step).is_zero());
            prop_assert!(whole <= qty && qty.less(whole).get() < btc().step, "{whole} of {qty}");
        }

        #[test]
        fn rounding_never_moves_more_than_a_unit(value in 0.1..1e7_f64) {
            let down = btc().price(value, Rounding::Down).unwrap().to_f64();
            let up = btc().price(value, Rounding::Up).unwrap().to_f64();
            prop_assert!(down <= value * (1.0 + 1e-9) && value - down < 0.1 + 1e-6);
            prop_assert!(up >= value * (1.0 - 1e-9) && up - value < 0.1 + 1e-6);
        }
    }
}
