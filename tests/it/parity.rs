//! A recorded day and a backtest of it.

use std::collections::BTreeSet;
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
    let (differs, gaps) = (&json["differences"], &json["gaps"]);
    let [differs, gaps] = [differs, gaps].map(|list| !list.as_array().unwrap().is_empty());
    let (verdict, code) = match (differs, gaps) {
        (true, _) => ("differs", 1),
        (false, true) => ("incomplete", 6),
        (false, false) => ("alike", 0),
    };
    assert_eq!(json["verdict"], verdict, "{json:#}");
    outcome.ended_with(code);
    json
}

fn figure(outcome: &Value, place: &str) -> u64 {
    outcome.pointer(place).and_then(Value::as_u64).unwrap()
}

fn amount(outcome: &Value, place: &str) -> f64 {
    outcome.pointer(place).and_then(Value::as_f64).unwrap()
}

/// Ends the test when anything differs that cannot be laid to a daemon that was late: by the chain of what it follows from.
/// Nearly everything must be alike even so.
#[track_caller]
fn assert_alike(outcome: &Value) {
    let rows = outcome["differences"].as_array().unwrap();
    let root = |row: &Value| {
        let mut row = row.clone();
        while let Some(number) = row["follows"].as_u64() {
            row = rows[usize::try_from(number).unwrap() - 1].clone();
        }
        row
    };
    let others: Vec<&Value> = rows.iter().filter(|row| root(row)["cause"] != "latency").collect();
    assert!(others.is_empty(), "{others:#?}\n{:#}", outcome["counts"]);
    let compared: u64 = ["decisions", "orders", "fills", "ends", "brackets", "fundings", "halts"]
        .iter()
        .map(|what| figure(outcome, &format!("/counts/{what}/daemon")))
        .sum();
    assert!(rows.len() as u64 <= compared / 5, "{} of {compared} differ: {outcome:#}", rows.len());
    let rest = amount(outcome, "/equity/rest");
    assert!(rest.abs() < 0.01, "{outcome:#}");
}

/// The replay of price files, and its only run's folder.
fn replayed() -> Home {
    let home = Home::replay();
    prices::write(&home.path("prices"), 600);
    home.configure(|config| {
        config["paper"].as_table_mut().unwrap().insert("funding".to_owned(), 0.0001.into());
    });
    let data = home.path("prices");
    home.run(&["--data", data.to_str().unwrap(), "--from", "2022-01-05"]).wait().ended_with(0);
    home
}

#[test]
fn every_day_of_a_replay_is_what_a_backtest_makes_of_it() {
    let home = replayed();
    let mut sums = [0; 5];
    for day in 5..=26 {
        let outcome = compared(&home, &format!("2022-01-{day:02}"), &[]);
        assert_eq!(outcome["verdict"], "alike", "{outcome:#}");
        assert!(amount(&outcome, "/equity/difference").abs() < 1e-6, "{outcome:#}");
        for (sum, what) in sums.iter_mut().zip(["decisions", "orders", "fills", "ends", "fundings"]) {
            let counts =
                ["daemon", "backtest", "equal"].map(|side| figure(&outcome, &format!("/counts/{what}/{side}")));
            assert!(counts.iter().all(|count| *count == counts[0]), "{outcome:#}");
            *sum += counts[0];
        }
    }
    // All that is on record was compared, day by day.
    let records = records(&home.data());
    let on_record = ["decision", "intent", "fill", "done", "funding"].map(|kind| of_type(&records, kind).len() as u64);
    assert_eq!(sums, on_record);
    assert!(sums[2] > 40 && sums[4] > 10, "{sums:?}");
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
    assert!(rows.iter().all(|row| row["cause"] == "fee" || row["follows"].is_u64()), "{dear:#}");

    let slippery = compared(&home, day, &["--slippage", "0.002"]);
    assert_eq!(slippery["differences"][0]["cause"], "fill", "{slippery:#}");
    assert!(amount(&slippery, "/by_cause/fill/effect") > 0.0, "{slippery:#}");
    assert!(amount(&slippery, "/equity/rest").abs() < 0.01, "{slippery:#}");
    let text = parity(&home, day, &["--slippage", "0.002"]);
    let text = text.ended_with(1);
    assert!(text.contains("another price was paid") && text.contains("fill: "), "{text}");
    // An order that takes more of a bar, or is live only with the next one.
    let greedy = compared(&home, day, &["--latency", "59s", "--participation", "0.000001"]);
    assert_eq!(greedy["verdict"], "differs", "{greedy:#}");
    parity(&home, day, &["--participation", "2"]).refused_with(2, &["`paper.participation` is 2"]);
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

/// Waits for so many more fills.
fn trades(home: &Home, more: usize) {
    let fills = || of_type(&records(&home.data()), "fill").len();
    let before = fills();
    eventually("more fills", || (fills() >= before + more).then_some(()));
}

#[test]
fn a_strategy_that_is_replaced_within_the_day_decides_from_there_on() {
    let home = Home::simulated(UNHURRIED);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    trades(&home, 2);
    home.edit("ema_cross.yaml", "fast: {default: 12", "fast: {default: 8");
    home.ask(&["reload"]).ended_with(0);
    trades(&home, 4);
    // One that is not warm before the day is over: nothing but the record says that it is there.
    home.edit("ema_cross.yaml", "slow: {default: 26", "slow: {default: 1900");
    home.ask(&["reload"]).ended_with(0);
    let frames = || of_type(&records(&home.data()), "mark").len();
    let until = frames() + 120;
    eventually("two more hours", || (frames() > until).then_some(()));
    daemon.stop().ended_with(0);
    let records = records(&home.data());
    let decisions = of_type(&records, "decision");
    let policies: BTreeSet<String> = decisions.iter().map(|one| one["decision"]["policy"].to_string()).collect();
    assert_eq!(policies.len(), 2, "both have decided");
    let outcome = compared(&home, "2025-01-01", &[]);
    assert_alike(&outcome);
}

#[test]
fn a_halt_and_its_end_within_the_day_are_followed() {
    let home = Home::simulated(UNHURRIED);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    trades(&home, 2);
    home.ask(&["flatten", "--reason", "a look around"]).ended_with(0);
    home.ask(&["resume", "--reason", "seen"]).ended_with(0);
    trades(&home, 4);
    daemon.stop().ended_with(0);
    let outcome = compared(&home, "2025-01-01", &[]);
    assert_eq!(figure(&outcome, "/counts/halts/equal"), 2, "{outcome:#}");
    assert_alike(&outcome);
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
