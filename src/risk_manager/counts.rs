//! What was put on record, counted, and how long it took.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use levibot_core::domain::{Span, Symbol};
use levibot_core::record::{Record, Verdict};

use crate::telemetry::metrics::Metrics;

/// Counts of one journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bars taken in this session.
    pub bars: u64,
    /// By symbol.
    pub symbols: BTreeMap<Symbol, SymbolCounts>,
}

/// Counts of one symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SymbolCounts {
    /// Decisions that wanted something.
    pub decisions: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Orders.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
}

impl Counts {
    /// Counts one record.
    pub fn take(&mut self, record: &Record) {
        let Some(symbol) = record.symbol() else { return };
        let counts = self.symbols.entry(symbol).or_default();
        match record {
            Record::Decision { verdict, .. } => {
                counts.decisions += 1;
                counts.refused += u64::from(matches!(verdict, Verdict::Refused { .. }));
            }
            Record::Intent { .. } => counts.orders += 1,
            Record::Fill { .. } => counts.fills += 1,
            _ => {}
        }
    }

    /// Sums over the symbols.
    pub fn total(&self) -> SymbolCounts {
        self.symbols.values().fold(SymbolCounts::default(), |a, b| SymbolCounts {
            decisions: a.decisions + b.decisions,
            refused: a.refused + b.refused,
            orders: a.orders + b.orders,
            fills: a.fills + b.fills,
        })
    }
}

/// Samples kept for the summary; the metric has them all.
const SAMPLES_MAX: usize = 100_000;

/// Time from the arrival of a frame to an intent of it being durable.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    waiting: VecDeque<(u64, Instant)>,
    samples: Vec<u64>,
}

impl Latency {
    /// An intent was written as record `seq`, for a frame that came at `since`.
    pub(super) fn wait(&mut self, seq: u64, since: Instant) {
        self.waiting.push_back((seq, since));
    }

    /// Everything up to `seq` is durable.
    pub(super) fn durable(&mut self, seq: u64, metrics: &Metrics) {
        while let Some((waiting, since)) = self.waiting.front()
            && *waiting <= seq
        {
            let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            metrics.decision_took(Span::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)));
            if self.samples.len() < SAMPLES_MAX {
                self.samples.push(nanos);
            }
            self.waiting.pop_front();
        }
    }

    /// How many intents were measured.
    pub fn count(&self) -> usize {
        self.samples.len()
    }

    /// The given quantile in milliseconds, 0 to 1 (nearest rank); `None` without samples.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank between 0 and the length")]
        let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map(|nanos| *nanos as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let latency = Latency { samples: (1..=100).map(|ms| ms * 1_000_000).collect(), ..Latency::default() };
        assert_eq!(latency.quantile_ms(0.5), Some(50.0));
        assert_eq!(latency.quantile_ms(0.99), Some(99.0));
        assert_eq!(Latency::default().quantile_ms(0.5), None);
    }
}
