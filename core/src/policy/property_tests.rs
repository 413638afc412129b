//! Whatever is read, nothing panics, and what is accepted is a sound plan.

use proptest::prelude::*;

use super::plan::{Node, NodeIx, PlannedSize, Rolling};
use super::{Plan, StrategyPolicy};

const SHIPPED: &str = include_str!("../../../policies/strategies/ema_cross_guarded.yaml");

/// Every place points back, every length is one, every number is finite, and every node is needed and stands once.
fn check(plan: &Plan) {
    let mut needed = vec![false; plan.nodes.len()];
    let mut need = |ix: NodeIx| needed[usize::from(ix)] = true;
    for side in [plan.long, plan.short] {
        side.entry.into_iter().chain(side.exit).for_each(&mut need);
    }
    [plan.stop, plan.target, plan.trailing, Some(plan.volatility)].into_iter().flatten().for_each(&mut need);
    plan.filters.iter().copied().for_each(&mut need);
    if let PlannedSize::Units(ix) | PlannedSize::Notional(ix) | PlannedSize::Equity(ix) = plan.size {
        need(ix);
    }
    for (at, node) in plan.nodes.iter().enumerate().rev() {
        assert!(needed[at], "{node:?} at {at} is not needed");
        for operand in node.operands().into_iter().flatten() {
            assert!(usize::from(operand) < at);
            needed[usize::from(operand)] = true;
        }
        match node {
            Node::Number(x) => assert!(x.is_finite()),
            Node::Rolling(.., bars) | Node::Indicator(_, bars) => assert!((1..=5_000).contains(bars)),
            _ => {}
        }
        assert!(!plan.nodes[..at].contains(node), "{node:?} stands twice");
    }
}

/// Expressions that can be meant: numbers, or conditions over them.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("close".to_owned()),
        Just("feature.rsi_14".to_owned()),
        Just("model.prob_up".to_owned()),
        Just("position.gain".to_owned()),
        Just("model.threshold".to_owned()),
        (1_u32..500).prop_map(|n| format!("{n}.25")),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner.clone())
                .prop_map(|(a, sign, b)| format!("{a} {sign} ({b})")),
            (inner.clone(), 1..5_000).prop_map(|(x, n)| format!("ema({x}, {n})")),
            (inner.clone(), 1..5_000).prop_map(|(x, n)| format!("rsi({x}, {n})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("min({a}, {b})")),
            inner.prop_map(|x| format!("-({x})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let compared = (number(), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]), number());
    let leaf = prop_oneof![
        compared.prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
        (number(), number()).prop_map(|(a, b)| format!("crosses_above({a}, {b})")),
        prop::sample::select(vec!["true", "false", "regime.up", "position.flat"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            inner.prop_map(|x| format!("not ({x})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = StrategyPolicy::from_yaml(&text);
    }

    #[test]
    fn any_expression_is_answered(text in "[-a-z0-9_.()+*/<>=!, \"'\\\\#\n\t\u{e9}]{0,80}", style in 0..4) {
        let open = ["", "\"", "'", "|\n      "][style as usize];
        let close = ["", "\"", "'", ""][style as usize];
        let text = format!("policy:\n  name: x\n  entry:\n    long: {open}{text}{close}\n  bracket: {{time: 1}}\n");
        if let Ok(policy) = StrategyPolicy::from_yaml(&text) {
            check(policy.plan());
        }
    }

    #[test]
    fn a_shipped_file_with_anything_changed_is_answered(at in 0..2_000_usize, cut in 0..40_usize, put in "\\PC{0,12}") {
        let at = SHIPPED.floor_char_boundary(at);
        let end = SHIPPED.floor_char_boundary(at + cut);
        let text = format!("{}{put}{}", &SHIPPED[..at], &SHIPPED[end..]);
        match StrategyPolicy::from_yaml(&text) {
            Ok(policy) => check(policy.plan()),
            Err(error) => {
                let (line, column) = error.place().unwrap();
                let lines: Vec<&str> = text.split('\n').collect();
                prop_assert!(line <= lines.len() && column <= lines[line - 1].chars().count() + 1, "{error}");
            }
        }
    }

    #[test]
    fn what_can_be_meant_makes_a_minimal_plan_that_does_not_depend_on_layout(
        entry in condition(), exit in condition(), stop in number(),
    ) {
        let inline = format!(
            "policy:\n  name: x\n  entry: {{long: \"{entry}\"}}\n  exit: {{long: \"{exit}\"}}\n  \
             bracket: {{stop: \"abs({stop}) + close\"}}\n"
        );
        let named = format!(
            "policy:\n  bracket: {{stop: far}}\n  exit: {{long: out}}\n  entry: {{long: go}}\n  name: x\n  define:\n    \
             unused: ema(low, 77)\n    far: |\n      abs({stop})\n      + close\n    out: \"{exit}\"\n    go: >-\n      {entry}\n"
        );
        let (inline, named) = (StrategyPolicy::from_yaml(&inline), StrategyPolicy::from_yaml(&named));
        let inline = inline.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let named = named.map_err(|error| TestCaseError::fail(error.to_string()))?;
        check(inline.plan());
        prop_assert_eq!(inline.plan(), named.plan());
        prop_assert_eq!(inline.hash(), named.hash());
        let given = inline.clone().with_threshold(0.75);
        prop_assert!(!given.awaits_threshold());
        prop_assert_eq!(given == inline, !inline.awaits_threshold());
        check(given.plan());
        let json = serde_json::to_string(&given).unwrap();
        prop_assert_eq!(&serde_json::from_str::<StrategyPolicy>(&json).unwrap(), &given);
    }

    #[test]
    fn parameters_keep_their_ranges(fast in 0..1_100_u32, slow in 0..2_100_u32, part in prop::sample::select(vec![0.0, 0.5])) {
        let policy = StrategyPolicy::from_yaml(SHIPPED).unwrap();
        let sound = part < 0.25 && (2..=1000).contains(&fast) && (3..=2000).contains(&slow) && fast < slow;
        let set = policy.with(&[("fast", f64::from(fast) + part), ("slow", f64::from(slow))]);
        prop_assert_eq!(set.is_ok(), sound, "{:?}", set);
        if let Ok(set) = set {
            check(set.plan());
            let length = |bars| set.plan().nodes.iter().any(|node| matches!(node, Node::Rolling(Rolling::Ema, _, n) if *n == bars));
            prop_assert!(length(fast) && length(slow));
        }
    }
}
