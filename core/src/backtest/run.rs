//! A backtest over a market of the past.

use super::checks;
use super::error::BacktestError;
use super::floor::{Floor, Nobody, Sink};
use super::forecasts::Cursors;
use super::replay::Opening;
use super::seat::seats;
use super::{Job, Outcome, SymbolBars};
use crate::account::Recording;
use crate::domain::{Bar, BarSeries, Context, FrameWalk, Ix, RunId, Ts};
use crate::driver::WARM_UP_BARS;
use crate::record::Record;

/// How far is looked ahead for bars in which nothing happens: few enough to stay near, many enough that looking costs little.
const SKIM: usize = 64;

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
    checks::job(job)?;
    let (series, timeframe) = (job.market.symbols.as_slice(), job.market.timeframe);
    let first = series.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min();
    let start = job.from.max(first).unwrap_or(Ts::EPOCH);
    let mut walk = FrameWalk::starting_at(series, start);
    let is_inside = |open: &Ts| job.to.is_none_or(|to| *open + timeframe.span() <= to);
    if walk.peek(series).filter(is_inside).is_none() {
        return Err(empty_range(job, first));
    }
    let Ok(run) = RUN.parse::<RunId>() else { return Err(BacktestError::NoSymbols) };
    let mut opening = Opening::new(job.setup, job.paper, run, timeframe, start)?;
    for (at, rates) in job.market.funding.iter().enumerate() {
        if let Some(ix) = Ix::from_usize(at) {
            opening.venue.set_funding(ix, rates.clone());
        }
    }
    if !S::IS_ON {
        let silence = silence(job);
        opening.account.set_recording(silence);
        // Orders are sent once and never asked about: there is nothing that could get lost on the way. But the order that
        // closes everything is named after the number of its record: each word of the venue counts where orders are named.
        opening.venue = match silence {
            Recording::Off => opening.venue.terse(),
            Recording::On | Recording::Named => opening.venue.without_memory(),
        };
    }
    let seats = seats(job.policies, &[], timeframe, job.keep.trips);
    let mut floor = Floor::new(opening, seats, Cursors::new(job.forecasts, Some(start)), job.keep, sink);
    floor.begin(&history(series, start), &[]);
    // As many as of the symbol that has most; of several there may be more.
    let inside = |one: &SymbolBars| {
        let end = job.to.map_or(one.bars.len(), |to| one.bars.partition_point(|bar| bar.close_ts(timeframe) <= to));
        end.saturating_sub(one.bars.partition_point(|bar| bar.open_ts < start))
    };
    floor.expect(series.iter().map(inside).max().unwrap_or(0));
    let mut bars: Vec<(Ix, &Bar)> = Vec::with_capacity(series.len());
    while let Some(open) = walk.peek(series).filter(is_inside) {
        if series.len() == 1 {
            let ahead = walk.ahead(series, 0);
            let inside = job.to.map_or(SKIM, |to| ahead.partition_point(|bar| bar.close_ts(timeframe) <= to));
            let sound = checks::sound(ahead, inside.min(SKIM), timeframe);
            let count = floor.skim(ahead.get(..sound).unwrap_or_default(), timeframe);
            if count > 0 {
                walk.pass(series, count);
                continue;
            }
        }
        walk.advance(series, open);
        bars.clear();
        for (at, bar) in walk.bars(series) {
            checks::bar(series, at, bar, walk.upcoming(series, at), timeframe)?;
            if let Some(ix) = Ix::from_usize(at) {
                bars.push((ix, bar));
            }
        }
        let context = if floor.needs_context() { walk.context() } else { Context::default() };
        floor.frame(open + timeframe.span(), &bars, &context);
    }
    Ok(floor.finish())
}

/// Nothing is put on record. Where fills are drawn from the names of orders, they keep their names, so that a fill is the
/// one that a paper venue gives on the same market.
fn silence(job: &Job<'_>) -> Recording {
    let latency_max = job.paper.latency().mean().times(2);
    let drawn = job.paper.slippage().mean() > 0.0 || latency_max >= job.market.timeframe.span();
    if drawn { Recording::Named } else { Recording::Off }
}

fn empty_range(job: &Job<'_>, first: Option<Ts>) -> BacktestError {
    let series = job.market.symbols.iter();
    let last = series.filter_map(|one| one.bars.last()).map(|bar| bar.close_ts(job.market.timeframe)).max();
    BacktestError::EmptyRange { from: job.from, to: job.to, have: first.zip(last) }
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
