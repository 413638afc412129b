//! The engine of one symbol.

use serde::{Deserialize, Serialize};

use super::policy::StrategyPolicy;
use super::rule::{RuleState, Scene};
use super::snapshot::{RestoreError, Snapshot};
use super::{EngineAction, EngineStep};
use crate::domain::{
    Actions, Bar, Context, Decision, Direction, Event, Forecast, Intent, Ix, PositionView, Question, Timeframe, Ts,
};
use crate::features::{FeatureId, FeatureSet};
use crate::forecast::{WINDOW, Window, input_ids, window_hash};

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

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    instrument: Ix,
    timeframe: Timeframe,
    /// Close of the last bar taken.
    last: Option<Ts>,
    features: FeatureSet,
    rule: RuleState,
    /// What the model is shown; `None` where the strategy does not ask one.
    window: Option<Window>,
}

impl State {
    /// Takes a bar, unless it is unsound or not after the last one; tells its close and the cross on it.
    fn take(&mut self, bar: &Bar, context: &Context) -> Option<(Ts, Option<Direction>)> {
        let close = bar.close_ts(self.timeframe);
        if self.last.is_some_and(|last| close <= last) || bar.check().is_err() {
            return None;
        }
        self.last = Some(close);
        self.features.update(bar, context);
        if let Some(window) = self.window.as_mut().filter(|_| self.features.is_warm()) {
            window.push(self.features.values());
        }
        Some((close, self.rule.update(bar)))
    }
}

/// A bar that waits for its forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    bar: Ts,
    close: f64,
}

/// The engine of one symbol: exactly one decision to each new bar, and nothing to anything else.
///
/// It wants nothing until its rule and all its features are warm. A cross before that moves the rule's side but is not
/// acted on, now or later: how many bars an engine was primed with thus decides which crosses it acts on, and a run and
/// its repetition must prime alike. A bar whose numbers are unsound, or that closes at or before the last one, is not
/// taken and gets no decision, so that bars can be given again.
///
/// A strategy that follows the model answers a bar with a [`Question`], and with its decision when the forecast comes. A
/// forecast of another bar than the last one is passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    policy: StrategyPolicy,
    /// Hash of the definition of the features.
    schema: u64,
    state: State,
    /// The account's last word; `None` until it has spoken.
    position: Option<PositionView>,
    open: Option<Open>,
}

impl Core {
    /// An engine that has seen nothing. Prime it with history, and tell it the position before the first bar.
    pub fn new(setup: EngineSetup) -> Self {
        let EngineSetup { instrument, timeframe, policy, features } = setup;
        let window = policy.asks_model().then(Window::default);
        // The model is shown every input, whatever else was selected.
        let features = FeatureSet::new(if window.is_some() { input_ids() } else { &features });
        let (schema, rule) = (features.schema_hash(), RuleState::new(&policy));
        let state = State { instrument, timeframe, last: None, features, rule, window };
        Self { policy, schema, state, position: None, open: None }
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
        let state: State = postcard::from_bytes(bytes).map_err(|_| RestoreError::Damaged)?;
        if state.instrument != core.state.instrument || state.timeframe != core.state.timeframe {
            return Err(RestoreError::Instrument);
        }
        core.state = state;
        Ok(core)
    }

    /// Takes one event. A new, sound bar of its instrument gets exactly one decision, at once or when its forecast comes;
    /// a position is remembered; all else is passed over.
    pub fn step(&mut self, event: &Event, _now: Ts, actions: &mut Actions<EngineAction>) {
        match event {
            Event::Bar { instrument, bar, context } if *instrument == self.state.instrument => {
                self.on_bar(bar, context, actions);
            }
            Event::Forecast { instrument, bar, forecast } if *instrument == self.state.instrument => {
                let Some(open) = self.open.take_if(|open| open.bar == *bar) else { return };
                let scene = self.scene(open.close);
                let intent = forecast.as_ref().and_then(|f| self.state.rule.on_forecast(f, &self.policy, scene));
                actions.push(self.decide(*bar, *forecast, intent));
            }
            Event::Position(view) if view.instrument == self.state.instrument => self.position = Some(*view),
            _ => {}
        }
    }

    fn on_bar(&mut self, bar: &Bar, context: &Context, actions: &mut Actions<EngineAction>) {
        let Some((close, cross)) = self.state.take(bar, context) else { return };
        self.open = None;
        let is_warm = self.state.features.is_warm();
        let window = self.state.window.as_ref().filter(|window| window.is_full() && self.state.rule.is_warm());
        if let Some(window) = window {
            let rows = window.rows();
            let (instrument, features) = (self.state.instrument, window_hash(&rows));
            actions.push(EngineAction::Ask(Question { instrument, bar: close, features, window: rows.into() }));
            self.open = Some(Open { bar: close, close: bar.close });
            return;
        }
        let cross = cross.filter(|_| is_warm);
        let intent = cross.and_then(|side| self.state.rule.on_cross(side, &self.policy, self.scene(bar.close)));
        actions.push(self.decide(close, None, intent));
    }

    const fn scene(&self, close: f64) -> Scene<'_> {
        Scene { close, timeframe: self.state.timeframe, position: self.position.as_ref() }
    }

    fn decide(&self, bar: Ts, forecast: Option<Forecast>, intent: Option<Intent>) -> EngineAction {
        EngineAction::Decide(Decision {
            instrument: self.state.instrument,
            bar,
            policy: self.policy.hash(),
            features: self.state.features.feature_hash(),
            forecast,
            intent,
        })
    }

    /// Takes a bar of the past without deciding: afterwards the state is that of an engine that was stepped with it.
    pub fn prime(&mut self, bar: &Bar, context: &Context) {
        let _ = self.state.take(bar, context);
    }

    /// The state after the last bar.
    pub fn snapshot(&self) -> Snapshot {
        // Writing to memory does not fail; if it ever did, the empty bytes would be refused when they are read.
        let bytes = postcard::to_allocvec(&self.state).unwrap_or_default();
        Snapshot::seal(self.schema, self.policy.hash(), bytes)
    }

    /// The number of bars to prime it with, so that rule and features are warm and it can act on the next one.
    pub fn warm_up_bars(&self) -> usize {
        let window = if self.state.window.is_some() { WINDOW - 1 } else { 0 };
        self.policy.warm_up_bars().max(self.state.features.warm_up_bars() + window)
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
