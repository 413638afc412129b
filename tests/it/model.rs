//! Trading on the fusion model: trained, served by a process that may die, swapped while the daemon trades.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::prices;
use crate::record::{journal_path, of_type, records};
use crate::support::{Daemon, Home, eventually, workspace};

/// A model small enough for a debug build.
const TRAINING: &str = "
seed = 42
threads = 1
horizon_bars = 6
round_trip_cost = 0.0014
[split]
validation = 0.25
test = 0.15
embargo_bars = 6
[lightgbm]
trees = 30
patience = 20
leaves = 8
depth = 4
learning_rate = 0.1
leaf_rows = 40
feature_fraction = 0.8
row_fraction = 0.8
l2 = 1.0
[tft]
hidden = 4
heads = 1
window = 8
dropout = 0.1
learning_rate = 0.01
batch = 64
epochs = 2
patience = 1
windows_per_epoch = 1000
";

/// Makes every symbol follow the model, and sure of itself from the first.
pub(crate) fn follow_model(home: &Home) {
    let fusion = fs::read_to_string(workspace().join("policies/strategies/fusion.yaml")).unwrap();
    home.write("fusion.yaml", &fusion.replace("# threshold: 0.6 ", "threshold: 0.52"));
    home.write("training.toml", TRAINING);
    home.configure(|config| {
        let text = |name: &str| toml::Value::from(home.path(name).display().to_string());
        config["strategy"]["default"] = text("fusion.yaml");
        let model = config["model"].as_table_mut().unwrap();
        model.insert("training".into(), text("training.toml"));
        model.insert("threads".into(), 1.into());
        // Tests share the machine with each other.
        model.insert("deadline".into(), "20s".into());
    });
}

/// The process of the model server, as the system knows it.
fn server(daemon: &Daemon<'_>) -> Option<Pid> {
    let pid = daemon.pid();
    let children = fs::read_dir(format!("/proc/{pid}/task"))
        .ok()?
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<i32> = children
        .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let serves =
        |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.windows(5).any(|w| w == b"serve"));
    children.into_iter().find(serves).map(Pid::from_raw)
}

fn head(outcome: &crate::support::Outcome) -> String {
    let last = outcome.ended_with(0).lines().find(|line| line.starts_with("record ")).unwrap();
    last.split_whitespace().nth(1).unwrap().to_owned()
}

fn replay<'a>(home: &'a Home, folder: &Path, args: &[&str]) -> Daemon<'a> {
    let prices = home.path("prices");
    let (data, folder) = (prices.to_str().unwrap(), folder.to_str().unwrap());
    home.run(&[&["--data", data, "--from", "2022-02-20", "--data-dir", folder], args].concat())
}

fn votes(record: &Value) -> usize {
    record["votes"].as_array().map_or(0, |votes| votes.iter().filter(|vote| !vote.is_null()).count())
}

#[test]
fn a_replay_on_the_model_is_the_same_whatever_becomes_of_its_server() {
    let home = Home::replay();
    follow_model(&home);
    prices::write(&home.path("prices"), 1_500);
    let [first, second] = ["first", "second"].map(|name| home.path(name));

    let calm = replay(&home, &first, &[]).wait();
    let wanted = head(&calm);

    // Killed while it answers, as often as it comes back.
    let mut daemon = replay(&home, &second, &[]);
    let mut killed = 0;
    let journal = || fs::read_dir(&second).ok()?.flatten().map(|e| e.path().join("journal.lbj")).find(|p| p.exists());
    while killed < 3 && !daemon.is_over() {
        let asked =
            journal().is_some_and(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 60_000 * (killed + 1)));
        if let Some(pid) = server(&daemon).filter(|_| asked) {
            kill(pid, Signal::SIGKILL).unwrap();
            killed += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let stormy = daemon.wait();
    assert!(killed > 0, "it ended before its server could be killed: {}", stormy.err);
    assert_eq!(head(&stormy), wanted);
    assert!(fs::read(journal_path(&first)).unwrap() == fs::read(journal_path(&second)).unwrap());

    let records = records(&first);
    let forecasts = of_type(&records, "forecasts");
    let all: Vec<&Value> = forecasts.iter().flat_map(|r| r["forecasts"].as_array().unwrap()).collect();
    assert!(all.len() > 1_000 && all.iter().all(|f| votes(&f["forecast"]) == 2), "{}", all.len());
    let model = of_type(&records, "model");
    assert_eq!(model.len(), 1);
    let decisions = of_type(&records, "decision");
    assert!(decisions.len() > 10, "{}", decisions.len());
    for decision in decisions {
        let forecast = &decision["decision"]["forecast"];
        assert_eq!(forecast["version"], model[0]["version"]);
        let said = forecasts.iter().find(|r| r["bar"] == decision["decision"]["bar"]).unwrap();
        let said = said["forecasts"].as_array().unwrap().iter().find(|f| f["symbol"] == decision["symbol"]).unwrap();
        assert_eq!(&said["forecast"], forecast);
    }

    // Once more in the same folder: what stands in the journal is not asked again.
    assert_eq!(head(&replay(&home, &first, &[]).wait()), wanted);
    let (config, prices) = (home.config(), home.path("prices"));
    let again = home.levibot(&[
        "replay-record",
        "--config",
        config.to_str().unwrap(),
        "--data",
        prices.to_str().unwrap(),
        "--from",
        "2022-02-20",
        "--data-dir",
        first.to_str().unwrap(),
    ]);
    assert!(again.ended_with(0).contains(": 0 differ"), "{}", again.out);

    // It has learnt from what comes before, and is not asked about that.
    let early = home.run(&["--data", prices.to_str().unwrap(), "--from", "2022-02-01", "--data-dir", "early"]).wait();
    early.refused_with(2, &["has learnt from bars through", "--in-sample", "levibot train"]);
}

#[test]
fn in_realtime_a_dead_server_pauses_entries_and_a_swap_loses_nothing() {
    let home = Home::simulated(600.0);
    follow_model(&home);
    home.configure(|config| config["market"]["simulator"]["history"] = "26h".into());
    let mut daemon = home.run(&[]);
    daemon.ready();
    let of = |kind: &str| -> Vec<Value> { of_type(&records(&home.data()), kind).into_iter().cloned().collect() };
    let model_freezes = || of("freeze").into_iter().filter(|f| f["cause"] == "model").collect::<Vec<_>>();
    eventually("forecasts", || (of("forecasts").len() > 5).then_some(()));
    let before = model_freezes().len();

    kill(server(&daemon).unwrap(), Signal::SIGKILL).unwrap();
    let frozen = eventually("entries are frozen and free again", || {
        let new = model_freezes().split_off(before);
        (new.len() >= 8 && new.iter().any(|f| f["reason"].is_null())).then_some(new)
    });
    assert!(frozen[..4].iter().all(|f| f["reason"].is_string()), "{frozen:?}");
    assert_eq!(home.ask_json(&["engines"])["running"], 4, "the engines go on");
    let status = home.ask_json(&["status"]);
    assert_eq!((&status["model"]["state"], &status["model"]["restarts"]), (&"running".into(), &1.into()), "{status}");

    // Another version comes into use and goes again, while every bar is forecast.
    let (models, history) = (home.path("models"), home.data().join("history"));
    let (models, history) = (models.to_str().unwrap(), history.to_str().unwrap());
    let first = of("model").last().unwrap()["version"].as_str().unwrap().to_owned();
    let training = home.path("training.toml");
    let ensemble = workspace().join("config/ensemble.yaml");
    let trained = home.levibot(&[
        "train",
        "--data",
        history,
        "--timeframe",
        "1m",
        "--config",
        training.to_str().unwrap(),
        "--ensemble",
        ensemble.to_str().unwrap(),
        "--models",
        models,
        "--no-promote",
        "--json",
    ]);
    trained.ended_with(0);
    let second = trained.json()["version"].as_str().unwrap().to_owned();
    let mark = of("forecasts").len();
    for (args, wanted) in [(vec!["model", "promote", &second], &second), (vec!["model", "rollback"], &first)] {
        home.levibot(&[&args[..], &["--models", models]].concat()).ended_with(0);
        eventually("the version answers", || (of("model").last()?["version"] == wanted.as_str()).then_some(()));
        let now = of("forecasts").len();
        eventually("bars are forecast by it", || {
            let last = of("forecasts").split_off(now);
            let by = |r: &Value| {
                r["forecasts"].as_array().unwrap().iter().all(|f| f["forecast"]["version"] == wanted.as_str())
            };
            (last.len() >= 5).then(|| assert!(last[1..].iter().all(by), "{last:?}"))
        });
    }
    let during = of("forecasts").split_off(mark);
    let absent = |r: &Value| r["forecasts"].as_array().unwrap().iter().any(|f| f["forecast"].is_null());
    assert!(!during.iter().any(absent), "no bar went without");

    // It dies together with its model, and comes back with a rule: what was frozen for the model is free.
    let before = model_freezes().len();
    kill(server(&daemon).unwrap(), Signal::SIGKILL).unwrap();
    eventually("entries are frozen", || (model_freezes().len() > before).then_some(()));
    daemon.kill();
    let rule = home.path("ema_cross.yaml");
    let mut daemon = home.run(&["--strategy", rule.to_str().unwrap()]);
    daemon.ready();
    assert!(home.ask_json(&["status"])["model"].is_null());
    eventually("no entry is frozen for the model", || {
        let mut last = std::collections::BTreeMap::new();
        for freeze in model_freezes() {
            last.insert(freeze["symbol"].to_string(), freeze["reason"].is_null());
        }
        (last.len() == 4 && last.values().all(|is_free| *is_free)).then_some(())
    });
    daemon.stop().ended_with(0);
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
}

#[test]
fn a_model_that_is_not_there_is_said_so_with_the_command_that_makes_one() {
    let home = Home::replay();
    follow_model(&home);
    prices::write(&home.path("prices"), 700);
    let prices = home.path("prices");
    let run = |from: &str| home.run(&["--data", prices.to_str().unwrap(), "--from", from]).wait();
    run("2022-01-20").refused_with(2, &["cannot be trained", "1000 are needed"]);
    let set = |key: &str, value: toml::Value| {
        home.configure(|config| drop(config["model"].as_table_mut().unwrap().insert(key.into(), value)));
    };
    set("train_when_missing", false.into());
    run("2022-01-20").refused_with(2, &["holds no version", "levibot train --data", "train_when_missing"]);
    set("version", "20200101_000000".into());
    run("2022-01-20").refused_with(2, &["20200101_000000", "levibot model list"]);
}
