//! Venue commands that wait: for the records before them to become durable, and, after a gap, for the venue's word.

use std::collections::{BTreeSet, VecDeque};

use super::words::{Input, VenueCommand};
use crate::domain::{DoneReason, Leg, OrderId, Report, Ts};

/// First in, first out: a later command never overtakes an earlier one, whatever it waits for. Held orders alone let others
/// pass, but none that is about themselves.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Waiting>,
    holds: bool,
}

/// A command that may go once record `after` is durable.
#[derive(Debug)]
struct Waiting {
    after: u64,
    ts: Ts,
    command: VenueCommand,
}

impl Outbox {
    /// Adds a command that may go once record `after` is durable.
    pub fn push(&mut self, after: u64, ts: Ts, command: VenueCommand) {
        self.waiting.push_back(Waiting { after, ts, command });
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many of them are cancels.
    pub fn cancels(&self) -> usize {
        self.waiting.iter().filter(|one| matches!(one.command, VenueCommand::Cancel(_))).count()
    }

    /// From here on orders stay, or go again. What cancels or asks about an order that waits here stays behind it.
    pub const fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// The next command that may go, everything up to record `durable` being durable. Where the journal is lost nothing is
    /// held back but orders, and those never go.
    pub fn next(&mut self, durable: u64, is_lost: bool) -> Option<(Ts, VenueCommand)> {
        if is_lost {
            self.waiting.retain(|one| !matches!(one.command, VenueCommand::Submit(_)));
        }
        let at = if self.holds { self.first_not_held()? } else { 0 };
        if !is_lost && self.waiting.get(at)?.after > durable {
            return None;
        }
        self.waiting.remove(at).map(|one| (one.ts, one.command))
    }

    fn first_not_held(&self) -> Option<usize> {
        let mut held = BTreeSet::new();
        self.waiting.iter().position(|one| match &one.command {
            VenueCommand::Submit(order) => {
                held.insert(order.id);
                false
            }
            VenueCommand::Cancel(id) | VenueCommand::Query(id) => !held.contains(id),
            VenueCommand::Market(_) | VenueCommand::Reconcile | VenueCommand::Instruments(_) => true,
        })
    }

    /// The command that came out last, which nobody has taken: it is the next one again.
    pub fn put_back(&mut self, ts: Ts, command: VenueCommand) {
        self.waiting.push_front(Waiting { after: 0, ts, command });
    }

    /// Takes back every entry that has not gone, with what cancels or asks about it: an entry that waits when a halt comes
    /// must not leave after it. Returns the answer to each command that was taken back; there is no better evidence that an
    /// order was not sent.
    pub fn recall_entries(&mut self) -> Vec<Input> {
        let entries: BTreeSet<OrderId> = self.waiting.iter().filter_map(|one| entry(&one.command)).collect();
        let mut answers = Vec::new();
        self.waiting.retain(|one| {
            let reports = match &one.command {
                VenueCommand::Submit(order) if entries.contains(&order.id) => vec![not_sent(order.id)],
                VenueCommand::Cancel(id) | VenueCommand::Query(id) if entries.contains(id) => Vec::new(),
                _ => return true,
            };
            answers.push(Input::Venue { reports });
            false
        });
        answers
    }
}

fn entry(command: &VenueCommand) -> Option<OrderId> {
    match command {
        VenueCommand::Submit(order) if order.leg == Leg::Entry => Some(order.id),
        _ => None,
    }
}

fn not_sent(order: OrderId) -> Report {
    Report::Done { order, reason: DoneReason::NotSent, text: Some("recalled by a halt before it was sent".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Approved;
    use crate::domain::{Cause, Order, Side};

    fn order(name: &str, leg: Leg) -> VenueCommand {
        VenueCommand::Submit(Approved::for_test(Order {
            id: name.parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            leg,
            qty: "1".parse().unwrap(),
            cause: Cause::Command { seq: 1 },
            attempt: 1,
            trigger: None,
            created: Ts::EPOCH,
        }))
    }

    fn cancel(name: &str) -> VenueCommand {
        VenueCommand::Cancel(name.parse().unwrap())
    }

    fn outbox(commands: &[VenueCommand]) -> Outbox {
        let mut outbox = Outbox::default();
        commands.iter().for_each(|command| outbox.push(5, Ts::EPOCH, command.clone()));
        outbox
    }

    fn all(outbox: &mut Outbox, durable: u64, is_lost: bool) -> Vec<VenueCommand> {
        std::iter::from_fn(|| outbox.next(durable, is_lost).map(|(_, command)| command)).collect()
    }

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

    #[test]
    fn a_lost_journal_holds_back_orders_alone_and_for_good() {
        let mut outbox = outbox(&[order("lb-a", Leg::Exit), cancel("lb-b")]);
        assert!(outbox.next(4, false).is_none());
        assert_eq!(all(&mut outbox, 4, true), [cancel("lb-b")]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn held_orders_let_everything_pass_that_is_not_about_them() {
        let commands = [
            order("lb-a", Leg::Entry),
            cancel("lb-b"),
            cancel("lb-a"),
            VenueCommand::Reconcile,
            order("lb-c", Leg::Exit),
        ];
        let mut outbox = outbox(&commands);
        outbox.hold(true);
        assert!(outbox.next(4, false).is_none(), "not before its records either");
        assert_eq!(all(&mut outbox, 5, false), [cancel("lb-b"), VenueCommand::Reconcile]);
        outbox.hold(false);
        let rest = [order("lb-a", Leg::Entry), cancel("lb-a"), order("lb-c", Leg::Exit)];
        assert_eq!(all(&mut outbox, 5, false), rest);
    }

    #[test]
    fn a_halt_takes_back_the_entries_that_have_not_gone_and_nothing_else() {
        let mut outbox = outbox(&[
            order("lb-a", Leg::Entry),
            order("lb-x", Leg::Exit),
            cancel("lb-a"),
            cancel("lb-b"),
            cancel("lb-x"),
        ]);
        let answers = outbox.recall_entries();
        let reports: Vec<Vec<Report>> = answers
            .into_iter()
            .map(|answer| match answer {
                Input::Venue { reports } => reports,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reports, [vec![not_sent("lb-a".parse().unwrap())], Vec::new()], "each command is answered");
        assert_eq!(all(&mut outbox, 5, false), [order("lb-x", Leg::Exit), cancel("lb-b"), cancel("lb-x")]);
        assert!(outbox.recall_entries().is_empty());
    }
}
