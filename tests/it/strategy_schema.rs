//! The schema of strategies, as an editor uses it, against the files that are shipped and against the program's own reader.

use std::fs;

use jsonschema::Validator;
use levibot_core::engine::StrategyPolicy;
use serde_json::Value;

use crate::support::workspace;

fn validator() -> Validator {
    let text = fs::read_to_string(workspace().join("policies/strategy.schema.json")).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// What the schema says of a file; nothing where it is valid.
fn faults(validator: &Validator, text: &str) -> Vec<String> {
    let value: Value = serde_saphyr::from_str(text).unwrap();
    validator.iter_errors(&value).map(|error| error.to_string()).collect()
}

#[test]
fn every_shipped_strategy_is_valid() {
    let validator = validator();
    let mut count = 0;
    for entry in fs::read_dir(workspace().join("policies/strategies")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(faults(&validator, &text), Vec::<String>::new(), "{}", path.display());
        StrategyPolicy::from_yaml(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += 1;
    }
    assert!(count >= 6, "{count} strategies");
}

#[test]
fn schema_and_reader_refuse_the_same_mistakes() {
    let validator = validator();
    let good = fs::read_to_string(workspace().join("policies/strategies/breakout.yaml")).unwrap();
    let entry = "  entry:\n    long: close > ceiling\n    short: close < ground\n";
    for (from, to) in [
        ("policy:", "strategy:"),
        ("  name: breakout\n", ""),
        ("name: breakout", "name: Break Out"),
        (entry, ""),
        (entry, "  entry: {}\n"),
        (entry, "  entry: close > ceiling\n"),
        ("    short: close < ground", "    sideways: close < ground"),
        ("  volatility:", "  volatilty:"),
        ("trailing: trail * atr(range)", "trailing: [trail]"),
        ("trailing:", "trail:"),
        ("{default: 48, min: 5, max: 1000}", "{default: 48, min: 5, max: 1000, steps: 1}"),
        ("{default: 48, min: 5, max: 1000}", "{default: 48, min: 5}"),
        ("{default: 48, min: 5, max: 1000}", "{default: many, min: 5, max: 1000}"),
        ("    - not regime.calm", "    calm: not regime.calm"),
    ] {
        assert!(good.contains(from), "{from}");
        let broken = good.replacen(from, to, 1);
        assert!(!faults(&validator, &broken).is_empty(), "the schema takes `{to}` for `{from}`");
        assert!(StrategyPolicy::from_yaml(&broken).is_err(), "the reader takes `{to}` for `{from}`");
    }
}
