//! Trades and payments that are not ours.

use super::Action;
use super::core::Account;
use crate::domain::{Actions, Fill, Transfer, Ts};

impl Account {
    /// A trade of an order that is not ours.
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the ledger of these is not there yet")]
    pub(super) fn on_foreign(&mut self, _fill: &Fill, _name: &str, _now: Ts, _out: &mut Actions<Action>) {}

    /// Something was paid in or out.
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the ledger of these is not there yet")]
    pub(super) fn on_transfer(&mut self, _transfer: &Transfer, _now: Ts, _out: &mut Actions<Action>) {}
}
