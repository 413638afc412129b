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
    let words = ["is 200", "4 engine(s) need 405", "`ulimit -n 405`", "LimitNOFILE=405", "--ulimit nofile=405"];
    outcome.refused_with(2, &words);
    assert!(!home.data().join("journal.lbj").exists(), "nothing has begun");
}

#[test]
fn a_low_limit_that_may_be_raised_is_raised() {
    let home = Home::simulated(0.001);
    let mut daemon = home.run_under("ulimit -S -n 150", &[]);
    daemon.ready();
    assert_eq!(open_files(daemon.pid()), 405);
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(open < 405 - 256, "with every connection there would be {open} and 256 more");
    daemon.stop().ended_with(0);
}
