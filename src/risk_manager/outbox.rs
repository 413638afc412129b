//! Venue commands that wait for the records before them to become durable.

use std::collections::VecDeque;

use levibot_core::domain::Ts;
use levibot_core::driver::VenueCommand;

/// First in, first out: a later command never overtakes an earlier one, whatever it waits for.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(u64, Ts, VenueCommand)>,
}

impl Outbox {
    /// Adds a command that may go once record `after` is durable.
    pub(super) fn push(&mut self, after: u64, ts: Ts, command: VenueCommand) {
        self.waiting.push_back((after, ts, command));
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them are cancels.
    pub(super) fn cancels(&self) -> usize {
        self.waiting.iter().filter(|(_, _, command)| matches!(command, VenueCommand::Cancel(_))).count()
    }

    /// The next command that may go; `all` lets everything go (a lost journal holds back nothing but orders, and those
    /// the caller leaves out).
    pub(super) fn next(&mut self, durable: u64, all: bool) -> Option<(Ts, VenueCommand)> {
        let (after, _, _) = self.waiting.front()?;
        if !all && *after > durable {
            return None;
        }
        self.waiting.pop_front().map(|(_, ts, command)| (ts, command))
    }

    /// The command that came out last, which nobody has taken: it is the next one again.
    pub(super) fn put_back(&mut self, ts: Ts, command: VenueCommand) {
        self.waiting.push_front((0, ts, command));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_before_its_records() {
        let mut outbox = Outbox::default();
        for after in [5, 5, 7, 6] {
            outbox.push(after, Ts::from_secs(1), VenueCommand::Market(Vec::new()));
        }
        assert!(outbox.next(4, false).is_none());
        assert!(outbox.next(5, false).is_some() && outbox.next(5, false).is_some());
        assert!(outbox.next(6, false).is_none(), "the one behind is ready but must not overtake");
        let (ts, command) = outbox.next(7, false).unwrap();
        outbox.put_back(ts, command);
        assert!(outbox.next(6, true).is_some() && outbox.next(6, true).is_some() && outbox.next(6, true).is_none());
    }
}
