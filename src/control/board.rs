//! What faces see: copies published by the actors, read without a lock.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use levibot_core::account::AccountView;
use levibot_core::domain::{AccountKind, Symbol, Timeframe, Ts};
use serde::{Deserialize, Serialize};

/// The state of `/engines/status`, in the user's own format.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EnginesView {
    /// Configured engines.
    pub total: u32,
    /// Running, starting and paused.
    pub running: u32,
    /// Stopped and stopping.
    pub stopped: u32,
    /// Crashed and quarantined.
    pub crashed: u32,
    /// One a symbol, in instrument order.
    pub engines: Vec<EngineRow>,
}

/// One engine of `/engines/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineRow {
    /// The symbol.
    pub symbol: Symbol,
    /// `stopped starting running paused crashed stopping quarantined`.
    pub status: String,
    /// Time since it last became ready, such as `2h15m`; `0s` when it is not up.
    pub uptime: String,
    /// The same in seconds.
    pub uptime_seconds: f64,
    /// Unix time of its last sign of life, seconds; `null` before the first.
    pub last_heartbeat: Option<f64>,
    /// Close of the last bar it answered, trading time.
    pub last_bar: Option<Stamp>,
    /// Crashes and kills since the daemon started.
    pub error_count: u64,
    /// Restarts since the daemon started.
    pub restarts: u64,
    /// What ended it last.
    pub last_error: Option<String>,
    /// The open position, such as `long 0.015 @ 60123.4`; `null` when flat.
    pub position: Option<String>,
    /// PnL of the trading day, account currency.
    pub daily_pnl: f64,
    /// PnL since the journal began, account currency.
    pub total_pnl: f64,
    /// Round trips closed.
    pub trade_count: u64,
    /// Process of the engine; `null` for a thread, and while it does not run.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Counts its starts since the daemon began; 0 before the first.
    #[serde(default)]
    pub generation: u64,
    /// Proportional set size of its process, bytes; `null` for a thread, and before the first look.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Share of one processor over the last second or so, percent; `null` while it does not run.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// Ready time over scheduled time since the daemon began, 0 to 1; `null` before it was scheduled.
    #[serde(default)]
    pub availability: Option<f64>,
}

/// A time that is written as RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub Ts);

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What does not change while the daemon runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the daemon.
    pub version: String,
    /// The run.
    pub run: String,
    /// `lockstep` or `realtime`.
    pub pace: String,
    /// `simulator` or `files`.
    pub market: String,
    /// Bar length.
    pub timeframe: Timeframe,
    /// Spot or linear.
    pub account: AccountKind,
    /// The account's currency.
    pub currency: String,
    /// Where everything is kept.
    pub data_dir: String,
    /// Wall time of the start.
    pub started: Stamp,
    /// Where orders go, such as `paper`; empty where the daemon does not say.
    #[serde(default)]
    pub venue: String,
}

/// The daemon as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// What does not change.
    pub info: RunInfo,
    /// Whether every engine has been ready once.
    pub ready: bool,
    /// Trading time now.
    pub trading_time: Stamp,
    /// Bars taken since the start.
    pub bars: u64,
    /// Last sequence number on disk.
    pub journal_seq: u64,
    /// Records that the SQL tables still lack.
    pub store_lag: u64,
    /// Counts of engines.
    pub engines: [u32; 4],
    /// The fusion model; none where no strategy asks one.
    #[serde(default)]
    pub model: Option<ModelView>,
    /// The account.
    pub account: AccountView,
    /// Whether what happens cannot be put on record any more, so that no order is sent.
    #[serde(default)]
    pub journal_failed: bool,
}

/// The fusion model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelView {
    /// `stopped starting running crashed stopping quarantined`.
    pub state: String,
    /// The version that answers, or answered last.
    pub version: Option<String>,
    /// Close of the last bar that it has learnt from.
    pub trained_through: Option<Stamp>,
    /// Process of the model server; none while there is none.
    pub pid: Option<u32>,
    /// Restarts since the daemon started.
    pub restarts: u64,
    /// What ended it last, or why a version was refused.
    pub last_error: Option<String>,
}

/// Counters of the daemon that change often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Whether every engine has been ready once.
    pub ready: bool,
    /// Whether the journal cannot be written, so that no new orders may go.
    pub journal_failed: bool,
    /// Bars taken since the start.
    pub bars: u64,
    /// Last sequence number on disk.
    pub journal_seq: u64,
    /// Last sequence number in the SQL tables.
    pub store_seq: u64,
    /// Trading time now.
    pub now: Ts,
}

/// See the module. Cheap to clone: all clones show the same.
#[derive(Debug, Clone)]
pub struct Board {
    info: Arc<RunInfo>,
    engines: Arc<ArcSwap<EnginesView>>,
    account: Arc<ArcSwap<AccountView>>,
    model: Arc<ArcSwapOption<ModelView>>,
    pulse: Arc<ArcSwap<Pulse>>,
    stops: super::StopWatch,
}

impl Board {
    /// A board that shows `account` and no engines.
    pub fn new(info: RunInfo, account: AccountView) -> Self {
        Self {
            info: Arc::new(info),
            engines: Arc::default(),
            account: Arc::new(ArcSwap::from_pointee(account)),
            model: Arc::default(),
            pulse: Arc::default(),
            stops: super::StopWatch::default(),
        }
    }

    /// How the engines were stopped last.
    pub const fn stops(&self) -> &super::StopWatch {
        &self.stops
    }

    /// What does not change.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The engines now.
    pub fn engines(&self) -> Arc<EnginesView> {
        self.engines.load_full()
    }

    /// The account now.
    pub fn account(&self) -> Arc<AccountView> {
        self.account.load_full()
    }

    /// The counters now.
    pub fn pulse(&self) -> Pulse {
        **self.pulse.load()
    }

    /// Everything.
    pub fn status(&self) -> StatusView {
        let (engines, pulse) = (self.engines(), self.pulse());
        StatusView {
            info: (*self.info).clone(),
            ready: pulse.ready,
            trading_time: Stamp(pulse.now),
            bars: pulse.bars,
            journal_seq: pulse.journal_seq,
            store_lag: pulse.journal_seq.saturating_sub(pulse.store_seq),
            engines: [engines.total, engines.running, engines.stopped, engines.crashed],
            model: self.model.load().as_deref().cloned(),
            account: (*self.account()).clone(),
            journal_failed: pulse.journal_failed,
        }
    }

    /// Shows these engines from now on.
    pub fn show_engines(&self, view: EnginesView) {
        self.engines.store(Arc::new(view));
    }

    /// Shows this model from now on.
    pub fn show_model(&self, view: ModelView) {
        self.model.store(Some(Arc::new(view)));
    }

    /// Shows this account from now on.
    pub fn show_account(&self, view: AccountView) {
        self.account.store(Arc::new(view));
    }

    /// Changes the counters.
    pub fn beat(&self, change: impl Fn(&mut Pulse)) {
        self.pulse.rcu(|old| {
            let mut pulse = **old;
            change(&mut pulse);
            pulse
        });
    }
}
