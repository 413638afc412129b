//! Market data: bars and quotes, in `f64`.

use serde::{Deserialize, Serialize};

use super::{Timeframe, Ts};

/// One closed bar. Prices in quote currency, volume in base units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Start of the interval; the bar is known only at `open_ts` + timeframe.
    pub open_ts: Ts,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base units traded; zero in an interval without trades.
    pub volume: f64,
}

/// What is wrong with a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum BarFault {
    /// NaN or infinite.
    #[error("a number is not finite")]
    NotFinite,
    /// A price of zero or less.
    #[error("a price is zero or negative")]
    NotPositive,
    /// A volume under zero.
    #[error("the volume is negative")]
    NegativeVolume,
    /// `high` under `low`.
    #[error("high is under low")]
    HighUnderLow,
    /// `open` or `close` outside `[low, high]`.
    #[error("open or close lies outside low and high")]
    OutsideRange,
}

impl Bar {
    /// The instant at which this bar is complete and may first be acted on.
    pub fn close_ts(&self, timeframe: Timeframe) -> Ts {
        self.open_ts + timeframe.span()
    }

    /// Whether [`Self::check`] finds nothing wrong.
    #[inline]
    pub fn is_sound(&self) -> bool {
        let inside = |price: f64| self.low <= price && price <= self.high;
        // What is not a number is not inside anything.
        self.low > 0.0
            && inside(self.open)
            && inside(self.close)
            && self.high < f64::INFINITY
            && self.volume >= 0.0
            && self.volume < f64::INFINITY
    }

    /// Checks numbers and their order.
    ///
    /// # Errors
    /// The first [`BarFault`] found, in the order of its variants.
    #[inline]
    pub fn check(&self) -> Result<(), BarFault> {
        // A comparison with NaN does not hold, so that a sound bar is known by these alone.
        let is_sound = 0.0 < self.low
            && self.low <= self.open.min(self.close)
            && self.open.max(self.close) <= self.high
            && self.high < f64::INFINITY
            && (0.0..f64::INFINITY).contains(&self.volume);
        if is_sound && !self.open.is_nan() && !self.close.is_nan() { Ok(()) } else { self.fault() }
    }

    #[cold]
    fn fault(&self) -> Result<(), BarFault> {
        let prices = [self.open, self.high, self.low, self.close];
        if !prices.iter().all(|p| p.is_finite()) || !self.volume.is_finite() {
            return Err(BarFault::NotFinite);
        }
        if prices.iter().any(|p| *p <= 0.0) {
            return Err(BarFault::NotPositive);
        }
        if self.volume < 0.0 {
            return Err(BarFault::NegativeVolume);
        }
        if self.high < self.low {
            return Err(BarFault::HighUnderLow);
        }
        let inside = |p: f64| self.low <= p && p <= self.high;
        if !inside(self.open) || !inside(self.close) {
            return Err(BarFault::OutsideRange);
        }
        Ok(())
    }
}

/// The best bid and ask of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// When it was valid.
    pub ts: Ts,
    /// Best price at which one can sell.
    pub bid: f64,
    /// Best price at which one can buy.
    pub ask: f64,
    /// Base units at the bid.
    pub bid_size: f64,
    /// Base units at the ask.
    pub ask_size: f64,
}

impl Quote {
    /// Half way between bid and ask.
    pub fn mid(&self) -> f64 {
        0.5 * (self.bid + self.ask)
    }

    /// Whether the numbers can be a quote: finite, positive, bid not above ask.
    pub fn is_sound(&self) -> bool {
        let all = [self.bid, self.ask, self.bid_size, self.ask_size];
        all.iter().all(|x| x.is_finite())
            && self.bid > 0.0
            && self.bid <= self.ask
            && self.bid_size >= 0.0
            && self.ask_size >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_fault_is_told_apart() {
        let good = Bar { open_ts: Ts::EPOCH, open: 2.0, high: 3.0, low: 1.0, close: 2.5, volume: 0.0 };
        assert_eq!(good.check(), Ok(()));
        let cases = [
            (Bar { open: f64::NAN, ..good }, BarFault::NotFinite),
            (Bar { volume: f64::INFINITY, ..good }, BarFault::NotFinite),
            (Bar { low: 0.0, ..good }, BarFault::NotPositive),
            (Bar { close: -2.0, ..good }, BarFault::NotPositive),
            (Bar { volume: -1.0, ..good }, BarFault::NegativeVolume),
            (Bar { high: 0.5, ..good }, BarFault::HighUnderLow),
            (Bar { close: 3.5, ..good }, BarFault::OutsideRange),
            (Bar { open: 0.5, ..good }, BarFault::OutsideRange),
        ];
        for (bar, fault) in cases {
            assert_eq!(bar.check(), Err(fault), "{bar:?}");
        }
    }

    proptest! {
        #[test]
        fn a_bar_is_sound_when_nothing_is_wrong_with_it(at in proptest::array::uniform5(0usize..8)) {
            let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, 1.0, 2.0, 3.0];
            let [open, high, low, close, volume] = at.map(|at| values[at]);
            let bar = Bar { open_ts: Ts::EPOCH, open, high, low, close, volume };
            prop_assert_eq!(bar.is_sound(), bar.check().is_ok(), "{:?}", bar);
        }
    }
}
