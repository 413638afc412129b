//! Gathers the inputs of a day into the steps that a backtest of it is led by.

use std::collections::BTreeMap;

use levibot_core::domain::{Bar, Context, Event, Forecast, Frame, Ix, MarketEvent, Quote, Ts};
use levibot_core::record::TapeTarget;

use super::day::{Coming, Day, Step};

/// The day, once it has begun.
pub(super) struct Open {
    pub(super) day: Day,
    pub(super) quotes: (Ts, Vec<(Ix, Quote)>),
    pub(super) bars: Vec<(Ix, Bar)>,
    pub(super) context: Context,
    pub(super) forecasts: BTreeMap<Ix, BTreeMap<Ts, Forecast>>,
    /// The number of the last record before the input that is taken, and before the first that was gathered.
    pub(super) seq: u64,
    pub(super) gathered: u64,
    /// Records of the day when this life began.
    pub(super) begun: usize,
}

impl Open {
    pub(super) fn latest(&mut self, ix: Ix) -> Option<&mut Coming> {
        let life = self.day.lives;
        self.day.coming.get_mut(&ix)?.back_mut().filter(|coming| coming.life == life)
    }

    /// What was gathered of one instant is a step.
    pub(super) fn flush(&mut self) {
        if !self.quotes.1.is_empty() {
            let (ts, quotes) = (self.quotes.0, std::mem::take(&mut self.quotes.1));
            let event = Box::new(MarketEvent::Quotes { ts, quotes });
            self.day.steps.push(Step::Market(self.gathered, event));
        }
    }

    pub(super) fn note(&mut self, ts: Ts, to: TapeTarget, event: &Event) {
        match (to, event) {
            (TapeTarget::Account, event) => self.account(ts, event),
            (TapeTarget::Remembered, Event::Bar { instrument, bar, .. }) => {
                self.flush();
                self.day.steps.push(Step::Remember(*instrument, *bar));
            }
            (TapeTarget::History(ix), Event::Bar { bar, context, .. }) => {
                if let Some(coming) = self.latest(ix).filter(|coming| coming.first.is_none()) {
                    coming.past.push((*bar, *context));
                }
            }
            (TapeTarget::Engine(ix), Event::Bar { bar, .. }) => {
                if let Some(coming) = self.latest(ix) {
                    coming.first = coming.first.or(Some(bar.open_ts));
                }
            }
            (TapeTarget::Engine(ix), Event::Forecast { bar, forecast: Some(forecast), .. }) => {
                self.forecasts.entry(ix).or_default().insert(*bar, *forecast);
            }
            _ => {}
        }
    }

    fn account(&mut self, ts: Ts, event: &Event) {
        match event {
            Event::Quote { instrument, quote } => {
                let (then, quotes) = &self.quotes;
                if *then != ts || quotes.iter().any(|(ix, _)| ix >= instrument) {
                    self.flush();
                }
                if self.quotes.1.is_empty() {
                    self.gathered = self.seq;
                }
                self.quotes.0 = ts;
                self.quotes.1.push((*instrument, *quote));
            }
            Event::Bar { instrument, bar, context } => {
                self.flush();
                if self.bars.is_empty() {
                    self.gathered = self.seq;
                }
                self.bars.push((*instrument, *bar));
                self.context = *context;
            }
            Event::FrameEnd => {
                self.flush();
                if self.bars.is_empty() {
                    self.gathered = self.seq;
                }
                let (bars, context) = (std::mem::take(&mut self.bars), self.context);
                let frame = Frame { ts, bars, missing: Vec::new(), context };
                self.day.steps.push(Step::Market(self.gathered, Box::new(MarketEvent::Frame(frame))));
            }
            Event::Decision(_) | Event::Report(_) | Event::Position(_) | Event::Forecast { .. } => {}
            control => {
                self.flush();
                self.day.steps.push(Step::Control(ts, self.seq, Box::new(control.clone())));
            }
        }
    }
}
