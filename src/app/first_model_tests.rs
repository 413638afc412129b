use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::Overrides;

fn config(dir: &Path) -> Config {
    let mut config = Config::load_default(&Overrides::default(), &std::collections::BTreeMap::new()).unwrap();
    config.run.data_dir = dir.join("data");
    config.model.as_mut().unwrap().dir = dir.join("models");
    config
}

/// A version as training leaves it, in use.
fn put(models: &Path, version: &str, through: &str, schema: &str, timeframe: &str) {
    let folder = models.join(format!("ensemble_{version}"));
    fs::create_dir_all(&folder).unwrap();
    let text = serde_json::json!({
        "version": version, "trained_through": through, "schema": schema, "timeframe": timeframe, "digest": "ab12",
        "members": ["more than is asked for"],
    });
    fs::write(folder.join(METADATA), text.to_string()).unwrap();
    let _ = fs::remove_file(models.join(CURRENT));
    std::os::unix::fs::symlink(format!("ensemble_{version}"), models.join(CURRENT)).unwrap();
}

fn ours() -> String {
    format!("{:016x}", schema_hash())
}

#[test]
fn the_version_in_use_or_the_one_that_is_named_is_found() {
    let dir = TempDir::new().unwrap();
    let mut model = config(dir.path()).model.unwrap();
    assert_eq!(find(&model).unwrap(), None, "no folder at all");
    put(&model.dir, "v1", "2024-12-01T00:00:00Z", &ours(), "15m");
    put(&model.dir, "v2", "2024-12-02T00:00:00Z", &ours(), "15m");
    let found = find(&model).unwrap().unwrap();
    assert_eq!((found.version.to_string(), found.digest.as_str()), ("v2".to_owned(), "ab12"));
    assert_eq!(found.trained_through, "2024-12-02".parse().unwrap());
    model.version = Some("v1".parse().unwrap());
    assert_eq!(find(&model).unwrap().unwrap().version.to_string(), "v1");
    model.version = Some("v9".parse().unwrap());
    let error = find(&model).unwrap_err().to_string();
    assert!(error.contains("holds no version v9") && error.contains("levibot model list"), "{error}");
    // A link that leads nowhere is no reason to train another version over it.
    model.version = None;
    fs::remove_dir_all(model.dir.join("ensemble_v2")).unwrap();
    assert!(matches!(find(&model), Err(ModelError::Io { .. })));
    put(&model.dir, "v3", "soon", &ours(), "15m");
    let error = find(&model).unwrap_err().to_string();
    assert!(error.contains(METADATA) && error.contains("levibot train"), "{error}");
}

#[test]
fn a_version_of_other_inputs_or_bars_is_refused_before_the_start() {
    let dir = TempDir::new().unwrap();
    let model = config(dir.path()).model.unwrap();
    for (schema, timeframe, wanted) in
        [(ours(), "1h", "trained on bars of 1h"), ("0123".to_owned(), "15m", "trained on inputs 0123")]
    {
        put(&model.dir, "v1", "2024-12-01T00:00:00Z", &schema, timeframe);
        let error = check(&model, "15m".parse().unwrap(), &find(&model).unwrap().unwrap()).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("train one with"), "{error}");
    }
    put(&model.dir, "v1", "2024-12-01T00:00:00Z", &ours(), "15m");
    assert!(check(&model, "15m".parse().unwrap(), &find(&model).unwrap().unwrap()).is_ok());
}

#[test]
fn a_version_that_has_learnt_from_the_run_is_refused_unless_that_is_wanted() {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    let source = Source::open(&config).unwrap();
    let model = config.model.clone().unwrap();
    let mut refused = |through: &str| {
        put(&model.dir, "v1", through, &ours(), "15m");
        let metadata = find(&model).unwrap().unwrap();
        let strict = check_in_sample(&config, &source, &metadata, source.start).map_err(|e| e.to_string());
        config.model.as_mut().unwrap().in_sample = true;
        assert!(check_in_sample(&config, &source, &metadata, source.start).is_ok());
        config.model.as_mut().unwrap().in_sample = false;
        strict
    };
    assert_eq!(refused("2025-01-01T00:00:00Z"), Ok(()), "its last outcome is known when the run begins");
    let error = refused("2025-01-01T00:15:00Z").unwrap_err();
    for part in ["version v1", "through 2025-01-01T00:15:00Z", "--to 2025-01-01T00:00:00Z", "--in-sample"] {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[test]
fn where_there_is_none_the_command_that_trains_one_is_told() {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    let source = Source::open(&config).unwrap();
    config.model.as_mut().unwrap().train_when_missing = false;
    let model = config.model.clone().unwrap();
    let error = train(&config, &model, &source).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    for part in ["`levibot train --data ", "/data/history --symbols ADAUSDT,AVAX", "--timeframe 15m --config config/"] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(text.contains("--promote`") && text.contains("model.train_when_missing"), "{text}");
    assert!(!text.contains("--to "), "simulated history ends at the start by itself: {text}");
}

#[test]
fn what_no_strategy_asks_needs_no_version() {
    let dir = TempDir::new().unwrap();
    let config = config(dir.path());
    let source = Source::open(&config).unwrap();
    assert_eq!(ensure(&config, &source).unwrap(), None);
    assert!(!config.run.data_dir.exists());
}

#[test]
fn a_training_is_waited_for_and_its_end_is_passed_on() {
    let run = |code: &str| wait(Command::new("sh").args(["-c", code]).spawn().unwrap());
    assert!(run("exit 0").unwrap().success());
    assert_eq!(run("exit 7").unwrap().code(), Some(7));
}
