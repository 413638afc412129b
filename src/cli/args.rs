//! Commands and options, as clap reads them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use levibot_core::domain::{HaltLevel, Symbol};

use crate::control::{Command, Question, Request, Scope, Wish};

/// For `after_help` of the top command.
pub const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused by the daemon, or it failed, or not all is done in time; the reason is on standard error
  2  the command line, the configuration or the data are wrong
  3  no daemon could be reached on the data folder, or it did not answer; a halt is in the latch file all the same
  4  another daemon is using the data folder
  5  the record is damaged";

/// The folder of the embedded default.
pub(super) const DEFAULT_DATA_DIR: &str = "data/default";

/// The reason on record where none was given.
const REASON: &str = "by hand";

/// Options of every command that speaks to a running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientArgs {
    /// Folder of the daemon: its journal, its tables and its control socket [default: data/default]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

impl ClientArgs {
    /// The folder that is meant.
    pub fn folder(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
    }
}

/// What can be asked of a running daemon.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ClientCommand {
    /// Show the daemon as a whole: state, market, journal, equity, halt
    #[command(after_help = AFTER_HELP)]
    Status,
    /// Show the engines: status, uptime, last bar, errors, position, PnL
    #[command(after_help = AFTER_HELP)]
    Engines,
    /// Show open positions with their stops and targets
    #[command(after_help = AFTER_HELP)]
    Positions,
    /// Show profit and loss by symbol, and of the account
    #[command(after_help = AFTER_HELP)]
    Pnl,
    /// Start stopped or quarantined engines
    #[command(after_help = AFTER_HELP)]
    Start {
        /// A symbol, or `all`
        #[arg(value_name = "SYMBOL|all")]
        scope: ScopeArg,
    },
    /// Stop engines; their positions stay protected
    #[command(after_help = AFTER_HELP)]
    Stop {
        /// A symbol, or `all`
        #[arg(value_name = "SYMBOL|all")]
        scope: ScopeArg,
    },
    /// Stop engines and start them again, out of quarantine too
    #[command(after_help = AFTER_HELP)]
    Restart {
        /// A symbol, or `all`
        #[arg(value_name = "SYMBOL|all")]
        scope: ScopeArg,
    },
    /// Freeze entries of engines; they go on reading bars, and stops and exits stay live
    #[command(after_help = AFTER_HELP)]
    Pause {
        /// A symbol, or `all`
        #[arg(value_name = "SYMBOL|all")]
        scope: ScopeArg,
    },
    /// Lift the account's halt, also where no daemon runs; with a symbol or `all`, undo a pause instead
    #[command(after_help = AFTER_HELP)]
    Resume {
        /// Paused engines: a symbol, or `all`. Without it, the account's halt is lifted
        #[arg(value_name = "SYMBOL|all")]
        scope: Option<ScopeArg>,
        /// Why, for the record of a lifted halt
        #[arg(long, value_name = "TEXT", default_value = REASON, conflicts_with = "scope")]
        reason: String,
    },
    /// Halt the account, also where no daemon runs or it does not answer
    #[command(after_help = AFTER_HELP)]
    Halt {
        /// How much is forbidden
        #[arg(long, value_enum, default_value_t = HaltArg::ReduceOnly)]
        level: HaltArg,
        /// Why, for the record
        #[arg(long, value_name = "TEXT", default_value = REASON)]
        reason: String,
    },
    /// Halt the account and close everything, then wait until nothing is open; without a daemon, by a run that only does that
    #[command(after_help = AFTER_HELP)]
    Flatten {
        /// How long, why, and with which prices where no daemon runs
        #[command(flatten)]
        closing: ClosingArgs,
    },
    /// Cancel the entries of a symbol and close its position, and wait for that
    #[command(after_help = AFTER_HELP)]
    Close {
        /// Which
        #[arg(value_name = "SYMBOL", value_parser = symbol)]
        symbol: Symbol,
        /// How long, why, and with which prices where no daemon runs
        #[command(flatten)]
        closing: ClosingArgs,
    },
    /// Weigh the open positions now and bring each to its share of the risk
    #[command(after_help = AFTER_HELP)]
    Rebalance {
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Why, for the record
        #[arg(long, value_name = "TEXT", default_value = REASON)]
        reason: String,
    },
    /// Read configuration, risk policy and strategies again; a bad file is refused and the old one stays
    #[command(after_help = AFTER_HELP)]
    Reload {
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make an engine commit a fault, to see that it is replaced; refused unless prices and orders are simulated
    #[cfg(feature = "fault-injection")]
    #[command(after_help = AFTER_HELP)]
    Inject {
        /// Whose engine
        #[arg(value_name = "SYMBOL")]
        symbol: Symbol,
        /// Which fault, such as `panic`, `spin` or `sleep:5000` (milliseconds)
        #[arg(value_name = "FAULT")]
        fault: crate::control::Fault,
    },
}

/// What a command is told that closes positions.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClosingArgs {
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = REASON)]
    pub reason: String,
    /// Give up so much later, real time, and say what is left; such as 90s or 2m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "60s")]
    pub limit: Duration,
    /// Where no daemon runs: the configuration of that run, whose market gives the prices
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What can be tried out of the limits.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum RiskCommand {
    /// Show how large positions in simulated symbols would be, and which limit binds each; needs no daemon
    Simulate(SimulateArgs),
    /// Drive a running daemon with a paper account into the day's stop, and show when each engine ended
    #[command(after_help = AFTER_HELP)]
    TestStop(TestStopArgs),
}

/// What positions are simulated.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SimulateArgs {
    /// How many symbols, up to 1000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub symbols: u16,
    /// Equity of the account, in its currency
    #[arg(long, value_name = "AMOUNT", default_value_t = 10_000.0)]
    pub equity: f64,
    /// Chooses the symbols' volatilities and chances
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// The configuration, whose limits are used; without it the embedded default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which loss is reckoned with.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct TestStopArgs {
    /// The day's loss in percent, beyond the limit, such as -4.0
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, value_parser = loss)]
    pub daily_loss: f64,
    /// So many times, resumed in between, with the spread of the times at the end
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeat: u16,
}

/// A symbol in either case.
fn symbol(text: &str) -> Result<Symbol, String> {
    if text == "all" {
        return Err("`levibot flatten` closes everything".to_owned());
    }
    text.to_ascii_uppercase().parse().map_err(|error: <Symbol as FromStr>::Err| error.to_string())
}

fn loss(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "a loss is a number of percent, such as -4.0".to_owned())?;
    if (-100.0..0.0).contains(&percent) {
        return Ok(percent);
    }
    Err("a loss is under 0 and not under -100 percent, such as -4.0".to_owned())
}

impl ClientCommand {
    /// What it wants of an account that may have no daemon, and why; `None` for what only a daemon can do.
    pub fn wish(&self) -> Option<(Wish, &str)> {
        match self {
            Self::Halt { level, reason } => Some((Wish::Halt((*level).into()), reason)),
            Self::Resume { scope: None, reason } => Some((Wish::Resume, reason)),
            Self::Flatten { closing } => Some((Wish::Flatten, &closing.reason)),
            Self::Close { symbol, closing } => Some((Wish::Close(*symbol), &closing.reason)),
            _ => None,
        }
    }

    /// What is sent to the daemon.
    pub fn request(&self) -> Request {
        let command = match self {
            Self::Status => return Request::Ask(Question::Status),
            Self::Engines => return Request::Ask(Question::Engines),
            Self::Positions => return Request::Ask(Question::Positions),
            Self::Pnl => return Request::Ask(Question::Pnl),
            Self::Start { scope } => Command::Start(scope.0),
            Self::Stop { scope } => Command::Stop(scope.0),
            Self::Restart { scope } => Command::Restart(scope.0),
            Self::Pause { scope } => Command::Pause(scope.0),
            Self::Resume { scope: Some(scope), .. } => Command::Unpause(scope.0),
            Self::Resume { scope: None, reason } => Command::Resume { reason: reason.clone() },
            Self::Halt { level, reason } => Command::Halt { level: (*level).into(), reason: reason.clone() },
            Self::Reload { dry_run: false } => Command::Reload,
            Self::Reload { dry_run: true } => Command::ReloadDryRun,
            Self::Flatten { closing } => Command::Halt { level: HaltLevel::Flatten, reason: closing.reason.clone() },
            Self::Close { symbol, closing } => Command::Close { symbol: *symbol, reason: closing.reason.clone() },
            Self::Rebalance { dry_run: true, .. } => return Request::Ask(Question::Positions),
            Self::Rebalance { dry_run: false, reason } => Command::Rebalance { reason: reason.clone() },
            #[cfg(feature = "fault-injection")]
            Self::Inject { symbol, fault } => Command::Inject { symbol: *symbol, fault: *fault },
        };
        Request::Do(command)
    }
}

/// `all`, or a symbol in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeArg(pub Scope);

impl FromStr for ScopeArg {
    type Err = <Symbol as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self(Scope::All));
        }
        text.to_ascii_uppercase().parse().map(|symbol| Self(Scope::One(symbol)))
    }
}

/// Levels of `levibot halt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HaltArg {
    /// Cancel entries on their way and refuse new ones
    #[value(alias = "entry_halt")]
    EntryHalt,
    /// Refuse increases as well; stops and exits stay live
    #[value(alias = "reduce_only")]
    ReduceOnly,
    /// Close every position
    Flatten,
}

impl From<HaltArg> for HaltLevel {
    fn from(level: HaltArg) -> Self {
        match level {
            HaltArg::EntryHalt => Self::EntryHalt,
            HaltArg::ReduceOnly => Self::ReduceOnly,
            HaltArg::Flatten => Self::Flatten,
        }
    }
}
