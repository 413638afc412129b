//! The nodes of a plan while it is made: equal ones merged, constants folded.

use std::collections::BTreeMap;

use super::plan::{Binary, Node, NodeIx, Unary};

/// Nodes of a plan, the dropped ones included.
pub(super) const NODES_MAX: usize = 4096;

/// What stands for the ensemble's threshold until [`Graph::finish`]: a number like any other, and not one that anything is
/// folded with, so that a threshold never decides whether a strategy can be meant.
const THRESHOLD: f64 = f64::NAN;

/// There are more than [`NODES_MAX`] nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// Nodes, each after what it is made of.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    known: BTreeMap<Key, NodeIx>,
}

/// What makes two nodes one: kind, part and operands or bits.
type Key = (u8, u8, u64, u64);

fn key(node: &Node) -> Key {
    match *node {
        Node::Number(x) => (0, 0, x.to_bits(), 0),
        Node::Bar(field) => (1, field as u8, 0, 0),
        Node::Feature(id) => (2, id as u8, 0, 0),
        Node::Model(value) => (3, value as u8, 0, 0),
        Node::Regime(value) => (4, value as u8, 0, 0),
        Node::Time(value) => (5, value as u8, 0, 0),
        Node::Position(value) => (6, value as u8, 0, 0),
        Node::Rolling(rolling, a, bars) => (7, rolling as u8, a.into(), bars.into()),
        Node::Indicator(indicator, bars) => (8, indicator as u8, 0, bars.into()),
        Node::Unary(unary, a) => (9, unary as u8, a.into(), 0),
        Node::Binary(binary, a, b) => (10, binary as u8, a.into(), b.into()),
    }
}

/// The node over other operands.
const fn moved(node: Node, a: NodeIx, b: NodeIx) -> Node {
    match node {
        Node::Rolling(rolling, _, bars) => Node::Rolling(rolling, a, bars),
        Node::Unary(unary, _) => Node::Unary(unary, a),
        Node::Binary(binary, ..) => Node::Binary(binary, a, b),
        leaf => leaf,
    }
}

impl Graph {
    /// The place of a node, which is put in unless it is there.
    pub(super) fn put(&mut self, node: Node) -> Result<NodeIx, TooMany> {
        // One zero: they compare equal, and a plan has one spelling.
        let node = match node {
            Node::Number(x) if x.to_bits() == (-0.0_f64).to_bits() => Node::Number(0.0),
            node => node,
        };
        let key = key(&node);
        if let Some(ix) = self.known.get(&key) {
            return Ok(*ix);
        }
        let ix = NodeIx::try_from(self.nodes.len()).ok().filter(|ix| usize::from(*ix) < NODES_MAX).ok_or(TooMany)?;
        self.nodes.push(node);
        self.known.insert(key, ix);
        Ok(ix)
    }

    /// The place of the ensemble's threshold.
    pub(super) fn threshold(&mut self) -> Result<NodeIx, TooMany> {
        self.put(Node::Number(THRESHOLD))
    }

    /// The number that a node always is.
    pub(super) fn constant(&self, ix: NodeIx) -> Option<f64> {
        match self.nodes.get(usize::from(ix)) {
            Some(Node::Number(x)) if !x.is_nan() => Some(*x),
            _ => None,
        }
    }

    pub(super) fn unary(&mut self, unary: Unary, a: NodeIx) -> Result<NodeIx, TooMany> {
        let Some(x) = self.constant(a) else {
            return match (unary, self.nodes.get(usize::from(a))) {
                (Unary::Not, Some(Node::Unary(Unary::Not, inner)))
                | (Unary::Negate, Some(Node::Unary(Unary::Negate, inner))) => Ok(*inner),
                _ => self.put(Node::Unary(unary, a)),
            };
        };
        self.put(Node::Number(match unary {
            Unary::Negate => -x,
            Unary::Abs => x.abs(),
            Unary::Not => 1.0 - x,
        }))
    }

    /// The result may be infinite: the caller refuses that.
    pub(super) fn binary(&mut self, binary: Binary, a: NodeIx, b: NodeIx) -> Result<NodeIx, TooMany> {
        let (x, y) = (self.constant(a), self.constant(b));
        if let (Some(x), Some(y)) = (x, y) {
            return self.put(Node::Number(folded(binary, x, y)));
        }
        let holds = |x: f64| x > 0.5;
        let other = if x.is_some() { b } else { a };
        match (binary, x.or(y).map(holds)) {
            (Binary::And, Some(true)) | (Binary::Or, Some(false)) => Ok(other),
            (Binary::And, Some(false)) => self.put(Node::Number(0.0)),
            (Binary::Or, Some(true)) => self.put(Node::Number(1.0)),
            (Binary::And | Binary::Or | Binary::Min | Binary::Max, None) if a == b => Ok(a),
            _ => self.put(Node::Binary(binary, a, b)),
        }
    }

    /// The nodes that the roots need, numbered by the roots alone: the same values give the same list, in whatever order
    /// and under whatever names they were put in. `roots` are renumbered.
    pub(super) fn finish(&self, threshold: f64, roots: &mut [&mut NodeIx]) -> Vec<Node> {
        self.with_threshold(threshold, roots).numbered(roots)
    }

    /// The same with the ensemble's threshold where it stood; values that are equal now are merged.
    fn with_threshold(&self, threshold: f64, roots: &mut [&mut NodeIx]) -> Self {
        let mut graph = Self::default();
        let mut to: Vec<NodeIx> = Vec::with_capacity(self.nodes.len());
        let at = |to: &[NodeIx], ix: NodeIx| to.get(usize::from(ix)).copied().unwrap_or(0);
        for node in &self.nodes {
            let [a, b] = node.operands().map(|ix| ix.map_or(0, |ix| at(&to, ix)));
            let node = match *node {
                Node::Number(x) if x.is_nan() => Node::Number(threshold),
                node => moved(node, a, b),
            };
            // There are no more of them than there were.
            to.push(graph.put(node).unwrap_or(0));
        }
        for root in roots {
            **root = at(&to, **root);
        }
        graph
    }

    fn numbered(&self, roots: &mut [&mut NodeIx]) -> Vec<Node> {
        let mut list = Vec::new();
        let mut moved_to: Vec<Option<NodeIx>> = vec![None; self.nodes.len()];
        let place = |moved_to: &[Option<NodeIx>], ix: NodeIx| moved_to.get(usize::from(ix)).copied().flatten();
        for root in roots {
            // Operands first; the list of what is still to be placed is kept here and not on the stack.
            let mut open = vec![**root];
            while let Some(ix) = open.last().copied() {
                let node = self.nodes.get(usize::from(ix)).copied().unwrap_or(Node::Number(0.0));
                let before = open.len();
                let waiting = |ix: &NodeIx| place(&moved_to, *ix).is_none();
                open.extend(node.operands().into_iter().rev().flatten().filter(waiting));
                if open.len() > before {
                    continue;
                }
                open.pop();
                if place(&moved_to, ix).is_some() {
                    continue;
                }
                let [a, b] = node.operands().map(|ix| ix.and_then(|ix| place(&moved_to, ix)).unwrap_or(0));
                // The list is no longer than that of the graph, whose places fit.
                let to = NodeIx::try_from(list.len()).unwrap_or(NodeIx::MAX);
                if let Some(slot) = moved_to.get_mut(usize::from(ix)) {
                    *slot = Some(to);
                }
                list.push(moved(node, a, b));
            }
            **root = place(&moved_to, **root).unwrap_or(0);
        }
        list
    }

    /// Whether any of these needs the ensemble's threshold.
    pub(super) fn needs_threshold(&self, roots: &[NodeIx]) -> bool {
        let mut reached = vec![false; self.nodes.len()];
        for root in roots {
            if let Some(mark) = reached.get_mut(usize::from(*root)) {
                *mark = true;
            }
        }
        // Operands stand before: one way back through the list marks all.
        let mut found = false;
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if reached.get(at).copied().unwrap_or(false) {
                found |= matches!(node, Node::Number(x) if x.is_nan());
                for operand in node.operands().into_iter().flatten() {
                    if let Some(mark) = reached.get_mut(usize::from(operand)) {
                        *mark = true;
                    }
                }
            }
        }
        found
    }
}

#[expect(clippy::float_cmp, reason = "`==` of the language is that of the numbers")]
fn folded(binary: Binary, x: f64, y: f64) -> f64 {
    let holds = |condition: bool| f64::from(u8::from(condition));
    match binary {
        Binary::Add => x + y,
        Binary::Subtract => x - y,
        Binary::Multiply => x * y,
        Binary::Divide => x / y,
        Binary::Min => x.min(y),
        Binary::Max => x.max(y),
        Binary::Less => holds(x < y),
        Binary::LessEqual => holds(x <= y),
        Binary::Greater => holds(x > y),
        Binary::GreaterEqual => holds(x >= y),
        Binary::Equal => holds(x == y),
        Binary::NotEqual => holds(x != y),
        Binary::And => holds(x > 0.5 && y > 0.5),
        Binary::Or => holds(x > 0.5 || y > 0.5),
        // A number that never changes crosses none that never changes.
        Binary::CrossesAbove | Binary::CrossesBelow => 0.0,
    }
}
