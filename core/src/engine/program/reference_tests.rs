//! A program against the plain meaning of its plan: each value computed anew from the whole past, at every bar.

use proptest::prelude::*;

use super::{Program, Scene};
use crate::domain::{Bar, Direction, Intent, Size, Timeframe};
use crate::features::series::walk;
use crate::policy::Plan;
use crate::policy::plan::{
    BarField, Binary, Indicator, Node, NodeIx, PlannedSize, Rolling, SidePlan, TimeValue, Unary,
};

const NAN: f64 = f64::NAN;

/// The values of a node at every bar; NaN where it is not known.
type Series = Vec<f64>;

fn wilder(xs: &[f64], n: usize) -> f64 {
    let start = xs[..n].iter().sum::<f64>() / n as f64;
    xs[n..].iter().fold(start, |mean, x| mean + (x - mean) / n as f64)
}

fn rolling(rolling: Rolling, n: usize, source: &[f64], at: usize) -> f64 {
    let x = source[at];
    let known: Vec<f64> = source[..=at].iter().copied().filter(|x| x.is_finite()).collect();
    let ago = if at >= n { source[at - n] } else { NAN };
    let changes: Vec<f64> = known.windows(2).map(|pair| pair[1] - pair[0]).collect();
    match rolling {
        Rolling::Lag => return ago,
        Rolling::Change => return x - ago,
        Rolling::Rsi if changes.len() < n => return NAN,
        _ if known.len() < n => return NAN,
        _ => {}
    }
    let last = &known[known.len() - n..];
    let mean = last.iter().sum::<f64>() / n as f64;
    let deviation = (last.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
    let deviation = if deviation > 1e-9 * mean.abs() { deviation } else { 0.0 };
    match rolling {
        Rolling::Ema => {
            let (start, alpha) = (known[..n].iter().sum::<f64>() / n as f64, 2.0 / (n as f64 + 1.0));
            known[n..].iter().fold(start, |mean, x| mean + alpha * (x - mean))
        }
        Rolling::Sma => mean,
        Rolling::Std => deviation,
        Rolling::Zscore if deviation > 0.0 => (x - mean) / deviation,
        Rolling::Zscore => 0.0,
        Rolling::Highest => last.iter().copied().fold(f64::MIN, f64::max),
        Rolling::Lowest => last.iter().copied().fold(f64::MAX, f64::min),
        _ => {
            let gain = wilder(&changes.iter().map(|x| x.max(0.0)).collect::<Vec<_>>(), n);
            let loss = wilder(&changes.iter().map(|x| (-x).max(0.0)).collect::<Vec<_>>(), n);
            if gain + loss > 0.0 { 100.0 - 100.0 / (1.0 + gain / loss) } else { 50.0 }
        }
    }
}

fn atr(bars: &[Bar], n: usize) -> f64 {
    let range = |pair: &[Bar]| pair[1].high.max(pair[0].close) - pair[1].low.min(pair[0].close);
    let ranges: Vec<f64> = bars.windows(2).map(range).collect();
    if ranges.len() < n { NAN } else { wilder(&ranges, n) }
}

fn compare(a: f64, b: f64, holds: bool) -> f64 {
    if a.is_finite() && b.is_finite() { f64::from(u8::from(holds)) } else { NAN }
}

fn cross(a: &[f64], b: &[f64], at: usize, up: bool) -> f64 {
    let apart = |at: usize| if a[at].is_finite() && b[at].is_finite() { Some(a[at] - b[at]) } else { None };
    match (at.checked_sub(1).and_then(apart), apart(at)) {
        (Some(before), Some(now)) => {
            compare(0.0, 0.0, if up { before <= 0.0 && now > 0.0 } else { before >= 0.0 && now < 0.0 })
        }
        _ => NAN,
    }
}

fn of(node: &Node, all: &[Series], bars: &[Bar], at: usize) -> f64 {
    let get = |ix: &NodeIx| all[usize::from(*ix)][at];
    let bar = bars[at];
    match node {
        Node::Number(x) => *x,
        Node::Bar(BarField::Open) => bar.open,
        Node::Bar(BarField::High) => bar.high,
        Node::Bar(BarField::Low) => bar.low,
        Node::Bar(BarField::Close) => bar.close,
        Node::Bar(BarField::Volume) => bar.volume,
        Node::Time(TimeValue::Hour) => bar.close_ts(Timeframe::HOUR).to_string()[11..13].parse().unwrap(),
        Node::Rolling(kind, source, n) => rolling(*kind, *n as usize, &all[usize::from(*source)], at),
        Node::Indicator(Indicator::Atr, n) => atr(&bars[..=at], *n as usize),
        Node::Unary(Unary::Negate, a) => -get(a),
        Node::Unary(Unary::Abs, a) => get(a).abs(),
        Node::Unary(Unary::Not, a) => 1.0 - get(a),
        Node::Binary(op, ia, ib) => {
            let (a, b) = (get(ia), get(ib));
            match op {
                Binary::Add => a + b,
                Binary::Subtract => a - b,
                Binary::Multiply => a * b,
                Binary::Divide => a / b,
                Binary::Less => compare(a, b, a < b),
                Binary::Greater => compare(a, b, a > b),
                // False where one is false, unknown where one is unknown, else true.
                Binary::And if [a, b].contains(&0.0) => 0.0,
                Binary::And => a + b - 1.0,
                Binary::Or if [a, b].contains(&1.0) => 1.0,
                Binary::Or => a + b,
                Binary::CrossesAbove => cross(&all[usize::from(*ia)], &all[usize::from(*ib)], at, true),
                Binary::CrossesBelow => cross(&all[usize::from(*ia)], &all[usize::from(*ib)], at, false),
                other => unreachable!("{other:?}"),
            }
        }
        other => unreachable!("{other:?}"),
    }
}

/// Every node at every bar.
fn evaluate(plan: &Plan, bars: &[Bar]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for node in &plan.nodes {
        let series = (0..bars.len()).map(|at| of(node, &all, bars, at)).collect();
        all.push(series);
    }
    all
}

/// What a generated node is made of: a kind and two picks among those before it.
type Draw = (u8, u16, u16, u32);

/// A plan of numbers, then conditions over them, from draws. What is compared is moved by an odd amount, so that what is
/// equal but for rounding does not meet.
fn plan_of(numbers: &[Draw], conditions: &[Draw], root_picks: [u16; 6]) -> Plan {
    let fields = [BarField::Open, BarField::High, BarField::Low, BarField::Close, BarField::Volume];
    let mut nodes: Vec<Node> = fields.map(Node::Bar).to_vec();
    nodes.extend([Node::Number(0.731), Node::Number(3.0), Node::Time(TimeValue::Hour)]);
    let rollings = [
        Rolling::Ema,
        Rolling::Sma,
        Rolling::Std,
        Rolling::Zscore,
        Rolling::Highest,
        Rolling::Lowest,
        Rolling::Lag,
        Rolling::Change,
        Rolling::Rsi,
    ];
    for (kind, a, b, n) in numbers {
        let pick = |x: &u16| x % u16::try_from(nodes.len()).unwrap();
        let (a, b) = (pick(a), pick(b));
        let arithmetic = [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide];
        nodes.push(match usize::from(*kind) % 16 {
            k @ 0..=8 => Node::Rolling(rollings[k], a, *n),
            k @ 9..=12 => Node::Binary(arithmetic[k - 9], a, b),
            13 => Node::Unary(Unary::Negate, a),
            14 => Node::Unary(Unary::Abs, a),
            _ => Node::Indicator(Indicator::Atr, *n),
        });
    }
    let (mut held, numbers) = (Vec::new(), u16::try_from(nodes.len()).unwrap());
    for (kind, a, b, n) in conditions {
        let pick = |x: &u16, held: &Vec<u16>| held[usize::from(*x) % held.len()];
        let next = u16::try_from(nodes.len()).unwrap();
        let compared = [Binary::Less, Binary::Greater, Binary::CrossesAbove, Binary::CrossesBelow];
        let kind = if held.is_empty() { kind % 4 } else { kind % 7 };
        match kind {
            k @ 0..=3 => nodes.extend([
                Node::Number(0.001_234_567 * f64::from(*n)),
                Node::Binary(Binary::Add, b % numbers, next),
                Node::Binary(compared[usize::from(k)], a % numbers, next + 1),
            ]),
            4 => nodes.push(Node::Unary(Unary::Not, pick(a, &held))),
            5 => nodes.push(Node::Binary(Binary::And, pick(a, &held), pick(b, &held))),
            _ => nodes.push(Node::Binary(Binary::Or, pick(a, &held), pick(b, &held))),
        }
        held.push(u16::try_from(nodes.len()).unwrap() - 1);
    }
    let root = |at: usize| held[usize::from(root_picks[at]) % held.len()];
    Plan {
        long: SidePlan { entry: Some(root(0)), exit: Some(root(1)) },
        short: SidePlan { entry: Some(root(2)), exit: None },
        filters: vec![root(3)],
        stop: Some(root_picks[4] % numbers),
        size: PlannedSize::Units(root_picks[5] % numbers),
        volatility: 3,
        nodes,
        ..Plan::default()
    }
}

fn draws(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Draw>> {
    proptest::collection::vec((any::<u8>(), any::<u16>(), any::<u16>(), 1_u32..9), count)
}

proptest! {
    #[test]
    fn a_program_wants_what_its_plan_means(
        numbers in draws(1..12),
        conditions in draws(1..9),
        roots in any::<[u16; 6]>(),
        seed in 0_u64..1_000,
    ) {
        let plan = plan_of(&numbers, &conditions, roots);
        let bars: Vec<Bar> = walk(seed, 90).into_iter().map(|(bar, _)| bar).collect();
        let truth = evaluate(&plan, &bars);
        // Values that overflow, and such as are equal but for rounding, have no one meaning.
        prop_assume!(truth.iter().flatten().all(|x| x.is_nan() || x.is_infinite() || x.abs() < 1e12));
        let mut program = Program::new(&plan, &[]);
        for (at, bar) in bars.iter().enumerate() {
            let get = |ix: NodeIx| truth[usize::from(ix)][at];
            let holds = |ix: Option<NodeIx>| ix.is_some_and(|ix| get(ix) > 0.5);
            program.update(bar, &[], Timeframe::HOUR);
            let scene = Scene { close: bar.close, timeframe: Timeframe::HOUR, position: None, forecast: None };
            let got = program.decide(&scene);
            if !program.is_warm() {
                let is_known = at >= program.warm_up_bars() && truth.iter().all(|series| series[..=at].iter().skip(program.warm_up_bars()).all(|x| x.is_finite()));
                prop_assert!(got.is_none() && !is_known, "bar {} {:?}", at, plan);
                continue;
            }
            let (stop, units) = (get(plan.stop.unwrap()), match plan.size { PlannedSize::Units(ix) => get(ix), _ => NAN });
            let is_one = |x: f64| x.is_finite() && x > 0.0;
            prop_assume!([stop, units].iter().all(|x| !x.is_finite() || x.abs() > 1e-6));
            let (long, short) = (holds(plan.long.entry), holds(plan.short.entry));
            let enters = long != short && holds(Some(plan.filters[0])) && is_one(stop) && is_one(units);
            match got {
                Some(Intent::Enter { direction, size, bracket, .. }) => {
                    prop_assert!(enters && (direction == Direction::Long) == long, "bar {} {:?}", at, plan);
                    let Size::Units(size) = size else { panic!("{size:?}") };
                    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
                    prop_assert!(near(bracket.stop.unwrap(), stop) && near(size, units), "bar {} {:?} {:?}", at, got, plan);
                }
                // A short has no exit, so that an unknown position is not left.
                other => prop_assert!(other.is_none() && !enters, "bar {} {:?} {:?}", at, other, plan),
            }
        }
    }
}
