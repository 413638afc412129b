//! What a halt does besides the account's own part: the supervisor is told, the latch file follows, and its time is taken.

use std::time::{Duration, Instant};

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Event, HaltLevel, Reason, Span};
use levibot_core::driver::Input;

use super::{HouseEvent, RiskManager};
use crate::supervisor::AccountSays;
use crate::telemetry::chain;

/// See the module.
#[derive(Debug)]
pub(super) struct Halts {
    /// The level that this daemon has told the latch file, or found there.
    latched: HaltLevel,
    /// What the file is to hold, once the records are on their way.
    due: Option<(HaltLevel, Reason)>,
    /// When the input came that is being worked off.
    since: Instant,
    /// Whether cancels of a halt are on their way to the venue.
    cancels_wait: bool,
}

impl Halts {
    pub(super) fn new(latched: HaltLevel) -> Self {
        Self { latched, due: None, since: Instant::now(), cancels_wait: false }
    }

    pub(super) fn begin_input(&mut self) {
        self.since = Instant::now();
    }
}

impl RiskManager {
    /// The account has changed its level. Engines are told first, because they take longest to end.
    pub(super) fn on_halt(&mut self, level: HaltLevel, reason: Reason) {
        if level >= HaltLevel::ReduceOnly && self.halts.latched < HaltLevel::ReduceOnly {
            self.parts.board.stops().halted(self.halts.since, level, &reason);
            self.halts.cancels_wait = true;
        }
        if self.parts.supervisor.try_send(AccountSays::Halt(level)).is_err() {
            self.say(HouseEvent::Fatal("the supervisor does not answer to a halt".to_owned()));
        }
        self.measures.metrics().set_halt_level(level);
        self.halts.due = Some((level, reason));
    }

    /// Brings the latch file up to the last halt, while the journal makes the same durable.
    pub(super) fn keep_latch(&mut self) {
        let Some((level, reason)) = self.halts.due.take() else { return };
        if level >= HaltLevel::ReduceOnly && self.halts.cancels_wait {
            self.parts.board.stops().cancels(u32::try_from(self.outbox.cancels()).unwrap_or(u32::MAX));
        }
        let before = std::mem::replace(&mut self.halts.latched, level);
        let latch = &self.parts.latch;
        let kept = if level > HaltLevel::None {
            latch.raise(level, &reason).map(drop)
        } else {
            match latch.get() {
                // Somebody has asked for more than this account had heard of when it was resumed.
                Ok(Some((stands, _))) if stands > before => Ok(()),
                _ => latch.set(HaltLevel::None, &reason),
            }
        };
        if let Err(error) = kept {
            let stands = if level > HaltLevel::None { "the halt stands" } else { "the halt is lifted" };
            let text = format!("{stands}, and its latch file could not follow: {}", chain(&error));
            self.alert(&Alert::critical(Topic::Journal, None, text));
        }
        self.publish(true);
    }

    /// The last cancel of a halt has left.
    pub(super) fn time_cancels(&mut self) {
        if self.halts.cancels_wait && self.halts.due.is_none() && self.outbox.cancels() == 0 {
            self.halts.cancels_wait = false;
            self.stop_is_over(self.parts.board.stops().cancelled());
        }
    }

    fn stop_is_over(&self, took: Option<Duration>) {
        if let Some(took) = took {
            self.measures.metrics().stopped(Span::from_nanos(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)));
        }
    }

    /// The file may hold a halt that the account has not heard of. One that is gone, or lower, lifts nothing and is written
    /// again: only a resume lifts a halt. This thread alone lowers the file, so what it finds here cannot be out of date.
    pub(super) fn look_at_latch(&mut self) {
        let held = self.parts.sequencer.account().halt_level();
        match self.parts.latch.get() {
            Ok(Some((level, reason))) if level > held => {
                self.input(Input::Control(Event::Halt { level, reason }));
            }
            Ok(found) if found.as_ref().is_none_or(|(level, _)| *level < held) => self.restore_latch(held),
            Ok(_) => {}
            Err(error) => tracing::error!(error = chain(&error), "the latch file cannot be read"),
        }
    }

    fn restore_latch(&self, held: HaltLevel) {
        let Some(halt) = self.parts.sequencer.account().state().halt().filter(|_| held > HaltLevel::None) else {
            return;
        };
        let text = match self.parts.latch.set(halt.level, &halt.reason) {
            Ok(()) => {
                format!("the latch file was removed or lowered by hand and is written again: the halt ({held}) stands")
            }
            Err(error) => format!("the latch file is gone and cannot be written again: {}", chain(&error)),
        };
        self.alert(&Alert::warning(Topic::Account, None, format!("{text}; `levibot resume` lifts it")));
    }
}
