//! The walk of all symbols as a feed.

use std::collections::VecDeque;

use super::WARM_UP_BARS;
use super::market::Market;
use super::path::Path;
use super::setup::{SimulatorError, SimulatorSetup};
use crate::domain::{Context, Feed, Frame, Ix, MarketEvent, Quote, Span, Timeframe, Ts};

/// A simulated market that never ends.
///
/// At each step it gives the quotes of all symbols; where a bar closes, the frame follows the quotes of that instant. A
/// bar is made of the mid prices, rounded to ticks, of the quotes after its opening up to and including its closing
/// instant. The walk begins [`SimulatorSetup::walked_bars`] before the start, whatever history is asked for.
#[derive(Debug, Clone)]
pub struct SimulatedFeed {
    timeframe: Timeframe,
    quote_every: Span,
    steps_per_bar: u64,
    market: Market,
    /// In instrument order.
    paths: Vec<Path>,
    /// Number of the last step, and its instant.
    step: u64,
    now: Ts,
    /// The frame that follows the quotes just given.
    due: Option<Frame>,
    /// The frames before the next event, at most [`WARM_UP_BARS`]; not extended by events.
    past: VecDeque<Frame>,
}

/// Gives every frame of the walk that closes up to `until` to `each`, the oldest first, without keeping any: what a model
/// can learn from. Takes time in proportion to the steps in it.
///
/// # Errors
/// [`SimulatorError`] when the settings cannot be simulated.
pub fn walk_history(setup: &SimulatorSetup, until: Ts, mut each: impl FnMut(&Frame)) -> Result<(), SimulatorError> {
    let mut feed = SimulatedFeed::at_its_beginning(setup)?;
    while feed.now + setup.quote_every <= until {
        feed.advance(|_, _| ());
        if let Some(frame) = feed.close_bars() {
            each(&frame);
        }
    }
    Ok(())
}

impl SimulatedFeed {
    /// A market that stands at its start. Walks what lies before it, which takes time in proportion to the steps in it.
    ///
    /// # Errors
    /// [`SimulatorError`] when the settings cannot be simulated.
    pub fn new(setup: &SimulatorSetup) -> Result<Self, SimulatorError> {
        let mut feed = Self::at_its_beginning(setup)?;
        feed.fast_forward(setup.start);
        Ok(feed)
    }

    fn at_its_beginning(setup: &SimulatorSetup) -> Result<Self, SimulatorError> {
        setup.check()?;
        let SimulatorSetup { seed, start, timeframe, quote_every, trend, .. } = *setup;
        let step_hours = quote_every.secs_f64() / 3_600.0;
        let path = |symbol| Path::new(seed, symbol, step_hours, trend);
        let mut paths: Vec<Path> = setup.symbols.iter().map(path).collect();
        paths.sort_by_key(|path| path.ix);
        Ok(Self {
            timeframe,
            quote_every,
            steps_per_bar: setup.steps_per_bar(),
            market: Market::new(seed, quote_every, trend),
            paths,
            step: 0,
            now: start - timeframe.span().times(i64::from(setup.walked_bars())),
            due: None,
            past: VecDeque::with_capacity(usize::from(WARM_UP_BARS)),
        })
    }

    /// Goes on to `to` without giving events: the next one is the first after `to`, the same as if all had been taken.
    ///
    /// For a restart, before the first event: history then ends at `to`. Frames already given as events stay out of
    /// history. Takes time in proportion to the steps passed over; an instant already passed changes nothing.
    pub fn fast_forward(&mut self, to: Ts) {
        if self.due.as_ref().is_some_and(|frame| frame.ts <= to) {
            self.due.take().into_iter().for_each(|frame| self.remember(frame));
        }
        while self.now < Ts::MAX && self.now + self.quote_every <= to {
            self.advance(|_, _| ());
            if let Some(frame) = self.close_bars() {
                self.remember(frame);
            }
        }
    }

    fn remember(&mut self, frame: Frame) {
        if self.past.len() == usize::from(WARM_UP_BARS) {
            self.past.pop_front();
        }
        self.past.push_back(frame);
    }

    fn advance(&mut self, mut quote: impl FnMut(Ix, Quote)) {
        self.step += 1;
        self.now = self.now + self.quote_every;
        let tide = self.market.step(self.step, self.now);
        for path in &mut self.paths {
            quote(path.ix, path.step(self.step, self.now, &tide));
        }
    }

    /// The frame that closes now, if one does.
    fn close_bars(&mut self) -> Option<Frame> {
        if !self.step.is_multiple_of(self.steps_per_bar) {
            return None;
        }
        let open_ts = self.now - self.timeframe.span();
        let mut bars = Vec::with_capacity(self.paths.len());
        let mut pairs = Vec::with_capacity(self.paths.len());
        for path in &mut self.paths {
            if let Some((bar, before)) = path.close_bar(open_ts) {
                pairs.push((before, bar.close));
                bars.push((path.ix, bar));
            }
        }
        Some(Frame { ts: self.now, bars, missing: Vec::new(), context: Context::of(pairs.into_iter()) })
    }
}

impl Feed for SimulatedFeed {
    fn history(&mut self, frames_max: usize) -> Vec<Frame> {
        let skip = self.past.len().saturating_sub(frames_max);
        self.past.iter().skip(skip).cloned().collect()
    }

    /// Always an event.
    fn next_event(&mut self) -> Option<MarketEvent> {
        if let Some(frame) = self.due.take() {
            return Some(MarketEvent::Frame(frame));
        }
        let mut quotes = Vec::with_capacity(self.paths.len());
        self.advance(|ix, quote| quotes.push((ix, quote)));
        self.due = self.close_bars();
        Some(MarketEvent::Quotes { ts: self.now, quotes })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
