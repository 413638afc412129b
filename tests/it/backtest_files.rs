//! What a backtest makes of its files: prices, rates of funding, and the folder of the result.

use std::fs;

use serde_json::Value;

use crate::prices;
use crate::support::{Home, Outcome, workspace};

/// One unit, always in the market from the first crossing on.
const POLICY: &str = include_str!("../../policies/strategies/ema_cross.yaml");

/// A home with the policy in it.
fn home() -> Home {
    let home = Home::replay();
    home.write("cross.yaml", POLICY);
    home
}

fn run(home: &Home, args: &[&str]) -> Outcome {
    home.levibot(&[&["backtest", "--policy", "cross.yaml"], args].concat())
}

#[track_caller]
fn json(home: &Home, args: &[&str]) -> Value {
    let outcome = run(home, &[args, &["--json"]].concat());
    outcome.ended_with(0);
    outcome.json()
}

fn warnings(result: &Value) -> Vec<&str> {
    result["warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn a_price_under_a_cent_earns_what_it_would_in_larger_units() {
    let home = home();
    let (mut dear, mut cheap) = ("time,open,high,low,close,volume\n".to_owned(), String::new());
    cheap.push_str(&dear);
    for row in prices::csv(3, 20_000.0, 1_500).lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let cents = fields[1..5].iter().map(|price| format!("{:.0}", price.parse::<f64>().unwrap() * 100.0));
        let cents: Vec<String> = cents.collect();
        let row = |power: i32, volume: &str| {
            let prices = cents.iter().map(|cents| format!("{cents}e{power}")).collect::<Vec<_>>().join(",");
            format!("{},{prices},{}{volume}\n", fields[0], fields[5])
        };
        dear += &row(-2, "");
        cheap += &row(-11, "e9");
    }
    home.write("prices/DEARUSDT.csv", &dear);
    home.write("prices/CHEAPUSDT.csv", &cheap);
    home.write("many.yaml", &POLICY.replace("units: 1", "units: 1000000000"));
    let of = |file: &str, policy: &str| {
        let outcome = home.levibot(&["backtest", "--data", file, "--policy", policy, "--json"]);
        outcome.ended_with(0);
        outcome.json()
    };
    let (dear, cheap) = (of("prices/DEARUSDT.csv", "cross.yaml"), of("prices/CHEAPUSDT.csv", "many.yaml"));
    assert_eq!(cheap["settings"]["instruments"]["CHEAPUSDT"]["tick"], "0.00000000001");
    assert!(dear["fills"].as_u64().unwrap() > 10);
    assert_eq!(cheap["fills"], dear["fills"]);
    for key in ["net_pnl", "fees", "final_equity", "slippage"] {
        let (a, b) = (dear[key].as_f64().unwrap(), cheap[key].as_f64().unwrap());
        assert!((a - b).abs() < 1e-4, "{key}: {a} against {b}");
    }
    assert_eq!(warnings(&cheap), Vec::<&str>::new());
}

#[test]
fn rates_that_do_not_cover_what_is_traded_are_told_and_their_files_shown() {
    let home = home();
    prices::write(&home.path("prices"), 24 * 60);
    let (mut whole, mut january) = ("symbol,fundingTime,fundingRate\n".to_owned(), String::new());
    january.push_str(&whole);
    for n in 0..180_i64 {
        let row = format!("BTCUSDT,{},0.0001\n", 1_640_995_200_000 + n * 8 * 3_600_000);
        whole += &row;
        if n < 93 {
            january += &row;
        }
    }
    home.write("whole.csv", &whole);
    home.write("january.csv", &january);
    let of = |file: &str| {
        json(&home, &["--data", "prices", "--symbols", "BTCUSDT", "--funding", file, "--out", "result", "--no-report"])
    };
    assert_eq!(warnings(&of("whole.csv")), Vec::<&str>::new());
    let result = of("january.csv");
    let told = warnings(&result).join("\n");
    for words in ["BTCUSDT", "from 2022-01-31T16:00:00Z to 2022-03-02T00:00:00Z", "--funding"] {
        assert!(told.contains(words), "{told}");
    }
    let costs = &result["settings"]["costs"];
    assert_eq!((&costs["funding"], &costs["funding_files"]), (&Value::Null, &"january.csv".into()));
    let written: Value = serde_json::from_str(&home.read("result/result.json")).unwrap();
    assert_eq!(written["costs"]["funding"], "rates of january.csv");
    assert!(written["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap() == told), "{written:#}");
}

#[test]
fn a_position_whose_prices_have_ended_is_told() {
    let home = home();
    home.write("prices/BTCUSDT.csv", &prices::csv(1, 46_000.0, 600));
    home.write("prices/LINKUSDT.csv", &prices::csv(3, 20.0, 300));
    let result = json(&home, &["--data", "prices"]);
    let told = warnings(&result).join("\n");
    for words in ["LINKUSDT: its prices end at 2022-01-13T12:00:00Z", "until 2022-01-26T00:00:00Z", "on paper"] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!told.contains("BTCUSDT: its prices"), "{told}");
}

#[test]
fn rows_from_new_to_old_and_single_bars_are_read() {
    let home = home();
    let text = prices::csv(1, 46_000.0, 300);
    for folder in ["old", "new", "one"] {
        fs::create_dir(home.path(folder)).unwrap();
    }
    home.write("old/BTCUSDT.csv", &text);
    let (header, rows) = text.split_once('\n').unwrap();
    let turned = rows.lines().rev().map(|row| format!("{row}\n")).collect::<String>();
    home.write("new/BTCUSDT.csv", &format!("{header}\n{turned}"));
    let [old, new] = ["old", "new"].map(|folder| json(&home, &["--data", folder]));
    assert_eq!((&old["exact"], &old["bars"]), (&new["exact"], &300.into()));
    assert_eq!(old["settings"]["data_hash"], new["settings"]["data_hash"]);

    home.write("one/BTCUSDT.csv", &text.lines().take(2).collect::<Vec<_>>().join("\n"));
    run(&home, &["--data", "one"]).refused_with(2, &["BTCUSDT.csv holds 1", "--timeframe 1h"]);
    assert_eq!(json(&home, &["--data", "one", "--timeframe", "1h"])["bars"], 1);
}

#[test]
fn a_row_from_the_future_costs_itself_and_a_file_in_disorder_is_refused() {
    let home = home();
    let text = prices::csv(1, 46_000.0, 300);
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows[100] = rows[100].replacen("2022", "2122", 1);
    home.write("prices/BTCUSDT.csv", &rows.join("\n"));
    let result = json(&home, &["--data", "prices"]);
    assert_eq!(result["bars"], 299);
    let told = warnings(&result).join("\n");
    assert!(told.contains("time out of order x1 from line 101"), "{told}");
    // A third of it once more, later.
    rows.extend(text.lines().skip(1).take(100).map(str::to_owned));
    home.write("prices/BTCUSDT.csv", &rows.join("\n"));
    run(&home, &["--data", "prices"]).refused_with(2, &["BTCUSDT.csv has 101 bad rows of 400", "sort its rows"]);
}

#[test]
fn what_cannot_be_written_is_told_after_the_result() {
    let home = home();
    prices::write(&home.path("prices"), 300);
    // A folder in the place of a file: nothing can take its place.
    fs::create_dir_all(home.path("result/result.json")).unwrap();
    for report in [&[][..], &["--no-report"]] {
        let outcome = run(&home, &[&["--data", "prices", "--json", "--out", "result"], report].concat());
        outcome.refused_with(1, &["result.json", "--out"]);
        assert_eq!(outcome.json()["bars"], 1_200, "the result is printed all the same");
    }
}

#[test]
fn nothing_of_an_earlier_run_stays_in_the_folder() {
    let home = home();
    prices::write(&home.path("prices"), 300);
    let files = |args: &[&str]| {
        json(&home, &[&["--data", "prices", "--out", "result"], args].concat());
        let mut names: Vec<String> = fs::read_dir(home.path("result"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(&[]).len(), 6);
    assert_eq!(files(&["--no-report"]), ["result.json"]);
}

/// Whether somewhere in it stands a number so large that it must be nanoseconds since 1970.
fn has_nanos(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|number| number > 1_000_000_000_000_000_000),
        Value::Array(list) => list.iter().any(has_nanos),
        Value::Object(map) => map.values().any(has_nanos),
        _ => false,
    }
}

#[test]
fn a_result_says_what_it_was_made_with_and_its_times_are_text() {
    let home = home();
    prices::write(&home.path("prices"), 24 * 60);
    let args = ["--data", "prices", "--symbols", "BTCUSDT", "--sweep", "fast=5:20:5", "--sweep-random", "3"];
    let walk = ["--walk-forward", "20d/10d", "--embargo", "2d", "--out", "result", "--no-report"];
    let result = json(&home, &[&args[..], &walk].concat());
    let settings = &result["settings"];
    assert_eq!(settings["limits"], serde_json::json!({"from": "none", "hash": null}));
    let search = serde_json::json!({
        "objective": "sharpe",
        "values": {"fast": [5.0, 10.0, 15.0, 20.0]},
        "random": 3,
        "walk_forward": {"train": 1_728_000.0, "test": 864_000.0, "embargo": 172_800.0},
    });
    assert_eq!(settings["search"], search);
    let rules = &settings["instruments"]["BTCUSDT"];
    assert_eq!(
        (&rules["step"], &rules["min_qty"], &rules["min_notional"]),
        (&"0.00000001".into(), &"0".into(), &"0".into())
    );
    let written: Value = serde_json::from_str(&home.read("result/result.json")).unwrap();
    assert_eq!(written["settings"]["walk-forward"], "20 d to choose on, 2 d left out, 10 d to run on");
    assert_eq!(written["settings"]["tried fast"], "5, 10, 15, 20");
    assert!(written["summary"]["from"].as_str().unwrap().starts_with("2022-01-"), "{}", written["summary"]["from"]);
    assert!(!has_nanos(&result) && !has_nanos(&written));

    let config = home.config();
    home.write("ema_cross.yaml", POLICY);
    let with = ["--data", "prices", "--symbols", "BTCUSDT", "--config", config.to_str().unwrap()];
    let settings = &json(&home, &with)["settings"];
    assert_eq!(settings["limits"]["from"], "configuration");
    assert_eq!(settings["config"]["hash"].as_str().unwrap().len(), 64);
    let hash = |args: &[&str]| json(&home, &[&with[..], args].concat())["settings"]["limits"]["hash"].clone();
    let limits = fs::read_to_string(workspace().join("policies/risk.yaml")).unwrap();
    home.write("same.yaml", &format!("# The same limits.\n{limits}"));
    home.write("other.yaml", &limits.replacen("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 2.0", 1));
    let [same, again, other] = ["same.yaml", "same.yaml", "other.yaml"].map(|file| hash(&["--risk", file]));
    assert!(same.is_string() && same == again && same != other, "{same} {again} {other}");
}

#[test]
fn a_number_of_threads_has_a_bound() {
    let home = home();
    prices::write(&home.path("prices"), 50);
    for threads in ["0", "1025", "1000000000"] {
        run(&home, &["--data", "prices", "--threads", threads]).refused_with(2, &["--threads", threads, "1024"]);
    }
}
