//! How much a plan remembers: an engine's snapshot must hold it, and travels in one frame.

use std::collections::BTreeSet;

use super::error::Fault;
use super::plan::{Node, Plan, Rolling};

/// The most that memories may take, bytes. The rest of a frame of 1 MiB is for features, the model's window and what goes
/// with it.
const BYTES_MAX: usize = 768 * 1024;
/// A memory without its values: counts, sums and smoothed averages.
const HEAD: usize = 128;

/// Refuses a plan whose memories a snapshot cannot hold: its engine would end at the first one.
pub(super) fn check(plan: &Plan) -> Result<(), Fault> {
    let bytes = bytes_of(plan);
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let kib = |bytes: usize| bytes.div_ceil(1024);
    let reason = format!(
        "what it remembers takes {} KiB, and the snapshot of an engine holds {} KiB",
        kib(bytes),
        kib(BYTES_MAX)
    );
    let remedy = "write shorter lengths, or fewer of `highest`, `lowest`, `sma`, `std`, `zscore`, `lag` and `change`";
    Err(Fault::new(0..0, reason, remedy))
}

/// The most bytes that the memories of a plan take; those that are shared count once.
fn bytes_of(plan: &Plan) -> usize {
    let mut known = BTreeSet::new();
    let mut sum = 0;
    for node in &plan.nodes {
        sum += match *node {
            Node::Rolling(rolling, source, bars) => {
                let (shared, bytes) = kept(rolling);
                let is_new = known.insert((shared as u8, source, bars));
                if is_new { HEAD + bytes * bars as usize } else { 0 }
            }
            Node::Indicator(..) => HEAD,
            // At most one byte that tells that there is none, or how a cross stood.
            Node::Unary(..) | Node::Binary(..) | Node::Time(_) => 3,
            _ => 0,
        };
    }
    sum
}

/// Which memory it has, and how many bytes of it each bar of its length takes: a value is eight, and an extreme has a
/// number with it, five up to the 34,000,000,000th bar.
const fn kept(rolling: Rolling) -> (Rolling, usize) {
    match rolling {
        Rolling::Ema | Rolling::Rsi => (rolling, 0),
        // One window, and one delay, answer for all of their kind.
        Rolling::Sma | Rolling::Std | Rolling::Zscore => (Rolling::Sma, 8),
        Rolling::Lag | Rolling::Change => (Rolling::Lag, 8),
        Rolling::Highest | Rolling::Lowest => (rolling, 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timeframe;
    use crate::engine::program::Program;
    use crate::features::series::walk;
    use crate::policy::StrategyPolicy;

    /// Long over the sum of all of these.
    fn text(values: &[String]) -> String {
        let sum = values.join(" + ");
        format!("policy:\n  name: x\n  entry: {{long: \"{sum} > 1\"}}\n  bracket: {{time: 5}}\n")
    }

    #[test]
    fn a_frame_has_room_for_more() {
        assert_eq!(BYTES_MAX, crate::frames::FRAME_BYTES_MAX / 4 * 3);
    }

    #[test]
    fn no_snapshot_takes_more_than_is_reckoned_with() {
        let all = ["ema", "sma", "std", "zscore", "highest", "lowest", "lag", "change", "rsi"];
        for length in [1, 7, 90] {
            let mut values: Vec<String> = all.iter().map(|name| format!("{name}(high, {length})")).collect();
            values.extend([format!("atr({length})"), format!("adx({length})")]);
            let policy = StrategyPolicy::from_yaml(&text(&values)).unwrap();
            let mut program = Program::new(policy.plan(), &[]);
            for (bar, _) in walk(5, 2_000) {
                program.update(&bar, &[], Timeframe::HOUR);
                let bytes = postcard::to_allocvec(program.memories()).unwrap().len();
                assert!(bytes <= bytes_of(policy.plan()), "{bytes} of {length}");
            }
        }
    }

    #[test]
    fn lengths_that_no_snapshot_holds_are_refused_also_when_they_are_set() {
        let many = |count: u32| (0..count).map(|n| format!("highest(high, {})", 5_000 - n)).collect::<Vec<_>>();
        assert!(StrategyPolicy::from_yaml(&text(&many(12))).is_ok());
        let error = StrategyPolicy::from_yaml(&text(&many(13))).unwrap_err().to_string();
        assert!(error.contains("and the snapshot of an engine holds 768 KiB; write shorter lengths"), "{error}");
        let shared = ["sma", "std", "zscore"].map(|name| format!("{name}(close, 5000)"));
        let shared: Vec<String> = shared.iter().cycle().take(60).cloned().collect();
        assert!(StrategyPolicy::from_yaml(&text(&shared)).is_ok(), "one window");
        let set = many(13).join(" + ").replace("5000", "n");
        let parameters = "parameters: {n: {default: 2, min: 2, max: 5000}}";
        let small = format!("{}  {parameters}\n", text(&[set.replace("(high, 4", "(high, n + ")]));
        let policy = StrategyPolicy::from_yaml(&small).unwrap();
        assert!(policy.with(&[("n", 3.0)]).is_ok());
        let error = policy.with(&[("n", 4_000.0)]).unwrap_err().to_string();
        assert!(error.contains("write shorter lengths"), "{error}");
    }
}
