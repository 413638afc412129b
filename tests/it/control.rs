//! Commands of a person to a running daemon.

use serde_json::Value;

use crate::record::{of_type, records};
use crate::support::{Home, SYMBOLS, eventually};

fn engine(home: &Home, symbol: &str) -> Value {
    let view = home.ask_json(&["engines"]);
    let engine = view["engines"].as_array().unwrap().iter().find(|engine| engine["symbol"] == symbol);
    engine.unwrap().clone()
}

fn becomes(home: &Home, symbol: &str, status: &str) -> Value {
    eventually(&format!("{symbol} is {status}"), || {
        Some(engine(home, symbol)).filter(|engine| engine["status"] == status)
    })
}

fn running(home: &Home, count: u64) {
    eventually(&format!("{count} engines run"), || (home.ask_json(&["engines"])["running"] == count).then_some(()));
}

/// Commands on record: who, what, and what came of it.
fn commands(home: &Home) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let records = records(&home.data());
    let found = of_type(&records, "command");
    found.iter().map(|r| (text(&r["by"]), text(&r["command"]), text(&r["outcome"]))).collect()
}

fn user() -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name
}

#[test]
fn questions_are_answered_as_tables_and_as_json() {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    let status = daemon.ready();
    assert_eq!(status["info"]["data_dir"], home.data().to_str().unwrap());
    assert_eq!(status["engines"], serde_json::json!([4, 4, 0, 0]));
    for (question, words) in [
        ("status", ["state", "ready", "journal", "equity"].as_slice()),
        ("engines", ["SYMBOL", "STATUS", "running", "BTCUSDT"].as_slice()),
        ("positions", ["unrealised"].as_slice()),
        ("pnl", ["DAY PNL", "TOTAL PNL", "SOLUSDT", "equity"].as_slice()),
    ] {
        let outcome = eventually("the first bars are in", || {
            let outcome = home.ask(&[question]);
            outcome.ended_with(0);
            (question != "positions" || outcome.out.contains("unrealised")).then_some(outcome)
        });
        for word in words {
            assert!(outcome.out.contains(word), "`{word}` is missing in:\n{}", outcome.out);
        }
    }
    for question in ["positions", "pnl"] {
        let view = home.ask_json(&[question]);
        let symbols = view["symbols"].as_array().unwrap().iter().map(|symbol| symbol["symbol"].as_str().unwrap());
        assert!(symbols.eq(SYMBOLS), "{view}");
    }
    drop(daemon);
}

#[test]
fn engines_are_paused_stopped_and_restarted_one_by_one() {
    let home = Home::simulated(600.0);
    let mut daemon = home.run(&[]);
    daemon.ready();

    home.ask(&["pause", "btcusdt"]).ended_with(0);
    becomes(&home, "BTCUSDT", "paused");
    let frozen = || home.ask_json(&["pnl"])["symbols"][0]["frozen"].as_array().unwrap().len();
    eventually("its entries are frozen", || (frozen() == 1).then_some(()));
    home.ask(&["resume", "BTCUSDT"]).ended_with(0);
    becomes(&home, "BTCUSDT", "running");
    eventually("its entries are free again", || (frozen() == 0).then_some(()));

    home.ask(&["stop", "ETHUSDT"]).ended_with(0);
    becomes(&home, "ETHUSDT", "stopped");
    running(&home, 3);
    let stopped = engine(&home, "ETHUSDT")["last_bar"].clone();
    home.ask(&["start", "ETHUSDT"]).ended_with(0);
    eventually("a started engine reads bars", || {
        let engine = engine(&home, "ETHUSDT");
        (engine["status"] == "running" && engine["last_bar"] != stopped).then_some(())
    });

    home.ask(&["restart", "SOLUSDT"]).ended_with(0);
    becomes(&home, "SOLUSDT", "running");
    running(&home, 4);
    let registry: Value = serde_json::from_str(&home.read("registry.json")).unwrap();
    eventually("the registry counts its starts", || {
        let registry: Value = serde_json::from_str(&home.read("registry.json")).unwrap();
        (registry["SOLUSDT"]["generation"] == 2).then_some(())
    });
    assert_eq!(registry["LINKUSDT"]["generation"], 1);
    home.ask(&["pause", "all"]).ended_with(0);
    for symbol in SYMBOLS {
        becomes(&home, symbol, "paused");
    }
    home.ask(&["resume", "all"]).ended_with(0);

    // What cannot be done is refused, with what can.
    let mut words = vec!["refused", "ADAUSDT"];
    words.extend(SYMBOLS);
    home.ask(&["pause", "ADAUSDT"]).refused_with(1, &words);
    home.ask(&["pause", "no symbol"]).refused_with(2, &["no symbol"]);

    daemon.stop().ended_with(0);
    let found = commands(&home);
    let asked: Vec<&str> = found.iter().map(|(_, command, _)| command.as_str()).collect();
    let wanted = [
        "pause BTCUSDT",
        "resume BTCUSDT",
        "stop ETHUSDT",
        "start ETHUSDT",
        "restart SOLUSDT",
        "pause all",
        "resume all",
        "pause ADAUSDT",
    ];
    assert_eq!(asked, wanted);
    assert!(found.iter().all(|(by, _, _)| *by == user()), "{found:?}");
    assert!(found.last().unwrap().2.starts_with("refused: "), "{found:?}");

    // Whoever asks a daemon that is gone is told so.
    for command in [&["status"][..], &["engines"], &["pause", "all"], &["reload"]] {
        home.ask(command).refused_with(3, &["no daemon runs on", "levibot run"]);
    }
}

#[test]
fn a_halt_outlives_a_crash_until_a_person_lifts_it() {
    let home = Home::simulated(6_000.0);
    let latch = home.data().join("HALT");
    let mut daemon = home.run(&[]);
    daemon.ready();
    let fills = || of_type(&records(&home.data()), "fill").len();
    eventually("it trades", || (fills() > 0).then_some(()));

    home.ask(&["halt", "--reason", "a test of the brakes"]).ended_with(0);
    running(&home, 0);
    assert!(latch.exists());
    let halted_at = records(&home.data()).iter().position(|record| record["type"] == "halt").unwrap();
    let status = home.ask(&["status"]);
    assert!(status.ended_with(0).contains("a test of the brakes"), "{}", status.out);
    home.ask(&["start", "BTCUSDT"]).refused_with(1, &["halted", "levibot resume"]);
    running(&home, 0);
    daemon.kill();
    // A lost latch file lifts nothing: the journal remembers, and the file comes back.
    std::fs::remove_file(&latch).unwrap();

    let mut daemon = home.run(&[]);
    eventually("it is up", || (home.ask(&["status"]).code() == 0).then_some(()));
    // A daemon that is kept down by a halt is as it should be: ready.
    let status = eventually("it is ready", || Some(home.ask_json(&["status"])).filter(|s| s["ready"] == true));
    assert_eq!(status["account"]["halt"], "reduce_only", "{status}");
    assert_eq!(status["account"]["halt_reason"], format!("{}: a test of the brakes", user()));
    assert_eq!(home.ask_json(&["engines"])["running"], 0);
    assert!(latch.exists());
    // The market goes on, and no entry is sent.
    let bars = status["bars"].as_u64().unwrap();
    eventually("bars come in", || (home.ask_json(&["status"])["bars"].as_u64().unwrap() > bars + 200).then_some(()));
    let halted = records(&home.data());
    let entries = of_type(&halted[halted_at..], "intent");
    assert!(entries.iter().all(|intent| intent["order"]["leg"] == "exit"), "{entries:?}");
    assert_eq!(of_type(&halted, "halt").len(), 1);

    home.ask(&["resume", "--reason", "the brakes hold"]).ended_with(0);
    running(&home, 4);
    eventually("the latch is gone", || (!latch.exists()).then_some(()));
    assert_eq!(home.ask_json(&["status"])["account"]["halt"], "none");
    let resumed = records(&home.data()).len();
    eventually("entries go out again", || {
        let records = records(&home.data());
        of_type(&records[resumed..], "intent").iter().any(|i| i["order"]["leg"] == "entry").then_some(())
    });
    assert!(!daemon.is_over());
    daemon.stop().ended_with(0);
    let found = commands(&home);
    let asked: Vec<&str> = found.iter().map(|(_, command, _)| command.as_str()).collect();
    assert_eq!(asked, ["halt reduce-only: a test of the brakes", "start BTCUSDT", "resume: the brakes hold"]);
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
}

#[test]
fn flatten_closes_every_position() {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("a position is open", || (!crate::record::positions(&records(&home.data())).is_empty()).then_some(()));
    home.ask(&["halt", "--level", "flatten"]).ended_with(0);
    eventually("everything is closed", || crate::record::positions(&records(&home.data())).is_empty().then_some(()));
    daemon.stop().ended_with(0);
    let audit = home.ask_json(&["audit"]);
    assert_eq!((&audit["clean"], &audit["positions_value"]), (&true.into(), &"0".into()), "{audit}");
    assert_eq!(audit["cash"], audit["equity"]);
}
