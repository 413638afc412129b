//! The facts of which every trade has several: folded as they are, and made a record of where records are made.

use super::Action;
use super::core::Account;
use super::state::{ApplyError, State};
use crate::domain::{Actions, BracketSpec, Decision, DoneReason, Fill, Money, Order, OrderId, Symbol, Ts};
use crate::record::{Bracket, Record, Verdict};

impl State {
    /// [`Record::Decision`].
    pub(super) fn take_decision(
        &mut self,
        ts: Ts,
        symbol: Symbol,
        decision: &Decision,
        verdict: &Verdict,
    ) -> Result<(), ApplyError> {
        // A bar that has not closed yet is none: it must not keep the decisions of real bars from being taken.
        self.book_mut(symbol)?.note_decision(decision, verdict, ts);
        self.apply_decision(symbol, decision, verdict)?;
        self.count(ts);
        Ok(())
    }

    /// [`Record::Intent`].
    pub(super) fn take_intent(
        &mut self,
        ts: Ts,
        order: &Order,
        reserved: Money,
        bracket: Option<BracketSpec>,
    ) -> Result<(), ApplyError> {
        self.apply_intent(ts, order, reserved, bracket)?;
        if !self.setup.unlimited {
            self.sent.announce(ts, order, &self.setup.risk);
        }
        self.count(ts);
        Ok(())
    }

    /// [`Record::Accepted`].
    pub(super) fn take_accepted(&mut self, ts: Ts, id: OrderId) -> Result<(), ApplyError> {
        self.apply_accepted(ts, id)?;
        self.count(ts);
        Ok(())
    }

    /// [`Record::Fill`].
    pub(super) fn take_fill(&mut self, ts: Ts, fill: &Fill) -> Result<(), ApplyError> {
        self.check_fill(fill)?;
        self.check_trade(fill)?;
        self.take_checked_fill(ts, fill)
    }

    /// The same of one that was held against its order and is not booked yet.
    fn take_checked_fill(&mut self, ts: Ts, fill: &Fill) -> Result<(), ApplyError> {
        self.apply_fill(ts, fill)?;
        if !self.setup.unlimited {
            self.protections.on_fill(ts, fill, self.setup.risk.protections(), &self.books, &self.orders);
        }
        self.count(ts);
        Ok(())
    }

    /// [`Record::Done`].
    pub(super) fn take_done(&mut self, ts: Ts, id: OrderId, reason: DoneReason) -> Result<(), ApplyError> {
        self.apply_done(ts, id, reason)?;
        self.count(ts);
        Ok(())
    }

    /// [`Record::Bracket`].
    pub(super) fn take_bracket(&mut self, ts: Ts, symbol: Symbol, bracket: Bracket) -> Result<(), ApplyError> {
        let book = self.book_mut(symbol)?;
        (book.bracket, book.bracket_at) = (Some(bracket), ts);
        self.count(ts);
        Ok(())
    }
}

impl Account {
    pub(super) fn note_decision(
        &mut self,
        symbol: Symbol,
        decision: &Decision,
        verdict: Verdict,
        now: Ts,
        out: &mut Actions<Action>,
    ) -> bool {
        if self.is_recording() {
            return self.commit(Record::Decision { symbol, decision: *decision, verdict }, now, out);
        }
        let taken = self.state.take_decision(now, symbol, decision, &verdict);
        self.is_taken(taken)
    }

    pub(super) fn note_order(
        &mut self,
        order: &Order,
        reserved: Money,
        bracket: Option<BracketSpec>,
        now: Ts,
        out: &mut Actions<Action>,
    ) -> bool {
        if self.is_recording() {
            return self.commit(Record::Intent { order: order.clone(), reserved, bracket }, now, out);
        }
        let taken = self.state.take_intent(now, order, reserved, bracket);
        self.is_taken(taken)
    }

    pub(super) fn note_accepted(&mut self, order: OrderId, now: Ts, out: &mut Actions<Action>) -> bool {
        if self.is_recording() {
            return self.commit(Record::Accepted { order }, now, out);
        }
        let taken = self.state.take_accepted(now, order);
        self.is_taken(taken)
    }

    /// A fill that [`State::check_fill`] has let through and that is not booked yet.
    pub(super) fn note_fill(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) -> bool {
        if self.is_recording() {
            return self.commit(Record::Fill { fill: fill.clone() }, now, out);
        }
        self.keep_holdings();
        let taken = self.state.take_checked_fill(now, fill);
        self.is_taken(taken)
    }

    pub(super) fn note_done(
        &mut self,
        order: OrderId,
        reason: DoneReason,
        text: Option<String>,
        now: Ts,
        out: &mut Actions<Action>,
    ) -> bool {
        if self.is_recording() {
            return self.commit(Record::Done { order, reason, text }, now, out);
        }
        let taken = self.state.take_done(now, order, reason);
        self.is_taken(taken)
    }

    pub(super) fn note_bracket(
        &mut self,
        symbol: Symbol,
        bracket: Bracket,
        now: Ts,
        out: &mut Actions<Action>,
    ) -> bool {
        if self.is_recording() {
            return self.commit(Record::Bracket { symbol, bracket }, now, out);
        }
        let taken = self.state.take_bracket(now, symbol, bracket);
        self.is_taken(taken)
    }

    /// Whether a fact that is not put on record was folded. One that was not stops entries.
    fn is_taken(&mut self, taken: Result<(), ApplyError>) -> bool {
        match taken {
            Ok(()) => true,
            Err(error) => {
                self.fault = Some(error);
                false
            }
        }
    }
}
