//! Limits of the machine that a run meets.

use std::fs;

use crate::support::Home;

/// The limit of open files that is in force for a process.
fn open_files(pid: u32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn too_few_open_files_are_refused_with_the_remedy() {
    let home = Home::simulated(0.001);
    let outcome = home.run_under("ulimit -n 200", &[]).wait();
    let words = ["is 200", "4 engine(s) need 401", "`ulimit -n 401`", "LimitNOFILE=401", "--ulimit nofile=401"];
    outcome.refused_with(2, &words);
    home.configure(|config| config["supervisor"]["isolation"] = "thread".into());
    home.run_under("ulimit -n 200", &[]).wait().refused_with(2, &["4 engine(s) need 405"]);
    assert!(!home.data().join("journal.lbj").exists(), "nothing has begun");
}

#[test]
fn a_low_limit_that_may_be_raised_is_raised() {
    let home = Home::simulated(0.001);
    let mut daemon = home.run_under("ulimit -S -n 150", &[]);
    daemon.ready();
    assert_eq!(open_files(daemon.pid()), 401);
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(open < 401 - 256, "with every connection there would be {open} and 256 more");
    daemon.stop().ended_with(0);
}

#[test]
fn symbols_that_come_and_would_need_too_many_open_files_are_refused() {
    let home = Home::simulated(0.001);
    home.set_watch(false);
    let mut daemon = home.run_under("ulimit -n 402", &[]);
    daemon.ready();
    home.trade(&["ADAUSDT", "BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT"]);
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "is 402", "5 engine(s) need", "LimitNOFILE="]);
    assert_eq!(home.ask_json(&["engines"])["total"], 4);
    daemon.stop().ended_with(0);
}
