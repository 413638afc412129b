//! The policy: what is seen of one engine in, what is to be done about it out.

use std::collections::VecDeque;

use super::{EngineStatus, SupervisionSetup, backoff};
use crate::domain::hash::{hash64, unit_draw};
use crate::domain::{Actions, Symbol, Ts};

/// What the policy is told. Reports carry the generation they are about; those of another than the present one change
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisionInput {
    /// A person wants it to run. Lifts a quarantine, ends a backoff and forgets past failures.
    Start,
    /// A person wants it to stop.
    Stop,
    /// A person wants a fresh one. Lifts a quarantine, ends a backoff and forgets past failures.
    Restart,
    /// A person wants it to take no work. Heard only while it runs; a crash does not end it.
    Pause,
    /// Ends a pause.
    Resume,
    /// It exists.
    Spawned {
        /// Which.
        generation: u64,
    },
    /// It could not be made.
    SpawnFailed {
        /// Which.
        generation: u64,
        /// Why.
        reason: String,
    },
    /// It has loaded and warmed up.
    Ready {
        /// Which.
        generation: u64,
    },
    /// It is gone.
    Exited {
        /// Which.
        generation: u64,
        /// How it ended, in words.
        cause: String,
    },
    /// Its work loop has moved on: while it starts, a pulse; else an answer.
    Progress {
        /// Which.
        generation: u64,
    },
    /// Something was handed to it that it should answer.
    Work {
        /// Which.
        generation: u64,
    },
    /// All that was handed to it is answered.
    Idle,
    /// Time passes: deadlines are looked at.
    Tick,
}

/// What the policy asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisionAction {
    /// Make this generation. The one before is gone or fenced.
    Spawn {
        /// Which: one more than the last.
        generation: u64,
    },
    /// Ask it to stop in order.
    Stop {
        /// Which.
        generation: u64,
    },
    /// Stop it by force and fence it: whatever it still says is ignored, whether or not it can be ended.
    Kill {
        /// Which.
        generation: u64,
    },
    /// Tell people.
    Alert {
        /// What happened.
        kind: AlertKind,
        /// The cause in words.
        cause: String,
        /// How many failures within the window, this one included.
        attempt: u32,
        /// When it is spawned again; `None` when it is not.
        next_retry: Option<Ts>,
    },
    /// Freeze its entries until a person starts it again. The alert stands before it.
    Quarantine,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertKind {
    /// It ended by itself.
    Exited,
    /// It made no progress and was ended by force.
    Stuck,
    /// It could not be made.
    SpawnFailed,
    /// It failed too often and is given up until a person comes.
    Quarantined,
}

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Stopped,
    /// Asked for; `pulse` is when it last gave a sign, `working` whether an answer is outstanding already.
    Starting {
        pulse: Ts,
        working: bool,
    },
    /// `waiting` is since when an answer is outstanding.
    Ready {
        since: Ts,
        waiting: Option<Ts>,
    },
    Backoff {
        until: Ts,
    },
    Stopping {
        deadline: Ts,
        respawn: bool,
    },
    Quarantined,
}

/// The restart policy of one engine.
///
/// * An exit that was not asked for, an engine that could not be made and one that is stuck are failures. Stuck is one
///   that was handed work and has made no progress for `progress_deadline`; while it starts, one that has given no sign for
///   `starting_deadline`.
/// * An engine that fails after it was ready for `healthy_after`, with no other failure within the window, is restarted at
///   once. Any other failure is followed by a [`backoff()`] that grows with the failures within the window, and so shrinks
///   again as they leave it. One that had never become ready waits longer by three doublings: what keeps an engine from
///   starting, such as want of memory or a bad snapshot, rarely goes away at once, and its failures must not be used up
///   in half a second. The jitter is drawn from the symbol and the number of failures so far.
/// * `failures_max` failures within the sliding `window` mean quarantine: one alert and no more spawns until Start or
///   Restart. An explicit Start or Restart forgets the failures in the window.
/// * A generation is alive from its `Spawn` until it exits, could not be made or is killed. There is never more than
///   one, and no number comes twice.
#[derive(Debug)]
pub struct Policy {
    key: u64,
    setup: SupervisionSetup,
    phase: Phase,
    paused: bool,
    generation: u64,
    /// Instants of the last failures, oldest first, at most `failures_max`.
    failures: VecDeque<Ts>,
    failures_total: u64,
    restarts: u64,
    last_error: Option<String>,
}

impl Policy {
    /// The policy of an engine that is not running. `setup` is one that [`SupervisionSetup::validate`] accepts.
    pub fn new(symbol: Symbol, setup: SupervisionSetup) -> Self {
        Self::named(symbol.as_str(), setup)
    }

    /// The same for something that is no engine, such as the model server. The name decides the jitter alone.
    pub fn named(name: &str, setup: SupervisionSetup) -> Self {
        Self {
            key: hash64(&[b"backoff", name.as_bytes()]),
            setup,
            phase: Phase::Stopped,
            paused: false,
            generation: 0,
            failures: VecDeque::new(),
            failures_total: 0,
            restarts: 0,
            last_error: None,
        }
    }

    /// How the engine is.
    pub const fn status(&self) -> EngineStatus {
        match self.phase {
            Phase::Stopped => EngineStatus::Stopped,
            Phase::Starting { .. } => EngineStatus::Starting,
            Phase::Ready { .. } if self.paused => EngineStatus::Paused,
            Phase::Ready { .. } => EngineStatus::Running,
            Phase::Backoff { .. } => EngineStatus::Crashed,
            Phase::Stopping { .. } => EngineStatus::Stopping,
            Phase::Quarantined => EngineStatus::Quarantined,
        }
    }

    /// Where it is in its life, in a word: `stopped starting ready backoff stopping quarantined`. Unlike the status it does
    /// not tell of pauses.
    pub const fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Stopped => "stopped",
            Phase::Starting { .. } => "starting",
            Phase::Ready { .. } => "ready",
            Phase::Backoff { .. } => "backoff",
            Phase::Stopping { .. } => "stopping",
            Phase::Quarantined => "quarantined",
        }
    }

    /// Whether it is to run, whether or not it does: neither stopped nor stopping for good.
    pub const fn is_wanted(&self) -> bool {
        match self.phase {
            Phase::Stopped => false,
            Phase::Stopping { respawn, .. } => respawn,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Backoff { .. } | Phase::Quarantined => true,
        }
    }

    /// The limits it keeps.
    pub const fn setup(&self) -> &SupervisionSetup {
        &self.setup
    }

    /// The number of the last spawn; 0 before the first.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How often it was spawned again after a failure or by Restart.
    pub const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// How often it has failed.
    pub const fn failures_total(&self) -> u64 {
        self.failures_total
    }

    /// How many of its failures lie within the window that ends now.
    pub fn failures_in_window(&self, now: Ts) -> usize {
        self.failures.iter().filter(|at| now - **at < self.setup.window).count()
    }

    /// How many failures within the window that ends now were followed by a restart.
    pub fn restarts_in_window(&self, now: Ts) -> usize {
        let is_last_open = matches!(self.phase, Phase::Backoff { .. } | Phase::Quarantined);
        let is_last_within = self.failures.back().is_some_and(|at| now - *at < self.setup.window);
        self.failures_in_window(now) - usize::from(is_last_open && is_last_within)
    }

    /// When it is spawned again; `None` unless a backoff is waited for.
    pub const fn next_retry(&self) -> Option<Ts> {
        match self.phase {
            Phase::Backoff { until } => Some(until),
            _ => None,
        }
    }

    /// The cause of the last failure.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Since when it is ready; `None` when it is not.
    pub const fn ready_since(&self) -> Option<Ts> {
        match self.phase {
            Phase::Ready { since, .. } => Some(since),
            _ => None,
        }
    }

    /// When the next [`SupervisionInput::Tick`] is due; `None` while nothing can run out.
    pub fn next_deadline(&self) -> Option<Ts> {
        match self.phase {
            Phase::Starting { pulse, .. } => Some(pulse + self.setup.starting_deadline),
            Phase::Ready { waiting, .. } => waiting.map(|since| since + self.setup.progress_deadline),
            Phase::Backoff { until } => Some(until),
            Phase::Stopping { deadline, .. } => Some(deadline),
            Phase::Stopped | Phase::Quarantined => None,
        }
    }

    /// Takes one input at `now`, monotonic.
    pub fn step(&mut self, input: &SupervisionInput, now: Ts, out: &mut Actions<SupervisionAction>) {
        match input {
            SupervisionInput::Start => self.start(now, out),
            SupervisionInput::Stop => self.stop(now, out),
            SupervisionInput::Restart => self.restart(now, out),
            SupervisionInput::Pause => self.paused |= matches!(self.phase, Phase::Ready { .. }),
            SupervisionInput::Resume => self.paused = false,
            SupervisionInput::Idle => self.idle(),
            SupervisionInput::Tick => self.tick(now, out),
            SupervisionInput::SpawnFailed { generation, reason } if self.is_alive(*generation) => {
                self.gone(AlertKind::SpawnFailed, reason, now, out);
            }
            SupervisionInput::Exited { generation, cause } if self.is_alive(*generation) => {
                self.gone(AlertKind::Exited, cause, now, out);
            }
            SupervisionInput::Ready { generation } if self.is_alive(*generation) => self.ready(now),
            SupervisionInput::Spawned { generation } | SupervisionInput::Progress { generation }
                if self.is_alive(*generation) =>
            {
                self.progress(now);
            }
            SupervisionInput::Work { generation } if self.is_alive(*generation) => self.work(now),
            _ => {}
        }
    }

    /// Whether this generation is the present one and has not ended.
    fn is_alive(&self, generation: u64) -> bool {
        let alive = matches!(self.phase, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Stopping { .. });
        alive && generation == self.generation
    }

    fn start(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        match &mut self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => {}
            Phase::Stopping { respawn, .. } => *respawn = true,
            Phase::Stopped => self.spawn_afresh(now, out),
            Phase::Backoff { .. } | Phase::Quarantined => {
                self.restarts += 1;
                self.spawn_afresh(now, out);
            }
        }
    }

    fn restart(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => self.ask_to_stop(true, now, out),
            _ => self.start(now, out),
        }
    }

    fn stop(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        match &mut self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => self.ask_to_stop(false, now, out),
            Phase::Stopping { respawn, .. } => *respawn = false,
            Phase::Backoff { .. } | Phase::Quarantined | Phase::Stopped => {
                self.failures.clear();
                self.phase = Phase::Stopped;
            }
        }
        self.paused = false;
    }

    fn ask_to_stop(&mut self, respawn: bool, now: Ts, out: &mut Actions<SupervisionAction>) {
        self.phase = Phase::Stopping { deadline: now + self.setup.stop_deadline, respawn };
        out.push(SupervisionAction::Stop { generation: self.generation });
    }

    /// Spawns by a person's wish: what was before does not count.
    fn spawn_afresh(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        self.failures.clear();
        self.paused = false;
        self.spawn(now, out);
    }

    fn spawn(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        self.generation += 1;
        self.phase = Phase::Starting { pulse: now, working: false };
        out.push(SupervisionAction::Spawn { generation: self.generation });
    }

    /// Spawns after a failure.
    fn respawn(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        self.restarts += 1;
        self.spawn(now, out);
    }

    const fn ready(&mut self, now: Ts) {
        if let Phase::Starting { working, .. } = self.phase {
            let waiting = if working { Some(now) } else { None };
            self.phase = Phase::Ready { since: now, waiting };
        }
    }

    fn progress(&mut self, now: Ts) {
        match &mut self.phase {
            Phase::Starting { pulse, .. } => *pulse = now,
            Phase::Ready { waiting: Some(since), .. } => *since = now,
            _ => {}
        }
    }

    const fn work(&mut self, now: Ts) {
        match &mut self.phase {
            Phase::Starting { working, .. } => *working = true,
            Phase::Ready { waiting: waiting @ None, .. } => *waiting = Some(now),
            _ => {}
        }
    }

    const fn idle(&mut self) {
        match &mut self.phase {
            Phase::Starting { working, .. } => *working = false,
            Phase::Ready { waiting, .. } => *waiting = None,
            _ => {}
        }
    }

    fn tick(&mut self, now: Ts, out: &mut Actions<SupervisionAction>) {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let generation = self.generation;
        match self.phase {
            Phase::Backoff { .. } => self.respawn(now, out),
            Phase::Stopping { respawn, .. } => {
                out.push(SupervisionAction::Kill { generation });
                self.stopped(respawn, now, out);
            }
            Phase::Starting { .. } => {
                out.push(SupervisionAction::Kill { generation });
                let limit = self.setup.starting_deadline.secs_f64();
                self.fail(AlertKind::Stuck, format!("gave no sign for {limit} s while starting"), now, out);
            }
            Phase::Ready { .. } => {
                out.push(SupervisionAction::Kill { generation });
                let limit = self.setup.progress_deadline.secs_f64();
                self.fail(AlertKind::Stuck, format!("made no progress for {limit} s with work to do"), now, out);
            }
            Phase::Stopped | Phase::Quarantined => {}
        }
    }

    /// The present generation is gone: as asked, or as a failure.
    fn gone(&mut self, kind: AlertKind, cause: &str, now: Ts, out: &mut Actions<SupervisionAction>) {
        match self.phase {
            Phase::Stopping { respawn, .. } => self.stopped(respawn, now, out),
            _ => self.fail(kind, cause.to_owned(), now, out),
        }
    }

    fn stopped(&mut self, respawn: bool, now: Ts, out: &mut Actions<SupervisionAction>) {
        if respawn {
            self.restarts += 1;
            self.spawn_afresh(now, out);
        } else {
            self.phase = Phase::Stopped;
        }
    }

    fn fail(&mut self, kind: AlertKind, cause: String, now: Ts, out: &mut Actions<SupervisionAction>) {
        let ready_since = self.ready_since();
        let attempt = self.count_failure(now);
        self.last_error = Some(cause.clone());
        if attempt >= self.setup.failures_max {
            self.phase = Phase::Quarantined;
            out.push(SupervisionAction::Alert { kind: AlertKind::Quarantined, cause, attempt, next_retry: None });
            out.push(SupervisionAction::Quarantine);
            return;
        }
        if attempt == 1 && ready_since.is_some_and(|since| now - since >= self.setup.healthy_after) {
            out.push(SupervisionAction::Alert { kind, cause, attempt, next_retry: Some(now) });
            self.respawn(now, out);
            return;
        }
        let doublings = if ready_since.is_some() { attempt.saturating_sub(2) } else { attempt + 1 };
        let until = now + backoff(&self.setup, doublings, unit_draw(self.key, self.failures_total));
        self.phase = Phase::Backoff { until };
        out.push(SupervisionAction::Alert { kind, cause, attempt, next_retry: Some(until) });
    }

    /// Counts one failure more and says how many lie within the window, this one included.
    fn count_failure(&mut self, now: Ts) -> u32 {
        self.failures_total += 1;
        self.failures.push_back(now);
        let window = self.setup.window;
        self.failures.retain(|at| now - *at < window);
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }
}
