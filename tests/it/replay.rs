//! A replay gives the same record every time, whatever happens to the process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::prices;
use crate::record::{assert_unique, by_symbol, journal_path, of_type, records, rows};
use crate::support::{Daemon, Home, Outcome, SYMBOLS};

const BARS: i64 = 1_500;

fn home() -> Home {
    let home = Home::replay();
    prices::write(&home.path("prices"), BARS);
    home
}

fn start<'a>(home: &'a Home, folder: &Path) -> Daemon<'a> {
    let prices = home.path("prices");
    let (data, folder) = (prices.to_str().unwrap(), folder.to_str().unwrap());
    home.run(&["--data", data, "--from", "2022-01-05", "--data-dir", folder])
}

fn head(outcome: &Outcome) -> String {
    let last = outcome.ended_with(0).lines().find(|line| line.starts_with("record ")).unwrap();
    last.split_whitespace().nth(1).unwrap().to_owned()
}

fn money(audit: &Value, key: &str) -> Decimal {
    audit[key].as_str().unwrap().parse().unwrap()
}

#[test]
fn two_replays_have_the_same_record_and_it_adds_up() {
    let home = home();
    let [first, second] = ["first", "second"].map(|name| home.path(name));
    let outcomes = [start(&home, &first), start(&home, &second)].map(Daemon::wait);
    assert_eq!(head(&outcomes[0]), head(&outcomes[1]));
    assert!(fs::read(journal_path(&first)).unwrap() == fs::read(journal_path(&second)).unwrap());
    let bars = format!("{} bars in", 4 * (BARS - 96));
    assert!(outcomes[0].out.contains(&bars), "{}", outcomes[0].out);

    // The summary, the journal and the tables count the same.
    let records = records(&first);
    assert_unique(&records);
    assert_eq!(records.last().unwrap()["reason"], "end of data");
    let (orders, fills) = (by_symbol(&records, "intent", "/order/symbol"), by_symbol(&records, "fill", "/fill/symbol"));
    for symbol in SYMBOLS {
        let row = outcomes[0].out.lines().find(|line| line.trim_start().starts_with(symbol)).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert!(orders[symbol] > 20 && fills[symbol] > 20, "{row}");
        assert_eq!(cells[3..5], [orders[symbol].to_string(), fills[symbol].to_string()], "{row}");
    }
    assert_eq!(rows(&first, "orders"), orders);
    assert_eq!(rows(&first, "fills"), fills);

    // Every decision came before its orders, every order before its fills.
    for intent in of_type(&records, "intent") {
        let cause = &intent["order"]["cause"];
        assert!(cause.get("decision").is_some() || cause.get("bracket").is_some(), "{intent}");
    }

    let folder = first.to_str().unwrap();
    let audit = home.levibot(&["audit", "--json", "--data-dir", folder]);
    audit.ended_with(0);
    let audit = audit.json();
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(money(&audit, "equity"), money(&audit, "cash") + money(&audit, "positions_value"));
    let last = *of_type(&records, "mark").last().unwrap();
    assert_eq!((&audit["cash"], &audit["equity"]), (&last["cash"], &last["equity"]), "as the account itself said last");
    assert_eq!(audit["record_hash"], head(&outcomes[0]));
    assert_eq!(audit["tables"]["agree"]["seq"], records.len());
    assert!(home.levibot(&["audit", "--data-dir", folder]).ended_with(0).trim_end().ends_with("clean"));

    // Fresh cores, given the tape, do the same again.
    let (config, prices) = (home.config(), home.path("prices"));
    let (config, data) = (config.to_str().unwrap(), prices.to_str().unwrap());
    let args = ["replay-record", "--config", config, "--data", data, "--from", "2022-01-05", "--data-dir", folder];
    let again = home.levibot(&[&args[..], &["--json"]].concat());
    again.ended_with(0);
    let again = again.json();
    assert_eq!((&again["different"], &again["beyond"], &again["lost"]), (&0.into(), &0.into(), &0.into()), "{again}");
    assert_eq!(again["records"], records.len());
    assert_eq!(again["decisions"], 4 * (BARS - 96), "a decision a bar: {again}");

    // Done once more in its folder it verifies what stands there.
    let before = fs::read(journal_path(&first)).unwrap();
    assert_eq!(head(&start(&home, &first).wait()), head(&outcomes[0]));
    assert!(before == fs::read(journal_path(&first)).unwrap());
}

#[test]
fn a_replay_killed_at_ten_moments_ends_with_the_same_journal() {
    let home = home();
    let whole = home.path("whole");
    start(&home, &whole).wait().ended_with(0);
    let reference = fs::read(journal_path(&whole)).unwrap();
    let length = |folder: &Path| fs::metadata(journal_path(folder)).map_or(0, |file| file.len());

    let mut folder = home.path("killed-0");
    let mut kills = 0;
    for attempt in 1..=30 {
        if kills == 10 {
            break;
        }
        let moment = reference.len() as u64 * (kills + 1) / 12;
        let mut run = start(&home, &folder);
        while length(&folder) < moment && !run.is_over() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if run.is_over() {
            // The moment was missed: the run was whole before we looked. It is tried again in a folder of its own.
            run.wait().ended_with(0);
            assert!(fs::read(journal_path(&folder)).unwrap() == reference);
            folder = home.path(&format!("killed-{attempt}"));
            continue;
        }
        run.kill();
        kills += 1;
        let left = fs::read(journal_path(&folder)).unwrap();
        assert!(reference.starts_with(&left), "after kill {kills}");
    }
    assert_eq!(kills, 10);
    start(&home, &folder).wait().ended_with(0);
    assert!(fs::read(journal_path(&folder)).unwrap() == reference);
    home.levibot(&["audit", "--data-dir", folder.to_str().unwrap()]).ended_with(0);
    assert_eq!(rows(&folder, "fills"), rows(&whole, "fills"));
}

#[test]
fn a_symbol_without_a_file_is_refused_and_a_choice_of_symbols_is_kept() {
    let home = home();
    let prices = home.path("prices");
    let args = ["--data", prices.to_str().unwrap(), "--from", "2022-02-20", "--symbols"];
    home.run(&[&args[..], &["BTCUSDT,ADAUSDT"]].concat()).wait().refused_with(2, &["ADAUSDT", "name files like"]);
    home.run(&[&args[..], &["BTCUSDT,SOLUSDT"]].concat()).wait().ended_with(0);
    let records = records(&home.data());
    let orders = by_symbol(&records, "intent", "/order/symbol");
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["BTCUSDT", "SOLUSDT"]);
}

#[test]
fn a_strategy_that_looks_back_further_than_engines_are_warmed_up_on_is_told_at_the_start() {
    let home = home();
    let words = "what looks back further is unknown for";
    let told = |name: &str| {
        let outcome = start(&home, &home.path(name)).wait();
        outcome.ended_with(0);
        outcome.err.contains(words)
    };
    assert!(!told("short"));
    home.edit("ema_cross.yaml", "slow: {default: 26", "slow: {default: 600");
    assert!(told("long"));
}
