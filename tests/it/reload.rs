//! Files that change while the daemon runs.

use serde_json::Value;

use crate::record::{of_type, records};
use crate::support::{Home, SYMBOLS, eventually};

/// Reloads on record that `by` has asked for, with their outcomes.
fn reloads(home: &Home, by: &str) -> Vec<String> {
    let records = records(&home.data());
    let commands = of_type(&records, "command").into_iter().filter(|record| record["by"] == by);
    commands.map(|record| record["outcome"].as_str().unwrap().to_owned()).collect()
}

fn generations(home: &Home) -> Vec<u64> {
    let registry: Value = serde_json::from_str(&home.read("registry.json")).unwrap();
    SYMBOLS.iter().map(|symbol| registry[symbol]["generation"].as_u64().unwrap()).collect()
}

#[test]
fn limits_and_strategies_are_taken_over_and_bad_files_change_nothing() {
    let home = Home::simulated(6_000.0);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert!(home.ask(&["reload"]).ended_with(0).contains("nothing has changed"));

    home.edit("risk.yaml", "max_position_usd: 1000", "max_position_usd: 500");
    let outcome = home.ask(&["reload"]);
    let out = outcome.ended_with(0);
    assert!(out.starts_with("taken over: ") && out.contains("max_position_usd"), "{out}");
    let at = eventually("the new limits are on record", || {
        let records = records(&home.data());
        let at = records.iter().position(|record| record["type"] == "setup")?;
        let limit = records[at].pointer("/setup/risk/position_sizing/max_position_usd").unwrap();
        assert_eq!(*limit, 500.0);
        Some(at)
    });
    // Entries from here on keep to them.
    eventually("a smaller entry", || {
        let records = records(&home.data());
        let sized = of_type(&records[at..], "decision");
        let mut notionals = sized.iter().filter_map(|d| d.pointer("/verdict/sizing/notional")?.as_f64());
        notionals.next().map(|first| assert!(std::iter::once(first).chain(notionals).all(|n| n <= 500.0)))
    });

    home.edit("ema_cross.yaml", "fast: {default: 12", "fast: {default: 8");
    let outcome = home.ask(&["reload"]);
    let out = outcome.ended_with(0);
    assert!(out.starts_with("taken over: ") && out.contains("8"), "{out}");
    eventually("the engines run with it", || (home.ask_json(&["engines"])["running"] == 4).then_some(()));

    // Each bad file is refused with file, key and reason, and what was in force stays.
    let good = home.read("risk.yaml");
    for (from, to, words) in [
        ("max_daily_loss_pct: 50.0", "max_daily_loss_pct: 0.03", ["risk.yaml", "max_daily_loss_pct", "fraction"]),
        ("max_symbol_risk_pct: 0.2", "max_symbol_risk_pct: 20", ["risk.yaml", "max_symbol_risk_pct", "0.2"]),
        ("rebalance_frequency", "rebalance_frequenzy", ["risk.yaml", "rebalance_frequenzy", "unknown"]),
    ] {
        home.edit("risk.yaml", from, to);
        let outcome = home.ask(&["reload"]);
        outcome.refused_with(1, &["nothing has changed"]);
        outcome.refused_with(1, &words);
        home.write("risk.yaml", &good);
    }
    let strategy = home.read("ema_cross.yaml");
    home.edit("ema_cross.yaml", "slow: {default: 26", "slow: {default: 3");
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "ema_cross.yaml", "slow"]);
    home.write("ema_cross.yaml", &strategy);
    assert!(home.ask(&["reload"]).ended_with(0).contains("nothing has changed"), "what was in force is in force");

    // A daemon that was started without a model cannot begin to ask one.
    home.configure(|config| {
        let fusion = crate::support::workspace().join("policies/strategies/fusion.yaml");
        config["strategy"]["default"] = fusion.display().to_string().into();
    });
    home.ask(&["reload"]).refused_with(1, &["nothing has changed", "a strategy asks the model", "restart"]);
    home.configure(|config| config["strategy"]["default"] = home.path("ema_cross.yaml").display().to_string().into());

    // What cannot change under way is named.
    home.configure(|config| config["paper"]["fee"] = 0.001.into());
    let outcome = home.ask(&["reload"]);
    let out = outcome.ended_with(0);
    assert!(out.contains("a restart is needed for paper.fee"), "{out}");

    assert_eq!(home.ask_json(&["engines"])["running"], 4);
    daemon.stop().ended_with(0);
    let records = records(&home.data());
    assert_eq!(of_type(&records, "setup").len(), 1);
    let refused = of_type(&records, "command");
    let refused = refused.iter().filter(|r| r["outcome"].as_str().unwrap().starts_with("refused: nothing has changed"));
    assert_eq!(refused.count(), 5);
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
}

#[test]
fn only_what_changed_is_touched_and_each_symbol_is_told() {
    let home = Home::simulated(6_000.0);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    home.ask(&["pause", "ETHUSDT"]).ended_with(0);
    home.write("own.yaml", &home.read("ema_cross.yaml").replace("slow: {default: 26", "slow: {default: 30"));
    let own = home.path("own.yaml").display().to_string();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        home.configure(|config| {
            let symbols =
                config["strategy"].as_table_mut().unwrap().entry("symbols").or_insert(toml::Table::new().into());
            symbols.as_table_mut().unwrap().insert(symbol.to_owned(), own.clone().into());
        });
    }
    let told = [format!("BTCUSDT: strategy {own} renewed"), format!("ETHUSDT: strategy {own} renewed")];
    let shown = home.ask(&["reload", "--dry-run"]);
    assert!(shown.ended_with(0).starts_with("would be taken over: strategy.symbols.BTCUSDT"), "{}", shown.out);
    assert!(told.iter().all(|line| shown.out.contains(line)), "{}", shown.out);
    assert_eq!(generations(&home), [1; 4], "nothing was done");

    let done = home.ask(&["reload"]);
    assert!(told.iter().all(|line| done.ended_with(0).contains(line)), "{}", done.out);
    eventually("they run with it", || (generations(&home) == [2, 2, 1, 1]).then_some(()));
    // What a person has said of an engine stands.
    let status = |at: usize| home.ask_json(&["engines"])["engines"][at]["status"].clone();
    eventually("all are up", || (status(0) == "running" && status(1) == "paused").then_some(()));
    let frozen = home.ask_json(&["pnl"])["symbols"][1]["frozen"].to_string();
    assert!(frozen.contains("paused by hand"), "{frozen}");
    assert_eq!(generations(&home), [2, 2, 1, 1], "the others were not touched");
    eventually("a decision of the new strategy", || {
        let records = records(&home.data());
        let at = records.iter().rposition(|record| record["type"] == "strategies").unwrap();
        let decided = of_type(&records[at..], "decision").into_iter().any(|record| record["symbol"] == "BTCUSDT");
        decided.then_some(())
    });
    let by = of_type(&records(&home.data()), "command").last().unwrap()["by"].as_str().unwrap().to_owned();
    assert_eq!(reloads(&home, &by).len(), 2, "the dry run is not on record");
    daemon.stop().ended_with(0);
    let logs = std::fs::read_dir(home.path("logs")).unwrap().map(|entry| entry.unwrap().path());
    let own_log =
        logs.filter(|path| path.display().to_string().contains("engine-BTCUSDT")).map(std::fs::read_to_string);
    let own_log: String = own_log.map(Result::unwrap).collect();
    assert!(own_log.contains(&format!("strategy {own} renewed")), "in the symbol's own log");
    // Which strategy decided when stands on record.
    let config = home.config();
    let again = home.ask_json(&["replay-record", "--config", config.to_str().unwrap()]);
    assert_eq!(again["different"], 0, "{again}");
}

#[test]
fn a_changed_file_is_taken_over_by_itself_and_a_bad_one_is_told_once() {
    let home = Home::simulated(1.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let good = home.read("risk.yaml");
    home.edit("risk.yaml", "max_position_usd: 1000", "max_position_usd: 500");
    let done = eventually("it is taken over", || reloads(&home, "file watch").pop());
    assert!(done.starts_with("taken over: ") && done.contains("max_position_usd: 1000"), "{done}");

    home.edit("risk.yaml", "max_daily_loss_pct: 50.0", "max_daily_loss_pct: 0.03");
    let refused = eventually("it is refused", || reloads(&home, "file watch").into_iter().nth(1));
    for word in ["refused: nothing has changed", "risk.yaml", "max_daily_loss_pct", "fraction"] {
        assert!(refused.contains(word), "`{word}` is missing in {refused}");
    }
    let alerts = || daemon.log().lines().filter(|line| line.contains("was not taken over (file watch)")).count();
    eventually("an alert", || (alerts() == 1).then_some(()));

    // A file that is named from now on is watched from now on. The bad one is not looked at again by itself.
    home.write("risk.yaml", &good);
    home.write("other.yaml", &home.read("ema_cross.yaml"));
    home.configure(|config| config["strategy"]["default"] = home.path("other.yaml").display().to_string().into());
    eventually("another strategy", || reloads(&home, "file watch").iter().find(|o| o.contains("other.yaml")).cloned());
    home.edit("other.yaml", "slow: {default: 26", "slow: {default: 30");
    eventually("it is watched", || reloads(&home, "file watch").iter().find(|o| o.contains("26 -> 30")).cloned());
    assert_eq!(alerts(), 1);
    let refusals = reloads(&home, "file watch").iter().filter(|outcome| outcome.starts_with("refused")).count();
    assert_eq!(refusals, 1);
    daemon.stop().ended_with(0);
}

#[test]
fn sighup_reloads_and_says_why_not() {
    let home = Home::simulated(1.0);
    home.set_watch(false);
    let mut daemon = home.run(&[]);
    daemon.ready();
    home.edit("risk.yaml", "max_position_usd: 1000", "max_position_usd: 500");
    daemon.hang_up();
    let done = eventually("it is taken over", || reloads(&home, "SIGHUP").pop());
    assert!(done.starts_with("taken over: ") && done.contains("max_position_usd"), "{done}");
    home.edit("ema_cross.yaml", "slow: {default: 26", "slow: {default: 3");
    daemon.hang_up();
    let refused = eventually("it is refused", || reloads(&home, "SIGHUP").into_iter().nth(1));
    for word in ["refused: nothing has changed", "ema_cross.yaml", "slow = 3", "`fast < slow` does not hold"] {
        assert!(refused.contains(word), "`{word}` is missing in {refused}");
    }
    eventually("an alert", || daemon.log().contains("was not taken over (SIGHUP)").then_some(()));
    assert!(reloads(&home, "file watch").is_empty(), "nobody watches");
    daemon.stop().ended_with(0);
}
