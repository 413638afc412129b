//! What the daemon tells about itself: metrics, log files and alerts, and the one place where clocks are read.

mod alert_metrics;
pub mod alerts;
pub mod clock;
mod comparison_metrics;
mod engine_metrics;
mod log_caps;
mod log_files;
mod log_line;
pub mod logs;
pub mod metrics;
mod model_metrics;
mod retrain_metrics;

pub use levibot_core::chain::chain;

pub use alert_metrics::AlertMetrics;
pub use alerts::{AlertChannel, CountChannel, LogChannel};
pub use clock::{monotonic_now, wall_now};
pub use comparison_metrics::ComparisonMetrics;
pub use engine_metrics::EngineMetrics;
pub use logs::{LogError, LogGuard, LogSettings};
pub use metrics::{DecisionVerdict, Metrics, MetricsError, OrderOutcome};
pub use model_metrics::{ForecastOutcome, ModelMetrics};
pub use retrain_metrics::RetrainMetrics;
