use std::sync::atomic::AtomicI64;

use super::*;

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
    let layer = JsonLines { lines: sender, lost: Arc::clone(&lost), clock: Box::new(|| Ts::from_secs(NOON)) };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for n in 0..10 {
            tracing::info!(n, "flood");
        }
    });
    assert_eq!(lost.load(Ordering::SeqCst), 8);
    let mut written = Files::open(dir.path(), 30, Ts::from_secs(NOON)).unwrap();
    write_files(&mut written, &receiver, &AtomicBool::new(true), &lost);
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
