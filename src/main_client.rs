//! Commands to a running daemon, and what is done of them where none runs or answers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use levibot::app::offline::{CloseRequest, StopRequest, Stopped, close, stop};
use levibot::app::{AppError, Summary};
use levibot::cli::{self, CliError, ClientArgs, ClientCommand, ClosingArgs};
use levibot::config::Overrides;
use levibot::control::{Answer, FlatView, Wish, user_of};
use levibot::journal::JournalError;
use levibot::telemetry::logs;
use levibot_core::domain::{Reason, Symbol};

use super::{complain, ended, fail, load, say};

/// How long somebody who holds a folder may take until it listens at its socket, or has left, once nobody answers there.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// Asks the daemon. A command that stops something is done without it where it does not answer.
pub(crate) fn ask(command: &ClientCommand, client: &ClientArgs) -> u8 {
    let mut absent_since: Option<Instant> = None;
    // There is one a process, however often it is tried.
    let mut log = None;
    let halts = matches!(command.wish(), Some((Wish::Halt(_) | Wish::Flatten, _)));
    loop {
        // What is said of an answer that is not the last word is not printed.
        let mut shown = Vec::new();
        let outcome = cli::run_client(command, client, &mut shown);
        let (error, wish, reason) = match (outcome, command.wish()) {
            // A halt that is refused is as good as one without an answer: it is to stand all the same.
            (Err(error), Some((wish, reason)))
                if error.is_unanswered() || (halts && matches!(error, CliError::Refused(_))) =>
            {
                (error, wish, reason)
            }
            (outcome, _) => {
                let written = cli::write(&mut std::io::stdout(), &String::from_utf8_lossy(&shown));
                return ended(outcome.and(written));
            }
        };
        let by = user_of(nix::unistd::Uid::effective().as_raw());
        let reason = Reason { by, text: reason.to_owned() };
        let database = named_database(command, client);
        match stop(&StopRequest { dir: client.folder(), wish, reason: reason.clone(), database }) {
            // Whoever holds the folder may be about to listen, or to leave it.
            Ok(Stopped::Stuck(_)) if error.is_absent() && waits(&mut absent_since) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => match stopped(outcome, &error, command, client, reason, &mut log) {
                Some(code) => return code,
                None if waits(&mut absent_since) => {}
                None => return cli::exit::LOCKED,
            },
        }
    }
}

/// Whether it is still worth asking again; the first question begins it.
fn waits(since: &mut Option<Instant>) -> bool {
    since.get_or_insert_with(Instant::now).elapsed() < LISTENS_WITHIN
}

/// Where the configuration that is named has the tables. One that cannot be read is told when prices are needed.
fn named_database(command: &ClientCommand, client: &ClientArgs) -> Option<PathBuf> {
    let (ClientCommand::Flatten { closing } | ClientCommand::Close { closing, .. }) = command else { return None };
    let overrides = Overrides { data_dir: Some(client.folder()), ..Overrides::default() };
    let config = load(Some(closing.config.as_deref()?), &overrides).ok()?;
    Some(config.store.path(&client.folder()))
}

/// Says what a command has come to that was done without the daemon; closes what it left open. `None` when somebody else
/// has taken the folder for that first: the same is asked again, of whoever it is.
fn stopped(
    outcome: Result<Stopped, AppError>,
    error: &CliError,
    command: &ClientCommand,
    client: &ClientArgs,
    reason: Reason,
    log: &mut Option<logs::LogGuard>,
) -> Option<u8> {
    let only = match command {
        ClientCommand::Close { symbol, .. } => Some(*symbol),
        _ => None,
    };
    let flat = |view: FlatView| {
        say(cli::show_flat(&view, client.json).trim_end());
        if view.flat {
            return 0;
        }
        complain(&CliError::NotDone(view.outcome));
        1
    };
    Some(match outcome {
        Ok(Stopped::Done(text)) => {
            let json = || serde_json::to_string_pretty(&Answer::Done(text.clone())).unwrap_or_default();
            say(&if client.json { json() } else { text });
            0
        }
        Ok(Stopped::Flat(account)) => flat(FlatView::of(&account, only, Duration::ZERO)),
        Ok(Stopped::Stuck(stuck)) => {
            if client.json {
                say(&format!("{:#}", stuck.json()));
            }
            complain(error);
            complain(&stuck);
            cli::exit::UNREACHABLE
        }
        Ok(Stopped::Open { configurations }) => match command {
            ClientCommand::Flatten { closing } | ClientCommand::Close { closing, .. } => {
                match close_alone(closing, client, configurations, only, reason, log) {
                    Ok(summary) => {
                        let view = FlatView::of(&summary.account, only, summary.took);
                        let view = if only.is_none() { view.halt_lifted() } else { view };
                        flat(match summary.closed.failure {
                            Some(failure) => view.not_on_record(&failure),
                            None => view,
                        })
                    }
                    Err(AppError::Journal(JournalError::Locked { .. })) => return None,
                    Err(error) => fail(&error),
                }
            }
            _ => 0,
        },
        Err(error) => fail(&error),
    })
}

fn close_alone(
    closing: &ClosingArgs,
    client: &ClientArgs,
    configurations: BTreeSet<String>,
    only: Option<Symbol>,
    reason: Reason,
    log: &mut Option<logs::LogGuard>,
) -> Result<Summary, AppError> {
    let overrides = Overrides { data_dir: Some(client.folder()), ..Overrides::default() };
    let config = load(closing.config.as_deref(), &overrides)?;
    let (named, limit) = (closing.config.is_some(), closing.limit);
    if log.is_none() {
        *log = Some(super::log(&config)?);
    }
    close(CloseRequest { config, overrides, named, configurations, only, reason, limit })
}
