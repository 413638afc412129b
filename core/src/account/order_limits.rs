//! Limits of orders themselves: how many, how near to the last price, on prices how old, and none twice.

use std::collections::VecDeque;

use super::checks::{Checks, Refusal};
use super::core::{Account, by_risk, plain};
use super::decisions::Entry;
use super::{Action, RiskPolicy};
use crate::domain::{Actions, HaltLevel, Ix, Leg, Order, Qty, Side, Span, Symbol, Ts};
use crate::record::Record;

/// The most entries that are remembered for the sake of duplicates.
const ENTRIES_MAX: usize = 1_024;

/// Orders of the last while, folded from the record.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sent {
    /// When each order of the last minute was announced, oldest first; no more than halt the entries.
    orders: VecDeque<Ts>,
    /// Entries within the duplicate window, oldest first.
    entries: VecDeque<SentEntry>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct SentEntry {
    ts: Ts,
    symbol: Symbol,
    side: Side,
    qty: Qty,
}

impl Sent {
    /// Sees a record after it was folded. A resume says that people have looked: counting begins anew.
    pub(super) fn follow(&mut self, ts: Ts, record: &Record, risk: &RiskPolicy) {
        match record {
            Record::Intent { order, .. } => self.announce(ts, order, risk),
            Record::Resume { .. } => self.orders.clear(),
            _ => {}
        }
    }

    fn announce(&mut self, ts: Ts, order: &Order, risk: &RiskPolicy) {
        self.orders.push_back(ts);
        let most = runaway(risk);
        while self.orders.len() > most || self.orders.front().is_some_and(|first| ts - *first >= Span::MINUTE) {
            self.orders.pop_front();
        }
        if order.leg == Leg::Exit {
            return;
        }
        self.entries.push_back(SentEntry { ts, symbol: order.symbol, side: order.side, qty: order.qty });
        let window = risk.duplicate_window();
        while self.entries.len() > ENTRIES_MAX || self.entries.front().is_some_and(|first| ts - first.ts >= window) {
            self.entries.pop_front();
        }
    }

    /// Orders of any kind within the last minute.
    pub(super) fn in_last_minute(&self, now: Ts) -> usize {
        self.orders.len() - self.orders.partition_point(|ts| now - *ts >= Span::MINUTE)
    }

    /// When the same entry was sent within the duplicate window.
    fn twin(&self, entry: (Symbol, Side, Qty), now: Ts, window: Span) -> Option<Ts> {
        let recent = self.entries.iter().rev().take_while(|sent| now - sent.ts < window);
        recent.into_iter().find(|sent| (sent.symbol, sent.side, sent.qty) == entry).map(|sent| sent.ts)
    }
}

/// So many orders within a minute halt the entries.
fn runaway(risk: &RiskPolicy) -> usize {
    2 * risk.orders_per_minute_max() as usize
}

impl Account {
    /// Neither the price of the decision nor the last price may be too old.
    pub(super) fn check_age(&self, ix: Ix, entry: &Entry, now: Ts, checks: &mut Checks) -> Result<(), Refusal> {
        let priced_at = self.live.get(ix.at()).map_or(Ts::EPOCH, |live| live.priced_at);
        let age = now - entry.bar.min(priced_at);
        let most = self.state.setup.risk.data_age_max(self.state.timeframe);
        checks.at_most("stale_data", age.secs_f64(), most.secs_f64(), || {
            if priced_at == Ts::EPOCH {
                return "no price of this symbol is known yet".to_owned();
            }
            let (age, most) = (age.secs_f64(), most.secs_f64());
            format!("the prices behind it are {age:.1} s old, {most:.1} s are allowed (orders.max_data_age)")
        })
    }

    /// The price that the decision was made at must be near the last one.
    pub(super) fn check_collar(&self, ix: Ix, entry: &Entry, checks: &mut Checks) -> Result<(), Refusal> {
        let last = self.live.get(ix.at()).map_or(0.0, |live| live.mark);
        let (away, most) = (100.0 * (entry.reference / last - 1.0).abs(), self.state.setup.risk.collar_pct());
        checks.at_most("price_collar", away, most, || {
            let reference = entry.reference;
            format!("{reference} is {away:.2} % away from the last price {last}, {most} % are allowed")
        })
    }

    pub(super) fn check_rate(&self, now: Ts, checks: &mut Checks) -> Result<(), Refusal> {
        let (count, most) = (self.state.sent.in_last_minute(now), self.state.setup.risk.orders_per_minute_max());
        checks.under("order_rate", count as f64, f64::from(most), || {
            format!(
                "{count} orders were sent within the last minute, {most} are allowed (orders.max_orders_per_minute)"
            )
        })
    }

    /// The same entry twice within a moment is one that was sent twice by mistake. Decisions of two bars are never so near
    /// to each other unless the first was late.
    pub(super) fn check_duplicate(
        &self,
        entry: (Symbol, Side, Qty),
        now: Ts,
        checks: &mut Checks,
    ) -> Result<(), Refusal> {
        let twin = self.state.sent.twin(entry, now, self.state.setup.risk.duplicate_window());
        checks.require("duplicate", twin.is_none(), || {
            let at = twin.unwrap_or(now);
            format!("an entry of the same side and quantity ({}) was sent at {at}", plain(entry.2))
        })
    }

    /// Halts the entries when orders run away, whatever sends them.
    pub(super) fn watch_rate(&mut self, now: Ts, out: &mut Actions<Action>) {
        if !self.runs_away() || self.halt_level() > HaltLevel::None {
            return;
        }
        let count = self.state.sent.in_last_minute(now);
        if count >= runaway(&self.state.setup.risk) {
            let text = format!("{count} orders within a minute, twice the limit: a runaway must not trade on");
            self.halt(HaltLevel::EntryHalt, by_risk(text), now, out);
        }
    }

    /// Whether enough orders are remembered to be a runaway, if all of them are of the last minute.
    pub(super) fn runs_away(&self) -> bool {
        let setup = &self.state.setup;
        !setup.unlimited && self.state.sent.orders.len() >= runaway(&setup.risk)
    }
}
