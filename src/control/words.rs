//! Requests and answers, as they travel in frames.

use levibot_core::account::AccountView;
use levibot_core::domain::{HaltLevel, Symbol};
use serde::{Deserialize, Serialize};

use super::board::{EnginesView, StatusView};
use super::stops::StopView;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The daemon as a whole.
    Status,
    /// The engines.
    Engines,
    /// Open positions.
    Positions,
    /// Profit and loss.
    Pnl,
    /// How the engines were stopped last, since the daemon started.
    Stop,
}

/// Which engines a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every configured engine.
    All,
    /// One.
    One(Symbol),
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Start stopped or quarantined engines.
    Start(Scope),
    /// Stop engines; positions stay protected.
    Stop(Scope),
    /// Stop and start again, clearing a quarantine.
    Restart(Scope),
    /// Freeze entries; the engine goes on reading bars.
    Pause(Scope),
    /// Undo a pause.
    Unpause(Scope),
    /// Halt the account.
    Halt {
        /// How much is forbidden.
        level: HaltLevel,
        /// Why, for the record.
        reason: String,
    },
    /// Lift the account's halt.
    Resume {
        /// Why, for the record.
        reason: String,
    },
    /// Read configuration, limits, trading rules and strategies again, and take over what has changed.
    Reload,
    /// Make an engine commit a fault. Refused unless prices and orders are simulated.
    #[cfg(feature = "fault-injection")]
    Inject {
        /// Whose engine.
        symbol: Symbol,
        /// Which fault.
        fault: super::Fault,
    },
    /// The same, but only say what would change. Does not go on record.
    ReloadDryRun,
    /// Cancel the entries of a symbol and close its position.
    Close {
        /// Which.
        symbol: Symbol,
        /// Why, for the record.
        reason: String,
    },
    /// Rebalance the open positions now.
    Rebalance {
        /// Why, for the record.
        reason: String,
    },
    /// Reckon with a loss that is not there, until the next resume: the account stops as it would. Paper accounts only.
    Drill {
        /// A fraction of the day's starting equity, over zero.
        loss: f64,
        /// Why, for the record.
        reason: String,
    },
}

/// A command that stops, or lifts a stop: it is done also where no daemon runs or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Halt the account.
    Halt(HaltLevel),
    /// Lift its halt.
    Resume,
    /// Halt it at `Flatten` and close everything.
    Flatten,
    /// Close one symbol.
    Close(Symbol),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A question; changes nothing.
    Ask(Question),
    /// A command; goes on record.
    Do(Command),
    /// A command that is carried out once, however often it comes: the same caller gets the first one's answer again.
    Once {
        /// What tells this command from another of the same words, at most 128 bytes.
        key: String,
        /// The command.
        command: Command,
    },
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Question::Status`].
    Status(Box<StatusView>),
    /// To [`Question::Engines`].
    Engines(EnginesView),
    /// To [`Question::Positions`] and [`Question::Pnl`].
    Account(Box<AccountView>),
    /// To [`Question::Stop`]; `None` when they were not stopped.
    Stop(Option<StopView>),
    /// A command was carried out; what was done.
    Done(String),
    /// Who asks may not; why.
    Denied(String),
    /// A command was not carried out; why.
    Refused(String),
    /// A command is being carried out and its outcome is not known yet.
    UnderWay(String),
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scope = |f: &mut std::fmt::Formatter<'_>, verb: &str, scope: &Scope| match scope {
            Scope::All => write!(f, "{verb} all"),
            Scope::One(symbol) => write!(f, "{verb} {symbol}"),
        };
        match self {
            Self::Start(s) => scope(f, "start", s),
            Self::Stop(s) => scope(f, "stop", s),
            Self::Restart(s) => scope(f, "restart", s),
            Self::Pause(s) => scope(f, "pause", s),
            Self::Unpause(s) => scope(f, "resume", s),
            Self::Halt { level, reason } => write!(f, "halt {level}: {reason}"),
            Self::Resume { reason } => write!(f, "resume: {reason}"),
            Self::Reload => f.write_str("reload"),
            #[cfg(feature = "fault-injection")]
            Self::Inject { symbol, fault } => write!(f, "inject {symbol} {fault}"),
            Self::ReloadDryRun => f.write_str("reload (dry run)"),
            Self::Close { symbol, reason } => write!(f, "close {symbol}: {reason}"),
            Self::Rebalance { reason } => write!(f, "rebalance: {reason}"),
            Self::Drill { loss, reason } => write!(f, "drill of a loss of {:.2} %: {reason}", 100.0 * loss),
        }
    }
}
