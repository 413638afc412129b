//! Where alerts go.

use levibot_core::account::{Alert, Severity};
use tracing::field::display;

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
        match alert.severity {
            Severity::Info => tracing::info!(symbol, severity = "info", text, "alert"),
            Severity::Warning => tracing::warn!(symbol, severity = "warning", text, "alert"),
            Severity::Critical => tracing::error!(symbol, severity = "critical", text, "alert"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::logs;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn alerts_are_lines_of_their_symbol() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, guard) = logs::files(dir.path(), 30, || levibot_core::domain::Ts::from_secs(0)).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let alert = |severity, symbol: Option<&str>, text: &str| Alert {
                severity,
                symbol: symbol.map(|s| s.parse().unwrap()),
                text: text.into(),
            };
            LogChannel.send(&alert(Severity::Critical, Some("BTCUSDT"), "engine is quarantined"));
            LogChannel.send(&alert(Severity::Warning, None, "day loss at 50 %"));
            LogChannel.send(&alert(Severity::Info, None, "resumed"));
        });
        drop(guard);
        let own = std::fs::read_to_string(dir.path().join("engine-BTCUSDT-19700101.jsonl")).unwrap();
        assert!(own.contains(r#""level":"error","symbol":"BTCUSDT","msg":"alert""#), "{own}");
        assert!(own.contains(r#""text":"engine is quarantined""#), "{own}");
        let rest = std::fs::read_to_string(dir.path().join("daemon-19700101.jsonl")).unwrap();
        assert_eq!(rest.lines().count(), 2, "{rest}");
    }
}
