//! What the commands that look at a record are told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use levibot::config::parse_to;
use levibot_core::domain::{Symbol, Ts};

#[derive(Debug, Args)]
pub(crate) struct ParityArgs {
    /// The day (UTC), such as 2024-06-14
    #[arg(long, value_name = "DAY")]
    pub(crate) day: Ts,
    /// The configuration, whose `paper` says how the backtest fills orders; without it the embedded default
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Another taker fee than `paper.fee`, a fraction of notional
    #[arg(long, value_name = "FRACTION")]
    pub(crate) fee: Option<f64>,
    /// Another spread than `paper.spread`, a fraction of price
    #[arg(long, value_name = "FRACTION")]
    pub(crate) spread: Option<f64>,
    /// Another mean slippage than `paper.slippage`, a fraction of price
    #[arg(long, value_name = "FRACTION")]
    pub(crate) slippage: Option<f64>,
    /// Another mean time from sending an order to its being live than `paper.latency`, such as 50ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) latency: Option<Duration>,
    /// Another share of a bar's volume, or of a quote's size, that one order may take than `paper.participation`, over 0 and
    /// up to 1
    #[arg(long, value_name = "SHARE")]
    pub(crate) participation: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The configuration, whose `store.url` says where the SQL tables are [default: levibot.db in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// An order's id or its beginning (lb-6xk2...), a trade of the venue (BTCUSDT/4711 or 4711), a decision
    /// (BTCUSDT@2022-06-14T12:00Z, the close of its bar), a record (#1234), or a symbol: its latest decision
    #[arg(value_name = "ORDER|TRADE|DECISION|#RECORD|SYMBOL")]
    pub(crate) what: String,
}

#[derive(Debug, Args)]
pub(crate) struct TradesArgs {
    /// Print CSV instead of a table
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Those of one symbol
    #[arg(long)]
    pub(crate) symbol: Option<Symbol>,
    /// Those that ended at or after this time (UTC), and open ones
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Ts>,
    /// Those that ended at or before this time (UTC), and open ones that began by then; a date alone means the end of
    /// that day
    #[arg(long, value_name = "TIME", value_parser = parse_to)]
    pub(crate) to: Option<Ts>,
}
