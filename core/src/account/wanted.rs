//! What is wanted to be closed: a fold of the records, so that no exit is forgotten that could not go at once.
//!
//! An exit may have to wait: for a smaller one of a rebalancing to end, for an unknown one on a spot account, for a venue that
//! refuses. Whatever wanted it stays on record until the position is closed, turned or dust, and every event asks again.
//! Entries that were still on their way when their position was to be closed are given up: they are cancelled, and what they
//! fill all the same is closed too.

use super::Action;
use super::book::Book;
use super::core::Account;
use super::state::{ApplyError, State};
use crate::domain::instrument::Rounding;
use crate::domain::{AccountKind, Actions, Cause, Decision, Fill, Intent, Ix, Leg, Order, Price, Side, Symbol, Ts};
use crate::record::{Record, Verdict};

/// A position that is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Why.
    pub(super) cause: Cause,
    /// The side of the orders that close it.
    pub(super) side: Side,
    /// The level that was passed, where that is known better than by the next price.
    pub(super) trigger: Option<Price>,
}

impl Book {
    /// Why what is held is to be closed.
    #[inline]
    pub(super) fn wanted(&self) -> Option<Wanted> {
        self.wanted.filter(|wanted| Some(wanted.side) == self.closing_side())
    }

    fn want(&mut self, cause: Cause, trigger: Option<Price>) {
        if let Some(side) = self.closing_side() {
            self.wanted = Some(Wanted { cause, side, trigger });
        }
    }
}

impl State {
    pub(super) fn apply_wanted(
        &mut self,
        symbol: Symbol,
        cause: Cause,
        trigger: Option<Price>,
    ) -> Result<(), ApplyError> {
        self.book_mut(symbol)?.want(cause, trigger);
        Ok(())
    }

    /// A person closes a symbol: the record that is folded next is the cause.
    pub(super) fn apply_close(&mut self, symbol: Symbol) -> Result<(), ApplyError> {
        let cause = Cause::Command { seq: self.seq + 1 };
        self.give_up(symbol, cause, None);
        self.apply_wanted(symbol, cause, None)
    }

    /// What a decision no longer wants.
    pub(super) fn apply_decision(
        &mut self,
        symbol: Symbol,
        decision: &Decision,
        verdict: &Verdict,
    ) -> Result<(), ApplyError> {
        let cause = Cause::Decision { bar: decision.bar };
        match (decision.intent, verdict) {
            (Some(Intent::Exit), Verdict::Approved { .. }) => {
                self.give_up(symbol, cause, None);
                self.apply_wanted(symbol, cause, None)
            }
            (Some(Intent::Enter { direction, .. }), verdict) if *verdict != Verdict::Unchanged => {
                let opposite = direction.entry_side().opposite();
                self.give_up(symbol, cause, Some(opposite));
                let book = self.book_mut(symbol)?;
                if book.closing_side() == Some(direction.entry_side()) {
                    book.want(cause, None);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An exit goes: what it does not close is wanted to be closed all the same, unless it was only to make it smaller.
    pub(super) fn note_exit_sent(&mut self, exit: &Order) -> Result<(), ApplyError> {
        if exit.leg == Leg::Entry || exit.cause.is_rebalance() {
            return Ok(());
        }
        self.give_up(exit.symbol, exit.cause, Some(exit.side.opposite()));
        let book = self.book_mut(exit.symbol)?;
        if book.closing_side() == Some(exit.side) {
            book.want(exit.cause, None);
        }
        Ok(())
    }

    /// What an entry fills that was given up is to be closed, unless another entry has opened what it adds to.
    pub(super) fn note_unwanted_fill(&mut self, fill: &Fill, given_up: Option<Cause>) -> Result<(), ApplyError> {
        let book = self.book_mut(fill.symbol)?;
        let adds = book.bracket().is_some_and(|bracket| bracket.entry != fill.order);
        if let Some(cause) = given_up
            && !adds
            && book.closing_side() == Some(fill.side.opposite())
        {
            book.want(cause, None);
        }
        Ok(())
    }

    /// Entries on their way, of one side or of both, are not wanted any more.
    fn give_up(&mut self, symbol: Symbol, cause: Cause, side: Option<Side>) {
        for open in self.orders.values_mut() {
            let Order { leg, symbol: of, side: is, .. } = open.order;
            if leg == Leg::Entry && of == symbol && side.is_none_or(|side| is == side) {
                open.given_up = open.given_up.or(Some(cause));
            }
        }
    }
}

impl Account {
    /// A spot account is not short: where the ledger says so it is behind, and a purchase would be no exit.
    pub(super) fn is_owed(&self, book: &Book) -> bool {
        self.state.setup.kind == AccountKind::Spot && book.closing_side() == Some(Side::Buy)
    }

    /// Puts on record what is to be closed and cannot be closed now, once.
    pub(super) fn want(&mut self, ix: Ix, cause: Cause, trigger: Option<f64>, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        if book.direction().is_none() || book.wanted().is_some() || self.is_owed(book) {
            return;
        }
        let trigger = trigger.and_then(|price| book.instrument().price(price, Rounding::Nearest).ok());
        self.commit(Record::Wanted { symbol: book.symbol(), cause, trigger }, now, out);
        self.publish(ix, out);
    }

    /// Closes what is wanted to be closed, once nothing is in the way.
    pub(super) fn close_wanted(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let Some(Wanted { cause, trigger, .. }) = book.wanted() else { return };
        if !self.exit_under_way(book) {
            self.close(ix, cause, trigger.map(Price::to_f64), now, out);
            self.publish(ix, out);
        }
    }

    /// What is in the way of a wanted exit is cancelled again: the cancel may have been lost.
    pub(super) fn make_way_again(&self, out: &mut Actions<Action>) {
        for book in &self.state.books {
            if book.wanted().is_some() && !book.is_closing(&self.state.orders) {
                self.make_way(book, out);
            }
        }
    }

    /// A rebalancing makes the position smaller: it must end before all is closed, or more would be sold than is there.
    pub(super) fn make_way(&self, book: &Book, out: &mut Actions<Action>) {
        for exit in book.live().iter().filter_map(|id| self.state.orders.get(id)) {
            if exit.order.leg == Leg::Exit && !exit.stage.is_unknown() {
                out.push(Action::Cancel(exit.order.id));
            }
        }
    }
}
