//! Engines that are run again from a tape.

use std::collections::{BTreeMap, VecDeque};

use levibot_core::domain::{Actions, Bar, Context, Decision, Event, Ix, Timeframe, Ts};
use levibot_core::engine::{Core, EngineAction, EngineSetup, StrategyPolicy};

/// What an engine was given.
enum Given {
    Past(Bar, Context),
    Now(Ts, Event),
}

/// An engine. With which strategy it was made its first decision tells: another one may have come into force while it
/// started. Until then what it was given waits, which is a warm-up and a few bars.
#[derive(Default)]
struct Seat {
    core: Option<Core>,
    waiting: Vec<Given>,
    /// Decisions that wait for the recorded ones.
    answers: VecDeque<Decision>,
}

impl Seat {
    fn give(&mut self, given: Given) {
        match (&mut self.core, given) {
            (None, given) => self.waiting.push(given),
            (Some(core), Given::Past(bar, context)) => core.prime(&bar, &context),
            (Some(core), Given::Now(ts, event)) => {
                let mut actions = Actions::new();
                core.step(&event, ts, &mut actions);
                self.answers.extend(actions.drain().filter_map(|action| match action {
                    EngineAction::Decide(decision) => Some(decision),
                    EngineAction::Ask(_) => None,
                }));
            }
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Seats(BTreeMap<Ix, Seat>);

impl Seats {
    /// A daemon has started: nobody is there.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// An engine's memory begins anew. What the one before it has answered and nobody has taken is nobody's.
    pub(super) fn begin(&mut self, ix: Ix) {
        self.0.insert(ix, Seat::default());
    }

    /// A bar of the past.
    pub(super) fn prime(&mut self, ix: Ix, bar: Bar, context: Context) {
        self.0.entry(ix).or_default().give(Given::Past(bar, context));
    }

    /// An input.
    pub(super) fn step(&mut self, ix: Ix, ts: Ts, event: Event) {
        self.0.entry(ix).or_default().give(Given::Now(ts, event));
    }

    /// What the engine says to the bar of a recorded decision; `strategy` is the one that made it.
    pub(super) fn answer(
        &mut self,
        recorded: &Decision,
        timeframe: Timeframe,
        strategy: Option<&StrategyPolicy>,
    ) -> Option<Decision> {
        let ix = recorded.instrument;
        let seat = self.0.entry(ix).or_default();
        if seat.core.is_none() {
            seat.core = Some(Core::new(EngineSetup::new(ix, timeframe, strategy?.clone())));
            std::mem::take(&mut seat.waiting).into_iter().for_each(|given| seat.give(given));
        }
        // An engine that was replaced may have left an answer that nobody took.
        while seat.answers.front().is_some_and(|answer| answer.bar < recorded.bar) {
            seat.answers.pop_front();
        }
        seat.answers.pop_front()
    }
}
