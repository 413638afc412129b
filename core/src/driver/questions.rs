//! Questions to the model on their way, and forecasts on the way back.
//!
//! A forecast is an input like a price: it stands on record before an engine is told. In **lockstep** all questions of an
//! instant go together, in instrument order, and all forecasts are put on record together, so that neither the order in
//! which engines ask nor the way in which answers arrive is to be seen. In **realtime** each goes as it comes.

use super::lane::{Asking, EngineInput, LaneState};
use super::sequencer::Sequencer;
use super::words::{Output, Pace};
use crate::domain::{Actions, Forecast, Ix, Question, Ts};
use crate::record::{Record, SymbolForecast};

impl Sequencer {
    /// An engine asks. One that was started again asks again: what is under way is not asked twice, and what was answered
    /// is told at once.
    pub(super) fn on_question(&mut self, generation: u64, question: Question, out: &mut Actions<Output>) {
        let ix = question.instrument;
        let Some(lane) = self.lanes.get_mut(ix.at()) else { return };
        if lane.generation != generation || lane.state != LaneState::Up || !lane.owes(question.bar) {
            return;
        }
        if lane.asking.question() == Some(&question) {
            if let Asking::Answered { forecast, recorded: true, .. } = lane.asking {
                self.tell_engine(ix, EngineInput::Forecast(question.bar, forecast), out);
            }
            return;
        }
        let bar = question.bar;
        lane.asking = Asking::Put { question, sent: false };
        if self.pace == Pace::Realtime {
            let undecided = |lane: &super::lane::Lane| lane.state == LaneState::Up && lane.owes(bar);
            let others = self.lanes.iter().any(|lane| undecided(lane) && lane.asking == Asking::Nothing);
            self.send_question(ix.at(), !others, out);
        }
    }

    /// In lockstep: sends the questions once every engine that is waited for has asked or answered, and when the model has
    /// answered all of them, puts that on record and tells the engines.
    pub(super) fn put_questions(&mut self, out: &mut Actions<Output>) {
        if self.lanes.iter().any(|lane| lane.is_awaited() && lane.asking == Asking::Nothing) {
            return;
        }
        let unsent = |asking: &Asking| matches!(asking, Asking::Put { sent: false, .. });
        let mut left = self.lanes.iter().filter(|lane| unsent(&lane.asking)).count();
        for at in 0..self.lanes.len() {
            if self.lanes.get(at).is_some_and(|lane| unsent(&lane.asking)) {
                left -= 1;
                self.send_question(at, left == 0, out);
            }
        }
        if self.lanes.iter().any(|lane| matches!(lane.asking, Asking::Put { .. })) {
            return;
        }
        let all: Vec<usize> = (0..self.lanes.len()).collect();
        self.record_forecasts(&all, out);
    }

    /// The model answers. What was not asked, or is no longer, is passed over; numbers that cannot be meant, or that are
    /// of another window, are no forecast.
    pub(super) fn on_forecasts(&mut self, answers: Vec<(Ix, Ts, Option<Forecast>)>, out: &mut Actions<Output>) {
        let mut came = Vec::new();
        for (ix, bar, forecast) in answers {
            let Some(lane) = self.lanes.get_mut(ix.at()) else { continue };
            let Asking::Put { question, .. } = &lane.asking else { continue };
            if question.bar != bar {
                continue;
            }
            let forecast = forecast.filter(|f| f.is_sound() && f.features == question.features);
            lane.asking = Asking::Answered { question: question.clone(), forecast, recorded: false };
            came.push(ix.at());
        }
        if self.pace == Pace::Realtime {
            came.sort_unstable();
            self.record_forecasts(&came, out);
        }
    }

    fn send_question(&mut self, at: usize, last: bool, out: &mut Actions<Output>) {
        if let Some(Asking::Put { question, sent }) = self.lanes.get_mut(at).map(|lane| &mut lane.asking) {
            *sent = true;
            out.push(Output::Ask { question: question.clone(), last });
        }
    }

    /// Puts on record what the lanes `among` were answered, one record an instant, then tells their engines.
    fn record_forecasts(&mut self, among: &[usize], out: &mut Actions<Output>) {
        let mut told: Vec<(Ix, Ts, Option<Forecast>)> = Vec::new();
        for at in among {
            let Some(lane) = self.lanes.get_mut(*at) else { continue };
            if let Asking::Answered { question, forecast, recorded } = &mut lane.asking
                && !std::mem::replace(recorded, true)
            {
                told.push((question.instrument, question.bar, *forecast));
            }
        }
        told.sort_by_key(|(ix, bar, _)| (*bar, *ix));
        for instant in told.chunk_by(|a, b| a.1 == b.1) {
            let Some((_, bar, _)) = instant.first() else { continue };
            let books = self.account.state().books();
            let named = |(ix, _, forecast): &(Ix, Ts, Option<Forecast>)| {
                books.get(ix.at()).map(|book| SymbolForecast { symbol: book.symbol(), forecast: *forecast })
            };
            let forecasts = instant.iter().filter_map(named).collect();
            self.account.note(Record::Forecasts { bar: *bar, forecasts }, self.now, &mut self.actions);
        }
        self.carry_out(out);
        for (ix, bar, forecast) in told {
            if self.lanes.get(ix.at()).is_some_and(|lane| lane.state == LaneState::Up) {
                self.tell_engine(ix, EngineInput::Forecast(bar, forecast), out);
            }
        }
    }
}
