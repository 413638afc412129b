//! The streaming classification.

use serde::{Deserialize, Serialize};

use super::{Activity, Regime, Trend};
use crate::features::indicators::Ema;

/// Changes that the trend is seen over, bars.
pub const TREND_BARS: usize = 48;
/// Length of the average that says how the market moves now, bars.
pub const ACTIVITY_BARS: u32 = 24;
/// Length of the average that says how it usually moves, bars.
pub const USUAL_BARS: u32 = 480;

/// Efficiency from which a move is a trend.
const TREND_FROM: f64 = 0.3;
/// Ratio of volatilities under which a market is calm.
const CALM_UNDER: f64 = 0.7;
/// Ratio of volatilities over which it is wild.
const WILD_OVER: f64 = 1.5;

/// A way up to this fraction of the price is rounding, not a move.
const STILL: f64 = 1e-12;

/// Says what a market is like, in constant time a bar and without allocating. Serialised, it is its own snapshot:
/// restored, it goes on bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    close: Option<f64>,
    path: Path,
    short: Ema,
    long: Ema,
}

/// The last changes, their sum and the sum of their sizes. Both sums are taken again from the changes whenever the ring
/// comes round, so that rounding errors live that long at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Path {
    ring: Box<[f64]>,
    at: usize,
    is_full: bool,
    net: f64,
    length: f64,
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Classifier {
    /// Bars after which the trend is known: a change needs two closes.
    pub const TREND_WARM_UP: usize = TREND_BARS + 1;
    /// Bars after which the activity is known.
    pub const ACTIVITY_WARM_UP: usize = USUAL_BARS as usize + 1;

    /// One that has seen nothing.
    pub fn new() -> Self {
        let ring = vec![0.0; TREND_BARS].into_boxed_slice();
        let path = Path { ring, at: 0, is_full: false, net: 0.0, length: 0.0 };
        Self { close: None, path, short: Ema::new(ACTIVITY_BARS), long: Ema::new(USUAL_BARS) }
    }

    /// Takes the close of the next bar, quote currency. One that is not finite and over zero is passed over.
    #[inline]
    pub fn update(&mut self, close: f64) {
        if !(close.is_finite() && close > 0.0) {
            return;
        }
        let Some(before) = self.close.replace(close) else { return };
        let change = close - before;
        let square = (change / before) * (change / before);
        // Prices hundreds of decades apart have no ratio; such a step tells nothing and would never be forgotten.
        if square.is_finite() {
            self.path.update(change);
            self.short.update(square);
            self.long.update(square);
        }
    }

    /// What the market is like after the last bar. What is not warm yet reads as [`Trend::Range`] and
    /// [`Activity::Usual`].
    pub fn regime(&self) -> Regime {
        Regime { trend: self.trend(), activity: self.activity() }
    }

    /// Its direction.
    pub fn trend(&self) -> Trend {
        let efficiency = self.efficiency();
        if !self.is_trend_warm() {
            Trend::Range
        } else if efficiency >= TREND_FROM {
            Trend::Up
        } else if efficiency <= -TREND_FROM {
            Trend::Down
        } else {
            Trend::Range
        }
    }

    /// How it moves.
    pub fn activity(&self) -> Activity {
        let ratio = self.volatility_ratio();
        if !self.is_activity_warm() {
            Activity::Usual
        } else if ratio < CALM_UNDER {
            Activity::Calm
        } else if ratio > WILD_OVER {
            Activity::Wild
        } else {
            Activity::Usual
        }
    }

    /// Net move over the length of the way, -1 to 1, of the changes held; 0 when nothing moved.
    pub fn efficiency(&self) -> f64 {
        if self.path.length > STILL * self.close.unwrap_or(0.0) {
            (self.path.net / self.path.length).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// Volatility now over the usual one, 0 or more; 1 when nothing has ever moved.
    pub fn volatility_ratio(&self) -> f64 {
        if self.long.value() > 0.0 { (self.short.value().max(0.0) / self.long.value()).sqrt() } else { 1.0 }
    }

    /// Whether the trend is known.
    pub const fn is_trend_warm(&self) -> bool {
        self.path.is_full
    }

    /// Whether the activity is known.
    pub const fn is_activity_warm(&self) -> bool {
        self.long.is_warm()
    }
}

impl Path {
    fn update(&mut self, change: f64) {
        let Some(place) = self.ring.get_mut(self.at) else { return };
        let old = std::mem::replace(place, change);
        self.net += change - old;
        self.length += change.abs() - old.abs();
        self.at += 1;
        if self.at == self.ring.len() {
            self.come_round();
        }
    }

    #[cold]
    fn come_round(&mut self) {
        (self.at, self.is_full) = (0, true);
        self.net = self.ring.iter().sum();
        self.length = self.ring.iter().map(|change| change.abs()).sum();
    }
}
