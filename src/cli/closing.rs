//! `levibot flatten` and `levibot close`: asking a daemon to close, and waiting until it has.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use levibot_core::domain::{HaltLevel, Symbol};

use super::{CliError, ClosingArgs, STOPPED_WITHIN, format, json, write};
use crate::control::{AccountView, Answer, Client, Command, FlatView, Question, Request, StatusView, SymbolView, flat};

/// How often the daemon is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Said of a daemon that lives on without its record.
const NO_RECORD: &str = "the daemon cannot write its record any more and sends no order; its log says why. Stop it, and ask \
                         again";

/// Halts at `Flatten` and waits until nothing is open.
pub(super) fn flatten(
    client: &mut Client,
    args: &ClosingArgs,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let began = Instant::now();
    done(client, Command::Halt { level: HaltLevel::Flatten, reason: args.reason.clone() })?;
    let mut progress = Progress::default();
    loop {
        let StatusView { account, journal_failed, .. } = *status(client)?;
        let view = FlatView::of(&account, None, began.elapsed());
        if journal_failed {
            return tell(&view.not_on_record(NO_RECORD), as_json, out);
        }
        // What the account shows may be of a moment before the halt.
        let is_over = view.flat && account.halt == HaltLevel::Flatten;
        if is_over || began.elapsed() >= args.limit {
            return tell(&if is_over { view } else { view.halt_lifted() }, as_json, out);
        }
        progress.tell(&view);
        sleep(LOOK_EVERY);
    }
}

/// Closes one symbol and waits until it was flat.
pub(super) fn close(
    client: &mut Client,
    symbol: Symbol,
    args: &ClosingArgs,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let began = Instant::now();
    let trips = |account: &AccountView| account.symbols.iter().find(|one| one.symbol == symbol).map(|one| one.trades);
    let before = status(client)?.account;
    done(client, Command::Close { symbol, reason: args.reason.clone() })?;
    let had_position = before.symbols.iter().any(|one| one.symbol == symbol && has_position(one));
    let mut progress = Progress::default();
    loop {
        let StatusView { account, journal_failed, .. } = *status(client)?;
        let view = FlatView::of(&account, Some(symbol), began.elapsed());
        if journal_failed {
            return tell(&view.not_on_record(NO_RECORD), as_json, out);
        }
        // Its engine may have entered again between two looks.
        if !view.flat && had_position && trips(&account) > trips(&before) {
            return tell(&view.closed_meanwhile(symbol), as_json, out);
        }
        if view.flat || began.elapsed() >= args.limit {
            return tell(&view, as_json, out);
        }
        progress.tell(&view);
        sleep(LOOK_EVERY);
    }
}

fn has_position(symbol: &SymbolView) -> bool {
    symbol.position.as_ref().is_some_and(|position| !position.dust)
}

fn done(client: &mut Client, command: Command) -> Result<(), CliError> {
    match client.request_within(&Request::Do(command), STOPPED_WITHIN)? {
        Answer::Done(_) => Ok(()),
        Answer::Refused(why) | Answer::Denied(why) => Err(CliError::Refused(format::clean(&why))),
        Answer::UnderWay(words) => Err(CliError::UnderWay(format::clean(&words))),
        _ => Err(CliError::Confused),
    }
}

fn status(client: &mut Client) -> Result<Box<StatusView>, CliError> {
    match client.request_within(&Request::Ask(Question::Status), STOPPED_WITHIN)? {
        Answer::Status(view) => Ok(view),
        _ => Err(CliError::Confused),
    }
}

fn tell(view: &FlatView, as_json: bool, out: &mut impl Write) -> Result<(), CliError> {
    write(out, &show_flat(view, as_json))?;
    if view.flat { Ok(()) } else { Err(CliError::NotDone(format::clean(&view.outcome))) }
}

/// What is printed of what a closing has come to; empty text where the error says it.
pub fn show_flat(view: &FlatView, as_json: bool) -> String {
    if as_json {
        return json(view).unwrap_or_default();
    }
    let halt = match view.halt {
        HaltLevel::None => String::new(),
        level => format!("; the account is halted ({level}), `levibot resume` lifts that"),
    };
    if view.flat { format!("{}{halt}\n", format::clean(&view.outcome)) } else { String::new() }
}

/// Tells on standard error what is left, whenever that changes.
#[derive(Default)]
struct Progress(String);

impl Progress {
    fn tell(&mut self, view: &FlatView) {
        let words = flat::words(&view.left);
        if !words.is_empty() && words != self.0 {
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "still open: {}", format::clean(&words));
            self.0 = words;
        }
    }
}
