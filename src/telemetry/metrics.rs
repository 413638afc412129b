//! What Prometheus scrapes. One registry a [`Metrics`], none global, so that tests and runs stay apart.

use std::fmt;

use levibot_core::domain::{HaltLevel, Side, Span, Symbol, Ts};
use prometheus::core::{Collector, Metric, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use super::alert_metrics::AlertMetrics;
use super::comparison_metrics::ComparisonMetrics;
use super::engine_metrics::EngineMetrics;
use super::model_metrics::ModelMetrics;
use super::retrain_metrics::RetrainMetrics;

/// Every status an engine can have, as the registry, the status page and the metrics name it.
pub const ENGINE_STATUSES: [&str; 7] =
    ["stopped", "starting", "running", "paused", "crashed", "stopping", "quarantined"];

/// Why metrics cannot be made or told.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A name, label or bucket is wrong: a mistake in this file.
    #[error("a metric cannot be registered")]
    Register(#[source] prometheus::Error),
    /// The text could not be written.
    #[error("the metrics cannot be encoded")]
    Encode(#[source] prometheus::Error),
}

/// An enum whose variants are the values of a label.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As the label's value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

pub(super) use labels;

labels! {
    /// What became of an engine's decision.
    DecisionVerdict {
        /// The engine wanted nothing.
        None => "none",
        /// The account allowed it.
        Approved => "approved",
        /// The account refused it.
        Refused => "refused",
    }
}

labels! {
    /// What became of an order.
    OrderOutcome {
        /// Handed to the venue.
        Submitted => "submitted",
        /// Live at the venue.
        Accepted => "accepted",
        /// Wholly filled.
        Filled => "filled",
        /// Cancelled by us.
        Cancelled => "cancelled",
        /// Refused by the venue.
        Rejected => "rejected",
        /// Ran out of time.
        Expired => "expired",
        /// Never reached the venue.
        NotSent => "not_sent",
        /// Not known yet.
        Unknown => "unknown",
    }
}

impl From<levibot_core::domain::DoneReason> for OrderOutcome {
    fn from(reason: levibot_core::domain::DoneReason) -> Self {
        use levibot_core::domain::DoneReason as Done;
        match reason {
            Done::Filled => Self::Filled,
            Done::Cancelled => Self::Cancelled,
            Done::Rejected => Self::Rejected,
            Done::Expired => Self::Expired,
            Done::NotSent => Self::NotSent,
        }
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// Everything the daemon measures. Updates are atomic and cheap; nothing here waits.
pub struct Metrics {
    registry: Registry,
    engine_status: IntGaugeVec,
    engine_uptime: GaugeVec,
    engine_restarts: IntCounterVec,
    engine_errors: IntCounterVec,
    engine_last_bar: GaugeVec,
    engine_answer: HistogramVec,
    decisions: IntCounterVec,
    signals: IntCounterVec,
    orders: IntCounterVec,
    fills: IntCounterVec,
    data_age: GaugeVec,
    equity: Gauge,
    cash: Gauge,
    realized_pnl: Gauge,
    day_pnl: Gauge,
    positions_open: IntGauge,
    halt_level: IntGauge,
    bars: IntCounter,
    journal_seq: IntGauge,
    journal_append: Histogram,
    decision: Histogram,
    stop: Histogram,
    store_lag: IntGauge,
    tape_dropped: IntCounter,
    mailbox_full: IntCounterVec,
    engines: EngineMetrics,
    model: ModelMetrics,
    retrain: RetrainMetrics,
    alerts: AlertMetrics,
    comparisons: ComparisonMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Registers metrics one after the other.
pub(super) struct Maker(Registry);

impl Maker {
    pub(super) fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> Result<C, MetricsError> {
        let made = made.map_err(MetricsError::Register)?;
        self.0.register(Box::new(made.clone())).map_err(MetricsError::Register)?;
        Ok(made)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        self.add(Gauge::new(name, help))
    }

    pub(super) fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.add(IntGauge::new(name, help))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.add(IntCounter::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.add(GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricsError> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }
}

/// 100 µs to 1 s.
pub(super) const SECONDS: [f64; 13] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// 50 µs to 5 s.
const ANSWER_SECONDS: [f64; 16] =
    [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// Does something to the child of these labels. The number of labels is fixed in this file, so the child is always there.
pub(super) fn with<B: MetricVecBuilder>(of: &MetricVec<B>, labels: &[&str], act: impl FnOnce(&B::M))
where
    B::M: Metric,
{
    if let Ok(child) = of.get_metric_with_label_values(labels) {
        act(&child);
    }
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Errors
    /// [`MetricsError::Register`] when a name or a label is wrong.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let make = Maker(registry.clone());
        let build = make.gauges("levibot_build_info", "Always 1; the labels say which build runs.", &["version"])?;
        with(&build, &[env!("CARGO_PKG_VERSION")], |g| g.set(1.0));
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .map_err(MetricsError::Register)?;
        let by_symbol = &["symbol"];
        Ok(Self {
            engine_status: make.add(IntGaugeVec::new(
                Opts::new("levibot_engine_status", "1 for the status the engine is in, 0 for the others."),
                &["symbol", "status"],
            ))?,
            engine_uptime: make.gauges("levibot_engine_uptime_seconds", "Time since the engine started.", by_symbol)?,
            engine_restarts: make.counters("levibot_engine_restarts_total", "Restarts after a failure.", by_symbol)?,
            engine_errors: make.counters("levibot_engine_errors_total", "Failures of the engine.", by_symbol)?,
            engine_last_bar: make.gauges(
                "levibot_engine_last_bar_timestamp_seconds",
                "Close of the last bar that the engine processed, in trading time.",
                by_symbol,
            )?,
            engine_answer: make.add(HistogramVec::new(
                HistogramOpts::new(
                    "levibot_engine_answer_seconds",
                    "From a bar being offered to an engine until its answer is there.",
                )
                .buckets(ANSWER_SECONDS.to_vec()),
                by_symbol,
            ))?,
            decisions: make.counters(
                "levibot_decisions_total",
                "Decisions of the engines, by what the account said.",
                &["symbol", "verdict"],
            )?,
            signals: make.counters("levibot_signals_total", "Wishes to enter, by side.", &["symbol", "side"])?,
            orders: make.counters("levibot_orders_total", "Orders, by what became of them.", &["symbol", "outcome"])?,
            fills: make.counters("levibot_fills_total", "Executions.", by_symbol)?,
            data_age: make.gauges("levibot_data_age_seconds", "Age of the last market data.", by_symbol)?,
            equity: make.gauge("levibot_equity", "Equity of the account, in its currency.")?,
            cash: make.gauge("levibot_cash", "Cash of the account, in its currency.")?,
            realized_pnl: make.gauge(
                "levibot_realized_pnl",
                "Realised profit, net of fees and funding, in the account's currency.",
            )?,
            day_pnl: make.gauge("levibot_day_pnl_ratio", "Profit of the day over the day's starting equity.")?,
            positions_open: make.int_gauge("levibot_positions_open", "Open positions.")?,
            halt_level: make.int_gauge("levibot_halt_level", "0 none, 1 entries halted, 2 reduce only, 3 flatten.")?,
            bars: make.counter("levibot_bars_total", "Closed bars taken in.")?,
            journal_seq: make
                .int_gauge("levibot_journal_seq", "Sequence number of the last durable journal record.")?,
            journal_append: make.histogram(
                "levibot_journal_append_seconds",
                "From handing a record to the journal until it is durable.",
                &SECONDS,
            )?,
            decision: make.histogram(
                "levibot_decision_seconds",
                "From the close of a bar arriving until its intent is in the journal.",
                &SECONDS,
            )?,
            stop: make.histogram(
                "levibot_stop_seconds",
                "From the input that halts the account until every engine has ended and the venue has every cancel.",
                &SECONDS,
            )?,
            store_lag: make.int_gauge("levibot_store_lag_records", "Journal records not yet in the tables.")?,
            tape_dropped: make.counter("levibot_tape_dropped_total", "Inputs that the tape could not keep up with.")?,
            mailbox_full: make.counters(
                "levibot_mailbox_full_total",
                "Messages that met a full mailbox.",
                &["actor"],
            )?,
            engines: EngineMetrics::new(&make)?,
            model: ModelMetrics::new(&make)?,
            retrain: RetrainMetrics::new(&make)?,
            alerts: AlertMetrics::new(&make)?,
            comparisons: ComparisonMetrics::new(&make)?,
            registry,
        })
    }

    /// Makes everything of a symbol visible at zero.
    pub fn register_symbol(&self, symbol: &Symbol) {
        self.engines.register_symbol(symbol);
        let symbol = symbol.as_str();
        for status in ENGINE_STATUSES {
            with(&self.engine_status, &[symbol, status], |_| ());
        }
        for counter in [&self.engine_restarts, &self.engine_errors, &self.fills] {
            with(counter, &[symbol], |_| ());
        }
        with(&self.engine_uptime, &[symbol], |_| ());
        with(&self.engine_answer, &[symbol], |_| ());
        for verdict in DecisionVerdict::ALL {
            with(&self.decisions, &[symbol, verdict.as_str()], |_| ());
        }
        for of in [Side::Buy, Side::Sell] {
            with(&self.signals, &[symbol, side(of)], |_| ());
        }
        for outcome in OrderOutcome::ALL {
            with(&self.orders, &[symbol, outcome.as_str()], |_| ());
        }
    }

    /// The engine is in this status, one of [`ENGINE_STATUSES`], and in no other.
    pub fn set_engine_status(&self, symbol: &Symbol, status: &str) {
        for known in ENGINE_STATUSES {
            with(&self.engine_status, &[symbol.as_str(), known], |g| g.set(i64::from(known == status)));
        }
    }

    /// Time since the engine started.
    pub fn set_engine_uptime(&self, symbol: &Symbol, uptime: Span) {
        with(&self.engine_uptime, &[symbol.as_str()], |g| g.set(uptime.secs_f64()));
    }

    /// The engine was started again after a failure.
    pub fn engine_restarted(&self, symbol: &Symbol) {
        with(&self.engine_restarts, &[symbol.as_str()], IntCounter::inc);
    }

    /// The engine failed.
    pub fn engine_failed(&self, symbol: &Symbol) {
        with(&self.engine_errors, &[symbol.as_str()], IntCounter::inc);
    }

    /// The engine processed the bar that closed then.
    pub fn set_engine_last_bar(&self, symbol: &Symbol, close: Ts) {
        with(&self.engine_last_bar, &[symbol.as_str()], |g| g.set(close.secs_f64()));
    }

    /// The engine answered a bar so long after it was offered.
    pub fn engine_answered(&self, symbol: &Symbol, took: Span) {
        with(&self.engine_answer, &[symbol.as_str()], |h| h.observe(took.secs_f64()));
    }

    /// An engine decided and the account answered.
    pub fn decided(&self, symbol: &Symbol, verdict: DecisionVerdict) {
        with(&self.decisions, &[symbol.as_str(), verdict.as_str()], IntCounter::inc);
    }

    /// An engine wants to enter on this side.
    pub fn signalled(&self, symbol: &Symbol, on: Side) {
        with(&self.signals, &[symbol.as_str(), side(on)], IntCounter::inc);
    }

    /// Something became of an order.
    pub fn ordered(&self, symbol: &Symbol, outcome: OrderOutcome) {
        with(&self.orders, &[symbol.as_str(), outcome.as_str()], IntCounter::inc);
    }

    /// An execution.
    pub fn filled(&self, symbol: &Symbol) {
        with(&self.fills, &[symbol.as_str()], IntCounter::inc);
    }

    /// Age of the last market data of a symbol.
    pub fn set_data_age(&self, symbol: &Symbol, age: Span) {
        with(&self.data_age, &[symbol.as_str()], |g| g.set(age.secs_f64()));
    }

    /// Equity of the account, in its currency.
    pub fn set_equity(&self, amount: f64) {
        self.equity.set(amount);
    }

    /// Cash of the account, in its currency.
    pub fn set_cash(&self, amount: f64) {
        self.cash.set(amount);
    }

    /// Realised profit, net of fees and funding.
    pub fn set_realized_pnl(&self, amount: f64) {
        self.realized_pnl.set(amount);
    }

    /// Profit of the day over the day's starting equity: -0.03 is a loss of 3 %.
    pub fn set_day_pnl_ratio(&self, ratio: f64) {
        self.day_pnl.set(ratio);
    }

    /// Open positions.
    pub fn set_positions_open(&self, count: u32) {
        self.positions_open.set(i64::from(count));
    }

    /// How much the account still allows.
    pub fn set_halt_level(&self, level: HaltLevel) {
        self.halt_level.set(match level {
            HaltLevel::None => 0,
            HaltLevel::EntryHalt => 1,
            HaltLevel::ReduceOnly => 2,
            HaltLevel::Flatten => 3,
        });
    }

    /// Closed bars came in.
    pub fn bars_taken(&self, count: u64) {
        self.bars.inc_by(count);
    }

    /// The last durable journal record.
    pub fn set_journal_seq(&self, seq: u64) {
        self.journal_seq.set(i64::try_from(seq).unwrap_or(i64::MAX));
    }

    /// A record took this long to become durable.
    pub fn journal_appended(&self, took: Span) {
        self.journal_append.observe(took.secs_f64());
    }

    /// Everything that a halt stops has stopped.
    pub fn stopped(&self, took: Span) {
        self.stop.observe(took.secs_f64());
    }

    /// A decision took this long from bar close to journaled intent.
    pub fn decision_took(&self, took: Span) {
        self.decision.observe(took.secs_f64());
    }

    /// Journal records not yet in the tables.
    pub fn set_store_lag(&self, records: u64) {
        self.store_lag.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// The tape lost inputs.
    pub fn tape_dropped(&self, count: u64) {
        self.tape_dropped.inc_by(count);
    }

    /// A message met a full mailbox of this actor, named in lower case such as `engine`.
    pub fn mailbox_full(&self, actor: &'static str) {
        with(&self.mailbox_full, &[actor], IntCounter::inc);
    }

    /// Those of the engines' processes and threads.
    pub const fn engines(&self) -> &EngineMetrics {
        &self.engines
    }

    /// Those of the fusion model.
    pub const fn model(&self) -> &ModelMetrics {
        &self.model
    }

    /// Those of the nights in which it is trained again.
    pub const fn retrain(&self) -> &RetrainMetrics {
        &self.retrain
    }

    /// Those of alerts.
    pub const fn alerts(&self) -> &AlertMetrics {
        &self.alerts
    }

    /// Those of comparisons of ledger and venue.
    pub const fn comparisons(&self) -> &ComparisonMetrics {
        &self.comparisons
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// [`MetricsError::Encode`] when the text cannot be written.
    pub fn encode(&self) -> Result<String, MetricsError> {
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(MetricsError::Encode)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
