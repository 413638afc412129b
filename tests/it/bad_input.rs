//! What is wrong outside is told with what to do about it, and never costs what is on record.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::prices;
use crate::record::{assert_unique, journal_path, of_type, records, run_folder};
use crate::support::{Home, eventually};

/// A data folder with a journal, its daemon gone in order.
fn traded() -> Home {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("some fills", || (of_type(&records(&home.data()), "fill").len() > 4).then_some(()));
    daemon.stop().ended_with(0);
    home
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    fs::read(path).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// A build for trading knows no way to break an engine on purpose.
#[cfg(not(feature = "fault-injection"))]
#[test]
fn a_build_without_the_feature_takes_no_faults() {
    let home = Home::simulated(600.0);
    home.ask(&["inject", "BTCUSDT", "panic"]).refused_with(2, &["inject"]);
    home.ask(&["chaos", "--storm"]).refused_with(2, &["chaos"]);
    let program = std::fs::read(env!("CARGO_BIN_EXE_levibot")).unwrap();
    let named = |word: &str| program.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    assert!(named("replay-record"), "what is there is found");
    assert!(!named("stale_generation"));
}

#[test]
fn a_second_daemon_on_the_data_folder_is_refused() {
    let home = Home::simulated(600.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    home.run(&[]).wait().refused_with(4, &["another levibot (process ", "stop it", "data folder of its own"]);
    assert!(!daemon.is_over());
    assert_eq!(home.ask_json(&["engines"])["running"], 4);
    let run = home.ask_json(&["status"])["info"]["run"].clone();
    daemon.kill();
    // A lock that a dead daemon leaves behind stops nobody.
    let mut daemon = home.run(&[]);
    assert_eq!(daemon.ready()["info"]["run"], run);
}

#[test]
fn a_port_in_use_is_refused_with_a_remedy() {
    let home = Home::simulated(600.0);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["--http-bind", &address]).wait().refused_with(2, &[&address, "in use", "--http-bind"]);
    home.run(&["--http-bind", "0.0.0.0:0"]).wait().refused_with(2, &["0.0.0.0:0", "--allow-non-loopback"]);
    assert!(!home.data().join("control.sock").exists());
    drop(taken);
    home.run(&["--http-bind", &address, "--for", "10ms"]).wait().ended_with(0);
}

#[test]
fn a_torn_last_line_is_set_aside_and_the_daemon_goes_on() {
    let home = traded();
    let path = journal_path(&home.data());
    let whole = fs::read(&path).unwrap();
    let left = records(&home.data());
    let begun = format!("lb1 {:016} 000000f0 25d1b21e 2780e28471e6", left.len() + 1);
    let torn = [&whole[..], begun.as_bytes()].concat();
    fs::write(&path, &torn).unwrap();

    let audit = home.ask(&["audit"]);
    assert!(audit.ended_with(0).contains("the last line is incomplete"), "{}", audit.out);
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert!(daemon.log().contains("set aside"), "{}", daemon.log());
    daemon.stop().ended_with(0);
    assert!(fs::read(&path).unwrap().starts_with(&whole));
    let after = records(&home.data());
    assert_unique(&after);
    assert_eq!(after[left.len()]["type"], "started");
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
    let aside = fs::read_dir(home.data()).unwrap().map(|file| file.unwrap().path());
    let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("torn")).collect();
    assert_eq!(aside.len(), 1, "what was cut off is kept");
    assert_eq!(fs::read(&aside[0]).unwrap(), torn[whole.len()..]);
}

#[test]
fn an_altered_byte_is_found_and_the_daemon_does_not_start() {
    let home = traded();
    let path = journal_path(&home.data());
    let good = fs::read(&path).unwrap();
    let mut altered = lines(&path);
    let at = altered.len() / 2;
    let digit = altered[at].iter().rposition(u8::is_ascii_digit).unwrap();
    altered[at][digit] = if altered[at][digit] == b'1' { b'2' } else { b'1' };
    fs::write(&path, altered.concat()).unwrap();

    let place = format!("damaged at line {}", at + 1);
    let words = [path.to_str().unwrap(), place.as_str(), "restore a backup"];
    home.run(&[]).wait().refused_with(5, &words);
    let audit = home.ask(&["audit"]);
    for word in [&format!("DAMAGED at line {}", at + 1), "checksum", "restore a backup"] {
        assert!(audit.ended_with(5).contains(word), "`{word}` is missing in:\n{}", audit.out);
    }
    assert!(fs::read(&path).unwrap() == altered.concat(), "nothing was changed");

    // A line that is missing in the middle is no better.
    let mut missing = lines(&path);
    missing.remove(at);
    fs::write(&path, missing.concat()).unwrap();
    home.run(&[]).wait().refused_with(5, &[&place, "missing"]);

    fs::write(&path, good).unwrap();
    home.run(&["--for", "10ms"]).wait().ended_with(0);
}

#[test]
fn a_journal_whose_end_was_cut_off_is_not_clean() {
    let home = traded();
    let path = journal_path(&home.data());
    let mut cut = lines(&path);
    let whole = cut.len();
    cut.truncate(whole - 3);
    fs::write(&path, cut.concat()).unwrap();
    let audit = home.ask(&["audit", "--json"]);
    audit.ended_with(1);
    let found = audit.json();
    assert_eq!(found["clean"], false);
    assert!(found["tables"]["disagree"]["why"].as_str().unwrap().contains("cut off"), "{found}");
    let text = home.ask(&["audit"]);
    assert!(text.ended_with(1).trim_end().ends_with("NOT CLEAN"), "{}", text.out);
    assert!(text.out.contains(&format!("they hold record {whole}")), "{}", text.out);

    // The tables are a view: without them the journal speaks for itself.
    for name in ["levibot.db", "levibot.db-wal", "levibot.db-shm"] {
        let _ = fs::remove_file(home.data().join(name));
    }
    assert_eq!(home.ask_json(&["audit"])["tables"], "absent");
    home.run(&["--for", "10ms"]).wait().ended_with(0);
    let audit = home.ask_json(&["audit"]);
    assert_eq!(audit["tables"]["agree"]["seq"], records(&home.data()).len(), "they are built anew");
}

#[test]
fn another_account_may_not_go_on_with_a_journal() {
    let home = traded();
    home.configure(|config| config["account"]["name"] = "other".into());
    home.run(&[]).wait().refused_with(2, &["holds another account"]);
}

#[test]
fn a_halt_file_made_by_hand_halts_the_next_start() {
    let home = traded();
    home.write("data/HALT", "stop!");
    let daemon = home.run(&[]);
    eventually("it is halted", || {
        let status = home.ask(&["status", "--json"]);
        (status.code() == 0 && status.json()["account"]["halt"] == "reduce_only").then_some(())
    });
    assert_eq!(home.ask_json(&["engines"])["running"], 0);
    daemon.stop().ended_with(0);
    assert_eq!(of_type(&records(&home.data()), "halt").len(), 1);
}

/// One row of each kind that cannot be a bar, and how the report names it.
const BAD_ROWS: [(&str, &str); 9] = [
    ("2022-01-20T03:00:00Z,NaN,2,1,1.5,10", ""),
    ("2022-01-20T03:00:00Z,-1,2,1,1.5,10", ""),
    ("2022-01-20T03:00:00Z,0,2,1,1.5,10", ""),
    ("2022-01-20T03:00:00Z,1.5,1,2,1.5,10", ""),
    ("2022-01-20T03:00:00Z,1.5,2,1,1.5,-10", ""),
    ("2022-01-20T03:00:00Z,1.5,2,1,oops,10", "unreadable number"),
    ("yesterday,1.5,2,1,1.5,10", "unreadable time"),
    ("2022-01-20T03:00:00Z,1.5,2,1", "wrong number of fields"),
    ("2022-01-20T03:00:00Z,inf,inf,inf,inf,10", ""),
];

#[test]
fn bad_rows_of_price_files_are_counted_and_left_out() {
    let home = Home::replay();
    prices::write(&home.path("prices"), 700);
    let run = |data: &str| {
        let (prices, data) = (home.path("prices"), home.path(data));
        home.run(&["--data", prices.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).wait()
    };
    let outcome = run("good");
    outcome.ended_with(0);
    assert!(!outcome.err.contains(" rows"), "{}", outcome.err);

    // The same prices again, with bad rows between the good ones.
    let good = home.read("prices/BTCUSDT.csv");
    let mut rows: Vec<&str> = good.lines().collect();
    let (header, at) = (1, 460);
    let (first, again, before) = (rows[at - 1], rows[at - 1], rows[at - 5]);
    assert!(first.starts_with("2022-01-20T02:00:00Z"), "{first}");
    rows.splice(at..at, BAD_ROWS.iter().map(|(row, _)| *row).chain([again, before]));
    home.write("prices/BTCUSDT.csv", &(rows.join("\n") + "\n"));
    let outcome = run("bad");
    outcome.ended_with(0);
    let report =
        outcome.err.lines().find(|line| line.contains("BTCUSDT.csv")).unwrap_or_else(|| panic!("{}", outcome.err));
    let left_out = BAD_ROWS.len() + 2;
    assert!(report.contains(&format!("700 of {} rows", 700 + left_out)), "{report}");
    let counted = report.split(" x").skip(1).map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(counted.sum::<usize>(), left_out, "{report}");
    let named = BAD_ROWS.iter().map(|(_, name)| *name).filter(|name| !name.is_empty());
    for name in named.chain(["duplicate time", "time out of order"]) {
        assert!(report.contains(name), "`{name}` is missing in {report}");
    }
    let line = at + header;
    assert!(report.contains(&format!("from line {line}")), "line {line} of the first one is named: {report}");
    // What is left is what was there before: the same run, the same record.
    let [good, bad] = ["good", "bad"].map(|name| home.path(name));
    assert_eq!(run_folder(&good).file_name(), run_folder(&bad).file_name());
    assert!(fs::read(journal_path(&good)).unwrap() == fs::read(journal_path(&bad)).unwrap());
}

#[test]
fn price_files_that_hold_nothing_usable_are_refused() {
    let home = Home::replay();
    let good = prices::csv(1, 46_000.0, 50);
    let no_volume = good.replace(",Volume", ",Turnover");
    let header = "Date,Open,High,Low,Close,Volume\n";
    let all_bad = format!("{header}2022-01-01T00:00:00Z,NaN,1,1,1,1\n");
    for (text, words) in [
        ("", ["BTCUSDT.csv", "empty"]),
        (header, ["BTCUSDT.csv", "no"]),
        (no_volume.as_str(), ["BTCUSDT.csv", "volume"]),
        (all_bad.as_str(), ["BTCUSDT.csv", "x1 from line 2"]),
    ] {
        home.write("prices/BTCUSDT.csv", text);
        let prices = home.path("prices");
        home.run(&["--data", prices.to_str().unwrap()]).wait().refused_with(2, &words);
    }
    let prices = home.path("prices/BTCUSDT.csv");
    home.write("prices/BTCUSDT.csv", &good);
    home.configure(|config| config["market"]["timeframe"] = "1m".into());
    home.run(&["--data", prices.to_str().unwrap()]).wait().refused_with(2, &["BTCUSDT.csv", "1m", "1h"]);
    home.run(&["--data", "nowhere"]).wait().refused_with(2, &["nowhere"]);
    home.run(&[]).wait().refused_with(2, &["--data"]);
}
