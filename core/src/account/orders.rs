//! Where an order stands, and what the records make of it.
//!
//! ```text
//!             accepted  fill   unknown        absent         done
//! unsent      live      live   unknown        -              done
//! live        -         live   unknown (3)    -              done, but not `not_sent`
//! unknown     live      live   unknown, if    unknown, if    done
//!                              later (1)      evidence (2)
//! done        -         done   -              -              -
//! ```
//!
//! A dash is impossible: such a record does not fold, and the account never makes one. (1) The venue would accept it for
//! longer than was known; absences count anew. (2) See [`Doubt::is_evidence`]. (3) Only where the venue, which has had it, has
//! said twice in a way that counts that it has none.

use super::book::OrderState;
use super::exits::FailedExit;
use super::ring::{Ring, RingKey};
use super::state::{ApplyError, State};
use crate::domain::{BracketSpec, Cause, DoneReason, Fill, Leg, Money, Order, OrderId, Qty, Side, Span, Symbol, Ts};

/// How long after the last instant at which the venue would have accepted an order its absence is evidence. The venue's
/// own books of orders follow each other with a delay.
pub(super) const EVIDENCE_AFTER: Span = Span::from_secs(30);
/// How far apart two absences must be asked for, so that one stale copy at the venue does not speak twice.
pub(super) const EVIDENCE_APART: Span = Span::from_secs(5);
/// Absences that resolve an order.
const ABSENCES: u8 = 2;
/// How many finished orders are remembered, so that a late fill still finds its order and no id is used twice.
const FINISHED_MAX: usize = 4_096;
/// How many are, where nothing is put on record.
const FINISHED_FEW: usize = 64;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStage {
    /// On record, and perhaps on its way: there is no word of it yet.
    Unsent,
    /// The venue has it.
    Live,
    /// It may be at the venue or not.
    Unknown(Doubt),
    /// It is over.
    Done,
}

/// What is known of an order of which it is not known whether it is at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Trading time since which nothing is known.
    pub since: Ts,
    /// Trading time after which the venue would no longer accept it.
    pub acceptable_until: Ts,
    /// How often the venue has said, in a way that counts, that it has no such order.
    pub absences: u8,
    /// When it was asked the last time that counts.
    pub absent_at: Option<Ts>,
}

impl Doubt {
    /// Whether an absence counts that was asked for at this trading time: well after the last acceptable instant and the
    /// beginning of the doubt, and apart from the one before.
    pub fn is_evidence(&self, asked: Ts) -> bool {
        let late = asked >= self.acceptable_until.max(self.since).saturating_add(EVIDENCE_AFTER);
        late && self.absent_at.is_none_or(|before| asked >= before.saturating_add(EVIDENCE_APART))
    }

    /// Whether the evidence is complete: the order was never at the venue.
    pub const fn is_resolved(&self) -> bool {
        self.absences >= ABSENCES
    }
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStep {
    /// The venue has it.
    Accepted,
    /// A part was executed.
    Fill,
    /// Whether it is at the venue is not known.
    Unknown {
        /// See [`Doubt::acceptable_until`].
        acceptable_until: Ts,
    },
    /// The venue says that it has none.
    Absent {
        /// Trading time at which it was asked.
        asked: Ts,
    },
    /// It is over.
    Done(DoneReason),
}

impl OrderStage {
    /// The stage after a step at trading time `ts`; `None` where that cannot be.
    #[inline]
    pub fn after(self, step: OrderStep, ts: Ts) -> Option<Self> {
        use OrderStep::{Absent, Accepted, Done, Fill, Unknown};
        let doubt = |since, acceptable_until| Doubt { since, acceptable_until, absences: 0, absent_at: None };
        match (self, step) {
            (Self::Unsent | Self::Unknown(_), Accepted) => Some(Self::Live),
            (Self::Done, Fill) => Some(Self::Done),
            (Self::Unsent | Self::Live | Self::Unknown(_), Fill) => Some(Self::Live),
            (Self::Unsent | Self::Live, Unknown { acceptable_until }) => {
                Some(Self::Unknown(doubt(ts, acceptable_until)))
            }
            (Self::Unknown(old), Unknown { acceptable_until }) if acceptable_until > old.acceptable_until => {
                Some(Self::Unknown(doubt(old.since, acceptable_until)))
            }
            (Self::Unknown(old), Absent { asked }) if old.is_evidence(asked) => {
                Some(Self::Unknown(Doubt { absences: old.absences.saturating_add(1), absent_at: Some(asked), ..old }))
            }
            // What the venue has had cannot have been kept from it.
            (Self::Live, Done(DoneReason::NotSent)) => None,
            (Self::Unsent | Self::Live | Self::Unknown(_), Done(_)) => Some(Self::Done),
            _ => None,
        }
    }

    /// As people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Live => "live",
            Self::Unknown(_) => "unknown",
            Self::Done => "done",
        }
    }

    /// Whether it may be at the venue or not.
    #[inline]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl OrderStep {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Fill => "fill",
            Self::Unknown { .. } => "unknown",
            Self::Absent { .. } => "absent",
            Self::Done(_) => "done",
        }
    }
}

/// Where in the record something happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touch {
    /// Trading time of the record.
    pub ts: Ts,
    /// Its sequence number.
    pub seq: u64,
}

/// An order that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedOrder {
    /// The symbol.
    pub symbol: Symbol,
    /// Entry or exit.
    pub leg: Leg,
    /// Buy or sell.
    pub side: Side,
    /// Base units ordered.
    pub qty: Qty,
    /// Base units filled, before and after its end.
    pub filled: Qty,
    /// Why it existed.
    pub cause: Cause,
    /// The protection it would have carried.
    pub bracket: Option<BracketSpec>,
    /// When it ended.
    pub ended: Touch,
    /// Why an entry was not wanted any more when it ended.
    pub(super) given_up: Option<Cause>,
}

/// The orders that ended last, a bounded number of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    ring: Ring<OrderId, FinishedOrder>,
}

impl Default for Finished {
    fn default() -> Self {
        Self { ring: Ring::new(FINISHED_MAX) }
    }
}

impl RingKey for OrderId {
    /// The last eight characters: 40 bits of a hash, or the lower digits of a number.
    fn bits(&self) -> u64 {
        self.last_bits()
    }
}

impl Finished {
    /// As many as may still be spoken of by a venue that tells everything at once.
    pub(super) fn few() -> Self {
        Self { ring: Ring::new(FINISHED_FEW) }
    }

    /// An order that is over.
    pub fn get(&self, id: OrderId) -> Option<&FinishedOrder> {
        self.ring.get(&id)
    }
}

/// What a fill is held against: the order it names, open or over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered {
    pub(super) symbol: Symbol,
    pub(super) leg: Leg,
    pub(super) cause: Cause,
    pub(super) bracket: Option<BracketSpec>,
    /// `Done` for one that is over.
    pub(super) stage: OrderStage,
}

impl State {
    /// Finished orders that are still remembered.
    pub const fn finished(&self) -> &Finished {
        &self.finished
    }

    /// Whether an id was ever used, as far as is remembered: it is not used again.
    #[inline]
    pub(super) fn is_known(&self, id: OrderId) -> bool {
        self.orders.contains_key(&id) || self.finished.get(id).is_some()
    }

    /// An order, open or over.
    pub(super) fn ordered(&self, id: OrderId) -> Option<Ordered> {
        if let Some(open) = self.orders.get(&id) {
            let OrderState { order: Order { symbol, leg, cause, .. }, bracket, stage, .. } = *open;
            return Some(Ordered { symbol, leg, cause, bracket, stage });
        }
        let over = self.finished.get(id)?;
        let FinishedOrder { symbol, leg, cause, bracket, .. } = *over;
        Some(Ordered { symbol, leg, cause, bracket, stage: OrderStage::Done })
    }

    /// Whether a trade of one of our orders is in the ledger already.
    pub(super) fn is_booked(&self, fill: &Fill) -> bool {
        self.knows_trade(fill.symbol, fill.trade_id)
    }

    #[inline]
    fn next_touch(&self, ts: Ts) -> Touch {
        Touch { ts, seq: self.seq + 1 }
    }

    /// Moves an open order on.
    fn advance(&mut self, id: OrderId, step: OrderStep, ts: Ts) -> Result<&mut OrderState, ApplyError> {
        let touched = self.next_touch(ts);
        let Some(order) = self.orders.get_mut(&id) else {
            let stage = OrderStage::Done.as_str();
            let done = ApplyError::Impossible { order: id, stage, step: step.as_str() };
            return Err(if self.finished.get(id).is_some() { done } else { ApplyError::UnknownOrder(id) });
        };
        let impossible = || ApplyError::Impossible { order: id, stage: order.stage.as_str(), step: step.as_str() };
        order.stage = order.stage.after(step, ts).ok_or_else(impossible)?;
        order.touched = touched;
        let symbol = order.order.symbol;
        if let Some(book) = self.books.iter_mut().find(|book| book.symbol() == symbol) {
            book.touched = touched;
        }
        Ok(order)
    }

    pub(super) fn apply_intent(
        &mut self,
        ts: Ts,
        order: &Order,
        reserved: Money,
        bracket: Option<BracketSpec>,
    ) -> Result<(), ApplyError> {
        if self.is_known(order.id) {
            return Err(ApplyError::RepeatedOrder(order.id));
        }
        let touched = self.next_touch(ts);
        let book = self.book_mut(order.symbol)?;
        if order.leg == Leg::Exit {
            book.note_exit(order.cause, order.attempt);
        }
        book.live.push(order.id);
        book.touched = touched;
        book.failed = book.failed();
        if order.leg == Leg::Entry {
            self.rebalancing.note_entry(order);
        }
        self.note_exit_sent(order)?;
        self.orders.insert(OrderState::new(order.clone(), reserved, bracket, touched));
        Ok(())
    }

    pub(super) fn apply_accepted(&mut self, ts: Ts, id: OrderId) -> Result<(), ApplyError> {
        self.advance(id, OrderStep::Accepted, ts).map(drop)
    }

    pub(super) fn apply_unknown(&mut self, ts: Ts, id: OrderId, acceptable_until: Ts) -> Result<(), ApplyError> {
        let again = self.orders.get(&id).is_some_and(|order| order.stage.is_unknown());
        let order = self.advance(id, OrderStep::Unknown { acceptable_until }, ts)?.order.clone();
        // One that was only to make the position smaller leaves no exit wanted.
        if order.leg == Leg::Exit && !order.cause.is_rebalance() && !again {
            let book = self.book_mut(order.symbol)?;
            book.failed = Some(FailedExit::unknown(book.failed(), &order, ts));
        }
        Ok(())
    }

    pub(super) fn apply_absent(&mut self, ts: Ts, id: OrderId, asked: Ts) -> Result<(), ApplyError> {
        self.advance(id, OrderStep::Absent { asked }, ts).map(drop)
    }

    /// Whether a fill fits its order, open or over.
    pub(super) fn check_fill(&self, fill: &Fill) -> Result<(), ApplyError> {
        let open = self.orders.get(&fill.order).map(|open| {
            let Order { symbol, side, qty, .. } = open.order;
            (symbol, side, qty, open.filled, open.stage)
        });
        let over = || self.finished.get(fill.order).map(|o| (o.symbol, o.side, o.qty, o.filled, OrderStage::Done));
        let (symbol, side, qty, filled, stage) = open.or_else(over).ok_or(ApplyError::UnknownOrder(fill.order))?;
        if (symbol, side) != (fill.symbol, fill.side) {
            let (stage, step) = (stage.as_str(), "a fill of another symbol or side");
            return Err(ApplyError::Impossible { order: fill.order, stage, step });
        }
        let filled = filled + fill.qty;
        if filled > qty {
            return Err(ApplyError::Overfilled { order: fill.order, ordered: qty, filled });
        }
        Ok(())
    }

    /// Counts a fill that is booked.
    pub(super) fn count_fill(&mut self, ts: Ts, fill: &Fill) -> Result<(), ApplyError> {
        let touched = self.next_touch(ts);
        let (leg, cause, given_up) = match self.advance(fill.order, OrderStep::Fill, ts) {
            Ok(open) => {
                open.filled = open.filled + fill.qty;
                (open.order.leg, open.order.cause, open.given_up)
            }
            Err(error) => {
                let over = self.finished.ring.get_mut(&fill.order).ok_or(error)?;
                over.filled = over.filled + fill.qty;
                (over.leg, over.cause, over.given_up)
            }
        };
        let book = self.book_mut(fill.symbol)?;
        book.touched = touched;
        // What failed before was of another position, or has come off at last. That a position has become smaller says
        // nothing of the exits that failed to close it.
        book.failed = book.failed().filter(|_| leg == Leg::Entry || cause.is_rebalance());
        if leg == Leg::Exit && book.is_opened_by(fill.side) {
            book.failed = Some(FailedExit::unwanted(touched, fill.side.opposite()));
        }
        self.note_unwanted_fill(fill, given_up)
    }

    pub(super) fn apply_done(&mut self, ts: Ts, id: OrderId, reason: DoneReason) -> Result<(), ApplyError> {
        if let Some(order) = self.orders.get(&id)
            && (reason == DoneReason::Filled) != order.remaining().is_zero()
        {
            return Err(ApplyError::Ended { order: id, reason, remaining: order.remaining() });
        }
        self.advance(id, OrderStep::Done(reason), ts)?;
        let missed = self.is_missed_exit(id, reason);
        let Some(order) = self.orders.remove(&id) else { return Err(ApplyError::UnknownOrder(id)) };
        let ended = order.touched;
        let book = self.book_mut(order.order.symbol)?;
        book.live.retain(|live| *live != id);
        if missed {
            book.failed = Some(FailedExit::ended(book.failed(), &order.order, ts));
        }
        let OrderState { order: Order { symbol, leg, side, qty, cause, .. }, bracket, filled, given_up, .. } = order;
        if reason == DoneReason::Filled && self.trades.is_trusting() {
            // Nothing more is said of it.
            return Ok(());
        }
        self.finished
            .ring
            .insert(id, FinishedOrder { symbol, leg, side, qty, filled, cause, bracket, ended, given_up });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Ts = Ts::from_secs(100);
    const NOW: Ts = Ts::from_secs(90);

    fn doubt(absences: u8, absent_at: Option<Ts>) -> Doubt {
        Doubt { since: Ts::from_secs(80), acceptable_until: UNTIL, absences, absent_at }
    }

    fn steps() -> Vec<OrderStep> {
        use DoneReason::{Cancelled, Expired, Filled, NotSent, Rejected};
        let mut steps = vec![OrderStep::Accepted, OrderStep::Fill];
        steps.extend([100, 101].map(|s| OrderStep::Unknown { acceptable_until: Ts::from_secs(s) }));
        steps.extend([129, 130, 134, 135].map(|s| OrderStep::Absent { asked: Ts::from_secs(s) }));
        steps.extend([Filled, Cancelled, Rejected, Expired, NotSent].map(OrderStep::Done));
        steps
    }

    /// Every pair of a stage and a step, one letter each: what comes of it, or `-`.
    #[test]
    fn every_pair_of_stage_and_step_is_in_the_table() {
        let stages = [
            OrderStage::Unsent,
            OrderStage::Live,
            OrderStage::Unknown(doubt(0, None)),
            OrderStage::Unknown(doubt(1, Some(Ts::from_secs(130)))),
            OrderStage::Done,
        ];
        let letter = |stage: Option<OrderStage>| match stage {
            None => '-',
            Some(OrderStage::Unsent) => 's',
            Some(OrderStage::Live) => 'l',
            Some(OrderStage::Unknown(doubt)) => char::from_digit(u32::from(doubt.absences), 10).unwrap(),
            Some(OrderStage::Done) => 'd',
        };
        let found = stages.map(|stage| {
            let row = steps().into_iter().map(|step| letter(stage.after(step, NOW)));
            row.collect::<String>()
        });
        // accepted, fill; unknown until 100 and 101; absent at 129, 130, 134, 135; filled, cancelled, rejected,
        // expired, not sent
        let wanted = ["ll00----ddddd", "-l00----dddd-", "ll-0-111ddddd", "ll-0---2ddddd", "-d-----------"];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_longer_acceptance_begins_the_count_anew_and_keeps_the_beginning() {
        let old = OrderStage::Unknown(doubt(1, Some(Ts::from_secs(130))));
        let after = old.after(OrderStep::Unknown { acceptable_until: Ts::from_secs(200) }, NOW).unwrap();
        let wanted = Doubt { acceptable_until: Ts::from_secs(200), ..doubt(0, None) };
        assert_eq!(after, OrderStage::Unknown(wanted));
        assert!(wanted.is_evidence(Ts::from_secs(230)) && !wanted.is_evidence(Ts::from_secs(229)));
        let young = Doubt { since: Ts::from_secs(150), ..doubt(0, None) };
        assert!(young.is_evidence(Ts::from_secs(180)) && !young.is_evidence(Ts::from_secs(179)));
        assert!(!doubt(1, None).is_resolved() && doubt(2, None).is_resolved());
    }

    #[test]
    fn the_oldest_finished_order_is_forgotten_first() {
        let over = FinishedOrder {
            symbol: "AAA".parse().unwrap(),
            leg: Leg::Entry,
            side: Side::Buy,
            qty: Qty::ZERO,
            filled: Qty::ZERO,
            bracket: None,
            cause: Cause::Command { seq: 1 },
            ended: Touch::default(),
            given_up: None,
        };
        let id = |n: usize| format!("lb-{n}").parse().unwrap();
        let mut finished = Finished::default();
        for n in 0..=FINISHED_MAX {
            finished.ring.insert(id(n), over.clone());
        }
        assert!(finished.get(id(0)).is_none());
        assert!((1..=FINISHED_MAX).all(|n| finished.get(id(n)).is_some()));
    }
}
