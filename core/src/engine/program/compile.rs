//! From a plan to flat lists.

use super::code::{
    CLOSE, Code, FREE, MODEL, NOWHERE, Op, POSITION, Plain, SideCode, SizeCode, Slot, UNKNOWN, Values, Wire,
};
use super::memory::{Delay, Memories, Memory};
use crate::domain::Ts;
use crate::features::FeatureId;
use crate::features::indicators::{Adx, Atr, Ema, Rsi, SlidingMax, Window};
use crate::policy::Plan;
use crate::policy::plan::{
    Binary, Indicator, ModelValue, Node, NodeIx, PlannedSize, PositionValue, RegimeValue, Rolling, SidePlan, Unary,
};
use crate::regime::Classifier;

/// Which memory a wire has. Two wires of one kind over the same values are one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Ema,
    Window,
    Highest,
    Lowest,
    Delay,
    Rsi,
    Atr,
    Adx,
    Cross,
}

/// A kind, what it reads, and how long it is.
type Key = (Kind, Slot, Slot, u32);

/// Wires that are run together, each with what it is told apart by.
#[derive(Debug, Default)]
struct Strand {
    wires: Vec<Wire>,
    keys: Vec<Key>,
}

/// Where a node with a memory is answered: in the strand of bars or the late one, by which wire, in which place.
#[derive(Debug, Clone, Copy)]
struct Answered {
    is_late: bool,
    wire: usize,
    nth: usize,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy)]
struct Known {
    slot: Slot,
    /// The same with what memories give before they are warm.
    early: Slot,
    is_late: bool,
    is_of_model: bool,
    is_constant: bool,
    /// Bars after which it has a value.
    ready: u32,
    answered: Option<Answered>,
}

impl Known {
    /// What is there with the first bar.
    const fn of_bar(slot: Slot) -> Self {
        Self { slot, early: slot, is_late: false, is_of_model: false, is_constant: false, ready: 1, answered: None }
    }
}

/// A value that is never known: what a node stands for that names one that is not before it.
const NOTHING: Known = Known { is_constant: true, ready: 0, ..Known::of_bar(UNKNOWN) };

/// The nodes that a part of a plan needs.
#[derive(Debug)]
struct Cone(Vec<bool>);

impl Cone {
    fn of(plan: &Plan, roots: impl IntoIterator<Item = NodeIx>) -> Self {
        let mut marks = vec![false; plan.nodes.len()];
        for root in roots {
            mark(&mut marks, root);
        }
        for (at, node) in plan.nodes.iter().enumerate().rev() {
            if marks.get(at).is_some_and(|marked| *marked) {
                node.operands().into_iter().flatten().for_each(|ix| mark(&mut marks, ix));
            }
        }
        Self(marks)
    }

    fn holds(&self, at: usize) -> bool {
        self.0.get(at).copied().unwrap_or(false)
    }
}

fn mark(marks: &mut [bool], ix: NodeIx) {
    if let Some(place) = marks.get_mut(usize::from(ix)) {
        *place = true;
    }
}

const fn remembers(node: &Node) -> bool {
    matches!(
        node,
        Node::Rolling(..) | Node::Indicator(..) | Node::Binary(Binary::CrossesAbove | Binary::CrossesBelow, ..)
    )
}

/// What stands in which list.
#[derive(Debug)]
struct Cones {
    all: Cone,
    /// What feeds a memory.
    feeding: Cone,
    conditions: Cone,
    filters: Cone,
    brackets: Cone,
    volatility: Cone,
}

impl Cones {
    fn of(plan: &Plan) -> Self {
        let conditions = [plan.long.entry, plan.long.exit, plan.short.entry, plan.short.exit].into_iter().flatten();
        let size = match plan.size {
            PlannedSize::Account => None,
            PlannedSize::Units(ix) | PlannedSize::Notional(ix) | PlannedSize::Equity(ix) => Some(ix),
        };
        let brackets = [plan.stop, plan.target, plan.trailing, size].into_iter().flatten();
        let filters = plan.filters.iter().copied();
        let roots = conditions.clone().chain(brackets.clone()).chain(filters.clone()).chain([plan.volatility]);
        let all = Cone::of(plan, roots);
        let memories = plan.nodes.iter().enumerate().filter(|(at, node)| remembers(node) && all.holds(*at));
        let feeding = Cone::of(plan, memories.flat_map(|(_, node)| node.operands()).flatten());
        Self {
            feeding,
            conditions: Cone::of(plan, conditions),
            filters: Cone::of(plan, filters),
            brackets: Cone::of(plan, brackets),
            volatility: Cone::of(plan, [plan.volatility]),
            all,
        }
    }

    /// Whether nothing is entered before it is known.
    fn requires(&self, at: usize) -> bool {
        self.conditions.holds(at) || self.filters.holds(at) || self.brackets.holds(at)
    }
}

#[derive(Debug)]
struct Compiler<'a> {
    given: &'a [FeatureId],
    values: Vec<f64>,
    known: Vec<Known>,
    bar: Strand,
    late: Strand,
    conditions: Vec<Plain>,
    filters: Vec<Plain>,
    brackets: Vec<Plain>,
    features: Vec<(usize, u32, Slot)>,
    regimes: Vec<(RegimeValue, Slot)>,
    reads_position: bool,
}

/// Compiles a plan over the features that are given with each bar, in this order.
pub(super) fn compile(plan: &Plan, given: &[FeatureId]) -> (Code, Memories, Values) {
    let cones = Cones::of(plan);
    let mut compiler = Compiler {
        given,
        values: vec![0.0; FREE as usize],
        known: Vec::with_capacity(plan.nodes.len()),
        bar: Default::default(),
        late: Default::default(),
        conditions: Vec::new(),
        filters: Vec::new(),
        brackets: Vec::new(),
        features: Vec::new(),
        regimes: Vec::new(),
        reads_position: false,
    };
    compiler.set(UNKNOWN, f64::NAN);
    for (at, node) in plan.nodes.iter().enumerate() {
        let known = if cones.all.holds(at) { compiler.node(at, node, &cones) } else { NOTHING };
        compiler.known.push(known);
    }
    for (at, node) in plan.nodes.iter().enumerate().filter(|(at, _)| cones.volatility.holds(*at)) {
        compiler.early(at, node);
    }
    compiler.finish(plan, &cones)
}

impl Compiler<'_> {
    fn set(&mut self, slot: Slot, x: f64) {
        if let Some(place) = self.values.get_mut(slot as usize) {
            *place = x;
        }
    }

    fn free(&mut self, x: f64) -> Slot {
        let slot = Slot::try_from(self.values.len()).unwrap_or(NOWHERE);
        self.values.push(x);
        slot
    }

    fn known(&self, ix: NodeIx) -> Known {
        self.known.get(usize::from(ix)).copied().unwrap_or(NOTHING)
    }

    fn node(&mut self, at: usize, node: &Node, cones: &Cones) -> Known {
        let fixed = Known::of_bar;
        match *node {
            Node::Number(x) => Known { is_constant: true, ready: 0, ..fixed(self.free(x)) },
            Node::Bar(field) => fixed(field as Slot),
            Node::Model(value) => Known { is_late: true, is_of_model: true, ..fixed(MODEL + value as Slot) },
            Node::Position(value) => {
                self.reads_position = true;
                Known { is_late: true, ..fixed(POSITION + value as Slot) }
            }
            Node::Feature(id) => {
                let ready = u32::try_from(id.warm_up()).unwrap_or(u32::MAX);
                let Some(place) = self.given.iter().position(|given| *given == id) else { return NOTHING };
                let slot = self.free(f64::NAN);
                self.features.push((place, ready, slot));
                Known { ready, ..fixed(slot) }
            }
            Node::Regime(value) => {
                let slot = self.free(f64::NAN);
                self.regimes.push((value, slot));
                Known { ready: regime_ready(value), ..fixed(slot) }
            }
            Node::Time(value) => self.plain(at, Op::Time(value), [NOTHING; 2], 1, cones),
            Node::Unary(op, a) => {
                let a = self.known(a);
                self.plain(at, Op::Unary(op), [a, NOTHING], a.ready, cones)
            }
            Node::Binary(op @ (Binary::CrossesAbove | Binary::CrossesBelow), a, b) => {
                let (a, b) = (self.known(a), self.known(b));
                let nth = usize::from(op == Binary::CrossesBelow);
                let ready = a.ready.max(b.ready).max(1).saturating_add(1);
                self.memory(at, (Kind::Cross, a.slot, b.slot, 0), nth, [a, b], ready, cones)
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.known(a), self.known(b));
                self.plain(at, Op::Binary(op), [a, b], a.ready.max(b.ready), cones)
            }
            Node::Rolling(rolling, source, bars) => {
                let (source, bars) = (self.known(source), bars.max(1));
                let (kind, nth, more) = rolling_kind(rolling, bars);
                let ready = source.ready.max(1).saturating_add(more);
                self.memory(at, (kind, source.slot, UNKNOWN, bars), nth, [source, NOTHING], ready, cones)
            }
            Node::Indicator(indicator, bars) => {
                let bars = bars.max(1);
                let (kind, ready) = match indicator {
                    Indicator::Atr => (Kind::Atr, bars.saturating_add(1)),
                    Indicator::Adx => (Kind::Adx, bars.saturating_mul(2)),
                };
                self.memory(at, (kind, CLOSE, UNKNOWN, bars), 0, [NOTHING; 2], ready, cones)
            }
        }
    }

    /// A node without a memory: a number where all it is made of is, else run where it is first needed.
    fn plain(&mut self, at: usize, op: Op, from: [Known; 2], ready: u32, cones: &Cones) -> Known {
        let [a, b] = from;
        let (is_late, is_of_model) = (a.is_late || b.is_late, a.is_of_model || b.is_of_model);
        let is_constant = a.is_constant && b.is_constant && !matches!(op, Op::Time(_));
        if is_constant {
            let read = |slot: Slot| self.values.get(slot as usize).copied().unwrap_or(f64::NAN);
            let slot = self.free(op.of(read(a.slot), read(b.slot), Ts::EPOCH));
            return Known { is_constant, ready: 0, ..Known::of_bar(slot) };
        }
        let out = self.free(f64::NAN);
        let plain = Plain { op, a: a.slot, b: b.slot, out };
        if cones.feeding.holds(at) {
            let strand = if is_late { &mut self.late } else { &mut self.bar };
            strand.wires.push(Wire {
                op,
                a: a.slot,
                b: b.slot,
                out: [out, NOWHERE, NOWHERE],
                early: [NOWHERE; 3],
                is_required: false,
                is_of_model,
            });
            strand.keys.push((Kind::Plain, a.slot, b.slot, 0));
        } else if cones.conditions.holds(at) {
            self.conditions.push(plain);
        } else if cones.filters.holds(at) {
            self.filters.push(plain);
        } else {
            self.brackets.push(plain);
        }
        Known { is_late, is_of_model, ready, ..Known::of_bar(out) }
    }

    /// A node with a memory over these values: the `nth` answer of the wire of this key.
    fn memory(&mut self, at: usize, key: Key, nth: usize, from: [Known; 2], ready: u32, cones: &Cones) -> Known {
        let is_late = from.iter().any(|known| known.is_late);
        let is_of_model = from.iter().any(|known| known.is_of_model);
        let fresh = self.free(f64::NAN);
        let strand = if is_late { &mut self.late } else { &mut self.bar };
        let wire = strand.place(key);
        let mut slot = NOWHERE;
        if let Some(wire) = strand.wires.get_mut(wire) {
            wire.is_required |= cones.requires(at);
            wire.is_of_model = is_of_model;
            if let Some(out) = wire.out.get_mut(nth) {
                if *out == NOWHERE {
                    *out = fresh;
                }
                slot = *out;
            }
        }
        let answered = Some(Answered { is_late, wire, nth });
        Known { is_late, is_of_model, ready, answered, ..Known::of_bar(slot) }
    }

    /// Gives a node of the volatility the value that it has before its memories are warm.
    fn early(&mut self, at: usize, node: &Node) {
        let Some(known) = self.known.get(at).copied() else { return };
        let early = if let Some(Answered { is_late, wire, nth }) = known.answered {
            let fresh = self.free(f64::NAN);
            let strand = if is_late { &mut self.late } else { &mut self.bar };
            if let Some(place) = strand.wires.get_mut(wire).and_then(|wire| wire.early.get_mut(nth)) {
                if *place == NOWHERE {
                    *place = fresh;
                }
                *place
            } else {
                known.slot
            }
        } else {
            let [a, b] = node.operands().map(|ix| ix.map_or(NOTHING, |ix| self.known(ix)));
            let op = match *node {
                Node::Unary(op, _) => Op::Unary(op),
                Node::Binary(op, _, _) => Op::Binary(op),
                _ => return,
            };
            if a.early == a.slot && b.early == b.slot {
                return;
            }
            let out = self.free(f64::NAN);
            self.brackets.push(Plain { op, a: a.early, b: b.early, out });
            out
        };
        if let Some(known) = self.known.get_mut(at) {
            known.early = early;
        }
    }

    fn finish(self, plan: &Plan, cones: &Cones) -> (Code, Memories, Values) {
        let slot = |ix: NodeIx| self.known(ix).slot;
        let side = |side: SidePlan| SideCode { entry: side.entry.map(slot), exit: side.exit.map(slot) };
        let ready = |(at, known): (usize, &Known)| if cones.requires(at) { known.ready } else { 0 };
        let code = Code {
            long: side(plan.long),
            short: side(plan.short),
            all_hold: plan.filters.iter().map(|ix| slot(*ix)).collect(),
            stop: plan.stop.map(slot),
            target: plan.target.map(slot),
            trailing: plan.trailing.map(slot),
            time_exit_bars: plan.time_exit_bars,
            size: match plan.size {
                PlannedSize::Account => SizeCode::Account,
                PlannedSize::Units(ix) => SizeCode::Units(slot(ix)),
                PlannedSize::Notional(ix) => SizeCode::Notional(slot(ix)),
                PlannedSize::Equity(ix) => SizeCode::Equity(slot(ix)),
            },
            volatility: self.known(plan.volatility).early,
            asks_model: plan.asks_model(),
            reads_position: self.reads_position,
            has_exits: plan.long.exit.is_some() || plan.short.exit.is_some(),
            is_late: plan.asks_model() || self.reads_position || !self.late.wires.is_empty(),
            ready_bars: self.known.iter().enumerate().map(ready).max().unwrap_or(0),
            warm_bars: self.known.iter().map(|known| known.ready).max().unwrap_or(0),
            bar: self.bar.wires.into(),
            late: self.late.wires.into(),
            conditions: self.conditions.into(),
            filters: self.filters.into(),
            brackets: self.brackets.into(),
            features: self.features.into(),
            regimes: self.regimes.into(),
        };
        let memories = |keys: &[Key]| keys.iter().map(|key| key.0.memory(key.3)).collect();
        let regime = (!code.regimes.is_empty()).then(Classifier::new);
        let (bar, late) = (memories(&self.bar.keys), memories(&self.late.keys));
        (code, Memories { seen: 0, is_warm: false, bar, late, regime }, Values::new(self.values))
    }
}

impl Strand {
    /// The wire of this key.
    fn place(&mut self, key: Key) -> usize {
        if let Some(at) = self.keys.iter().position(|other| *other == key) {
            return at;
        }
        let (op, out, early) = (Op::Unary(Unary::Abs), [NOWHERE; 3], [NOWHERE; 3]);
        self.wires.push(Wire { op, a: key.1, b: key.2, out, early, is_required: false, is_of_model: false });
        self.keys.push(key);
        self.keys.len() - 1
    }
}

impl Kind {
    fn memory(self, bars: u32) -> Memory {
        let len = bars as usize;
        match self {
            Self::Plain => Memory::Plain,
            Self::Ema => Memory::Ema(Ema::new(bars)),
            Self::Window => Memory::Window(Window::new(len)),
            Self::Highest => Memory::Highest(SlidingMax::new(len)),
            Self::Lowest => Memory::Lowest(SlidingMax::new(len)),
            Self::Delay => Memory::Delay(Delay::new(bars)),
            Self::Rsi => Memory::Rsi(Box::new(Rsi::new(bars))),
            Self::Atr => Memory::Atr(Atr::new(bars)),
            Self::Adx => Memory::Adx(Box::new(Adx::new(bars))),
            Self::Cross => Memory::Cross(Default::default()),
        }
    }
}

/// Kind, place of the answer, and bars that it takes after its source has its first value.
const fn rolling_kind(rolling: Rolling, bars: u32) -> (Kind, usize, u32) {
    match rolling {
        Rolling::Ema => (Kind::Ema, 0, bars - 1),
        Rolling::Sma => (Kind::Window, 0, bars - 1),
        Rolling::Std => (Kind::Window, 1, bars - 1),
        Rolling::Zscore => (Kind::Window, 2, bars - 1),
        Rolling::Highest => (Kind::Highest, 0, bars - 1),
        Rolling::Lowest => (Kind::Lowest, 0, bars - 1),
        Rolling::Lag => (Kind::Delay, 0, bars),
        Rolling::Change => (Kind::Delay, 1, bars),
        Rolling::Rsi => (Kind::Rsi, 0, bars),
    }
}

fn regime_ready(value: RegimeValue) -> u32 {
    let bars = match value {
        RegimeValue::Up | RegimeValue::Down | RegimeValue::Range => Classifier::TREND_WARM_UP,
        RegimeValue::Calm | RegimeValue::Wild => Classifier::ACTIVITY_WARM_UP,
    };
    u32::try_from(bars).unwrap_or(u32::MAX)
}

// The slots of these values stand side by side, in the order of their variants.
const _: () = assert!(MODEL + ModelValue::Confidence as Slot + 1 == POSITION);
const _: () = assert!(POSITION + PositionValue::Gain as Slot + 1 == FREE);
