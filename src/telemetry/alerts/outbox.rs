//! Messages that wait for a slow channel: the critical ones go first and are the last to be dropped.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use levibot_core::alerts::{Severity, Told};
use tokio::sync::Notify;

/// Messages that may wait.
const OUTBOX_MAX: usize = 256;

fn is_critical(told: &Told) -> bool {
    told.alert.severity == Severity::Critical
}

/// Between who gathers and who delivers, both on one thread.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: RefCell<VecDeque<Told>>,
    closed: Cell<bool>,
    changed: Notify,
}

impl Outbox {
    /// Takes a message. Of a full outbox the oldest message that is not critical goes for it. How many alerts are lost.
    pub(super) fn put(&self, told: Told) -> u64 {
        let mut waiting = self.waiting.borrow_mut();
        let mut lost = 0;
        if waiting.len() >= OUTBOX_MAX {
            match waiting.iter().position(|told| !is_critical(told)) {
                Some(at) => lost = waiting.remove(at).map_or(0, |told| told.count),
                None => return told.count,
            }
        }
        waiting.push_back(told);
        self.changed.notify_one();
        lost
    }

    /// Nothing is put any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.changed.notify_one();
    }

    /// Waits until there is something; `false` when there never will be.
    pub(super) async fn wait(&self) -> bool {
        loop {
            if !self.waiting.borrow().is_empty() {
                return true;
            }
            if self.closed.get() {
                return false;
            }
            self.changed.notified().await;
        }
    }

    /// Fills up to `max` messages: critical ones behind those that are in front already, others at the end. For each
    /// critical one that finds no room, one from the end goes back. Whether what comes first is another message now.
    pub(super) fn fill(&self, batch: &mut Vec<Told>, max: usize) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let (before, mut front) = (batch.len(), batch.iter().take_while(|told| is_critical(told)).count());
        let is_new = front == 0;
        while front < max
            && let Some(told) = waiting.iter().position(is_critical).and_then(|at| waiting.remove(at))
        {
            batch.insert(front, told);
            front += 1;
            if batch.len() > max
                && let Some(back) = batch.pop()
            {
                waiting.push_front(back);
            }
        }
        let put_first = is_new && front > 0 && before > 0;
        while batch.len() < max
            && let Some(told) = waiting.pop_front()
        {
            batch.push(told);
        }
        put_first
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::alerts::{Alert, Topic};

    use super::*;

    fn told(text: &str) -> Told {
        let alert = match text.starts_with('!') {
            true => Alert::critical(Topic::Account, None, text),
            false => Alert::warning(Topic::Account, None, text),
        };
        Told { alert, count: 2 }
    }

    fn texts(batch: &[Told]) -> Vec<&str> {
        batch.iter().map(|told| told.alert.text.as_str()).collect()
    }

    #[test]
    fn critical_messages_go_first_and_each_kind_keeps_its_order() {
        let outbox = Outbox::default();
        let put = |all: &[&str]| all.iter().map(|text| outbox.put(told(text))).sum::<u64>();
        put(&["a", "!1", "b", "!2", "c"]);
        let mut batch = Vec::new();
        assert!(!outbox.fill(&mut batch, 4));
        assert_eq!(texts(&batch), ["!1", "!2", "a", "b"]);
        put(&["!3"]);
        outbox.fill(&mut batch, 4);
        assert_eq!(texts(&batch), ["!1", "!2", "!3", "a"]);
        batch.clear();
        outbox.fill(&mut batch, 4);
        assert_eq!(texts(&batch), ["b", "c"], "what made room comes next");
        put(&["!4"]);
        assert!(outbox.fill(&mut batch, 4), "another one comes first now");
        assert_eq!(texts(&batch), ["!4", "b", "c"]);
    }

    #[test]
    fn a_full_outbox_drops_its_oldest_message_that_is_not_critical() {
        let outbox = Outbox::default();
        assert_eq!(outbox.put(told("!first")), 0);
        let lost = (0..OUTBOX_MAX).map(|n| outbox.put(told(&n.to_string()))).sum::<u64>();
        assert_eq!(lost, 2, "the first of them");
        assert_eq!(outbox.put(told("!second")), 2);
        let mut batch = Vec::new();
        outbox.fill(&mut batch, usize::MAX);
        assert_eq!((batch.len(), &texts(&batch)[..3]), (OUTBOX_MAX, &["!first", "!second", "2"][..]));
        (0..OUTBOX_MAX).for_each(|_| assert_eq!(outbox.put(told("!")), 0));
        assert_eq!((outbox.put(told("!late")), outbox.put(told("late"))), (2, 2), "critical ones keep their order");
    }
}
