//! The walk of one symbol.

use super::market::Tide;
use super::noise::{Garch, Stream};
use super::setup::SimulatedSymbol;
use super::trend::Drift;
use crate::domain::hash::hash64;
use crate::domain::{Bar, Ix, Quote, Ts};

/// Time in which half of a departure from the start price is taken back. Weak enough to be unseen over months; without
/// it a walk that never ends would leave the range of prices that the tick suits.
const RETURN_HALF_LIFE_HOURS: f64 = 120.0 * 24.0;
/// A jump of a symbol's own: one in about eight days, two and a half hours' worth of its own volatility.
const JUMP_EVERY_HOURS: f64 = 200.0;
const JUMP_HOURS_OF_VOLATILITY: f64 = 2.5;
/// Quote currency at the best bid or ask, on average.
const DEPTH: f64 = 40_000.0;

/// How a symbol behaves.
#[derive(Debug, Clone, Copy)]
struct Character {
    /// How much of the common factor it takes.
    beta: f64,
    /// Volatility of its own over an hour.
    own_per_hour: f64,
    /// Half of bid to ask over price, in usual times.
    half_spread: f64,
    /// Quote currency traded in an hour, in usual times.
    turnover_per_hour: f64,
}

impl Character {
    /// The two leading symbols are given; for others the name decides, so that a symbol is the same in every market.
    /// With a factor of 0.5 % an hour, the leaders move 0.6 to 0.8 % and the others 1 to 1.5 % an hour; about half of
    /// it is common.
    fn of(name: &str) -> Self {
        let draws = Stream::new(hash64(&[name.as_bytes()]), "character", "");
        let between = |slot, low: f64, high: f64| low + (high - low) * draws.unit(0, slot);
        if name.starts_with("BTC") {
            return Self { beta: 1.0, own_per_hour: 0.003, half_spread: 0.000_01, turnover_per_hour: 4e8 };
        }
        if name.starts_with("ETH") {
            return Self { beta: 1.2, own_per_hour: 0.0045, half_spread: 0.000_015, turnover_per_hour: 2e8 };
        }
        Self {
            beta: between(0, 1.3, 1.8),
            own_per_hour: between(1, 0.007, 0.012),
            half_spread: between(2, 0.000_05, 0.000_2),
            turnover_per_hour: between(3, 2e6, 3e7),
        }
    }
}

/// The prices that a tick allows.
#[derive(Debug, Clone, Copy)]
struct Grid {
    tick: f64,
    /// Ticks in a unit where that is a whole number: dividing by it gives the `f64` nearest to the decimal.
    per_unit: Option<f64>,
}

impl Grid {
    fn new(tick: f64) -> Self {
        let per_unit = (1.0 / tick).round();
        let is_whole = per_unit >= 1.0 && (per_unit * tick - 1.0).abs() < 1e-9;
        Self { tick, per_unit: is_whole.then_some(per_unit) }
    }

    fn price(self, ticks: f64) -> f64 {
        self.per_unit.map_or(ticks * self.tick, |per_unit| ticks / per_unit)
    }

    fn ticks(self, price: f64) -> f64 {
        self.per_unit.map_or(price / self.tick, |per_unit| price * per_unit)
    }
}

/// The bar in the making.
#[derive(Debug, Clone, Copy)]
struct Candle {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

/// One symbol's state.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) ix: Ix,
    stream: Stream,
    character: Character,
    grid: Grid,
    step_hours: f64,
    /// Standard deviation of its own noise a step.
    own_step: f64,
    start: f64,
    /// Logarithm of price over start price.
    away: f64,
    garch: Garch,
    /// Of its own; `None` without a trend.
    drift: Option<Drift>,
    candle: Option<Candle>,
    /// Close of the last whole bar, zero before the first.
    last_close: f64,
}

impl Path {
    /// `trend` is that of the setup.
    pub(super) fn new(seed: u64, setup: &SimulatedSymbol, step_hours: f64, trend: f64) -> Self {
        let name = setup.symbol.as_str();
        let character = Character::of(name);
        Self {
            ix: setup.ix,
            stream: Stream::new(seed, "symbol", name),
            character,
            grid: Grid::new(setup.tick),
            step_hours,
            own_step: character.own_per_hour * step_hours.sqrt(),
            start: setup.start_price,
            away: 0.0,
            garch: Garch::for_student(step_hours),
            drift: Drift::new(Stream::new(seed, "trend", name), trend * character.own_per_hour, step_hours),
            candle: None,
            last_close: 0.0,
        }
    }

    /// Steps to `ts`.
    pub(super) fn step(&mut self, n: u64, ts: Ts, tide: &Tide) -> Quote {
        let own_stress = self.garch.volatility();
        let moved = self.walk(n, tide, own_stress);
        let price = self.start * self.away.exp();

        // One tick is left under the mid price for the bid.
        let mid = self.grid.ticks(price).round().max(2.0);
        let stress = 0.5 * (tide.stress + own_stress);
        let width = (2.0 * self.character.half_spread * stress * mid).round().max(1.0);
        let bid = (mid - (0.5 * width).floor()).max(1.0);

        let traded = self.character.turnover_per_hour * self.step_hours * tide.volume / price;
        // Volume rises with the size of the move: 0.4 of it is always there, the rest grows with the move.
        let volume = traded * (0.4 + 0.75 * moved) * (0.5 + self.stream.unit(n, 5));
        self.extend_candle(self.grid.price(mid), volume);

        let depth = DEPTH / price;
        Quote {
            ts,
            bid: self.grid.price(bid),
            ask: self.grid.price(bid + width),
            bid_size: depth * (0.5 + self.stream.unit(n, 6)),
            ask_size: depth * (0.5 + self.stream.unit(n, 7)),
        }
    }

    /// Moves the logarithm of the price; the size of the move in usual standard deviations of a step, at most 10.
    fn walk(&mut self, n: u64, tide: &Tide, own_stress: f64) -> f64 {
        let z = self.stream.student(n, 0);
        self.garch.learn(z);
        let mut move_ = self.character.beta * tide.factor + self.own_step * tide.own * own_stress * z;
        if self.stream.unit(n, 2) < self.step_hours / JUMP_EVERY_HOURS {
            let size = self.character.own_per_hour * JUMP_HOURS_OF_VOLATILITY;
            move_ += size * self.stream.normal(n, 3);
        }
        if let Some(drift) = &mut self.drift {
            move_ += drift.step(n);
        }
        let pull = std::f64::consts::LN_2 * self.step_hours / RETURN_HALF_LIFE_HOURS;
        self.away += move_ - pull * self.away;
        let usual = self.own_step.hypot(self.character.beta * super::market::FACTOR_PER_HOUR * self.step_hours.sqrt());
        (move_.abs() / usual).min(10.0)
    }

    fn extend_candle(&mut self, mid: f64, volume: f64) {
        let candle = self.candle.get_or_insert(Candle { open: mid, high: mid, low: mid, close: mid, volume: 0.0 });
        candle.high = candle.high.max(mid);
        candle.low = candle.low.min(mid);
        candle.close = mid;
        candle.volume += volume;
    }

    /// Ends the bar that opened at `open_ts`; gives it with the close of the one before, zero at the first. `None` if
    /// no step was made in it.
    pub(super) fn close_bar(&mut self, open_ts: Ts) -> Option<(Bar, f64)> {
        let Candle { open, high, low, close, volume } = self.candle.take()?;
        let before = std::mem::replace(&mut self.last_close, close);
        Some((Bar { open_ts, open, high, low, close, volume: (volume * 1e3).round() / 1e3 }, before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_the_numbers_nearest_to_their_decimals() {
        let grid = Grid::new(0.01);
        assert_eq!((grid.price(4_012_345.0), grid.price(29.0)), (40_123.45, 0.29));
        assert_eq!(
            (Grid::new(0.05).price(3.0), Grid::new(5.0).price(3.0), Grid::new(0.3).price(2.0)),
            (0.15, 15.0, 0.6)
        );
    }

    #[test]
    fn a_symbol_at_the_bottom_of_its_range_still_has_sound_quotes() {
        let symbol = "LOW".parse().unwrap();
        let setup = SimulatedSymbol { ix: Ix(0), symbol, start_price: 1.0, tick: 0.01 };
        let mut path = Path::new(1, &setup, 1.0 / 60.0, 0.0);
        path.away = -20.0;
        let tide = Tide { factor: -0.01, own: 2.0, volume: 1.0, stress: 5.0 };
        for n in 0..1_000 {
            let quote = path.step(n, Ts::EPOCH, &tide);
            assert!(quote.is_sound() && quote.bid < quote.ask, "{quote:?}");
        }
        assert_eq!(path.close_bar(Ts::EPOCH).unwrap().0.check(), Ok(()));
    }
}
