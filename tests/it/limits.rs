//! Limits of the machine that a run meets.

use std::fs;

use crate::record::{assert_unique, journal_path, of_type, records};
use crate::support::{Home, eventually};

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

#[test]
fn a_full_disk_stops_orders_and_loses_nothing_that_was_journaled() {
    let home = Home::simulated(6_000.0);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("a fill", || (!of_type(&records(&home.data()), "fill").is_empty()).then_some(()));
    daemon.stop().ended_with(0);
    // No file may grow any more beyond a little more than the journal; the signal that would end the program is ignored,
    // as on a disk that is full.
    let blocks = (fs::metadata(journal_path(&home.data())).unwrap().len() + 40_000) / 512;
    let mut daemon = home.run_under(&format!("trap '' XFSZ; ulimit -f {blocks}"), &[]);
    daemon.ready();
    eventually("the journal has failed", || {
        assert!(!daemon.is_over(), "{}", daemon.log());
        daemon.log().contains("no order is sent any more").then_some(())
    });
    let left = fs::read(journal_path(&home.data())).unwrap();
    let whole = records(&home.data());
    // It stays and answers. Of the batch that failed some lines may stand there; nothing had been done on them.
    assert!(home.ask_json(&["status"])["journal_seq"].as_u64().unwrap() <= whole.len() as u64);
    assert!(!daemon.is_over());
    let outcome = daemon.stop();
    assert_eq!(outcome.code(), 1, "{}", outcome.err);
    assert!(left == fs::read(journal_path(&home.data())).unwrap(), "nothing came after the failure");

    let audit = home.ask(&["audit"]);
    let is_torn = !left.ends_with(b"\n");
    assert_eq!(audit.ended_with(0).contains("an unacknowledged tail"), is_torn, "{}", audit.out);
    // With room again it goes on where the journal ends.
    let mut daemon = home.run(&[]);
    daemon.ready();
    let after = records(&home.data());
    assert_eq!(after[..whole.len()], whole[..]);
    assert_unique(&after);
    daemon.stop().ended_with(0);
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
}
