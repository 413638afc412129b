//! Commands and options, as clap reads them.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use levibot_core::domain::{HaltLevel, Symbol};

use crate::control::{Command, Question, Request, Scope};

/// For `after_help` of the top command.
pub const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused by the daemon, or it failed; the reason is on standard error
  2  the command line, the configuration or the data are wrong
  3  no daemon could be reached on the data folder, or it did not answer
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
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
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
    /// Lift the account's halt; with a symbol or `all`, undo a pause instead
    #[command(after_help = AFTER_HELP)]
    Resume {
        /// Paused engines: a symbol, or `all`. Without it, the account's halt is lifted
        #[arg(value_name = "SYMBOL|all")]
        scope: Option<ScopeArg>,
        /// Why, for the record of a lifted halt
        #[arg(long, value_name = "TEXT", default_value = REASON, conflicts_with = "scope")]
        reason: String,
    },
    /// Halt the account
    #[command(after_help = AFTER_HELP)]
    Halt {
        /// How much is forbidden
        #[arg(long, value_enum, default_value_t = HaltArg::ReduceOnly)]
        level: HaltArg,
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

impl ClientCommand {
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
