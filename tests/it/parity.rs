//! A recorded day and a backtest of it.

use std::fs;

use levibot_core::domain::Ts;
use serde_json::Value;

use crate::prices;
use crate::record::{journal_path, of_type, positions, records};
use crate::support::{Home, Outcome, eventually};

/// Slow enough that a daemon on a busy machine is hardly ever late.
const UNHURRIED: f64 = 600.0;

/// Of 2025-01-02, nanoseconds.
const HALF_PAST_MIDNIGHT: i64 = 1_735_777_800_000_000_000;

fn parity(home: &Home, day: &str, more: &[&str]) -> Outcome {
    let config = home.config();
    home.ask(&[&["parity", "--config", config.to_str().unwrap(), "--day", day][..], more].concat())
}

/// The outcome as JSON, whatever differs.
#[track_caller]
fn compared(home: &Home, day: &str, more: &[&str]) -> Value {
    let outcome = parity(home, day, &[more, &["--json"]].concat());
    let json = outcome.json();
    let differs = json["differences"].as_array().unwrap().len();
    outcome.ended_with(i32::from(differs > 0));
    json
}

fn figure(outcome: &Value, place: &str) -> u64 {
    outcome.pointer(place).and_then(Value::as_u64).unwrap()
}

fn amount(outcome: &Value, place: &str) -> f64 {
    outcome.pointer(place).and_then(Value::as_f64).unwrap()
}

/// Ends the test when anything differs that cannot be laid to a daemon that was late.
#[track_caller]
fn assert_alike(outcome: &Value) {
    let others = outcome["differences"].as_array().unwrap().iter();
    let others: Vec<&Value> = others.filter(|row| row["cause"] != "latency" && row["follows"] != true).collect();
    assert!(others.is_empty(), "{others:#?}\n{:#}", outcome["counts"]);
    let rest = amount(outcome, "/equity/rest");
    assert!(rest.abs() < 0.01 || figure(outcome, "/counts/decisions/daemon") == 0, "{outcome:#}");
}

/// The replay of price files, and its only run's folder.
fn replayed() -> Home {
    let home = Home::replay();
    prices::write(&home.path("prices"), 600);
    let data = home.path("prices");
    home.run(&["--data", data.to_str().unwrap(), "--from", "2022-01-05"]).wait().ended_with(0);
    home
}

#[test]
fn every_day_of_a_replay_is_what_a_backtest_makes_of_it() {
    let home = replayed();
    let (mut decisions, mut orders, mut fills) = (0, 0, 0);
    for day in 5..=25 {
        let outcome = compared(&home, &format!("2022-01-{day:02}"), &[]);
        assert_eq!(outcome["differences"], Value::Array(Vec::new()), "{outcome:#}");
        assert!(amount(&outcome, "/equity/difference").abs() < 1e-6, "{outcome:#}");
        for (sum, what) in [(&mut decisions, "decisions"), (&mut orders, "orders"), (&mut fills, "fills")] {
            let counts =
                ["daemon", "backtest", "equal"].map(|side| figure(&outcome, &format!("/counts/{what}/{side}")));
            assert!(counts.iter().all(|count| *count == counts[0]), "{outcome:#}");
            *sum += counts[0];
        }
    }
    // All that is on record was compared, day by day.
    let records = records(&home.data());
    let on_record = ["decision", "intent", "fill"].map(|kind| of_type(&records, kind).len() as u64);
    assert_eq!([decisions, orders, fills], on_record);
    assert!(fills > 40, "{fills}");
}

#[test]
fn other_costs_than_those_of_the_record_are_named_with_what_they_come_to() {
    let home = replayed();
    let day = "2022-01-12";
    let dear = compared(&home, day, &["--fee", "0.001"]);
    let fills = figure(&dear, "/counts/fills/daemon");
    let rows = dear["differences"].as_array().unwrap();
    assert_eq!(rows[0]["cause"], "fee", "{dear:#}");
    assert!(fills > 0 && figure(&dear, "/by_cause/fee/count") == fills, "{dear:#}");
    assert!(amount(&dear, "/by_cause/fee/effect") > 0.0, "the daemon has paid less: {dear:#}");
    assert!(amount(&dear, "/equity/difference") > 0.0, "{dear:#}");
    assert!(amount(&dear, "/equity/rest").abs() < 0.01, "{dear:#}");
    // What is not a fee follows from less equity.
    assert!(rows.iter().all(|row| row["cause"] == "fee" || row["follows"] == true), "{dear:#}");

    let slippery = compared(&home, day, &["--slippage", "0.002"]);
    assert_eq!(slippery["differences"][0]["cause"], "fill", "{slippery:#}");
    assert!(amount(&slippery, "/by_cause/fill/effect") > 0.0, "{slippery:#}");
    assert!(amount(&slippery, "/equity/rest").abs() < 0.01, "{slippery:#}");
    let text = parity(&home, day, &["--slippage", "0.002"]);
    let text = text.ended_with(1);
    assert!(text.contains("another price was paid") && text.contains("fill: "), "{text}");
    parity(&home, day, &["--fee", "0.7"]).refused_with(2, &["`paper.fee` is 0.7"]);
}

#[test]
fn a_day_in_real_time_differs_in_nothing_but_what_came_late() {
    let home = Home::simulated(UNHURRIED);
    home.set_watch(false);
    // Positions that the first day leaves open are closed on the second.
    home.configure(|config| config["market"]["simulator"]["start"] = "2025-01-01T22:30:00Z".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("fills of the second day", || {
        let records = records(&home.data());
        let late =
            of_type(&records, "fill").iter().filter(|fill| fill["ts"].as_i64().unwrap() > HALF_PAST_MIDNIGHT).count();
        (late > 3).then_some(())
    });
    daemon.stop().ended_with(0);
    for day in ["2025-01-01", "2025-01-02"] {
        let outcome = compared(&home, day, &[]);
        assert_alike(&outcome);
        assert!(figure(&outcome, "/counts/decisions/equal") > 0, "{outcome:#}");
        // A fill that is heard of late is one that differs.
        assert!(figure(&outcome, "/counts/orders/equal") > 0, "{outcome:#}");
        assert!(figure(&outcome, "/counts/fills/daemon") > 0, "{outcome:#}");
    }
}

#[test]
fn a_daemon_that_was_killed_and_came_back_is_followed_through_its_lives() {
    let home = Home::simulated(UNHURRIED);
    home.set_watch(false);
    for life in 1..=3 {
        let mut daemon = home.run(&[]);
        daemon.ready();
        let before = of_type(&records(&home.data()), "fill").len();
        eventually("new fills and an open position", || {
            let records = records(&home.data());
            (of_type(&records, "fill").len() > before + 2 && !positions(&records).is_empty()).then_some(())
        });
        if life < 3 {
            daemon.kill();
        } else {
            daemon.stop().ended_with(0);
        }
    }
    let outcome = compared(&home, "2025-01-01", &[]);
    // Which life begins on which day hangs on the machine; the record says it.
    let midnight = "2025-01-02".parse::<Ts>().unwrap().nanos();
    let begun =
        of_type(&records(&home.data()), "started").iter().filter(|r| r["ts"].as_i64().unwrap() < midnight).count();
    assert!(begun >= 2, "the day holds a life that follows a kill: {begun}");
    assert_eq!(figure(&outcome, "/lives"), begun as u64, "{outcome:#}");
    assert_alike(&outcome);
    assert!(figure(&outcome, "/counts/fills/daemon") > 0, "{outcome:#}");
    assert!(figure(&outcome, "/counts/orders/equal") > 0, "{outcome:#}");
}

#[test]
fn what_cannot_be_run_again_is_refused_with_its_reason() {
    let home = replayed();
    parity(&home, "2023-05-05", &[]).refused_with(2, &["no day 2023-05-05", "2022-01-05 to 2022-01-26"]);
    parity(&home, "someday", &[]).ended_with(2);
    fs::create_dir(home.path("empty")).unwrap();
    let empty = home.path("empty");
    let args = ["parity", "--day", "2022-01-06", "--data-dir", empty.to_str().unwrap()];
    home.levibot(&args).refused_with(2, &["no record"]);

    let journal = journal_path(&home.data());
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).unwrap();
    parity(&home, "2022-01-06", &[]).refused_with(5, &["journal"]);
}
