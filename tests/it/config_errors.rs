//! A configuration that cannot be meant ends the start with file, key, value, reason and remedy.

use crate::support::Home;

/// A file, what stands in it, what a person wrote instead, and what the message must say.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CASES: [Case; 22] = [
    ("levibot.toml", "pace = \"realtime\"", "pace = \"realtime\"\npeace = 1", &["levibot.toml", "peace", "unknown"]),
    ("levibot.toml", "pace = \"realtime\"", "pace = \"fast\"", &["levibot.toml", "fast", "lockstep"]),
    ("levibot.toml", "kind = \"linear\"", "kind = 3", &["levibot.toml", "kind"]),
    ("levibot.toml", "[journal]", "[journel]", &["levibot.toml", "journel", "unknown"]),
    ("levibot.toml", "fee = 0.0005", "fee = 0.05", &["levibot.toml", "paper.fee", "0.05", "fraction"]),
    ("levibot.toml", "fee = 0.0005", "fee = -0.1", &["levibot.toml", "paper.fee", "-0.1"]),
    ("levibot.toml", "fee = 0.0005", "fee = nan", &["levibot.toml", "paper.fee"]),
    ("levibot.toml", "participation = 0.1", "participation = 10.0", &["paper.participation", "10", "0.1"]),
    ("levibot.toml", "initial_cash = \"10000\"", "initial_cash = \"-5\"", &["account.initial_cash", "-5"]),
    ("levibot.toml", "timeframe = \"1m\"", "timeframe = \"1\"", &["levibot.toml", "timeframe", "1m"]),
    ("levibot.toml", "quote_every = \"5s\"", "quote_every = \"7s\"", &["market.simulator.quote_every", "7s"]),
    ("levibot.toml", "speed = 600.0", "speed = 0.0", &["market.simulator.speed", "0"]),
    ("levibot.toml", "\"SOLUSDT\"]", "\"SOLUSDX\"]", &["SOLUSDX", "binance.toml", "SOLUSDT"]),
    ("levibot.toml", "\"SOLUSDT\"]", "\"SOLUSDT\", \"SOLUSDT\"]", &["market.symbols", "SOLUSDT"]),
    ("levibot.toml", "binance.toml", "nowhere.toml", &["nowhere.toml", "market.instruments", "exists"]),
    ("levibot.toml", "risk.yaml", "nowhere.yaml", &["nowhere.yaml", "account.risk", "exists"]),
    ("levibot.toml", "url = \"sqlite\"", "url = \"postgres://u:secret@h/d\"", &["store.url", "SQLite", "sqlite://"]),
    ("levibot.toml", "level = \"info\"", "level = \"loud\"", &["logs.level", "loud", "debug"]),
    (
        "risk.yaml",
        "max_daily_loss_pct: 50.0",
        "max_daily_loss_pct: 0.03",
        &["max_daily_loss_pct", "0.03", "3.0 for 3 %"],
    ),
    (
        "risk.yaml",
        "max_symbol_risk_pct: 0.2",
        "max_symbol_risk_pct: 20",
        &["risk.yaml", "max_symbol_risk_pct", "20", "0.2"],
    ),
    ("risk.yaml", "kelly_fraction: 0.5", "kelly_fraction: half", &["risk.yaml", "kelly_fraction"]),
    ("ema_cross.yaml", "slow: {default: 26", "slow: {default: 5", &["ema_cross.yaml", "fast < slow"]),
];

#[test]
fn every_mistake_is_named_with_its_place_and_a_remedy() {
    for (file, from, to, words) in CASES {
        let home = Home::simulated(600.0);
        home.edit(file, from, to);
        let outcome = home.run(&["--for", "1ms"]).wait();
        outcome.refused_with(2, words);
        assert!(!outcome.err.contains("secret"), "{}", outcome.err);
        assert!(!home.data().exists(), "{to}: nothing was begun");
    }
}

#[test]
fn the_command_line_is_checked_too() {
    let home = Home::simulated(600.0);
    home.run(&["--symbols", "BTCUSDT,DOGGUSDT"]).wait().refused_with(2, &["--symbols", "DOGGUSDT"]);
    home.run(&["--for", "soon"]).wait().refused_with(2, &["--for", "soon"]);
    home.run(&["--from", "someday"]).wait().refused_with(2, &["--from", "someday"]);
    home.run(&["--loud"]).wait().refused_with(2, &["--loud"]);
    home.levibot(&["run", "--config", "nowhere.toml"]).refused_with(2, &["nowhere.toml", "--config", "exists"]);
    home.levibot(&["trade"]).refused_with(2, &["trade"]);
    assert!(home.levibot(&["--help"]).ended_with(0).contains("Exit codes"));
    assert!(!home.data().exists());
}
