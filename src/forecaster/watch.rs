//! The life of the model server: the restart policy of the core, the handshake, and how it is shown.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use levibot_core::domain::{Actions, Span, Timeframe};
use levibot_core::forecast::{PROTOCOL_VERSION, Ready, schema_hash};
use levibot_core::supervision::{
    AlertKind, EngineStatus, Policy, SupervisionAction, SupervisionInput, SupervisionSetup,
};

use super::Pinned;
use super::server::{ModelHost, ServerLink, ServerSays};
use crate::control::Board;
use crate::control::board::{ModelView, Stamp};
use crate::telemetry::clock::monotonic_now;
use crate::telemetry::metrics::Metrics;

/// What a server must answer with.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) timeframe: Timeframe,
    pub(super) pinned: Option<Pinned>,
}

impl Expected {
    /// Whether it is what this daemon can ask.
    fn check(&self, ready: &Ready) -> Result<(), String> {
        if ready.protocol != PROTOCOL_VERSION {
            return Err(format!(
                "the model server speaks protocol {}, this daemon {PROTOCOL_VERSION}: build both from one source",
                ready.protocol
            ));
        }
        if ready.schema != schema_hash() {
            return Err(format!(
                "version {} was trained on inputs {:016x}, this daemon makes {:016x}: train it anew with `levibot train`",
                ready.version,
                ready.schema,
                schema_hash()
            ));
        }
        if ready.timeframe != self.timeframe {
            return Err(format!(
                "version {} was trained on bars of {}, `market.timeframe` is {}: train one with --timeframe {}",
                ready.version, ready.timeframe, self.timeframe, self.timeframe
            ));
        }
        let Some(pinned) = &self.pinned else { return Ok(()) };
        let is_other = pinned.digest.as_ref().is_some_and(|digest| *digest != ready.digest);
        if pinned.version != ready.version || is_other {
            return Err(format!(
                "version {} ({}) answers, and {} was asked for: restore its folder, or choose another `model.version`",
                ready.version, ready.digest, pinned.version
            ));
        }
        Ok(())
    }
}

/// What followed from what was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// The server is away: what it was asked will not be answered.
    Lost,
    /// Tell people.
    Alert { text: String, quarantined: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    host: Box<dyn ModelHost>,
    policy: Policy,
    expected: Expected,
    to: Option<Recipient<ServerSays>>,
    link: Option<ServerLink>,
    /// What answers, or answered last.
    ready: Option<Ready>,
    /// Why a version was refused while another stayed in use.
    note: Option<String>,
    board: Board,
    metrics: Arc<Metrics>,
    shown: Option<ModelView>,
}

impl Watch {
    pub(super) fn new(
        host: Box<dyn ModelHost>,
        setup: SupervisionSetup,
        expected: Expected,
        board: Board,
        metrics: Arc<Metrics>,
    ) -> Self {
        let policy = Policy::named("model", setup);
        Self { host, policy, expected, to: None, link: None, ready: None, note: None, board, metrics, shown: None }
    }

    /// Where what is heard of servers goes.
    pub(super) fn speaks_to(&mut self, to: Recipient<ServerSays>) {
        self.to = Some(to);
    }

    pub(super) const fn generation(&self) -> u64 {
        self.policy.generation()
    }

    pub(super) const fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn is_up(&self) -> bool {
        self.policy.status() == EngineStatus::Running
    }

    pub(super) fn why_away(&self) -> String {
        let status = self.policy.status();
        match self.policy.last_error() {
            Some(error) => format!("the model is {status}: {error}"),
            None => format!("the model is {status}"),
        }
    }

    pub(super) fn send(&self, payload: Vec<u8>) {
        // Where it does not go, the server is away or stuck: the one is heard of, the other noticed.
        let sent = self.link.as_ref().is_some_and(|link| link.send(&payload));
        if !sent {
            tracing::warn!("questions could not be handed to the model server");
        }
    }

    pub(super) fn check(&self, ready: &Ready) -> Result<(), String> {
        self.expected.check(ready)
    }

    pub(super) fn accept(&mut self, ready: &Ready) {
        self.metrics.model().set_version(&ready.version.to_string());
        (self.ready, self.note) = (Some(ready.clone()), None);
    }

    pub(super) fn note(&mut self, reason: &str) {
        self.note = Some(reason.to_owned());
        self.show();
    }

    /// Ends the present server by force.
    pub(super) fn kill(&mut self) {
        if let Some(link) = self.link.take() {
            link.kill();
        }
    }

    /// Tells the policy and carries out what it asks for.
    pub(super) fn step(&mut self, input: &SupervisionInput) -> Vec<Happened> {
        let (mut happened, mut inputs) = (Vec::new(), VecDeque::from([input.clone()]));
        let restarts = self.policy.restarts();
        while let Some(input) = inputs.pop_front() {
            if matches!(&input, SupervisionInput::Exited { generation, .. } if *generation == self.generation()) {
                self.link = None;
                happened.push(Happened::Lost);
            }
            let mut actions = Actions::new();
            self.policy.step(&input, monotonic_now(), &mut actions);
            for action in actions.drain() {
                inputs.extend(self.act(action, &mut happened));
            }
        }
        (restarts..self.policy.restarts()).for_each(|_| self.metrics.model().restarted());
        self.show();
        happened
    }

    fn act(&mut self, action: SupervisionAction, happened: &mut Vec<Happened>) -> Option<SupervisionInput> {
        match action {
            SupervisionAction::Spawn { generation } => {
                let to = self.to.clone()?;
                Some(match ServerLink::open(&*self.host, generation, to) {
                    Ok(link) => {
                        self.link = Some(link);
                        SupervisionInput::Spawned { generation }
                    }
                    Err(reason) => SupervisionInput::SpawnFailed { generation, reason },
                })
            }
            SupervisionAction::Stop { generation } => {
                if let Some(link) = self.link.take() {
                    link.close();
                }
                Some(SupervisionInput::Exited { generation, cause: "stopped".to_owned() })
            }
            SupervisionAction::Kill { .. } => {
                self.kill();
                happened.push(Happened::Lost);
                None
            }
            SupervisionAction::Alert { kind, cause, attempt, next_retry } => {
                let quarantined = kind == AlertKind::Quarantined;
                let next = next_retry.map_or_else(
                    || "no retry".to_owned(),
                    |at| format!("next retry in {:.1} s", (at - monotonic_now()).max(Span::ZERO).secs_f64()),
                );
                let what = match kind {
                    AlertKind::Exited => "the model went away",
                    AlertKind::Stuck => "the model was stuck and is replaced",
                    AlertKind::SpawnFailed => "the model could not be started",
                    AlertKind::Quarantined => "model quarantined",
                };
                happened
                    .push(Happened::Alert { text: format!("{what}: {cause}; failure {attempt}, {next}"), quarantined });
                None
            }
            SupervisionAction::Quarantine => None,
        }
    }

    /// Shows it where something has changed.
    fn show(&mut self) {
        let view = ModelView {
            state: self.policy.status().to_string(),
            version: self.ready.as_ref().map(|ready| ready.version.to_string()),
            trained_through: self.ready.as_ref().map(|ready| Stamp(ready.trained_through)),
            pid: self.link.as_ref().and_then(ServerLink::pid),
            restarts: self.policy.restarts(),
            last_error: self.note.clone().or_else(|| self.policy.last_error().map(ToOwned::to_owned)),
        };
        if self.shown.as_ref() != Some(&view) {
            self.metrics.model().set_up(self.is_up());
            self.board.show_model(view.clone());
            self.shown = Some(view);
        }
    }
}
