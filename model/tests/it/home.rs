//! A folder with prices of a made-up market and two small versions that were trained on them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Member, Ts};
use levibot_core::forecast::{Asked, groups, window_hash};
use levibot_core::fusion::{Calibration, Fusion, MemberFusion};
use levibot_model::dataset::{Built, Split, Table, Wanted};
use levibot_model::ensemble::{Transformer, Trees, Voters, save};
use levibot_model::lightgbm::LightGbm;
use levibot_model::progress::Silent;
use levibot_model::settings::Settings;
use levibot_model::tft::Tft;
use levibot_model::versions::{MemberEntry, Trained, Versions};
use tempfile::TempDir;

const SETTINGS: &str = include_str!("../../../config/training-quick.toml");
const SYMBOLS: [&str; 2] = ["AAAUSDT", "BBBUSDT"];
const BARS: u64 = 900;
/// The names of the two versions.
pub(crate) const OLD: &str = "20251014_030000";
pub(crate) const NEW: &str = "20251015_030000";

/// A home of its own for each test: `data/` and `models/`, in which the older version is in use.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&prepared(), dir.path());
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.dir.path().join("models")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn versions(&self) -> Versions {
        Versions::new(self.models())
    }

    pub(crate) fn promote(&self, version: &str) {
        self.versions().promote(&version.parse().unwrap(), at(2), "test", "a test").unwrap();
    }

    /// Questions about the last bars, one symbol after the other.
    pub(crate) fn questions(&self, count: usize) -> Vec<Asked> {
        let built = table(&self.data(), &settings());
        questions(&built.table, count)
    }
}

pub(crate) fn at(n: i64) -> Ts {
    "2025-10-16T03:00:00Z".parse::<Ts>().unwrap() + levibot_core::domain::Span::SECOND.times(n)
}

/// Made once for all tests of this build: each of them may run in a process of its own.
fn prepared() -> PathBuf {
    let built = fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    let stamp = built.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = root.join(format!("home-{stamp}"));
    fs::create_dir_all(root).unwrap();
    let lock = fs::File::create(root.join("lock")).unwrap();
    let _lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    if !ready.exists() {
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with("home-") {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
        let making = tempfile::tempdir_in(root).unwrap();
        make(making.path());
        fs::rename(making.keep(), &ready).unwrap();
    }
    ready
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from).unwrap(), &to).unwrap();
        } else if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn make(dir: &Path) {
    let data = dir.join("data");
    fs::create_dir(&data).unwrap();
    for (key, symbol) in (1..).zip(SYMBOLS) {
        fs::write(data.join(format!("{symbol}.csv")), prices(key)).unwrap();
    }
    let settings = settings();
    let table = table(&data, &settings).table;
    let versions = Versions::new(dir.join("models"));
    for (seed, name) in [(1, OLD), (2, NEW)] {
        train(&versions, &table, &settings, seed, name);
    }
    versions.promote(&OLD.parse().unwrap(), at(0), "train", "the first one").unwrap();
}

/// Hourly candles of a random walk.
fn prices(key: u64) -> String {
    let mut csv = "Date,Open,High,Low,Close,Volume\n".to_owned();
    let (mut close, start) = (100.0_f64, "2025-08-01".parse::<Ts>().unwrap());
    for n in 0..BARS {
        let open = close;
        close *= ((unit_draw(key, n) - 0.5) * 0.04).exp();
        let (high, low) = (open.max(close) * 1.002, open.min(close) / 1.002);
        let volume = 50.0 + 100.0 * unit_draw(key + 100, n);
        let time = start + levibot_core::domain::Span::HOUR.times(i64::try_from(n).unwrap());
        writeln!(csv, "{time},{open},{high},{low},{close},{volume}").unwrap();
    }
    csv
}

/// Those of a quick training, still smaller.
fn settings() -> Settings {
    let mut settings = Settings::from_toml(SETTINGS, Path::new("training-quick.toml")).unwrap();
    settings.split.test = 0.2;
    settings.threads = 1;
    settings.lightgbm.trees = 20;
    settings.lightgbm.leaf_rows = 20;
    settings.tft.hidden = 4;
    settings.tft.window = 8;
    settings.tft.epochs = 1;
    settings.tft.windows_per_epoch = 64;
    settings.tft.batch = 32;
    settings
}

fn table(data: &Path, settings: &Settings) -> Built {
    let wanted = Wanted {
        path: data,
        symbols: None,
        timeframe: None,
        from: None,
        to: None,
        horizon_bars: settings.horizon_bars,
        round_trip_cost: settings.round_trip_cost,
    };
    Table::build(&wanted, &Silent).unwrap()
}

fn questions(table: &Table, count: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    for back in 0..count {
        for series in &table.series {
            let end = (series.bars.len() - back) * levibot_core::forecast::INPUTS;
            let start = end - levibot_core::forecast::WINDOW * levibot_core::forecast::INPUTS;
            let window = series.rows[start..end].to_vec();
            let bar = series.bars[series.bars.len() - 1 - back].close_ts(table.timeframe);
            asked.push(Asked { symbol: series.symbol, bar, features: window_hash(&window), window });
        }
    }
    asked.truncate(count);
    asked
}

fn train(versions: &Versions, table: &Table, settings: &Settings, seed: u64, name: &str) {
    let split = Split::new(table, &settings.split).unwrap();
    let union = |names: &[&str]| {
        let mut ids: Vec<_> = names.iter().flat_map(|name| groups(name).unwrap()).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (all, past) = (union(&["ohlcv", "volume", "indicators"]), union(&["price_history", "volatility"]));
    let (training, validation) = (&split.training, &split.validation);
    let trees = LightGbm::train(table, training, validation, &all, &settings.lightgbm, seed, 1, &Silent).unwrap();
    let (tft, _) = Tft::train(table, training, validation, &past, &settings.tft, seed, 1, &Silent).unwrap();
    let part =
        |member, weight| MemberFusion { member, weight, calibration: Calibration { slope: 0.8, intercept: 0.01 } };
    let voters = Voters {
        members: vec![(Member::Lightgbm, Box::new(Trees(trees))), (Member::Tft, Box::new(Transformer(tft)))],
        fusion: Fusion {
            members: vec![part(Member::Lightgbm, 0.6), part(Member::Tft, 0.4)],
            calibration: Calibration::default(),
        },
    };
    let entry = |name, weight, columns: &[_]| MemberEntry { name, weight, columns: columns.to_vec() };
    let trained = Trained {
        backtest_sharpe: Some(0.1),
        backtest_win_rate: Some(0.5),
        hyperparams: serde_json::to_value(settings).unwrap(),
        trained_from: split.first,
        trained_through: split.trained_through,
        timeframe: table.timeframe,
        horizon_bars: table.horizon_bars,
        round_trip_cost: settings.round_trip_cost,
        symbols: table.series.iter().map(|series| series.symbol).collect(),
        members: vec![entry(Member::Lightgbm, 0.6, &all), entry(Member::Tft, 0.4, &past)],
        ensemble_hash: 1,
        seed,
        evaluation: serde_json::json!({"accuracy": 0.5}),
    };
    let (day, time) = name.split_once('_').unwrap();
    let civil = format!("{}-{}-{}T{}:00:00Z", &day[..4], &day[4..6], &day[6..], &time[..2]);
    let draft = versions.begin(civil.parse().unwrap()).unwrap();
    let metadata = save(draft, trained, &voters, &questions(table, 16)).unwrap();
    assert_eq!(metadata.version.as_str(), name);
}
