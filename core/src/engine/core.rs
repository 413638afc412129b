//! The engine of one symbol.

use serde::{Deserialize, Serialize};

use super::program::{Memories, Program, Scene};
use super::snapshot::{RestoreError, Snapshot};
use super::{Answer, EngineAction, EngineStep};
use crate::domain::{
    Actions, Bar, Context, Decision, Event, Forecast, Intent, Ix, PositionView, Question, Timeframe, Ts,
};
use crate::features::{FeatureId, FeatureSet, feature_hash};
use crate::forecast::{WINDOW, Window, input_ids, window_hash};
use crate::policy::StrategyPolicy;
use crate::policy::plan::Node;

/// What an engine must know to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSetup {
    /// Whose bars it takes.
    pub instrument: Ix,
    /// How long they are.
    pub timeframe: Timeframe,
    /// How it decides.
    pub policy: StrategyPolicy,
    /// The features whose hash goes into decisions, in order; none is allowed.
    pub features: Vec<FeatureId>,
}

impl EngineSetup {
    /// A setup that computes every feature.
    pub fn new(instrument: Ix, timeframe: Timeframe, policy: StrategyPolicy) -> Self {
        Self { instrument, timeframe, policy, features: FeatureId::ALL.to_vec() }
    }
}

/// What a snapshot holds besides what the program remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    instrument: Ix,
    timeframe: Timeframe,
    /// Close of the last bar taken.
    last: Option<Ts>,
    features: FeatureSet,
    /// What the model is shown; `None` where the strategy does not ask one.
    window: Option<Window>,
}

/// A bar that waits for its forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    bar: Ts,
    close: f64,
}

/// The engine of one symbol: exactly one decision to each new bar, and nothing to anything else.
///
/// It enters nothing until all that its policy decides by is known: features only where the policy names one, all of them
/// and a whole window where it asks the model. Exits wait for their own values alone, and not for the model where they do
/// not name it. A cross before that is not acted on, now or later: how many bars an engine
/// was primed with thus decides which crosses it acts on, and a run and its repetition must prime alike. A bar whose
/// numbers are unsound, or that closes at or before the last one, is not taken and gets no decision, so that bars can be
/// given again.
///
/// A strategy that asks the model answers a bar with a [`Question`], and with its decision when the forecast comes. A
/// forecast of another bar than the last one is passed over.
///
/// Hosts drive it by [`Core::step`]; a loop that knows what it has drives it by [`Core::answer`], [`Core::forecast`] and
/// [`Core::told`], which `step` is made of. Neither allocates but for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    policy: StrategyPolicy,
    /// Hash of the definition of the features.
    schema: u64,
    /// Hash of no values: what stands in decisions where no feature is computed.
    no_features: u64,
    program: Program,
    state: State,
    /// The account's last word; `None` until it has spoken.
    position: Option<PositionView>,
    open: Option<Open>,
}

impl Core {
    /// An engine that has seen nothing. Prime it with history, and tell it the position before the first bar.
    ///
    /// Features that the policy names are computed even if the setup does not list them.
    pub fn new(setup: EngineSetup) -> Self {
        let EngineSetup { instrument, timeframe, policy, mut features } = setup;
        let window = policy.asks_model().then(Window::default);
        if window.is_some() {
            // The model is shown every input, whatever else was selected.
            features = input_ids().to_vec();
        }
        let named = policy.plan().nodes.iter().filter_map(|node| match node {
            Node::Feature(id) => Some(*id),
            _ => None,
        });
        features.extend(named);
        let features = FeatureSet::new(&features);
        let program = Program::new(policy.plan(), features.ids());
        let (schema, no_features) = (features.schema_hash(), feature_hash(&[]));
        let state = State { instrument, timeframe, last: None, features, window };
        Self { policy, schema, no_features, program, state, position: None, open: None }
    }

    /// An engine that goes on where the snapshot was taken.
    ///
    /// What position the snapshot's writer believed in is not kept. Until an [`Event::Position`] comes the position is
    /// unknown, and the engine asks for what its policy wants without leaving out what may be so already; the host tells
    /// the position first.
    ///
    /// # Errors
    /// [`RestoreError`] when the snapshot is damaged or of another version, policy, instrument or set of features.
    pub fn restore(setup: EngineSetup, snapshot: &Snapshot) -> Result<Self, RestoreError> {
        let mut core = Self::new(setup);
        let bytes = snapshot.open(core.schema, core.policy.hash())?;
        let (state, memories): (State, Memories) = postcard::from_bytes(bytes).map_err(|_| RestoreError::Damaged)?;
        if state.instrument != core.state.instrument || state.timeframe != core.state.timeframe {
            return Err(RestoreError::Instrument);
        }
        if !core.program.resume(memories) {
            return Err(RestoreError::Damaged);
        }
        core.state = state;
        Ok(core)
    }

    /// Takes one event. A new, sound bar of its instrument gets exactly one decision, at once or when its forecast comes;
    /// a position is remembered; all else is passed over.
    pub fn step(&mut self, event: &Event, _now: Ts, actions: &mut Actions<EngineAction>) {
        match event {
            Event::Bar { instrument, bar, context } if *instrument == self.state.instrument => {
                match self.answer(bar, context) {
                    Answer::NotTaken => {}
                    Answer::Decided(decision) => actions.push(EngineAction::Decide(decision)),
                    Answer::Asks(question) => actions.push(EngineAction::Ask(question)),
                }
            }
            Event::Forecast { instrument, bar, forecast } if *instrument == self.state.instrument => {
                if let Some(decision) = self.forecast(*bar, *forecast) {
                    actions.push(EngineAction::Decide(decision));
                }
            }
            Event::Position(view) => self.told(view),
            _ => {}
        }
    }

    /// Answers a bar of its instrument.
    #[inline]
    pub fn answer(&mut self, bar: &Bar, context: &Context) -> Answer {
        let Some(close) = self.take(bar, context) else { return Answer::NotTaken };
        self.open = None;
        let intent = match &self.state.window {
            None => self.intent(bar.close, None),
            Some(window) if window.is_full() && self.program.is_warm() => {
                let rows = window.rows();
                let (instrument, features) = (self.state.instrument, window_hash(&rows));
                self.open = Some(Open { bar: close, close: bar.close });
                return Answer::Asks(Question { instrument, bar: close, features, window: rows.into() });
            }
            // The model cannot be asked yet: that holds up entries.
            Some(_) => self.intent(bar.close, None),
        };
        Answer::Decided(self.decision(close, None, intent))
    }

    /// Whether it decides by bars alone: no feature is computed and no model asked.
    pub fn is_plain(&self) -> bool {
        self.state.window.is_none() && self.state.features.ids().is_empty()
    }

    /// Answers bars that have passed [`Bar::check`] until it wants something; tells how many it has taken, and what it wants on the last of them. For a core
    /// that [is plain](Self::is_plain): the view across symbols is not told.
    pub fn skim(&mut self, bars: &[Bar]) -> (usize, Option<Decision>) {
        let context = Context::default();
        for (at, bar) in bars.iter().enumerate() {
            let Some(close) = self.take_sound(bar, &context) else { continue };
            if let Some(intent) = self.intent(bar.close, None) {
                return (at + 1, Some(self.decision(close, None, Some(intent))));
            }
        }
        (bars.len(), None)
    }

    /// Decides on the bar that closed at `bar`, which was answered with a question, now that the model has spoken, or will
    /// not (`None`). `None` where no such bar waits.
    pub fn forecast(&mut self, bar: Ts, forecast: Option<Forecast>) -> Option<Decision> {
        let open = self.open.take_if(|open| open.bar == bar)?;
        let intent = self.intent(open.close, forecast.as_ref());
        Some(self.decision(bar, forecast, intent))
    }

    /// Remembers what the account says of its instrument; what it says of others is passed over.
    #[inline]
    pub fn told(&mut self, view: &PositionView) {
        if view.instrument == self.state.instrument {
            self.position = Some(*view);
        }
    }

    /// Takes a bar, unless it is unsound or not after the last one; tells its close.
    #[inline]
    fn take(&mut self, bar: &Bar, context: &Context) -> Option<Ts> {
        if bar.check().is_err() { None } else { self.take_sound(bar, context) }
    }

    #[inline(always)]
    fn take_sound(&mut self, bar: &Bar, context: &Context) -> Option<Ts> {
        let State { timeframe, last, features, window, .. } = &mut self.state;
        let close = bar.close_ts(*timeframe);
        if last.is_some_and(|last| close <= last) {
            return None;
        }
        *last = Some(close);
        features.update(bar, context);
        if let Some(window) = window.as_mut().filter(|_| features.is_warm()) {
            window.push(features.values());
        }
        self.program.update(bar, features.values(), *timeframe);
        Some(close)
    }

    #[inline]
    fn intent(&mut self, close: f64, forecast: Option<&Forecast>) -> Option<Intent> {
        let (timeframe, position) = (self.state.timeframe, self.position.as_ref());
        self.program.decide(&Scene { close, timeframe, position, forecast })
    }

    #[inline]
    fn decision(&self, bar: Ts, forecast: Option<Forecast>, intent: Option<Intent>) -> Decision {
        let features = &self.state.features;
        Decision {
            instrument: self.state.instrument,
            bar,
            policy: self.policy.hash(),
            features: if features.ids().is_empty() { self.no_features } else { features.feature_hash() },
            forecast,
            intent,
        }
    }

    /// Takes a bar of the past without deciding: afterwards the state is that of an engine that was stepped with it, but
    /// for what its policy remembers from decision to decision.
    pub fn prime(&mut self, bar: &Bar, context: &Context) {
        let _ = self.take(bar, context);
    }

    /// The state after the last bar.
    pub fn snapshot(&self) -> Snapshot {
        // Writing to memory does not fail; if it ever did, the empty bytes would be refused when they are read.
        let bytes = postcard::to_allocvec(&(&self.state, self.program.memories())).unwrap_or_default();
        Snapshot::seal(self.schema, self.policy.hash(), bytes)
    }

    /// The number of bars to prime it with, so that all its values are known on the next one and it can act on it.
    pub fn warm_up_bars(&self) -> usize {
        let window = if self.state.window.is_some() { WINDOW - 1 } else { 0 };
        self.program.warm_up_bars().max(self.state.features.warm_up_bars() + window)
    }

    /// Close of the last bar taken.
    pub const fn last_bar(&self) -> Option<Ts> {
        self.state.last
    }

    /// The features after the last bar.
    pub const fn features(&self) -> &FeatureSet {
        &self.state.features
    }

    /// The policy that decides.
    pub const fn policy(&self) -> &StrategyPolicy {
        &self.policy
    }
}

impl EngineStep for Core {
    fn step(&mut self, event: &Event, now: Ts, actions: &mut Actions<EngineAction>) {
        Self::step(self, event, now, actions);
    }

    fn prime(&mut self, bar: &Bar, context: &Context) {
        Self::prime(self, bar, context);
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}
