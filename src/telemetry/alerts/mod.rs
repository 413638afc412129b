//! Where alerts go: the log takes every one at once, metrics count them, and slow channels gather what belongs together.

mod outbox;
#[cfg(test)]
pub(crate) mod samples;
mod slack;
mod slow;

use std::sync::Arc;

use levibot_core::alerts::{Alert, Severity};
use tracing::field::display;

use super::metrics::Metrics;

pub use slack::{Slack, SlackError};
pub use slow::{Answer, Carrier, Pace, Slow, SlowGuard};

/// The target of the log lines that are alerts. No cap leaves them out.
pub const ALERT_TARGET: &str = "levibot::telemetry::alerts";

/// A way to reach people. `send` hands over and returns at once: a channel that can be slow keeps a bounded queue of its own.
pub trait AlertChannel: Send + Sync {
    /// Passes one alert on.
    fn send(&self, alert: &Alert);
}

/// Alerts as log lines, in the symbol's own file where there is one.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogChannel;

impl AlertChannel for LogChannel {
    fn send(&self, alert: &Alert) {
        let (symbol, text) = (alert.symbol.map(display), alert.text.as_str());
        let (severity, topic) = (alert.severity.as_str(), alert.topic.as_str());
        match alert.severity {
            Severity::Info => tracing::info!(target: ALERT_TARGET, symbol, severity, topic, text, "alert"),
            Severity::Warning => tracing::warn!(target: ALERT_TARGET, symbol, severity, topic, text, "alert"),
            Severity::Critical => tracing::error!(target: ALERT_TARGET, symbol, severity, topic, text, "alert"),
        }
    }
}

/// Alerts as numbers.
#[derive(Debug, Clone)]
pub struct CountChannel(pub Arc<Metrics>);

impl AlertChannel for CountChannel {
    fn send(&self, alert: &Alert) {
        self.0.alerts().alerted(alert);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::logs;
    use levibot_core::alerts::Topic;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn alerts_are_lines_of_their_symbol() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, guard) = logs::files(dir.path(), 30, || levibot_core::domain::Ts::from_secs(0)).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let symbol = "BTCUSDT".parse().ok();
            LogChannel.send(&Alert::critical(Topic::EngineQuarantine, symbol, "engine is quarantined"));
            LogChannel.send(&Alert::warning(Topic::Account, None, "day loss at 50 %"));
            LogChannel.send(&Alert::info(Topic::Account, None, "resumed"));
        });
        drop(guard);
        let own = std::fs::read_to_string(dir.path().join("engine-BTCUSDT-19700101.jsonl")).unwrap();
        assert!(own.contains(r#""level":"error","symbol":"BTCUSDT","msg":"alert""#), "{own}");
        assert!(own.contains(r#""topic":"engine_quarantine","text":"engine is quarantined""#), "{own}");
        let rest = std::fs::read_to_string(dir.path().join("daemon-19700101.jsonl")).unwrap();
        assert_eq!(rest.lines().count(), 2, "{rest}");
    }

    #[test]
    fn alerts_are_counted_by_severity_and_topic() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let count = CountChannel(Arc::clone(&metrics));
        count.send(&Alert::warning(Topic::EngineCrash, None, "a"));
        count.send(&Alert::warning(Topic::EngineCrash, None, "b"));
        let text = metrics.encode().unwrap();
        assert!(text.contains(r#"levibot_alerts_total{severity="warning",topic="engine_crash"} 2"#), "{text}");
        assert!(text.contains(r#"levibot_alerts_total{severity="critical",topic="journal"} 0"#), "{text}");
    }
}
