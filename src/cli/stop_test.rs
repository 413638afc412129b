//! `levibot risk test-stop`: drives a paper account into the day's stop, and shows how it stopped.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::render::Look;
use super::{CliError, ClientArgs, TestStopArgs, format, json, tables, write};
use crate::control::{Answer, Client, Command, EnginesView, Question, Request, StopView, socket_path};

/// Everything is to have stopped so soon after the drill was taken.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// How long engines may take to run again between two drills.
const RESUMED_WITHIN: Duration = Duration::from_secs(60);
/// How often the daemon is asked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Whether every stop was whole and in time.
    stopped: bool,
    /// What was not, in words.
    reasons: Vec<String>,
    /// The last stop.
    stop: Option<StopView>,
    /// Of all drills: from the input that confirmed the loss until all had stopped, sorted.
    took_ms: Vec<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// Drills the daemon of `to`, as often as it is asked for, and writes how it stopped to `out`; the account stays halted
/// after the last one.
///
/// # Errors
/// [`CliError`]; among them [`CliError::NotDone`] when not everything stopped in time.
pub fn run_stop_test(args: &TestStopArgs, to: &ClientArgs, out: &mut impl Write) -> Result<(), CliError> {
    let client = &mut Client::connect(&socket_path(&to.folder()))?;
    let mut outcome =
        Outcome { stopped: true, reasons: Vec::new(), stop: None, took_ms: Vec::new(), p50_ms: None, p99_ms: None };
    for round in 0..args.repeat {
        if round > 0 {
            resume(client)?;
        }
        outcome.stop = drill(client, args, &mut outcome.reasons)?;
        outcome.took_ms.extend(outcome.stop.as_ref().and_then(|stop| stop.took_ms));
        if !outcome.reasons.is_empty() {
            break;
        }
    }
    outcome.stopped = outcome.reasons.is_empty();
    outcome.took_ms.sort_by(f64::total_cmp);
    (outcome.p50_ms, outcome.p99_ms) = (quantile(&outcome.took_ms, 0.5), quantile(&outcome.took_ms, 0.99));
    write(out, &if to.json { json(&outcome).unwrap_or_default() } else { shown(&outcome) })?;
    if outcome.stopped { Ok(()) } else { Err(CliError::NotDone(format::clean(&outcome.reasons.join("; ")))) }
}

/// One drill, until all has stopped or the time is over.
fn drill(client: &mut Client, args: &TestStopArgs, reasons: &mut Vec<String>) -> Result<Option<StopView>, CliError> {
    let before = stop(client)?.map_or(0, |stop| stop.number);
    let (began, reason) = (Instant::now(), "risk test-stop".to_owned());
    done(client, Command::Drill { loss: -args.daily_loss / 100.0, reason })?;
    loop {
        let found = stop(client)?.filter(|stop| stop.number > before);
        let engines = engines(client)?;
        let in_order = found.as_ref().is_some_and(|stop| stop.took_ms.is_some()) && engines.running == 0;
        let is_late = began.elapsed() >= STOPPED_WITHIN;
        if in_order || is_late {
            if !in_order {
                reasons.extend(lacking(found.as_ref(), &engines));
            }
            return Ok(found);
        }
        sleep(LOOK_EVERY);
    }
}

/// What has not stopped.
fn lacking(found: Option<&StopView>, engines: &EnginesView) -> Vec<String> {
    let within = STOPPED_WITHIN.as_secs();
    let Some(found) = found else {
        return vec![format!(
            "the account did not stop within {within} s: the loss is confirmed by market data, which must come in \
             (`levibot status` shows whether bars do). The drill stands: the next market data stop the account; `levibot \
             resume` lifts it"
        )];
    };
    let mut reasons = Vec::new();
    if found.cancelled_ms.is_none() {
        reasons.push(format!("{} cancel(s) wait for the journal or the venue after {within} s", found.cancels));
    }
    for engine in found.engines.iter().filter(|engine| engine.stopped_ms.is_none()) {
        reasons.push(format!("{} runs after {within} s", engine.symbol));
    }
    if engines.running > 0 {
        reasons.push(format!("{} engine(s) show as running after {within} s", engines.running));
    }
    reasons
}

fn resume(client: &mut Client) -> Result<(), CliError> {
    done(client, Command::Resume { reason: "risk test-stop goes on".to_owned() })?;
    let began = Instant::now();
    loop {
        let view = engines(client)?;
        if view.engines.iter().all(|engine| engine.status == "running") {
            return Ok(());
        }
        if began.elapsed() >= RESUMED_WITHIN {
            let text = format!(
                "{} of {} engines run {} s after the resume",
                view.running,
                view.total,
                RESUMED_WITHIN.as_secs()
            );
            return Err(CliError::NotDone(text));
        }
        sleep(LOOK_EVERY);
    }
}

fn done(client: &mut Client, command: Command) -> Result<(), CliError> {
    match client.request(&Request::Do(command))? {
        Answer::Done(_) => Ok(()),
        Answer::Refused(why) => Err(CliError::Refused(format::clean(&why))),
        Answer::UnderWay(words) => Err(CliError::UnderWay(format::clean(&words))),
        _ => Err(CliError::Confused),
    }
}

fn stop(client: &mut Client) -> Result<Option<StopView>, CliError> {
    match client.request(&Request::Ask(Question::Stop))? {
        Answer::Stop(view) => Ok(view),
        _ => Err(CliError::Confused),
    }
}

fn engines(client: &mut Client) -> Result<EnginesView, CliError> {
    match client.request(&Request::Ask(Question::Engines))? {
        Answer::Engines(view) => Ok(view),
        _ => Err(CliError::Confused),
    }
}

/// The nearest-rank quantile of sorted figures.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let rank = (q * sorted.len() as f64).ceil().max(1.0);
    sorted.iter().zip(1_u32..).find(|(_, at)| f64::from(*at) >= rank).map(|(figure, _)| *figure)
}

fn shown(outcome: &Outcome) -> String {
    let mut text = outcome.stop.as_ref().map(|stop| tables::stop(stop, Look::of_stdout())).unwrap_or_default();
    if let (Some(p50), Some(p99), true) = (outcome.p50_ms, outcome.p99_ms, outcome.took_ms.len() > 1) {
        let most = outcome.took_ms.last().copied().unwrap_or_default();
        text += &format!(
            "\n{} drills, from the input that confirmed the loss until all had stopped: p50 {p50:.3} ms, p99 {p99:.3} ms, \
             most {most:.3} ms\n",
            outcome.took_ms.len()
        );
    }
    if outcome.stopped {
        text += "\nevery engine has stopped; the account stays halted: `levibot resume` lifts the halt and ends the drill\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::RiskCommand;

    #[derive(Debug, Parser)]
    struct Top {
        #[command(subcommand)]
        command: RiskCommand,
    }

    #[test]
    fn a_loss_is_under_zero_and_not_more_than_everything() {
        let parse = |line: &str| Top::try_parse_from(std::iter::once("risk").chain(line.split(' ')));
        let Ok(Top { command: RiskCommand::TestStop(args) }) = parse("test-stop --daily-loss -4.0") else {
            panic!("a drill");
        };
        assert_eq!((args.daily_loss, args.repeat), (-4.0, 1));
        assert!(parse("simulate --symbols 10 --equity 10000").is_ok());
        for loss in ["4.0", "0", "-101", "nan", "much"] {
            assert!(parse(&format!("test-stop --daily-loss {loss}")).is_err(), "{loss}");
        }
        for line in ["simulate --symbols 0", "test-stop", "test-stop --daily-loss -4 --repeat 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn quantiles_are_figures_that_were_seen() {
        let all: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&all, 0.5), quantile(&all, 0.99)), (Some(50.0), Some(99.0)));
        assert_eq!((quantile(&[7.0], 0.99), quantile(&[], 0.5)), (Some(7.0), None));
    }
}
