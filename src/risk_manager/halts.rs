//! What a halt does besides the account's own part: the supervisor is told, the latch file follows, and its time is taken.

use std::time::{Duration, Instant};

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Event, HaltLevel, Reason, Span};
use levibot_core::driver::{Input, Pace};

use super::{HouseEvent, RiskManager, Stand};
use crate::latch::{LatchError, Latched, Mark};
use crate::supervisor::AccountSays;
use crate::telemetry::chain;

/// How long it waits after a first failure before it writes the latch file again, and at most.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(super) struct Halts {
    /// The level that this daemon has told the latch file, or found there.
    latched: HaltLevel,
    /// The writing of the file that the account has made or heard of: only that one is lifted by a resume.
    taken: Option<Mark>,
    /// What the file is to hold, once the records are on their way.
    due: Option<(HaltLevel, Reason)>,
    retry: Retry,
    /// Why the file of the halt that was lifted last is still there.
    stays: Option<String>,
    /// How many were lifted.
    lifted: u64,
    /// When the input came that is being worked off.
    since: Instant,
    /// Whether cancels of a halt are on their way to the venue.
    cancels_wait: bool,
}

/// When a file that could not be written is tried again.
#[derive(Debug, Default)]
struct Retry(Option<(Instant, Duration)>);

impl Retry {
    fn is_due(&self, now: Instant) -> bool {
        self.0.is_none_or(|(failed, wait)| now.saturating_duration_since(failed) >= wait)
    }

    /// It has failed; whether that is news.
    fn failed(&mut self, now: Instant) -> bool {
        let wait = self.0.map_or(AGAIN_MIN, |(_, wait)| wait.saturating_mul(2).min(AGAIN_MAX));
        self.0.replace((now, wait)).is_none()
    }

    /// It has not failed; whether it had before.
    const fn succeeded(&mut self) -> bool {
        self.0.take().is_some()
    }
}

impl Halts {
    pub(super) fn new(latched: HaltLevel) -> Self {
        Self {
            latched,
            taken: None,
            due: None,
            retry: Retry::default(),
            stays: None,
            lifted: 0,
            since: Instant::now(),
            cancels_wait: false,
        }
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
        self.halts.latched = level;
        if level > HaltLevel::None {
            if let Err(error) = self.latch(level, &reason) {
                self.not_latched(format!("the halt stands, and its latch file could not follow: {}", chain(&error)));
            }
        } else {
            self.lift_latch(&reason);
            self.halts.lifted += 1;
        }
        self.publish(true);
    }

    /// Has the file hold the halt; whether it could not before.
    fn latch(&mut self, level: HaltLevel, reason: &Reason) -> Result<bool, LatchError> {
        let stands = self.parts.latch.keep(level, reason)?;
        // Of a higher one the account has not heard yet.
        if stands.level <= level {
            self.halts.taken = Some(stands.mark);
        }
        Ok(self.halts.retry.succeeded())
    }

    /// Told once until it succeeds: it is tried again and again.
    fn not_latched(&mut self, text: String) {
        if self.halts.retry.failed(Instant::now()) {
            self.alert(&Alert::critical(Topic::Journal, None, text));
        }
    }

    /// The file goes with the halt, unless somebody has asked for one that this account had not heard of when it was resumed,
    /// or the file cannot be removed: then the halt in it is taken. A replay's latch follows its own stops alone.
    fn lift_latch(&mut self, reason: &Reason) {
        let is_replay = self.parts.pace == Pace::Lockstep;
        let latch = &self.parts.latch;
        let lifted = match is_replay {
            true => latch.set(HaltLevel::None, reason).map(|()| None),
            false => latch.lift(self.halts.taken.as_ref()),
        };
        self.halts.stays = lifted.as_ref().err().map(|error| chain(error));
        let stands = lifted.unwrap_or_else(|_| latch.look().filter(|_| !is_replay));
        if let Some(why) = &self.halts.stays {
            let text = format!("the halt is lifted, and its latch file could not follow: {why}");
            self.alert(&Alert::critical(Topic::Journal, None, text));
        }
        if let Some(Latched { level, reason, .. }) = stands {
            self.recalled.push(Input::Control(Event::Halt { level, reason }));
        }
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
        match self.parts.latch.look() {
            // One that stands already and was asked for again is told again: something may be left to cancel or to close.
            Some(found)
                if found.level > held || (found.level == held && self.halts.taken.as_ref() != Some(&found.mark)) =>
            {
                let Latched { level, reason, mark } = found;
                self.input(Input::Control(Event::Halt { level, reason }));
                if self.parts.sequencer.account().halt_level() >= level {
                    self.halts.taken = Some(mark);
                }
            }
            found if found.as_ref().is_none_or(|found| found.level < held) => self.restore_latch(held),
            _ => {}
        }
    }

    fn restore_latch(&mut self, held: HaltLevel) {
        let halt = self.parts.sequencer.account().state().halt().filter(|_| held > HaltLevel::None).cloned();
        let Some(halt) = halt.filter(|_| self.halts.retry.is_due(Instant::now())) else { return };
        let done = match self.latch(halt.level, &halt.reason) {
            Ok(true) => "could not be written",
            Ok(false) => "was removed or lowered by hand",
            Err(error) => {
                return self.not_latched(format!(
                    "the latch file is gone and cannot be written again: {}; the halt ({held}) stands",
                    chain(&error)
                ));
            }
        };
        let text =
            format!("the latch file {done} and is written again: the halt ({held}) stands; `levibot resume` lifts it");
        self.alert(&Alert::warning(Topic::Account, None, text));
    }

    /// How the account stands when it has worked off all that it was told before; the board shows the same.
    pub(super) fn stand(&mut self) -> Stand {
        self.publish(true);
        let halt = self.parts.sequencer.account().halt_level();
        Stand { halt, lifted: self.halts.lifted, latch_stays: self.halts.stays.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_news_once_and_tried_less_and_less_often() {
        let (mut retry, begin) = (Retry::default(), Instant::now());
        let at = |secs| begin + Duration::from_secs(secs);
        let looks = (0..300).filter(|secs| retry.is_due(at(*secs)).then(|| retry.failed(at(*secs))).is_some());
        assert_eq!(looks.collect::<Vec<_>>(), [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert!(!retry.failed(at(300)), "no news");
        assert!(retry.succeeded() && !retry.succeeded());
        assert!(retry.is_due(at(300)) && retry.failed(at(300)), "news again");
    }
}
