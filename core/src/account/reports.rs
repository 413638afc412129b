//! What a venue reports, booked once.

use super::core::Account;
use super::orders::{OrderStage, Ordered};
use super::state::ApplyError;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{Actions, Direction, DoneReason, Fill, Ix, Leg, OrderId, Report, Side, Symbol, Ts};
use crate::record::Record;

impl Account {
    pub(super) fn on_report(&mut self, report: &Report, now: Ts, out: &mut Actions<Action>) {
        match report {
            Report::Accepted { order } => self.on_accepted(*order, now, out),
            Report::Fill(fill) => return self.take_fill(fill, now, out),
            Report::Done { order, reason, text } => self.on_done(*order, *reason, text.clone(), now, out),
            Report::Unknown { order, acceptable_until, text } => {
                self.on_unknown(*order, *acceptable_until, text, now, out);
            }
            Report::Absent { order, asked, gap } => self.on_absent(*order, *asked, *gap, now, out),
            Report::Foreign { fill, name } => self.on_foreign(fill, name, now, out),
            Report::Transfer(transfer) => self.on_transfer(transfer, now, out),
            Report::Funding(funding) => self.on_funding(funding, now, out),
            Report::State(venue) => self.on_venue_state(venue, now, out),
        }
        if let Some(id) = report.order() {
            self.settle_order(id, now, out);
        }
    }

    pub(super) fn take_fill(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) {
        // One that was booked has settled its symbol.
        if !self.on_fill(fill, now, out) {
            self.settle_order(fill.order, now, out);
        }
    }

    fn settle_order(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        if let Some(ix) = self.symbol_of(id).and_then(|symbol| self.ix(symbol)) {
            self.settle(ix, now, out);
            self.publish(ix, out);
        }
    }

    fn stage(&self, id: OrderId) -> Option<OrderStage> {
        let over = || self.state.finished.get(id).map(|_| OrderStage::Done);
        self.state.orders.get(&id).map(|open| open.stage).or_else(over)
    }

    fn symbol_of(&self, id: OrderId) -> Option<Symbol> {
        let over = || self.state.finished.get(id).map(|over| over.symbol);
        self.state.orders.get(&id).map(|open| open.order.symbol).or_else(over)
    }

    pub(super) fn publish_order(&mut self, id: OrderId, out: &mut Actions<Action>) {
        if let Some(ix) = self.symbol_of(id).and_then(|symbol| self.ix(symbol)) {
            self.publish(ix, out);
        }
    }

    /// Who calls this publishes the order.
    pub(super) fn on_accepted(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        match self.stage(id) {
            Some(OrderStage::Unsent) => self.accept(id, now, out),
            Some(OrderStage::Unknown(_)) => {
                self.note_accepted(id, now, out);
            }
            Some(OrderStage::Live | OrderStage::Done) => self.inquiry.is_there(id),
            None => self.orphan(id, None, out),
        }
    }

    /// That nobody doubted an order that was accepted changes nothing of what engines know.
    fn accept(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        self.note_accepted(id, now, out);
        if let Some(ix) = self.symbol_of(id).and_then(|symbol| self.ix(symbol)) {
            self.pass_over(ix);
        }
    }

    /// An order with a name of ours is at the venue and nothing here wants it.
    pub(super) fn orphan(&mut self, id: OrderId, symbol: Option<Symbol>, out: &mut Actions<Action>) {
        out.push(Action::Cancel(id));
        if self.inquiry.told.is_new(id.as_str()) {
            let text =
                format!("order {id} is open at the venue and not here: it is cancelled; look at its fills there");
            out.push(Action::Alert(Alert::critical(Topic::Venue, symbol, text)));
        }
    }

    /// Books a fill; `true` when it was new and is booked.
    pub(super) fn on_fill(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) -> bool {
        if self.state.is_booked(fill) {
            return false;
        }
        let (Some(known), Some(ix)) = (self.state.ordered(fill.order), self.ix(fill.symbol)) else {
            self.stray_fill(fill, out);
            return false;
        };
        let Ordered { leg, bracket, stage, cause, .. } = known;
        if let Err(error) = self.state.check_fill(fill) {
            self.impossible_fill(fill, known.symbol, &error, now, out);
            return false;
        }
        if matches!(stage, OrderStage::Unsent | OrderStage::Unknown(_)) {
            // What is filled was accepted, whatever was heard of that.
            self.note_accepted(fill.order, now, out);
        }
        if !self.note_fill(fill, now, out) {
            return false;
        }
        self.publish(ix, out);
        let late = stage == OrderStage::Done;
        if late {
            let text = format!("order {} was filled after its end with {}: it is booked", fill.order, fill.qty);
            out.push(Action::Alert(Alert::warning(Topic::Venue, fill.symbol, text)));
        }
        let book = self.state.book(ix);
        let direction = book.and_then(super::book::Book::direction);
        let guarded = book.and_then(|b| b.bracket()).is_some_and(|b| b.entry != fill.order);
        if let (Leg::Entry, Some(spec)) = (leg, bracket)
            && direction.is_some_and(|d| d.entry_side() == fill.side)
            && !(late && guarded)
        {
            self.anchor(ix, (fill.order, self.entered(fill, cause, now)), &spec, now, out);
        }
        self.cancel_surplus_exits(ix, direction, out);
        self.after_trade(fill, now, out);
        self.complete(fill.order, now, out);
        self.close_unwanted(ix, leg, fill.side, now, out);
        if leg == Leg::Entry && cause.is_rebalance() {
            self.close_orphan(ix, now, out);
        }
        self.settle(ix, now, out);
        self.publish(ix, out);
        true
    }

    /// An order that is wholly filled is done, whether or not the venue's word of it comes.
    pub(super) fn complete(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        if self.state.orders.get(&id).is_some_and(|open| open.remaining().is_zero()) {
            self.note_done(id, DoneReason::Filled, None, now, out);
        }
    }

    /// A position that is there while everything is to be closed is closed at once. One that an exit has opened is told of;
    /// the fold has noted that it must go, and it goes with this step.
    fn close_unwanted(&mut self, ix: Ix, leg: Leg, side: Side, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        if leg == Leg::Exit && book.is_opened_by(side) {
            let text = "an exit has opened a position: it is closed".to_owned();
            out.push(Action::Alert(Alert::critical(Topic::Venue, book.symbol(), text)));
        }
        self.close_halted(now, out);
    }

    /// A fill of an order that is not known here, or no longer: the ledger may be behind the venue, or this is an old
    /// trade told again. The comparison of positions tells which.
    fn stray_fill(&mut self, fill: &Fill, out: &mut Actions<Action>) {
        if self.inquiry.told.is_new(&format!("{} {}", fill.symbol, fill.trade_id)) {
            let text =
                format!("the venue reports a fill of order {} that is not known here: it is not booked", fill.order);
            out.push(Action::Alert(Alert::critical(Topic::Venue, fill.symbol, text)));
        }
    }

    /// What cannot be true is not booked, and nothing more is entered where the venue says such things.
    fn impossible_fill(&mut self, fill: &Fill, symbol: Symbol, error: &ApplyError, now: Ts, out: &mut Actions<Action>) {
        let text = format!("trade {} of the venue cannot be and is not booked ({error})", fill.trade_id);
        self.freeze_by_venue(symbol, &text, now, out);
        if self.inquiry.told.is_new(&format!("{} {}", fill.symbol, fill.trade_id)) {
            out.push(Action::Alert(Alert::critical(Topic::Venue, symbol, text)));
        }
    }

    /// An exit must never open a position: one that could, because another order has closed or turned the position
    /// meanwhile, is cancelled. What is left of the position stays under its bracket.
    pub(super) fn cancel_surplus_exits(&self, ix: Ix, direction: Option<Direction>, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let closing: Option<Side> = direction.map(|d| d.entry_side().opposite());
        for id in book.live() {
            let Some(order) = self.state.orders.get(id) else { continue };
            let surplus = Some(order.order.side) != closing || order.remaining() > book.size();
            if order.order.leg == Leg::Exit && surplus && !order.remaining().is_zero() {
                out.push(Action::Cancel(*id));
            }
        }
    }

    fn on_done(&mut self, id: OrderId, reason: DoneReason, text: Option<String>, now: Ts, out: &mut Actions<Action>) {
        let Some(open) = self.state.orders.get(&id) else { return };
        let (symbol, leg, stage, whole) = (open.order.symbol, open.order.leg, open.stage, open.remaining().is_zero());
        if whole {
            self.complete(id, now, out);
        } else if reason == DoneReason::Filled {
            // Fills are missing: the order stays open here until they have come.
            self.on_accepted(id, now, out);
            self.ask_until_over(id, now, out);
        } else if reason == DoneReason::NotSent && stage == OrderStage::Live {
            let text = format!("order {id} was at the venue and is now said never to have been: it is asked about");
            out.push(Action::Alert(Alert::warning(Topic::Venue, symbol, text)));
            self.ask_until_over(id, now, out);
        } else {
            if reason == DoneReason::Rejected && leg == Leg::Entry {
                let why = text.as_deref().unwrap_or("no reason given");
                let text = format!("the venue refused order {id}: {why}");
                out.push(Action::Alert(Alert::warning(Topic::Venue, symbol, text)));
            }
            self.end(id, reason, text, now, out);
        }
        self.publish_order(id, out);
    }

    /// Puts the end of an order on record. A missed exit is told: at once the first time, then with the others.
    pub(super) fn end(
        &mut self,
        id: OrderId,
        reason: DoneReason,
        text: Option<String>,
        now: Ts,
        out: &mut Actions<Action>,
    ) {
        let Some(open) = self.state.orders.get(&id) else { return };
        let (symbol, left) = (open.order.symbol, open.remaining());
        let Some(book) = self.ix(symbol).and_then(|ix| self.state.book(ix)) else { return };
        if self.state.is_missed_exit(id, reason) {
            let why = text.as_deref().unwrap_or("no reason given");
            let text = format!("exit {id} ended ({reason:?}) with {left} not filled: {why}; it is tried again");
            let alert = if book.failed().is_none() { Alert::critical } else { Alert::warning };
            out.push(Action::Alert(alert(Topic::Venue, Some(symbol), text)));
        }
        self.note_done(id, reason, text, now, out);
    }

    /// What became of a submission is not known. Its reserve stays, entries of its symbol wait, and the venue is asked until
    /// there is evidence.
    pub(super) fn on_unknown(&mut self, id: OrderId, until: Ts, text: &str, now: Ts, out: &mut Actions<Action>) {
        let Some(open) = self.state.orders.get(&id) else { return };
        // A late word of doubt is none: it is at the venue.
        if open.stage != OrderStage::Live {
            self.doubt(id, until, text, now, out);
        }
    }

    fn doubt(&mut self, id: OrderId, until: Ts, text: &str, now: Ts, out: &mut Actions<Action>) {
        let Some(open) = self.state.orders.get(&id) else { return };
        let (symbol, leg) = (open.order.symbol, open.order.leg);
        let step = super::orders::OrderStep::Unknown { acceptable_until: until };
        if open.stage.after(step, now).is_none() {
            return;
        }
        let record = Record::Unknown { order: id, acceptable_until: until, text: text.to_owned() };
        if !self.commit(record, now, out) {
            return;
        }
        let text = format!(
            "what became of order {id} is not known ({text}): entries of {symbol} wait until the venue has said"
        );
        out.push(Action::Alert(Alert::warning(Topic::Venue, symbol, text)));
        if leg == Leg::Exit {
            out.push(Action::Cancel(id));
        }
        self.ask_about(id, now, out);
        self.publish_order(id, out);
    }

    /// The venue has no such order. That is evidence or it is not; see [`super::orders::Doubt::is_evidence`].
    fn on_absent(&mut self, id: OrderId, asked: Ts, gap: bool, now: Ts, out: &mut Actions<Action>) {
        let Some(open) = self.state.orders.get(&id) else { return };
        match open.stage {
            OrderStage::Unknown(doubt) if !gap && asked <= now && doubt.is_evidence(asked) => {
                if !self.commit(Record::Absent { order: id, asked }, now, out) {
                    return;
                }
                self.inquiry.ask_apart(id, asked);
                self.resolve_absent(id, doubt.absent_at, asked, now, out);
            }
            OrderStage::Live => self.on_gone(id, asked, gap || asked > now, now, out),
            _ => {}
        }
    }

    /// The venue has had the order and says now that it has none. Said twice in a way that counts, that is a doubt like any
    /// other: a venue forgets orders that are long over, and their last word may have been lost.
    fn on_gone(&mut self, id: OrderId, asked: Ts, is_weak: bool, now: Ts, out: &mut Actions<Action>) {
        let Some(open) = self.state.orders.get(&id) else { return };
        let (symbol, touched) = (open.order.symbol, open.touched.ts);
        if self.inquiry.told.is_new(&format!("gone {id}")) {
            let text = format!("the venue has accepted order {id} and says now that it has none: it is asked about");
            out.push(Action::Alert(Alert::warning(Topic::Venue, symbol, text)));
        }
        if !is_weak && self.inquiry.is_gone(id, touched, asked) {
            self.inquiry.is_there(id);
            self.doubt(id, asked, "the venue has accepted it and has said twice that it has none", now, out);
        } else {
            self.ask_until_over(id, now, out);
        }
    }

    fn resolve_absent(&mut self, id: OrderId, before: Option<Ts>, asked: Ts, now: Ts, out: &mut Actions<Action>) {
        let Some(OrderStage::Unknown(doubt)) = self.stage(id) else { return };
        let Some(before) = before.filter(|_| doubt.is_resolved()) else { return };
        let text = format!(
            "not at the venue: absent when asked at {before} and at {asked}, acceptable until {}, no further trade of it seen",
            doubt.acceptable_until
        );
        self.end(id, DoneReason::NotSent, Some(text), now, out);
        self.publish_order(id, out);
    }

    /// Where a symbol stands in the table.
    pub fn ix(&self, symbol: Symbol) -> Option<Ix> {
        self.state.books.iter().position(|b| b.symbol() == symbol).and_then(Ix::from_usize)
    }
}
