//! Funding of perpetual contracts.

use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{Money, Price, Span, Symbol, Ts};

/// Payments are kept to this many decimals of the account's currency.
const PAYMENT_DECIMALS: u32 = 8;

/// The most that a rate can be either way, a fraction of notional. More is a mistaken unit.
const RATE_MAX: f64 = 0.1;

/// One payment between the holders of longs and shorts of a perpetual contract. Linear accounts alone have any. It is named by
/// its symbol and its instant, and booked once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Funding {
    /// Whose position.
    pub symbol: Symbol,
    /// For which instant: what was held then pays or is paid.
    pub ts: Ts,
    /// A fraction of the position's value; over zero longs pay shorts.
    pub rate: f64,
    /// Price that valued the position.
    pub mark: Price,
    /// What came to the account, its currency; under zero it was paid.
    pub amount: Money,
}

impl Funding {
    /// How far the instants lie apart where nothing else is known: 00:00, 08:00 and 16:00 UTC, as for most of Binance's
    /// USDT-margined contracts (its documentation, "Get Funding Rate History").
    pub const INTERVAL: Span = Span::HOUR.times(8);

    /// What a position of `net` base units, negative when short, is paid: `-net * mark * rate`, rounded down to 8 decimals, which
    /// is against us. `None` beyond what is kept exact.
    pub fn payment(net: Decimal, mark: Price, rate: f64) -> Option<Money> {
        // The shortest text of an f64 is what was written; the payment then has no binary dust in it.
        let rate: Decimal = rate.to_string().parse().ok()?;
        let due = (-net).checked_mul(mark.get())?.checked_mul(rate)?;
        Money::new(due.round_dp_with_strategy(PAYMENT_DECIMALS, RoundingStrategy::ToNegativeInfinity)).ok()
    }

    /// The first instant after `ts` that is a whole number of [`Self::INTERVAL`]s from midnight.
    pub const fn next(ts: Ts) -> Ts {
        let interval = Self::INTERVAL.nanos();
        Ts::from_nanos(ts.nanos().div_euclid(interval).saturating_add(1).saturating_mul(interval))
    }
}

/// A row of funding rates that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum FundingFault {
    /// Not over the row before it.
    #[error("{ts} is not after the row before it: sort the rows by time and leave out the doubled ones")]
    Unsorted {
        /// Its instant.
        ts: Ts,
    },
    /// Not finite, or beyond 0.1 either way.
    #[error("the rate {rate} of {ts} is not between -0.1 and 0.1: write a fraction of notional (0.0001 is 0.01 %)")]
    Rate {
        /// Its instant.
        ts: Ts,
        /// The rate.
        rate: f64,
    },
}

/// What was due at which instants: fractions of notional, oldest first, at any distance from each other. A copy is as cheap
/// as a pointer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FundingRates(Arc<[(Ts, f64)]>);

impl FundingRates {
    /// Checks the rows.
    ///
    /// # Errors
    /// The place of the first row that cannot be, from 0, and what is wrong with it.
    pub fn new(rows: Vec<(Ts, f64)>) -> Result<Self, (usize, FundingFault)> {
        let mut last = None;
        for (at, (ts, rate)) in rows.iter().copied().enumerate() {
            if last.is_some_and(|last| ts <= last) {
                return Err((at, FundingFault::Unsorted { ts }));
            }
            if !(-RATE_MAX..=RATE_MAX).contains(&rate) {
                return Err((at, FundingFault::Rate { ts, rate }));
            }
            last = Some(ts);
        }
        Ok(Self(rows.into()))
    }

    /// The rows.
    pub fn rows(&self) -> &[(Ts, f64)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(net: &str, mark: &str, rate: f64) -> String {
        Funding::payment(net.parse().unwrap(), mark.parse().unwrap(), rate).unwrap().to_string()
    }

    #[test]
    fn longs_pay_shorts_where_the_rate_is_over_zero_and_the_other_way_round() {
        assert_eq!(paid("2", "20000", 0.0001), "-4");
        assert_eq!(paid("-2", "20000", 0.0001), "4");
        assert_eq!(paid("2", "20000", -0.0001), "4");
        assert_eq!(paid("-2", "20000", -0.0001), "-4");
        assert_eq!(paid("0", "20000", 0.0001), "0");
    }

    #[test]
    fn what_does_not_fit_into_eight_decimals_is_against_us() {
        assert_eq!(paid("0.001", "0.01", 0.0001), "-0.00000001");
        assert_eq!(paid("-0.001", "0.01", 0.0001), "0");
        assert_eq!(Funding::payment(Decimal::MAX, "1000".parse().unwrap(), 0.01), None);
    }

    #[test]
    fn the_instants_are_every_eight_hours_from_midnight() {
        let at = |text: &str| text.parse::<Ts>().unwrap();
        for (from, next) in [
            ("2024-03-01T00:00:00Z", "2024-03-01T08:00:00Z"),
            ("2024-03-01T07:59:59Z", "2024-03-01T08:00:00Z"),
            ("2024-03-01T16:00:00Z", "2024-03-02T00:00:00Z"),
            ("1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(Funding::next(at(from)), at(next), "{from}");
        }
        assert!(Funding::next(Ts::MAX) >= Ts::MAX);
    }

    #[test]
    fn rates_are_in_order_of_time_and_no_percentages() {
        let at = Ts::from_secs;
        let good = vec![(at(1), 0.0001), (at(2), -0.1), (at(4), 0.0)];
        assert_eq!(FundingRates::new(good.clone()).unwrap().rows(), good);
        for (rows, place) in [
            (vec![(at(1), 0.0), (at(1), 0.0)], 1),
            (vec![(at(1), 0.0), (at(3), 0.0), (at(2), 0.0)], 2),
            (vec![(at(1), 1.0)], 0),
            (vec![(at(1), f64::NAN)], 0),
        ] {
            assert_eq!(FundingRates::new(rows).unwrap_err().0, place);
        }
    }
}
