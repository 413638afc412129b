//! What Prometheus is told of the nights in which the model is trained again.

use std::fmt;

use prometheus::{Gauge, Histogram, IntCounter};

use super::metrics::{Maker, MetricsError};

/// Seconds that a night may take: half a minute to its limit of half an hour, and over it.
const SECONDS: [f64; 9] = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0];

/// The metrics of nightly training. They are counted from its history file, so that they outlive a restart.
pub struct RetrainMetrics {
    duration: Histogram,
    success: IntCounter,
    failure: IntCounter,
    sharpe: Gauge,
}

impl fmt::Debug for RetrainMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetrainMetrics").finish_non_exhaustive()
    }
}

impl RetrainMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, MetricsError> {
        let duration = "What a nightly training took from start to end.";
        let success = "Nightly trainings that did their work: a version was deployed, or refused by the gate.";
        let sharpe = "Annualised Sharpe ratio of the version in use on its test part, net of costs.";
        Ok(Self {
            duration: make.histogram("levibot_retrain_duration_seconds", duration, &SECONDS)?,
            success: make.counter("levibot_retrain_success_total", success)?,
            failure: make.counter("levibot_retrain_failure_total", "Nightly trainings that failed.")?,
            sharpe: make.gauge("levibot_model_sharpe_ratio", sharpe)?,
        })
    }

    /// A night has ended.
    pub fn night(&self, seconds: f64, is_success: bool) {
        self.duration.observe(seconds);
        if is_success { self.success.inc() } else { self.failure.inc() }
    }

    /// The version in use has this ratio; NaN where it has none.
    pub fn set_sharpe(&self, ratio: f64) {
        self.sharpe.set(ratio);
    }
}
