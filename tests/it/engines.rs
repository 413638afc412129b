//! Engines as processes: each is killed, stopped and starved by itself, and the others do not notice.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::prices;
use crate::record::{assert_unique, journal_path, of_type, records};
use crate::support::{Daemon, Home, SYMBOLS, eventually};

/// Trading seconds a second: ten bars.
const QUICK: f64 = 600.0;

fn registry(home: &Home) -> BTreeMap<String, Value> {
    serde_json::from_str(&home.read("registry.json")).unwrap()
}

/// The process of an engine, as its entry says once it runs in this generation.
fn running(home: &Home, symbol: &str, generation: u64) -> i32 {
    eventually(&format!("{symbol} runs in generation {generation}"), || {
        let entry = registry(home).remove(symbol)?;
        let runs = entry["status"] == "running" && entry["generation"] == generation;
        runs.then(|| i32::try_from(entry["pid"].as_i64().unwrap()).unwrap())
    })
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Processes whose first argument names an engine, with the daemon that they name; those that have ended and wait to be
/// collected have no arguments any more.
fn engines_of(daemon: u32) -> Vec<(String, i32)> {
    let wanted = format!("--daemon\0{daemon}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let name = line.split('\0').next()?.strip_prefix("engine-")?.to_owned();
        line.ends_with(&wanted).then_some((name, pid))
    });
    let mut found: Vec<_> = found.collect();
    found.sort();
    found
}

fn proc_file(pid: i32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap()
}

fn answered(home: &Home, symbol: &str) -> String {
    let engines = home.ask_json(&["engines"]);
    let all = engines["engines"].as_array().unwrap();
    all.iter().find(|engine| engine["symbol"] == symbol).unwrap()["last_bar"].to_string()
}

#[test]
fn an_engine_is_a_process_with_nothing_to_lose() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let found = engines_of(daemon.pid());
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), SYMBOLS);
    for (symbol, pid) in found {
        assert_eq!(running(&home, &symbol, 1), pid);
        assert_eq!(proc_file(pid, "comm").trim_end(), format!("engine-{symbol}"));
        assert_eq!(proc_file(pid, "environ"), "", "no variable, and so no secret");
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(open, 4, "standard streams and its socket");
        let limits = proc_file(pid, "limits");
        let soft = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(["Max core file size", "Max file size", "Max processes"].map(soft), ["0", "0", "0"]);
        assert_eq!(["Max open files", "Max address space"].map(soft), ["16", "536870912"]);
        assert!(proc_file(pid, "status").lines().any(|line| line == "NoNewPrivs:\t1"));
        assert_eq!(proc_file(pid, "oom_score_adj").trim_end(), "500");
    }
    daemon.stop().ended_with(0);
}

#[test]
fn killing_one_engine_ends_nothing_else() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let others: Vec<_> = SYMBOLS.iter().filter(|s| **s != "BTCUSDT").map(|s| (*s, running(&home, s, 1))).collect();
    for generation in 1..=3 {
        signal(running(&home, "BTCUSDT", generation), Signal::SIGKILL);
    }
    running(&home, "BTCUSDT", 4);
    let before = answered(&home, "BTCUSDT");
    eventually("it answers bars again", || (answered(&home, "BTCUSDT") != before).then_some(()));
    for (symbol, pid) in others {
        assert_eq!(running(&home, symbol, 1), pid, "the others live on as they were");
    }
    let entry = registry(&home).remove("BTCUSDT").unwrap();
    assert!(entry["last_exit"]["cause"].as_str().unwrap().contains("SIGKILL"), "{entry}");
    ended_well(&home, daemon);
}

#[test]
fn an_engine_that_stands_still_is_replaced() {
    let home = Home::simulated(QUICK);
    home.configure(|config| config["supervisor"]["progress_deadline"] = "300ms".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    let pid = running(&home, "ETHUSDT", 1);
    signal(pid, Signal::SIGSTOP);
    assert_ne!(running(&home, "ETHUSDT", 2), pid);
    assert!(registry(&home)["ETHUSDT"]["last_exit"]["cause"].as_str().unwrap().contains("no progress"));
    ended_well(&home, daemon);
}

#[test]
fn one_that_has_no_work_is_noticed_all_the_same() {
    // So slow that no bar comes while the test looks.
    let home = Home::simulated(0.001);
    home.configure(|config| config["supervisor"]["progress_deadline"] = "300ms".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    signal(running(&home, "SOLUSDT", 1), Signal::SIGSTOP);
    running(&home, "SOLUSDT", 2);
    daemon.stop().ended_with(0);
}

#[test]
fn a_daemon_that_stood_still_does_not_blame_its_engines() {
    let home = Home::simulated(QUICK);
    home.configure(|config| config["supervisor"]["progress_deadline"] = "300ms".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    let pid = i32::try_from(daemon.pid()).unwrap();
    for _ in 0..3 {
        signal(pid, Signal::SIGSTOP);
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        signal(pid, Signal::SIGCONT);
        let before = answered(&home, "BTCUSDT");
        eventually("bars are answered", || (answered(&home, "BTCUSDT") != before).then_some(()));
    }
    for symbol in SYMBOLS {
        running(&home, symbol, 1);
    }
    ended_well(&home, daemon);
}

#[test]
fn it_is_the_daemon_that_ends_its_engines() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    // Who stops a service sends these to all its processes.
    let pids = SYMBOLS.map(|symbol| running(&home, symbol, 1));
    for word in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        pids.into_iter().for_each(|pid| signal(pid, word));
    }
    let before = answered(&home, "BTCUSDT");
    eventually("bars are answered", || (answered(&home, "BTCUSDT") != before).then_some(()));
    assert_eq!(SYMBOLS.map(|symbol| running(&home, symbol, 1)), pids);
    ended_well(&home, daemon);
}

#[test]
fn five_kills_in_a_minute_are_a_quarantine_that_a_person_lifts() {
    let home = Home::simulated(QUICK);
    home.configure(|config| config["supervisor"]["backoff_first"] = "10ms".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    for generation in 1..=5 {
        signal(running(&home, "LINKUSDT", generation), Signal::SIGKILL);
    }
    eventually("it is quarantined", || (registry(&home)["LINKUSDT"]["status"] == "quarantined").then_some(()));
    assert_eq!(daemon.log().matches("LINKUSDT is quarantined").count(), 1, "{}", daemon.log());
    assert!(running(&home, "BTCUSDT", 1) > 0);
    home.ask(&["restart", "LINKUSDT"]).ended_with(0);
    running(&home, "LINKUSDT", 6);
    ended_well(&home, daemon);
}

#[test]
fn what_a_person_has_stopped_stays_so_over_a_halt_that_finds_it_ending() {
    let home = Home::simulated(QUICK);
    home.configure(|config| config["supervisor"]["stop_deadline"] = "500ms".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    // One that stands still takes its whole deadline to stop.
    signal(running(&home, "BTCUSDT", 1), Signal::SIGSTOP);
    home.ask(&["stop", "BTCUSDT"]).ended_with(0);
    home.ask(&["halt", "--level", "reduce-only", "--reason", "a test"]).ended_with(0);
    home.ask(&["resume", "--reason", "a test"]).ended_with(0);
    running(&home, "ETHUSDT", 2);
    eventually("it is stopped", || (registry(&home)["BTCUSDT"]["status"] == "stopped").then_some(()));
    assert_eq!(registry(&home)["BTCUSDT"]["generation"], 1, "and was not begun again");
    home.ask(&["start", "BTCUSDT"]).ended_with(0);
    running(&home, "BTCUSDT", 2);
    ended_well(&home, daemon);
}

#[test]
fn no_engine_outlives_its_daemon() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let pid = daemon.pid();
    assert_eq!(engines_of(pid).len(), SYMBOLS.len());
    // One that stands still hears no end of a stream.
    signal(running(&home, "BTCUSDT", 1), Signal::SIGSTOP);
    daemon.kill();
    eventually("no engine is left", || engines_of(pid).is_empty().then_some(()));

    let mut daemon = home.run(&[]);
    daemon.ready();
    let pid = daemon.pid();
    signal(running(&home, "BTCUSDT", 1), Signal::SIGSTOP);
    home.configure(|config| config["supervisor"]["stop_deadline"] = "200ms".into());
    daemon.stop().ended_with(0);
    assert!(engines_of(pid).is_empty(), "an end in order waits for all, by force where it must");
}

#[test]
fn the_command_of_an_engine_is_refused_to_everybody_but_a_daemon() {
    let home = Home::simulated(QUICK);
    let args = ["engine", "--symbol", "BTCUSDT", "--generation", "1", "--daemon", "1"];
    home.levibot(&args).refused_with(1, &["for the daemon, which gives a socket there"]);
    assert!(!home.levibot(&["--help"]).ended_with(0).contains("engine process"));
}

#[test]
fn a_replay_is_the_same_in_threads_in_processes_and_when_these_are_killed() {
    let home = Home::replay();
    prices::write(&home.path("prices"), 1_500);
    let run = |folder: &str, isolation: &str| {
        home.configure(|config| {
            let supervisor = config["supervisor"].as_table_mut().unwrap();
            supervisor.insert("isolation".to_owned(), isolation.into());
            // No kill is the engine's fault here.
            supervisor.insert("failures_max".to_owned(), 1_000.into());
            supervisor.insert("backoff_max".to_owned(), "200ms".into());
        });
        let (prices, folder) = (home.path("prices"), home.path(folder));
        home.run(&["--data", prices.to_str().unwrap(), "--from", "2022-01-05", "--data-dir", folder.to_str().unwrap()])
    };
    run("threads", "thread").wait().ended_with(0);
    run("processes", "process").wait().ended_with(0);
    let mut daemon = run("killed", "process");
    let mut killed = std::collections::BTreeSet::new();
    while !daemon.is_over() && killed.len() < 8 {
        let found = engines_of(daemon.pid());
        // Another one every time, so that each comes back before it is killed again.
        if let Some((_, pid)) = found.get(killed.len() % SYMBOLS.len()).filter(|(_, pid)| !killed.contains(pid)) {
            signal(*pid, Signal::SIGKILL);
            killed.insert(*pid);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    daemon.wait().ended_with(0);
    assert!(killed.len() > 3, "{killed:?}");
    let journal = |folder: &str| fs::read(journal_path(&home.path(folder))).unwrap();
    assert!(journal("threads") == journal("processes") && journal("threads") == journal("killed"));
}

/// The daemon ends in order and without a trace of what happened to its engines in its record.
fn ended_well(home: &Home, daemon: Daemon<'_>) {
    let pid = daemon.pid();
    daemon.stop().ended_with(0);
    assert!(engines_of(pid).is_empty());
    let records = records(&home.data());
    assert_unique(&records);
    assert!(!of_type(&records, "decision").is_empty() || !of_type(&records, "started").is_empty());
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
    let config = home.config();
    let replayed = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(replayed["different"], 0, "{replayed}");
}
