//! What trading costs: fee, spread, slippage, latency and the share of the market one order may take.

use rust_decimal::{Decimal, RoundingStrategy};

use super::setup::PaperSetupError;
use crate::domain::decimals::times;
use crate::domain::hash::unit_draw;
use crate::domain::{Money, Price, Qty, Side, Span};

/// Fees are kept to this many decimals of the quote currency.
const FEE_DECIMALS: u32 = 8;

/// The most that a fee, a spread or a mean slippage can be, as a fraction of price. More is a mistaken unit.
const COST_MAX: f64 = 0.1;

/// The longest mean latency.
const LATENCY_MAX: Span = Span::MINUTE;

/// Which draw of an order is its latency. Slippage of fill `n` (from 0) is draw `n + 1`.
const LATENCY_DRAW: u64 = 0;

/// Checks a fraction of price.
fn cost(key: &'static str, value: f64) -> Result<f64, PaperSetupError> {
    if !(0.0..=COST_MAX).contains(&value) {
        let reason = "it must lie between 0 and 0.1";
        let remedy = "write a fraction of the price (0.0005 is 0.05 %)";
        return Err(PaperSetupError { key, value: value.to_string(), reason, remedy });
    }
    Ok(value)
}

/// What `qty` costs at `price`; `None` beyond 1e15, the most that is kept exact.
pub(super) fn notional(price: Price, qty: Qty) -> Option<Money> {
    times(price.get(), qty.get()).and_then(|value| Money::new(value).ok())
}

/// A taker's fee: a fixed share of every fill's notional.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeeModel {
    rate: f64,
    exact: Decimal,
}

impl FeeModel {
    /// From a fraction of notional, 0 to 0.1 (0.0005 = 0.05 %).
    ///
    /// # Errors
    /// [`PaperSetupError`] outside that range, or with more digits than a decimal holds.
    pub fn new(rate: f64) -> Result<Self, PaperSetupError> {
        let rate = cost("fee", rate)?;
        // The shortest text of an f64 is what the user wrote; the fee then has no binary dust in it.
        let exact = Decimal::from_str_exact(&rate.to_string()).map_err(|_| PaperSetupError {
            key: "fee",
            value: rate.to_string(),
            reason: "it has more digits than a decimal holds",
            remedy: "write at most 28 decimals",
        })?;
        Ok(Self { rate, exact })
    }

    /// The fraction of notional.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The fee of a fill in quote currency, zero or more, rounded up to 8 decimals: what is left over is against us.
    /// `None` when the notional is beyond 1e15.
    pub fn fee(&self, price: Price, qty: Qty) -> Option<Money> {
        let fee = times(notional(price, qty)?.get(), self.exact)?;
        let is_short = fee.scale() <= FEE_DECIMALS;
        let up = || fee.round_dp_with_strategy(FEE_DECIMALS, RoundingStrategy::AwayFromZero);
        Money::new(if is_short { fee } else { up() }).ok()
    }
}

/// The spread that is assumed where only bars are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpreadModel(f64);

impl SpreadModel {
    /// From the full spread, ask less bid, as a fraction of price, 0 to 0.1.
    ///
    /// # Errors
    /// [`PaperSetupError`] outside that range.
    pub fn new(full: f64) -> Result<Self, PaperSetupError> {
        cost("spread", full).map(Self)
    }

    /// The full spread as a fraction of price.
    pub const fn full(self) -> f64 {
        self.0
    }

    /// What one side pays of it, a fraction of price.
    pub const fn half(self) -> f64 {
        0.5 * self.0
    }
}

/// How far a market order lands beside the price it was aimed at, always against us: uniform between zero and twice the
/// mean, hence bounded, and made of one multiplication, hence the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlippageModel(f64);

impl SlippageModel {
    /// From the mean, a fraction of price, 0 to 0.1.
    ///
    /// # Errors
    /// [`PaperSetupError`] outside that range.
    pub fn new(mean: f64) -> Result<Self, PaperSetupError> {
        cost("slippage", mean).map(Self)
    }

    /// The mean, a fraction of price.
    pub const fn mean(self) -> f64 {
        self.0
    }

    /// The slippage of fill number `n` (from 0) of the order that `key` stands for: a fraction of price, zero or more,
    /// under twice the mean.
    pub fn draw(self, key: u64, n: u64) -> f64 {
        2.0 * self.0 * unit_draw(key, n.wrapping_add(LATENCY_DRAW + 1))
    }
}

/// How long an order is on its way: uniform between half the mean and one and a half of it, so that it is never nothing
/// and never without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyModel(Span);

impl LatencyModel {
    /// From the mean, zero to one minute.
    ///
    /// # Errors
    /// [`PaperSetupError`] outside that range.
    pub fn new(mean: Span) -> Result<Self, PaperSetupError> {
        if !(Span::ZERO..=LATENCY_MAX).contains(&mean) {
            return Err(PaperSetupError {
                key: "latency",
                value: format!("{} s", mean.secs_f64()),
                reason: "it must lie between 0 and 60 s",
                remedy: "write the mean time from sending to being live at the venue, such as 50 ms",
            });
        }
        Ok(Self(mean))
    }

    /// The mean.
    pub const fn mean(self) -> Span {
        self.0
    }

    /// The latency of the order that `key` stands for.
    pub fn draw(self, key: u64) -> Span {
        let nanos = self.0.nanos() as f64 * (0.5 + unit_draw(key, LATENCY_DRAW));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most one and a half minutes of nanoseconds, not negative"
        )]
        Span::from_nanos(nanos as i64)
    }
}

/// The largest share of what the market shows that one order may take at a time. Every order sees the whole of it: our
/// own orders do not stand in each other's way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParticipationModel(f64);

impl ParticipationModel {
    /// From a share, over 0 and at most 1.
    ///
    /// # Errors
    /// [`PaperSetupError`] outside that range.
    pub fn new(share: f64) -> Result<Self, PaperSetupError> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(PaperSetupError {
                key: "participation",
                value: share.to_string(),
                reason: "it must be over 0 and at most 1",
                remedy: "write the share of a bar's volume that one order may take, such as 0.1",
            });
        }
        Ok(Self(share))
    }

    /// The share.
    pub const fn share(self) -> f64 {
        self.0
    }

    /// The base units that may be taken of `size` base units.
    pub fn allowance(self, size: f64) -> f64 {
        self.0 * size
    }
}

/// `price` moved against us by a fraction of itself: up for a buy, down for a sell.
pub fn adverse(side: Side, price: f64, fraction: f64) -> f64 {
    match side {
        Side::Buy => price * (1.0 + fraction),
        Side::Sell => price * (1.0 - fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fee_is_rounded_up_and_has_no_binary_dust() {
        let fee = |rate: f64, price: &str, qty: &str| {
            FeeModel::new(rate).unwrap().fee(price.parse().unwrap(), qty.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(fee(0.0005, "20000", "0.1"), "1");
        assert_eq!(fee(0.0005, "0.00001", "1"), "0.00000001", "half a unit is rounded up");
        assert_eq!(fee(0.0003, "0.00001", "1"), "0.00000001", "and so is less than half");
        assert_eq!(fee(0.0, "20000", "1"), "0");
    }

    #[test]
    fn a_notional_beyond_what_is_exact_is_no_fill_and_no_panic() {
        let (price, qty) = ("100000000000000".parse().unwrap(), "100000000000000".parse().unwrap());
        assert_eq!(FeeModel::new(0.0005).unwrap().fee(price, qty), None);
    }

    #[test]
    fn a_draw_depends_on_its_key_and_number_alone() {
        let (slippage, latency) = (SlippageModel::new(0.001).unwrap(), LatencyModel::new(Span::SECOND).unwrap());
        assert_eq!(slippage.draw(7, 3).to_bits(), slippage.draw(7, 3).to_bits());
        assert_ne!(slippage.draw(7, 3).to_bits(), slippage.draw(7, 4).to_bits());
        assert_ne!(latency.draw(7), latency.draw(8));
        assert_eq!(LatencyModel::new(Span::ZERO).unwrap().draw(7), Span::ZERO);
    }

    #[test]
    fn the_means_are_the_means() {
        let n = 20_000_u64;
        let (slippage, latency) = (SlippageModel::new(0.001).unwrap(), LatencyModel::new(Span::SECOND).unwrap());
        let slip = (0..n).map(|i| slippage.draw(i, 0)).sum::<f64>() / n as f64;
        let wait = (0..n).map(|i| latency.draw(i).secs_f64()).sum::<f64>() / n as f64;
        assert!((slip - 0.001).abs() < 2e-5, "{slip}");
        assert!((wait - 1.0).abs() < 0.01, "{wait}");
    }

    proptest! {
        #[test]
        fn draws_stay_in_their_range(key: u64, n: u64, mean in 0.0..0.1_f64, nanos in 0..60_000_000_000_i64) {
            let slip = SlippageModel::new(mean).unwrap().draw(key, n);
            prop_assert!(slip >= 0.0 && slip <= 2.0 * mean);
            let wait = LatencyModel::new(Span::from_nanos(nanos)).unwrap().draw(key).nanos();
            prop_assert!(wait >= nanos / 2 - 1 && wait <= nanos + nanos / 2 + 1);
        }
    }
}
