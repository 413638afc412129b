//! Options of `levibot chaos`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

/// What `levibot chaos` can be asked for.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["storm", "kills", "load"]))]
pub struct ChaosArgs {
    /// Hit engines with faults of every kind, and see that everything holds
    #[arg(long)]
    pub storm: bool,
    /// Kill so many healthy engines, one after the other, and say how soon each was ready again
    #[arg(long, value_name = "N")]
    pub kills: Option<u32>,
    /// Hit nothing, and say how late bars are answered
    #[arg(long)]
    pub load: bool,
    /// Chooses the storm: the same seed is the same storm
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long, such as 90s or 20m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "20m")]
    pub length: Duration,
    /// Only these, such as panic,spin,kill
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// How often each engine is hit in a minute
    #[arg(long, value_name = "N", default_value_t = 4.0)]
    pub per_minute: f64,
    /// How often an engine is hit until it is quarantined [default: once in four minutes]
    #[arg(long, value_name = "N")]
    pub bursts: Option<u32>,
    /// The configuration of the daemon; of one that is started, what it is made of
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Start a daemon for this in the folder --data-dir, which must be new, and end it afterwards
    #[arg(long)]
    pub own: bool,
    /// Engines of the daemon that is started without --config
    #[arg(long, value_name = "N", default_value_t = 15, requires = "own")]
    pub engines: usize,
    /// How engines of the daemon that is started are kept apart
    #[arg(long, value_name = "process|thread", value_parser = ["process", "thread"], requires = "own")]
    pub isolation: Option<String>,
    /// How often the daemon that is started is itself killed in a storm
    #[arg(long, value_name = "N", default_value_t = 2, requires = "own")]
    pub daemon_kills: u32,
}
