//! The channels of alerts beyond the log.

use std::sync::Arc;

use levibot_core::driver::Pace as MarketPace;

use super::AppError;
use super::house::pace;
use crate::config::Config;
use crate::telemetry::alerts::{AlertChannel, Pace, Slack, Slow, SlowGuard};
use crate::telemetry::metrics::Metrics;

/// Adds Slack, where a webhook is given. A replay tells nobody: what it alerts of is years ago.
pub(super) fn slack(
    config: &Config,
    metrics: &Arc<Metrics>,
    channels: &mut Vec<Arc<dyn AlertChannel>>,
) -> Result<Option<SlowGuard>, AppError> {
    let alerts = &config.alerts;
    let Some(webhook) = alerts.slack_webhook.as_ref().filter(|_| pace(config) == MarketPace::Realtime) else {
        return Ok(None);
    };
    let slack = Slack::new(webhook.address().clone())?;
    let started = Slow::start(slack, alerts.slack_level, alerts.coalesce, Pace::default(), Arc::clone(metrics));
    let (channel, guard) = started.map_err(AppError::AlertThread)?;
    channels.push(Arc::new(channel));
    tracing::info!(level = alerts.slack_level.as_str(), "alerts go to Slack too");
    Ok(Some(guard))
}
