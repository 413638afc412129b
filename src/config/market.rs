//! Checks of the market: symbols, trading rules, simulator, files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levibot_core::account::AccountSetup;
use levibot_core::domain::decimals::decimal_to_f64;
use levibot_core::domain::instrument::{InstrumentError, RawInstrument};
use levibot_core::domain::{Instrument, InstrumentId, Ix, Span, Symbol, Timeframe, Ts, Venue};
use levibot_core::simulator::{SimulatedSymbol, SimulatorSetup};

use super::account::is_currency;
use super::error::Origin;
use super::overrides::Overrides;
use super::raw::{RawFiles, RawMarket, RawRules, RawSimulator, SourceKey};
use super::text::{Shelf, span_text, toml_of};
use super::{ConfigError, MarketConfig, MarketSource};

/// The most trading seconds in a real second.
const SPEED_MAX: f64 = 100_000.0;

/// When the simulator may start: 1970 to 2099.
const YEARS: std::ops::Range<Ts> = Ts::EPOCH..Ts::from_secs(4_102_444_800);

/// The longest simulated history.
const HISTORY_MAX: Span = Span::DAY.times(3_660);

/// What a simulated price may be, in ticks.
const TICKS: std::ops::RangeInclusive<f64> = 100.0..=1e12;

pub(super) fn market(
    at: Origin<'_>,
    shelf: Shelf,
    raw: RawMarket,
    currency: &str,
    overrides: &Overrides,
) -> Result<(MarketConfig, Option<Vec<Symbol>>), ConfigError> {
    let RawMarket { source, venue, timeframe, symbols, instruments: instruments_file, simulator, files } = raw;
    let instruments = instruments(shelf, &instruments_file, venue)?;
    let mut market = MarketConfig {
        source: MarketSource::Files { path: None, from: None, to: None },
        venue,
        timeframe,
        instruments_file,
        instruments,
    };
    let symbols = match &overrides.symbols {
        Some(given) => {
            // The file's own list must be good too: it is what the next start uses.
            symbols.map(|list| market.symbols(at, "market.symbols", list, currency)).transpose()?;
            Some(market.symbols(Origin::COMMAND_LINE, "--symbols", given.clone(), currency)?)
        }
        None => symbols.map(|list| market.symbols(at, "market.symbols", list, currency)).transpose()?,
    };
    market.source = match source {
        SourceKey::Simulator => {
            refuse_unused(at, "market.files", files.is_some(), "simulator")?;
            refuse_file_options(overrides)?;
            let Some(traded) = symbols.as_deref() else {
                return Err(no_symbols(at, "market.symbols"));
            };
            simulator_source(at, simulator, &market, traded)?
        }
        SourceKey::Files => {
            refuse_unused(at, "market.simulator", simulator.is_some(), "files")?;
            files_source(at, files.unwrap_or_default(), overrides)?
        }
    };
    Ok((market, symbols))
}

/// The file of trading rules: one table a symbol.
pub(super) fn instruments(
    shelf: Shelf,
    file: &Path,
    venue: Venue,
) -> Result<BTreeMap<Symbol, Instrument>, ConfigError> {
    let key = "`market.instruments`";
    let text = shelf.read(file, key)?;
    let rules: BTreeMap<Symbol, RawRules> = toml_of(&text, file, key, "config/symbols/binance.toml")?;
    let name = file.display().to_string();
    let at = Origin(&name);
    let mut instruments = BTreeMap::new();
    for (symbol, rules) in rules {
        let RawRules { base, quote, tick, step, min_qty, min_notional } = rules;
        for (key, currency) in [("base", &base), ("quote", &quote)] {
            if !is_currency(currency) {
                let remedy = "write 1 to 12 upper-case letters or digits";
                let value = format!("\"{currency}\"");
                return Err(at.refuse(format!("{symbol}.{key}"), value, "it is not a currency", remedy));
            }
        }
        let id = InstrumentId { venue, symbol };
        let raw = RawInstrument { id, base, quote, tick, step, min_qty, min_notional };
        let remedy = "write what the venue states, as text, such as \"0.01\"";
        let instrument = Instrument::try_from(raw).map_err(|error| match error {
            InstrumentError::NotPositive { key, value, .. } => {
                at.refuse(format!("{symbol}.{key}"), value, "it must be over zero", remedy)
            }
            InstrumentError::NegativeNotional { value, .. } => {
                at.refuse(format!("{symbol}.min_notional"), value, "it must not be negative", remedy)
            }
        })?;
        instruments.insert(symbol, instrument);
    }
    Ok(instruments)
}

impl MarketConfig {
    /// The rules of a symbol for which `asked` asks.
    pub(super) fn rules(&self, symbol: Symbol, asked: &str) -> Result<&Instrument, ConfigError> {
        self.instruments.get(&symbol).ok_or_else(|| ConfigError::UnknownSymbol {
            symbol,
            asked: asked.to_owned(),
            file: self.instruments_file.clone(),
            nearest: nearest(symbol, self.instruments.keys()),
        })
    }

    /// The same, quoted in the account's currency.
    pub(super) fn instrument(&self, symbol: Symbol, asked: &str, currency: &str) -> Result<&Instrument, ConfigError> {
        let instrument = self.rules(symbol, asked)?;
        if instrument.quote() != currency {
            let quote = instrument.quote();
            let name = self.instruments_file.display().to_string();
            let reason = format!("{asked} asks for it, and `account.currency` is \"{currency}\"");
            let remedy = format!("leave the symbol out, or set `account.currency` = \"{quote}\"");
            return Err(Origin(&name).refuse(format!("{symbol}.quote"), format!("\"{quote}\""), reason, remedy));
        }
        Ok(instrument)
    }

    /// A list of symbols: not empty, each once and tradable. In name order.
    fn symbols(
        &self,
        at: Origin<'_>,
        key: &str,
        mut list: Vec<Symbol>,
        currency: &str,
    ) -> Result<Vec<Symbol>, ConfigError> {
        if list.is_empty() {
            return Err(no_symbols(at, key));
        }
        list.sort_unstable();
        if let Some(pair) = list.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(at.refuse(key, pair[0], "it stands there twice", "name each symbol once"));
        }
        for symbol in &list {
            self.instrument(*symbol, &format!("`{key}`"), currency)?;
        }
        Ok(list)
    }

    /// Goes on with these rules, whatever the file says.
    pub fn take_rules<'a>(&mut self, instruments: impl IntoIterator<Item = &'a Instrument>) {
        self.instruments.extend(instruments.into_iter().map(|one| (one.id().symbol, one.clone())));
    }

    /// What the simulator is to play for the instruments of an account; `None` when prices come from files.
    pub fn simulator_setup(&self, account: &AccountSetup) -> Option<SimulatorSetup> {
        let MarketSource::Simulator { seed, start, quote_every, history, trend, ref prices, .. } = self.source else {
            return None;
        };
        let simulated = |(at, instrument): (usize, &Instrument)| {
            let symbol = instrument.id().symbol;
            let (ix, start_price) = (Ix::from_usize(at)?, *prices.get(&symbol)?);
            Some(SimulatedSymbol { ix, symbol, start_price, tick: decimal_to_f64(instrument.tick()) })
        };
        let symbols = account.instruments.iter().enumerate().filter_map(simulated).collect();
        let bars = history.nanos().unsigned_abs().div_ceil(self.timeframe.span().nanos().unsigned_abs());
        let history_bars = u32::try_from(bars).unwrap_or(u32::MAX);
        Some(SimulatorSetup { seed, start, timeframe: self.timeframe, quote_every, history_bars, trend, symbols })
    }
}

pub(super) fn no_symbols(at: Origin<'_>, key: &str) -> ConfigError {
    let remedy =
        "name at least one symbol, such as [\"BTCUSDT\"]; with `market.source` = \"files\" the key may be left out";
    at.refuse(key, "empty", "there is nothing to trade", remedy)
}

fn refuse_unused(at: Origin<'_>, table: &str, is_given: bool, source: &str) -> Result<(), ConfigError> {
    if is_given {
        let reason = format!("it has no effect with `market.source` = \"{source}\"");
        return Err(at.refuse(table, "a table", reason, "remove the table, or change `market.source`"));
    }
    Ok(())
}

fn refuse_file_options(overrides: &Overrides) -> Result<(), ConfigError> {
    let Overrides { data, from, to, .. } = overrides;
    let data = data.as_ref().map(|path| path.display().to_string());
    let given = [("--data", data), ("--from", from.map(|ts| ts.to_string())), ("--to", to.map(|ts| ts.to_string()))];
    match given.into_iter().find_map(|(key, value)| Some((key, value?))) {
        Some((key, value)) => {
            let reason = "it chooses price files, and `market.source` is \"simulator\"";
            let remedy = "leave it out, or replay files with --config config/replay.toml";
            Err(Origin::COMMAND_LINE.refuse(key, value, reason, remedy))
        }
        None => Ok(()),
    }
}

fn simulator_source(
    at: Origin<'_>,
    raw: Option<RawSimulator>,
    market: &MarketConfig,
    traded: &[Symbol],
) -> Result<MarketSource, ConfigError> {
    let Some(RawSimulator { seed, start, quote_every, history, trend, speed, prices }) = raw else {
        let reason = "`market.source` = \"simulator\" needs it";
        let remedy = "copy the table from the shipped config/levibot.toml";
        return Err(at.refuse("market.simulator", "missing", reason, remedy));
    };
    let (start, quote_every) = (start.0, quote_every.0);
    if !(speed > 0.0 && speed <= SPEED_MAX) {
        let reason = "it is not a number of trading seconds per real second";
        return Err(at.refuse("market.simulator.speed", speed, reason, "write a number over 0 and up to 100000"));
    }
    check_times(at, start, quote_every, market.timeframe)?;
    let history = history.map_or(Span::ZERO, |text| text.0);
    if history > HISTORY_MAX {
        let (reason, remedy) = ("it is over 3660 days", "write a span such as \"60d\"");
        return Err(at.refuse("market.simulator.history", span_text(history), reason, remedy));
    }
    if !(0.0..=1.0).contains(&trend) {
        let remedy = "write 0 for none, or a number up to 1, such as 0.3";
        return Err(at.refuse("market.simulator.trend", trend, "it is not the strength of a drift", remedy));
    }
    let prices = check_prices(at, prices, market, traded)?;
    Ok(MarketSource::Simulator { seed, start, quote_every, history, trend, speed, prices })
}

fn check_times(at: Origin<'_>, start: Ts, quote_every: Span, timeframe: Timeframe) -> Result<(), ConfigError> {
    let bar = timeframe.span().nanos();
    if quote_every <= Span::ZERO || bar % quote_every.nanos() != 0 {
        let reason = format!("it does not divide a bar of {timeframe}");
        let remedy = "write a span that fits into `market.timeframe` without remainder, such as \"5s\"";
        return Err(at.refuse("market.simulator.quote_every", span_text(quote_every), reason, remedy));
    }
    if timeframe.floor(start) != start {
        let reason = format!("it is not the start of a bar of {timeframe}");
        let remedy = format!("write \"{}\"", timeframe.floor(start));
        return Err(at.refuse("market.simulator.start", start, reason, remedy));
    }
    // Leaves room for the warm-up before it and a run after it.
    if !YEARS.contains(&start) {
        let remedy = "write a date such as \"2025-01-01\"";
        return Err(at.refuse("market.simulator.start", start, "it is not between 1970 and 2100", remedy));
    }
    Ok(())
}

/// All given prices, checked; none of a traded symbol is missing. Those of others are kept: one that is not traded any more may
/// have a position.
fn check_prices(
    at: Origin<'_>,
    prices: BTreeMap<Symbol, f64>,
    market: &MarketConfig,
    traded: &[Symbol],
) -> Result<BTreeMap<Symbol, f64>, ConfigError> {
    for (symbol, price) in &prices {
        let tick = market.rules(*symbol, "`market.simulator.prices`")?.tick();
        if !TICKS.contains(&(price / decimal_to_f64(tick))) {
            let reason = format!("it is not 100 to 1e12 ticks of {tick}");
            let remedy = "write the price of one unit in the quote currency";
            return Err(at.refuse(format!("market.simulator.prices.{symbol}"), price, reason, remedy));
        }
    }
    if let Some(symbol) = traded.iter().find(|symbol| !prices.contains_key(symbol)) {
        let key = format!("market.simulator.prices.{symbol}");
        let remedy = format!("add `\"{symbol}\" = <price>` in the quote currency, or leave the symbol out");
        return Err(at.refuse(key, "missing", "the simulator needs a start price of every symbol", remedy));
    }
    Ok(prices)
}

fn files_source(at: Origin<'_>, raw: RawFiles, overrides: &Overrides) -> Result<MarketSource, ConfigError> {
    let (path, key): (Option<PathBuf>, _) = match &overrides.data {
        Some(data) => (Some(data.clone()), "--data"),
        None => (raw.path, "`market.files.path`"),
    };
    if let Some(path) = &path {
        std::fs::metadata(path).map_err(|source| ConfigError::Read {
            file: path.clone(),
            key: key.to_owned(),
            source,
        })?;
    }
    let from = overrides.from.or(raw.from.map(|text| text.0));
    let to = overrides.to.or(raw.to.map(|text| text.0));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let (at, key) = match (overrides.from, overrides.to) {
            (None, None) => (at, "market.files.from"),
            (Some(_), _) => (Origin::COMMAND_LINE, "--from"),
            (None, Some(_)) => (Origin::COMMAND_LINE, "--to"),
        };
        let value = format!("{from} to {to}");
        return Err(at.refuse(key, value, "no time lies between", "choose a start before the end"));
    }
    Ok(MarketSource::Files { path, from, to })
}

/// The three known names with the smallest distance to one that is not known.
fn nearest<'a>(symbol: Symbol, known: impl Iterator<Item = &'a Symbol>) -> Vec<Symbol> {
    let mut ranked: Vec<(usize, Symbol)> =
        known.map(|name| (edit_distance(symbol.as_str().as_bytes(), name.as_str().as_bytes()), *name)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Letters to insert, remove or replace (Levenshtein).
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
