//! Files that change while the daemon runs.

use crate::record::{of_type, records};
use crate::support::{Home, eventually};

#[test]
fn limits_and_strategies_are_taken_over_and_bad_files_change_nothing() {
    let home = Home::simulated(6_000.0);
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

    home.edit("ema_cross.yaml", "fast: 12", "fast: 8");
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
    home.edit("ema_cross.yaml", "slow: 26", "slow: 3");
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
