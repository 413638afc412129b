//! Commands that stop: with a daemon, without one, and beside one that hangs.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::record::{assert_unique, of_type, positions, records};
use crate::support::{Home, Outcome, SYMBOLS, eventually};

const QUICK: f64 = 6_000.0;

fn audited(home: &Home) -> Value {
    let audit = home.ask_json(&["audit"]);
    assert_eq!(audit["clean"], true, "{audit}");
    assert_unique(&records(&home.data()));
    audit
}

fn open(home: &Home) -> BTreeMap<String, Decimal> {
    positions(&records(&home.data()))
}

/// Runs a daemon and kills it with positions open.
fn kill_in_a_position(home: &Home) {
    // One may close by itself just before the kill.
    for _ in 0..5 {
        let mut daemon = home.run(&[]);
        daemon.ready();
        eventually("a position is open", || (!open(home).is_empty()).then_some(()));
        daemon.kill();
        if !open(home).is_empty() {
            return;
        }
    }
    panic!("every time it was flat when it was killed");
}

/// A folder whose daemon was killed with positions open.
fn killed() -> Home {
    let home = Home::simulated(QUICK);
    kill_in_a_position(&home);
    home
}

fn with_config(home: &Home, args: &[&str]) -> Outcome {
    let config = home.config();
    home.ask(&[args, &["--config", config.to_str().unwrap()]].concat())
}

fn latched(home: &Home) -> Option<String> {
    let text = fs::read_to_string(home.data().join("HALT")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["level"].as_str().map(str::to_owned)
}

fn halt_of(home: &Home) -> String {
    home.ask_json(&["status"])["account"]["halt"].as_str().unwrap().to_owned()
}

#[test]
fn a_running_daemon_is_flattened_and_the_command_waits_for_it() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("a position is open", || (!open(&home).is_empty()).then_some(()));
    let flat = home.ask_json(&["flatten", "--reason", "enough"]);
    assert_eq!((&flat["flat"], &flat["halt"]), (&true.into(), &"flatten".into()), "{flat}");
    assert!(open(&home).is_empty());
    assert_eq!(latched(&home).as_deref(), Some("flatten"));
    // The same again is done at once.
    let again = home.ask(&["flatten"]);
    assert!(again.ended_with(0).contains("flat: no position and no order"), "{}", again.out);
    home.ask(&["halt"]).ended_with(0);
    home.ask(&["close", "ADAUSDT"]).refused_with(1, &["does not trade ADAUSDT", "BTCUSDT"]);
    home.ask(&["close", "no symbol"]).refused_with(2, &["no symbol"]);
    assert!(home.ask(&["close", "btcusdt"]).ended_with(0).contains("BTCUSDT is flat"));
    daemon.stop().ended_with(0);
    assert_eq!(audited(&home)["positions_value"], "0");
    let records = records(&home.data());
    assert_eq!(of_type(&records, "halt").len(), 1);
    assert_eq!(of_type(&records, "command")[0]["command"], "halt flatten: enough");
}

#[test]
fn one_symbol_is_closed_with_a_daemon_and_without() {
    let home = Home::simulated(600.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let first = || open(&home).into_keys().next();
    // One may close by itself before it is closed by hand; then another is tried.
    let close = eventually("one is closed by hand", || {
        let symbol = first()?;
        let closed = home.ask_json(&["close", &symbol, "--reason", "news"]);
        assert_eq!((&closed["flat"], &closed["halt"]), (&true.into(), &"none".into()), "{closed}");
        let found = records(&home.data());
        of_type(&found, "close").last().map(|close| (symbol, Value::clone(close)))
    });
    assert_eq!((&close.1["symbol"], &close.1["reason"]["text"]), (&close.0.into(), &"news".into()));
    daemon.stop().ended_with(0);

    kill_in_a_position(&home);
    let symbol = first().unwrap();
    let others = open(&home).into_keys().filter(|other| *other != symbol).count();
    home.set_speed(QUICK);
    let done = with_config(&home, &["close", &symbol, "--json"]);
    done.ended_with(0);
    assert_eq!((&done.json()["flat"], &done.json()["halt"]), (&true.into(), &"none".into()), "{}", done.out);
    let left = open(&home);
    assert!(!left.contains_key(&symbol) && left.len() <= others, "{left:?}");
    let count = records(&home.data()).len();
    home.ask(&["close", &symbol]).ended_with(0);
    assert_eq!(records(&home.data()).len(), count, "there is nothing to close");
    audited(&home);
    // Nothing is halted, and a start trades.
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(halt_of(&home), "none");
    daemon.stop().ended_with(0);
    audited(&home);
}

#[test]
fn an_account_without_a_daemon_is_halted_and_resumed_on_its_record() {
    let home = killed();
    let before = records(&home.data()).len();
    let done = home.ask(&["halt", "--level", "entry-halt", "--reason", "a test"]);
    assert!(done.ended_with(0).contains("halted at entry-halt without a daemon"), "{}", done.out);
    assert_eq!(latched(&home).as_deref(), Some("entry_halt"));
    let now = records(&home.data());
    let kinds: Vec<&str> = now[before..].iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"ended")), "{kinds:?}");
    assert!(kinds.contains(&"halt") && kinds.contains(&"command"), "{kinds:?}");
    audited(&home);
    let entries: Vec<_> = of_type(&now, "intent").into_iter().filter(|i| i["order"]["leg"] == "entry").collect();
    let over: Vec<&Value> = of_type(&now, "done").into_iter().map(|done| &done["order"]).collect();
    assert!(entries.iter().all(|entry| over.contains(&&entry["order"]["id"])), "no entry is left");

    // The same again, and less, add nothing; more does.
    for level in ["entry-halt", "entry-halt"] {
        assert!(home.ask(&["halt", "--level", level]).ended_with(0).contains("already halted at entry-halt"));
    }
    assert_eq!(records(&home.data()).len(), now.len());
    let answer = home.ask_json(&["halt", "--level", "reduce-only"]);
    assert!(answer["done"].as_str().unwrap().starts_with("halted at reduce-only"), "{answer}");
    home.ask(&["halt", "--level", "entry-halt"]).ended_with(0);
    assert_eq!(latched(&home).as_deref(), Some("reduce_only"));

    // A daemon finds the halt.
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(halt_of(&home), "reduce_only");
    daemon.kill();

    let done = home.ask(&["resume", "--reason", "all is well"]);
    assert!(done.ended_with(0).contains("resumed without a daemon"), "{}", done.out);
    assert_eq!(latched(&home), None);
    assert!(home.ask(&["resume"]).ended_with(0).contains("nothing was halted"));
    audited(&home);
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(halt_of(&home), "none");
    daemon.stop().ended_with(0);
    audited(&home);
    // All these lives are run again to the same decisions and records.
    let again = with_config(&home, &["replay-record", "--json"]);
    again.ended_with(0);
    assert_eq!(again.json()["different"], 0, "{}", again.out);
}

#[test]
fn a_torn_line_is_set_aside_by_a_command_as_by_a_start() {
    let home = killed();
    let path = crate::record::journal_path(&home.data());
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"half a li");
    fs::write(&path, bytes).unwrap();
    home.ask(&["halt"]).ended_with(0);
    audited(&home);
    let kept = fs::read_dir(home.data()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(kept.filter(|name| name.starts_with("journal.torn-")).count(), 1);
}

#[test]
fn an_account_without_a_daemon_is_flattened_by_a_run_that_does_nothing_else() {
    let home = killed();
    // Not with the prices of another configuration, and halted all the same.
    home.ask(&["flatten"]).refused_with(2, &["--config", "no run in"]);
    assert_eq!(latched(&home).as_deref(), Some("flatten"));
    audited(&home);
    let before = records(&home.data()).len();
    let done = with_config(&home, &["flatten", "--json"]);
    done.ended_with(0);
    let flat: Value = done.json();
    assert_eq!((&flat["flat"], &flat["halt"]), (&true.into(), &"flatten".into()), "{flat}");
    assert!(open(&home).is_empty());
    let after = records(&home.data());
    assert!(of_type(&after[before..], "intent").iter().all(|intent| intent["order"]["leg"] == "exit"));
    assert!(of_type(&after[before..], "decision").is_empty(), "no engine runs");
    let frozen = of_type(&after[before..], "freeze");
    assert!(frozen.iter().all(|freeze| freeze["cause"] == "engine" && freeze["reason"].is_string()), "{frozen:?}");
    assert_eq!(frozen.len(), SYMBOLS.len(), "nothing may be added");
    let command = of_type(&after, "command").last().unwrap().to_owned();
    assert!(command["outcome"].as_str().unwrap().contains("without a daemon; flat"), "{command}");
    assert_eq!(audited(&home)["open_orders"], 0);
    // Flat already: nothing is run and nothing is written.
    with_config(&home, &["flatten"]).ended_with(0);
    home.ask(&["flatten"]).ended_with(0);
    assert_eq!(records(&home.data()).len(), after.len());
    // It stays halted until a person resumes.
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(halt_of(&home), "flatten");
    daemon.stop().ended_with(0);
    audited(&home);
}

#[test]
fn a_flatten_that_is_killed_goes_on_when_it_is_asked_for_again() {
    let home = killed();
    // In a market that stands no order is ever live at the venue, where it takes so long to get there.
    home.set_speed(0.001);
    home.configure(|config| config["paper"]["latency"] = "1m".into());
    let config = home.config();
    let data = home.data();
    let args = ["flatten", "--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    for _ in 0..2 {
        let flattening = home.start(&args);
        eventually("it is at work", || (latched(&home).as_deref() == Some("flatten")).then_some(()));
        let halted = || of_type(&records(&home.data()), "halt").iter().any(|halt| halt["level"] == "flatten");
        eventually("it is on record", || halted().then_some(()));
        flattening.kill();
        audited(&home);
    }
    // What is not done in time is named.
    with_config(&home, &["flatten", "--for", "1s"]).refused_with(1, &["not closed after", "USDT"]);
    audited(&home);
    home.set_speed(QUICK);
    with_config(&home, &["flatten"]).ended_with(0);
    assert!(open(&home).is_empty());
    assert_eq!(audited(&home)["open_orders"], 0);
}

#[test]
fn two_who_stop_at_once_do_not_disturb_each_other() {
    let home = killed();
    let config = home.config();
    let data = home.data();
    let flatten = ["flatten", "--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let halt = ["halt", "--data-dir", data.to_str().unwrap()];
    let running = [&flatten[..], &flatten, &halt, &halt].map(|args| home.start(args));
    for outcome in running.map(crate::support::Daemon::wait) {
        outcome.ended_with(0);
    }
    assert!(open(&home).is_empty());
    assert_eq!(latched(&home).as_deref(), Some("flatten"));
    audited(&home);
}

#[test]
fn a_daemon_that_hangs_finds_the_halt_when_it_wakes_up() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    daemon.signal(Signal::SIGSTOP);
    let pid = daemon.pid().to_string();
    let stuck = home.ask(&["halt", "--reason", "it hangs"]);
    stuck.refused_with(3, &["does not answer", &pid, "latch file is written (reduce-only)", "nothing was sent"]);
    assert_eq!(latched(&home).as_deref(), Some("reduce_only"));
    home.ask(&["resume"]).refused_with(3, &["not lifted", &pid]);
    let close = home.ask(&["close", "BTCUSDT", "--json"]);
    close.ended_with(3);
    assert_eq!(close.json()["stuck"]["latched"], "reduce_only");
    home.ask(&["flatten"]).refused_with(3, &["kill -9", "levibot flatten"]);
    assert_eq!(latched(&home).as_deref(), Some("flatten"));
    daemon.signal(Signal::SIGCONT);
    eventually("it halts by itself", || (halt_of(&home) == "flatten").then_some(()));
    home.ask(&["flatten"]).ended_with(0);
    assert_eq!(home.ask_json(&["engines"])["running"], 0);
    daemon.stop().ended_with(0);
    let records = records(&home.data());
    let halt = of_type(&records, "halt").last().unwrap().to_owned();
    assert_eq!(halt["level"], "flatten", "{halt}");
    audited(&home);
}

#[test]
fn the_latch_file_halts_by_hand_and_lifts_nothing_by_hand() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let latch = home.data().join("HALT");
    fs::write(&latch, "stop").unwrap();
    eventually("it halts", || (halt_of(&home) == "reduce_only").then_some(()));
    fs::remove_file(&latch).unwrap();
    eventually("the file is back", || (latched(&home).as_deref() == Some("reduce_only")).then_some(()));
    assert_eq!(halt_of(&home), "reduce_only");
    assert!(daemon.log().contains("removed or lowered by hand"), "{}", daemon.log());
    home.ask(&["resume"]).ended_with(0);
    assert!(!latch.exists());
    // It stays lifted.
    let bars = home.ask_json(&["status"])["bars"].as_u64().unwrap();
    eventually("bars come in", || (home.ask_json(&["status"])["bars"].as_u64().unwrap() > bars + 100).then_some(()));
    assert_eq!(halt_of(&home), "none");
    daemon.signal(Signal::SIGUSR1);
    eventually("a signal halts too", || (halt_of(&home) == "reduce_only").then_some(()));
    let by_signal =
        || of_type(&records(&home.data()), "command").last().is_some_and(|command| command["by"] == "SIGUSR1");
    eventually("it is on record", || by_signal().then_some(()));
    daemon.stop().ended_with(0);
    audited(&home);
}

#[test]
fn a_signal_that_comes_while_the_daemon_starts_halts_it() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    eventually("it has begun", || home.data().join("levibot.lock").exists().then_some(()));
    daemon.signal(Signal::SIGUSR1);
    eventually("it halts", || (latched(&home).as_deref() == Some("reduce_only")).then_some(()));
    eventually("on record too", || of_type(&records(&home.data()), "halt").len().eq(&1).then_some(()));
    daemon.ready();
    daemon.stop().ended_with(0);
    // A file that cannot be read halts the next one, and does not keep it from starting.
    let latch = home.data().join("HALT");
    fs::remove_file(&latch).unwrap();
    fs::create_dir(&latch).unwrap();
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(halt_of(&home), "reduce_only");
    home.ask(&["resume"]).refused_with(1, &["halted again", "remove the latch file", "by hand"]);
    fs::remove_dir(&latch).unwrap();
    home.ask(&["resume"]).ended_with(0);
    assert_eq!(halt_of(&home), "none");
    // Any halt in force keeps drills away: what one makes could not be told from it.
    home.ask(&["halt", "--level", "entry-halt"]).ended_with(0);
    home.ask(&["risk", "test-stop", "--daily-loss", "-60"]).refused_with(1, &["halted (entry-halt)", "levibot resume"]);
    assert_eq!(of_type(&records(&home.data()), "drill").len(), 0);
    daemon.stop().ended_with(0);
    audited(&home);
}

#[test]
fn what_cannot_be_stopped_is_told() {
    let home = Home::simulated(QUICK);
    // No folder, and none is made.
    home.ask(&["halt"]).refused_with(2, &["no record in", "--data-dir"]);
    assert!(!home.data().exists());
    fs::create_dir(home.data()).unwrap();
    home.ask(&["flatten"]).refused_with(2, &["no record in"]);
    assert_eq!(fs::read_dir(home.data()).unwrap().count(), 0);

    let home = killed();
    // Of another account.
    home.edit("levibot.toml", "name = \"paper\"", "name = \"other\"");
    with_config(&home, &["flatten"]).refused_with(2, &["another account"]);
    assert_eq!(latched(&home).as_deref(), Some("flatten"), "it is halted all the same");
    audited(&home);
    home.ask(&["close", "ADAUSDT"]).refused_with(1, &["does not trade ADAUSDT", SYMBOLS[0]]);
    // A latch that cannot be written is no halt.
    fs::remove_file(home.data().join("HALT")).unwrap();
    fs::create_dir(home.data().join("HALT")).unwrap();
    home.ask(&["halt"]).refused_with(1, &["the latch file"]);
    audited(&home);
}
