//! Backtests on what the model says: the forecasts and decisions of a replay, asked once and kept.

use std::fs;
use std::path::PathBuf;

use levibot_core::domain::{Bar, Forecast, Symbol, Timeframe, Ts};
use levibot_core::driver::WARM_UP_BARS;
use levibot_core::files;
use levibot_core::forecast::{KeptKey, bars_digest, read_kept, schema_hash};
use serde_json::Value;

use crate::model::follow_model;
use crate::prices;
use crate::record::{of_type, records};
use crate::support::{Home, Outcome, SYMBOLS};

const FROM: &str = "2022-02-20";

/// A market, and a replay over it by a daemon that has trained its model before.
fn replayed() -> Home {
    let home = Home::replay();
    follow_model(&home);
    prices::write(&home.path("prices"), 1_500);
    // Slippage is drawn from the names of orders, which are those of a run.
    home.configure(|config| config["paper"]["slippage"] = 0.0.into());
    let prices = home.path("prices");
    home.run(&["--data", prices.to_str().unwrap(), "--from", FROM]).wait().ended_with(0);
    home
}

fn backtest(home: &Home, args: &[&str]) -> Outcome {
    let (cache, config) = (home.path("cache"), home.config());
    let base = ["backtest", "--data", "prices", "--config", config.to_str().unwrap(), "--json"];
    home.levibot_with(&[&base[..], args].concat(), &[("XDG_CACHE_HOME", cache.to_str().unwrap())])
}

fn result(home: &Home, args: &[&str]) -> Value {
    let outcome = backtest(home, args);
    outcome.ended_with(0);
    outcome.json()
}

/// The files of forecasts that are kept.
fn kept(home: &Home) -> Vec<PathBuf> {
    let folder = fs::read_dir(home.path("cache/levibot/forecasts")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

/// What a file must hold that belongs to this result, and what it holds.
fn read(home: &Home, result: &Value) -> Vec<Vec<(Ts, Forecast)>> {
    let load = |name: &&str| -> (Symbol, Vec<Bar>) {
        let symbol: Symbol = name.parse().unwrap();
        let found = files::discover(&home.path("prices")).unwrap();
        (symbol, files::load(symbol, &found[&symbol], None).unwrap().series.bars)
    };
    let all: Vec<(Symbol, Vec<Bar>)> = SYMBOLS.iter().map(load).collect();
    let symbols: Vec<Symbol> = all.iter().map(|(symbol, _)| *symbol).collect();
    let end = all[0].1.last().unwrap().close_ts(Timeframe::HOUR);
    let model = &result["settings"]["model"];
    let text = |key: &str| model[key].as_str().unwrap();
    let key = KeptKey {
        version: text("version").parse().unwrap(),
        digest: text("digest").to_owned(),
        schema: schema_hash(),
        trained_through: text("trained_through").parse().unwrap(),
        bars: bars_digest(all.iter().map(|(symbol, bars)| (*symbol, bars.as_slice())), Timeframe::HOUR, end),
        asked: symbols.clone(),
        symbols,
        timeframe: Timeframe::HOUR,
        start: FROM.parse().unwrap(),
        end,
        warm_up: u32::try_from(WARM_UP_BARS).unwrap(),
    };
    assert_eq!(text("kept"), key.file_name());
    read_kept(fs::File::open(home.path("cache/levibot/forecasts").join(text("kept"))).unwrap(), &key).unwrap()
}

/// Fills as (symbol, side, quantity, price).
fn written_fills(home: &Home, folder: &str) -> Vec<(String, String, f64, f64)> {
    let mut rows = csv::Reader::from_path(home.path(folder).join("fills.csv")).unwrap();
    let names = rows.headers().unwrap().clone();
    let at = |name: &str| names.iter().position(|one| one == name).unwrap_or_else(|| panic!("{name} in {names:?}"));
    let places = ["symbol", "side", "qty", "price"].map(at);
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.unwrap();
        let [symbol, side, qty, price] = places.map(|at| row[at].to_owned());
        (symbol, side, qty.parse().unwrap(), price.parse().unwrap())
    };
    rows.records().map(row).collect()
}

fn timeless(mut value: Value) -> Value {
    for key in ["seconds", "bars_per_second", "load_seconds"] {
        value.as_object_mut().unwrap().remove(key);
    }
    value
}

#[test]
fn a_backtest_has_the_forecasts_and_fills_of_a_replay_and_asks_once() {
    let home = replayed();
    let first = result(&home, &["--from", FROM, "--out", "result"]);
    assert_eq!(first["warnings"], Value::Array(vec![]), "{first:#}");
    assert_eq!(first["settings"]["model"]["in_sample"], false);

    let records = records(&home.data());
    let lists = read(&home, &first);
    let mut compared = 0;
    for record in of_type(&records, "forecasts") {
        let bar: Ts = serde_json::from_value(record["bar"].clone()).unwrap();
        for said in record["forecasts"].as_array().unwrap() {
            let at = SYMBOLS.iter().position(|name| said["symbol"] == *name).unwrap();
            let (_, kept) = lists[at].iter().find(|(close, _)| *close == bar).unwrap();
            assert_eq!(serde_json::to_value(kept).unwrap(), said["forecast"], "{} at {bar}", SYMBOLS[at]);
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared}");
    assert_eq!(first["settings"]["model"]["forecasts"], compared);

    let number = |fill: &Value, key: &str| fill[key].as_str().unwrap().parse::<f64>().unwrap();
    let text = |fill: &Value, key: &str| fill[key].as_str().unwrap().to_owned();
    let fill = |record: &&Value| {
        let fill = &record["fill"];
        (text(fill, "symbol"), text(fill, "side"), number(fill, "qty"), number(fill, "price"))
    };
    let wanted: Vec<_> = of_type(&records, "fill").iter().map(fill).collect();
    assert!(wanted.len() > 10, "{}", wanted.len());
    assert_eq!(written_fills(&home, "result"), wanted);

    // The file is read from now on: without the program of the model nothing else can have answered.
    let again = |args: &[&str]| {
        let (cache, config) = (home.path("cache"), home.config());
        let base = ["backtest", "--data", "prices", "--config", config.to_str().unwrap(), "--json", "--from", FROM];
        let vars = [("XDG_CACHE_HOME", cache.to_str().unwrap()), ("LEVIBOT_MODEL_BINARY", "/nowhere")];
        home.levibot_with(&[&base[..], args].concat(), &vars)
    };
    assert_eq!(timeless(again(&[]).json()), timeless(first.clone()));
    let (policy, models) = (home.path("fusion.yaml"), home.path("models"));
    let named = again(&["--policy", policy.to_str().unwrap(), "--model", models.to_str().unwrap()]);
    assert_eq!(named.json()["exact"], first["exact"], "{}", named.err);
    assert_eq!(kept(&home).len(), 1);
    // Another range is another file.
    again(&["--to", "2022-02-25"]).refused_with(2, &["/nowhere", "LEVIBOT_MODEL_BINARY"]);

    // One that was changed is never believed.
    let file = kept(&home).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for bytes in [&damaged[..], &whole[..whole.len() - 9], b"something else"] {
        fs::write(&file, bytes).unwrap();
        let outcome = backtest(&home, &["--from", FROM, "--threads", "3"]);
        outcome.ended_with(0);
        assert_eq!(outcome.json()["exact"], first["exact"]);
        assert!(outcome.err.contains("the model is asked again"), "{}", outcome.err);
        assert_eq!(fs::read(&file).unwrap(), whole, "the same with any number of threads");
    }
    assert_eq!(kept(&home), [file], "nothing is left beside it");

    sample(&home);
    search(&home);
}

/// What a model has learnt from it is asked about only where that is wanted, and then it is said.
fn sample(home: &Home) {
    let early = ["--from", "2022-02-01", "--to", "2022-02-10"];
    backtest(home, &early).refused_with(2, &["has learnt from bars through", "--in-sample", "--from", "levibot train"]);
    let result = result(home, &[&early[..], &["--in-sample"]].concat());
    assert_eq!(result["settings"]["model"]["in_sample"], true);
    assert!(result["warnings"][0].as_str().unwrap().contains("in sample"), "{result:#}");
    let (cache, config) = (home.path("cache"), home.config());
    let table = ["backtest", "--data", "prices", "--config", config.to_str().unwrap(), "--in-sample"];
    let table = home.levibot_with(&[&table[..], &early].concat(), &[("XDG_CACHE_HOME", cache.to_str().unwrap())]);
    assert!(table.ended_with(0).contains("IN SAMPLE"), "{}", table.out);
}

/// All points and windows of a search share the forecasts.
fn search(home: &Home) {
    let before = kept(home).len();
    let grid = ["--from", FROM, "--sweep", "stop=1.5:3:0.5"];
    let swept = |threads: &str| {
        let mut value = result(home, &[&grid[..], &["--threads", threads]].concat());
        let rows = value["sweep"]["rows"].take();
        assert_eq!(value["warnings"], Value::Array(vec![]), "{value:#}");
        rows
    };
    let rows = swept("1");
    assert_eq!(rows.as_array().unwrap().len(), 4);
    assert_eq!(swept("3"), rows);
    let walked = result(home, &[&grid[..], &["--walk-forward", "5d/3d"]].concat());
    assert_eq!(walked["warnings"], Value::Array(vec![]), "{walked:#}");
    assert!(walked["fills"].as_u64().unwrap() > 0, "{walked:#}");
    assert_eq!(kept(home).len(), before);
}
