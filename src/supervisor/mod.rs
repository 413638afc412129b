//! The supervisor: one engine a symbol, kept alive by the pure policy of the core.
//!
//! It starts engines through their host, hears at once when one is gone, watches the progress of their work, and shows
//! them to faces and registry. It knows nothing of prices or orders; protection of positions is the account's.

mod escalate;
#[cfg(feature = "fault-injection")]
mod faults;
mod keeper;
mod show;
mod slot;
pub mod symbols;
#[cfg(test)]
mod tests;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Actions, Event, FreezeCause, HaltLevel, Ix, Span, Symbol, Timeframe, Ts};
use levibot_core::driver::Input;
use levibot_core::supervision::{
    AlertKind, EngineStatus, Escalation, SupervisionAction, SupervisionInput, SupervisionSetup,
};

use crate::control::Board;
use crate::engine_host::{EngineHost, EngineSpec};
use crate::house_link::{HouseLink, Outgoing};
use crate::registry::Registry;
use crate::risk_manager::Tell;
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::clock::{monotonic_now, wall_now};
use crate::telemetry::metrics::Metrics;
#[cfg(feature = "fault-injection")]
pub use faults::Inject;
use slot::Slot;
pub use wishes::{EngineCommand, Wish};

/// How often progress is looked at. Exits are heard of at once and do not wait for it.
const TICK: Duration = Duration::from_millis(50);
/// When the daemon itself stood still for so long, its engines get as long before they are judged: they may have answered
/// what nobody has read.
const LATE: Span = Span::from_secs(1);
/// How often status, registry and metrics are renewed besides changes of status.
const SHOW_EVERY: Span = Span::SECOND;

/// What an engine tells.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum EngineSays {
    /// It has been told where to begin and is there.
    Ready {
        /// Which engine.
        instrument: Ix,
        /// Which generation.
        generation: u64,
    },
    /// It is gone.
    Gone {
        /// Which engine.
        instrument: Ix,
        /// Which generation.
        generation: u64,
        /// How it ended.
        cause: String,
    },
}

/// What the account tells.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum AccountSays {
    /// The halt level has changed.
    Halt(HaltLevel),
}

/// The account listens from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Begun;

/// End every engine, the last started first. Answered with how many are still there: to be asked again until there is
/// none. One that does not end by its deadline is ended by force.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct StopAll;

/// What a supervisor is made of.
#[derive(Debug)]
pub struct Parts {
    /// The engines, in instrument order.
    pub symbols: Vec<Symbol>,
    /// Those of them that are not configured any more: they do not start.
    pub retired: BTreeSet<Symbol>,
    /// Bar length.
    pub timeframe: Timeframe,
    /// Limits of the restart policy.
    pub setup: SupervisionSetup,
    /// So many engines in quarantine at once halt the account.
    pub quarantines_max: u32,
    /// The way to the risk manager.
    pub house: HouseLink,
    /// Where faces look.
    pub board: Board,
    /// The registry file.
    pub registry: Registry,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Where alerts go.
    pub alerts: AlertChannels,
    /// Whether the account is halted, so that no engine starts.
    pub halted: bool,
}

/// Where alerts go.
#[derive(Clone, Default)]
pub struct AlertChannels(pub Vec<Arc<dyn AlertChannel>>);

impl AlertChannels {
    /// Passes an alert to every channel.
    pub fn send(&self, alert: &Alert) {
        self.0.iter().for_each(|channel| channel.send(alert));
    }
}

impl std::fmt::Debug for AlertChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AlertChannels").field(&self.0.len()).finish()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    slots: BTreeMap<Ix, Slot>,
    setup: SupervisionSetup,
    host: Box<dyn EngineHost>,
    timeframe: Timeframe,
    outgoing: Outgoing,
    shown: show::Shown,
    alerts: AlertChannels,
    escalation: Escalation,
    halted: bool,
    ending: bool,
    /// Whether the account listens: before that no engine can be told where to begin, and none is judged.
    has_begun: bool,
    /// When progress was last looked at, and from when on a lack of it counts.
    ticked: Ts,
    judges_from: Ts,
}

impl Supervisor {
    /// A supervisor over the engines of `host`; they start when it does.
    pub fn new(parts: Parts, host: Box<dyn EngineHost>) -> Self {
        let slot = |symbol: Symbol| {
            let mut slot = Slot::new(symbol, parts.setup);
            // Put back, it runs.
            slot.retired = parts.retired.contains(&symbol).then_some(true);
            slot
        };
        let slots = (0..).zip(&parts.symbols).map(|(at, symbol)| (Ix(at), slot(*symbol)));
        Self {
            slots: slots.collect(),
            setup: parts.setup,
            host,
            timeframe: parts.timeframe,
            outgoing: Outgoing::new(parts.house),
            shown: show::Shown::new(parts.board, parts.registry, parts.metrics),
            alerts: parts.alerts,
            escalation: Escalation::new(parts.quarantines_max),
            halted: parts.halted,
            ending: false,
            has_begun: false,
            ticked: monotonic_now(),
            judges_from: Ts::EPOCH,
        }
    }

    fn policy(&mut self, ix: Ix, input: &SupervisionInput) {
        let Some(slot) = self.slots.get_mut(&ix) else { return };
        let (before, restarts) = (slot.policy.status(), slot.policy.restarts());
        let mut actions = Actions::new();
        slot.step(input, self.halted, &mut actions);
        if before == EngineStatus::Quarantined && slot.policy.status() != before {
            self.escalation.lift(ix);
        }
        if slot.policy.restarts() > restarts {
            self.shown.restarted(slot.symbol);
        }
        for action in actions.drain() {
            self.act(ix, action);
        }
        if self.slots.get(&ix).is_some_and(|slot| slot.policy.status() != before) {
            self.shown.soon();
        }
    }

    fn act(&mut self, ix: Ix, action: SupervisionAction) {
        match action {
            SupervisionAction::Spawn { generation } => self.spawn(ix, generation),
            SupervisionAction::Stop { generation } => {
                if self.slots.get_mut(&ix).is_none_or(|slot| slot.stop(generation)) {
                    self.time_stop(ix);
                    let cause = "stopped".to_owned();
                    self.policy(ix, &SupervisionInput::Exited { generation, cause });
                }
            }
            SupervisionAction::Kill { generation } => {
                if let Some(slot) = self.slots.get_mut(&ix) {
                    slot.end(generation);
                }
            }
            SupervisionAction::Alert { kind, cause, attempt, next_retry } => {
                let retry = next_retry.map(|at| (at - monotonic_now()).max(Span::ZERO));
                self.failed(ix, kind, &cause, attempt, retry);
            }
            SupervisionAction::Quarantine => {
                // Before the house goes on without it: a replay that waits for it halts at the same bar each time.
                self.escalate(ix);
                let reason = "quarantined after too many failures".to_owned();
                self.tell_house(Input::Detach { instrument: ix, returns: false, reason });
            }
        }
    }

    fn spawn(&mut self, ix: Ix, generation: u64) {
        let Some(symbol) = self.slots.get(&ix).map(|slot| slot.symbol) else { return };
        let spec = EngineSpec { instrument: ix, symbol, timeframe: self.timeframe, generation };
        match self.host.start(spec) {
            Ok((handle, link)) => {
                if let Some(slot) = self.slots.get_mut(&ix) {
                    slot.begin(handle);
                }
                self.policy(ix, &SupervisionInput::Spawned { generation });
                self.send(Tell::Link { instrument: ix, generation, link });
            }
            Err(error) => {
                let reason = error.to_string();
                self.policy(ix, &SupervisionInput::SpawnFailed { generation, reason });
            }
        }
    }

    /// A crash: shown, told, and the house is told to wait or to go on without.
    fn failed(&mut self, ix: Ix, kind: AlertKind, cause: &str, attempt: u32, retry: Option<Span>) {
        let Some(slot) = self.slots.get_mut(&ix) else { return };
        slot.last_exit = Some((cause.to_owned(), wall_now()));
        let symbol = slot.symbol;
        self.shown.failed(symbol);
        let next =
            retry.map_or_else(|| "no retry".to_owned(), |span| format!("next retry in {:.1} s", span.secs_f64()));
        let SupervisionSetup { failures_max, window, .. } = slot.policy.setup();
        let count = format!("failure {attempt} of {failures_max} within {} s", window.secs_f64());
        let text = format!("engine {symbol} {}: {cause}; {count}, {next}", verb(kind));
        let alert = match kind {
            AlertKind::Quarantined => Alert::critical(Topic::EngineQuarantine, symbol, text),
            _ => Alert::warning(Topic::EngineCrash, symbol, text),
        };
        self.alerts.send(&alert);
        if kind != AlertKind::Quarantined {
            self.tell_house(Input::Detach { instrument: ix, returns: true, reason: format!("engine away: {cause}") });
        }
    }

    /// An engine may have ended because of a halt.
    fn time_stop(&self, ix: Ix) {
        if let Some(slot) = self.slots.get(&ix).filter(|slot| slot.handle.is_none()) {
            self.shown.stop_is_over(self.shown.stops().stopped(slot.symbol));
        }
    }

    fn freeze(&mut self, ix: Ix, reason: Option<String>) {
        self.tell_house(Input::Control(Event::Freeze { instrument: ix, cause: FreezeCause::Person, reason }));
    }

    fn tell_house(&mut self, input: Input) {
        self.send(Tell::Input(input));
    }

    fn send(&mut self, tell: Tell) {
        // What finds the mailbox full goes at the next tick.
        let _ = self.outgoing.send(tell);
    }

    fn tick(&mut self) {
        let _ = self.outgoing.flush();
        let now = monotonic_now();
        if now - std::mem::replace(&mut self.ticked, now) > LATE {
            self.judges_from = now + LATE;
        }
        let all: Vec<Ix> = self.slots.keys().copied().collect();
        for ix in all {
            let Some(inputs) = self.slots.get_mut(&ix).map(Slot::observe) else { continue };
            for input in inputs {
                self.policy(ix, &input);
            }
            if self.has_begun && now >= self.judges_from {
                self.policy(ix, &SupervisionInput::Tick);
            }
            if let Some(slot) = self.slots.get_mut(&ix) {
                slot.beat(now);
            }
        }
        self.shown.renew(&self.slots, self.host.isolation());
    }

    fn halt(&mut self, level: HaltLevel) {
        let halted = level >= HaltLevel::ReduceOnly;
        if halted {
            let running = self.slots.values().filter(|slot| slot.handle.is_some()).map(|slot| slot.symbol);
            self.shown.stop_is_over(self.shown.stops().stopping(running));
        }
        if halted == self.halted || self.ending {
            return;
        }
        self.halted = halted;
        let all: Vec<Ix> = self.slots.keys().copied().collect();
        for ix in all {
            let Some(slot) = self.slots.get_mut(&ix) else { continue };
            if halted {
                // What a person has stopped stays so, and a quarantine outlasts a halt: only a person lifts it.
                if !slot.is_to_run() {
                    continue;
                }
                slot.resume_after_halt = true;
                self.policy(ix, &SupervisionInput::Stop);
            } else if std::mem::take(&mut slot.resume_after_halt) {
                self.policy(ix, &SupervisionInput::Start);
            }
        }
    }
}

const fn verb(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Exited => "crashed",
        AlertKind::Stuck => "was stuck and is replaced",
        AlertKind::SpawnFailed => "could not be started",
        AlertKind::Quarantined => "is quarantined",
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_024);
        ctx.run_interval(TICK, |supervisor, _| supervisor.tick());
        let all: Vec<Ix> = self.slots.keys().copied().collect();
        for ix in all {
            let Some(slot) = self.slots.get_mut(&ix) else { continue };
            if slot.retired.is_some() {
                self.detach_retired(ix);
            } else if self.halted {
                slot.resume_after_halt = true;
            } else {
                self.policy(ix, &SupervisionInput::Start);
            }
        }
        self.shown.renew(&self.slots, self.host.isolation());
    }
}

impl Handler<EngineSays> for Supervisor {
    type Result = ();

    fn handle(&mut self, says: EngineSays, _: &mut Self::Context) {
        match says {
            EngineSays::Ready { instrument, generation } => {
                self.policy(instrument, &SupervisionInput::Ready { generation });
                if let Some(slot) = self.slots.get_mut(&instrument)
                    && slot.policy.status() == EngineStatus::Running
                    && slot.paused
                {
                    self.policy(instrument, &SupervisionInput::Pause);
                }
            }
            EngineSays::Gone { instrument, generation, cause } => {
                if let Some(slot) = self.slots.get_mut(&instrument) {
                    slot.end(generation);
                }
                self.time_stop(instrument);
                self.policy(instrument, &SupervisionInput::Exited { generation, cause });
            }
        }
        self.shown.renew(&self.slots, self.host.isolation());
    }
}

impl Handler<AccountSays> for Supervisor {
    type Result = ();

    fn handle(&mut self, AccountSays::Halt(level): AccountSays, _: &mut Self::Context) {
        self.halt(level);
        self.shown.now();
        self.shown.renew(&self.slots, self.host.isolation());
    }
}

impl Handler<Begun> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Begun, _: &mut Self::Context) {
        self.has_begun = true;
        // What was handed over since was not answered for a reason that is not the engines'.
        self.judges_from = monotonic_now() + LATE;
    }
}

impl Handler<StopAll> for Supervisor {
    type Result = usize;

    fn handle(&mut self, _: StopAll, _: &mut Self::Context) -> usize {
        if !std::mem::replace(&mut self.ending, true) {
            let all: Vec<Ix> = self.slots.keys().rev().copied().collect();
            for ix in all {
                self.policy(ix, &SupervisionInput::Stop);
            }
        }
        self.shown.now();
        self.shown.renew(&self.slots, self.host.isolation());
        self.slots.values().filter(|slot| slot.handle.is_some()).count()
    }
}
