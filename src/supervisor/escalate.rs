//! What the supervisor asks of the account when too many engines are lost.

use levibot_core::domain::{Event, HaltLevel, Ix, Reason};
use levibot_core::driver::Input;

use super::Supervisor;

/// Names that the reason holds; the others are counted.
const NAMED: usize = 10;

impl Supervisor {
    /// Counts an engine that is in quarantine now, and asks for a halt when it is one too many: then it can hardly be the
    /// engines' own fault. The account tells people when it takes the halt.
    pub(super) fn escalate(&mut self, ix: Ix) {
        if !self.escalation.quarantine(ix) {
            return;
        }
        let lost = self.escalation.quarantined();
        let count = lost.len();
        let named: Vec<&str> = lost.take(NAMED).filter_map(|ix| Some(self.slots.get(&ix)?.symbol.as_str())).collect();
        let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
        let text = format!("{count} engines are in quarantine at once: {}{more}", named.join(", "));
        let reason = Reason { by: "supervisor".to_owned(), text };
        self.tell_house(Input::Control(Event::Halt { level: HaltLevel::EntryHalt, reason }));
    }
}
