//! A channel for tests of those who alert.

use std::sync::Mutex;

use levibot_core::alerts::Alert;

use super::AlertChannel;

/// Keeps what it is sent.
#[derive(Debug, Default)]
pub(crate) struct Alarms(pub(crate) Mutex<Vec<Alert>>);

impl AlertChannel for Alarms {
    fn send(&self, alert: &Alert) {
        self.0.lock().unwrap().push(alert.clone());
    }
}
