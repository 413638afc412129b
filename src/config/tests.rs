use std::fs;
use std::path::{Path, PathBuf};

use levibot_core::domain::AccountKind;
use levibot_core::simulator::SimulatedFeed;
use tempfile::TempDir;

use super::*;

mod alerts_tests;
mod model_tests;
mod symbols_tests;

const LIVE: &str = include_str!("../../config/levibot.toml");
const REPLAY: &str = include_str!("../../config/replay.toml");
const RULES: &str = include_str!("../../config/symbols/binance.toml");

fn shipped(name: &str) -> PathBuf {
    std::path::absolute("config").unwrap().join(name)
}

fn none() -> BTreeMap<String, String> {
    BTreeMap::new()
}

fn env(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn symbols(names: &str) -> Vec<Symbol> {
    names.split(',').map(|name| name.parse().unwrap()).collect()
}

/// The text with one passage replaced, which must be in it.
fn edited(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "not in the file: {from}");
    text.replacen(from, to, 1)
}

/// Loads a text as a file. The paths in it are those of this repository.
fn load_with(text: impl AsRef<[u8]>, overrides: &Overrides, env: &BTreeMap<String, String>) -> Result<Config, String> {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("given.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file, overrides, env).map_err(|error| error.to_string())
}

fn load(text: impl AsRef<[u8]>) -> Result<Config, String> {
    load_with(text, &Overrides::default(), &none())
}

#[test]
fn the_shipped_default_loads() {
    let config = Config::load(&shipped("levibot.toml"), &Overrides::default(), &none()).unwrap();
    assert_eq!((config.run.pace, config.run.resume_next_day), (PaceKey::Realtime, false));
    assert_eq!(config.account.kind, AccountKind::Linear);
    assert_eq!(config.supervision, SupervisionSetup::default(), "the file shows the defaults");
    assert_eq!(config.quarantines_max, 3);
    assert_eq!(config.store.path(&config.run.data_dir), Path::new("data/default/levibot.db"));

    let symbols = config.symbols.clone().unwrap();
    assert_eq!(symbols.len(), 12);
    assert!(symbols.is_sorted());
    let account = config.account_setup(&symbols).unwrap();
    assert!((account.cost_per_side - 0.0007).abs() < 1e-12, "{}", account.cost_per_side);
    let setup = config.market.simulator_setup(&account).unwrap();
    assert_eq!(setup.symbols.len(), 12);
    assert!(SimulatedFeed::new(&setup).is_ok());
}

#[test]
fn the_shipped_replay_loads_and_takes_a_range() {
    let to = Some(parse_to("2022-12-31").unwrap());
    let data = Some(shipped("symbols"));
    let overrides = Overrides { data: data.clone(), to, ..Overrides::default() };
    let config = Config::load(&shipped("replay.toml"), &overrides, &none()).unwrap();
    assert_eq!((config.run.pace, config.run.resume_next_day), (PaceKey::Lockstep, true));
    assert_eq!((config.symbols.as_ref(), config.http.enabled), (None, false));
    assert_eq!(config.market.source, MarketSource::Files { path: data, from: None, to });
    let account = config.account_setup(&symbols("ETHUSDT,BTCUSDT")).unwrap();
    let order: Vec<String> = account.instruments.iter().map(|i| i.id().to_string()).collect();
    assert_eq!(order, ["binance:BTCUSDT", "binance:ETHUSDT"]);
    assert!(account.resume_next_day);
}

#[test]
fn the_default_needs_no_file_and_tables_left_out_have_its_values() {
    let config = Config::load_default(&Overrides::default(), &none()).unwrap();
    let (head, _) = LIVE.split_once("\n[supervisor]").unwrap();
    let mut short = load(head).unwrap();
    short.file.clone_from(&config.file);
    assert_eq!(short, config);
    let files = config.watched_files();
    assert_eq!(files.len(), 5, "{files:?}");
    assert!(files.contains(&config.market.instruments_file));
    for file in files {
        assert!(text::embedded(&file).is_some(), "{} is not built in", file.display());
    }
}

/// Only a backtest opens an account without limits: no table of a configuration and no risk policy has a key for it.
#[test]
fn no_file_lifts_the_limits() {
    let config = Config::load_default(&Overrides::default(), &none()).unwrap();
    assert!(!config.account_setup(&symbols("BTCUSDT")).unwrap().unlimited);
    for table in ["[run]", "[account]", "[paper]", "[market]"] {
        let text = edited(LIVE, &format!("\n{table}"), &format!("\n{table}\nunlimited = true #"));
        let error = load(text).unwrap_err();
        assert!(error.contains("unlimited"), "{table}: {error}");
    }
    let policy = include_str!("../../policies/risk.yaml");
    let text = edited(policy, "risk_policy:\n", "risk_policy:\n  unlimited: true\n");
    let error = levibot_core::account::RiskPolicy::from_yaml(&text).unwrap_err().to_string();
    assert!(error.contains("unlimited"), "{error}");
}

/// Passages of the shipped default, what is put there, and what the error must say: the key, and the remedy.
const BAD: &[(&str, &str, &[&str])] = &[
    // Syntax, keys and types: the parser tells line and column.
    ("pace = \"realtime\"", "pase = \"realtime\"", &["line 9, column 1", "pase", "`pace`", "config/levibot.toml"]),
    ("[journal]", "[jurnal]", &["jurnal", "expected one of", "`journal`"]),
    ("fee = 0.0005", "fee = 0.0005\nfee = 0.0004", &["duplicate key", "fee", "correct that line"]),
    ("fee = 0.0005 ", "# ", &["missing field `fee`", "[paper]"]),
    ("fee = 0.0005", "fee = \"0.0005\"", &["fee", "invalid type", "correct that line"]),
    ("tape_keep_days = 7", "tape_keep_days = -7", &["tape_keep_days", "u32"]),
    ("pace = \"realtime\"", "pace = \"fast\"", &["pace = \"fast\"", "`lockstep` or `realtime`"]),
    ("kind = \"linear\"", "kind = \"margin\"", &["margin", "`spot` or `linear`"]),
    ("source = \"simulator\"", "source = \"binance\"", &["source", "`simulator` or `files`"]),
    ("timeframe = \"15m\"", "timeframe = \"1min\"", &["timeframe", "from 1s to 1w"]),
    ("venue = \"sim\"", "venue = \"My Venue\"", &["venue", "lower-case letters"]),
    ("\"BTCUSDT\", \"DOGE", "\"btcusdt\", \"DOGE", &["symbols = [", "`btcusdt` is not a symbol", "upper-case"]),
    ("initial_cash = \"10000\"", "initial_cash = 10000", &["initial_cash", "expected a string"]),
    ("initial_cash = \"10000\"", "initial_cash = \"ten\"", &["initial_cash", "not a decimal number"]),
    ("quote_every = \"30s\"", "quote_every = 5", &["quote_every", "in quotes with its unit"]),
    ("latency = \"50ms\"", "latency = \"50\"", &["latency", "in quotes with its unit"]),
    ("start = \"2025-01-01\"", "start = \"new year\"", &["start", "write 2022-06-01"]),
    ("start = \"2025-01-01\"", "start = 2025-01-01", &["start", "a time in quotes"]),
    ("[run]", "[run", &["line 8", "[run"]),
    // Values that cannot be meant.
    ("data_dir = \"data/default\"", "data_dir = \"\"", &["`run.data_dir`", "write a path"]),
    ("name = \"paper\"", "name = \"My Account\"", &["`account.name` is \"My Account\"", "lower-case letters"]),
    ("currency = \"USDT\"", "currency = \"dollars\"", &["`account.currency` is \"dollars\"", "such as \"USDT\""]),
    (
        "currency = \"USDT\"",
        "currency = \"TRY\"",
        &["`ADAUSDT.quote` is \"USDT\"", "set `account.currency` = \"USDT\""],
    ),
    ("initial_cash = \"10000\"", "initial_cash = \"0\"", &["`account.initial_cash` is 0", "such as \"10000\""]),
    ("initial_cash = \"10000\"", "initial_cash = \"-5\"", &["`account.initial_cash` is -5", "over zero"]),
    (
        "risk = \"policies/risk.yaml\"",
        "risk = \"policies/none.yaml\"",
        &["policies/none.yaml", "`account.risk`", "check that it exists"],
    ),
    ("risk = \"policies/risk.yaml\"", "risk = \"policies\"", &["`account.risk`", "check that it exists"]),
    (
        "default = \"policies/strategies/fusion.yaml\"",
        "default = \"none.yaml\"",
        &["none.yaml", "`strategy.default`", "check that it exists"],
    ),
    (
        "default = \"policies/strategies/fusion.yaml\"",
        "default = \"policies/risk.yaml\"",
        &["`strategy.default`", "risk_policy", "strategy"],
    ),
    ("# BTCUSDT = \"pol", "BTCUSDT = \"x/pol", &["`strategy.symbols.BTCUSDT`", "check that it exists"]),
    ("# BTCUSDT = \"pol", "BTCUSD = \"pol", &["`strategy.symbols` asks for BTCUSD", "BTCUSDT", "add a table"]),
    (
        "instruments = \"config/symbols/binance.toml\"",
        "instruments = \"config/symbols/nyse.toml\"",
        &["nyse.toml", "`market.instruments`", "check that it exists"],
    ),
    ("\"BTCUSDT\", \"DOGE", "\"ADAUSDT\", \"DOGE", &["`market.symbols` is ADAUSDT", "twice", "each symbol once"]),
    (
        "\"BTCUSDT\", \"DOGE",
        "\"BTCUSTD\", \"DOGE",
        &["`market.symbols` asks for BTCUSTD", "nearest known: BTCUSDT", "config/symbols/binance.toml", "add a table"],
    ),
    ("seed = 42 ", "seed = -1 ", &["seed", "u64"]),
    ("start = \"2025-01-01\"", "start = \"2025-01-01T00:00:30Z\"", &["`market.simulator.start`", "T00:00:00Z\""]),
    ("start = \"2025-01-01\"", "start = \"1800-01-01\"", &["`market.simulator.start`", "such as \"2025-01-01\""]),
    ("quote_every = \"30s\"", "quote_every = \"7s\"", &["`market.simulator.quote_every` is 7s", "`market.timeframe`"]),
    ("quote_every = \"30s\"", "quote_every = \"0s\"", &["`market.simulator.quote_every` is 0s", "such as \"5s\""]),
    ("speed = 900.0", "speed = 0", &["`market.simulator.speed` is 0", "over 0 and up to 100000"]),
    ("speed = 900.0", "speed = nan", &["`market.simulator.speed` is NaN", "over 0 and up to 100000"]),
    ("speed = 900.0", "speed = 100001", &["`market.simulator.speed` is 100001", "over 0 and up to 100000"]),
    ("BTCUSDT = 94000.0", "", &["`market.simulator.prices.BTCUSDT` is missing", "add"]),
    ("BTCUSDT = 94000.0", "BTCUSDT = -1", &["`market.simulator.prices.BTCUSDT` is -1", "quote currency"]),
    ("BTCUSDT = 94000.0", "BTCUSDT = nan", &["`market.simulator.prices.BTCUSDT` is NaN", "quote currency"]),
    ("BTCUSDT = 94000.0", "BTCUSDT = 9\nXUSDT = 1", &["`market.simulator.prices` asks for XUSDT", "add a table"]),
    ("[strategy]", "[market.files]\n[strategy]", &["`market.files`", "no effect", "remove the table"]),
    ("history = \"60d\"", "history = \"11y\"", &["`market.simulator.history` is 11years", "such as \"60d\""]),
    ("trend = 0.3", "trend = 1.1", &["`market.simulator.trend` is 1.1", "such as 0.3"]),
    ("trend = 0.3", "trend = nan", &["`market.simulator.trend` is NaN", "0 for none"]),
    ("batch_wait = \"2ms\"", "batch_wait = \"2s\"", &["`model.batch_wait` is 2s", "such as \"2ms\""]),
    ("deadline = \"250ms\"", "deadline = \"2ms\"", &["`model.deadline` is 2ms", "over `model.batch_wait`"]),
    ("deadline = \"250ms\"", "deadline = \"2m\"", &["`model.deadline` is 2m", "up to a minute"]),
    ("threads = 2 ", "threads = 0 ", &["`model.threads` is 0", "1 to 64"]),
    ("dir = \"models/default\"", "dir = \"\"", &["`model.dir`", "write a path"]),
    ("config/ensemble.yaml", "config/none.yaml", &["none.yaml", "`model.ensemble`", "check that it exists"]),
    ("config/ensemble.yaml", "policies/risk.yaml", &["`model.ensemble`", "risk_policy", "ensemble"]),
    ("config/training-quick.toml", "none.toml", &["none.toml", "`model.training`", "check that it exists"]),
    ("# version = \"20251014_030000\"", "version = \"V 1\"", &["version", "1 to 32 lower-case letters"]),
    ("in_sample = false", "in_sampel = false", &["in_sampel", "`in_sample`"]),
    ("fee = 0.0005", "fee = 0.05", &["`paper.fee` is 0.05", "percent or basis points", "0.0005 for 0.05 %"]),
    ("fee = 0.0005", "fee = 5", &["`paper.fee` is 5", "percent or basis points", "a fraction"]),
    ("fee = 0.0005", "fee = -0.0001", &["`paper.fee` is -0.0001", "write a fraction"]),
    ("fee = 0.0005", "fee = nan", &["`paper.fee` is NaN", "write a fraction"]),
    ("spread = 0.0002", "spread = 2", &["`paper.spread` is 2", "percent or basis points", "a fraction"]),
    ("slippage = 0.0001", "slippage = inf", &["`paper.slippage` is inf", "a fraction"]),
    ("latency = \"50ms\"", "latency = \"1h\"", &["`paper.latency`"]),
    ("participation = 0.1", "participation = 10", &["`paper.participation` is 10"]),
    ("funding = 0.0", "funding = 0.02", &["`paper.funding` is 0.02", "a fraction of notional for every 8 hours"]),
    ("failures_max = 5", "failures_max = 0", &["`supervisor.failures_max` is 0", "write 5"]),
    ("quarantines_max = 3", "quarantines_max = 0", &["`supervisor.quarantines_max` is 0", "1 to 1000"]),
    ("quarantines_max = 3", "quarantines_max = 1001", &["`supervisor.quarantines_max` is 1001", "1 to 1000"]),
    ("backoff_max = \"5s\"", "backoff_max = \"1ms\"", &["`supervisor.backoff_max`", "raise it"]),
    ("tape_keep_days = 7", "tape_keep_days = 0", &["`journal.tape_keep_days` is 0", "1 to 3650"]),
    ("keep_days = 30", "keep_days = 3651", &["`logs.keep_days` is 3651", "1 to 3650"]),
    ("url = \"sqlite\"", "url = \"postgres://me:secret@db/x\"", &["`store.url` is \"postgres:...\"", "only SQLite"]),
    ("url = \"sqlite\"", "url = \"sqlite::memory:\"", &["`store.url`", "sqlite://path/to/file.db"]),
    ("url = \"sqlite\"", "url = \"sqlite://\"", &["`store.url`", "sqlite://path/to/file.db"]),
    ("url = \"sqlite\"", "url = \"levibot.db\"", &["`store.url`", "sqlite://path/to/file.db"]),
    ("bind = \"127.0.0.1:8000\"", "bind = \"8000\"", &["`http.bind` is \"8000\"", "such as 127.0.0.1:8000"]),
    ("bind = \"127.0.0.1:8000\"", "bind = \"0.0.0.0:8000\"", &["`http.bind` is 0.0.0.0:8000", "allow_non_loopback"]),
    ("bind = \"127.0.0.1:8000\"", "bind = \"[::]:8000\"", &["`http.bind` is [::]:8000", "allow_non_loopback"]),
    ("level = \"info\"", "level = \"inof\"", &["`logs.level` is \"inof\"", "write off, error, warn, info"]),
    ("level = \"info\"", "level = \"info,=debug\"", &["`logs.level`", "write off, error, warn, info"]),
    ("path = \"engine_registry/engine_registry.json\"", "path = \"\"", &["`registry.path`", "write a path"]),
    ("[journal]", "[replay]\nresume_next_day = true\n[journal]", &["`replay.resume_next_day`", "\"lockstep\""]),
];

#[test]
fn what_cannot_be_meant_is_refused_with_file_key_and_remedy() {
    for (from, to, wanted) in BAD {
        let error = load(edited(LIVE, from, to)).expect_err(to);
        for part in *wanted {
            assert!(error.contains(part), "{to}: `{part}` is missing in: {error}");
        }
        let names_a_file = [".toml", ".yaml", "`account.risk`"].iter().any(|name| error.contains(name));
        assert!(names_a_file, "{to}: {error}");
    }
    let (before, list) = LIVE.split_once("symbols = [").unwrap();
    let (_, after) = list.split_once("]\n").unwrap();
    for (line, wanted) in [("symbols = []\n", "`market.symbols` is empty"), ("", "name at least one symbol")] {
        let error = load(format!("{before}{line}{after}")).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let (before, table) = LIVE.split_once("[market.simulator]").unwrap();
    let (_, after) = table.split_once("[strategy]").unwrap();
    let error = load(format!("{before}[strategy]{after}")).unwrap_err();
    assert!(error.contains("`market.simulator` is missing") && error.contains("copy the table"), "{error}");
}

#[test]
fn a_replay_is_checked_as_well() {
    for (from, to, wanted) in [
        ("pace = \"lockstep\"", "pace = \"realtime\"", &["`replay.resume_next_day`", "by a person", "write false"][..]),
        ("# path = \"data/prices\"", "path = \"no/such\"", &["no/such", "`market.files.path`", "check that it exists"]),
        ("# from = \"2022-01-01\"", "from = 2022", &["from = 2022", "a time in quotes"]),
        ("# to = \"2022-12-31\"", "to = \"2021-01-01\"\nfrom = \"2022-01-01\"", &["`market.files.from`", "before"]),
        ("[strategy]", "[market.simulator]\nseed = 1\n[strategy]", &["missing field"]),
    ] {
        let error = load(edited(REPLAY, from, to)).expect_err(to);
        for part in wanted {
            assert!(error.contains(part), "{to}: `{part}` is missing in: {error}");
        }
    }
    let config = load(edited(REPLAY, "# to = \"2022-12-31\"", "to = \"2022-12-31\"")).unwrap();
    let end = "2023-01-01".parse().ok();
    assert_eq!(config.market.source, MarketSource::Files { path: None, from: None, to: end });
}

#[test]
fn files_that_are_no_text_are_refused() {
    for (bytes, wanted, remedy) in [
        (&b""[..], "is empty", "restore it"),
        (b"\xEF\xBB\xBF[run]", "byte order mark", "without a byte order mark"),
        (b"[run]\npace = \"\xFF\"", "not UTF-8 at line 2", "save it as UTF-8"),
    ] {
        let error = load(bytes).unwrap_err();
        assert!(error.contains("given.toml (named by --config)"), "{error}");
        assert!(error.contains(wanted) && error.contains(remedy), "{error}");
    }
    let missing = Config::load(Path::new("none.toml"), &Overrides::default(), &none()).unwrap_err();
    assert!(missing.to_string().contains("none.toml (named by --config)"), "{missing}");
    assert!(std::error::Error::source(&missing).is_some());
}

#[test]
fn trading_rules_and_policies_are_refused_by_their_own_file_and_key() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("rules.toml");
    let text = edited(LIVE, "config/symbols/binance.toml", file.to_str().unwrap());
    for (from, to, wanted) in [
        ("tick = \"0.01\"", "tick = \"0\"", &["`BTCUSDT.tick` is 0", "write what the venue states"][..]),
        ("step = \"0.00001\"", "step = \"-1\"", &["`BTCUSDT.step` is -1", "write what the venue states"]),
        ("min_notional = \"5\"", "min_notional = \"-5\"", &["`BTCUSDT.min_notional` is -5", "write what the venue"]),
        ("quote = \"USDT\"", "quote = \"usdt\"", &["`BTCUSDT.quote` is \"usdt\"", "upper-case"]),
        ("[BTCUSDT]", "[ETHUSDT]", &["duplicate key", "`market.instruments`", "config/symbols/binance.toml"]),
        ("tick = \"0.01\"", "tik = \"0.01\"", &["unknown field `tik`", "line"]),
    ] {
        fs::write(&file, edited(RULES, from, to)).unwrap();
        let error = load(&text).expect_err(to);
        assert!(error.contains("rules.toml"), "{error}");
        for part in wanted {
            assert!(error.contains(part), "{to}: `{part}` is missing in: {error}");
        }
    }
    let risk = dir.path().join("risk.yaml");
    let good = fs::read_to_string("policies/risk.yaml").unwrap();
    fs::write(&risk, edited(&good, "max_daily_loss_pct: 3.0", "max_daily_loss_pct: 0.03")).unwrap();
    let error = load(edited(LIVE, "policies/risk.yaml", risk.to_str().unwrap())).unwrap_err();
    for part in ["risk.yaml", "`account.risk`", "max_daily_loss_pct", "write 3.0 for 3 %"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_command_line_stands_above_the_environment_and_that_above_the_file() {
    let vars = BTreeMap::from(
        [
            ("LEVIBOT_DATA_DIR", "from/env"),
            ("LEVIBOT_HTTP_BIND", "127.0.0.1:9000"),
            ("LEVIBOT_LOG", "info,levibot::journal=debug"),
            ("LEVIBOT_SHARED_DATA", "anything"),
            ("PATH", "/bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let config = load_with(LIVE, &Overrides::default(), &vars).unwrap();
    assert_eq!(config.run.data_dir, Path::new("from/env"));
    assert_eq!(config.http.bind.port(), 9000);
    assert_eq!(config.logs.level, "info,levibot::journal=debug");

    let overrides = Overrides {
        symbols: Some(symbols("ETHUSDT,BTCUSDT")),
        data_dir: Some("from/line".into()),
        http_bind: Some("0.0.0.0:7000".parse().unwrap()),
        allow_non_loopback: true,
        ..Overrides::default()
    };
    let config = load_with(LIVE, &overrides, &vars).unwrap();
    assert_eq!(config.run.data_dir, Path::new("from/line"));
    assert_eq!(config.http.bind.to_string(), "0.0.0.0:7000");
    assert_eq!(config.symbols, Some(symbols("BTCUSDT,ETHUSDT")));
    let MarketSource::Simulator { prices, .. } = config.market.source else { panic!("the simulator") };
    // Those of others stay: a symbol that was traded before may have a position.
    assert!(prices.len() > 2 && symbols("BTCUSDT,ETHUSDT").iter().all(|symbol| prices.contains_key(symbol)));
}

#[test]
fn bad_options_and_variables_are_refused_where_they_were_given() {
    let option = |change: fn(&mut Overrides)| {
        let mut overrides = Overrides::default();
        change(&mut overrides);
        load_with(LIVE, &overrides, &none()).unwrap_err()
    };
    let variable = |name, value| load_with(LIVE, &Overrides::default(), &env(name, value)).unwrap_err();
    let cases: [(String, &[&str]); 12] = [
        (option(|o| o.symbols = Some(vec![])), &["the command line: `--symbols` is empty", "at least one"]),
        (option(|o| o.symbols = Some(symbols("BTCUSDT,BTCUSDT"))), &["`--symbols` is BTCUSDT", "each symbol once"]),
        (
            option(|o| o.symbols = Some(symbols("BTCUSD"))),
            &["`--symbols` asks for BTCUSD", "nearest known: BTCUSDT", "binance.toml", "add a table [\"BTCUSD\"]"],
        ),
        (
            option(|o| o.symbols = Some(symbols("FILUSDT"))),
            &["`market.simulator.prices.FILUSDT` is missing", "leave the symbol out"],
        ),
        (option(|o| o.data = Some("x".into())), &["`--data` is x", "config/replay.toml"]),
        (option(|o| o.to = Some(Ts::EPOCH)), &["`--to` is 1970-01-01T00:00:00Z", "config/replay.toml"]),
        (option(|o| o.data_dir = Some("".into())), &["`--data-dir`", "write a path"]),
        (option(|o| o.http_bind = "0.0.0.0:1".parse().ok()), &["`--http-bind` is 0.0.0.0:1", "--allow-non-loopback"]),
        (variable("LEVIBOT_HTTP_BIND", "*:80"), &["the environment: `LEVIBOT_HTTP_BIND`", "such as 127.0.0.1:8000"]),
        (variable("LEVIBOT_HTTP_BIND", "10.0.0.1:80"), &["`LEVIBOT_HTTP_BIND` is 10.0.0.1:80", "allow_non_loopback"]),
        (variable("LEVIBOT_LOG", "loud"), &["`LEVIBOT_LOG` is \"loud\"", "write off, error"]),
        (variable("LEVIBOT_DATADIR", "x"), &["`LEVIBOT_DATADIR`", "LEVIBOT_DATA_DIR, LEVIBOT_HTTP_BIND, LEVIBOT_LOG"]),
    ];
    for (error, wanted) in cases {
        for part in wanted {
            assert!(error.contains(part), "`{part}` is missing in: {error}");
        }
    }
    let range = Overrides { from: Some(Ts::from_secs(2)), to: Some(Ts::from_secs(1)), ..Overrides::default() };
    let error = load_with(REPLAY, &range, &none()).unwrap_err();
    assert!(error.contains("`--from`") && error.contains("a start before the end"), "{error}");
    let data = Overrides { data: Some("no/such".into()), ..Overrides::default() };
    let error = load_with(REPLAY, &data, &none()).unwrap_err();
    assert!(error.contains("no/such (named by --data)"), "{error}");
}

#[test]
fn every_shipped_file_of_trading_rules_makes_an_account() {
    for (rules, currency) in [("bist", "TRY"), ("moex", "RUB")] {
        let text = edited(REPLAY, "symbols/binance.toml", &format!("symbols/{rules}.toml"));
        let config = load(edited(&text, "\"USDT\"", &format!("\"{currency}\""))).unwrap();
        let all: Vec<Symbol> = config.market.instruments.keys().copied().collect();
        assert_eq!(config.account_setup(&all).unwrap().instruments.len(), all.len(), "{rules}");
    }
}

#[test]
fn an_account_asks_for_known_symbols_only() {
    let config = load(REPLAY).unwrap();
    let error = config.account_setup(&symbols("BTCUSDT,DOGEUSD")).unwrap_err().to_string();
    for part in ["a price file asks for DOGEUSD", "binance.toml", "nearest known: DOGEUSDT", "add a table"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(config.account_setup(&[]).unwrap_err().to_string().contains("at least one symbol"));
}

#[test]
fn the_hash_is_of_what_decides() {
    let hash = |text: String| load(text).unwrap().hash();
    let shipped = load(LIVE).unwrap().hash();
    assert_eq!(shipped.len(), 64);
    for (from, to) in [
        ("data/default", "data/other"),
        ("bind = \"127.0.0.1:8000\"", "bind = \"127.0.0.1:9000\""),
        ("level = \"info\"", "level = \"debug\""),
        ("speed = 900.0", "speed = 600.0"),
        ("failures_max = 5", "failures_max = 6"),
        ("deadline = \"250ms\"", "deadline = \"1s\""),
        ("threads = 2 ", "threads = 4 "),
        ("models/default", "models/other"),
        ("engine_registry/engine", "other/engine"),
        ("\"policies/risk.yaml\"", "\"./policies/risk.yaml\""),
        ("initial_cash = \"10000\"", "initial_cash = \"10000.00\""),
    ] {
        assert_eq!(hash(edited(LIVE, from, to)), shipped, "{to}");
    }
    for (from, to) in [
        ("name = \"paper\"", "name = \"other\""),
        ("kind = \"linear\"", "kind = \"spot\""),
        ("initial_cash = \"10000\"", "initial_cash = \"10001\""),
        ("timeframe = \"15m\"", "timeframe = \"5m\""),
        ("seed = 42  ", "seed = 43  "),
        ("BTCUSDT = 94000.0", "BTCUSDT = 94001.0"),
        ("\"XRPUSDT\",", ""),
        ("fee = 0.0005", "fee = 0.0006"),
        ("latency = \"50ms\"", "latency = \"51ms\""),
        ("history = \"60d\"", "history = \"61d\""),
        ("trend = 0.3", "trend = 0.0"),
    ] {
        assert_ne!(hash(edited(LIVE, from, to)), shipped, "{to}");
    }
    let dir = TempDir::new().unwrap();
    let rules = dir.path().join("rules.toml");
    let text = edited(LIVE, "config/symbols/binance.toml", rules.to_str().unwrap());
    let other = edited(RULES, "[ALGOUSDT]", "[ALGO2USDT]");
    for (content, is_same) in [(other, true), (edited(RULES, "min_notional = \"5\"", "min_notional = \"6\""), false)] {
        fs::write(&rules, content).unwrap();
        assert_eq!(hash(text.clone()) == shipped, is_same, "rules of traded symbols alone count");
    }
}

#[test]
fn a_difference_says_what_counts_at_once() {
    let old = load(LIVE).unwrap();
    assert_eq!(old.diff(&old), []);
    let dir = TempDir::new().unwrap();
    let write = |name: &str, from: &str, to: &str| {
        let file = dir.path().join(name);
        let text = fs::read_to_string(Path::new("policies").join(name)).unwrap();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, edited(&text, from, to)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let text = edited(LIVE, "seed = 42 ", "seed = 7 ");
    let text =
        edited(&text, "policies/risk.yaml", &write("risk.yaml", "max_daily_loss_pct: 3.0", "max_daily_loss_pct: 2.5"));
    let strategy = write("strategies/ema_cross.yaml", "fast: 12", "fast: 10");
    let text =
        edited(&text, "# BTCUSDT = \"policies/strategies/ema_cross.yaml\"", &format!("BTCUSDT = \"{strategy}\""));
    let changes = old.diff(&load(text).unwrap());
    let find = |key: &str| {
        let change = changes.iter().find(|change| change.key == key).unwrap_or_else(|| panic!("{key}: {changes:?}"));
        (change.from.as_str(), change.to.as_str(), change.effect)
    };
    assert_eq!(find("risk_policy.max_daily_loss_pct"), ("3.0", "2.5", Effect::Live));
    assert_eq!(find("market.simulator.seed"), ("42", "7", Effect::NeedsRestart));
    assert_eq!(find("strategy.symbols.BTCUSDT.fast"), ("none", "10", Effect::Live));
    assert_eq!(find("account.risk").2, Effect::Live);
    let restart: Vec<_> = changes.iter().filter(|change| change.effect == Effect::NeedsRestart).collect();
    assert_eq!(restart.len(), 1, "{restart:?}");
}
