//! Symbols that come and go while the daemon runs.

use serde_json::Value;

use crate::record::{assert_unique, of_type, positions, records, run_folder};
use crate::support::{Home, SYMBOLS, eventually};

const QUICK: f64 = 6_000.0;
const WITH_ADA: [&str; 5] = ["ADAUSDT", "BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT"];

pub(crate) fn row(home: &Home, symbol: &str) -> Value {
    let engines = home.ask_json(&["engines"]);
    let rows = engines["engines"].as_array().unwrap();
    rows.iter().find(|row| row["symbol"] == symbol).cloned().unwrap_or_default()
}

/// Waits until its engine runs and has answered a bar that closed after those it answered before.
pub(crate) fn answers(home: &Home, symbol: &str) {
    let running = || Some(row(home, symbol)).filter(|row| row["status"] == "running" && row["last_bar"].is_string());
    let before = eventually(&format!("{symbol} runs"), running);
    eventually(&format!("{symbol} answers"), || running().filter(|now| now["last_bar"] != before["last_bar"]));
}

pub(crate) fn entries(records: &[Value], symbol: &str) -> usize {
    let intents = of_type(records, "intent").into_iter();
    intents.filter(|r| r["order"]["symbol"] == symbol && r["order"]["leg"] == "entry").count()
}

/// Audit and repetition find nothing.
pub(crate) fn is_as_it_was(home: &Home) -> Value {
    let audit = home.ask_json(&["audit"]);
    assert_eq!(audit["clean"], true, "{audit}");
    let config = home.config();
    let again = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(again["different"], 0, "{again:#}");
    again
}

#[test]
fn symbols_come_and_go_and_come_back_over_crashes_and_the_record_runs_again() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("fills", || (of_type(&records(&home.data()), "fill").len() > 4).then_some(()));

    // One comes. Its name is before the others, and its place behind them.
    home.trade(&WITH_ADA);
    let shown = home.ask(&["reload", "--dry-run"]);
    assert!(
        shown.ended_with(0).contains("ADAUSDT: added") && shown.out.starts_with("would be taken over"),
        "{}",
        shown.out
    );
    assert_eq!(home.ask_json(&["engines"])["total"], 4);
    let outcome = home.ask(&["reload"]);
    assert!(outcome.ended_with(0).contains("ADAUSDT: added") && !outcome.out.contains("restart"), "{}", outcome.out);
    answers(&home, "ADAUSDT");
    eventually("it trades", || (entries(&records(&home.data()), "ADAUSDT") > 0).then_some(()));
    let places = home.ask_json(&["pnl"])["symbols"].as_array().unwrap().clone();
    let places: Vec<&str> = places.iter().map(|one| one["symbol"].as_str().unwrap()).collect();
    assert_eq!(places, ["BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT", "ADAUSDT"]);
    let registry: Value = serde_json::from_str(&home.read("registry.json")).unwrap();
    assert!(SYMBOLS.iter().all(|symbol| registry[symbol]["generation"] == 1), "nobody else was touched: {registry}");

    // One with a position goes. The position is closed by its own rules and nothing is entered any more.
    let symbol = eventually("an old symbol with a position", || {
        positions(&records(&home.data())).into_keys().find(|symbol| symbol != "ADAUSDT")
    });
    let left: Vec<&str> = WITH_ADA.into_iter().filter(|other| *other != symbol).collect();
    home.trade(&left);
    daemon.hang_up();
    let gone =
        eventually("its engine is stopped", || Some(row(&home, &symbol)).filter(|row| row["status"] == "stopped"));
    assert_eq!(gone["last_error"], "not configured any more");
    let frozen = |records: &[Value]| {
        let of_it = |r: &&&Value| r["symbol"] == symbol && r["cause"] == "configuration";
        of_type(records, "freeze")
            .iter()
            .filter(of_it)
            .map(|r| r["reason"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let before = records(&home.data());
    assert_eq!(frozen(&before), [Some("not configured any more".to_owned())]);
    for command in ["start", "restart", "pause"] {
        home.ask(&[command, &symbol]).refused_with(1, &["not configured any more", "market.symbols"]);
    }
    home.ask(&["restart", "all"]).ended_with(0);
    eventually("it is flat", || (!positions(&records(&home.data())).contains_key(&symbol)).then_some(()));
    answers(&home, "ADAUSDT");
    assert_eq!(row(&home, &symbol)["status"], "stopped");
    assert_eq!(entries(&records(&home.data()), &symbol), entries(&before, &symbol), "nothing is entered");

    // It comes back, warm.
    home.trade(&WITH_ADA);
    assert!(home.ask(&["reload"]).ended_with(0).contains(&format!("{symbol}: back again")));
    answers(&home, &symbol);
    assert_eq!(frozen(&records(&home.data())).last().unwrap(), &None, "it may enter again");

    // A crash, and a start with another list: places are sorted anew, and books go with their symbols.
    daemon.kill();
    is_as_it_was(&home);
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(home.ask_json(&["engines"])["engines"][0]["symbol"], "ADAUSDT");
    answers(&home, "ADAUSDT");
    home.trade(&SYMBOLS);
    home.ask(&["reload"]).ended_with(0);
    eventually("ADAUSDT is flat", || (!positions(&records(&home.data())).contains_key("ADAUSDT")).then_some(()));
    let view = home.ask_json(&["pnl"]);
    daemon.kill();
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(home.ask_json(&["engines"])["total"], 4);
    // What it has earned and paid is still in the sums.
    let fees = |view: &Value| view["fees"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(fees(&home.ask_json(&["pnl"])) >= fees(&view), "{view}");
    home.trade(&WITH_ADA);
    home.set_watch(true);
    home.ask(&["reload"]).ended_with(0);
    answers(&home, "ADAUSDT");
    daemon.stop().ended_with(0);

    let all = records(&home.data());
    assert_unique(&all);
    let again = is_as_it_was(&home);
    assert!(again["decisions"].as_u64().unwrap() > 200, "{again}");
}

#[test]
fn a_symbol_without_a_price_changes_nothing() {
    let home = Home::simulated(QUICK);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    home.configure(|config| config["market"]["symbols"].as_array_mut().unwrap().push("ADAUSDT".into()));
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "market.simulator.prices.ADAUSDT", "start price"]);
    home.configure(|config| config["market"]["symbols"].as_array_mut().unwrap().push("NONEUSDT".into()));
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "NONEUSDT"]);
    assert_eq!(home.ask_json(&["engines"])["total"], 4);

    // What needs a restart besides is named, and the rest is done.
    home.trade(&WITH_ADA);
    home.configure(|config| config["market"]["timeframe"] = "5m".into());
    let outcome = home.ask(&["reload"]);
    let out = outcome.ended_with(0);
    assert!(
        out.contains("ADAUSDT: added") && out.contains("a restart is needed for market.timeframe: 1m -> 5m"),
        "{out}"
    );
    answers(&home, "ADAUSDT");
    home.trade(&SYMBOLS);
    home.configure(|config| config["market"]["venue"] = "other".into());
    let outcome = home.ask(&["reload"]);
    let out = outcome.ended_with(0);
    assert!(out.contains("ADAUSDT: stays as it was: `market.venue` changes too"), "{out}");
    assert_eq!(row(&home, "ADAUSDT")["status"], "running");
    daemon.stop().ended_with(0);
}

#[test]
fn a_replay_keeps_its_symbols() {
    let home = Home::simulated(QUICK);
    home.configure(|config| config["run"]["pace"] = "lockstep".into());
    let daemon = home.run(&[]);
    let folder = || Some(run_folder(&home.data())).filter(|folder| folder.join("control.sock").exists());
    let folder = eventually("it can be asked", folder).display().to_string();
    home.trade(&WITH_ADA);
    let outcome = home.levibot(&["reload", "--data-dir", &folder]);
    let out = outcome.ended_with(0);
    assert!(out.contains("ADAUSDT: stays as it was: a replay's outcome is named by its symbols"), "{out}");
    assert!(out.contains("a restart is needed for") && out.contains("market.symbols"), "{out}");
    daemon.stop().ended_with(0);
}

/// Rows of a second each.
fn seconds(price: f64, rows: i64) -> String {
    let mut text = "open_time,open,high,low,close,volume\n".to_owned();
    for at in 0..rows {
        let close = price * (1.0 + 0.01 * (at as f64 / 50.0).sin());
        let (time, high, low) = ((1_640_995_200 + at) * 1_000, close * 1.001, close * 0.999);
        text += &format!("{time},{close:.6},{high:.6},{low:.6},{close:.6},1000\n");
    }
    text
}

#[test]
fn price_files_of_a_new_symbol_are_read_while_the_daemon_runs() {
    let home = Home::replay();
    for (symbol, price) in [("BTCUSDT", 46_000.0), ("ETHUSDT", 3_700.0)] {
        home.write(&format!("prices/{symbol}.csv"), &seconds(price, 40_000));
    }
    let trade = |symbols: &[&str]| {
        home.configure(|config| {
            let list: Vec<toml::Value> = symbols.iter().map(|symbol| (*symbol).into()).collect();
            config["market"].as_table_mut().unwrap().insert("symbols".to_owned(), list.into());
        });
    };
    home.configure(|config| {
        config["run"]["pace"] = "realtime".into();
        config["run"].as_table_mut().unwrap().insert("watch".to_owned(), false.into());
        config["replay"]["resume_next_day"] = false.into();
        config["market"]["timeframe"] = "1s".into();
        let files = config["market"].as_table_mut().unwrap().entry("files").or_insert(toml::Table::new().into());
        let files = files.as_table_mut().unwrap();
        files.insert("path".to_owned(), home.path("prices").display().to_string().into());
        files.insert("from".to_owned(), "2022-01-01T00:20:00Z".into());
    });
    trade(&["ETHUSDT"]);
    let mut daemon = home.run(&[]);
    daemon.ready();
    answers(&home, "ETHUSDT");
    trade(&["ETHUSDT", "LINKUSDT"]);
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "no price file for LINKUSDT"]);
    home.write("prices/LINKUSDT.csv", &seconds(20.0, 600));
    home.ask(&["reload"]).refused_with(1, &["price files of LINKUSDT", "end at 2022-01-01T00:10:00Z", "later prices"]);
    trade(&["BTCUSDT", "ETHUSDT"]);
    assert!(home.ask(&["reload"]).ended_with(0).contains("BTCUSDT: added"));
    answers(&home, "BTCUSDT");
    answers(&home, "ETHUSDT");
    daemon.stop().ended_with(0);
    is_as_it_was(&home);
}

#[test]
fn a_new_symbol_is_asked_about_by_its_name() {
    let home = Home::simulated(600.0);
    crate::model::follow_model(&home);
    home.set_watch(false);
    home.configure(|config| config["market"]["simulator"]["history"] = "26h".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    let forecast = |symbol: &str| {
        let records = records(&home.data());
        let said = of_type(&records, "forecasts").into_iter().flat_map(|r| r["forecasts"].as_array().unwrap());
        said.filter(|said| said["symbol"] == symbol && !said["forecast"].is_null()).count()
    };
    eventually("forecasts", || (forecast("BTCUSDT") > 0).then_some(()));
    home.trade(&WITH_ADA);
    assert!(home.ask(&["reload"]).ended_with(0).contains("ADAUSDT: added"));
    eventually("forecasts of the new one", || (forecast("ADAUSDT") > 2).then_some(()));
    // One that left is not asked about any more.
    home.trade(&SYMBOLS);
    home.ask(&["reload"]).ended_with(0);
    eventually("it is stopped", || (row(&home, "ADAUSDT")["status"] == "stopped").then_some(()));
    let (gone, others) = (forecast("ADAUSDT"), forecast("BTCUSDT"));
    eventually("forecasts of the others", || (forecast("BTCUSDT") > others + 3).then_some(()));
    assert!(forecast("ADAUSDT") <= gone + 1, "but for one that was on its way");
    daemon.stop().ended_with(0);
    is_as_it_was(&home);
}
