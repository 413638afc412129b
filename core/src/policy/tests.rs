//! What texts mean.

use super::plan::{BarField, Binary, Indicator, ModelValue, Node, PlannedSize, Rolling, SidePlan, Unary};
use super::{Plan, StrategyError, StrategyPolicy};
use crate::domain::Direction;
use crate::features::FeatureId;
use crate::regime::Classifier;

const CROSS: &str = include_str!("../../../policies/strategies/ema_cross.yaml");
const GUARDED: &str = include_str!("../../../policies/strategies/ema_cross_guarded.yaml");
const BREAKOUT: &str = include_str!("../../../policies/strategies/breakout.yaml");
const REVERSION: &str = include_str!("../../../policies/strategies/mean_reversion.yaml");
const FUSION: &str = include_str!("../../../policies/strategies/fusion.yaml");
const HOURLY: &str = include_str!("../../../policies/strategies/fusion_hourly.yaml");

fn read(text: &str) -> StrategyPolicy {
    StrategyPolicy::from_yaml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// With this entry, these lines and a way out.
fn entry(expression: &str, lines: &str) -> StrategyPolicy {
    let out = if lines.contains("bracket") { "  exit: {long: close < 0}\n" } else { "  bracket: {time: 9}\n" };
    read(&format!("policy:\n  name: trial\n  entry: {{long: \"{expression}\"}}\n{out}{lines}"))
}

/// The nodes of an entry: those of the usual volatility stand behind them.
fn nodes(expression: &str) -> Vec<Node> {
    let policy = entry(expression, "");
    let entry = policy.plan().long.entry.expect("it may hold");
    policy.plan().nodes[..=usize::from(entry)].to_vec()
}

#[test]
fn the_plan_of_the_crossing_averages() {
    let policy = read(CROSS);
    let side = |entry| SidePlan { entry: Some(entry), exit: None };
    let wanted = Plan {
        nodes: vec![
            Node::Bar(BarField::Close),
            Node::Rolling(Rolling::Ema, 0, 12),
            Node::Rolling(Rolling::Ema, 0, 26),
            Node::Binary(Binary::CrossesAbove, 1, 2),
            Node::Binary(Binary::CrossesBelow, 1, 2),
            Node::Number(1.0),
            Node::Number(1e-9),
        ],
        long: side(3),
        short: side(4),
        size: PlannedSize::Units(5),
        volatility: 6,
        ..Plan::default()
    };
    assert_eq!(policy.plan(), &wanted);
    assert_eq!((policy.name(), policy.size(), policy.warm_up_bars()), ("ema_cross", PlannedSize::Units(5), 27));
    assert!(policy.trades(Direction::Long) && policy.trades(Direction::Short) && !policy.asks_model());
    assert!(policy.about().starts_with("Long while the fast average"));
    let set = policy.with(&[("fast", 10.0), ("slow", 20.0)]).unwrap();
    assert_eq!(set.plan().nodes[1..3], [Node::Rolling(Rolling::Ema, 0, 10), Node::Rolling(Rolling::Ema, 0, 20)]);
    assert_eq!(set.warm_up_bars(), 21);
}

#[test]
fn every_shipped_file_loads_and_is_kept_as_it_is() {
    for (text, name, warm_up, model) in [
        (CROSS, "ema_cross", 27, false),
        (GUARDED, "ema_cross_guarded", 27, false),
        (BREAKOUT, "breakout", 481, false),
        (REVERSION, "mean_reversion", 481, false),
        (FUSION, "fusion", 15, true),
        (HOURLY, "fusion_hourly", 15, true),
    ] {
        let policy = read(text);
        assert_eq!((policy.name(), policy.asks_model()), (name, model));
        assert_eq!(policy.warm_up_bars(), warm_up, "{name}");
        let first = policy.parameters().first().unwrap();
        let (name, value) = (first.name.clone(), first.max.min(first.value + 1.0));
        for policy in [policy.clone(), policy.with(&[(&name, value)]).unwrap(), policy.with_threshold(0.6)] {
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<StrategyPolicy>(&json).unwrap(), policy);
            let bytes = postcard::to_allocvec(&policy).unwrap();
            let back: StrategyPolicy = postcard::from_bytes(&bytes).unwrap();
            assert_eq!((back.hash(), back.parameters()), (policy.hash(), policy.parameters()));
            assert_eq!(back, policy);
        }
    }
    let stored = r#"{"source": "policy: {name: A}", "set": {}, "threshold": null}"#;
    let error = serde_json::from_str::<StrategyPolicy>(stored).unwrap_err().to_string();
    assert!(error.contains("`A` is not a plain name"), "{error}");
}

#[test]
fn a_guarded_cross_has_the_bracket_of_its_parameters() {
    let policy = read(GUARDED);
    let plan = policy.plan();
    let of = |ix: Option<u16>| plan.nodes[usize::from(ix.unwrap())];
    let (Node::Binary(Binary::Multiply, two, range), Node::Binary(Binary::Multiply, four, same)) =
        (of(plan.stop), of(plan.target))
    else {
        panic!("{plan:?}")
    };
    assert_eq!((of(Some(two)), of(Some(four))), (Node::Number(2.0), Node::Number(4.0)));
    assert_eq!((of(Some(range)), range), (Node::Indicator(Indicator::Atr, 14), same));
    assert_eq!((plan.trailing, plan.time_exit_bars, plan.size), (None, Some(72), PlannedSize::Account));
}

#[test]
fn the_hash_is_that_of_the_meaning() {
    let hash = |text: &str| read(text).hash();
    let shipped = hash(CROSS);
    assert_eq!(shipped, 18_091_272_075_299_453_041, "a stored decision names its policy by this number");
    let same = [
        ("  size: {units: 1}", "  size:\n    units: 2 - 1 # one"),
        ("long: crosses_above(quick, steady)", "long: \"crosses_above(ema(close, 12), (steady))\""),
        ("min: 2, max: 1000", "min: 1, max: 100"),
        ("about: Long", "about: Short"),
        (
            "    quick: ema(close, fast)\n    steady: ema(close, slow)",
            "    steady: ema(close, slow)\n    quick: ema(close, fast)",
        ),
        ("  define:", "  define:\n    spare: rsi(close, 9)"),
    ];
    for (from, to) in same {
        assert!(CROSS.contains(from), "{from}");
        assert_eq!(hash(&CROSS.replacen(from, to, 1)), shipped, "{to}");
    }
    for (from, to) in [
        ("name: ema_cross", "name: other"),
        ("default: 12", "default: 13"),
        ("units: 1", "units: 2"),
        ("units: 1", "notional: 1"),
        ("short: crosses_below(quick, steady)", "short: crosses_below(steady, quick)"),
        ("    short: crosses_below(quick, steady)", "  exit:\n    long: crosses_below(quick, steady)"),
        ("  size:", "  bracket: {time: 5}\n  size:"),
        ("  size:", "  filters: [hour < 5]\n  size:"),
        ("  size:", "  exit: {long: hour < 5}\n  size:"),
        ("  size:", "  volatility: atr(15) / close\n  size:"),
    ] {
        assert!(CROSS.contains(from), "{from}");
        assert_ne!(hash(&CROSS.replacen(from, to, 1)), shipped, "{to}");
    }
    // Set or written: the value counts.
    let policy = read(CROSS);
    assert_eq!(policy.with(&[("fast", 13.0)]).unwrap().hash(), hash(&CROSS.replace("default: 12", "default: 13")));
    assert_eq!(policy.with(&[("fast", 13.0)]).unwrap().with(&[("fast", 12.0)]).unwrap(), policy);
}

#[test]
fn a_threshold_is_taken_where_it_is_needed_and_once() {
    let policy = read(FUSION);
    assert!(policy.awaits_threshold() && policy.asks_model() && policy.trades(Direction::Short));
    let never = policy.plan().filters.iter().map(|ix| policy.plan().nodes[usize::from(*ix)]);
    assert_eq!(never.collect::<Vec<_>>(), [Node::Number(0.0)], "without its threshold it enters nothing");
    assert_eq!(policy.clone().with_threshold(f64::NAN), policy);
    let taken = policy.clone().with_threshold(0.6);
    assert!(!taken.awaits_threshold() && taken.plan().filters.is_empty());
    assert!(taken.plan().nodes.contains(&Node::Number(0.6)));
    assert_ne!(taken.hash(), policy.hash());
    assert_ne!(taken.hash(), policy.clone().with_threshold(0.61).hash());
    assert_eq!(taken.clone().with_threshold(0.7), taken);
    assert_eq!(taken.with(&[("stop", 2.5)]).unwrap(), policy.with(&[("stop", 2.5)]).unwrap().with_threshold(0.6));
    for own in [HOURLY, CROSS] {
        assert_eq!(read(own).with_threshold(0.6), read(own));
    }
}

#[test]
fn the_strategies_of_the_model_enter_and_leave_by_its_probability() {
    let hourly = read(HOURLY);
    let plan = hourly.plan();
    let place = |wanted: Node| {
        let place = plan.nodes.iter().position(|node| *node == wanted);
        u16::try_from(place.unwrap_or_else(|| panic!("{wanted:?} is not in {plan:?}"))).unwrap()
    };
    let number = |x: f64| place(Node::Number(x));
    let rise = place(Node::Model(ModelValue::ProbUp));
    let fall = place(Node::Binary(Binary::Subtract, number(1.0), rise));
    let of = |ix: Option<u16>| plan.nodes[usize::from(ix.unwrap())];
    assert_eq!(of(plan.long.entry), Node::Binary(Binary::GreaterEqual, rise, number(0.55)));
    assert_eq!(of(plan.short.entry), Node::Binary(Binary::GreaterEqual, fall, number(0.55)));
    assert_eq!(of(plan.long.exit), Node::Binary(Binary::Less, rise, number(0.45)));
    assert_eq!(of(plan.short.exit), Node::Binary(Binary::Less, fall, number(0.45)));
    assert_eq!(plan.time_exit_bars, Some(6));
}

#[test]
fn operators_bind_as_in_arithmetic_and_logic() {
    let same = |a: &str, b: &str| assert_eq!(nodes(a), nodes(b), "{a} | {b}");
    same("close > open or low > open and high > open", "(close > open) or ((low > open) and (high > open))");
    same("not close > open and low > open", "(not (close > open)) and (low > open)");
    same("close - open - low > 0", "((close - open) - low) > 0");
    same("close - open * low / high > 0", "(close - ((open * low) / high)) > 0");
    same("-close * open > -low", "((-close) * open) > (-low)");
    same("close > - - open", "close > open");
    same("not not regime.up", "regime.up");
    same("between(hour, 8, 20)", "8 <= hour and hour <= 20");
    assert_ne!(nodes("close - (open - low) > 0"), nodes("close - open - low > 0"));
}

#[test]
fn constants_fold_and_equal_values_are_one() {
    let close = Node::Bar(BarField::Close);
    assert_eq!(
        nodes("close > 2 * 3 + 8 / (5 - 1) - abs(-1) + min(1, 2) * max(3, 4)"),
        [close, Node::Number(11.0), Node::Binary(Binary::Greater, 0, 1)]
    );
    assert_eq!(
        nodes("ema(close, 2 + 1) > ema(close, 3) and not regime.up or false"),
        [
            close,
            Node::Rolling(Rolling::Ema, 0, 3),
            Node::Binary(Binary::Greater, 1, 1),
            Node::Regime(super::plan::RegimeValue::Up),
            Node::Unary(Unary::Not, 3),
            Node::Binary(Binary::And, 2, 4),
        ]
    );
    assert_eq!(nodes("1 < 2 and close > 0 and (3 != 3 or close > 0)").len(), 3);
    let folded = entry("close > 1", "  exit: {long: 1 > 2}\n  filters: [1 < 2, hour < 5, hour < 5]\n");
    assert_eq!((folded.plan().long.exit, folded.plan().filters.len()), (None, 1));
    assert!(!entry("close > 1 and 1 > 2", "").trades(Direction::Long), "what never holds is never entered");
}

#[test]
fn parameters_are_set_in_their_ranges_and_steps() {
    let text = "policy:\n  name: trial\n  parameters:\n    n: {default: 10, min: 2, max: 20}\n    \
                x: {default: 0.5, min: 0, max: 1, step: 0.1}\n    y: {default: 1.0, min: 0, max: 3}\n  \
                require: [n < 20 * y]\n  entry: {long: \"ema(close, n) > x * y\"}\n  bracket: {time: 9}\n";
    let policy = read(text);
    let parameters = policy.parameters();
    assert_eq!(
        parameters.iter().map(|one| (one.name.as_str(), one.whole)).collect::<Vec<_>>(),
        [("n", true), ("x", false), ("y", false)]
    );
    assert_eq!((parameters[1].min, parameters[1].max, parameters[1].step), (0.0, 1.0, Some(0.1)));
    let set = policy.with(&[("x", 0.3), ("n", 4.0)]).unwrap();
    assert_eq!((set.parameters()[0].value, set.parameters()[0].default), (4.0, 10.0));
    for (name, value, wanted) in [
        ("n", 4.5, "parameter `n` set to 4.5: 4.5 is not whole; `n` is a whole number"),
        ("n", 21.0, "parameter `n` set to 21: 21 is out of range; `n` goes from 2 to 20"),
        ("n", f64::NAN, "NaN is out of range"),
        ("x", 0.35, "is between two steps; `x` goes from 0 in steps of 0.1"),
        ("z", 1.0, "parameter `z` set to 1: there is no such parameter; did you mean"),
        ("volatility", 1.0, "trial has n, x, y"),
    ] {
        let error = policy.with(&[(name, value)]).unwrap_err();
        assert!(matches!(error, StrategyError::Setting { .. }) && error.to_string().contains(wanted), "{error}");
    }
    let error = policy.with(&[("n", 3.0), ("n", 4.0)]).unwrap_err().to_string();
    assert!(error.contains("it is set twice"), "{error}");
    let error = policy.with(&[("y", 0.1)]).unwrap_err();
    assert_eq!(error.place(), Some((7, 13)));
    assert!(error.to_string().contains("`n < 20 * y` does not hold with n = 10, y = 0.1"), "{error}");
    assert_eq!(set.with(&[("n", 10.0), ("x", 0.5)]).unwrap(), policy);
}

#[test]
fn warm_up_is_counted_through_what_a_value_is_made_of() {
    let warm_up = |expression: &str| entry(expression, "").warm_up_bars();
    for (expression, bars) in [
        ("hour > 3", 0),
        ("close > 3", 1),
        ("ema(close, 20) > 1", 20),
        ("lag(close, 5) > 1", 6),
        ("change(close, 5) > 1", 6),
        ("rsi(close, 14) > 1", 15),
        ("atr(14) > 1", 15),
        ("adx(14) > 1", 28),
        ("crosses_above(ema(close, 20), sma(close, 50))", 51),
        ("ema(sma(close, 10), 5) > 1", 14),
        ("lag(highest(high, 20), 1) > 1", 21),
        ("regime.up", Classifier::TREND_WARM_UP),
        ("regime.wild", Classifier::ACTIVITY_WARM_UP),
        ("feature.ema_gap_200 > 0", FeatureId::EmaGap200.warm_up()),
    ] {
        assert_eq!(warm_up(expression), bars, "{expression}");
    }
    let text = "  volatility: atr(500) / close\n";
    assert_eq!(entry("close > 3", text).warm_up_bars(), 1, "volatility is not waited for");
    assert_eq!(entry("close > 3", "  bracket: {stop: atr(30)}\n").warm_up_bars(), 31);
    assert_eq!(entry("close > 3", "  filters: [adx(10) > 20]\n").warm_up_bars(), 20);
}

#[test]
fn a_threshold_that_these_parameters_do_not_need_is_kept_for_those_that_do() {
    let text = "policy:\n  name: trial\n  parameters: {on: {default: 0, min: 0, max: 1}}\n  \
                entry: {long: on > 0.5 and model.prob_up > model.threshold}\n  bracket: {time: 9}\n";
    let off = read(text);
    assert!(!off.awaits_threshold());
    assert!(off.with(&[("on", 1.0)]).unwrap().awaits_threshold());
    let given = off.with_threshold(0.7);
    let on = given.with(&[("on", 1.0)]).unwrap();
    assert_eq!((on.awaits_threshold(), on.threshold()), (false, Some(0.7)));
    assert!(on.plan().nodes.contains(&Node::Number(0.7)));
    let kept: StrategyPolicy = serde_json::from_str(&serde_json::to_string(&given).unwrap()).unwrap();
    assert_eq!(kept.with(&[("on", 1.0)]).unwrap(), on);
    assert_eq!(read(CROSS).with_threshold(0.7).threshold(), None, "it names none");
}

#[test]
fn what_stands_on_record_is_read_though_it_would_not_be_loaded_today() {
    let text = "policy:\n  name: trial\n  entry: {long: close > open}\n";
    assert!(StrategyPolicy::from_yaml(text).is_err());
    let stored = serde_json::json!({"source": text, "set": {}, "threshold": null});
    let policy: StrategyPolicy = serde_json::from_value(stored).unwrap();
    assert!(policy.trades(Direction::Long));
}

#[test]
fn every_word_and_function_of_the_tables_is_understood() {
    for word in &super::names::WORDS {
        let condition = match word.kind {
            super::names::Kind::Number => format!("{} > 1.5", word.name),
            super::names::Kind::Condition => word.name.to_owned(),
        };
        assert!(entry(&condition, "").trades(Direction::Long), "{}", word.name);
    }
    for id in FeatureId::ALL {
        assert!(nodes(&format!("feature.{} > 0.5", id.name())).contains(&Node::Feature(*id)));
    }
    for function in &super::names::FUNCTIONS {
        let arguments: Vec<&str> =
            function.arguments.iter().map(|name| if *name == "length" { "7" } else { "close" }).collect();
        let call = format!("{}({})", function.name, arguments.join(", "));
        let condition = match function.kind {
            super::names::Kind::Number => format!("{call} > 1.5"),
            super::names::Kind::Condition => call,
        };
        assert!(entry(&condition, "").trades(Direction::Long), "{}", function.name);
    }
}

const DOCUMENT: &str = include_str!("../../../docs/levilang.md");

#[test]
fn the_examples_of_the_document_load_and_it_names_every_word() {
    let blocks: Vec<&str> =
        DOCUMENT.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(
        blocks.iter().map(|block| read(block).name().to_owned()).collect::<Vec<_>>(),
        ["ema_cross", "long_only"]
    );
    for word in &super::names::WORDS {
        assert!(DOCUMENT.contains(&format!("`{}`", word.name)), "{}", word.name);
    }
    for id in FeatureId::ALL {
        assert!(DOCUMENT.contains(&format!("`{}`", id.name())), "{}", id.name());
    }
    for function in &super::names::FUNCTIONS {
        let call = format!("`{}({})`", function.name, function.arguments.join(", "));
        assert!(DOCUMENT.contains(&call), "{call}");
    }
}
