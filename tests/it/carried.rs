//! Symbols that were taken out of the configuration while they had a position, over a crash.

use serde_json::Value;

use crate::record::{assert_unique, of_type, positions, records, shown_positions};
use crate::support::{Daemon, Home, SYMBOLS, eventually};
use crate::symbols::{answers, entries, is_as_it_was, row};

const QUICK: f64 = 6_000.0;

/// Trades these from the next start or reload on; every start price stays in the file.
fn trade(home: &Home, symbols: &[&str]) {
    home.configure(|config| {
        config["market"]["symbols"] = symbols.iter().map(|one| toml::Value::from(*one)).collect::<Vec<_>>().into();
    });
}

/// A daemon that is killed while a symbol has a position: which.
fn killed_with_a_position(home: &Home) -> String {
    loop {
        let mut daemon = home.run(&[]);
        daemon.ready();
        eventually("a position", || (!positions(&records(&home.data())).is_empty()).then_some(()));
        daemon.kill();
        // It may have been closed in the last moment.
        if let Some(symbol) = positions(&records(&home.data())).into_keys().next() {
            return symbol;
        }
    }
}

fn without(symbol: &str) -> Vec<&'static str> {
    SYMBOLS.into_iter().filter(|other| *other != symbol).collect()
}

/// The daemon runs, and the symbol is there with its position and without an engine.
fn is_carried(home: &Home, daemon: &mut Daemon<'_>, symbol: &str) {
    daemon.ready();
    let (shown, total) = (row(home, symbol), home.ask_json(&["engines"])["total"].clone());
    assert_eq!((&shown["status"], &shown["last_error"]), (&"stopped".into(), &"not configured any more".into()));
    assert_eq!((total, shown["position"].is_string()), (4.into(), true), "{shown}");
    let told = eventually("an alert", || {
        let log = daemon.log();
        log.lines().find(|line| line.contains(symbol) && line.contains("put back into")).map(str::to_owned)
    });
    assert!(told.contains("WARN") && told.contains("stop and target stay in force"), "{told}");
    home.ask(&["start", symbol]).refused_with(1, &["not configured any more", "market.symbols"]);
}

/// Orders of a symbol after a place of the record.
fn orders<'a>(records: &'a [Value], symbol: &str) -> Vec<&'a Value> {
    of_type(records, "intent").into_iter().map(|r| &r["order"]).filter(|order| order["symbol"] == symbol).collect()
}

#[test]
fn a_position_of_a_symbol_that_is_gone_is_protected_over_a_crash() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let symbol = killed_with_a_position(&home);
    let left = without(&symbol);
    let (before, held) = (records(&home.data()), positions(&records(&home.data())));

    // Slowly, so that nothing happens by itself: the position is there, and it can be put back and taken out again.
    home.set_speed(0.1);
    trade(&home, &left);
    let mut daemon = home.run(&[]);
    is_carried(&home, &mut daemon, &symbol);
    assert_eq!(shown_positions(&home.ask_json(&["positions"])), held);
    trade(&home, &SYMBOLS);
    assert!(home.ask(&["reload"]).ended_with(0).contains(&format!("{symbol}: back again")));
    eventually("it runs", || (row(&home, &symbol)["status"] == "running").then_some(()));
    trade(&home, &left);
    assert!(home.ask(&["reload"]).ended_with(0).contains("its position stays protected until it is closed"));
    eventually("it is stopped", || (row(&home, &symbol)["status"] == "stopped").then_some(()));
    daemon.kill();

    // Once more after a crash, and quickly: its protection closes it, and nothing else is ordered for it.
    home.set_speed(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("it is flat", || (!positions(&records(&home.data())).contains_key(&symbol)).then_some(()));
    answers(&home, left[0]);
    let all = records(&home.data());
    let since = orders(&all[before.len()..], &symbol);
    let is_bracket = |order: &&&Value| order["leg"] == "exit" && order["cause"].to_string().contains("bracket");
    assert!(!since.is_empty() && since.iter().all(|order| is_bracket(&order)), "{since:#?}");
    assert_eq!(row(&home, &symbol)["status"], "stopped");

    // Flat, it is gone at the next start; put back, it trades.
    daemon.kill();
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(home.ask_json(&["engines"])["total"], 3);
    trade(&home, &SYMBOLS);
    assert!(home.ask(&["reload"]).ended_with(0).contains(&format!("{symbol}: added")));
    answers(&home, &symbol);
    eventually("it trades", || (entries(&records(&home.data()), &symbol) > entries(&all, &symbol)).then_some(()));
    daemon.stop().ended_with(0);
    assert_unique(&records(&home.data()));
    assert!(is_as_it_was(&home)["decisions"].as_u64().unwrap() > 0);
}

#[test]
fn a_symbol_that_is_carried_on_trades_again_when_it_is_put_back() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let symbol = killed_with_a_position(&home);
    let before = records(&home.data());
    trade(&home, &without(&symbol));
    home.set_speed(0.1);
    let mut daemon = home.run(&[]);
    is_carried(&home, &mut daemon, &symbol);
    daemon.kill();
    // At a start.
    trade(&home, &SYMBOLS);
    home.set_speed(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    answers(&home, &symbol);
    eventually("it trades", || (entries(&records(&home.data()), &symbol) > entries(&before, &symbol)).then_some(()));
    daemon.stop().ended_with(0);
    // Both starts may have been at one time. All of the last life is run again: it ended in order.
    let (all, again) = (records(&home.data()), is_as_it_was(&home));
    let last = all.iter().rposition(|record| record["type"] == "started").unwrap();
    assert!(again["beyond"].as_u64().unwrap() < last as u64, "{last} of {}: {again:#}", all.len());
}

#[test]
fn without_prices_for_an_open_position_a_start_is_refused() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let symbol = killed_with_a_position(&home);
    home.trade(&without(&symbol));
    let before = records(&home.data()).len();
    let refused = home.run(&[]).wait();
    refused.refused_with(2, &[&symbol, "not configured any more", "market.simulator.prices", "`market.symbols`"]);
    assert_eq!(records(&home.data()).len(), before, "nothing is on record of it");
    // What has prices can be closed all the same, and the rest is named.
    let config = home.config();
    let flatten = home.ask(&["flatten", "--config", config.to_str().unwrap(), "--for", "5s"]);
    flatten.refused_with(1, &["not closed after", &symbol]);
    assert_eq!(positions(&records(&home.data())).into_keys().collect::<Vec<_>>(), [symbol]);
    home.trade(&SYMBOLS);
    let mut daemon = home.run(&[]);
    daemon.ready();
    daemon.stop().ended_with(0);
    is_as_it_was(&home);
}

#[test]
fn a_flatten_closes_what_is_carried_on_and_a_resume_does_not_start_it() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let symbol = killed_with_a_position(&home);
    let (left, before) = (without(&symbol), records(&home.data()).len());
    trade(&home, &left);
    home.set_speed(0.1);
    let mut daemon = home.run(&[]);
    is_carried(&home, &mut daemon, &symbol);
    home.ask(&["halt", "--level", "flatten", "--reason", "closing"]).ended_with(0);
    daemon.kill();
    // Also a daemon that starts halted has it, and the order goes on.
    home.set_speed(QUICK);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("all is flat", || positions(&records(&home.data())).is_empty().then_some(()));
    let all = records(&home.data());
    let since = orders(&all[before..], &symbol);
    assert!(since.iter().any(|order| order["cause"].to_string().contains("command")), "{since:#?}");
    home.ask(&["resume", "--reason", "closed"]).ended_with(0);
    answers(&home, left[0]);
    assert_eq!(row(&home, &symbol)["status"], "stopped");
    daemon.stop().ended_with(0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(home.ask_json(&["engines"])["total"], 3);
    daemon.stop().ended_with(0);
    is_as_it_was(&home);
}
