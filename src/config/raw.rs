//! The configuration as it is written: keys and types, nothing checked beyond them. Unknown keys are errors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use levibot_core::alerts::Severity;
use levibot_core::domain::{AccountKind, ModelVersion, Money, Qty, Span, Symbol, Timeframe, Venue};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::text::{EndText, SpanText, TsText};
use super::{Isolation, PaceKey};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) run: RawRun,
    pub(super) account: RawAccount,
    pub(super) market: RawMarket,
    pub(super) strategy: RawStrategies,
    pub(super) model: Option<RawModel>,
    pub(super) paper: RawPaper,
    #[serde(default)]
    pub(super) replay: RawReplay,
    #[serde(default)]
    pub(super) supervisor: RawSupervisor,
    #[serde(default)]
    pub(super) journal: RawJournal,
    #[serde(default)]
    pub(super) store: RawStore,
    #[serde(default)]
    pub(super) http: RawHttp,
    #[serde(default)]
    pub(super) logs: RawLogs,
    #[serde(default)]
    pub(super) alerts: RawAlerts,
    #[serde(default)]
    pub(super) registry: RawRegistry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRun {
    pub(super) pace: PaceKey,
    pub(super) data_dir: PathBuf,
    pub(super) watch: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    pub(super) name: String,
    pub(super) kind: AccountKind,
    pub(super) currency: String,
    pub(super) initial_cash: Money,
    pub(super) risk: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceKey {
    Simulator,
    Files,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMarket {
    pub(super) source: SourceKey,
    pub(super) venue: Venue,
    pub(super) timeframe: Timeframe,
    pub(super) symbols: Option<Vec<Symbol>>,
    pub(super) instruments: PathBuf,
    pub(super) simulator: Option<RawSimulator>,
    pub(super) files: Option<RawFiles>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSimulator {
    pub(super) seed: u64,
    pub(super) start: TsText,
    pub(super) quote_every: SpanText,
    pub(super) history: Option<SpanText>,
    #[serde(default)]
    pub(super) trend: f64,
    pub(super) speed: f64,
    pub(super) prices: BTreeMap<Symbol, f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFiles {
    pub(super) path: Option<PathBuf>,
    pub(super) from: Option<TsText>,
    pub(super) to: Option<EndText>,
}

/// One table of a file of trading rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    pub(super) base: String,
    pub(super) quote: String,
    pub(super) tick: Decimal,
    pub(super) step: Decimal,
    pub(super) min_qty: Qty,
    pub(super) min_notional: Money,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStrategies {
    pub(super) default: PathBuf,
    #[serde(default)]
    pub(super) symbols: BTreeMap<Symbol, PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawModel {
    pub(super) dir: PathBuf,
    pub(super) ensemble: PathBuf,
    pub(super) training: PathBuf,
    pub(super) batch_wait: SpanText,
    pub(super) deadline: SpanText,
    pub(super) threads: u32,
    pub(super) train_when_missing: bool,
    pub(super) in_sample: bool,
    pub(super) version: Option<ModelVersion>,
}

impl Default for RawModel {
    fn default() -> Self {
        Self {
            dir: "models".into(),
            ensemble: "config/ensemble.yaml".into(),
            training: "config/training.toml".into(),
            batch_wait: SpanText(Span::from_millis(2)),
            deadline: SpanText(Span::from_millis(250)),
            threads: 2,
            train_when_missing: false,
            in_sample: false,
            version: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPaper {
    pub(super) seed: u64,
    pub(super) fee: f64,
    pub(super) spread: f64,
    pub(super) slippage: f64,
    pub(super) latency: SpanText,
    pub(super) participation: f64,
    #[serde(default)]
    pub(super) funding: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReplay {
    #[serde(default)]
    pub(super) resume_next_day: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSupervisor {
    #[serde(default)]
    pub(super) isolation: Isolation,
    pub(super) failures_max: Option<u32>,
    pub(super) window: Option<SpanText>,
    pub(super) backoff_first: Option<SpanText>,
    pub(super) backoff_max: Option<SpanText>,
    pub(super) healthy_after: Option<SpanText>,
    pub(super) progress_deadline: Option<SpanText>,
    pub(super) starting_deadline: Option<SpanText>,
    pub(super) stop_deadline: Option<SpanText>,
    pub(super) quarantines_max: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawJournal {
    pub(super) tape: bool,
    pub(super) tape_keep_days: u32,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self { tape: true, tape_keep_days: 7 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) url: String,
}

impl Default for RawStore {
    fn default() -> Self {
        Self { url: "sqlite".into() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) enabled: bool,
    pub(super) bind: String,
    pub(super) allow_non_loopback: bool,
}

impl Default for RawHttp {
    fn default() -> Self {
        Self { enabled: true, bind: "127.0.0.1:8000".into(), allow_non_loopback: false }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLogs {
    pub(super) dir: PathBuf,
    pub(super) level: String,
    pub(super) keep_days: u32,
    pub(super) lines_per_second: u32,
    pub(super) file_mb_max: u32,
}

impl Default for RawLogs {
    fn default() -> Self {
        Self { dir: "logs".into(), level: "info".into(), keep_days: 30, lines_per_second: 200, file_mb_max: 256 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAlerts {
    pub(super) coalesce: SpanText,
    pub(super) slack_webhook_file: Option<PathBuf>,
    pub(super) slack_level: SeverityKey,
}

impl Default for RawAlerts {
    fn default() -> Self {
        Self { coalesce: SpanText(Span::from_secs(30)), slack_webhook_file: None, slack_level: SeverityKey::Warning }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeverityKey {
    Info,
    Warning,
    Critical,
}

impl From<SeverityKey> for Severity {
    fn from(key: SeverityKey) -> Self {
        match key {
            SeverityKey::Info => Self::Info,
            SeverityKey::Warning => Self::Warning,
            SeverityKey::Critical => Self::Critical,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRegistry {
    pub(super) path: PathBuf,
}

impl Default for RawRegistry {
    fn default() -> Self {
        Self { path: "engine_registry/engine_registry.json".into() }
    }
}
