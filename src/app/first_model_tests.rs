use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::Overrides;
use crate::model_versions::CURRENT;

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
    let error = train(&config, &model, &source, Path::new("none")).unwrap_err();
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
    let mut config = config(dir.path());
    let rule = fs::read_to_string("policies/strategies/ema_cross.yaml").unwrap();
    config.strategies.default.policy = levibot_core::engine::StrategyPolicy::from_yaml(&rule).unwrap();
    let source = Source::open(&config).unwrap();
    assert_eq!(ensure(&config, &source).unwrap(), None);
    assert!(!config.run.data_dir.exists());
}

#[test]
fn a_training_is_waited_for_and_ended_with_the_daemon() {
    let run = |code: &str| run_to_end(Command::new("sh").args(["-c", code]));
    assert!(run("exit 0").unwrap().success());
    assert_eq!(run("exit 7").unwrap().code(), Some(7));
    // The shell ends the daemon, which ends the shell.
    let dir = TempDir::new().unwrap();
    let ended = dir.path().join("ended");
    let code =
        format!("trap 'echo yes > {}; exit 0' TERM; kill -TERM $PPID; while :; do sleep 0.01; done", ended.display());
    let error = run(&code).unwrap_err();
    assert!(matches!(error, AppError::Model(ModelError::Interrupted)) && error.exit_code() == 1, "{error}");
    assert_eq!(fs::read_to_string(ended).unwrap(), "yes\n");
    let missing = run_to_end(&mut Command::new("/no/such")).unwrap_err();
    assert!(missing.to_string().contains("cannot start /no/such"), "{missing}");
}

/// A program that keeps its arguments and leaves a version.
fn trainer(dir: &Path, exit: u8) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let binary = dir.join("levibot-model");
    let args = dir.join("args");
    fs::write(&binary, format!("#!/bin/sh\necho \"$*\" > {}\nexit {exit}\n", args.display())).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    binary
}

#[test]
fn a_first_version_is_trained_on_the_simulated_past() {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    config.symbols = Some(vec!["BTCUSDT".parse().unwrap(), "ETHUSDT".parse().unwrap()]);
    // Only built in: nothing of the kind is on disk.
    config.model.as_mut().unwrap().training_file = dir.path().join("none.toml");
    let (source, model) = (Source::open(&config).unwrap(), config.model.clone().unwrap());
    train(&config, &model, &source, &trainer(dir.path(), 0)).unwrap();

    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    let history = dir.path().join("data/history");
    let wanted = format!(
        "train --data {} --symbols BTCUSDT,ETHUSDT --timeframe 15m --config {} --ensemble config/ensemble.yaml \
         --models {} --promote --dies-with-parent\n",
        history.display(),
        history.join("training.toml.builtin").display(),
        dir.path().join("models").display()
    );
    assert_eq!(args, wanted);
    let builtin = fs::read_to_string(history.join("training.toml.builtin")).unwrap();
    assert_eq!(builtin, fs::read_to_string("config/training-quick.toml").unwrap());
    let found = levibot_core::files::discover(&history).unwrap();
    let (symbol, files) = found.first_key_value().unwrap();
    let series = levibot_core::files::load(*symbol, files, None).unwrap().series;
    assert_eq!((found.len(), series.bars.len()), (2, 60 * 96), "60 days of quarters of an hour");
    assert_eq!(series.bars.last().unwrap().close_ts(series.timeframe), source.start, "and nothing of the run");

    let error = train(&config, &model, &source, &trainer(dir.path(), 9)).unwrap_err();
    assert!(error.to_string().contains("exit status: 9") && error.exit_code() == 1, "{error}");
}

#[test]
fn a_replay_learns_from_the_same_files_strictly_before_its_start() {
    let dir = TempDir::new().unwrap();
    let prices = dir.path().join("prices");
    fs::create_dir(&prices).unwrap();
    // 2020-01-01 in hours.
    let (first, hours) = (438_288, 2_000);
    let line = |n: i64| format!("{},1,1.1,0.9,1,5\n", (first + n) * 3_600_000);
    let text: String =
        std::iter::once("open_time,open,high,low,close,volume\n".to_owned()).chain((0..hours).map(line)).collect();
    fs::write(prices.join("BTCUSDT.csv"), text).unwrap();
    let replay = |from: i64| {
        let from = Some(Ts::from_secs((first + from) * 3_600));
        let overrides = Overrides {
            data: Some(prices.clone()),
            from,
            data_dir: Some(dir.path().join("data")),
            ..Overrides::default()
        };
        Config::load(Path::new("config/replay.toml"), &overrides, &std::collections::BTreeMap::new()).unwrap()
    };
    let binary = trainer(dir.path(), 0);
    let attempt = |from: i64| {
        let config = replay(from);
        let source = Source::open(&config).unwrap();
        train(&config, &config.model.clone().unwrap(), &source, &binary)
    };
    attempt(1_500).unwrap();
    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    let to = Ts::from_secs((first + 1_500) * 3_600);
    assert!(
        args.contains(&format!("--data {} --symbols BTCUSDT --timeframe 1h --to {to} ", prices.display())),
        "{args}"
    );
    let error = attempt(999).unwrap_err();
    assert!(error.to_string().contains("there are 999 bars") && error.to_string().contains("start later"), "{error}");
    assert_eq!(error.exit_code(), 2);
}
