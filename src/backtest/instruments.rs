//! Trading rules: those of the venue where prices keep to them, others told from the prices.

use levibot_core::domain::decimals::decimal_to_f64;
use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::{Bar, Instrument, InstrumentId, Money, Qty, Symbol, Venue};
use rust_decimal::Decimal;

use super::BacktestError;

/// So many decimals are told from any prices; more of them only where prices are so small that these tell too little.
const DECIMALS: u32 = 8;
/// Digits of the lowest price, from its first that is not zero, that a tick told from prices keeps.
const DIGITS: i32 = 8;
/// The most decimals of a tick told from prices: with those of a step they stay within what decimals hold.
const DECIMALS_MAX: u32 = 20;
/// The most ticks in a price: what `f64` counts exactly.
const TICKS_MAX: f64 = 9e15;
/// The largest tick, as a fraction of the lowest price, that prices may be rounded to where they are finer.
const LOSS_MAX: f64 = 1e-6;
/// From this fraction of the lowest price on a tick is told to the user: a fill is rounded against us to whole ticks, and
/// this is what the shipped fee costs.
const COARSE_FROM: f64 = 0.0005;
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

/// What of prices decides about their tick.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    decimals: u32,
    /// Whether prices have more of them.
    is_cut: bool,
    lowest: f64,
    highest: f64,
}

/// The decimals of a tick on which the prices lie, as far as decimals go.
fn told(bars: &[Bar]) -> Told {
    let lowest = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
    let highest = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
    let wanted = magnitude(lowest).map_or(0, |power| u32::try_from(DIGITS - 1 - power).unwrap_or(0));
    let fits = |decimals: &u32| highest * 10_f64.powi(decimals.cast_signed()) <= TICKS_MAX;
    let most = (0..=wanted.clamp(DECIMALS, DECIMALS_MAX)).rev().find(fits).unwrap_or(0);
    let (mut decimals, mut scale) = (0, 1.0_f64);
    let mut is_cut = false;
    for price in bars.iter().flat_map(|bar| [bar.open, bar.high, bar.low, bar.close]) {
        // The nearest number of so many decimals is the price itself: no bit is lost.
        while ((price * scale).round() / scale).to_bits() != price.to_bits() {
            if decimals == most {
                is_cut = true;
                break;
            }
            decimals += 1;
            scale = 10_f64.powi(decimals.cast_signed());
        }
    }
    Told { decimals, is_cut, lowest, highest }
}

/// The power of ten of the first digit of a number over zero.
fn magnitude(value: f64) -> Option<i32> {
    let power = value.log10().floor();
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite number, under 400")]
    (value > 0.0 && power.is_finite()).then_some(power as i32)
}

/// An instrument without minimum, whose tick is as fine as its prices. Its step is as fine as is worth anything: of what
/// costs little there are many.
///
/// # Errors
/// [`BacktestError::Prices`] where no tick is fine enough for the lowest price and still counts the highest one;
/// [`BacktestError::Run`] where the rules cannot be: they are made here, so this would be a mistake of ours.
pub(super) fn told_from(symbol: Symbol, bars: &[Bar], currency: &str) -> Result<Instrument, BacktestError> {
    let wrong = |error: &dyn std::fmt::Display| BacktestError::Run(format!("rules of {symbol}: {error}"));
    let Told { decimals, is_cut, lowest, highest } = told(bars);
    let tick = Decimal::new(1, decimals);
    if is_cut && decimal_to_f64(tick) > LOSS_MAX * lowest {
        return Err(BacktestError::Prices { symbol, lowest, highest, tick: tick.to_string() });
    }
    let step = magnitude(lowest).map_or(DECIMALS, |power| DECIMALS.saturating_add_signed(power.min(0)));
    let venue: Venue = VENUE.parse().map_err(|error| wrong(&error))?;
    let name = symbol.as_str();
    let base = name.strip_suffix(currency).filter(|base| !base.is_empty()).unwrap_or(name);
    let raw = RawInstrument {
        id: InstrumentId { venue, symbol },
        base: base.to_owned(),
        quote: currency.to_owned(),
        tick,
        step: Decimal::new(1, step),
        min_qty: Qty::ZERO,
        min_notional: Money::ZERO,
    };
    Instrument::try_from(raw).map_err(|error| wrong(&error))
}

/// What must be known of a tick that is large beside the prices.
pub(super) fn coarse(bars: &[Bar], instrument: &Instrument) -> Option<String> {
    let lowest = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
    let share = decimal_to_f64(instrument.tick()) / lowest;
    (share >= COARSE_FROM).then(|| {
        let (symbol, tick) = (instrument.id().symbol, instrument.tick());
        format!(
            "{symbol}: its tick of {tick} is {:.2} % of its lowest price, {lowest}; a fill is rounded against you by up to a tick",
            100.0 * share
        )
    })
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::Ts;
    use levibot_core::domain::instrument::Rounding;

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
        for (prices, wanted, is_cut) in [
            (&[100.0, 3.0][..], 0, false),
            (&[0.1, 0.3, 46_123.7], 1, false),
            (&[46_123.45, 1.0], 2, false),
            (&[0.000_012_34], 8, false),
            (&[0.000_001_234_5, 0.000_001_3], 10, false),
            (&[0.000_000_000_123_45], 14, false),
            (&[1.0 / 3.0], 8, true),
            (&[1e-5 / 3.0], 13, true),
            // So many ticks of 1e-8 could not be counted.
            (&[1e9 / 7.0], 7, true),
            (&[], 0, false),
        ] {
            let told = told(&at(prices));
            assert_eq!((told.decimals, told.is_cut), (wanted, is_cut), "{prices:?}");
        }
    }

    #[test]
    fn a_small_price_is_filled_at_itself_and_in_quantities_that_can_be_counted() {
        let symbol: Symbol = "FOOUSDT".parse().unwrap();
        let instrument = told_from(symbol, &at(&[0.000_001_234_5]), "USDT").unwrap();
        for rounding in [Rounding::Up, Rounding::Down] {
            assert_eq!(instrument.price(0.000_001_234_5, rounding).unwrap().to_string(), "0.0000012345");
        }
        assert_eq!(instrument.qty_floor(8e12).unwrap().to_string(), "8000000000000", "some ten million USDT");
    }

    #[test]
    fn prices_that_no_tick_can_tell_are_refused_with_a_remedy() {
        let symbol: Symbol = "FOOUSDT".parse().unwrap();
        for prices in [&[1e-22 / 3.0][..], &[1e-6 / 3.0, 1e9]] {
            let error = told_from(symbol, &at(prices), "USDT").unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(["FOOUSDT", "decimals", "multiply"].iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_tick_that_is_large_beside_the_prices_is_told() {
        let symbol: Symbol = "FOOUSDT".parse().unwrap();
        let instrument = told_from(symbol, &at(&[0.000_001_23]), "USDT").unwrap();
        let text = coarse(&at(&[0.000_001_23]), &instrument).unwrap();
        assert!(text.contains("FOOUSDT: its tick of 0.00000001 is 0.81 % of its lowest price, 0.00000123"), "{text}");
        assert_eq!(coarse(&at(&[0.001]), &instrument), None);
    }

    #[test]
    fn an_instrument_told_from_prices_has_their_tick_and_no_minimum() {
        let symbol: Symbol = "FOOUSDT".parse().unwrap();
        let instrument = told_from(symbol, &at(&[1.25, 1.5]), "USDT").unwrap();
        assert_eq!((instrument.base(), instrument.quote()), ("FOO", "USDT"));
        assert_eq!(instrument.tick().to_string(), "0.01");
        let price = instrument.price(1.25, Rounding::Nearest).unwrap();
        assert!(instrument.is_tradable("0.00000001".parse().unwrap(), price));
        assert!(lie_on_tick(&at(&[1.25, 46_000.01, 1e6 + 0.99]), &instrument));
        assert!(!lie_on_tick(&at(&[1.25, 1.255]), &instrument));
    }
}
