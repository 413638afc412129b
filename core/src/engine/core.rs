//! The engine of one symbol.

use serde::{Deserialize, Serialize};

use super::EngineStep;
use super::policy::StrategyPolicy;
use super::rule::EmaCross;
use super::snapshot::{RestoreError, Snapshot};
use crate::domain::{Actions, Bar, Context, Decision, Direction, Event, Ix, PositionView, Timeframe, Ts};
use crate::features::{FeatureId, FeatureSet};

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
    rule: EmaCross,
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
        Some((close, self.rule.update(bar)))
    }
}

/// The engine of one symbol: exactly one decision to each new bar, and nothing to anything else.
///
/// It wants nothing until its rule and all its features are warm. A cross before that moves the rule's side but is not
/// acted on, now or later: how many bars an engine was primed with thus decides which crosses it acts on, and a run and
/// its repetition must prime alike. A bar whose numbers are unsound, or that closes at or before the last one, is not
/// taken and gets no decision, so that bars can be given again.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    policy: StrategyPolicy,
    /// Hash of the definition of the features.
    schema: u64,
    state: State,
    /// The account's last word; `None` until it has spoken.
    position: Option<PositionView>,
}

impl Core {
    /// An engine that has seen nothing. Prime it with history, and tell it the position before the first bar.
    pub fn new(setup: EngineSetup) -> Self {
        let EngineSetup { instrument, timeframe, policy, features } = setup;
        let (features, rule) = (FeatureSet::new(&features), EmaCross::new(&policy));
        let schema = features.schema_hash();
        Self { policy, schema, state: State { instrument, timeframe, last: None, features, rule }, position: None }
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

    /// Takes one event. A new, sound bar of its instrument gets exactly one decision; a position is remembered; all else
    /// is passed over.
    pub fn step(&mut self, event: &Event, _now: Ts, actions: &mut Actions<Decision>) {
        match event {
            Event::Bar { instrument, bar, context } if *instrument == self.state.instrument => {
                let Some((close, cross)) = self.state.take(bar, context) else { return };
                let cross = cross.filter(|_| self.state.features.is_warm());
                let intent = cross.and_then(|side| {
                    let (policy, timeframe) = (&self.policy, self.state.timeframe);
                    self.state.rule.intent(side, bar, policy, timeframe, self.position.as_ref())
                });
                actions.push(Decision {
                    instrument: *instrument,
                    bar: close,
                    policy: self.policy.hash(),
                    features: self.state.features.feature_hash(),
                    intent,
                });
            }
            Event::Position(view) if view.instrument == self.state.instrument => self.position = Some(*view),
            _ => {}
        }
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
        self.policy.warm_up_bars().max(self.state.features.warm_up_bars())
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
    fn step(&mut self, event: &Event, now: Ts, actions: &mut Actions<Decision>) {
        Self::step(self, event, now, actions);
    }

    fn prime(&mut self, bar: &Bar, context: &Context) {
        Self::prime(self, bar, context);
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}
