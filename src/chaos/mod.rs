//! Storms: faults on purpose, and what the daemon makes of them.
//!
//! `levibot chaos` hits the engines of a running daemon, or of one that it starts itself, by a plan that its seed decides,
//! and watches from outside, as a person would: through the control socket, the metrics, the log, `/proc` and the
//! record. [`plan`], [`watch`], [`figures`] and [`check`] are pure; the rest does what they say.

pub mod check;
mod drive;
pub mod figures;
mod hit;
mod kept;
mod load;
mod look;
mod model_kill;
mod own;
pub mod plan;
mod proc;
mod record;
pub mod report;
mod silence;
mod storm;
pub mod watch;

use std::path::PathBuf;
use std::time::Duration;

use levibot_core::domain::Symbol;

pub use drive::run;
pub use report::Report;

use crate::config::{Config, ConfigError};
use crate::control::ClientError;
use plan::Blow;

/// What a storm, or a benchmark, is asked to be.
#[derive(Debug, Clone)]
pub struct Request {
    /// The daemon's configuration: of the one that runs, or the base of the one that is started.
    pub config: Config,
    /// Whether the file was named; else a daemon that is started has engines and a market made for a storm.
    pub named: bool,
    /// What is done.
    pub what: What,
    /// Chooses the plan.
    pub seed: u64,
    /// How long it takes.
    pub length: Duration,
    /// With what engines are hit; empty: with everything that their isolation stands.
    pub blows: Vec<Blow>,
    /// How often each engine is hit in a minute.
    pub per_minute: f64,
    /// How many bursts; without a number, one every four minutes.
    pub bursts: Option<u32>,
    /// Whether the daemon is started here, in a new folder.
    pub own: Option<Own>,
}

/// A daemon of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its folder; it must not hold a record.
    pub dir: PathBuf,
    /// How many engines.
    pub engines: usize,
    /// `process` or `thread`; `None` leaves what the configuration says.
    pub isolation: Option<String>,
    /// How often the daemon itself is killed.
    pub daemon_kills: u32,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Faults of every kind.
    Storm,
    /// So many kills of healthy engines, one after the other.
    Kills(u32),
    /// Nothing is hit: how late answers are under the load alone.
    Load,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The request is wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The daemon answered something else.
    #[error("the daemon answers something else than it was asked: {0}")]
    Answer(String),
    /// Something could not be done.
    #[error("cannot {doing}")]
    Io {
        /// What.
        doing: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The daemon that was started does not come up.
    #[error("the daemon did not get ready: {0}")]
    NotReady(String),
}

impl ChaosError {
    /// 2 for a request to be corrected, 3 without a daemon, 1 otherwise.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Client(_) | Self::Answer(_) => 3,
            Self::Io { .. } | Self::NotReady(_) => 1,
        }
    }
}

fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> ChaosError {
    let doing = doing.into();
    move |source| ChaosError::Io { doing, source }
}

/// Reads `kill` or the name of a fault.
///
/// # Errors
/// The text names neither.
pub fn blow(text: &str) -> Result<Blow, String> {
    if text == "kill" {
        return Ok(Blow::Kill);
    }
    text.parse()
        .map(Blow::Fault)
        .map_err(|error: <crate::control::Fault as std::str::FromStr>::Err| format!("{error}; or kill"))
}

/// The symbols of a storm's own engines: known pairs first, then made-up ones.
fn made_up(n: usize) -> Vec<Symbol> {
    (0..n).filter_map(|at| format!("S{at:03}USDT").parse().ok()).collect()
}
