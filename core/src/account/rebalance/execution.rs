//! How a rebalancing is carried out: on record first, then what is reduced, and with the capital of that what is added.

use super::super::core::{Account, Draft, reserve};
use super::super::live::Live;
use super::super::{Action, Alert};
use super::{latest_due, plan};
use crate::alerts::Topic;
use crate::domain::instrument::Rounding;
use crate::domain::{Actions, Cause, Ix, Leg, Qty, Reason, Span, Symbol, Ts};
use crate::record::Record;

/// Additions that wait for reductions are given up after this: by then the plan is of yesterday's prices.
const ADD_WITHIN: Span = Span::DAY;

impl Account {
    /// At the first end of a frame at or after the time of the week; once, however many weeks have gone by.
    pub(in super::super) fn rebalance_if_due(&mut self, now: Ts, out: &mut Actions<Action>) {
        let setup = &self.state.setup;
        if setup.unlimited || !setup.risk.is_rebalanced() {
            return;
        }
        let at = latest_due(now);
        if at > self.state.rebalancing.last {
            self.rebalance(at, None, now, out);
        }
    }

    /// Somebody wants it now.
    pub(in super::super) fn rebalance_now(&mut self, reason: Reason, now: Ts, out: &mut Actions<Action>) {
        // Each has an instant of its own: the ids of its orders are made of it.
        let at = now.max(self.state.rebalancing.last.saturating_add(Span::from_nanos(1)));
        self.rebalance(at, Some(reason), now, out);
    }

    fn rebalance(&mut self, at: Ts, by: Option<Reason>, now: Ts, out: &mut Actions<Action>) {
        if self.fault.is_some() {
            return;
        }
        let all = self.plan();
        let rows = all.iter().map(|wanted| wanted.row.clone()).collect();
        if !self.commit(Record::Rebalance { at, by, rows }, now, out) {
            return;
        }
        let of = |action: &str| all.iter().filter(|wanted| wanted.row.action == action).count();
        let (reduced, added) = (of(plan::REDUCE), of(plan::ADD));
        if reduced + added > 0 {
            let text = format!("rebalancing of {at}: {reduced} positions are reduced and {added} added to");
            out.push(Action::Alert(Alert::info(Topic::Account, None, text)));
        }
        for wanted in all.iter().filter(|wanted| wanted.row.action == plan::REDUCE) {
            let Some(book) = self.state.book(wanted.ix) else { continue };
            let (cause, side) = (Cause::Rebalance { at }, wanted.direction.entry_side().opposite());
            let attempt = book.next_exit_attempt(cause);
            self.submit(Draft::exit(wanted.ix, side, wanted.qty, cause, attempt), now, out);
            self.publish(wanted.ix, out);
        }
        self.go_on_rebalancing(now, out);
    }

    /// Adds, once nothing of the reductions is on its way any more: their capital is free then. Tried once.
    pub(in super::super) fn go_on_rebalancing(&mut self, now: Ts, out: &mut Actions<Action>) {
        let last = &self.state.rebalancing;
        if last.adds.is_empty() || self.added == Some(last.last) || self.inquiry.blocking().is_some() {
            return;
        }
        // Right after a start no price is known yet, and what cannot be weighed would be given up.
        let is_heard =
            |symbol: &Symbol| self.ix(*symbol).and_then(|ix| self.live.get(ix.at())).is_some_and(Live::is_heard);
        if now - last.made <= ADD_WITHIN && !last.adds.iter().all(|(symbol, _)| is_heard(symbol)) {
            return;
        }
        let (at, cause) = (last.last, Cause::Rebalance { at: last.last });
        if self.state.orders.values().any(|o| o.order.cause == cause && o.order.leg == Leg::Exit) {
            return;
        }
        self.added = Some(at);
        let rate = self.state.sent.in_last_minute(now);
        if now - last.made > ADD_WITHIN || rate >= self.state.setup.risk.orders_per_minute_max() as usize {
            return;
        }
        let wanted: Vec<(Ix, f64)> = last.adds.iter().filter_map(|(symbol, to)| self.missing(*symbol, *to)).collect();
        let total: f64 = wanted.iter().map(|(_, amount)| amount).sum();
        let free = self.available(0.0).max(0.0) / (1.0 + 2.0 * self.state.setup.cost_per_side);
        let share = if total > free { free / total } else { 1.0 };
        for (ix, amount) in wanted {
            if let Some(draft) = self.addition(ix, amount * share, cause) {
                self.submit(draft, now, out);
                self.publish(ix, out);
            }
        }
    }

    /// What a position lacks of its target now, if it may be enlarged.
    fn missing(&self, symbol: Symbol, target: f64) -> Option<(Ix, f64)> {
        let ix = self.ix(symbol).filter(|ix| self.may_add(*ix))?;
        let live = self.live.get(ix.at())?;
        let amount = target.min(self.position_cap(symbol)) - (live.net * live.mark).abs();
        let amount = amount.min(self.state.setup.risk.limits(symbol).max_order_usd);
        (amount > 0.0).then_some((ix, amount))
    }

    /// An order that adds `amount` to a position under the bracket that it has.
    fn addition(&self, ix: Ix, amount: f64, cause: Cause) -> Option<Draft> {
        let (book, live) = self.state.book(ix).zip(self.live.get(ix.at()))?;
        let side = book.direction()?.entry_side();
        let instrument = book.instrument();
        let qty: Qty = instrument.qty_floor(amount / live.mark).ok()?;
        let mark = instrument.price(live.mark, Rounding::Nearest).ok()?;
        let notional = qty.to_f64() * live.mark;
        if notional < self.state.setup.risk.rebalance().min_trade_usd || !instrument.is_tradable(qty, mark) {
            return None;
        }
        let reserved = reserve(notional, self.state.setup.cost_per_side);
        Some(Draft { leg: Leg::Entry, reserved, ..Draft::exit(ix, side, qty, cause, 1) })
    }
}
