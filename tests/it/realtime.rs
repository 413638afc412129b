//! The simulated market as it goes: crashes, restarts and an end in order.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::record::{assert_unique, of_type, positions, records, rows, shown_positions};
use crate::support::{Home, eventually};

/// Trading seconds a second: a hundred bars.
const QUICK: f64 = 6_000.0;
/// So slow that nothing happens while a test looks.
const STANDING: f64 = 0.001;

/// What `levibot audit` says, which must be that all is well.
fn audited(home: &Home) -> Value {
    let audit = home.ask_json(&["audit"]);
    assert_eq!(audit["clean"], true, "{audit}");
    audit
}

#[test]
fn a_daemon_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let home = Home::simulated(QUICK);
    let mut run_id = Value::Null;
    let mut fills = 0;
    for round in 0..5 {
        home.set_speed(QUICK);
        let mut daemon = home.run(&[]);
        let status = daemon.ready();
        if round == 0 {
            run_id = status["info"]["run"].clone();
        }
        assert_eq!(status["info"]["run"], run_id, "one life, one name");
        // It dies in the middle of its work: with new fills, and with something in its hands.
        let target = fills + 12;
        eventually("new fills and an open position", || {
            assert!(!daemon.is_over(), "{}", daemon.log());
            let records = records(&home.data());
            (of_type(&records, "fill").len() >= target && !positions(&records).is_empty()).then_some(())
        });
        daemon.kill();
        let left = records(&home.data());
        assert_unique(&left);
        audited(&home);

        // A market that stands, but for one first quote which may fill an order that was left at the venue, shows what
        // was carried over.
        home.set_speed(STANDING);
        let mut daemon = home.run(&[]);
        daemon.ready();
        let settled = eventually("shown positions that are those on record", || {
            let shown: BTreeMap<_, _> = shown_positions(&home.ask_json(&["positions"]));
            let records = records(&home.data());
            (shown == positions(&records)).then_some(records)
        });
        let view = home.ask_json(&["pnl"]);
        daemon.kill();
        let after = records(&home.data());
        assert_eq!(after[..left.len()], left[..], "what is on record stays (round {round})");
        assert_unique(&after);
        fills = of_type(&after, "fill").len();
        assert_eq!(fills, of_type(&settled, "fill").len(), "nothing happens in a market that stands");
        let audit = audited(&home);
        for figure in ["cash", "realised", "fees"] {
            assert_eq!(audit[figure], view[figure], "{figure}");
        }
    }

    home.set_speed(QUICK);
    let outcome = home.run(&["--for", "1s"]).wait();
    assert!(outcome.ended_with(0).starts_with("ended: the time is over"), "{}", outcome.out);
    let records = records(&home.data());
    assert_unique(&records);
    let starts = of_type(&records, "started");
    assert_eq!(starts.len(), 11);
    assert!(starts.iter().all(|start| start["run"] == run_id));
    assert_eq!(of_type(&records, "ended").len(), 1);
    let audit = audited(&home);
    assert_eq!(audit["tables"]["agree"]["seq"], records.len());
    assert_eq!(rows(&home.data(), "fills").values().sum::<u64>(), of_type(&records, "fill").len() as u64);

    // Times never run backwards over all these lives.
    let times: Vec<i64> = records.iter().map(|record| record["ts"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
}

#[test]
fn ctrl_c_ends_in_order() {
    let home = Home::simulated(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let socket = home.data().join("control.sock");
    assert!(socket.exists());
    eventually("an order is filled", || (!of_type(&records(&home.data()), "fill").is_empty()).then_some(()));
    let outcome = daemon.stop();
    let out = outcome.ended_with(0);
    assert!(out.starts_with("ended: interrupt signal"), "{out}");
    for word in ["net PnL", "BTCUSDT", "equity ", "record "] {
        assert!(out.contains(word), "`{word}` is missing in:\n{out}");
    }
    let records = records(&home.data());
    let last = records.last().unwrap();
    assert_eq!((&last["type"], &last["reason"]), (&"ended".into(), &"interrupt signal".into()));
    assert!(!socket.exists());
    let registry: BTreeMap<String, Value> = serde_json::from_str(&home.read("registry.json")).unwrap();
    assert_eq!(registry.len(), 4);
    assert!(registry.values().all(|engine| engine["status"] == "stopped"), "{registry:?}");
    for engine in registry.values() {
        assert_eq!((&engine["state"], &engine["restarts_in_window"]), (&"stopped".into(), &0.into()));
        assert_eq!((&engine["next_retry_seconds"], &engine["cpu_seconds"]), (&Value::Null, &Value::Null));
        assert!(engine["availability"].as_f64().is_some_and(|ratio| ratio > 0.0), "{engine}");
    }
    assert_eq!(audited(&home)["tables"]["agree"]["seq"], records.len());

    // A line of the log is JSON, in the file of its symbol or of the daemon.
    let logs: Vec<_> = fs::read_dir(home.path("logs")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!logs.is_empty());
    for line in
        logs.iter().flat_map(|file| fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(line["ts"].is_string() && line["level"].is_string() && line["msg"].is_string(), "{line}");
    }
}

#[test]
fn a_record_is_run_again_over_lives_that_left_no_tape() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    for life in 0..4 {
        let before = of_type(&records(&home.data()), "decision").len();
        let mut daemon = home.run(&[]);
        daemon.ready();
        // Every other one dies before its tape is written for the first time.
        if life % 2 == 1 {
            let some = || (of_type(&records(&home.data()), "decision").len() > before + 20).then_some(());
            eventually("decisions", some);
        }
        daemon.kill();
    }
    audited(&home);
    let config = home.config();
    let again = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(again["different"], 0, "{again:#}");
    assert!(again["decisions"].as_u64().unwrap() > 20, "{again}");
}

#[test]
fn a_record_is_run_again_where_a_journal_ended_before_its_tape() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("decisions", || (of_type(&records(&home.data()), "decision").len() > 150).then_some(()));
    daemon.kill();
    // As if the disk had kept the tape and half of the journal.
    let journal = crate::record::journal_path(&home.data());
    let text = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&journal, lines[..lines.len() / 2].concat()).unwrap();
    fs::remove_file(home.data().join("levibot.db")).unwrap();
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("decisions", || (of_type(&records(&home.data()), "decision").len() > 150).then_some(()));
    daemon.stop().ended_with(0);
    let config = home.config();
    let again = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(again["different"], 0, "{again:#}");
    assert!(again["ahead"].as_u64().unwrap() > 20, "{again}");
}
