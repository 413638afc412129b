//! The command line towards a running daemon: questions as tables or JSON, and commands.
//!
//! Everything is printed through the writer that the caller passes in; what went wrong comes back as a [`CliError`] with
//! its exit code.

mod args;
mod backtest;
mod backtest_args;
#[cfg(feature = "fault-injection")]
mod chaos;
mod closing;
mod format;
mod hand_over;
pub mod render;
mod stop_test;
mod tables;

use std::io::{self, Write};
use std::time::Duration;

pub use args::{
    AFTER_HELP, ClientArgs, ClientCommand, ClosingArgs, HaltArg, RiskCommand, ScopeArg, SimulateArgs, TestStopArgs,
};
pub use backtest::{BacktestCliError, run_backtest};
pub use backtest_args::BacktestArgs;
#[cfg(feature = "fault-injection")]
pub use chaos::ChaosArgs;
pub use closing::show_flat;
pub use hand_over::{MODEL_COMMANDS, hand_over, is_for_model};
use serde::Serialize;
pub use stop_test::run_stop_test;
pub use tables::show_simulation;

use crate::control::{Answer, Client, ClientError, ENDED, Question, Request, Wish, socket_path};
use render::Look;

/// Exit codes, as in [`AFTER_HELP`].
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// Refused by the daemon, or the output could not be written.
    pub const REFUSED: u8 = 1;
    /// The command line is wrong; clap ends with this.
    pub const USAGE: u8 = 2;
    /// No daemon could be reached, or it did not answer in time: a command may be carried out all the same.
    pub const UNREACHABLE: u8 = 3;
    /// Another process has the data folder.
    pub const LOCKED: u8 = 4;
}

/// A daemon that has not said hello after so long hangs, for whoever wants to stop something.
const REACHED_WITHIN: Duration = Duration::from_secs(2);
/// The same for one that has not carried out a halt; it waits for its account for 3 s itself.
const STOPPED_WITHIN: Duration = Duration::from_secs(4);

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No answer from the daemon. Its own message says what to do.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The daemon said no.
    #[error("refused: {0}")]
    Refused(String),
    /// The daemon has not said yes or no in time.
    #[error("still under way: {0}")]
    UnderWay(String),
    /// The answer belongs to another question.
    #[error("the daemon answered something else than it was asked: restart it with the version of this command")]
    Confused,
    /// Not everything is as it should be when the time is over; in words.
    #[error("{0}")]
    NotDone(String),
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl CliError {
    /// Whether a command that stops something is to be done without the daemon.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Confused | Self::UnderWay(_)) || self.is_absent()
    }

    /// Whether nobody listens at all: no daemon runs, or one is about to begin or to end.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Client(error) => matches!(error, ClientError::NoDaemon { .. } | ClientError::Closed { .. }),
            Self::Refused(why) => why == ENDED,
            _ => false,
        }
    }

    /// What the process should end with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Client(_) | Self::Confused | Self::UnderWay(_) => exit::UNREACHABLE,
            Self::Refused(_) | Self::NotDone(_) | Self::Output(_) => exit::REFUSED,
        }
    }
}

/// Carries `command` to the daemon of `args` and writes the outcome to `out`. A reader of `out` that has gone away is no
/// error: whatever was asked is done by then.
///
/// # Errors
/// [`CliError`]; print it, with its sources, and end with its exit code.
pub fn run_client(command: &ClientCommand, args: &ClientArgs, out: &mut impl Write) -> Result<(), CliError> {
    let request = command.request();
    let mut client = connect(command, args)?;
    match command {
        ClientCommand::Flatten { closing } => return closing::flatten(&mut client, closing, args.json, out),
        ClientCommand::Close { symbol, closing } => {
            return closing::close(&mut client, *symbol, closing, args.json, out);
        }
        _ => {}
    }
    let answer = match command.wish() {
        Some((Wish::Halt(_), _)) => client.request_within(&request, STOPPED_WITHIN)?,
        _ => client.request(&request)?,
    };
    if let (ClientCommand::Rebalance { dry_run: true, .. }, Answer::Account(view)) = (command, &answer) {
        return write(out, &tables::rebalance(view, args.json, Look::of_stdout()).ok_or(CliError::Confused)?);
    }
    match show(&request, &answer, args.json, Look::of_stdout()) {
        Some(text) => write(out, &text)?,
        None => return Err(CliError::Confused),
    }
    match answer {
        Answer::Refused(why) | Answer::Denied(why) => Err(CliError::Refused(format::clean(&why))),
        Answer::UnderWay(words) => Err(CliError::UnderWay(format::clean(&words))),
        _ => Ok(()),
    }
}

/// Who stops something does not wait for long for a daemon that hangs.
fn connect(command: &ClientCommand, args: &ClientArgs) -> Result<Client, ClientError> {
    let path = socket_path(&args.folder());
    match command.wish() {
        Some(_) => Client::connect_within(&path, REACHED_WITHIN),
        None => Client::connect(&path),
    }
}

/// Prints `text`. A reader that has gone away is no error.
///
/// # Errors
/// [`CliError::Output`].
pub fn write(out: &mut impl Write, text: &str) -> Result<(), CliError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(e)),
        _ => Ok(()),
    }
}

/// What to print; `None` when the answer does not fit the request.
fn show(request: &Request, answer: &Answer, as_json: bool, look: Look) -> Option<String> {
    match (request, answer) {
        // In text the caller says it, as an error.
        (_, Answer::Refused(_) | Answer::Denied(_) | Answer::UnderWay(_)) => {
            if as_json {
                json(answer)
            } else {
                Some(String::new())
            }
        }
        (Request::Ask(Question::Status), Answer::Status(view)) => {
            if as_json {
                json(view)
            } else {
                Some(render::status(view, look))
            }
        }
        (Request::Ask(Question::Engines), Answer::Engines(view)) => {
            if as_json {
                json(view)
            } else {
                Some(render::engines(view, look))
            }
        }
        (Request::Ask(Question::Positions), Answer::Account(view)) => {
            if as_json {
                json(view)
            } else {
                Some(render::positions(view, look))
            }
        }
        (Request::Ask(Question::Pnl), Answer::Account(view)) => {
            if as_json {
                json(view)
            } else {
                Some(render::profit(view, look))
            }
        }
        (Request::Do(_), Answer::Done(what)) => {
            if as_json {
                json(answer)
            } else {
                Some(format::clean(what) + "\n")
            }
        }
        _ => None,
    }
}

fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string_pretty(value).ok().map(|text| text + "\n")
}

#[cfg(test)]
mod tests;
