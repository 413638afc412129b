//! What an engine does with what it is told, the same in a thread and in a process.

use levibot_core::domain::{Actions, Decision, Event, Ix, Question, Timeframe, Ts};
use levibot_core::driver::EngineInput;
use levibot_core::engine::{EngineAction, EngineStep, Snapshot};
use serde::{Deserialize, Serialize};

/// An engine gives its state with the first answer and with every so many after it. Between two the bars since the last
/// lead to the same state; a state of an engine that asks the model is 20 KB.
const SNAPSHOT_EVERY: u32 = 16;

/// What came of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum Said {
    /// The model must be asked first.
    Asked(Question),
    /// A bar is answered.
    Answer {
        /// Close of the bar.
        bar: Ts,
        /// `None` when the bar was not taken.
        decision: Option<Decision>,
        /// Its state after the bar, now and then.
        snapshot: Option<Snapshot>,
    },
}

/// Makes an engine, from nothing or from a snapshot.
pub(super) type Make<'a> = dyn Fn(Option<&Snapshot>) -> Result<Box<dyn EngineStep>, String> + 'a;

/// An engine at work.
#[derive(Debug)]
pub(super) struct Work {
    instrument: Ix,
    timeframe: Timeframe,
    core: Option<Box<dyn EngineStep>>,
    actions: Actions<EngineAction>,
    /// Answers until the next snapshot.
    snapshot_in: u32,
}

impl Work {
    /// An engine of this instrument's bars, that is made when it is first told something.
    pub(super) fn new(instrument: Ix, timeframe: Timeframe) -> Self {
        Self { instrument, timeframe, core: None, actions: Actions::new(), snapshot_in: 0 }
    }

    /// The bar that an input is about.
    pub(super) fn bar(&self, input: &EngineInput) -> Option<Ts> {
        match input {
            EngineInput::Bar(bar, _) => Some(bar.close_ts(self.timeframe)),
            EngineInput::Forecast(bar, _) => Some(*bar),
            EngineInput::Restore(_) | EngineInput::Prime(_) | EngineInput::Position(_) => None,
        }
    }

    /// Takes one input.
    pub(super) fn take(&mut self, input: EngineInput, make: &Make<'_>) -> Result<Option<Said>, String> {
        if let EngineInput::Restore(snapshot) = &input {
            self.core = Some(make(Some(snapshot))?);
            return Ok(None);
        }
        let instrument = self.instrument;
        let core = match &mut self.core {
            Some(core) => core,
            None => self.core.insert(make(None)?),
        };
        let (event, now) = match input {
            EngineInput::Restore(_) => return Ok(None),
            EngineInput::Prime(bars) => {
                bars.iter().for_each(|(bar, context)| core.prime(bar, context));
                return Ok(None);
            }
            EngineInput::Position(view) => (Event::Position(view), Ts::EPOCH),
            EngineInput::Bar(bar, context) => (Event::Bar { instrument, bar, context }, bar.close_ts(self.timeframe)),
            EngineInput::Forecast(bar, forecast) => (Event::Forecast { instrument, bar, forecast }, bar),
        };
        core.step(&event, now, &mut self.actions);
        let action = self.actions.drain().next_back();
        Ok(match (event, action) {
            (_, Some(EngineAction::Ask(question))) => Some(Said::Asked(question)),
            (_, Some(EngineAction::Decide(decision))) => Some(self.answer(now, Some(decision))),
            // A bar that was not taken is answered too: somebody may wait for it.
            (Event::Bar { .. }, None) => Some(self.answer(now, None)),
            (_, None) => None,
        })
    }

    fn answer(&mut self, bar: Ts, decision: Option<Decision>) -> Said {
        let is_due = self.snapshot_in == 0;
        self.snapshot_in = if is_due { SNAPSHOT_EVERY - 1 } else { self.snapshot_in - 1 };
        let snapshot = self.core.as_ref().filter(|_| is_due).map(|core| core.snapshot());
        Said::Answer { bar, decision, snapshot }
    }

    /// The engine, to be dropped where a panic of it can be caught.
    pub(super) fn end(&mut self) -> Option<Box<dyn EngineStep>> {
        self.core.take()
    }
}
