//! Questions on their way to the model.

use std::collections::VecDeque;

use actix::Recipient;
use actix::dev::SendError;
use levibot_core::domain::{Forecast, Ix, Question, Ts};

use crate::forecaster::Ask;

/// Questions that wait for room in the model's mailbox, in order, and those that nobody will answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: VecDeque<Ask>,
    lost: Vec<(Ix, Ts, Option<Forecast>)>,
}

impl Questions {
    /// Adds one.
    pub(super) fn push(&mut self, question: Question, last: bool) {
        self.waiting.push_back(Ask { question, last });
    }

    /// Sends what waits; `false` when the model's mailbox is full and some of it still does. Where no model is, there is
    /// no forecast.
    pub(super) fn send(&mut self, model: Option<&Recipient<Ask>>) -> bool {
        while let Some(ask) = self.waiting.pop_front() {
            let (instrument, bar) = (ask.question.instrument, ask.question.bar);
            match model.map(|model| model.try_send(ask)) {
                Some(Ok(())) => {}
                Some(Err(SendError::Full(ask))) => {
                    self.waiting.push_front(ask);
                    return false;
                }
                Some(Err(SendError::Closed(_))) | None => self.lost.push((instrument, bar, None)),
            }
        }
        true
    }

    /// Takes out the questions that nobody will answer, as answers without a forecast.
    pub(super) fn take_lost(&mut self) -> Vec<(Ix, Ts, Option<Forecast>)> {
        std::mem::take(&mut self.lost)
    }
}
