//! The settings of a paper venue: raw keys in, checked models out.

use serde::{Deserialize, Serialize};

use super::funding;
use super::models::{FeeModel, LatencyModel, ParticipationModel, SlippageModel, SpreadModel, adverse};
use crate::domain::instrument::Rounding;
use crate::domain::{Instrument, Money, Price, Qty, Side, Span};

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`paper.{key}` is {value}: {reason}; {remedy}")]
pub struct PaperSetupError {
    /// Which key.
    pub key: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong.
    pub reason: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

/// The settings as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPaperSetup {
    /// Seed of every draw.
    pub seed: u64,
    /// Taker fee, a fraction of notional (0.0005 = 0.05 %), 0 to 0.1.
    pub fee: f64,
    /// Full spread, a fraction of price, used where only bars are known, 0 to 0.1.
    pub spread: f64,
    /// Mean adverse slippage, a fraction of price, 0 to 0.1.
    pub slippage: f64,
    /// Mean time from submission to being live at the venue, nanoseconds, 0 to one minute.
    pub latency: Span,
    /// Largest share of a bar's volume, or of a quote's size, that one order may take at a time, over 0 and at most 1.
    pub participation: f64,
    /// What a linear position pays every 8 hours (00:00, 08:00, 16:00 UTC), a fraction of its value, -0.01 to 0.01: over zero
    /// longs pay shorts. Rates on file, where there are any, take its place.
    #[serde(default)]
    pub funding: f64,
}

/// The settings of a paper venue, checked. Serde goes through the same checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPaperSetup", into = "RawPaperSetup")]
pub struct PaperSetup {
    seed: u64,
    fee: FeeModel,
    spread: SpreadModel,
    slippage: SlippageModel,
    latency: LatencyModel,
    participation: ParticipationModel,
    funding: f64,
}

impl TryFrom<RawPaperSetup> for PaperSetup {
    type Error = PaperSetupError;

    fn try_from(raw: RawPaperSetup) -> Result<Self, PaperSetupError> {
        Ok(Self {
            seed: raw.seed,
            fee: FeeModel::new(raw.fee)?,
            spread: SpreadModel::new(raw.spread)?,
            slippage: SlippageModel::new(raw.slippage)?,
            latency: LatencyModel::new(raw.latency)?,
            participation: ParticipationModel::new(raw.participation)?,
            funding: funding::constant(raw.funding)?,
        })
    }
}

impl From<PaperSetup> for RawPaperSetup {
    fn from(setup: PaperSetup) -> Self {
        Self {
            seed: setup.seed,
            fee: setup.fee.rate(),
            spread: setup.spread.full(),
            slippage: setup.slippage.mean(),
            latency: setup.latency.mean(),
            participation: setup.participation.share(),
            funding: setup.funding,
        }
    }
}

impl PaperSetup {
    /// The constant rate of funding, a fraction of a position's value every 8 hours.
    pub const fn funding(&self) -> f64 {
        self.funding
    }

    /// Seed of every draw.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The fee of a fill.
    pub const fn fee(&self) -> FeeModel {
        self.fee
    }

    /// The spread where only bars are known.
    pub const fn spread(&self) -> SpreadModel {
        self.spread
    }

    /// The slippage of a fill.
    pub const fn slippage(&self) -> SlippageModel {
        self.slippage
    }

    /// Price and fee, quote currency, of leaving `qty` with an order of this side at a close of `mark`: half the spread and the
    /// mean slippage are against us, then the tick. `None` where that cannot be kept exact.
    pub fn at_close(&self, rules: &Instrument, side: Side, qty: Qty, mark: f64) -> Option<(Price, Money)> {
        let rounding = match side {
            Side::Buy => Rounding::Up,
            Side::Sell => Rounding::Down,
        };
        let against = self.spread.half() + self.slippage.mean();
        let price = rules.price(adverse(side, mark, against), rounding).ok()?;
        Some((price, self.fee.fee(price, qty)?))
    }

    /// How long an order is on its way.
    pub const fn latency(&self) -> LatencyModel {
        self.latency
    }

    /// How much of the market one order may take.
    pub const fn participation(&self) -> ParticipationModel {
        self.participation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: RawPaperSetup = RawPaperSetup {
        seed: 42,
        fee: 0.0005,
        spread: 0.0002,
        slippage: 0.0001,
        latency: Span::from_millis(50),
        participation: 0.1,
        funding: 0.0001,
    };

    #[test]
    fn every_setting_is_checked_and_named() {
        let cases = [
            ("fee", RawPaperSetup { fee: -0.1, ..GOOD }),
            ("fee", RawPaperSetup { fee: f64::NAN, ..GOOD }),
            ("spread", RawPaperSetup { spread: 2.0, ..GOOD }),
            ("slippage", RawPaperSetup { slippage: f64::INFINITY, ..GOOD }),
            ("latency", RawPaperSetup { latency: Span::from_nanos(-1), ..GOOD }),
            ("latency", RawPaperSetup { latency: Span::HOUR, ..GOOD }),
            ("participation", RawPaperSetup { participation: 0.0, ..GOOD }),
            ("participation", RawPaperSetup { participation: 1.5, ..GOOD }),
            ("participation", RawPaperSetup { participation: f64::NAN, ..GOOD }),
            ("funding", RawPaperSetup { funding: 0.02, ..GOOD }),
            ("funding", RawPaperSetup { funding: f64::NAN, ..GOOD }),
        ];
        for (key, raw) in cases {
            let error = PaperSetup::try_from(raw).unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.to_string().starts_with(&format!("`paper.{key}` is ")), "{error}");
        }
    }

    #[test]
    fn serde_goes_through_the_checks_and_back() {
        let setup = PaperSetup::try_from(GOOD).unwrap();
        let text = serde_json::to_string(&setup).unwrap();
        assert_eq!(serde_json::from_str::<PaperSetup>(&text).unwrap(), setup);
        let error = serde_json::from_str::<PaperSetup>(&text.replace("0.0005", "0.5")).unwrap_err().to_string();
        assert!(error.contains("`paper.fee` is 0.5"), "{error}");
        assert!(serde_json::from_str::<PaperSetup>(&text.replace("seed", "sead")).is_err());
    }
}
