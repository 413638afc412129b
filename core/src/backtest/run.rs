//! A backtest over a market of the past.

use super::error::BacktestError;
use super::floor::{Floor, Nobody, Sink};
use super::forecasts::Cursors;
use super::seat::{Seat, engine_setup};
use super::tally::Tally;
use super::{Job, Outcome, SymbolBars};
use crate::account::Account;
use crate::domain::{Actions, Bar, BarSeries, Context, FrameWalk, Ix, RunId, Timeframe, Ts};
use crate::driver::WARM_UP_BARS;
use crate::fills::{PaperAccount, PaperVenue};
use crate::record::Record;

/// The run that a backtest's order ids are made of.
const RUN: &str = "backtest";

/// Runs a backtest. The same job gives the same outcome, bit for bit.
///
/// # Errors
/// [`BacktestError`] when the job's parts do not fit together, no bar lies in its range, or a bar in it is not sound.
pub fn run(job: &Job<'_>) -> Result<Outcome, BacktestError> {
    run_with(job, Nobody)
}

/// The same, with every record that a daemon would have written, in order, each with its time. The outcome is that of
/// [`run`].
///
/// # Errors
/// As [`run`].
pub fn run_recorded(job: &Job<'_>, sink: &mut dyn FnMut(Ts, Record)) -> Result<Outcome, BacktestError> {
    run_with(job, sink)
}

fn run_with<S: Sink>(job: &Job<'_>, sink: S) -> Result<Outcome, BacktestError> {
    job.check()?;
    let (series, timeframe) = (job.market.symbols.as_slice(), job.market.timeframe);
    let first = series.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min();
    let start = job.from.max(first).unwrap_or(Ts::EPOCH);
    let mut walk = FrameWalk::starting_at(series, start);
    let is_inside = |open: &Ts| job.to.is_none_or(|to| *open + timeframe.span() <= to);
    if walk.peek(series).filter(is_inside).is_none() {
        return Err(empty_range(job, first));
    }
    let mut floor = open(job, start, sink)?;
    floor.begin(&history(series, start));
    let mut bars: Vec<(Ix, Bar)> = Vec::with_capacity(series.len());
    while let Some(open) = walk.peek(series).filter(is_inside) {
        walk.advance(series, open);
        bars.clear();
        for (at, bar) in walk.bars(series) {
            check_bar(series, at, bar, &walk, timeframe)?;
            bars.extend(Ix::from_usize(at).map(|ix| (ix, *bar)));
        }
        let context = if floor.needs_context() { walk.context() } else { Context::default() };
        floor.frame(open + timeframe.span(), &bars, context);
    }
    Ok(floor.finish())
}

fn empty_range(job: &Job<'_>, first: Option<Ts>) -> BacktestError {
    let series = job.market.symbols.iter();
    let last = series.filter_map(|one| one.bars.last()).map(|bar| bar.close_ts(job.market.timeframe)).max();
    BacktestError::EmptyRange { from: job.from, to: job.to, have: first.zip(last) }
}

/// A bar as the cores rely on it: sound, and over before the next one begins.
fn check_bar(
    series: &[SymbolBars],
    at: usize,
    bar: &Bar,
    walk: &FrameWalk,
    timeframe: Timeframe,
) -> Result<(), BacktestError> {
    let symbol = || series.get(at).map(|one| one.symbol);
    if let (Err(source), Some(symbol)) = (bar.check(), symbol()) {
        return Err(BacktestError::Unsound { symbol, open: bar.open_ts, source });
    }
    match walk.upcoming(series, at) {
        Some(next) if next.open_ts < bar.close_ts(timeframe) => {
            symbol().map_or(Ok(()), |symbol| Err(BacktestError::BarOrder { symbol, open: next.open_ts }))
        }
        _ => Ok(()),
    }
}

/// Account, venue and engines of a job, each as it is before the first bar.
fn open<'a, S: Sink>(job: &Job<'a>, start: Ts, sink: S) -> Result<Floor<'a, S>, BacktestError> {
    let (setup, timeframe) = (job.setup, job.market.timeframe);
    let Ok(run) = RUN.parse::<RunId>() else { return Err(BacktestError::NoSymbols) };
    let started = Record::Started { run, timeframe, config_hash: String::new(), setup: Box::new(setup.clone()) };
    let mut opening = Actions::new();
    let account = Account::open(start, started, &mut opening).map_err(BacktestError::Account)?;
    let venue = PaperVenue::new(*job.paper, &PaperAccount::from(setup), &setup.instruments);
    let seats = job
        .policies
        .iter()
        .enumerate()
        .filter_map(|(at, policy)| Some(Seat::new(engine_setup(Ix::from_usize(at)?, timeframe, policy))));
    let (seats, tally) = (seats.collect(), Tally::new(&account, job.keep));
    Ok(Floor::new((account, opening), venue, seats, Cursors::new(job.forecasts), tally, sink, start))
}

/// The frames before the start, as far as engines warm up on them, by instrument.
fn history(series: &[SymbolBars], start: Ts) -> Vec<Vec<(Bar, Context)>> {
    let mut opens: Vec<Ts> = Vec::new();
    for one in series {
        let end = one.bars.partition_point(|bar| bar.open_ts < start);
        let recent = one.bars.get(end.saturating_sub(WARM_UP_BARS)..end).unwrap_or_default();
        opens.extend(recent.iter().map(|bar| bar.open_ts));
    }
    opens.sort_unstable();
    opens.dedup();
    let mut past = vec![Vec::new(); series.len()];
    let Some(first) = opens.get(opens.len().saturating_sub(WARM_UP_BARS)) else { return past };
    let mut walk = FrameWalk::starting_at(series, *first);
    while let Some(open) = walk.peek(series).filter(|open| *open < start) {
        walk.advance(series, open);
        let context = walk.context();
        for (at, bar) in walk.bars(series) {
            if let Some(bars) = past.get_mut(at) {
                bars.push((*bar, context));
            }
        }
    }
    past
}

impl BarSeries for SymbolBars {
    fn bars(&self) -> &[Bar] {
        &self.bars
    }
}

impl Job<'_> {
    /// Whether its parts fit together. Bars are looked at as they come.
    ///
    /// # Errors
    /// The first [`BacktestError`] found.
    fn check(&self) -> Result<(), BacktestError> {
        let instruments = self.setup.instruments.len();
        let Some(last) = instruments.checked_sub(1) else { return Err(BacktestError::NoSymbols) };
        if Ix::from_usize(last).is_none() {
            return Err(BacktestError::TooManySymbols(instruments));
        }
        let forecasts = self.forecasts.map_or(instruments, |forecasts| forecasts.symbols.len());
        let lists = [
            ("series of bars", self.market.symbols.len()),
            ("policies", self.policies.len()),
            ("lists of forecasts", forecasts),
        ];
        if let Some((what, found)) = lists.into_iter().find(|(_, found)| *found != instruments) {
            return Err(BacktestError::Lengths { what, found, instruments });
        }
        for (at, (one, instrument)) in self.market.symbols.iter().zip(&self.setup.instruments).enumerate() {
            let expected = instrument.id().symbol;
            if one.symbol != expected {
                return Err(BacktestError::OtherSymbol { at, found: one.symbol, expected });
            }
        }
        let asking = |(policy, one): &(&crate::engine::StrategyPolicy, &SymbolBars)| {
            policy.asks_model().then(|| (policy.name().to_owned(), one.symbol))
        };
        let mut askers = self.policies.iter().zip(&self.market.symbols);
        if self.forecasts.is_none()
            && let Some((policy, symbol)) = askers.find_map(|one| asking(&one))
        {
            return Err(BacktestError::NoForecasts { policy, symbol });
        }
        self.check_forecasts()
    }

    fn check_forecasts(&self) -> Result<(), BacktestError> {
        let lists = self.forecasts.map_or(&[][..], |forecasts| forecasts.symbols.as_slice());
        for (list, one) in lists.iter().zip(&self.market.symbols) {
            let back = list.iter().zip(list.iter().skip(1)).find(|(a, b)| a.0 >= b.0);
            if let Some((_, (bar, _))) = back {
                return Err(BacktestError::ForecastOrder { symbol: one.symbol, bar: *bar });
            }
        }
        Ok(())
    }
}
