//! One engine as a backtest drives it.
//!
//! What is asked of an engine is asked here and nowhere else in this room.

use std::collections::VecDeque;

use crate::domain::{Bar, Context, Decision, Forecast, Intent, Ix, PositionView, Timeframe, Ts};
use crate::driver::{RECENT_BARS_MAX, WARM_UP_BARS};
use crate::engine::{self, Core, EngineSetup, StrategyPolicy};
use crate::features::FeatureId;
use crate::regime::{Classifier, Regime};

/// What an engine makes of a bar.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a bar, and used where it is made")]
pub(super) enum Answer {
    /// Nothing is wanted.
    Nothing,
    /// A decision that wants something.
    Decision(Decision),
    /// It must know what the model says of the bar that closed then, whose window has that hash.
    Ask(Ts, u64),
}

/// Whether an engine takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Up,
    /// Stopped by a halt of the account.
    Halted,
    /// The halt is lifted: it goes on with the next bar.
    Expected,
    /// Nobody sits here yet: bars pass by.
    Empty,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Seat {
    setup: EngineSetup,
    core: Core,
    presence: Presence,
    /// Close of the last bar that it was asked about.
    answered: Ts,
    /// The last bars that it has not seen, oldest first: as many as a daemon keeps for it.
    missed: VecDeque<(Bar, Context)>,
    /// Whether there were more of them.
    lost: bool,
    /// What the market is like, where anybody wants to know.
    classifier: Option<Classifier>,
}

impl Seat {
    /// An engine that has seen nothing.
    pub(super) fn new(setup: EngineSetup, classifies: bool) -> Self {
        Self {
            core: Core::new(setup.clone()),
            setup,
            presence: Presence::Up,
            answered: Ts::from_nanos(i64::MIN),
            missed: VecDeque::new(),
            lost: false,
            classifier: classifies.then(Classifier::new),
        }
    }

    /// A place that is kept for an engine.
    pub(super) fn empty(setup: EngineSetup) -> Self {
        Self { presence: Presence::Empty, ..Self::new(setup, false) }
    }

    /// An engine that has a past: it goes on from there.
    pub(super) fn with(setup: EngineSetup, core: Core) -> Self {
        let answered = core.last_bar().unwrap_or(Ts::from_nanos(i64::MIN));
        Self { core, answered, ..Self::new(setup, false) }
    }

    /// Whether it is there: only then positions are told and decisions are taken.
    pub(super) fn is_up(&self) -> bool {
        self.presence == Presence::Up
    }

    /// Whether the view across symbols is of any use to it.
    pub(super) fn needs_context(&self) -> bool {
        !self.core.features().ids().is_empty()
    }

    /// Takes a bar of the past without deciding.
    pub(super) fn prime(&mut self, bar: &Bar, context: &Context) {
        self.core.prime(bar, context);
        self.classify(bar);
    }

    #[inline]
    fn classify(&mut self, bar: &Bar) {
        if let Some(classifier) = &mut self.classifier {
            classifier.update(bar.close);
        }
    }

    /// Takes a new bar. `view` is what an engine that comes back is told first.
    #[inline]
    pub(super) fn take(&mut self, bar: &Bar, context: &Context, view: impl FnOnce() -> PositionView) -> Answer {
        self.classify(bar);
        if !self.is_up() && !self.comes_back(bar, context, view) {
            return Answer::Nothing;
        }
        self.answered = bar.close_ts(self.setup.timeframe);
        match self.core.answer(bar, context) {
            engine::Answer::Decided(decision) if decision.intent.is_some() => Answer::Decision(decision),
            engine::Answer::Asks(question) => Answer::Ask(question.bar, question.features),
            engine::Answer::Decided(_) | engine::Answer::NotTaken => Answer::Nothing,
        }
    }

    /// Takes bars that come one after the other until something is wanted; tells how many, and what is wanted on the last of
    /// them. None where each has to be looked at.
    pub(super) fn skim(&mut self, bars: &[Bar]) -> (usize, Option<Decision>) {
        if !self.is_up() || !self.core.is_plain() {
            return (0, None);
        }
        let (count, decision) = self.core.skim(bars);
        let taken = bars.get(..count).unwrap_or_default();
        taken.iter().for_each(|bar| self.classify(bar));
        if let Some(last) = taken.last() {
            self.answered = last.close_ts(self.setup.timeframe);
        }
        (count, decision)
    }

    /// Whether an engine that was stopped is there for this bar; else it misses it.
    fn comes_back(&mut self, bar: &Bar, context: &Context, view: impl FnOnce() -> PositionView) -> bool {
        match self.presence {
            Presence::Empty => return false,
            Presence::Halted => {
                self.miss(*bar, *context);
                return false;
            }
            Presence::Up | Presence::Expected => self.catch_up(),
        }
        self.presence = Presence::Up;
        self.tell_position(&view());
        true
    }

    /// What the model says of the bar that closed at `bar`: the decision, where it wants something.
    pub(super) fn tell_forecast(&mut self, bar: Ts, forecast: Option<Forecast>) -> Option<Decision> {
        self.core.forecast(bar, forecast).filter(|decision| decision.intent.is_some())
    }

    /// The account's truth.
    pub(super) fn tell_position(&mut self, view: &PositionView) {
        if self.is_up() {
            self.core.told(view);
        }
    }

    /// A halt of the account stops it.
    pub(super) fn stop(&mut self) {
        if self.presence != Presence::Empty {
            self.presence = Presence::Halted;
        }
    }

    /// The halt is lifted.
    pub(super) fn resume(&mut self) {
        if self.presence == Presence::Halted {
            self.presence = Presence::Expected;
        }
    }

    fn miss(&mut self, bar: Bar, context: Context) {
        // One more is kept for it: the bar with which it comes back.
        if self.missed.len() == RECENT_BARS_MAX - 1 {
            self.missed.pop_front();
            self.lost = true;
        }
        self.missed.push_back((bar, context));
    }

    /// As a daemon starts an engine again: with what it has missed, or cold where that is not all there any more.
    fn catch_up(&mut self) {
        let oldest = self.missed.front().map(|(bar, _)| bar.open_ts);
        let is_full = self.missed.len() == RECENT_BARS_MAX - 1;
        if self.lost || (is_full && oldest.is_some_and(|open| self.answered < open)) {
            self.core = Core::new(self.setup.clone());
            self.missed.drain(..self.missed.len().saturating_sub(WARM_UP_BARS));
        }
        for (bar, context) in self.missed.drain(..) {
            self.core.prime(&bar, &context);
        }
        self.lost = false;
    }

    /// What the market is like at the last bar, as far as anybody wants to know.
    pub(super) fn regime(&self) -> Regime {
        self.classifier.as_ref().map(Classifier::regime).unwrap_or_default()
    }
}

/// Whether an intent turns a position over.
pub(super) const fn turns(intent: &Intent) -> bool {
    matches!(intent, Intent::Enter { .. })
}

/// The engines of these policies, by instrument. Each computes what its policy looks at, and `features` beside it; they
/// tell what the market is like where `classifies`.
pub(super) fn seats(
    policies: &[StrategyPolicy],
    features: &[FeatureId],
    timeframe: Timeframe,
    classifies: bool,
) -> Vec<Seat> {
    let seat = |(at, policy): (usize, &StrategyPolicy)| {
        let (instrument, policy, features) = (Ix::from_usize(at)?, policy.clone(), features.to_vec());
        Some(Seat::new(EngineSetup { instrument, timeframe, policy, features }, classifies))
    };
    policies.iter().enumerate().filter_map(seat).collect()
}
