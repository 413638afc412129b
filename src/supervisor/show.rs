//! Engines as faces, registry and metrics show them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use levibot_core::account::view::SymbolView;
use levibot_core::domain::{Direction, HaltLevel, Ix, Span, Symbol, Ts};
use levibot_core::supervision::{EngineStatus, Totals};

use super::SHOW_EVERY;
use super::keeper::{Keeper, Sheet};
use super::slot::Slot;
use crate::control::board::{EngineRow, EnginesView, Stamp};
use crate::control::{Board, StopWatch};
use crate::engine_host::usage::{Place, Running, Usage};
use crate::registry::{Isolation, LastExit, Registry, RegistryEntry};
use crate::telemetry::clock::{monotonic_now, wall_now};
use crate::telemetry::metrics::Metrics;

/// Besides once a [`SHOW_EVERY`], changes are shown this often at most, however many engines change.
const CHANGES_EVERY: Span = Span::from_millis(20);

/// Where engines are shown, and when they were last.
#[derive(Debug)]
pub(super) struct Shown {
    board: Board,
    keeper: Option<Keeper>,
    metrics: Arc<Metrics>,
    last: Option<Ts>,
    is_changed: bool,
}

impl Shown {
    pub(super) fn new(board: Board, registry: Registry, metrics: Arc<Metrics>) -> Self {
        let keeper = Keeper::new(registry, Arc::clone(&metrics));
        if let Err(error) = &keeper {
            tracing::error!(%error, "the engine registry is not kept: there is no thread left for it");
        }
        Self { board, keeper: keeper.ok(), metrics, last: None, is_changed: true }
    }

    /// Something has changed: the next renewal does not wait for long.
    pub(super) const fn soon(&mut self) {
        self.is_changed = true;
    }

    /// Somebody looks at what they have changed: the next renewal does not wait at all.
    pub(super) const fn now(&mut self) {
        self.last = None;
    }

    /// Where the time of a stop is taken.
    pub(super) const fn stops(&self) -> &StopWatch {
        self.board.stops()
    }

    /// The last part of a stop is done, if a time is given.
    pub(super) fn stop_is_over(&self, took: Option<Duration>) {
        if let Some(took) = took {
            self.metrics.stopped(Span::from_nanos(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)));
        }
    }

    pub(super) fn failed(&mut self, symbol: Symbol) {
        self.metrics.engine_failed(&symbol);
        self.soon();
    }

    pub(super) fn restarted(&self, symbol: Symbol) {
        self.metrics.engine_restarted(&symbol);
    }

    /// Shows the engines, unless it was done a moment ago.
    pub(super) fn renew(&mut self, slots: &BTreeMap<Ix, Slot>, isolation: &str) {
        let now = monotonic_now();
        let every = if self.is_changed { CHANGES_EVERY } else { SHOW_EVERY };
        if self.last.is_some_and(|last| now - last < every) {
            return;
        }
        (self.last, self.is_changed) = (Some(now), false);
        let account = self.board.account();
        let usages = self.keeper.as_ref().map(Keeper::usages).unwrap_or_default();
        let books: BTreeMap<Symbol, &SymbolView> = account.symbols.iter().map(|s| (s.symbol, s)).collect();
        let looks: Vec<Look<'_>> = slots.values().map(|slot| Look::at(slot, &books, &usages, now)).collect();
        // A halted account keeps its engines down: that is how it should be, and nothing to wait for.
        let wanted = if account.halt >= HaltLevel::ReduceOnly { EngineStatus::Stopped } else { EngineStatus::Running };
        let mut configured = slots.values().filter(|slot| slot.retired.is_none());
        let all_are = configured.all(|slot| slot.policy.status() == wanted);
        if all_are && !slots.is_empty() && !self.board.pulse().ready {
            self.board.beat(|pulse| pulse.ready = true);
        }
        self.measure(slots, now);
        self.board.show_engines(engines_view(&looks));
        self.register(&looks, isolation);
    }

    fn measure(&self, slots: &BTreeMap<Ix, Slot>, now: Ts) {
        let engines = self.metrics.engines();
        for slot in slots.values() {
            self.metrics.set_engine_status(&slot.symbol, &slot.policy.status().to_string());
            self.metrics.set_engine_uptime(&slot.symbol, uptime(slot, now));
            engines.set_generation(&slot.symbol, slot.policy.generation());
            engines.set_availability(&slot.symbol, slot.availability.ratio(now));
            if let Some(bar) = slot.last_bar {
                self.metrics.set_engine_last_bar(&slot.symbol, bar);
                self.metrics.set_data_age(&slot.symbol, (self.board.pulse().now - bar).max(Span::ZERO));
            }
        }
    }

    fn register(&self, looks: &[Look<'_>], isolation: &str) {
        let Some(keeper) = &self.keeper else { return };
        let isolation = if isolation == "process" { Isolation::Process } else { Isolation::Thread };
        let entries = looks.iter().map(|look| (look.slot.symbol, look.entry(isolation))).collect();
        keeper.hand_over(Sheet { running: looks.iter().filter_map(Look::running).collect(), entries });
    }
}

/// One engine at one moment.
#[derive(Debug)]
struct Look<'a> {
    slot: &'a Slot,
    book: Option<&'a SymbolView>,
    /// Of the generation that is there, as it was last measured.
    usage: Option<Usage>,
    now: Ts,
}

impl<'a> Look<'a> {
    fn at(slot: &'a Slot, books: &BTreeMap<Symbol, &'a SymbolView>, usages: &BTreeMap<Symbol, Usage>, now: Ts) -> Self {
        let generation = slot.handle.as_ref().map(|handle| handle.generation());
        let usage = usages.get(&slot.symbol).filter(|usage| Some(usage.generation) == generation);
        Self { slot, book: books.get(&slot.symbol).copied(), usage: usage.copied(), now }
    }

    fn pid(&self) -> Option<u32> {
        self.slot.handle.as_ref().and_then(|handle| handle.pid())
    }

    fn availability(&self) -> Option<f64> {
        self.slot.availability.ratio(self.now).map(|ratio| rounded(ratio, 1e6))
    }

    fn running(&self) -> Option<Running> {
        let handle = self.slot.handle.as_ref()?;
        let place = handle.pid().map(Place::Process).or_else(|| handle.thread().map(Place::Thread))?;
        Some(Running { symbol: self.slot.symbol, generation: handle.generation(), place })
    }

    /// What the registry says of it, but for what the keeper measures.
    fn entry(&self, isolation: Isolation) -> RegistryEntry {
        let Self { slot, book, now, .. } = self;
        let retry = slot.policy.next_retry().map(|at| rounded((at - *now).max(Span::ZERO).secs_f64(), 1e3));
        RegistryEntry {
            status: slot.policy.status().to_string().into(),
            pid: self.pid(),
            uptime: u64::try_from(uptime(slot, *now).nanos() / Span::SECOND.nanos()).unwrap_or(0),
            last_trade: book.and_then(|s| s.last_trade),
            pnl: book.map_or(0.0, |s| s.total_pnl.to_f64()),
            generation: slot.policy.generation(),
            isolation,
            restarts: slot.policy.restarts(),
            last_exit: slot.last_exit.clone().map(|(cause, at)| LastExit { cause, at }),
            last_bar: slot.last_bar,
            state: slot.policy.phase().into(),
            restarts_in_window: slot.policy.restarts_in_window(*now) as u64,
            next_retry_seconds: retry,
            cpu_seconds: None,
            cpu_percent: None,
            memory_bytes: None,
            start_ticks: None,
            availability: self.availability(),
        }
    }

    fn row(&self) -> EngineRow {
        let Self { slot, book, now, usage } = self;
        let up = uptime(slot, *now);
        let heartbeat = slot.handle.as_ref().and_then(|h| h.progress().last());
        EngineRow {
            symbol: slot.symbol,
            status: slot.policy.status().to_string(),
            uptime: short(up),
            uptime_seconds: rounded(up.secs_f64(), 10.0),
            last_heartbeat: heartbeat.map(|at| rounded((wall_now() - (*now - at)).secs_f64(), 1e3)),
            last_bar: slot.last_bar.map(Stamp),
            error_count: slot.policy.failures_total(),
            restarts: slot.policy.restarts(),
            last_error: match slot.policy.status() {
                EngineStatus::Stopped => slot.retired.map(|_| super::symbols::NOT_CONFIGURED.to_owned()),
                _ => slot.policy.last_error().map(ToOwned::to_owned),
            },
            position: book.and_then(|s| s.position.as_ref()).map(|p| {
                let word = if p.direction == Direction::Long { "long" } else { "short" };
                format!("{word} {} @ {}", p.qty, p.entry_price)
            }),
            daily_pnl: book.map_or(0.0, |s| s.daily_pnl.rounded(2).to_f64()),
            total_pnl: book.map_or(0.0, |s| s.total_pnl.rounded(2).to_f64()),
            trade_count: book.map_or(0, |s| s.trades),
            pid: self.pid(),
            generation: slot.policy.generation(),
            memory_bytes: usage.and_then(|usage| usage.memory_bytes),
            cpu_percent: usage.map(|usage| usage.cpu_percent),
            availability: self.availability(),
        }
    }
}

/// To so many parts of one.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn uptime(slot: &Slot, now: Ts) -> Span {
    slot.policy.ready_since().map_or(Span::ZERO, |since| now - since)
}

fn engines_view(looks: &[Look<'_>]) -> EnginesView {
    let totals: Totals = looks.iter().map(|look| look.slot.policy.status()).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    EnginesView {
        total: count(totals.total),
        running: count(totals.running),
        stopped: count(totals.stopped),
        crashed: count(totals.crashed),
        engines: looks.iter().map(Look::row).collect(),
    }
}

/// A span as `2h15m`, `4m05s` or `12s`.
fn short(span: Span) -> String {
    let secs = span.nanos() / Span::SECOND.nanos();
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs}s"),
        (0, 0, m) => format!("{m}m{:02}s", secs % 60),
        (0, h, m) => format!("{h}h{m:02}m"),
        (d, h, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_read_as_people_write_them() {
        for (secs, text) in [(0, "0s"), (59, "59s"), (245, "4m05s"), (8_100, "2h15m"), (90_000, "1d01h")] {
            assert_eq!(short(Span::from_secs(secs)), text);
        }
    }
}
