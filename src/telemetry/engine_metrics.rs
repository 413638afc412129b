//! What Prometheus is told of the engines' processes and threads.

use std::fmt;

use levibot_core::domain::Symbol;
use prometheus::{CounterVec, GaugeVec, IntGaugeVec, Opts};

use super::metrics::{Maker, MetricsError, with};

/// What each engine takes, which start of it runs, and what share of its time it is ready.
pub struct EngineMetrics {
    cpu: CounterVec,
    memory: GaugeVec,
    availability: GaugeVec,
    generation: IntGaugeVec,
}

impl fmt::Debug for EngineMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineMetrics").finish_non_exhaustive()
    }
}

impl EngineMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, MetricsError> {
        let symbol = &["symbol"];
        let cpu = Opts::new("levibot_engine_cpu_seconds_total", "Processor time of the engine, over all its starts.");
        let memory = Opts::new("levibot_engine_memory_bytes", "Proportional set size of the engine's process.");
        let availability = Opts::new(
            "levibot_engine_availability_ratio",
            "Time in which the engine was ready over time in which it was wanted, since the daemon began.",
        );
        let generation = Opts::new("levibot_engine_generation", "Counts the starts of the engine, from 1.");
        Ok(Self {
            cpu: make.add(CounterVec::new(cpu, symbol))?,
            memory: make.add(GaugeVec::new(memory, symbol))?,
            availability: make.add(GaugeVec::new(availability, symbol))?,
            generation: make.add(IntGaugeVec::new(generation, symbol))?,
        })
    }

    /// Makes everything of a symbol visible at zero that has a meaning before it runs.
    pub(super) fn register_symbol(&self, symbol: &Symbol) {
        with(&self.cpu, &[symbol.as_str()], |_| ());
        with(&self.generation, &[symbol.as_str()], |_| ());
    }

    /// The engine took so much processor time more, seconds from zero.
    pub fn cpu_spent(&self, symbol: &Symbol, seconds: f64) {
        with(&self.cpu, &[symbol.as_str()], |counter| counter.inc_by(seconds.max(0.0)));
    }

    /// The engine's process takes so much memory; `None`: it is not known, and not shown.
    pub fn set_memory(&self, symbol: &Symbol, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => with(&self.memory, &[symbol.as_str()], |gauge| gauge.set(bytes as f64)),
            // It may not be there: then there is nothing to take away.
            None => drop(self.memory.remove_label_values(&[symbol.as_str()])),
        }
    }

    /// The share of its time in which the engine was ready, 0 to 1; `None` before it was wanted.
    pub fn set_availability(&self, symbol: &Symbol, ratio: Option<f64>) {
        if let Some(ratio) = ratio {
            with(&self.availability, &[symbol.as_str()], |gauge| gauge.set(ratio));
        }
    }

    /// Which start of the engine is the last.
    pub fn set_generation(&self, symbol: &Symbol, generation: u64) {
        with(&self.generation, &[symbol.as_str()], |gauge| {
            gauge.set(i64::try_from(generation).unwrap_or(i64::MAX));
        });
    }
}
