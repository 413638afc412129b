use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use levibot_core::domain::{Member, ModelVersion, Timeframe, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::schema_hash;
use tempfile::TempDir;

use super::*;

fn at(text: &str) -> Ts {
    text.parse().unwrap()
}

fn version(text: &str) -> ModelVersion {
    text.parse().unwrap()
}

fn trained() -> Trained {
    Trained {
        backtest_sharpe: Some(1.78),
        backtest_win_rate: Some(0.62),
        hyperparams: serde_json::json!({"trees": 600}),
        trained_from: at("2020-01-01"),
        trained_through: at("2025-10-01"),
        timeframe: Timeframe::HOUR,
        horizon_bars: 12,
        round_trip_cost: 0.0014,
        symbols: vec!["BTCUSDT".parse().unwrap()],
        members: vec![MemberEntry { name: Member::Lightgbm, weight: 1.0, columns: vec![FeatureId::LogReturn1] }],
        ensemble_hash: 7,
        seed: 42,
        evaluation: serde_json::json!({"accuracy": [0.1, 1.0 / 3.0]}),
    }
}

/// A version with two files, one of them in a folder.
fn write(versions: &Versions, time: &str) -> Metadata {
    let draft = versions.begin(at(time)).unwrap();
    draft.write("trees.txt", b"three trees").unwrap();
    fs::create_dir(draft.folder().join("tft")).unwrap();
    draft.write("tft/weights", &[7; 1_000]).unwrap();
    draft.commit(trained()).unwrap()
}

fn home() -> (TempDir, Versions) {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path().join("models"));
    (dir, versions)
}

fn hidden(versions: &Versions) -> Vec<String> {
    let names = disk::entries(versions.dir()).unwrap();
    names.into_iter().filter(|name| name.starts_with('.') && name != ".lock").collect()
}

#[test]
fn a_version_comes_back_as_it_was_written_with_the_keys_of_the_specification() {
    let (_dir, versions) = home();
    assert!(versions.list().unwrap().is_empty());
    let metadata = write(&versions, "2025-10-14T03:00:00.7Z");
    let opened = versions.open(&version("20251014_030000")).unwrap();
    assert_eq!(opened.metadata, metadata);
    let text = fs::read_to_string(opened.folder.join(METADATA_FILE)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["version"], "20251014_030000");
    assert_eq!(json["train_date"], "2025-10-14T03:00:00.7Z");
    assert_eq!((&json["backtest_sharpe"], &json["backtest_win_rate"]), (&1.78.into(), &0.62.into()));
    assert_eq!(json["hyperparams"]["trees"], 600);
    assert_eq!(json["schema"], format!("{:016x}", schema_hash()));
    assert_eq!(json["trained_through"], "2025-10-01T00:00:00Z");
    let names: Vec<&String> = json["files"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["tft/weights", "trees.txt"]);
    assert_eq!(json["files"]["trees.txt"]["bytes"], 11);
    assert_eq!(hidden(&versions), [""; 0]);
}

#[test]
fn what_is_missing_cut_short_or_altered_is_named() {
    let (_dir, versions) = home();
    let name = write(&versions, "2025-10-14T03:00:00Z").version;
    let folder = versions.folder(&name);
    let broken = |file: &str, change: &dyn Fn(&Path)| {
        let path = folder.join(file);
        let before = fs::read(&path).unwrap();
        change(&path);
        let error = versions.open(&name).unwrap_err().to_string();
        let _ = fs::remove_file(&path);
        fs::write(&path, before).unwrap();
        versions.open(&name).unwrap();
        error
    };
    let edit = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from), "{from}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    type Change<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Change<'_>, &str); 9] = [
        (
            "tft/weights",
            &|path| fs::write(path, [7; 999]).unwrap(),
            "tft/weights: the file has 999 bytes instead of 1000",
        ),
        (
            "trees.txt",
            &|path| fs::write(path, b"three treas").unwrap(),
            "trees.txt: the file was altered: its SHA-256 is",
        ),
        ("trees.txt", &|path| fs::remove_file(path).unwrap(), "trees.txt: the file is missing"),
        (METADATA_FILE, &|path| fs::remove_file(path).unwrap(), "model_metadata.json: the file is missing"),
        (METADATA_FILE, &|path| fs::write(path, b"{\"version\": ").unwrap(), "this is not the metadata of a version"),
        (METADATA_FILE, &edit("2025-10-01T00", "2024-10-01T00"), "the metadata were altered"),
        (METADATA_FILE, &edit("\"seed\": 42", "\"seed\": 43"), "the metadata were altered"),
        (METADATA_FILE, &edit("\"trees.txt\"", "\"../../x\""), "the metadata were altered"),
        (METADATA_FILE, &edit("\"version\": \"20251014", "\"version\": \"20251015"), "that of version 20251015_030000"),
    ];
    for (file, change, wanted) in cases {
        let error = broken(file, change);
        assert!(error.contains(wanted) && error.contains("levibot model list"), "{wanted}: {error}");
    }
    let schema = broken(METADATA_FILE, &|path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace(&format!("{:016x}", schema_hash()), "00000000000000ff")).unwrap();
    });
    assert!(schema.contains("feature schema 00000000000000ff") && schema.contains("train a version"), "{schema}");
    let unknown = versions.open(&version("20300101_000000")).unwrap_err().to_string();
    assert!(unknown.contains("there is no version 20300101_000000"), "{unknown}");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_not_followed() {
    let (dir, versions) = home();
    fs::write(dir.path().join("secret"), b"x").unwrap();
    let name = write(&versions, "2025-10-14T03:00:00Z").version;
    let outside = FileSum { bytes: 1, sha256: String::new() };
    let files = BTreeMap::from([("../../secret".to_owned(), outside)]);
    let sealed = Metadata::seal(name, at("2025-10-14T03:00:00Z"), trained(), files);
    let text = serde_json::to_vec(&sealed).unwrap();
    fs::write(versions.folder(&name).join(METADATA_FILE), text).unwrap();
    let error = versions.open(&name).unwrap_err();
    assert!(matches!(error, VersionError::File { found: FileFault::Outside, .. }), "{error}");
}

#[test]
fn versions_of_one_second_get_names_of_their_own() {
    let (_dir, versions) = home();
    let first = versions.begin(at("2025-10-14T03:00:59.2Z")).unwrap();
    let second = versions.begin(at("2025-10-14T03:00:59.9Z")).unwrap();
    assert_eq!(first.version(), version("20251014_030059"));
    assert_eq!(second.version(), version("20251014_030100"));
    first.commit(trained()).unwrap();
    assert_eq!(versions.begin(at("2025-10-14T03:00:59Z")).unwrap().version(), version("20251014_030101"));
    second.commit(trained()).unwrap();
    assert_eq!(versions.names().unwrap().len(), 2);
}

#[test]
fn a_full_disk_leaves_nothing_and_says_what_to_do() {
    if !Path::new("/dev/full").exists() {
        println!("SKIPPED: there is no /dev/full here");
        return;
    }
    let (_dir, versions) = home();
    for full in ["fusion.json", METADATA_FILE] {
        let draft = versions.begin(at("2025-10-14T03:00:00Z")).unwrap();
        symlink("/dev/full", draft.folder().join(full)).unwrap();
        let written = if full == METADATA_FILE { draft.commit(trained()).map(drop) } else { draft.write(full, b"{}") };
        let error = written.unwrap_err();
        assert!(matches!(error, VersionError::Full { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(full) && text.contains("the disk is full; free some space"), "{text}");
    }
    assert!(versions.names().unwrap().is_empty());
    assert_eq!(hidden(&versions), [""; 0]);
}

#[test]
fn leftovers_of_dead_writers_are_swept_and_living_ones_are_not() {
    let (_dir, versions) = home();
    let living = versions.begin(at("2025-10-14T03:00:00Z")).unwrap();
    for dead in [".draft_20251001_030000", ".gone_20250901_030000"] {
        fs::create_dir(versions.dir().join(dead)).unwrap();
        fs::write(versions.dir().join(dead).join("trees.txt"), b"x").unwrap();
    }
    drop(versions.begin(at("2025-10-15T03:00:00Z")).unwrap());
    assert_eq!(hidden(&versions), [".draft_20251014_030000"]);
    living.write("trees.txt", b"still writing").unwrap();
    living.commit(trained()).unwrap();
    assert_eq!(hidden(&versions), [""; 0]);
    assert_eq!(versions.names().unwrap(), [version("20251014_030000")]);
}

const A: &str = "20251014_030000";
const B: &str = "20251015_030000";
const C: &str = "20251016_030000";

fn three() -> (TempDir, Versions) {
    let (dir, versions) = home();
    for day in ["14", "15", "16"] {
        write(&versions, &format!("2025-10-{day}T03:00:00Z"));
    }
    (dir, versions)
}

fn promote(versions: &Versions, name: &str) -> Option<Change> {
    versions.promote(&version(name), at("2025-10-17"), "retrain", "it is better").unwrap()
}

fn rollback(versions: &Versions) -> Result<ModelVersion, VersionError> {
    versions.rollback(at("2025-10-18"), "me", "it is worse").map(|change| change.to)
}

#[test]
fn promotions_can_be_taken_back_one_after_the_other() {
    let (_dir, versions) = three();
    assert!(matches!(versions.open_current(), Err(VersionError::NoCurrent { .. })));
    assert!(matches!(rollback(&versions), Err(VersionError::NoPrevious { .. })));
    for (name, before) in [(A, None), (B, Some(A)), (C, Some(B))] {
        let change = promote(&versions, name).unwrap();
        assert_eq!(change.from, before.map(version));
        assert_eq!(versions.open_current().unwrap().metadata.version, version(name));
    }
    assert_eq!(promote(&versions, C), None, "it is in use already");
    assert_eq!(rollback(&versions).unwrap(), version(B));
    assert_eq!(rollback(&versions).unwrap(), version(A));
    assert!(matches!(rollback(&versions), Err(VersionError::NoPrevious { .. })));
    promote(&versions, C);
    assert_eq!(versions.previous().unwrap(), Some(version(A)));
    let history = versions.history().unwrap();
    let tos: Vec<&str> = history.iter().map(|change| change.to.as_str()).collect();
    assert_eq!(tos, [A, B, C, B, A, C]);
    assert_eq!((history[3].by.as_str(), history[3].reason.as_str()), ("me", "it is worse"));
    let link = fs::read_link(versions.dir().join("current")).unwrap();
    assert_eq!(link, Path::new(&format!("ensemble_{C}")), "relative, so that the folder can be moved");
}

#[test]
fn a_broken_version_is_shown_and_neither_promoted_nor_gone_back_to() {
    let (_dir, versions) = three();
    promote(&versions, A);
    promote(&versions, B);
    for name in [A, C] {
        fs::write(versions.folder(&version(name)).join("trees.txt"), b"").unwrap();
    }
    let error = versions.promote(&version(C), at("2025-10-17"), "me", "").unwrap_err();
    assert!(matches!(error, VersionError::File { .. }), "{error}");
    assert!(rollback(&versions).unwrap_err().to_string().contains("has 0 bytes instead of 11"));
    assert_eq!(versions.current().unwrap(), Some(version(B)));
    let listed = versions.list().unwrap();
    let shown: Vec<_> = listed.iter().map(|one| (one.version.as_str(), one.current, one.metadata.is_ok())).collect();
    assert_eq!(shown, [(A, false, false), (B, true, true), (C, false, false)]);
}

#[test]
fn a_link_that_is_none_is_refused_and_a_death_between_link_and_history_is_no_matter() {
    let (_dir, versions) = three();
    promote(&versions, A);
    let link = versions.dir().join("current");
    fs::remove_file(&link).unwrap();
    symlink(format!("ensemble_{B}"), &link).unwrap();
    assert_eq!(rollback(&versions).unwrap(), version(A));
    for target in ["../elsewhere", "/tmp", "ensemble_../x"] {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        assert!(matches!(versions.current(), Err(VersionError::Link { .. })), "{target}");
    }
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    assert!(matches!(versions.current(), Err(VersionError::Link { .. })));
}

#[test]
fn the_history_outlives_a_torn_line_and_names_a_bad_one() {
    let (_dir, versions) = three();
    promote(&versions, A);
    let path = versions.dir().join("history.jsonl");
    let torn = format!("{}{{\"time\":\"2025-", fs::read_to_string(&path).unwrap());
    fs::write(&path, torn).unwrap();
    promote(&versions, B);
    assert_eq!(versions.history().unwrap().len(), 2);
    fs::write(&path, format!("not json\n{}", fs::read_to_string(&path).unwrap())).unwrap();
    let error = versions.history().unwrap_err().to_string();
    assert!(error.contains("history.jsonl: line 1 is not an entry"), "{error}");
}

#[test]
fn a_change_whose_history_cannot_be_written_is_undone() {
    let (_dir, versions) = three();
    promote(&versions, A);
    let path = versions.dir().join("history.jsonl");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    versions.promote(&version(B), at("2025-10-17"), "me", "").unwrap_err();
    assert_eq!(versions.current().unwrap(), Some(version(A)));
}

#[test]
fn pruning_keeps_the_newest_and_what_is_or_was_in_use() {
    let (_dir, versions) = home();
    let names: Vec<ModelVersion> =
        (1..=9).map(|day| write(&versions, &format!("2025-10-0{day}T03:00:00Z")).version).collect();
    promote(&versions, names[0].as_str());
    promote(&versions, names[2].as_str());
    assert_eq!(versions.prune(7).unwrap(), [names[1], names[3]]);
    assert_eq!(versions.prune(7).unwrap(), []);
    assert_eq!(versions.prune(0).unwrap().len(), 5);
    assert_eq!(versions.names().unwrap(), [names[0], names[2]]);
    assert_eq!(rollback(&versions).unwrap(), names[0]);
    assert_eq!(hidden(&versions), [""; 0]);
}
