//! What is done when the venue is lost.

use levibot_core::domain::{Event, HaltLevel, Reason};
use levibot_core::driver::{Input, Pace};

use super::{HouseEvent, RiskManager};
use crate::telemetry::chain;
use crate::telemetry::clock::monotonic_now;

impl RiskManager {
    /// Looks whether the venue is there and answers. A replay waits for it as long as it takes.
    pub(super) fn look_at_venue(&mut self) {
        if self.parts.pace == Pace::Realtime {
            if !self.parts.venue.connected() {
                self.venue.lose("its thread has ended".to_owned());
            }
            self.venue.look(monotonic_now());
        }
        self.bury_venue();
    }

    /// Ends the daemon when the venue is lost: its books can no longer be asked, and a restart rebuilds them from the
    /// record. In realtime the halt that a person has to lift comes first, on record and in the latch file.
    pub(super) fn bury_venue(&mut self) {
        let Some(why) = self.venue.news().filter(|_| !self.closed) else { return };
        let mut text = format!("the venue is lost: {why}");
        if self.parts.pace == Pace::Realtime {
            let reason = Reason { by: "venue".to_owned(), text: text.clone() };
            self.input(Input::Control(Event::Halt { level: HaltLevel::EntryHalt, reason }));
            if let Err(error) = self.parts.journal.flush() {
                text = format!("{text}; and the journal is not whole: {}", chain(&error));
            }
        }
        self.seal(text.clone());
        self.say(HouseEvent::Fatal(text));
    }
}

#[cfg(test)]
#[path = "venue_lost_tests.rs"]
mod tests;
