//! Price files as a market of the past.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use levibot_core::backtest::{MarketPast, SymbolBars};
use levibot_core::domain::{Bar, FundingRates, Symbol, Timeframe, Ts};
use levibot_core::features::mix_words;
use levibot_core::files::{self, FileError, Loaded, Series};
use levibot_core::forecast::bars_digest;

use super::request::FundingRequest;
use super::{BacktestError, Request, coverage, pool};

/// A market, and what its files were like.
#[derive(Debug)]
pub(super) struct Prices {
    /// Symbols in name order.
    pub(super) market: MarketPast,
    /// Hash of every bar and every rate of funding.
    pub(super) digest: u64,
}

/// Reads the price files that `request` names, several at a time; what is left out of them is told by `tell`.
pub(super) fn prices(request: &Request, threads: usize, tell: &dyn Fn(&str)) -> Result<Prices, BacktestError> {
    let wanted = wanted(request)?;
    let load = |at: usize| {
        wanted.get(at).map(|(symbol, paths)| match request.timeframe {
            Some(to) => files::load_as(*symbol, paths, to),
            None => files::load(*symbol, paths, None).map(|loaded| (loaded, 0)),
        })
    };
    let loaded = pool::each(threads, wanted.len(), &AtomicBool::new(false), load);
    let mut all: Vec<Series> = Vec::with_capacity(wanted.len());
    for one in loaded.into_iter().flatten().flatten() {
        let (Loaded { series, reports }, incomplete) = one?;
        for report in reports.iter().filter(|report| !report.faults.is_empty()) {
            tell(&report.to_string());
        }
        if incomplete > 0 {
            let Series { symbol, timeframe, .. } = series;
            tell(&format!("{symbol}: {incomplete} bars of {timeframe} are left out, since parts of them are absent"));
        }
        all.push(series);
    }
    let timeframe = agreed(&all)?;
    check_range(request, &all, timeframe)?;
    let funding = funding(request, &all)?;
    for (series, rates) in all.iter().zip(&funding) {
        let traded = traded(request, series, timeframe);
        if let Some(text) = traded.and_then(|(from, to)| coverage::words(series.symbol, rates, from, to)) {
            tell(&text);
        }
    }
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

/// Open of the first and close of the last bar of a series that are traded.
fn traded(request: &Request, series: &Series, timeframe: Timeframe) -> Option<(Ts, Ts)> {
    let start = request.from.map_or(0, |from| series.bars.partition_point(|bar| bar.open_ts < from));
    let is_inside = |bar: &Bar| request.to.is_none_or(|to| bar.close_ts(timeframe) <= to);
    let end = series.bars.partition_point(is_inside);
    let inside = series.bars.get(start..end)?;
    Some((inside.first()?.open_ts, inside.last()?.close_ts(timeframe)))
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

/// Hash of every bar and every rate.
fn digest(market: &MarketPast) -> u64 {
    let bars = market.symbols.iter().map(|one| (one.symbol, one.bars.as_slice()));
    let bars = bars_digest(bars, market.timeframe, Ts::MAX);
    let rates = market.funding.iter().flat_map(FundingRates::rows);
    let rates = rates.flat_map(|(ts, rate)| [ts.nanos().cast_unsigned(), rate.to_bits()]);
    mix_words(std::iter::once(bars).chain(rates))
}
