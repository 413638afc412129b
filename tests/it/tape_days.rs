//! Records whose tape has lost its oldest days.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::record::{of_type, records};
use crate::support::{Home, eventually};

/// The tape's files, the oldest first.
fn tape(home: &Home) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home.data().join("tape")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What is before the second start on record.
fn first_life(records: &[Value]) -> u64 {
    let starts = of_type(records, "started");
    starts[1]["seq"].as_u64().unwrap() - 1
}

#[test]
fn a_record_is_run_again_from_the_first_start_that_its_tape_still_holds() {
    let home = Home::simulated(20_000.0);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("two days", || (tape(&home).len() > 1).then_some(()));
    // Killed, it may leave a file without a whole block, which the next life begins anew.
    daemon.stop().ended_with(0);
    let first: Vec<PathBuf> = tape(&home);
    home.set_speed(6_000.0);
    for _ in 0..2 {
        let before = of_type(&records(&home.data()), "decision").len();
        let mut daemon = home.run(&[]);
        daemon.ready();
        let some = || (of_type(&records(&home.data()), "decision").len() > before + 20).then_some(());
        eventually("decisions", some);
        daemon.stop().ended_with(0);
    }
    let config = home.config();
    let args = ["replay-record", "--config", config.to_str().unwrap()];
    let whole = home.ask_json(&args);
    assert_eq!((&whole["different"], &whole["unrepeatable"]), (&0.into(), &0.into()), "{whole:#}");

    // The first day, then all of the first life.
    let kept = fs::read(&first[1]).unwrap();
    let before = first_life(&records(&home.data()));
    for count in [1, first.len()] {
        first[..count].iter().for_each(|file| drop(fs::remove_file(file)));
        let again = home.ask_json(&args);
        assert_eq!((&again["different"], &again["unrepeatable"]), (&0.into(), &before.into()), "{again:#}");
        assert!(again["decisions"].as_u64().unwrap() > 20, "{again}");
        let figure = |outcome: &Value, name: &str| outcome[name].as_u64().unwrap();
        assert!(figure(&again, "decisions") < figure(&whole, "decisions"), "{again}");
        let sum = ["unrepeatable", "records", "beyond"].map(|name| figure(&again, name)).iter().sum::<u64>();
        assert_eq!(sum, records(&home.data()).len() as u64, "every record is counted: {again}");
    }
    let text = home.ask(&args);
    let words = format!("; {before} records before the first start on the tape cannot be run again");
    assert!(text.ended_with(0).contains(&words), "{}", text.out);

    // Only days without a start, then none at all.
    tape(&home).iter().for_each(|file| fs::remove_file(file).unwrap());
    fs::write(&first[1], kept).unwrap();
    home.ask(&args).refused_with(2, &["nothing to run again", "no start of a daemon", "tape_keep_days"]);
    fs::remove_file(&first[1]).unwrap();
    home.ask(&args).refused_with(2, &["nothing to run again"]);
    home.ask_json(&["audit"]);
}
