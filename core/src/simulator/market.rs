//! What moves all symbols at once: a hidden regime, a common factor, jumps of the whole market, and the time of day.

use std::f64::consts::TAU;

use super::noise::{Garch, Stream};
use super::trend::Drift;
use crate::domain::{Span, Ts};

/// Volatility of the common factor over an hour: about half a percent, so that the leading symbol moves 0.6 % an hour
/// with its own part.
pub(super) const FACTOR_PER_HOUR: f64 = 0.005;
/// Jumps of the whole market: one in about ten days, of about two hours' worth of normal volatility.
const JUMP_EVERY_HOURS: f64 = 250.0;
const JUMP_SIZE: f64 = 0.012;
/// Hour of the day, UTC, at which activity peaks: American markets are open and European ones still are.
const PEAK_HOUR: f64 = 15.0;
const VOLATILITY_SWING: f64 = 0.25;
const VOLUME_SWING: f64 = 0.5;

/// The hidden state of the market.
#[derive(Debug, Clone, Copy)]
struct Regime {
    /// Mean time in it.
    hours: f64,
    /// Factor on volatility. Weighted by the time spent in each regime, the mean square is about 1.
    volatility: f64,
    /// Expected log return of the factor an hour. A trend of mean length gains or loses three percent, which its noise
    /// nearly hides; shares of time are such that rises and falls nearly balance.
    drift: f64,
    /// Probability of each regime after it.
    next: [f64; 4],
}

const CALM: usize = 0;
/// Calm, rising, falling, turbulent. Sticky: they last for a day or two, turmoil for a third of one.
const REGIMES: [Regime; 4] = [
    Regime { hours: 48.0, volatility: 0.7, drift: 0.0, next: [0.0, 0.4, 0.4, 0.2] },
    Regime { hours: 30.0, volatility: 0.95, drift: 0.001, next: [0.5, 0.0, 0.2, 0.3] },
    Regime { hours: 24.0, volatility: 1.15, drift: -0.0012, next: [0.45, 0.25, 0.0, 0.3] },
    Regime { hours: 8.0, volatility: 2.0, drift: 0.0, next: [0.3, 0.3, 0.4, 0.0] },
];

/// What one step of the market does to its symbols.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tide {
    /// Log return of the common factor, jumps included.
    pub(super) factor: f64,
    /// Factor on the symbols' own volatility.
    pub(super) own: f64,
    /// Factor on volume.
    pub(super) volume: f64,
    /// Present volatility of the factor over its usual one: what widens spreads.
    pub(super) stress: f64,
}

/// The market's state.
#[derive(Debug, Clone)]
pub(super) struct Market {
    stream: Stream,
    step_hours: f64,
    regime: usize,
    garch: Garch,
    /// Of the common factor; `None` without a trend.
    drift: Option<Drift>,
}

impl Market {
    /// `trend` is that of the setup.
    pub(super) fn new(seed: u64, step: Span, trend: f64) -> Self {
        let step_hours = step.secs_f64() / 3_600.0;
        let stream = Stream::new(seed, "market", "");
        let drift = Drift::new(Stream::new(seed, "trend", ""), trend * FACTOR_PER_HOUR, step_hours);
        Self { stream, step_hours, regime: CALM, garch: Garch::new(step_hours, 3.0), drift }
    }

    /// Steps to `ts`.
    pub(super) fn step(&mut self, n: u64, ts: Ts) -> Tide {
        self.change_regime(n);
        let regime = REGIMES[self.regime];
        let day = ts.time_of_day().secs_f64() / 86_400.0;
        let season = (TAU * (day - PEAK_HOUR / 24.0)).cos();
        let seasonal = 1.0 + VOLATILITY_SWING * season;

        let z = self.stream.normal(n, 2);
        let stress = regime.volatility * self.garch.volatility();
        let hours = self.step_hours;
        let mut factor = regime.drift * hours + FACTOR_PER_HOUR * stress * seasonal * hours.sqrt() * z;
        self.garch.learn(z);
        if self.stream.unit(n, 4) < hours / JUMP_EVERY_HOURS {
            factor += JUMP_SIZE * self.stream.normal(n, 5);
        }
        if let Some(drift) = &mut self.drift {
            factor += drift.step(n);
        }
        // The symbols' own noise feels a regime half as much as the factor does: in turmoil symbols move together more.
        let own = 0.5 * (1.0 + regime.volatility) * seasonal;
        Tide { factor, own, volume: (1.0 + VOLUME_SWING * season) * stress.sqrt(), stress }
    }

    fn change_regime(&mut self, n: u64) {
        let regime = REGIMES[self.regime];
        let leaves = 1.0 - (-self.step_hours / regime.hours).exp();
        if self.stream.unit(n, 0) >= leaves {
            return;
        }
        let mut left = self.stream.unit(n, 1);
        for (to, probability) in regime.next.iter().enumerate() {
            left -= probability;
            if left < 0.0 {
                self.regime = to;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regimes_are_sticky_and_all_are_visited() {
        assert!(REGIMES.iter().all(|r| (r.next.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        let mut market = Market::new(5, Span::MINUTE, 0.0);
        let (mut seen, mut changes, n) = ([0_u32; 4], 0_u32, 60 * 24 * 365_u32);
        for step in 0..n {
            let before = market.regime;
            market.step(u64::from(step), Ts::from_secs(i64::from(step) * 60));
            changes += u32::from(before != market.regime);
            seen[market.regime] += 1;
        }
        let hours_each = f64::from(n) / 60.0 / f64::from(changes);
        assert!((20.0..45.0).contains(&hours_each), "{hours_each}");
        assert!(seen.iter().all(|count| f64::from(*count) > 0.02 * f64::from(n)), "{seen:?}");
    }
}
