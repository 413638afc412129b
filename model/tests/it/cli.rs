//! The commands of people: what they write, what they refuse, how they exit.

use std::fs;

use serde_json::Value;

use crate::child::program;
use crate::home::{Home, NEW, OLD};

/// Runs a command in a home: exit code, output, errors.
fn run(home: &Home, command: &str) -> (i32, String, String) {
    let (models, data) = (home.models(), home.data());
    let mut program = program();
    program.args(command.split(' ')).args(["--models", models.to_str().unwrap()]).current_dir(home.path());
    if ["predict", "fusion-test", "model validate"].iter().any(|name| command.starts_with(name)) {
        program.args(["--data", data.to_str().unwrap()]);
    }
    let out = program.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

fn json(home: &Home, command: &str) -> Value {
    let (code, out, errors) = run(home, &format!("{command} --json"));
    assert_eq!((code, errors.as_str()), (0, ""), "{command}");
    serde_json::from_str(&out).unwrap()
}

/// One line that names what was wrong.
fn refused(home: &Home, command: &str, wanted_code: i32, wanted: &str) {
    let (code, out, errors) = run(home, command);
    assert!(code == wanted_code && out.is_empty(), "{command}: {code} {out} {errors}");
    assert!(errors.lines().count() == 1 && errors.contains(wanted), "{command}: {errors}");
}

#[test]
fn predict_says_what_a_server_says_and_why() {
    let home = Home::new();
    let said = json(&home, "predict --symbol AAAUSDT --at 2025-09-07T12:30:00Z");
    let asked = home.questions(1).remove(0);
    assert_eq!(said["bar"], asked.bar.to_string());
    assert_eq!(said["features"], format!("{:016x}", asked.features));
    let mut server = crate::child::Server::start(&home.models(), &[]);
    server.ready();
    server.ask(1, vec![asked]);
    let forecast = server.answer().forecasts.remove(0).unwrap();
    assert_eq!(said["prob_up"].as_f64().unwrap().to_bits(), forecast.prob_up.to_bits());
    let calibrated = said["members"][1]["calibrated"].as_f64().unwrap();
    assert_eq!(calibrated.to_bits(), forecast.votes[1].unwrap().probability.to_bits());
    assert_eq!((&said["absent"], &said["in_sample"]), (&serde_json::json!(["sentiment"]), &false.into()));
    let speaks = forecast.confidence() >= said["threshold"].as_f64().unwrap();
    assert_eq!(said["verdict"], if speaks { "trade" } else { "abstain" });
    for member in 0..2 {
        assert_eq!(said["members"][member]["top"].as_array().unwrap().len(), 5);
    }
    let (code, shown, _) = run(&home, "predict --symbol AAAUSDT --at 2025-09-07T12:30:00Z");
    assert!(code == 0 && shown.contains("probability of a rise") && shown.contains("absent: its weight"), "{shown}");
}

#[test]
fn what_was_learnt_from_is_shown_only_when_asked_for_and_marked() {
    let home = Home::new();
    let early = "predict --symbol AAAUSDT --at 2025-08-20";
    refused(&home, early, 2, "it knows what came after 2025-08-20T00:00:00Z; ask for a later bar, or add --in-sample");
    let said = json(&home, &format!("{early} --in-sample"));
    assert!(said["in_sample"] == true && said["notes"].to_string().contains("in sample"), "{said}");
    let test = json(&home, "fusion-test --symbol BBBUSDT");
    let rows = test["rows"].as_array().unwrap();
    let after = |row: &Value| row["bar"].as_str().unwrap() > test["trained_through"].as_str().unwrap();
    assert!(rows.len() > 100 && rows.iter().all(after));
    assert_eq!(test["summary"]["in_sample"], 0);
    assert!(test["notes"][0].as_str().unwrap().contains("of 500 bars"), "{}", test["notes"]);
    let all = json(&home, "fusion-test --symbol BBBUSDT --in-sample");
    let before = all["rows"].as_array().unwrap().iter().filter(|row| !after(row)).count();
    assert!(before > 100 && all["summary"]["in_sample"] == before && all["rows"].as_array().unwrap().len() == 500);
    assert!(all["notes"].to_string().contains("some bars are in sample"));
}

#[test]
fn figures_agree_with_the_rows_below_them() {
    let home = Home::new();
    let test = json(&home, "fusion-test --symbol AAAUSDT --lookback 60");
    let (rows, summary) = (test["rows"].as_array().unwrap(), &test["summary"]);
    assert_eq!((rows.len(), &summary["bars"]), (60, &60.into()));
    let decisive: Vec<&Value> = rows.iter().filter(|row| !row["hit"].is_null()).collect();
    let hits = decisive.iter().filter(|row| row["hit"] == true).count();
    let near = |key: &str, wanted: f64| assert!((summary[key].as_f64().unwrap() - wanted).abs() < 1e-12, "{key}");
    near("accuracy", hits as f64 / decisive.len() as f64);
    let miss =
        |row: &&Value| row["prob_up"].as_f64().unwrap() - f64::from(u8::from(row["log_return"].as_f64() > Some(0.0)));
    near("brier", decisive.iter().map(|row| miss(row).powi(2)).sum::<f64>() / decisive.len() as f64);
    let speaks = rows.iter().filter(|row| row["confidence"].as_f64().unwrap() >= 0.6).count();
    near("coverage", speaks as f64 / 60.0);
    near("independent", (decisive.len() as f64 / 12.0).max(1.0));
    let (code, shown, _) = run(&home, "fusion-test --symbol AAAUSDT --lookback 60");
    assert!(code == 0 && shown.contains("the last 20 of 60") && shown.contains("Brier"), "{shown}");
}

#[test]
fn versions_are_listed_compared_chosen_and_taken_back() {
    let home = Home::new();
    let current = |home: &Home| {
        let list = json(home, "model list");
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 2);
        list.iter().find(|one| one["current"] == true).unwrap()["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(current(&home), OLD);
    let compared = json(&home, &format!("model compare {OLD} {NEW}"));
    let keys: Vec<&str> = compared.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["digest", "seed", "train_date", "version"]);
    assert_eq!(json(&home, &format!("model promote {NEW} --reason better"))["from"], OLD);
    assert_eq!(current(&home), NEW);
    assert_eq!(json(&home, "model show")["seed"], 2);
    let (code, shown, _) = run(&home, &format!("model promote {NEW}"));
    assert!(code == 0 && shown.contains("in use already"), "{shown}");
    assert_eq!(json(&home, "model rollback")["to"], OLD);
    assert_eq!(current(&home), OLD);
    refused(&home, "model rollback", 1, "no version was in use before this one");
    refused(&home, "model promote 20300101_000000", 2, "there is no version 20300101_000000");
    let (code, shown, _) = run(&home, "model list");
    assert!(code == 0 && shown.contains("whole"), "{shown}");
}

#[test]
fn validating_looks_at_files_answers_and_unseen_prices() {
    let home = Home::new();
    let valid = json(&home, "model validate");
    assert_eq!((&valid["version"], &valid["canary"]), (&OLD.into(), &"answered as in training".into()));
    let symbols = valid["symbols"].as_object().unwrap();
    let sum: u64 = symbols.values().map(|one| one["bars"].as_u64().unwrap()).sum();
    assert!(symbols.len() == 2 && valid["judged"]["bars"] == sum && valid["judged"]["in_sample"] == 0);
    let file = home.models().join(format!("ensemble_{NEW}/tft/tft.safetensors"));
    fs::write(&file, &fs::read(&file).unwrap()[..100]).unwrap();
    refused(&home, &format!("model validate {NEW}"), 1, "tft.safetensors: the file has 100 bytes instead of");
    refused(&home, &format!("model promote {NEW}"), 1, "tft.safetensors");
    let (code, shown, _) = run(&home, "model list");
    assert!(code == 0 && shown.contains("has 100"), "{shown}");
    assert_eq!(json(&home, "model list")[1]["whole"], false);
}

#[test]
fn what_cannot_be_answered_is_refused_with_a_remedy() {
    let home = Home::new();
    refused(
        &home,
        "predict --symbol ZZZUSDT --at 2025-09-07",
        2,
        "holds no prices of ZZZUSDT: it has AAAUSDT, BBBUSDT",
    );
    refused(&home, "predict --symbol AAAUSDT --at 2025-10-07", 2, "closes at 2025-09-07T12:00:00Z; ask for a time");
    refused(&home, "predict --symbol AAAUSDT --at 2025-08-02", 2, "longer history");
    refused(&home, "fusion-test --symbol AAAUSDT --ensemble nowhere.yaml", 2, "nowhere.yaml: cannot be read");
    fs::write(home.path().join("bad.yaml"), "ensemble: {models: [], voting: weighted_average, threshold: 0.6}")
        .unwrap();
    refused(&home, "fusion-test --symbol AAAUSDT --ensemble bad.yaml", 2, "bad.yaml: `ensemble.models`");
    let (code, _, errors) = run(&home, "predict --symbol aaa --at 2025-09-07");
    assert!(code == 2 && errors.contains("upper-case"), "{errors}");
    fs::remove_file(home.models().join("current")).unwrap();
    refused(&home, "model show", 2, "no version is in use; train one (`levibot train`)");
}
