//! An account whose records nobody reads: a backtest runs a million bars for one number. It does the same with the same
//! functions, and leaves out what only a reader of the record or of alerts would have.
//!
//! With records off the outcome is the same (orders, fills, ledger, equity, halts), but for two names: order ids are counted
//! instead of hashed, and an exit's attempt number counts within its cause alone. A host that is told nothing can
//! neither restart the account nor audit it.

use super::core::Account;
use super::{Action, Alert};
use crate::domain::{Actions, Money, OrderId, Ts};

/// Whether records and alerts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recording {
    /// Everything that happens is put on record and told: the only way to trade.
    #[default]
    On,
    /// Nothing is, but orders are named as they would be on record: for backtests in which a fill depends on the name of
    /// its order, because slippage is drawn from it.
    Named,
    /// Nothing is, and orders are counted: for backtests.
    Off,
}

/// How often each check has refused an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    counts: Vec<(&'static str, u64)>,
}

impl Refusals {
    pub(super) fn note(&mut self, check: &'static str) {
        match self.counts.iter_mut().find(|(name, _)| *name == check) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((check, 1)),
        }
    }
}

impl Account {
    /// Makes records and alerts from here on, or none. To be called before the first event: a record with a hole in it is
    /// none. Without records trades are not remembered either: a venue that tells of one twice must not be behind it.
    pub fn set_recording(&mut self, recording: Recording) {
        (self.recording, self.quiet_until) = (recording, Ts::EPOCH);
        if recording != Recording::On {
            self.state.trust_venue();
        }
    }

    /// Numbers the next record after `seq`. For a run that repeats a record without the notes of its hosts: an order that a
    /// command makes is named after a number, and what it is filled at is drawn from its name.
    pub const fn count_from(&mut self, seq: u64) {
        self.state.seq = seq;
    }

    #[inline]
    pub(super) const fn is_recording(&self) -> bool {
        matches!(self.recording, Recording::On)
    }

    /// Whether the id of an order tells what it is for.
    pub(super) const fn names_orders(&self) -> bool {
        !matches!(self.recording, Recording::Off)
    }

    /// How many entries each check has refused since the account was opened or restarted, in the order in which the checks
    /// first said no.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusals.counts.iter().copied()
    }

    /// Equity at the last marks, exact: cash, what the positions are worth at whole ticks, and what the stocks were
    /// booked at. What a mark on record says.
    pub fn exact_equity(&self) -> Money {
        self.equity_at_marks()
    }

    /// Tells people, where anybody hears it.
    pub(super) fn tell(&self, alert: impl FnOnce() -> Alert, out: &mut Actions<Action>) {
        if self.is_recording() {
            out.push(Action::Alert(alert()));
        }
    }

    /// The id of an order that nobody reads of: the number of its record.
    pub(super) fn counted_id(&self) -> OrderId {
        OrderId::counted(self.state.seq() + 1)
    }
}
