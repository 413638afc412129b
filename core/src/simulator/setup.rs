//! What is simulated.

use super::WARM_UP_BARS;
use crate::domain::{Ix, Span, Symbol, Timeframe, Ts};

/// Settings of a simulated market.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorSetup {
    /// Chooses the path; any number.
    pub seed: u64,
    /// Where the feed begins, a multiple of `timeframe` since the epoch. The first event follows one `quote_every`
    /// later.
    pub start: Ts,
    /// Length of bars.
    pub timeframe: Timeframe,
    /// Time between quotes, such as 5 s; fits into `timeframe` without remainder. A bar is made of the quotes in it, so
    /// with one quote a bar all its prices are equal.
    pub quote_every: Span,
    /// Bars that the walk runs before `start`; under [`WARM_UP_BARS`] it runs these. Another number is another walk.
    pub history_bars: u32,
    /// How strong the hidden drift of market and symbols is: its usual size over an hour, in usual volatilities of an hour,
    /// 0 to 1. With 0 there is none and nothing to learn. See [`super`] and the module `trend` for what it means.
    pub trend: f64,
    /// The symbols, each once.
    pub symbols: Vec<SimulatedSymbol>,
}

/// One simulated symbol. Its name decides its character (how much it moves, how closely it follows the market).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedSymbol {
    /// Its place in the run's table.
    pub ix: Ix,
    /// Its name.
    pub symbol: Symbol,
    /// Price at which the walk begins and about which it wanders, quote currency; at least 100 ticks.
    pub start_price: f64,
    /// Smallest price difference, quote currency.
    pub tick: f64,
}

/// Settings that cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SimulatorError {
    /// No symbol given.
    #[error("the simulator has no symbols: give at least one")]
    NoSymbols,
    /// A name or place that stands twice.
    #[error("the simulator has {symbol} or its place {} twice: give each symbol once", ix.0)]
    Repeated {
        /// The symbol.
        symbol: Symbol,
        /// Its place.
        ix: Ix,
    },
    /// A start between bars.
    #[error(
        "the simulator's start {start} is not the start of a bar of {timeframe}: the one before is {}",
        timeframe.floor(*start)
    )]
    Unaligned {
        /// The start given.
        start: Ts,
        /// The timeframe given.
        timeframe: Timeframe,
    },
    /// A start with no room for the warm-up before it or a bar after it.
    #[error("the simulator's start {start} lies too near the end of time: choose one in this century")]
    OutOfTime {
        /// The start given.
        start: Ts,
    },
    /// Quotes that do not fit into a bar.
    #[error(
        "the simulator's quotes every {} s do not divide a bar of {timeframe}: choose such as 1, 5 or 60 s",
        quote_every.secs_f64()
    )]
    QuoteEvery {
        /// The span given.
        quote_every: Span,
        /// The timeframe given.
        timeframe: Timeframe,
    },
    /// A hidden drift that cannot be.
    #[error("the simulator's trend of {trend} cannot be: choose 0 for none, up to 1")]
    Trend {
        /// The value given.
        trend: f64,
    },
    /// A price or tick that cannot be.
    #[error(
        "{symbol}: a start price of {start_price} with ticks of {tick} cannot be: take a tick over zero and a price of \
         100 to 1e12 ticks"
    )]
    Price {
        /// The symbol.
        symbol: Symbol,
        /// The price given.
        start_price: f64,
        /// The tick given.
        tick: f64,
    },
}

/// Twelve crypto-like symbols in name order, quoted in USDT, with the ticks of such markets.
pub fn crypto_symbols() -> Vec<SimulatedSymbol> {
    const LIST: [(&str, f64, f64); 12] = [
        ("ADAUSDT", 0.45, 0.0001),
        ("AVAXUSDT", 25.0, 0.0001),
        ("BNBUSDT", 300.0, 0.001),
        ("BTCUSDT", 40_000.0, 0.01),
        ("DOGEUSDT", 0.08, 0.000_001),
        ("DOTUSDT", 6.0, 0.001),
        ("ETHUSDT", 2_500.0, 0.01),
        ("LINKUSDT", 14.0, 0.001),
        ("MATICUSDT", 0.85, 0.00001),
        ("NEARUSDT", 3.0, 0.0001),
        ("SOLUSDT", 70.0, 0.0001),
        ("XRPUSDT", 0.6, 0.0001),
    ];
    let symbol = |(ix, (name, start_price, tick)): (u16, (&str, f64, f64))| {
        // The names above are valid, which a test makes sure of.
        Some(SimulatedSymbol { ix: Ix(ix), symbol: name.parse().ok()?, start_price, tick })
    };
    (0..).zip(LIST).filter_map(symbol).collect()
}

impl SimulatorSetup {
    /// Checks everything that the walk relies on.
    pub(super) fn check(&self) -> Result<(), SimulatorError> {
        let Self { start, timeframe, quote_every, .. } = *self;
        if self.symbols.is_empty() {
            return Err(SimulatorError::NoSymbols);
        }
        let bar = timeframe.span();
        if quote_every <= Span::ZERO || bar.nanos() % quote_every.nanos() != 0 {
            return Err(SimulatorError::QuoteEvery { quote_every, timeframe });
        }
        if timeframe.floor(start) != start {
            return Err(SimulatorError::Unaligned { start, timeframe });
        }
        let warm_up = bar.nanos().checked_mul(i64::from(self.walked_bars()));
        if warm_up.and_then(|span| start.nanos().checked_sub(span)).is_none() || start + bar == Ts::MAX {
            return Err(SimulatorError::OutOfTime { start });
        }
        if !(0.0..=1.0).contains(&self.trend) {
            return Err(SimulatorError::Trend { trend: self.trend });
        }
        for (at, one) in self.symbols.iter().enumerate() {
            let SimulatedSymbol { ix, symbol, start_price, tick } = *one;
            let ticks = start_price / tick;
            if !(tick > 0.0 && tick.is_finite() && (100.0..=1e12).contains(&ticks)) {
                return Err(SimulatorError::Price { symbol, start_price, tick });
            }
            if self.symbols[..at].iter().any(|other| other.ix == ix || other.symbol == symbol) {
                return Err(SimulatorError::Repeated { symbol, ix });
            }
        }
        Ok(())
    }

    /// Bars between the beginning of the walk and `start`.
    pub fn walked_bars(&self) -> u32 {
        self.history_bars.max(u32::from(WARM_UP_BARS))
    }

    /// Quotes in a bar.
    pub(super) fn steps_per_bar(&self) -> u64 {
        (self.timeframe.span().nanos() / self.quote_every.nanos()).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> SimulatorSetup {
        let start = Ts::from_secs(1_704_067_200);
        let (timeframe, quote_every) = (Timeframe::MINUTE, Span::from_secs(5));
        let symbols = crypto_symbols();
        SimulatorSetup { seed: 1, start, timeframe, quote_every, history_bars: 0, trend: 0.0, symbols }
    }

    #[test]
    fn the_default_symbols_are_twelve_in_name_order() {
        let symbols = crypto_symbols();
        assert_eq!(symbols.len(), 12);
        assert!(symbols.is_sorted_by_key(|s| s.symbol) && symbols.is_sorted_by_key(|s| s.ix));
        assert_eq!(setup().check(), Ok(()));
    }

    #[test]
    fn settings_that_cannot_be_are_refused_with_the_remedy() {
        let with_symbol = |change: fn(&mut SimulatedSymbol)| {
            let mut setup = setup();
            change(&mut setup.symbols[1]);
            setup
        };
        let cases = [
            (SimulatorSetup { symbols: vec![], ..setup() }, "at least one"),
            (
                SimulatorSetup { start: Ts::from_secs(1_704_067_201), ..setup() },
                "the one before is 2024-01-01T00:00:00Z",
            ),
            (SimulatorSetup { start: Timeframe::MINUTE.floor(Ts::MAX), ..setup() }, "too near the end of time"),
            (SimulatorSetup { quote_every: Span::ZERO, ..setup() }, "do not divide"),
            (SimulatorSetup { quote_every: Span::from_secs(7), ..setup() }, "every 7 s do not divide a bar of 1m"),
            (SimulatorSetup { quote_every: Span::HOUR, ..setup() }, "do not divide"),
            (SimulatorSetup { trend: 1.5, ..setup() }, "trend of 1.5"),
            (SimulatorSetup { trend: f64::NAN, ..setup() }, "0 for none"),
            (SimulatorSetup { trend: -0.1, ..setup() }, "0 for none"),
            (with_symbol(|s| s.ix = Ix(0)), "each symbol once"),
            (with_symbol(|s| s.tick = 0.0), "a tick over zero"),
            (with_symbol(|s| s.start_price = f64::NAN), "a tick over zero"),
            (with_symbol(|s| s.start_price = 0.005), "AVAXUSDT: a start price of 0.005"),
        ];
        for (setup, text) in cases {
            let error = setup.check().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
