//! What a venue reports, booked once.

use super::core::Account;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{Actions, Direction, DoneReason, Fill, Ix, Leg, OrderId, Report, Side, Symbol, Ts};
use crate::record::Record;

impl Account {
    pub(super) fn on_report(&mut self, report: &Report, now: Ts, out: &mut Actions<Action>) {
        let Some(id) = report.order() else { return };
        let Some(known) = self.state.orders.get(&id) else {
            self.foreign(report, out);
            return;
        };
        let symbol = known.order.symbol;
        match report {
            Report::Accepted { .. } if known.accepted => {}
            Report::Accepted { .. } => {
                self.commit(Record::Accepted { order: id }, now, out);
            }
            Report::Fill(fill) => self.on_fill(fill, now, out),
            Report::Done { reason, text, .. } => self.on_done(id, symbol, *reason, text.clone(), now, out),
            _ => {}
        }
        if let Some(ix) = self.ix(symbol) {
            self.publish(ix, out);
            self.close_waiting(ix, now, out);
            self.go_on_rebalancing(now, out);
        }
    }

    /// A report about an order that is not live here. A fill of one would mean that the ledger is behind the venue.
    fn foreign(&self, report: &Report, out: &mut Actions<Action>) {
        if let Report::Fill(fill) = report {
            let text =
                format!("the venue reports a fill of order {} that is not live here: it is not booked", fill.order);
            out.push(Action::Alert(Alert::critical(Topic::Venue, fill.symbol, text)));
        }
    }

    fn on_fill(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) {
        let Some(order) = self.state.orders.get(&fill.order) else { return };
        if order.trades.contains(&fill.trade_id) {
            return;
        }
        let (leg, spec, cause) = (order.order.leg, order.bracket, order.order.cause);
        if !self.commit(Record::Fill { fill: fill.clone() }, now, out) {
            return;
        }
        let Some(ix) = self.ix(fill.symbol) else { return };
        self.publish(ix, out);
        let direction = self.state.book(ix).and_then(super::book::Book::direction);
        if let (Leg::Entry, Some(spec)) = (leg, spec)
            && direction.is_some_and(|d| d.entry_side() == fill.side)
        {
            self.anchor(ix, fill.order, &spec, now, out);
        }
        self.cancel_surplus_exits(ix, direction, out);
        if leg == Leg::Entry && cause.is_rebalance() {
            self.close_orphan(ix, cause, now, out);
        }
    }

    /// An exit must never open a position: one that could, because another order has closed or turned the position
    /// meanwhile, is cancelled. What is left of the position stays under its bracket.
    fn cancel_surplus_exits(&self, ix: Ix, direction: Option<Direction>, out: &mut Actions<Action>) {
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

    fn on_done(
        &mut self,
        id: OrderId,
        symbol: Symbol,
        reason: DoneReason,
        text: Option<String>,
        now: Ts,
        out: &mut Actions<Action>,
    ) {
        if reason == DoneReason::Rejected {
            let why = text.as_deref().unwrap_or("no reason given");
            let text = format!("the venue refused order {id}: {why}");
            out.push(Action::Alert(Alert::warning(Topic::Venue, symbol, text)));
        }
        self.commit(Record::Done { order: id, reason, text }, now, out);
    }

    /// Where a symbol stands in the table.
    pub fn ix(&self, symbol: Symbol) -> Option<Ix> {
        self.state.books.iter().position(|b| b.symbol() == symbol).and_then(Ix::from_usize)
    }
}
