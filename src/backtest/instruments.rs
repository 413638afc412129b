//! Trading rules: those of the venue where prices keep to them, others told from the prices.

use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::money::decimal_to_f64;
use levibot_core::domain::{Bar, Instrument, InstrumentId, Money, Qty, Symbol, Venue};
use rust_decimal::Decimal;

use super::BacktestError;

/// The most decimals that are told from prices; more are rounded to these.
const DECIMALS_MAX: u32 = 8;
/// Venue of instruments that no file of trading rules knows.
const VENUE: &str = "files";
/// How far a price may be from whole ticks, in ticks, and still count as on them: what `f64` rounding can make of it.
const OFF_TICK_MAX: f64 = 1e-6;

/// Whether every price lies on the instrument's tick.
pub(super) fn lie_on_tick(bars: &[Bar], instrument: &Instrument) -> bool {
    let tick = decimal_to_f64(instrument.tick());
    let on_tick = |price: f64| {
        let ticks = price / tick;
        (ticks - ticks.round()).abs() <= OFF_TICK_MAX
    };
    bars.iter().all(|bar| [bar.open, bar.high, bar.low, bar.close].into_iter().all(on_tick))
}

/// The most decimals that a price has, at most [`DECIMALS_MAX`].
pub(super) fn decimals(bars: &[Bar]) -> u32 {
    let mut decimals = 0;
    let mut scale = 1.0_f64;
    for price in bars.iter().flat_map(|bar| [bar.open, bar.high, bar.low, bar.close]) {
        // The nearest number of so many decimals is the price itself: no bit is lost.
        while decimals < DECIMALS_MAX && ((price * scale).round() / scale).to_bits() != price.to_bits() {
            decimals += 1;
            scale *= 10.0;
        }
    }
    decimals
}

/// An instrument without minimum, whose tick is as fine as its prices.
///
/// # Errors
/// [`BacktestError::Run`] where the rules cannot be: they are made here, so this would be a mistake of ours.
pub(super) fn told_from(symbol: Symbol, bars: &[Bar], currency: &str) -> Result<Instrument, BacktestError> {
    let wrong = |error: &dyn std::fmt::Display| BacktestError::Run(format!("rules of {symbol}: {error}"));
    let venue: Venue = VENUE.parse().map_err(|error| wrong(&error))?;
    let name = symbol.as_str();
    let base = name.strip_suffix(currency).filter(|base| !base.is_empty()).unwrap_or(name);
    let raw = RawInstrument {
        id: InstrumentId { venue, symbol },
        base: base.to_owned(),
        quote: currency.to_owned(),
        tick: Decimal::new(1, decimals(bars)),
        step: Decimal::new(1, DECIMALS_MAX),
        min_qty: Qty::ZERO,
        min_notional: Money::ZERO,
    };
    Instrument::try_from(raw).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::Ts;

    use super::*;

    fn at(prices: &[f64]) -> Vec<Bar> {
        let bar = |price: &f64| Bar {
            open_ts: Ts::EPOCH,
            open: *price,
            high: *price,
            low: *price,
            close: *price,
            volume: 1.0,
        };
        prices.iter().map(bar).collect()
    }

    #[test]
    fn the_finest_decimals_that_occur_are_found() {
        for (prices, wanted) in [
            (&[100.0, 3.0][..], 0),
            (&[0.1, 0.3, 46_123.7], 1),
            (&[46_123.45, 1.0], 2),
            (&[0.000_012_34], 8),
            (&[1.0 / 3.0], 8),
            (&[], 0),
        ] {
            assert_eq!(decimals(&at(prices)), wanted, "{prices:?}");
        }
    }

    #[test]
    fn an_instrument_told_from_prices_has_their_tick_and_no_minimum() {
        let symbol: Symbol = "FOOUSDT".parse().unwrap();
        let instrument = told_from(symbol, &at(&[1.25, 1.5]), "USDT").unwrap();
        assert_eq!((instrument.base(), instrument.quote()), ("FOO", "USDT"));
        assert_eq!(instrument.tick().to_string(), "0.01");
        let price = instrument.price(1.25, levibot_core::domain::instrument::Rounding::Nearest).unwrap();
        assert!(instrument.is_tradable("0.00000001".parse().unwrap(), price));
        assert!(lie_on_tick(&at(&[1.25, 46_000.01, 1e6 + 0.99]), &instrument));
        assert!(!lie_on_tick(&at(&[1.25, 1.255]), &instrument));
    }
}
