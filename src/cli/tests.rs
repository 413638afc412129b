use clap::{CommandFactory, Parser};
use levibot_core::domain::HaltLevel;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

use super::*;
use crate::control::{Command, Desk, EnginesView, Order, Scope, samples, serve};

#[derive(Debug, Parser)]
#[command(name = "levibot", after_help = AFTER_HELP)]
struct Top {
    #[command(flatten)]
    args: ClientArgs,
    #[command(subcommand)]
    command: ClientCommand,
}

fn parse(line: &str) -> Result<(Request, ClientArgs), clap::Error> {
    let top = Top::try_parse_from(std::iter::once("levibot").chain(line.split(' ')))?;
    Ok((top.command.request(), top.args))
}

fn command(line: &str) -> Command {
    match parse(line).unwrap().0 {
        Request::Do(command) => command,
        other => panic!("{other:?} is no command"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Top::command().debug_assert();
    let help = Top::command().render_help().to_string();
    assert!(help.contains("Exit codes") && help.contains("--data-dir <DIR>"), "{help}");
}

#[test]
fn words_become_requests() {
    let btc = Scope::One(samples::symbol("BTCUSDT"));
    let by_hand = || "by hand".to_owned();
    assert_eq!(command("start all"), Command::Start(Scope::All));
    assert_eq!(command("stop BTCUSDT"), Command::Stop(btc));
    assert_eq!(command("restart btcusdt"), Command::Restart(btc));
    assert_eq!(command("pause BTCUSDT"), Command::Pause(btc));
    assert_eq!(command("resume BTCUSDT"), Command::Unpause(btc));
    assert_eq!(command("resume all"), Command::Unpause(Scope::All));
    assert_eq!(command("resume"), Command::Resume { reason: by_hand() });
    assert_eq!(command("resume --reason checked"), Command::Resume { reason: "checked".to_owned() });
    assert_eq!(command("halt"), Command::Halt { level: HaltLevel::ReduceOnly, reason: by_hand() });
    assert_eq!(
        command("halt --level flatten --reason storm"),
        Command::Halt { level: HaltLevel::Flatten, reason: "storm".to_owned() }
    );
    assert_eq!(command("flatten"), Command::Halt { level: HaltLevel::Flatten, reason: by_hand() });
    let btc_symbol = samples::symbol("BTCUSDT");
    assert_eq!(
        command("close btcusdt --reason news"),
        Command::Close { symbol: btc_symbol, reason: "news".to_owned() }
    );
    assert_eq!(command("rebalance"), Command::Rebalance { reason: by_hand() });
    assert_eq!(parse("rebalance --dry-run").unwrap().0, Request::Ask(Question::Positions));
    assert_eq!(command("reload"), Command::Reload);
    assert_eq!(command("reload --dry-run"), Command::ReloadDryRun);
    let (request, args) = parse("pnl --json --data-dir data/other").unwrap();
    assert_eq!(request, Request::Ask(Question::Pnl));
    assert_eq!(args, ClientArgs { data_dir: Some("data/other".into()), json: true });
    assert_eq!(parse("status").unwrap().1.folder(), Path::new("data/default"));
}

#[test]
fn wrong_words_are_usage_errors() {
    let words = ["start", "stop ../x", "halt --level none", "resume BTCUSDT --reason x", "engines BTCUSDT", "dance"];
    let more = ["close", "close all", "flatten BTCUSDT", "flatten --for never"];
    for line in words.into_iter().chain(more) {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(exit::USAGE), "{line}: {error}");
    }
}

/// Runs a command line against a served desk.
async fn run(desk: &Desk, line: &str) -> (Result<(), CliError>, String) {
    let dir = tempfile::tempdir().unwrap();
    let _server = serve(&socket_path(dir.path()), desk.clone()).unwrap();
    let line = format!("{line} --data-dir {}", dir.path().display());
    let client = tokio::task::spawn_blocking(move || {
        let top = Top::try_parse_from(std::iter::once("levibot").chain(line.split(' '))).unwrap();
        let mut out = Vec::new();
        let outcome = run_client(&top.command, &top.args, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    });
    tokio::time::timeout(Duration::from_secs(20), client).await.unwrap().unwrap()
}

/// A daemon that says yes to a reload, and no to everything else.
fn answering(mut orders: mpsc::Receiver<Order>) {
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            let yes = order.command == Command::Reload;
            order.outcome.send(if yes { Ok("reloaded 3 files".to_owned()) } else { Err("not now".to_owned()) }).ok();
        }
    });
}

#[tokio::test]
async fn outcomes_reach_the_shell() {
    let (desk, orders) = Desk::new(samples::board(), crate::control::Audit::default());
    answering(orders);
    let (outcome, out) = run(&desk, "reload").await;
    assert_eq!((outcome.is_ok(), out.as_str()), (true, "reloaded 3 files\n"));
    let (outcome, out) = run(&desk, "stop all").await;
    let error = outcome.unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str(), out.as_str()), (exit::REFUSED, "refused: not now", ""));

    let (_, out) = run(&desk, "reload --json").await;
    assert_eq!(serde_json::from_str::<Answer>(&out).unwrap(), Answer::Done("reloaded 3 files".to_owned()));
    let (outcome, out) = run(&desk, "stop all --json").await;
    assert!(outcome.is_err());
    assert_eq!(serde_json::from_str::<Answer>(&out).unwrap(), Answer::Refused("not now".to_owned()));
}

#[tokio::test]
async fn views_come_as_tables_or_as_the_views_own_json() {
    let (desk, _orders) = Desk::new(samples::board(), crate::control::Audit::default());
    for (line, words) in
        [("status", "trading time"), ("engines", "LAST BAR"), ("positions", "ENTRY"), ("pnl", "realised")]
    {
        let (outcome, out) = run(&desk, line).await;
        assert!(outcome.is_ok() && out.contains(words), "{line}: {out}");
    }
    let (_, out) = run(&desk, "engines --json").await;
    assert_eq!(serde_json::from_str::<EnginesView>(&out).unwrap(), samples::engines());
    let (_, out) = run(&desk, "pnl --json").await;
    assert_eq!(serde_json::from_str::<crate::control::AccountView>(&out).unwrap(), samples::account());
    let (_, out) = run(&desk, "status --json").await;
    assert_eq!(serde_json::from_str::<crate::control::StatusView>(&out).unwrap(), samples::board().status());
}

#[test]
fn no_daemon_is_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let args = ClientArgs { data_dir: Some(dir.path().to_owned()), json: false };
    let error = run_client(&ClientCommand::Status, &args, &mut Vec::new()).unwrap_err();
    assert_eq!(error.exit_code(), exit::UNREACHABLE);
    assert!(error.to_string().contains("scripts/run.sh"), "{error}");
}

#[test]
fn an_answer_to_another_question_is_noticed() {
    let answer = Answer::Engines(EnginesView::default());
    assert_eq!(show(&Request::Ask(Question::Pnl), &answer, true, Look::PLAIN), None);
}

struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_error() {
    assert!(write(&mut Broken(io::ErrorKind::BrokenPipe), "text").is_ok());
    let error = write(&mut Broken(io::ErrorKind::StorageFull), "text").unwrap_err();
    assert_eq!(error.exit_code(), exit::REFUSED);
}

#[test]
fn a_daemon_that_ends_before_it_answers_is_absent() {
    let ended = CliError::Refused(ENDED.to_owned());
    assert!(ended.is_absent() && ended.is_unanswered());
    let refused = CliError::Refused("no".to_owned());
    assert!(!refused.is_absent() && !refused.is_unanswered());
}
