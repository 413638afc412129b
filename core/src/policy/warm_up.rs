//! How many bars a plan needs before its values are what they are called.

use super::plan::{Binary, Indicator, Node, NodeIx, Plan, PlannedSize, RegimeValue, Rolling};
use crate::regime::Classifier;

/// Bars after which everything that conditions, distances and size are made of is defined. Volatility is not waited for:
/// of it the value before it is warm is used too.
pub(super) fn warm_up_bars(plan: &Plan) -> usize {
    let mut bars: Vec<usize> = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let of = |ix: NodeIx| bars.get(usize::from(ix)).copied().unwrap_or(0);
        let own = match *node {
            Node::Number(_) | Node::Time(_) | Node::Position(_) | Node::Model(_) => 0,
            Node::Bar(_) => 1,
            Node::Regime(RegimeValue::Up | RegimeValue::Down | RegimeValue::Range) => Classifier::TREND_WARM_UP,
            Node::Regime(RegimeValue::Calm | RegimeValue::Wild) => Classifier::ACTIVITY_WARM_UP,
            Node::Feature(id) => id.warm_up(),
            Node::Rolling(rolling, source, length) => {
                // A source that is always there has a first value on the first bar.
                of(source).max(1) + length as usize - usize::from(!looks_back(rolling))
            }
            Node::Indicator(Indicator::Atr, length) => length as usize + 1,
            // Two bars at least: the first one has no predecessor.
            Node::Indicator(Indicator::Adx, length) => 2 * length as usize,
            Node::Unary(_, a) => of(a),
            Node::Binary(Binary::CrossesAbove | Binary::CrossesBelow, a, b) => of(a).max(of(b)).max(1) + 1,
            Node::Binary(_, a, b) => of(a).max(of(b)),
        };
        bars.push(own);
    }
    let Plan { nodes: _, long, short, filters, stop, target, trailing, time_exit_bars: _, size, volatility: _ } = plan;
    let size = match *size {
        PlannedSize::Account => None,
        PlannedSize::Units(ix) | PlannedSize::Notional(ix) | PlannedSize::Equity(ix) => Some(ix),
    };
    let optional = [long.entry, long.exit, short.entry, short.exit, *stop, *target, *trailing, size];
    let roots = optional.into_iter().flatten().chain(filters.iter().copied());
    roots.filter_map(|ix| bars.get(usize::from(ix)).copied()).max().unwrap_or(0)
}

/// Whether a value needs the one from `length` bars ago, and not only the last `length` ones.
const fn looks_back(rolling: Rolling) -> bool {
    matches!(rolling, Rolling::Lag | Rolling::Change | Rolling::Rsi)
}
