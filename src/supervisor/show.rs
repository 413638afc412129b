//! Engines as faces, registry and metrics show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use levibot_core::account::AccountView;
use levibot_core::account::view::SymbolView;
use levibot_core::domain::{Direction, HaltLevel, Ix, Span, Symbol, Ts};
use levibot_core::supervision::{EngineStatus, Totals};

use super::SHOW_EVERY;
use super::slot::Slot;
use crate::control::Board;
use crate::control::board::{EngineRow, EnginesView, Stamp};
use crate::registry::{Isolation, LastExit, Registry, RegistryEntry};
use crate::telemetry::clock::{monotonic_now, wall_now};
use crate::telemetry::metrics::Metrics;

/// Where engines are shown, and when they were last.
#[derive(Debug)]
pub(super) struct Shown {
    board: Board,
    registry: Registry,
    metrics: Arc<Metrics>,
    last: Option<Ts>,
}

impl Shown {
    pub(super) const fn new(board: Board, registry: Registry, metrics: Arc<Metrics>) -> Self {
        Self { board, registry, metrics, last: None }
    }

    /// Something has changed: the next renewal does not wait.
    pub(super) const fn soon(&mut self) {
        self.last = None;
    }

    pub(super) fn failed(&mut self, symbol: Symbol) {
        self.metrics.engine_failed(&symbol);
        self.soon();
    }

    pub(super) fn restarted(&self, symbol: Symbol) {
        self.metrics.engine_restarted(&symbol);
    }

    /// Shows the engines, unless it was done a moment ago and nothing has changed.
    pub(super) fn renew(&mut self, slots: &BTreeMap<Ix, Slot>, isolation: &str) {
        let now = monotonic_now();
        if self.last.is_some_and(|last| now - last < SHOW_EVERY) {
            return;
        }
        self.last = Some(now);
        let account = self.board.account();
        let view = engines_view(slots, &account, now);
        // A halted account keeps its engines down: that is how it should be, and nothing to wait for.
        let wanted = if account.halt >= HaltLevel::ReduceOnly { "stopped" } else { "running" };
        if view.engines.iter().all(|row| row.status == wanted) && !slots.is_empty() && !self.board.pulse().ready {
            self.board.beat(|pulse| pulse.ready = true);
        }
        self.measure(slots, now);
        self.board.show_engines(view);
        self.register(slots, &account, isolation, now);
    }

    fn measure(&self, slots: &BTreeMap<Ix, Slot>, now: Ts) {
        for slot in slots.values() {
            self.metrics.set_engine_status(&slot.symbol, &slot.policy.status().to_string());
            self.metrics.set_engine_uptime(&slot.symbol, uptime(slot, now));
            if let Some(bar) = slot.last_bar {
                self.metrics.set_engine_last_bar(&slot.symbol, bar);
                self.metrics.set_data_age(&slot.symbol, (self.board.pulse().now - bar).max(Span::ZERO));
            }
        }
    }

    fn register(&self, slots: &BTreeMap<Ix, Slot>, account: &AccountView, isolation: &str, now: Ts) {
        let isolation = if isolation == "process" { Isolation::Process } else { Isolation::Thread };
        let entry = |slot: &Slot| {
            let symbol = symbol_view(account, slot.symbol);
            RegistryEntry {
                status: slot.policy.status().to_string().into(),
                pid: slot.handle.as_ref().and_then(|handle| handle.pid()),
                uptime: u64::try_from(uptime(slot, now).nanos() / Span::SECOND.nanos()).unwrap_or(0),
                last_trade: symbol.and_then(|s| s.last_trade),
                pnl: symbol.map_or(0.0, |s| s.total_pnl.to_f64()),
                generation: slot.policy.generation(),
                isolation,
                restarts: slot.policy.restarts(),
                last_exit: slot.last_exit.clone().map(|(cause, at)| LastExit { cause, at }),
                last_bar: slot.last_bar,
            }
        };
        let entries = slots.values().map(|slot| (slot.symbol, entry(slot))).collect();
        if let Err(error) = self.registry.write(&entries) {
            tracing::warn!(%error, "the engine registry could not be written");
        }
    }
}

fn uptime(slot: &Slot, now: Ts) -> Span {
    slot.policy.ready_since().map_or(Span::ZERO, |since| now - since)
}

fn symbol_view(account: &AccountView, symbol: Symbol) -> Option<&SymbolView> {
    account.symbols.iter().find(|s| s.symbol == symbol)
}

fn engines_view(slots: &BTreeMap<Ix, Slot>, account: &AccountView, now: Ts) -> EnginesView {
    let totals: Totals = slots.values().map(|slot| slot.policy.status()).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    EnginesView {
        total: count(totals.total),
        running: count(totals.running),
        stopped: count(totals.stopped),
        crashed: count(totals.crashed),
        engines: slots.values().map(|slot| engine_row(slot, account, now)).collect(),
    }
}

fn engine_row(slot: &Slot, account: &AccountView, now: Ts) -> EngineRow {
    let symbol = symbol_view(account, slot.symbol);
    let up = uptime(slot, now);
    let heartbeat = slot.handle.as_ref().and_then(|h| h.progress().last());
    EngineRow {
        symbol: slot.symbol,
        status: slot.policy.status().to_string(),
        uptime: short(up),
        uptime_seconds: (up.secs_f64() * 10.0).round() / 10.0,
        last_heartbeat: heartbeat.map(|at| ((wall_now() - (now - at)).secs_f64() * 1e3).round() / 1e3),
        last_bar: slot.last_bar.map(Stamp),
        error_count: slot.policy.failures_total(),
        restarts: slot.policy.restarts(),
        last_error: match slot.policy.status() {
            EngineStatus::Stopped => None,
            _ => slot.policy.last_error().map(ToOwned::to_owned),
        },
        position: symbol.and_then(|s| s.position.as_ref()).map(|p| {
            let word = if p.direction == Direction::Long { "long" } else { "short" };
            format!("{word} {} @ {}", p.qty, p.entry_price)
        }),
        daily_pnl: symbol.map_or(0.0, |s| s.daily_pnl.rounded(2).to_f64()),
        total_pnl: symbol.map_or(0.0, |s| s.total_pnl.rounded(2).to_f64()),
        trade_count: symbol.map_or(0, |s| s.trades),
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
