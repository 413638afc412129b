//! Whether the parts of a backtest fit together.

use super::error::BacktestError;
use super::{Forecasts, Job, SymbolBars};
use crate::domain::{Bar, Ix, Symbol, Timeframe, Ts};
use crate::engine::StrategyPolicy;

/// A job, but for its bars: those are looked at as they come.
pub(super) fn job(job: &Job<'_>) -> Result<(), BacktestError> {
    let symbols: Vec<Symbol> = job.setup.instruments.iter().map(|instrument| instrument.id().symbol).collect();
    policies(&symbols, job.policies, job.forecasts)?;
    let series = &job.market.symbols;
    length("series of bars", series.len(), symbols.len())?;
    if !job.market.funding.is_empty() {
        length("lists of funding rates", job.market.funding.len(), symbols.len())?;
    }
    let other = series.iter().zip(&symbols).enumerate().find(|(_, (one, expected))| one.symbol != **expected);
    match other {
        Some((at, (one, expected))) => Err(BacktestError::OtherSymbol { at, found: one.symbol, expected: *expected }),
        None => Ok(()),
    }
}

/// The policies and forecasts of these symbols.
fn policies(
    symbols: &[Symbol],
    policies: &[StrategyPolicy],
    forecasts: Option<&Forecasts>,
) -> Result<(), BacktestError> {
    let Some(last) = symbols.len().checked_sub(1) else { return Err(BacktestError::NoSymbols) };
    if Ix::from_usize(last).is_none() {
        return Err(BacktestError::TooManySymbols(symbols.len()));
    }
    length("policies", policies.len(), symbols.len())?;
    let Some(forecasts) = forecasts else {
        let asks = policies.iter().zip(symbols).find(|(policy, _)| policy.asks_model());
        return asks.map_or(Ok(()), |(policy, symbol)| {
            Err(BacktestError::NoForecasts { policy: policy.name().to_owned(), symbol: *symbol })
        });
    };
    length("lists of forecasts", forecasts.symbols.len(), symbols.len())?;
    for (list, symbol) in forecasts.symbols.iter().zip(symbols) {
        let back = list.iter().zip(list.iter().skip(1)).find(|(a, b)| a.0 >= b.0);
        if let Some((_, (bar, _))) = back {
            return Err(BacktestError::ForecastOrder { symbol: *symbol, bar: *bar });
        }
    }
    Ok(())
}

const fn length(what: &'static str, found: usize, instruments: usize) -> Result<(), BacktestError> {
    if found == instruments { Ok(()) } else { Err(BacktestError::Lengths { what, found, instruments }) }
}

/// A bar as the cores rely on it: sound, and over before the `next` one begins.
#[inline]
pub(super) fn bar(
    series: &[SymbolBars],
    at: usize,
    bar: &Bar,
    next: Option<&Bar>,
    timeframe: Timeframe,
) -> Result<(), BacktestError> {
    let in_order = next.is_none_or(|next| next.open_ts >= bar.close_ts(timeframe));
    if in_order && bar.is_sound() {
        return Ok(());
    }
    let Some(symbol) = series.get(at).map(|one| one.symbol) else { return Ok(()) };
    bar.check().map_err(|source| BacktestError::Unsound { symbol, open: bar.open_ts, source })?;
    next.map_or(Ok(()), |next| Err(BacktestError::BarOrder { symbol, open: next.open_ts }))
}

/// How many of the first bars, as far as is looked ahead and up to a close, are as the cores rely on them.
pub(super) fn sound(bars: &[Bar], to: Option<Ts>, timeframe: Timeframe) -> usize {
    /// How far is looked ahead.
    const AHEAD: usize = 256;
    let bars = bars.get(..AHEAD).unwrap_or(bars);
    let is_fine = |bar: &Bar, next: &Bar| {
        let close = bar.close_ts(timeframe);
        close <= next.open_ts && bar.is_sound() && to.is_none_or(|to| close <= to)
    };
    // The last of them is looked at together with the one behind it.
    bars.iter().zip(bars.iter().skip(1)).take_while(|(bar, next)| is_fine(bar, next)).count()
}
