//! Training and nights, as cron starts them: small made-up markets, the real program.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{ModelVersion, Span, Ts};
use levibot_model::nightly::{Night, Outcome};
use levibot_model::versions::Versions;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_levibot-model");
const SETTINGS: &str = include_str!("../../../config/training-quick.toml");
const TREES: &str = "ensemble: {models: [{name: lightgbm, weight: 0.5, features: [ohlcv, volume, indicators]}, {name: \
                     sentiment, weight: 0.2, features: [news_score]}], voting: weighted_average, threshold: 0.6}";
/// Bars of a price file; the first night ends before the last 400.
const BARS: u64 = 3_000;

/// A folder with prices of two symbols, settings and an empty folder of versions.
struct Place {
    dir: TempDir,
}

impl Place {
    /// A market of trends that last for two days, which averages of closes tell.
    fn of_trends() -> Self {
        Self::of(|key, n| {
            let up = unit_draw(key + 50, n / 48) < 0.5;
            (if up { 0.003 } else { -0.003 }) + 0.006 * (unit_draw(key, n) - 0.5)
        })
    }

    /// A market in which nothing can be told.
    fn of_chance() -> Self {
        Self::of(|key, n| 0.02 * (unit_draw(key, n) - 0.5))
    }

    fn of(step: impl Fn(u64, u64) -> f64) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("data")).unwrap();
        for (key, symbol) in [(1, "AAAUSDT"), (2, "BBBUSDT")] {
            fs::write(place.path("data").join(format!("{symbol}.csv")), prices(key, &step)).unwrap();
        }
        let quick =
            [("test = 0.08", "test = 0.25"), ("trees = 200", "trees = 40"), ("leaf_rows = 400", "leaf_rows = 50")];
        place.settings("quick.toml", &quick);
        fs::write(place.path("trees.yaml"), TREES).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self, name: &str, changes: &[(&str, &str)]) {
        let mut text = SETTINGS.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        fs::write(self.path(name), text).unwrap();
    }

    fn versions(&self) -> Versions {
        Versions::new(self.path("models"))
    }

    fn current(&self) -> Option<ModelVersion> {
        self.versions().current().unwrap()
    }

    fn command(&self, what: &str, config: &str, ensemble: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(what).arg("--data").arg(self.path("data")).arg("--models").arg(self.path("models"));
        command.arg("--config").arg(self.path(config)).arg("--ensemble").arg(self.path(ensemble));
        command
    }

    fn train(&self, more: &[&str]) -> Output {
        self.command("train", "quick.toml", "trees.yaml").args(more).output().unwrap()
    }

    fn night(&self, config: &str, ensemble: &str, as_of: Ts, more: &[&str]) -> Command {
        let mut command = self.command("retrain", config, ensemble);
        let as_of = as_of.to_string();
        command.args(["--symbols", "AAAUSDT,BBBUSDT", "--timeframe", "1h", "--as-of", &as_of]).args(more);
        command
    }

    /// The last line of the history.
    fn noted(&self) -> Night {
        let text = fs::read_to_string(self.path("models/retrain_history.jsonl")).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

fn prices(key: u64, step: &impl Fn(u64, u64) -> f64) -> String {
    let mut csv = "Date,Open,High,Low,Close,Volume\n".to_owned();
    let mut close = 100.0_f64;
    for n in 0..BARS {
        let open = close;
        close *= step(key, n).exp();
        let (high, low) = (open.max(close) * 1.001, open.min(close) / 1.001);
        let volume = 50.0 + 100.0 * unit_draw(key + 100, n);
        writeln!(csv, "{},{open},{high},{low},{close},{volume}", hour(n)).unwrap();
    }
    csv
}

fn hour(n: u64) -> Ts {
    "2025-01-01".parse::<Ts>().unwrap() + Span::HOUR.times(i64::try_from(n).unwrap())
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_planted_trend_is_learnt_by_both_members_and_told_in_full() {
    let place = Place::of_trends();
    let small = [
        ("test = 0.08", "test = 0.1"),
        ("trees = 200", "trees = 40"),
        ("leaf_rows = 400", "leaf_rows = 50"),
        ("hidden = 8", "hidden = 4"),
        ("window = 24", "window = 8"),
        ("epochs = 4", "epochs = 1"),
        ("windows_per_epoch = 12000", "windows_per_epoch = 1500"),
    ];
    place.settings("small.toml", &small);
    let both =
        TREES.replace("{name: sentiment", "{name: tft, weight: 0.3, features: [price_history]}, {name: sentiment");
    fs::write(place.path("both.yaml"), both).unwrap();
    let output = place.command("train", "small.toml", "both.yaml").arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let full = &summary["test"]["skill"][0];
    assert!(full["interval"][0].as_f64().unwrap() > 0.5, "{full}");
    assert!(summary["test"]["at_coverage"]["mean_call"].as_f64().unwrap() > 0.0, "{}", summary["test"]["at_coverage"]);
    assert!(summary["warnings"].to_string().contains("sentiment is configured, but absent"), "{}", summary["warnings"]);

    let version: ModelVersion = summary["version"].as_str().unwrap().parse().unwrap();
    assert_eq!(place.current(), Some(version), "nothing was in use");
    let opened = place.versions().open(&version).unwrap();
    assert_eq!(opened.metadata.members.len(), 2);
    let trained_through = opened.metadata.trained_through;
    assert!(trained_through < summary["test"]["from"].as_str().unwrap().parse().unwrap());
    let html = fs::read_to_string(opened.folder.join("report.html")).unwrap();
    for wanted in ["Reliability", "How tft learnt", "Leak check", "AAAUSDT", "Hyperparameters", "absent"] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(
        !html.contains("http") && !html.contains("<script") && !html.contains("NaN"),
        "one page, nothing from elsewhere"
    );
    let report: Value = serde_json::from_slice(&fs::read(opened.folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["leak_check"]["leaks"], serde_json::json!([]));
}

#[test]
fn chance_gives_neither_skill_nor_profit() {
    let place = Place::of_chance();
    let output = place.train(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let interval = &summary["test"]["skill"][0]["interval"];
    assert!(interval[0].as_f64().unwrap() < 0.5 && interval[1].as_f64().unwrap() > 0.5, "{interval}");
    let wins = &summary["test"]["at_coverage"]["win_interval"];
    assert!(wins[0].as_f64().unwrap() < 0.5, "{wins}");
    let shown = place.train(&["--no-promote"]);
    assert!(told(&shown).contains("not in use"), "{}", told(&shown));
}

#[test]
fn the_gate_takes_the_better_one_and_refuses_the_worse_one() {
    let place = Place::of_trends();
    fs::write(place.path("blind.yaml"), TREES.replace("[ohlcv, volume, indicators]", "[volume]")).unwrap();
    let run = |ensemble: &str, hours: u64, more: &[&str]| {
        let output = place.night("quick.toml", ensemble, hour(hours), more).output().unwrap();
        (output.status.code(), told(&output))
    };
    // Night 1: nothing is in use. What knows nothing is not worse than the base rate.
    let (code, text) = run("blind.yaml", BARS - 400, &[]);
    assert_eq!(code, Some(0), "{text}");
    let blind = place.current().unwrap();
    assert_eq!(place.noted().collected.iter().map(|one| one.new).sum::<u64>(), 2 * (BARS - 400));

    // Night 2: the challenger knows the trend.
    let (code, text) = run("trees.yaml", BARS, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("✅ Nightly retrain complete. New model deployed."), "{text}");
    let (good, night) = (place.current().unwrap(), place.noted());
    assert!(good != blind && night.outcome == Outcome::Deployed && night.champion == Some(blind));
    assert_eq!(night.collected.iter().map(|one| one.new).sum::<u64>(), 800, "only what is new");
    let gate = night.gate.unwrap();
    let (new, old) = (gate.challenger.unwrap(), gate.champion.unwrap());
    assert!(new.mean_call > old.mean_call && new.calls == old.calls, "{new:?} {old:?}");
    assert!(gate.from > new.trained_through && gate.from > old.trained_through);

    // Night 3: the challenger knows nothing again.
    let (code, text) = run("blind.yaml", BARS, &["--keep", "1", "--json"]);
    assert_eq!(code, Some(10), "{text}");
    let night = place.noted();
    assert!(
        night.outcome == Outcome::Refused && night.text.contains("the challenger was refused: it earned"),
        "{night:?}"
    );
    assert_eq!(place.current(), Some(good));
    assert_eq!(place.versions().names().unwrap(), [blind, good], "the one in use and the one before it stay");
}

/// Settings under which training does not end by itself.
fn slow(place: &Place) {
    place.settings(
        "slow.toml",
        &[("epochs = 4", "epochs = 1000"), ("patience = 2 ", "patience = 100 "), ("trees = 200", "trees = 5")],
    );
    fs::write(place.path("tft.yaml"), TREES.replace("name: lightgbm", "name: tft")).unwrap();
}

/// Waits until the night has a child, and gives its number.
fn child_of(night: &Child) -> i32 {
    let began = Instant::now();
    let list = format!("/proc/{0}/task/{0}/children", night.id());
    loop {
        if let Some(pid) = fs::read_to_string(&list).unwrap().split_whitespace().next() {
            return pid.parse().unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no child came");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_second_night_does_nothing_and_a_killed_child_changes_nothing() {
    let place = Place::of_trends();
    assert_eq!(place.train(&[]).status.code(), Some(0));
    let before = (place.current(), place.versions().names().unwrap());
    slow(&place);
    let mut first = place.night("slow.toml", "tft.yaml", hour(BARS), &[]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let child = child_of(&first);
    let second = place.night("quick.toml", "trees.yaml", hour(BARS), &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(11), "{}", told(&second));
    assert!(told(&second).contains(&format!("already running: process {} since", first.id())), "{}", told(&second));

    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(21), "{}", told(&first));
    assert!(
        told(&first).contains("❌ Nightly retrain failed at train: training was ended by SIGKILL"),
        "{}",
        told(&first)
    );
    assert_eq!((place.current(), place.versions().names().unwrap()), before);
    assert_eq!(place.noted().outcome, Outcome::Failed);
}

#[test]
fn too_long_and_too_much_memory_end_it_with_a_remedy() {
    let place = Place::of_trends();
    slow(&place);
    for (limit, wanted) in
        [(["--time-max", "2s"], "raise --time-max"), (["--memory-max", "48MiB"], "raise --memory-max")]
    {
        let output = place.night("slow.toml", "tft.yaml", hour(BARS), &limit).output().unwrap();
        assert_eq!(output.status.code(), Some(21), "{}", told(&output));
        assert!(place.noted().text.contains(wanted), "{}", told(&output));
    }
    assert_eq!(place.current(), None);
}

#[test]
fn a_disk_that_takes_no_more_leaves_nothing_half() {
    let place = Place::of_trends();
    // A limit on the length of files stands for a full disk: writing fails in the middle.
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\"";
    let train = place.command("train", "quick.toml", "trees.yaml");
    let output = Command::new("sh").args(["-c", script]).arg(PROGRAM).args(train.get_args()).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", told(&output));
    let left: Vec<String> = names(&place.path("models")).into_iter().filter(|name| name != ".lock").collect();
    assert!(left.is_empty(), "{left:?}");

    fs::write(place.path("file"), "").unwrap();
    for (what, code) in [("train", 5), ("retrain", 2)] {
        let mut command = Command::new(PROGRAM);
        command.args([what, "--symbols", "AAAUSDT", "--data"]).arg(place.path("data"));
        command.arg("--config").arg(place.path("quick.toml")).arg("--ensemble").arg(place.path("trees.yaml"));
        let output = command.arg("--models").arg(place.path("file/models")).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(told(&output).contains("file/models"), "{}", told(&output));
    }
}

#[test]
fn what_cannot_be_trained_on_ends_with_its_own_code() {
    let place = Place::of_trends();
    let few = place.train(&["--from", "2025-04-25"]);
    assert_eq!(few.status.code(), Some(3), "{}", told(&few));
    assert!(told(&few).contains("too little data"), "{}", told(&few));
    place.settings("odd.toml", &[("seed = 42", "seed = 42\nsead = 1")]);
    let odd = place.command("train", "odd.toml", "trees.yaml").output().unwrap();
    assert!(odd.status.code() == Some(2) && told(&odd).contains("sead"), "{}", told(&odd));
    let none = place.command("train", "quick.toml", "none.yaml").output().unwrap();
    assert!(none.status.code() == Some(2) && told(&none).contains("none.yaml: cannot be read"), "{}", told(&none));
    let absent = place.night("quick.toml", "trees.yaml", hour(BARS), &["--symbols", "CCCUSDT"]).output().unwrap();
    assert_eq!(absent.status.code(), Some(20), "{}", told(&absent));
    assert!(place.noted().text.contains("failed at collect") && place.noted().text.contains("no file of CCCUSDT"));
}
