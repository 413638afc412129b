//! What Prometheus is told of the fusion model.

use std::fmt;

use levibot_core::domain::Span;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::metrics::{Maker, MetricsError, SECONDS, labels, with};

labels! {
    /// What became of a question.
    ForecastOutcome {
        /// The model gave a forecast.
        Answered => "answered",
        /// The model was away or too late.
        Absent => "absent",
        /// The model would not answer, or its answer could not be meant.
        Refused => "refused",
    }
}

/// Questions in a batch.
const SIZES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 32.0, 64.0];

/// The metrics of the fusion model.
pub struct ModelMetrics {
    inference: Histogram,
    batch_size: Histogram,
    forecasts: IntCounterVec,
    late: IntCounter,
    up: IntGauge,
    info: IntGaugeVec,
    restarts: IntCounter,
}

impl fmt::Debug for ModelMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelMetrics").finish_non_exhaustive()
    }
}

impl ModelMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, MetricsError> {
        let forecasts =
            make.counters("levibot_forecasts_total", "Questions to the model, by what became of them.", &["outcome"])?;
        for outcome in ForecastOutcome::ALL {
            with(&forecasts, &[outcome.as_str()], |_| ());
        }
        Ok(Self {
            inference: make.histogram("levibot_inference_seconds", "From a question to its forecast.", &SECONDS)?,
            batch_size: make.histogram("levibot_inference_batch_size", "Questions in a batch.", &SIZES)?,
            forecasts,
            late: make.counter("levibot_forecasts_late_total", "Forecasts that came after their deadline.")?,
            up: make.int_gauge("levibot_model_up", "1 while the model server answers.")?,
            info: make.add(IntGaugeVec::new(
                Opts::new("levibot_model_info", "1 for the version of the model that answers."),
                &["version"],
            ))?,
            restarts: make.counter("levibot_model_restarts_total", "Restarts of the model server after a failure.")?,
        })
    }

    /// A batch of so many questions was sent.
    pub fn asked(&self, questions: usize) {
        self.batch_size.observe(f64::from(u32::try_from(questions).unwrap_or(u32::MAX)));
    }

    /// A forecast came so long after its question.
    pub fn inference_took(&self, took: Span) {
        self.inference.observe(took.secs_f64());
    }

    /// Something became of a question.
    pub fn forecast(&self, outcome: ForecastOutcome) {
        with(&self.forecasts, &[outcome.as_str()], IntCounter::inc);
    }

    /// So many forecasts came after their deadline.
    pub fn late(&self, forecasts: u64) {
        self.late.inc_by(forecasts);
    }

    /// The server answers, or does not.
    pub fn set_up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    /// This version answers from now on.
    pub fn set_version(&self, version: &str) {
        self.info.reset();
        with(&self.info, &[version], |gauge| gauge.set(1));
    }

    /// The server was started again after a failure.
    pub fn restarted(&self) {
        self.restarts.inc();
    }
}
