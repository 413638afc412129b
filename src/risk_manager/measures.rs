//! What is put on record, shown in the metrics.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use levibot_core::account::{AccountView, State};
use levibot_core::domain::{Intent, OrderId, Span, Symbol};
use levibot_core::record::{Record, Verdict};

use crate::telemetry::metrics::{DecisionVerdict, Metrics, OrderOutcome};

/// See the module.
#[derive(Debug)]
pub(super) struct Measures {
    metrics: Arc<Metrics>,
    /// Symbols of the orders that are not done: records of their course name the order alone.
    orders: BTreeMap<OrderId, Symbol>,
    /// Batches handed to the journal that are not durable, by their last record.
    batches: VecDeque<(u64, Instant)>,
    tape_dropped: u64,
}

impl Measures {
    pub(super) fn new(metrics: Arc<Metrics>, state: &State) -> Self {
        let orders = state.orders().map(|o| (o.order.id, o.order.symbol)).collect();
        Self { metrics, orders, batches: VecDeque::new(), tape_dropped: 0 }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts a record.
    pub(super) fn record(&mut self, record: &Record) {
        match record {
            Record::Decision { symbol, verdict, decision } => {
                let counted = match verdict {
                    Verdict::Approved { .. } => DecisionVerdict::Approved,
                    Verdict::Refused { .. } => DecisionVerdict::Refused,
                    Verdict::Unchanged => DecisionVerdict::None,
                };
                self.metrics.decided(symbol, counted);
                if let Some(Intent::Enter { direction, .. }) = decision.intent {
                    self.metrics.signalled(symbol, direction.entry_side());
                }
            }
            Record::Intent { order, .. } => {
                self.orders.insert(order.id, order.symbol);
                self.metrics.ordered(&order.symbol, OrderOutcome::Submitted);
            }
            Record::Accepted { order } => self.ordered(*order, OrderOutcome::Accepted),
            Record::Done { order, reason, .. } => {
                self.ordered(*order, OrderOutcome::from(*reason));
                self.orders.remove(order);
            }
            Record::Fill { fill } => self.metrics.filled(&fill.symbol),
            Record::Unknown { order, .. } => self.ordered(*order, OrderOutcome::Unknown),
            Record::Reconciled { cause, found, .. } => self.metrics.comparisons().compared(*cause, found.len()),
            _ => {}
        }
    }

    fn ordered(&self, id: OrderId, outcome: OrderOutcome) {
        if let Some(symbol) = self.orders.get(&id) {
            self.metrics.ordered(symbol, outcome);
        }
    }

    /// A batch that ends with record `seq` was handed to the journal.
    pub(super) fn appended(&mut self, seq: u64) {
        self.batches.push_back((seq, Instant::now()));
    }

    /// Everything up to `seq` is durable.
    pub(super) fn durable(&mut self, seq: u64) {
        while let Some((last, since)) = self.batches.front()
            && *last <= seq
        {
            let nanos = i64::try_from(since.elapsed().as_nanos()).unwrap_or(i64::MAX);
            self.metrics.journal_appended(Span::from_nanos(nanos));
            self.batches.pop_front();
        }
    }

    /// The tape has dropped so many inputs in all.
    pub(super) fn tape(&mut self, dropped: u64) {
        self.metrics.tape_dropped(dropped.saturating_sub(self.tape_dropped));
        self.tape_dropped = dropped;
    }

    /// Shows the account.
    pub(super) fn account(&self, view: &AccountView, journal_seq: u64) {
        let metrics = &self.metrics;
        metrics.set_equity(view.equity.to_f64());
        metrics.set_cash(view.cash.to_f64());
        metrics.set_realized_pnl(view.realised.to_f64() - view.fees.to_f64() - view.funding.to_f64());
        let start = view.day_start_equity.to_f64();
        if start > 0.0 {
            metrics.set_day_pnl_ratio(view.equity.to_f64() / start - 1.0);
        }
        let open = view.symbols.iter().filter(|s| s.position.is_some()).count();
        metrics.set_positions_open(u32::try_from(open).unwrap_or(u32::MAX));
        metrics.set_halt_level(view.halt);
        metrics.set_journal_seq(journal_seq);
    }
}
