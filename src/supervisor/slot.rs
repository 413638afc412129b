//! One engine as the supervisor holds it.

use levibot_core::domain::{Actions, Span, Symbol, Ts};
use levibot_core::supervision::{
    Availability, EngineStatus, Policy, SupervisionAction, SupervisionInput, SupervisionSetup,
};

use crate::engine_host::EngineHandle;
use crate::telemetry::clock::monotonic_now;

/// How often an engine without work is given something to do.
const BEAT_EVERY: Span = Span::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) symbol: Symbol,
    pub(super) policy: Policy,
    pub(super) handle: Option<Box<dyn EngineHandle>>,
    /// How it ended last and when (wall time).
    pub(super) last_exit: Option<(String, Ts)>,
    /// Whether it ran when the account was halted, and so runs again after the resume.
    pub(super) resume_after_halt: bool,
    /// Whether a person has paused it: its entries are frozen, over crashes and halts, until a person says otherwise.
    pub(super) paused: bool,
    /// Whether the symbol is not configured any more, and if so, whether its engine runs again when it comes back.
    pub(super) retired: Option<bool>,
    /// Close of the last bar it answered, over all generations.
    pub(super) last_bar: Option<Ts>,
    /// What share of its time it was ready, since the daemon began.
    pub(super) availability: Availability,
    done: u64,
    working: bool,
    /// When it last got something to do that is nothing, monotonic.
    beat: Ts,
}

impl Slot {
    pub(super) fn new(symbol: Symbol, setup: SupervisionSetup) -> Self {
        Self {
            symbol,
            policy: Policy::new(symbol, setup),
            handle: None,
            last_exit: None,
            resume_after_halt: false,
            paused: false,
            retired: None,
            last_bar: None,
            availability: Availability::default(),
            done: 0,
            working: false,
            beat: Ts::EPOCH,
        }
    }

    /// Tells the policy and says what it asks for. `halted`: whether the account keeps engines down.
    pub(super) fn step(&mut self, input: &SupervisionInput, halted: bool, out: &mut Actions<SupervisionAction>) {
        let now = monotonic_now();
        self.policy.step(input, now, out);
        let is_ready = self.policy.ready_since().is_some();
        self.availability.observe(self.policy.is_wanted() && !halted, is_ready, now);
    }

    /// A new generation is there.
    pub(super) fn begin(&mut self, handle: Box<dyn EngineHandle>) {
        self.handle = Some(handle);
        (self.done, self.working) = (0, false);
    }

    /// This generation is over: nothing it still says counts.
    pub(super) fn end(&mut self, generation: u64) {
        if let Some(handle) = self.handle.take_if(|h| h.generation() == generation) {
            handle.abandon();
        }
    }

    /// Whether it runs, or will by itself: nobody has stopped it, it is not given up and its symbol is configured. One that
    /// is still ending is not to run, unless it begins again after that.
    pub(super) fn is_to_run(&self) -> bool {
        self.retired.is_none() && self.policy.is_wanted() && self.policy.status() != EngineStatus::Quarantined
    }

    /// Asks it to end in order: `true` when it counts as gone at once.
    pub(super) fn stop(&mut self, generation: u64) -> bool {
        let handle = self.handle.as_ref().filter(|handle| handle.generation() == generation);
        let is_gone = handle.is_none_or(|handle| handle.stop());
        if is_gone {
            self.end(generation);
        }
        is_gone
    }

    /// Sees that a ready engine that has nothing to do shows its progress all the same: one that hangs is noticed before
    /// the next bar comes.
    pub(super) fn beat(&mut self, now: Ts) {
        let is_ready = matches!(self.policy.status(), EngineStatus::Running | EngineStatus::Paused);
        if !is_ready || now - self.beat < BEAT_EVERY {
            return;
        }
        if let Some(handle) = self.handle.as_ref().filter(|handle| handle.progress().waiting() == 0) {
            handle.beat();
            self.beat = now;
        }
    }

    /// What its work loop shows since the last look.
    pub(super) fn observe(&mut self) -> Vec<SupervisionInput> {
        let mut inputs = Vec::new();
        let Some(handle) = &self.handle else { return inputs };
        let (generation, progress) = (handle.generation(), handle.progress());
        let (done, offered) = (progress.done(), progress.offered());
        self.last_bar = progress.last_bar().max(self.last_bar);
        if done != self.done {
            self.done = done;
            inputs.push(SupervisionInput::Progress { generation });
        }
        if done < offered {
            self.working = true;
            inputs.push(SupervisionInput::Work { generation });
        } else if std::mem::take(&mut self.working) {
            inputs.push(SupervisionInput::Idle);
        }
        inputs
    }
}
