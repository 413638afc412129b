//! What Prometheus is told of alerts.

use std::fmt;

use levibot_core::alerts::{Alert, Severity, Topic};
use prometheus::{IntCounter, IntCounterVec};

use super::metrics::{Maker, MetricsError, with};

/// The metrics of alerts.
pub struct AlertMetrics {
    alerts: IntCounterVec,
    lost: IntCounterVec,
}

impl fmt::Debug for AlertMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertMetrics").finish_non_exhaustive()
    }
}

impl AlertMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, MetricsError> {
        let alerts =
            make.counters("levibot_alerts_total", "Alerts, by what they are about.", &["severity", "topic"])?;
        for severity in Severity::ALL {
            for topic in Topic::ALL {
                with(&alerts, &[severity.as_str(), topic.as_str()], |_| ());
            }
        }
        let lost = "Alerts that a channel could not deliver; the log has them.";
        Ok(Self { alerts, lost: make.counters("levibot_alerts_lost_total", lost, &["channel"])? })
    }

    /// There was an alert.
    pub fn alerted(&self, alert: &Alert) {
        with(&self.alerts, &[alert.severity.as_str(), alert.topic.as_str()], IntCounter::inc);
    }

    /// A channel lost so many alerts; zero makes it visible.
    pub fn lost(&self, channel: &'static str, count: u64) {
        with(&self.lost, &[channel], |counter| counter.inc_by(count));
    }
}
