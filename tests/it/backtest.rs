//! Backtests through the real program.

use std::fs;

use levibot_core::domain::{Span, Ts};
use serde_json::Value;

use crate::prices;
use crate::support::{Home, Outcome};

/// Four symbols of hourly bars, and the arguments that name them.
struct Bench {
    home: Home,
}

const CROSS: &str = "cross.yaml";

/// One unit, always in the market from the first crossing on.
const POLICY: &str = include_str!("../../policies/strategies/ema_cross.yaml");

impl Bench {
    fn new(bars: i64) -> Self {
        let home = Home::replay();
        prices::write(&home.path("prices"), bars);
        home.write(CROSS, POLICY);
        Self { home }
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.home.levibot(&[&["backtest", "--data", "prices", "--policy", CROSS], args].concat())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let outcome = self.run(&[args, &["--json"]].concat());
        outcome.ended_with(0);
        outcome.json()
    }
}

/// What a result says besides how long it took.
fn timeless(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for key in ["seconds", "bars_per_second", "load_seconds", "train_seconds"] {
                    map.remove(key);
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn the_result_has_every_promised_figure_and_they_agree() {
    let bench = Bench::new(600);
    let result = bench.json(&["--symbols", "BTCUSDT,ETHUSDT"]);
    for key in [
        "bars",
        "fills",
        "orders",
        "trades",
        "fees",
        "net_pnl",
        "initial_equity",
        "final_equity",
        "max_drawdown",
        "sharpe",
        "seconds",
        "bars_per_second",
        "load_seconds",
    ] {
        assert!(result[key].is_number(), "{key} in {result:#}");
    }
    let number = |key: &str| result[key].as_f64().unwrap();
    assert_eq!(result["bars"], 1_200);
    assert!(number("fills") >= 2.0 && number("fees") > 0.0);
    assert!((number("final_equity") - number("initial_equity") - number("net_pnl")).abs() < 1e-6);
    assert!((number("bars_per_second") - number("bars") / number("seconds")).abs() <= 1e-6 * number("bars_per_second"));
    assert_eq!(result["exact"]["initial_equity"], "10000");
    assert_eq!(result["settings"]["symbols"], serde_json::json!(["BTCUSDT", "ETHUSDT"]));
    assert_eq!(result["settings"]["timeframe"], "1h");
    let told = &result["settings"]["instruments"]["BTCUSDT"];
    assert_eq!(
        (&told["tick"], &told["told_from_prices"]),
        (&"0.000001".into(), &true.into()),
        "prices have six decimals"
    );
}

/// What the crossing comes to by plain arithmetic: fills, fees, gain.
fn reference(text: &str, (fast, slow): (usize, usize), fee: f64) -> (u64, f64, f64) {
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').skip(1).map(|x| x.parse().unwrap()).collect()).collect();
    let (opens, closes): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row[0], row[3])).unzip();
    let ema = |n: usize| {
        let mut value = closes[..n].iter().sum::<f64>() / n as f64;
        let mut values = vec![f64::NAN; n - 1];
        values.push(value);
        for close in &closes[n..] {
            value += 2.0 / (n as f64 + 1.0) * (close - value);
            values.push(value);
        }
        values
    };
    let (fast, slow_values) = (ema(fast), ema(slow));
    let above = |bar: usize| fast[bar] > slow_values[bar];
    let (mut held, mut cash, mut fees, mut fills) = (0.0, 0.0, 0.0, 0);
    for bar in slow..closes.len() - 1 {
        if above(bar) == above(bar - 1) {
            continue;
        }
        let wanted = if above(bar) { 1.0 } else { -1.0 };
        let (traded, price) = (wanted - held, opens[bar + 1]);
        cash -= traded * price;
        fees += fee * f64::abs(traded) * price;
        fills += 1 + u64::from(held != 0.0);
        held = wanted;
    }
    (fills, fees, cash + held * closes[closes.len() - 1] - fees)
}

#[test]
fn a_crossing_of_averages_comes_to_what_plain_arithmetic_gives() {
    let bench = Bench::new(2_000);
    // Whole cents, as venues have them.
    let rows = prices::csv(9, 20_000.0, 5_000);
    let cents = |field: (usize, &str)| match field {
        (1..=4, price) => format!("{:.2}", price.parse::<f64>().unwrap()),
        (_, other) => other.to_owned(),
    };
    let rounded = |line: &str| line.split(',').enumerate().map(cents).collect::<Vec<_>>().join(",");
    let (head, body) = rows.split_once('\n').unwrap();
    let text = format!("{head}\n{}\n", body.lines().map(rounded).collect::<Vec<_>>().join("\n"));
    bench.home.write("prices/FOOUSDT.csv", &text);
    for (fast, slow) in [(10, 20), (50, 200)] {
        let set = [format!("fast={fast}"), format!("slow={slow}")];
        let args = ["--data", "prices/FOOUSDT.csv", "--set", &set[0], "--set", &set[1], "--cash", "1000"];
        let outcome = bench.home.levibot(&[&["backtest", "--policy", CROSS, "--json"], &args[..]].concat());
        outcome.ended_with(0);
        let result = outcome.json();
        let (fills, fees, gain) = reference(&text, (fast, slow), 0.0005);
        let number = |key: &str| result[key].as_f64().unwrap();
        assert!(fills > 10, "{fills}");
        assert_eq!(result["fills"], fills, "{fast}/{slow}");
        assert!((number("fees") - fees).abs() < 0.005, "{fast}/{slow}: {} against {fees}", number("fees"));
        assert!((number("net_pnl") - gain).abs() < 0.005, "{fast}/{slow}: {} against {gain}", number("net_pnl"));
        assert!((number("final_equity") - 1_000.0 - gain).abs() < 0.005);
        assert_eq!(result["settings"]["account"]["unlimited"], true, "a policy of one unit is measured by itself");
        assert_eq!(result["settings"]["instruments"]["FOOUSDT"]["tick"], "0.01");
    }
}

#[test]
fn the_result_is_written_only_where_it_is_asked_for() {
    let bench = Bench::new(300);
    let before = fs::read_dir(bench.home.path("")).unwrap().count();
    let printed = bench.json(&[]);
    // The program's own two output files are in the folder.
    assert_eq!(fs::read_dir(bench.home.path("")).unwrap().count(), before + 2);
    let again = bench.json(&["--out", "result"]);
    assert_eq!(timeless(again), timeless(printed.clone()));
    let text = bench.run(&[]);
    assert!(text.ended_with(0).contains("The past promises nothing"), "{}", text.out);
    for file in ["result.json", "report.html", "trades.csv", "fills.csv", "equity.csv", "equity.png"] {
        assert!(bench.home.path("result").join(file).is_file(), "{file}");
    }
    let written: Value = serde_json::from_str(&bench.home.read("result/result.json")).unwrap();
    for key in ["bars", "fills", "fees", "net_pnl", "final_equity", "sharpe", "max_drawdown"] {
        assert_eq!(written[key], printed[key], "{key}");
    }
    assert_eq!(written["exact"], printed["exact"]);
}

#[test]
fn a_range_and_longer_bars_take_whole_bars_only() {
    let bench = Bench::new(24 * 10 + 5);
    let bars = |args: &[&str]| bench.json(&[&["--symbols", "BTCUSDT"], args].concat())["bars"].as_u64().unwrap();
    assert_eq!(bars(&["--from", "2022-01-03", "--to", "2022-01-04"]), 48);
    assert_eq!(bars(&["--timeframe", "1h"]), 245);
    assert_eq!(bars(&["--timeframe", "4h"]), 61, "five hours are one bar of four");
    assert_eq!(bars(&["--timeframe", "4h", "--from", "2022-01-03", "--to", "2022-01-04"]), 12);
    let outcome = bench.run(&["--symbols", "BTCUSDT", "--timeframe", "4h", "--json"]);
    assert!(outcome.err.contains("1 bars of 4h are left out"), "{}", outcome.err);
    assert_eq!(bench.run(&["--symbols", "BTCUSDT", "--timeframe", "4h", "--quiet", "--json"]).err, "");
    bench.run(&["--timeframe", "90m"]).refused_with(2, &["--timeframe", "90m", "no multiple", "1h"]);
}

#[test]
fn a_sweep_is_the_same_with_any_number_of_threads() {
    let bench = Bench::new(500);
    let grid = ["--symbols", "BTCUSDT,SOLUSDT", "--sweep", "fast=5:20:5", "--sweep", "slow=10,30,40"];
    let swept = |threads: &str| {
        let folder = format!("swept-{threads}");
        let result = bench.json(&[&grid[..], &["--threads", threads, "--out", &folder, "--no-report"]].concat());
        let written = fs::read_to_string(bench.home.path(&folder).join("result.json")).unwrap();
        (timeless(result), timeless(serde_json::from_str(&written).unwrap()).to_string())
    };
    let one = swept("1");
    for threads in ["2", "8"] {
        assert_eq!(swept(threads), one, "{threads} threads");
    }
    let sweep = &one.0["sweep"];
    assert_eq!(
        (&sweep["points"], &sweep["trials"], &sweep["refused"]),
        (&12.into(), &9.into(), &3.into()),
        "{sweep:#}"
    );
    let rows = sweep["rows"].as_array().unwrap();
    let best = rows.iter().map(|row| row["sharpe"].as_f64().unwrap()).fold(f64::NEG_INFINITY, f64::max);
    let chosen = rows.iter().find(|row| row["sharpe"].as_f64() == Some(best)).unwrap();
    assert_eq!(chosen["net_pnl"], one.0["net_pnl"], "the result is that of the best");
    assert_eq!(chosen["fills"], one.0["fills"]);
    let parameters = &one.0["settings"]["policies"]["ema_cross"]["parameters"];
    assert_eq!(parameters["fast"].as_f64(), chosen["values"][0].as_f64());

    let drawn = |seed: &str| {
        let random = ["--sweep", "fast=2:20:1", "--sweep", "slow=21:40:1", "--sweep-random", "15", "--seed", seed];
        bench.json(&[&["--symbols", "BTCUSDT"], &random[..]].concat())["sweep"]["rows"].clone()
    };
    assert_eq!(drawn("1").as_array().unwrap().len(), 15);
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
}

#[test]
fn a_walk_forward_test_chooses_before_it_runs_and_leaves_no_gap() {
    let bench = Bench::new(24 * 60);
    let args = ["--symbols", "BTCUSDT", "--sweep", "fast=5,10,20", "--sweep", "slow=30", "--walk-forward", "20d/10d"];
    let walked = |threads: &str| timeless(bench.json(&[&args[..], &["--threads", threads]].concat()));
    let result = walked("1");
    assert_eq!(walked("3"), result);
    let windows = result["walk_forward"]["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 4);
    let time = |window: &Value, key: &str| window[key].as_str().unwrap().parse::<Ts>().unwrap();
    for pair in windows.windows(2) {
        assert_eq!(time(&pair[0], "test_to"), time(&pair[1], "test_from"));
    }
    assert!(windows.iter().all(|w| time(w, "test_from") - time(w, "train_to") == Span::DAY));
    assert_eq!(result["bars"], (60 - 21) * 24, "the tests alone");
    let sum: f64 = windows.iter().map(|w| w["test"]["net_pnl"].as_f64().unwrap()).sum();
    assert!((sum - result["net_pnl"].as_f64().unwrap()).abs() < 1e-6);

    // A choice does not know what comes after: without the last days, the first windows are the same.
    let shorter = bench.json(&[&args[..], &["--to", "2022-02-10"]].concat());
    let fewer = shorter["walk_forward"]["windows"].as_array().unwrap();
    assert!(fewer.len() >= 2 && fewer.len() < windows.len());
    assert_eq!(fewer[..fewer.len() - 1], windows[..fewer.len() - 1]);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_about_it() {
    let bench = Bench::new(100);
    fs::write(bench.home.path("file"), "").unwrap();
    let refused = |args: &[&str], words: &[&str]| bench.run(args).refused_with(2, words);
    refused(&["--symbols", "XRPUSDT"], &["XRPUSDT", "prices", "BTCUSDT, ETHUSDT, LINKUSDT, SOLUSDT", "--symbols"]);
    refused(&["--symbols", "BTCUSDT,BTCUSDT"], &["--symbols", "twice"]);
    refused(&["--set", "fats=3"], &[CROSS, "fats=3", "fast"]);
    refused(&["--set", "fast=1"], &[CROSS, "fast"]);
    refused(&["--set", "fast=many"], &["--set", "not a number"]);
    refused(&["--from", "2023-01-01"], &["no bar lies", "2022-01-05"]);
    refused(&["--from", "2022-01-03", "--to", "2022-01-02"], &["--from", "start before the end"]);
    refused(&["--sweep", "fast"], &["--sweep", "name=first:last:step"]);
    refused(&["--sweep", "fast=1:5:0"], &["--sweep", "over zero"]);
    refused(&["--sweep", "fats=1,2"], &["--sweep", "every point", "fats"]);
    refused(&["--sweep", "fast=5", "--set", "fast=5"], &["--set", "fast", "--sweep"]);
    refused(&["--sweep", "fast=5", "--walk-forward", "180d/30d"], &["--walk-forward", "180d/30d", "more data"]);
    refused(&["--sweep", "fast=5", "--walk-forward", "180d"], &["--walk-forward", "180d/30d"]);
    refused(&["--walk-forward", "2d/1d"], &["--sweep"]);
    refused(&["--fee", "0.05"], &["--fee", "0.05", "fraction"]);
    refused(&["--fee", "-1"], &["--fee"]);
    refused(&["--participation", "2"], &["--participation", "2"]);
    refused(&["--cash", "0"], &["--cash", "over zero"]);
    refused(&["--funding", "0.5"], &["--funding", "0.5", "8 hours"]);
    refused(&["--funding", "nowhere.csv"], &["nowhere.csv"]);
    refused(&["--threads", "0"], &["--threads"]);
    refused(&["--risk", "nowhere.yaml"], &["nowhere.yaml", "--risk"]);
    bench.run(&["--out", "file"]).refused_with(1, &["file", "--out"]);
    let missing = |args: &[&str], words: &[&str]| bench.home.levibot(args).refused_with(2, words);
    missing(&["backtest", "--data", "nowhere", "--policy", CROSS], &["nowhere"]);
    missing(&["backtest", "--data", "prices", "--policy", "nowhere.yaml"], &["nowhere.yaml", "--policy"]);
    missing(&["backtest", "--data", "prices"], &["--policy"]);
    let asking = POLICY.replace("crosses_above(quick, steady)", "model.prob_up > 0.6");
    bench.home.write("asking.yaml", &asking);
    let args = ["backtest", "--data", "prices", "--policy", "asking.yaml"];
    missing(&args, &["--model", "fusion model", "levibot train"]);
    missing(
        &[&args[..], &["--model", "models"]].concat(),
        &["models", "--model", "no version in use", "levibot train"],
    );
    let version = ["--model", "models", "--version", "20200101_000000"];
    missing(&[&args[..], &version].concat(), &["models", "20200101_000000", "levibot model list"]);
}

#[test]
fn bad_rows_are_left_out_and_told() {
    let bench = Bench::new(100);
    let text = prices::csv(1, 46_000.0, 100).replacen("00Z,", "00Z,x", 1);
    bench.home.write("prices/BTCUSDT.csv", &text);
    let outcome = bench.run(&["--symbols", "BTCUSDT", "--json"]);
    outcome.ended_with(0);
    assert!(outcome.err.contains("unreadable number x1 from line 2"), "{}", outcome.err);
    let result = outcome.json();
    assert_eq!(result["bars"], 99);
    assert!(result["warnings"][0].as_str().unwrap().contains("unreadable number"), "{result:#}");
}

#[test]
fn a_configuration_gives_account_costs_and_rules_and_options_override_it() {
    let bench = Bench::new(300);
    bench.home.write("ema_cross.yaml", POLICY);
    let config = bench.home.config();
    let run = |args: &[&str]| {
        let base = ["backtest", "--data", "prices", "--config", config.to_str().unwrap(), "--json"];
        let outcome = bench.home.levibot(&[&base[..], args].concat());
        outcome.ended_with(0);
        outcome.json()
    };
    let plain = run(&[]);
    assert_eq!(plain["settings"]["costs"]["spread"], 0.0002);
    assert_eq!(plain["settings"]["instruments"]["BTCUSDT"]["tick"], "0.01", "the venue's, whatever the prices");
    assert_eq!(plain["settings"]["account"]["unlimited"], false);
    let dear = run(&["--fee", "0.002", "--cash", "50000"]);
    assert_eq!(
        (&dear["settings"]["costs"]["fee"], &dear["settings"]["costs"]["spread"]),
        (&0.002.into(), &0.0002.into())
    );
    assert_eq!(dear["initial_equity"], 50_000.0);
}
