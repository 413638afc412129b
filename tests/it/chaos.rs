//! Faults on purpose: every kind ends one engine and nothing else, and a storm of them breaks nothing.

use std::fs;

use serde_json::Value;

use crate::record::{assert_unique, records};
use crate::support::{Daemon, Home, SYMBOLS, eventually};

/// Trading seconds a second: two bars.
const SPEED: f64 = 120.0;

/// A home whose engines are given up late and come back soon. One that aborts first prints where it was, which takes a while
/// in a program with all its line numbers.
fn home(isolation: &str) -> Home {
    let home = Home::simulated(SPEED);
    home.configure(|config| {
        let supervisor = config["supervisor"].as_table_mut().unwrap();
        for (key, value) in [("backoff_first", "20ms"), ("backoff_max", "40ms"), ("progress_deadline", "1s")] {
            supervisor.insert(key.into(), value.into());
        }
        supervisor.insert("failures_max".into(), 100.into());
        supervisor.insert("isolation".into(), isolation.into());
    });
    home
}

fn registry(home: &Home) -> Value {
    serde_json::from_str(&home.read("registry.json")).unwrap()
}

/// The entry of an engine once it runs in this generation.
fn running(home: &Home, symbol: &str, generation: u64) -> Value {
    eventually(&format!("{symbol} runs in generation {generation}"), || {
        let entry = registry(home)[symbol].clone();
        (entry["status"] == "running" && entry["generation"] == generation).then_some(entry)
    })
}

fn errors(home: &Home, symbol: &str) -> u64 {
    let view = home.ask_json(&["engines"]);
    let engines = view["engines"].as_array().unwrap();
    engines.iter().find(|engine| engine["symbol"] == symbol).unwrap()["error_count"].as_u64().unwrap()
}

/// Dead children of a process that it has not taken leave of.
fn zombies(parent: u32) -> Vec<String> {
    let stats =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let dead =
        |stat: &String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(&format!(" Z {parent} ")));
    stats.filter(dead).collect()
}

/// Each fault in turn, with words of the cause that must be told of it.
fn each_ends_one_engine_alone(isolation: &str, faults: &[(&str, &str)]) {
    let home = home(isolation);
    let mut daemon = home.run(&[]);
    daemon.ready();
    for (before, (fault, cause)) in (1_u64..).zip(faults) {
        running(&home, "BTCUSDT", before);
        home.ask(&["inject", "BTCUSDT", fault]).ended_with(0);
        let entry = running(&home, "BTCUSDT", before + 1);
        let told = entry["last_exit"]["cause"].as_str().unwrap();
        assert!(told.contains(cause), "{fault}: {told}");
        assert_eq!(errors(&home, "BTCUSDT"), before, "{fault} is one failure");
    }
    for symbol in SYMBOLS.iter().filter(|symbol| **symbol != "BTCUSDT") {
        assert_eq!(registry(&home)[symbol]["generation"], 1, "{symbol} lives on");
        assert_eq!(errors(&home, symbol), 0);
    }
    ends_well(&home, daemon);
}

/// The daemon ends in order and its record is as if nothing had happened.
fn ends_well(home: &Home, daemon: Daemon<'_>) {
    let pid = daemon.pid();
    eventually("the dead are taken leave of", || zombies(pid).is_empty().then_some(()));
    let outcome = daemon.stop();
    // What an engine was told to do is in its words on standard error.
    assert_eq!(outcome.code(), 0, "{}", outcome.err);
    assert_unique(&records(&home.data()));
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
    let config = home.config();
    let replayed = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(replayed["different"], 0, "{replayed}");
}

#[test]
fn a_process_that_dies_is_replaced() {
    each_ends_one_engine_alone(
        "process",
        &[
            ("panic", "on request"),
            ("panic_async", "on request"),
            ("panic_in_drop", "SIGABRT"),
            ("segfault", "SIGSEGV"),
            ("abort", "SIGABRT"),
            ("out_of_memory", "SIGABRT"),
            ("stack_overflow", "SIGABRT"),
            ("exit", "0"),
        ],
    );
}

#[test]
fn a_process_that_hangs_is_replaced() {
    let stuck = "made no progress";
    each_ends_one_engine_alone(
        "process",
        &[("spin", stuck), ("sleep:60000", stuck), ("freeze", stuck), ("sigstop", stuck)],
    );
}

#[test]
fn a_process_that_says_what_it_may_not_is_replaced() {
    each_ends_one_engine_alone(
        "process",
        &[
            ("garbage_frame", "does not speak the protocol"),
            ("oversized_frame", "does not speak the protocol"),
            ("flood", "does not speak the protocol"),
            ("stale_generation", "it speaks for generation"),
        ],
    );
}

#[test]
fn a_thread_commits_what_the_daemon_survives_and_is_replaced() {
    let stuck = "made no progress";
    each_ends_one_engine_alone(
        "thread",
        &[
            ("panic", "panic: on request"),
            ("panic_async", "panic"),
            ("freeze", stuck),
            ("sleep:3000", stuck),
            ("spin", stuck),
        ],
    );
}

#[test]
fn faults_that_would_end_the_daemon_are_refused_and_every_wish_is_on_record() {
    let home = home("thread");
    let mut daemon = home.run(&[]);
    daemon.ready();
    let killing = ["panic_in_drop", "segfault", "abort", "out_of_memory", "stack_overflow", "exit", "sigstop"];
    let talking = ["garbage_frame", "oversized_frame", "flood", "stale_generation"];
    for fault in killing.iter().chain(&talking) {
        home.ask(&["inject", "BTCUSDT", fault]).refused_with(1, &[fault, "isolation", "process", "in a thread"]);
    }
    home.ask(&["inject", "ADAUSDT", "panic"]).refused_with(1, &["no engine ADAUSDT"]);
    home.ask(&["stop", "ETHUSDT"]).ended_with(0);
    home.ask(&["inject", "ETHUSDT", "panic"]).refused_with(1, &["ETHUSDT is stopped"]);
    home.ask(&["inject", "BTCUSDT", "nap"]).refused_with(2, &["nap", "stale_generation"]);
    home.ask(&["inject", "BTCUSDT", "panic"]).ended_with(0);
    assert!(!daemon.is_over());
    ends_well(&home, daemon);
    let records = records(&home.data());
    let commands = crate::record::of_type(&records, "command");
    let injected: Vec<_> = commands.iter().filter(|c| c["command"].as_str().unwrap().starts_with("inject ")).collect();
    assert_eq!(injected.len(), killing.len() + talking.len() + 3);
    assert_eq!(injected.last().unwrap()["outcome"], "BTCUSDT, generation 1, was told: panic");
    assert!(injected[0]["outcome"].as_str().unwrap().starts_with("refused: "), "{injected:?}");
}

/// The checks of a report that do not hold, and those that do.
fn broken(report: &Value) -> (Vec<String>, usize) {
    let checks = report["checks"].as_array().unwrap();
    let of =
        |verdict: &str| checks.iter().filter(|c| c["verdict"] == verdict).map(ToString::to_string).collect::<Vec<_>>();
    (of("broken"), of("held").len())
}

#[test]
fn a_storm_over_a_daemon_of_its_own_breaks_nothing() {
    let home = home("process");
    home.configure(|config| {
        let supervisor = config["supervisor"].as_table_mut().unwrap();
        supervisor.insert("failures_max".into(), 5.into());
        supervisor.insert("window".into(), "8s".into());
    });
    let (config, dir) = (home.config(), home.path("storm"));
    let args = ["chaos", "--storm", "--own", "--config", config.to_str().unwrap(), "--data-dir", dir.to_str().unwrap()];
    let storm = ["--seed", "3", "--for", "14s", "--per-minute", "15", "--bursts", "1", "--daemon-kills", "0", "--json"];
    let outcome = home.levibot(&[&args[..], &storm].concat());
    let report = outcome.json();
    let (against, held) = broken(&report);
    assert!(against.is_empty(), "{against:#?}");
    outcome.ended_with(0);
    assert!(held >= 15, "{:#}", report["checks"]);
    let outcomes = report["outcomes"].as_array().unwrap();
    let kinds = report["kinds"].as_array().unwrap();
    assert!(outcomes.len() > 8 && kinds.len() > 4, "{kinds:#?}");
    assert_eq!(report["isolation"], "process");
    assert!(report["engine_memory_mb"]["max"].as_f64().unwrap() > 0.0);
    assert!(report["answers_storm"]["count"].as_u64().unwrap() > 0);
    // A folder that holds a storm takes no second one.
    home.levibot(&args).refused_with(2, &["storm", "another folder"]);
}

/// What a report says of a check.
fn said<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|c| c["name"] == name).unwrap();
    (check["verdict"].as_str().unwrap(), check["evidence"].as_str().unwrap())
}

#[test]
fn a_daemon_that_a_storm_kills_comes_back_with_every_fill() {
    let home = home("process");
    let (config, dir) = (home.config(), home.path("storm"));
    let args = ["chaos", "--storm", "--own", "--config", config.to_str().unwrap(), "--data-dir", dir.to_str().unwrap()];
    let storm = ["--for", "10s", "--per-minute", "6", "--faults", "kill", "--daemon-kills", "1", "--json"];
    let outcome = home.levibot(&[&args[..], &storm].concat());
    let report = outcome.json();
    let (against, _) = broken(&report);
    assert!(against.is_empty(), "{against:#?}");
    let killed = said(&report, "a killed daemon comes back as it was");
    assert_eq!(killed, ("held", "1 kills, no fill was lost, no engine and no model outlived one"));
    assert_eq!(said(&report, "a killed model answers again"), ("unseen", "it was not killed"));
    let (verdict, counts) = said(&report, "engines that are not hit answer every bar");
    assert!(verdict == "held" && counts.contains("bars judged, "), "{counts}");
    assert!(!records(&dir.join("data")).is_empty());
}

#[test]
fn a_storm_over_a_running_daemon_leaves_it_running() {
    let home = home("process");
    let mut daemon = home.run(&["--http-bind", "127.0.0.1:0"]);
    daemon.ready();
    let config = home.config();
    let storm = ["--for", "6s", "--per-minute", "30", "--faults", "kill,panic", "--bursts", "0"];
    let outcome = home.ask(&[&["chaos", "--storm", "--config", config.to_str().unwrap()], &storm[..]].concat());
    let out = outcome.ended_with(0);
    for words in ["storm 1: 4 engines (process)", "kill", "panic", "everything held", "it was not killed"] {
        assert!(out.contains(words), "`{words}` is missing in:\n{out}");
    }
    assert!(!daemon.is_over());
    ends_well(&home, daemon);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let home = home("thread");
    home.ask(&["chaos"]).refused_with(2, &["--storm"]);
    home.ask(&["chaos", "--storm", "--faults", "nap"]).refused_with(2, &["`nap` is no fault", "or kill"]);
    home.ask(&["chaos", "--storm", "--engines", "4"]).refused_with(2, &["--own"]);
    let config = home.config();
    home.ask(&["chaos", "--storm", "--config", config.to_str().unwrap()]).refused_with(3, &["no daemon runs on"]);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let ask = |what: &[&str]| home.ask(&[&["chaos", "--config", config.to_str().unwrap()], what].concat());
    ask(&["--storm", "--faults", "abort"]).refused_with(2, &["abort", "threads", "end the daemon"]);
    ask(&["--kills", "3"]).refused_with(2, &["threads cannot be killed"]);
    drop(daemon);
}
