//! Exits that did not come off: when the next one may go, and how large it may be.
//!
//! A position's exit is never given up while the position is there. After an exit that failed the next one waits a
//! second, then twice as long each time up to a minute, so that a venue that refuses is not flooded.
//!
//! **An unknown exit does not hold protection up.** It is cancelled by its id, and the next attempt follows. The two
//! together must never open the opposite position, whichever of them reaches the venue and in whichever order:
//!
//! * On a *linear* account every exit is reduce-only at the venue. The venue itself cuts it to what is left of the position
//!   or refuses it, so the next attempt may be for all of the position.
//! * On a *spot* account there is nothing reduce-only, and the venue would sell whatever is there of the asset, also what is
//!   not of this position. The next attempt may therefore only be for what the unknown ones cannot sell any more: the
//!   position less what is open of them. Often that is nothing: then the cancel, or the evidence that an unknown exit never
//!   was, makes room for the next.

use super::Action;
use super::book::{Book, OrderState};
use super::core::Account;
use super::orders::{OrderStage, Touch};
use super::state::State;
use crate::domain::order::OrderKey;
use crate::domain::{AccountKind, Actions, Cause, DoneReason, Ix, Leg, Order, OrderId, Qty, Side, Span, Ts};

/// The longest wait between two exits of a symbol.
const WAIT_MAX: Span = Span::MINUTE;
/// Exits of a symbol that may be unknown at a time. The waits between them make this two minutes, by when the first ones
/// can have been resolved.
const UNKNOWN_MAX: usize = 8;

/// Exits of a symbol that failed, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedExit {
    /// Why the last of them was wanted.
    pub cause: Cause,
    /// The side of the orders: what they are to close is held on the other.
    pub side: Side,
    /// How many there were since the last fill of an exit.
    pub count: u32,
    /// Trading time from which the next may go.
    pub next: Ts,
}

/// How long the next exit waits after `count` failures.
fn wait(count: u32) -> Span {
    match count {
        0 => Span::ZERO,
        n => Span::SECOND.times(1 << (n - 1).min(6)).min(WAIT_MAX),
    }
}

impl FailedExit {
    /// The exit is over and the position is not.
    pub(super) fn ended(before: Option<Self>, exit: &Order, ts: Ts) -> Self {
        let (cause, side) = (exit.cause, exit.side);
        let count = before.map_or(0, |failed| failed.count).saturating_add(1);
        Self { cause, side, count, next: ts.saturating_add(wait(count)) }
    }

    /// An exit has opened a position that nothing protects: it goes at once.
    pub(super) const fn unwanted(opened: Touch, side: Side) -> Self {
        Self { cause: Cause::Command { seq: opened.seq }, side, count: 0, next: opened.ts }
    }

    /// What became of the exit is not known. The first time the next one may follow at once.
    pub(super) fn unknown(before: Option<Self>, exit: &Order, ts: Ts) -> Self {
        let (cause, side) = (exit.cause, exit.side);
        let count = before.map_or(0, |failed| failed.count);
        Self { cause, side, count: count.saturating_add(1), next: ts.saturating_add(wait(count)) }
    }
}

impl Book {
    /// The side of an order that closes what is held.
    #[inline]
    pub(super) fn closing_side(&self) -> Option<Side> {
        self.direction().map(|direction| direction.entry_side().opposite())
    }

    /// Whether an exit of this side has opened what is held, and nothing protects it.
    pub(super) fn is_opened_by(&self, side: Side) -> bool {
        self.bracket().is_none() && self.closing_side() == Some(side.opposite())
    }

    /// Whether an exit has failed or is wanted.
    #[inline]
    pub(super) const fn waits(&self) -> bool {
        self.failed.is_some() || self.wanted.is_some()
    }

    /// Exits that failed, of the position that is there.
    #[inline]
    pub(super) fn failed(&self) -> Option<FailedExit> {
        self.failed.filter(|failed| Some(failed.side) == self.closing_side())
    }
}

impl State {
    /// Whether the end of an open order leaves an exit wanted. One that was cancelled because the position had become
    /// smaller than it leaves none, what is left stays under its bracket; nor does one that another has taken over from, nor
    /// one that was only to make the position smaller.
    pub(super) fn is_missed_exit(&self, id: OrderId, reason: DoneReason) -> bool {
        let Some(exit) = self.orders.get(&id).filter(|open| open.order.leg == Leg::Exit) else { return false };
        let Some(book) = self.books.iter().find(|book| book.symbol() == exit.order.symbol) else { return false };
        let closes = book.closing_side() == Some(exit.order.side) && !exit.remaining().is_zero();
        let surplus = reason == DoneReason::Cancelled && exit.remaining() > book.closable();
        let takes_over = |other: &OrderState| other.order.id != id && !other.stage.is_unknown();
        let protects = !exit.order.cause.is_rebalance();
        protects && closes && !surplus && !self.exits(book).any(takes_over)
    }

    /// Exits that are not over and would close what is held. One of the other side is left over from a position that has
    /// been turned: it is surplus, and holds up nothing.
    #[inline]
    fn exits<'a>(&'a self, book: &'a Book) -> impl Iterator<Item = &'a OrderState> {
        let closes = |open: &&OrderState| open.order.leg == Leg::Exit && Some(open.order.side) == book.closing_side();
        book.live().iter().filter_map(|id| self.orders.get(id)).filter(closes)
    }
}

impl Account {
    /// Whether an exit is on its way that nothing is wrong with.
    pub(super) fn exit_under_way(&self, book: &Book) -> bool {
        self.state.exits(book).any(|exit| !exit.stage.is_unknown())
    }

    /// How much of `size` the next exit may be for; `None` when none may go now.
    pub(super) fn exit_room(&self, book: &Book, size: Qty, cause: Cause, now: Ts) -> Option<Qty> {
        // What a person asks for is not held up by what failed before.
        let anew = |failed: &FailedExit| matches!(cause, Cause::Command { .. }) && failed.cause != cause;
        let waits = book.failed().is_some_and(|failed| failed.next > now && !anew(&failed));
        if waits || self.is_owed(book) || self.exit_under_way(book) {
            return None;
        }
        let (mut room, mut count) = (size, 0);
        for exit in self.state.exits(book) {
            count += 1;
            if self.state.setup.kind == AccountKind::Spot {
                room = room.less(exit.remaining());
            }
        }
        (count < UNKNOWN_MAX && !room.is_zero()).then_some(room)
    }

    /// Exits of which it is not known whether they are at the venue are not wanted any more once another one goes.
    pub(super) fn cancel_unknown_exits(&self, book: &Book, out: &mut Actions<Action>) {
        for exit in self.state.exits(book).filter(|exit| exit.stage.is_unknown()) {
            out.push(Action::Cancel(exit.order.id));
        }
    }

    /// The number and the id of the next exit for a cause: an id that was never used.
    pub(super) fn next_exit(&self, book: &Book, cause: Cause) -> Option<(u32, OrderId)> {
        let mut attempt = book.next_exit_attempt(cause);
        if !self.names_orders() {
            return Some((attempt, self.counted_id()));
        }
        // What is known is bounded, so this ends.
        loop {
            let id = self.exit_id(book, cause, attempt)?;
            if !self.state.is_known(id) {
                return Some((attempt, id));
            }
            attempt = attempt.saturating_add(1);
        }
    }

    fn exit_id(&self, book: &Book, cause: Cause, attempt: u32) -> Option<OrderId> {
        let (account, run, symbol) = (self.state.setup.name.as_str(), self.state.run, book.symbol());
        OrderKey { account, run, symbol, policy: 0, cause, leg: Leg::Exit, attempt }.id().ok()
    }

    /// Sends the next exit of a symbol whose last one failed, once it is due, or whose exit had to wait.
    pub(super) fn retry_exit(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        if let Some(failed) = self.state.book(ix).and_then(Book::failed)
            && failed.next <= now
        {
            self.close(ix, failed.cause, None, now, out);
            self.publish(ix, out);
        }
        self.close_wanted(ix, now, out);
    }

    pub(super) fn retry_exits(&mut self, now: Ts, out: &mut Actions<Action>) {
        if !self.state.books.iter().any(Book::waits) {
            return;
        }
        for at in 0..self.state.books.len() {
            if let Some(ix) = Ix::from_usize(at) {
                self.retry_exit(ix, now, out);
            }
        }
    }

    /// Whether an order of this symbol may be at the venue or not: its entries are locked.
    pub fn has_unknown(&self, ix: Ix) -> bool {
        let stage = |id| self.state.orders.get(id).map(|order| order.stage);
        self.state.book(ix).is_some_and(|b| b.live().iter().filter_map(stage).any(OrderStage::is_unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit() -> Order {
        Order {
            id: "lb-a".parse().unwrap(),
            symbol: "AAA".parse().unwrap(),
            side: Side::Sell,
            leg: Leg::Exit,
            qty: "1".parse().unwrap(),
            cause: Cause::Command { seq: 1 },
            attempt: 1,
            trigger: None,
            created: Ts::EPOCH,
        }
    }

    #[test]
    fn waits_double_from_a_second_to_a_minute() {
        let (mut failed, mut now, mut waits) = (None, Ts::EPOCH, Vec::new());
        for _ in 0..9 {
            let next = FailedExit::ended(failed, &exit(), now);
            waits.push((next.next - now).nanos() / Span::SECOND.nanos());
            (failed, now) = (Some(next), next.next);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let most = failed.map(|failed| FailedExit { count: u32::MAX, ..failed });
        assert_eq!(FailedExit::ended(most, &exit(), Ts::MAX).next, Ts::MAX);
    }

    #[test]
    fn the_first_unknown_exit_is_followed_at_once_and_later_ones_are_not() {
        let now = Ts::from_secs(7);
        let first = FailedExit::unknown(None, &exit(), now);
        let second = FailedExit::unknown(Some(first), &exit(), now);
        assert_eq!((first.next, second.next), (now, now + Span::SECOND));
    }
}
