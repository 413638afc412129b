//! Price files as a market of the past.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use levibot_core::backtest::{MarketPast, SymbolBars};
use levibot_core::domain::{Bar, FundingRates, Symbol, Timeframe, Ts};
use levibot_core::features::mix_words;
use levibot_core::files::{self, FileError, Loaded, Resampled, Series, resample};

use super::request::FundingRequest;
use super::{BacktestError, Request, pool};

/// A market, and what its files were like.
#[derive(Debug)]
pub(super) struct Prices {
    /// Symbols in name order.
    pub(super) market: MarketPast,
    /// Hash of every bar.
    pub(super) digest: u64,
}

/// Reads the price files that `request` names, several at a time; what is left out of them is told by `tell`.
pub(super) fn prices(request: &Request, threads: usize, tell: &dyn Fn(&str)) -> Result<Prices, BacktestError> {
    let wanted = wanted(request)?;
    let load = |at: usize| wanted.get(at).map(|(symbol, paths)| files::load(*symbol, paths, None));
    let loaded = pool::each(threads, wanted.len(), &AtomicBool::new(false), load);
    let mut all: Vec<Series> = Vec::with_capacity(wanted.len());
    for one in loaded.into_iter().flatten().flatten() {
        let Loaded { series, reports } = one?;
        for report in reports.iter().filter(|report| !report.faults.is_empty()) {
            tell(&report.to_string());
        }
        all.push(series);
    }
    if let Some(timeframe) = request.timeframe {
        for series in &mut all {
            lengthen(series, timeframe, tell)?;
        }
    }
    let timeframe = agreed(&all)?;
    check_range(request, &all, timeframe)?;
    let funding = funding(request, &all)?;
    let symbols = all.into_iter().map(|Series { symbol, bars, .. }| SymbolBars { symbol, bars }).collect();
    let market = MarketPast { timeframe, symbols, funding };
    let digest = digest(&market);
    Ok(Prices { market, digest })
}

/// The files of every symbol that is asked for, in name order.
fn wanted(request: &Request) -> Result<Vec<(Symbol, Vec<PathBuf>)>, BacktestError> {
    let found = files::discover(&request.data)?;
    let Some(symbols) = &request.symbols else { return Ok(found.into_iter().collect()) };
    let mut symbols = symbols.clone();
    symbols.sort_unstable();
    if let Some(twice) = symbols.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first())?) {
        return Err(BacktestError::value("--symbols", twice, "it stands there twice", "name each symbol once"));
    }
    let missing = |symbol: Symbol| {
        let names: Vec<&str> = found.keys().take(20).map(Symbol::as_str).collect();
        let more = if found.len() > names.len() { " and others" } else { "" };
        let path = request.data.clone();
        BacktestError::NoPriceFile { symbol, path, found: format!("{}{more}", names.join(", ")) }
    };
    symbols.iter().map(|symbol| Ok((*symbol, found.get(symbol).ok_or_else(|| missing(*symbol))?.clone()))).collect()
}

/// Makes the bars of a series longer.
fn lengthen(series: &mut Series, to: Timeframe, tell: &dyn Fn(&str)) -> Result<(), BacktestError> {
    let (from, symbol) = (series.timeframe, series.symbol);
    if from == to {
        return Ok(());
    }
    let Some(Resampled { bars, incomplete }) = resample(&series.bars, from, to) else {
        let reason = format!("the bars of {symbol} are {from} long, and it is no multiple of that");
        return Err(BacktestError::value("--timeframe", to, reason, format!("write a multiple of {from}")));
    };
    if bars.is_empty() {
        let reason = format!("no bar of {symbol} would have all its {} parts", to.secs() / from.secs());
        return Err(BacktestError::value(
            "--timeframe",
            to,
            reason,
            format!("write a shorter one, or leave it at {from}"),
        ));
    }
    if incomplete > 0 {
        tell(&format!("{symbol}: {incomplete} bars of {to} are left out, since parts of {from} are absent"));
    }
    (series.timeframe, series.bars) = (to, bars);
    Ok(())
}

/// The one timeframe of all symbols.
fn agreed(all: &[Series]) -> Result<Timeframe, BacktestError> {
    let first = all.first().ok_or_else(|| BacktestError::Run("there are no prices".to_owned()))?;
    match all.iter().find(|series| series.timeframe != first.timeframe) {
        Some(other) => Err(BacktestError::Timeframes {
            symbol: other.symbol,
            found: other.timeframe,
            first: first.symbol,
            expected: first.timeframe,
        }),
        None => Ok(first.timeframe),
    }
}

/// The rates of funding, where files of them are named: of every symbol, since a rate left out would be money left out.
fn funding(request: &Request, all: &[Series]) -> Result<Vec<FundingRates>, BacktestError> {
    let Some(FundingRequest::Files(path)) = &request.funding else { return Ok(Vec::new()) };
    let mut found = files::funding(path)?;
    let of = |series: &Series| {
        found.remove(&series.symbol).ok_or_else(|| {
            let reason = format!("it holds no rates of {}", series.symbol);
            BacktestError::value("--funding", path.display(), reason, "add a file of them, or give a constant rate")
        })
    };
    all.iter().map(of).collect()
}

/// There is a bar to trade.
fn check_range(request: &Request, all: &[Series], timeframe: Timeframe) -> Result<(), BacktestError> {
    let inside = |bar: &Bar| {
        request.from.is_none_or(|from| bar.open_ts >= from) && request.to.is_none_or(|to| bar.close_ts(timeframe) <= to)
    };
    if all.iter().any(|series| series.bars.iter().any(inside)) {
        return Ok(());
    }
    let first = all.iter().filter_map(|series| series.bars.first()).map(|bar| bar.open_ts).min();
    let last = all.iter().filter_map(|series| series.bars.last()).map(|bar| bar.close_ts(timeframe)).max();
    Err(FileError::EmptyRange { from: request.from, to: request.to, have: first.zip(last) }.into())
}

/// First opening and last closing instant of what is traded.
pub(super) fn span(market: &MarketPast, from: Option<Ts>, to: Option<Ts>) -> Option<(Ts, Ts)> {
    let first = market.symbols.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min()?;
    let last =
        market.symbols.iter().filter_map(|one| one.bars.last()).map(|bar| bar.close_ts(market.timeframe)).max()?;
    Some((from.map_or(first, |from| from.max(first)), to.map_or(last, |to| to.min(last))))
}

/// Whether a whole bar of any symbol lies between the two.
pub(super) fn has_bar(market: &MarketPast, from: Ts, to: Ts) -> bool {
    market.symbols.iter().any(|one| {
        let next = one.bars.get(one.bars.partition_point(|bar| bar.open_ts < from));
        next.is_some_and(|bar| bar.close_ts(market.timeframe) <= to)
    })
}

fn digest(market: &MarketPast) -> u64 {
    let bar = |bar: &Bar| {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64::to_bits);
        std::iter::once(bar.open_ts.nanos().cast_unsigned()).chain(numbers)
    };
    let rates = |rates: &FundingRates| {
        let row = |(ts, rate): &(Ts, f64)| [ts.nanos().cast_unsigned(), rate.to_bits()];
        rates.rows().iter().flat_map(row).collect::<Vec<_>>()
    };
    let funding = market.funding.iter().flat_map(rates);
    let prices = market.symbols.iter().flat_map(|one| {
        let name = one.symbol.as_str().bytes().map(u64::from);
        std::iter::once(one.bars.len() as u64).chain(name).chain(one.bars.iter().flat_map(bar))
    });
    mix_words(prices.chain(funding))
}
