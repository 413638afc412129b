//! Walk-forward tests through the real program: every part of the sum is there, and what is left out is told.

use std::fs;

use serde_json::Value;

use crate::prices;
use crate::support::{Home, Outcome};

/// In the market from the first crossing on; another size is put in.
const POLICY: &str = include_str!("../../policies/strategies/ema_cross.yaml");

const HOURS: i64 = 24 * 60;

struct Bench {
    home: Home,
}

impl Bench {
    /// Two months of hours, without those whose number `is_missing`.
    fn new(size: &str, is_missing: impl Fn(i64) -> bool) -> Self {
        let home = Home::replay();
        home.write("cross.yaml", &POLICY.replace("{units: 1}", size));
        let text = prices::csv(1, 46_000.0, HOURS);
        let (head, rows) = text.split_once('\n').unwrap();
        let rows = rows.lines().zip(0..).filter(|(_, hour)| !is_missing(*hour)).map(|(row, _)| row);
        let kept: Vec<&str> = std::iter::once(head).chain(rows).collect();
        home.write("prices/BTCUSDT.csv", &(kept.join("\n") + "\n"));
        Self { home }
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let base = ["backtest", "--data", "prices", "--policy", "cross.yaml", "--json"];
        self.home.levibot(&[&base, args].concat())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let outcome = self.run(args);
        outcome.ended_with(0);
        outcome.json()
    }
}

const GRID: [&str; 6] = ["--sweep", "fast=5,10", "--sweep", "slow=30", "--walk-forward", "10d/5d"];
const COSTS: [&str; 6] = ["--fee", "0.001", "--spread", "0.0004", "--slippage", "0.0003"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn windows(result: &Value) -> &[Value] {
    result["walk_forward"]["windows"].as_array().unwrap()
}

fn warned(result: &Value, words: &str) -> bool {
    result["warnings"].as_array().unwrap().iter().any(|one| one.as_str().unwrap().contains(words))
}

/// A column of a CSV file.
fn column(text: &str, name: &str) -> Vec<String> {
    let (head, rows) = text.split_once('\n').unwrap();
    let at = head.split(',').position(|one| one == name).unwrap();
    rows.lines().map(|row| row.split(',').nth(at).unwrap().to_owned()).collect()
}

#[test]
fn trades_of_a_walk_add_up_to_its_gain_with_the_costs_of_every_seam() {
    let bench = Bench::new("{units: 0.1}", |_| false);
    let result = bench.json(&[&GRID[..], &COSTS, &["--out", "walk"]].concat());
    let trades = bench.home.read("walk/trades.csv");
    let sum = |name: &str| column(&trades, name).iter().map(|value| value.parse::<f64>().unwrap()).sum::<f64>();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + b.abs());
    assert!(near(sum("net"), number(&result["net_pnl"])), "{} {}", sum("net"), result["net_pnl"]);
    assert!(near(sum("fees"), number(&result["fees"])));
    assert!(column(&trades, "left").iter().all(|left| !left.is_empty()), "none stands at an end");
    let ends = column(&trades, "exit").iter().filter(|exit| *exit == "range_end").count();
    assert!(ends > 3 && ends <= windows(&result).len(), "{ends} seams");
    let fills = bench.home.read("walk/fills.csv");
    let value = |name: &str| column(&fills, name).into_iter().map(|value| value.parse::<f64>().unwrap());
    for ((exit, price), reference) in column(&fills, "exit").iter().zip(value("price")).zip(value("reference")) {
        if exit == "range_end" {
            assert!(
                (price / reference - 1.0).abs() > 0.000_49,
                "half the spread and the slippage: {price} {reference}"
            );
        }
    }
    // What was never traded is not shown as if it had been.
    assert_eq!(result["settings"]["policies"]["ema_cross"]["parameters"], serde_json::json!({}));
    let written: Value = serde_json::from_str(&bench.home.read("walk/result.json")).unwrap();
    assert_eq!(written["parameters"], serde_json::json!({}));
    assert_eq!(written["settings"]["chosen for each window"], "fast, slow");
    assert_eq!(written["summary"]["trades"]["open"], 0);
    assert!(written["summary"]["entries"]["trips"].as_u64().unwrap() > 3);
    let page = fs::read_to_string(bench.home.path("walk/report.html")).unwrap();
    for words in ["Walk-forward", "chosen for each window", "range_end", "0 still open"] {
        assert!(page.contains(words), "`{words}` is missing");
    }
}

#[test]
fn windows_without_a_bar_are_left_out_and_counted() {
    // Nothing from day 25 to day 37: the tests 26-31 and 31-36 are empty, and the training 25-35.
    let bench = Bench::new("{units: 0.1}", |hour| (25 * 24..37 * 24).contains(&hour));
    let result = bench.json(&GRID);
    assert_eq!(result["walk_forward"]["skipped"], 3);
    assert_eq!(result["walk_forward"]["planned"], windows(&result).len());
    assert!(warned(&result, "3 windows are left out"), "{}", result["warnings"]);
    let sum: f64 = windows(&result).iter().map(|window| number(&window["test"]["net_pnl"])).sum();
    assert!((sum - number(&result["net_pnl"])).abs() < 1e-6);
    let whole = Bench::new("{units: 0.1}", |_| false).json(&GRID);
    assert_eq!((&whole["walk_forward"]["skipped"], whole["warnings"].as_array().unwrap().len()), (&0.into(), 0));
    let empty = Bench::new("{units: 0.1}", |hour| (5 * 24..55 * 24).contains(&hour));
    empty.run(&["--sweep", "fast=5,10", "--walk-forward", "10d/20d"]).refused_with(2, &["--walk-forward", "more data"]);
}

#[test]
fn sizes_that_follow_equity_follow_it_from_window_to_window() {
    let bench = Bench::new("{equity: 2}", |_| false);
    let result = bench.json(&[&GRID[..], &COSTS].concat());
    assert_eq!(result["settings"]["account"]["unlimited"], true);
    let returns = || windows(&result).iter().map(|window| number(&window["test"]["total_return"]));
    let (grown, added) = (returns().map(|change| 1.0 + change).product::<f64>(), 1.0 + returns().sum::<f64>());
    let found = number(&result["final_equity"]) / number(&result["initial_equity"]);
    assert!((found - grown).abs() < 1e-6, "{found} {grown}");
    assert!((grown - added).abs() > 1e-3, "{grown} and {added} are too near to tell");
}

#[test]
fn a_walk_that_has_used_up_its_equity_names_the_window() {
    let bench = Bench::new("{equity: 10}", |_| false);
    // The wrong way round: every trend is held against, with ten times the equity.
    let turned =
        bench.home.read("cross.yaml").replace("above", "ABOVE").replace("below", "above").replace("ABOVE", "below");
    bench.home.write("cross.yaml", &turned);
    let result = bench.json(&[&GRID[..], &["--fee", "0.01"]].concat());
    let done = windows(&result).len();
    assert!(
        number(&result["final_equity"]) <= 0.0 && (done as u64) < result["walk_forward"]["planned"].as_u64().unwrap()
    );
    assert!(warned(&result, &format!("the walk ends with window {done} of ")), "{}", result["warnings"]);
    assert!(warned(&result, "used up the equity"));
}

#[test]
fn a_policy_that_looks_back_further_than_it_is_warmed_up_is_told() {
    let bench = Bench::new("{units: 0.1}", |_| false);
    let words = "looks back 601 bars and is warmed up on 512";
    let late = ["--from", "2022-02-10"];
    assert!(warned(&bench.json(&[&late[..], &["--set", "slow=600"]].concat()), words));
    assert!(!warned(&bench.json(&[&late[..], &["--set", "slow=100"]].concat()), "looks back"));
    assert!(!warned(&bench.json(&["--set", "slow=600"]), "looks back"), "there is nothing before the first bar");
    let walk = ["--sweep", "slow=100,600", "--walk-forward", "20d/20d"];
    assert!(warned(&bench.json(&walk), words));
}
