use std::sync::atomic::AtomicI64;

use super::*;
use crate::telemetry::alerts::{AlertChannel, LogChannel};
use crate::telemetry::log_line::VALUE_BYTES_MAX;

const NOON: i64 = 1_760_443_200; // 2025-10-14T12:00:00Z

fn logged(act: impl FnOnce()) -> (tempfile::TempDir, impl Fn(&str) -> Vec<serde_json::Value>) {
    let dir = tempfile::tempdir().unwrap();
    let (layer, guard) = files(dir.path(), 30, || Ts::from_secs(NOON)).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    assert_eq!(guard.lost(), 0);
    drop(guard);
    let path = dir.path().to_path_buf();
    let read = move |name: &str| {
        let text = std::fs::read_to_string(path.join(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    (dir, read)
}

#[test]
fn a_line_is_one_json_object_in_the_file_of_its_symbol() {
    let (_dir, read) = logged(|| {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        tracing::info!(%symbol, count = 3, price = 1.5, bad = f64::NAN, ok = true, msg = "own", "engine \"up\"\n");
        tracing::warn!("no symbol");
    });
    let own = read("engine-BTCUSDT-20251014.jsonl");
    let wanted = serde_json::json!({
        "ts": "2025-10-14T12:00:00Z", "level": "info", "symbol": "BTCUSDT", "msg": "engine \"up\"\n",
        "target": "levibot::telemetry::logs::tests", "count": 3, "price": 1.5, "bad": "NaN", "ok": true,
        "field_msg": "own",
    });
    assert_eq!(own, [wanted]);
    let rest = read("daemon-20251014.jsonl");
    assert_eq!((rest.len(), &rest[0]["msg"], &rest[0]["level"]), (1, &"no symbol".into(), &"warn".into()));
}

#[test]
fn a_span_gives_its_symbol_and_the_events_own_wins() {
    let (_dir, read) = logged(|| {
        let span = tracing::info_span!("engine", symbol = "ETHUSDT");
        span.in_scope(|| {
            tracing::info!("inside");
            tracing::info!(symbol = "SOLUSDT", "another");
        });
    });
    assert_eq!(read("engine-ETHUSDT-20251014.jsonl").len(), 1);
    assert_eq!(read("engine-SOLUSDT-20251014.jsonl").len(), 1);
}

#[test]
fn text_that_is_no_symbol_names_no_file() {
    let (dir, read) = logged(|| {
        for symbol in ["../../etc/passwd", "btc", "", "A/B", ".X"] {
            tracing::info!(symbol, "odd");
        }
    });
    let rest = read("daemon-20251014.jsonl");
    assert_eq!((rest.len(), &rest[0]["symbol"]), (5, &"../../etc/passwd".into()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn long_text_is_cut_and_stays_json() {
    let (_dir, read) = logged(|| tracing::info!(detail = "ğ".repeat(20_000), "{}", "x".repeat(20_000)));
    let line = &read("daemon-20251014.jsonl")[0];
    assert_eq!(line["msg"].as_str().unwrap().len(), VALUE_BYTES_MAX);
    assert!(line["detail"].as_str().unwrap().len() <= VALUE_BYTES_MAX);
}

#[test]
fn files_change_at_midnight() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(NOON));
    let clock = Arc::clone(&now);
    let (layer, guard) = files(dir.path(), 30, move || Ts::from_secs(clock.load(Ordering::SeqCst))).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!("before");
        now.store(NOON + 43_200, Ordering::SeqCst);
        tracing::info!("after");
    });
    drop(guard);
    for (name, msg) in [("daemon-20251014.jsonl", "before"), ("daemon-20251015.jsonl", "after")] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.lines().count() == 1 && text.contains(msg), "{name}: {text}");
    }
}

#[test]
fn a_full_queue_loses_lines_without_waiting_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, receiver) = mpsc::sync_channel(2);
    let lost = Arc::new(AtomicU64::new(0));
    let layer = JsonLines { lines: sender, lost: Arc::clone(&lost), clock: Arc::new(|| Ts::from_secs(NOON)) };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for n in 0..10 {
            tracing::info!(n, "flood");
        }
    });
    assert_eq!(lost.load(Ordering::SeqCst), 8);
    let files = Files::open(dir.path(), 30, u64::MAX, Ts::from_secs(NOON)).unwrap();
    let clock: Clock = Arc::new(|| Ts::from_secs(NOON));
    let mut writer = FileWriter { files, left_out: None, clock, lost, reported: 0, complained: None };
    writer.run(&receiver, &AtomicBool::new(true));
    let text = std::fs::read_to_string(dir.path().join("daemon-20251014.jsonl")).unwrap();
    assert!(text.contains(r#""msg":"log lines were lost","count":8"#) && text.lines().count() == 3, "{text}");
}

#[test]
fn lines_of_many_threads_all_arrive_before_the_guard_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (layer, guard) = files(dir.path(), 30, || Ts::from_secs(NOON)).unwrap();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || (0..500).for_each(|n| tracing::info!(n, "line")));
            });
        }
    });
    drop(guard);
    let text = std::fs::read_to_string(dir.path().join("daemon-20251014.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2_000);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_a_remedy() {
    let settings = LogSettings { level: "levibot=loud".into(), ..LogSettings::default() };
    let error = subscriber(&settings).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`levibot=loud`") && error.contains("write error, warn"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let settings = LogSettings { dir: Some(file.path().join("logs")), ..LogSettings::default() };
    let error = subscriber(&settings).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&file.path().display().to_string()) && error.contains("writable"), "{error}");
}

#[test]
fn the_level_holds_for_the_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LogSettings {
        level: "error".into(),
        dir: Some(dir.path().to_path_buf()),
        keep_days: 1,
        ..LogSettings::default()
    };
    let (subscriber, guard) = subscriber(&settings).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("not this");
        tracing::error!("this");
    });
    drop(guard);
    let name = format!("daemon-{}.jsonl", wall_now().yyyymmdd());
    let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// What a whole logger with these settings writes into its files: text by the first part of a file's name.
fn written(settings: LogSettings, act: impl FnOnce()) -> impl Fn(&str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let settings = LogSettings { dir: Some(dir.path().to_path_buf()), ..settings };
    let (subscriber, guard) = subscriber(&settings).unwrap();
    tracing::subscriber::with_default(subscriber, act);
    drop(guard);
    move |start| {
        let entries = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        // The day may end while a test runs.
        let of = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(start));
        of.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
    }
}

fn count_of(text: &str, msg: &str) -> usize {
    text.matches(&format!(r#""msg":"{msg}""#)).count()
}

#[test]
fn a_flood_of_one_symbol_is_bounded_told_and_leaves_the_others_whole() {
    let settings =
        LogSettings { lines_per_second: 20, hidden_on_stderr: Some("levibot::trading"), ..Default::default() };
    let read = written(settings, || {
        let span = tracing::info_span!("engine", symbol = "FLOOD");
        for n in 0..20_000 {
            tracing::error!(target: "levibot::engine", symbol = "FLOOD", n, "foreign");
            span.in_scope(|| tracing::info!(n, "inside"));
            if n % 200 == 0 {
                tracing::info!(symbol = "CALM", n, "calm");
                tracing::error!(symbol = "FLOOD", n, "own error");
                LogChannel.send(&levibot_core::alerts::Alert::info(
                    levibot_core::alerts::Topic::EngineCrash,
                    "FLOOD".parse().ok(),
                    "told",
                ));
            }
            if n % 20 == 0 {
                tracing::info!(target: "levibot::trading", symbol = "FLOOD", "of a replay");
            }
        }
    });
    assert_eq!(count_of(&read("engine-CALM"), "calm"), 100, "another symbol's lines are whole");
    let flood = read("engine-FLOOD");
    for (msg, all) in [("own error", 100), ("alert", 100), ("of a replay", 1_000)] {
        assert_eq!(count_of(&flood, msg), all, "{msg}");
    }
    let through = count_of(&flood, "foreign") + count_of(&flood, "inside");
    let lines = flood.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told = lines.filter(|line| line["msg"] == "lines left out" && line["symbol"] == "FLOOD");
    let told: Vec<u64> = told.map(|line| line["count"].as_u64().unwrap()).collect();
    assert_eq!(through as u64 + told.iter().sum::<u64>(), 40_000, "what is left out is counted to the line");
    assert!((200..10_000).contains(&through), "{through}");
    assert!(read("daemon").is_empty());
}

#[test]
fn a_file_of_a_symbol_is_bounded_too() {
    let settings = LogSettings { lines_per_second: 1_000_000, file_mb_max: 1, ..Default::default() };
    let read = written(settings, || {
        for n in 0..300 {
            tracing::info!(symbol = "BIG", n, text = "x".repeat(8_000), "big");
            tracing::info!(symbol = "SMALL", n, "small");
        }
    });
    let big = read("engine-BIG");
    assert!(big.len() <= 1 << 20 && count_of(&big, "log file is full") == 1, "{}", big.len());
    assert_eq!(count_of(&read("engine-SMALL"), "small"), 300);
}

/// `ops/loki/config.alloy` takes these fields out of a line: they must be in it, and the time in its format.
#[test]
fn the_shipping_example_names_fields_that_lines_have() {
    let text = include_str!("../../ops/loki/config.alloy");
    let (_, json) = text.split_once("stage.json {").unwrap();
    let (json, rest) = json.split_once("\n  }").unwrap();
    let names: Vec<&str> = json.lines().filter_map(|line| line.split_once('=')?.1.trim().strip_suffix("\",")).collect();
    let names: Vec<&str> = names.iter().map(|name| name.trim_start_matches('"')).collect();
    assert_eq!(names, ["ts", "level", "symbol"]);
    assert!(rest.contains("source = \"ts\"") && rest.contains("format = \"RFC3339Nano\""), "{rest}");

    let (_dir, read) = logged(|| tracing::info!(symbol = "BTCUSDT", "line"));
    let line = &read("engine-BTCUSDT-20251014.jsonl")[0];
    for name in names {
        assert!(line[name].is_string(), "{name} is not in {line}");
    }
    // RFC 3339 with or without a fraction, in UTC.
    let ts = line["ts"].as_str().unwrap();
    assert!(ts.ends_with('Z') && ts.as_bytes()[10] == b'T' && ts.parse::<Ts>().is_ok(), "{ts}");
    assert!(text.contains("*.jsonl"), "the files are found by their ending");
}
