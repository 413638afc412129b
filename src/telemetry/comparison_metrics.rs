//! What Prometheus is told of comparisons of ledger and venue.

use std::fmt;

use levibot_core::domain::{ReconcileCause, Span};
use prometheus::{Gauge, IntCounter, IntCounterVec};

use super::metrics::{Maker, MetricsError, with};

/// The metrics of comparisons.
pub struct ComparisonMetrics {
    comparisons: IntCounterVec,
    differences: IntCounter,
    age: Gauge,
}

impl fmt::Debug for ComparisonMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComparisonMetrics").finish_non_exhaustive()
    }
}

const CAUSES: [ReconcileCause; 4] =
    [ReconcileCause::Start, ReconcileCause::Reconnect, ReconcileCause::Periodic, ReconcileCause::Gap];

impl ComparisonMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, MetricsError> {
        let comparisons = make.counters(
            "levibot_reconciliations_total",
            "Comparisons of ledger and venue, by what they were made for.",
            &["cause"],
        )?;
        for cause in CAUSES {
            with(&comparisons, &[&cause.to_string()], |_| ());
        }
        Ok(Self {
            comparisons,
            differences: make.counter(
                "levibot_reconciliation_differences_total",
                "Differences that comparisons of ledger and venue have found.",
            )?,
            age: make
                .gauge("levibot_reconciliation_age_seconds", "Time since the venue last said all that it knows.")?,
        })
    }

    /// Ledger and venue were compared, and differed in so many points.
    pub fn compared(&self, cause: ReconcileCause, differences: usize) {
        with(&self.comparisons, &[&cause.to_string()], IntCounter::inc);
        self.differences.inc_by(differences as u64);
    }

    /// How long ago the venue last said all that it knows.
    pub fn set_age(&self, age: Span) {
        self.age.set(age.secs_f64());
    }
}
