//! A read file and the values of its parameters to a [`Plan`].

use std::ops::Range;

use super::document::{Document, Expression, Sides, SizeUnit};
use super::error::{Fault, quoted};
use super::expression::Step;
use super::graph::{Graph, NODES_MAX, TooMany};
use super::names::{Action, Function, Kind, Meaning};
use super::parameter::Parameter;
use super::plan::{BarField, Binary, Indicator, Node, NodeIx, Plan, PlannedSize, SidePlan, Unary, VOLATILITY_MIN};

/// Longest memory, bars.
const LENGTH_MAX: f64 = 5_000.0;
/// Longest time in a position, bars.
const TIME_MAX: f64 = 100_000.0;
/// Largest constant fraction of equity: over it somebody means percent.
const EQUITY_MAX: f64 = 10.0;
/// Length of the average true range that volatility is measured by unless the file says otherwise, bars.
const VOLATILITY_BARS: u32 = 14;
/// No confidence is over it: what stands for a threshold that is not known yet.
const NO_THRESHOLD: f64 = 1.0;

/// A plan, and what it says of the threshold.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) plan: Plan,
    /// Whether the ensemble's threshold stands in it.
    pub(super) has_threshold: bool,
}

/// Makes the plan. Without a threshold a plan that needs one enters nothing.
pub(super) fn resolve(
    document: &Document,
    parameters: &[Parameter],
    threshold: Option<f64>,
    file: &str,
) -> Result<Resolved, Fault> {
    let mut resolver = Resolver { file, parameters, graph: Graph::default(), definitions: Vec::new() };
    for definition in &document.definitions {
        let value = resolver.value(definition)?;
        resolver.definitions.push(value);
    }
    for condition in &document.require {
        resolver.require(condition, &document.definitions)?;
    }
    let plan = resolver.plan(document)?;
    resolver.finish(plan, threshold)
}

/// A value on the way.
#[derive(Debug, Clone)]
struct Value {
    ix: NodeIx,
    kind: Kind,
    /// Bytes of its expression.
    at: Range<usize>,
}

struct Resolver<'a> {
    file: &'a str,
    parameters: &'a [Parameter],
    graph: Graph,
    definitions: Vec<Value>,
}

fn too_many(at: &Range<usize>) -> impl FnOnce(TooMany) -> Fault + '_ {
    move |TooMany| {
        let reason = format!("the strategy has more than {NODES_MAX} values");
        Fault::new(at.clone(), reason, "leave some out, or write several strategies")
    }
}

fn wanted(value: &Value, kind: Kind) -> Result<(), Fault> {
    if value.kind == kind {
        return Ok(());
    }
    let remedy = match kind {
        Kind::Number => "write a number; conditions are joined with `and`, `or` and `not`",
        Kind::Condition => "compare it, as in `x > 0`",
    };
    Err(Fault::new(value.at.clone(), format!("this is {}, and {} is wanted", value.kind.name(), kind.name()), remedy))
}

impl Resolver<'_> {
    /// The value of an expression.
    fn value(&mut self, expression: &Expression) -> Result<Value, Fault> {
        let place = |fault| expression.scalar.fault(fault, self.file).under(&expression.key);
        let mut stack: Vec<Value> = Vec::new();
        for (step, at) in &expression.code {
            let step = step_on(&mut self.graph, self.parameters, &self.definitions, &mut stack, step, at);
            let (ix, kind) = step.map_err(place)?;
            stack.push(Value { ix, kind, at: at.clone() });
        }
        // The parser leaves exactly one.
        stack.pop().ok_or_else(|| place(Fault::new(0..0, "nothing is written here", "write an expression")))
    }

    fn of_kind(&mut self, expression: &Expression, kind: Kind) -> Result<NodeIx, Fault> {
        let value = self.value(expression)?;
        wanted(&value, kind).map_err(|fault| self.placed(fault, expression))?;
        Ok(value.ix)
    }

    fn placed(&self, fault: Fault, expression: &Expression) -> Fault {
        expression.scalar.fault(fault, self.file).under(&expression.key)
    }

    fn refuse(&self, expression: &Expression, reason: impl Into<String>, remedy: impl Into<String>) -> Fault {
        self.placed(Fault::new(0..expression.scalar.text.trim_end().len(), reason, remedy), expression)
    }

    /// The parameters that an expression is made of, by itself or through definitions, as they stand.
    fn used(&self, expression: &Expression, definitions: &[Expression]) -> String {
        let (mut used, mut seen, mut open): (Vec<String>, Vec<usize>, _) = (Vec::new(), Vec::new(), vec![expression]);
        while let Some(expression) = open.pop() {
            for (step, _) in &expression.code {
                match step {
                    Step::Parameter(place) => {
                        let stands = |one: &Parameter| format!("{} = {}", one.name, one.value);
                        let one = self.parameters.get(*place).map(stands);
                        used.extend(one.filter(|one| !used.contains(one)));
                    }
                    Step::Definition(place) if !seen.contains(place) => {
                        seen.push(*place);
                        open.extend(definitions.get(*place));
                    }
                    _ => {}
                }
            }
        }
        used.join(", ")
    }

    fn require(&mut self, expression: &Expression, definitions: &[Expression]) -> Result<(), Fault> {
        let ix = self.of_kind(expression, Kind::Condition)?;
        match self.graph.constant(ix) {
            Some(x) if x > 0.5 => Ok(()),
            Some(_) => {
                let (text, used) = (quoted(&expression.scalar.text), self.used(expression, definitions));
                Err(if used.is_empty() {
                    self.refuse(expression, format!("{text} never holds"), "write a condition over parameters")
                } else {
                    self.refuse(expression, format!("{text} does not hold with {used}"), "set other values")
                })
            }
            None => Err(self.refuse(
                expression,
                "this is not known before there are bars",
                "write a condition over parameters alone; others stand under `filters`",
            )),
        }
    }

    fn plan(&mut self, document: &Document) -> Result<Plan, Fault> {
        let [long_entry, short_entry] = self.sides(&document.entry)?;
        let [long_exit, short_exit] = self.sides(&document.exit)?;
        Ok(Plan {
            nodes: Vec::new(),
            long: SidePlan { entry: long_entry, exit: long_exit },
            short: SidePlan { entry: short_entry, exit: short_exit },
            filters: self.filters(&document.filters)?,
            stop: self.positive(document.stop.as_ref())?,
            target: self.positive(document.target.as_ref())?,
            trailing: self.positive(document.trailing.as_ref())?,
            time_exit_bars: document.time.as_ref().map(|time| self.time(time)).transpose()?,
            size: self.size(document.size.as_ref())?,
            volatility: match &document.volatility {
                Some(_) => self.positive(document.volatility.as_ref())?.unwrap_or_default(),
                None => self.usual_volatility(document.size.is_none()).map_err(too_many(&(0..0)))?,
            },
        })
    }

    /// A condition that never holds is one that is not there.
    fn sides(&mut self, sides: &Sides) -> Result<[Option<NodeIx>; 2], Fault> {
        let mut one = |side: &Option<Expression>| {
            let Some(expression) = side else { return Ok(None) };
            let ix = self.of_kind(expression, Kind::Condition)?;
            Ok(Some(ix).filter(|ix| self.graph.constant(*ix).is_none_or(|x| x > 0.5)))
        };
        Ok([one(&sides.long)?, one(&sides.short)?])
    }

    /// Those that do not always hold, each once.
    fn filters(&mut self, filters: &[Expression]) -> Result<Vec<NodeIx>, Fault> {
        let mut found = Vec::new();
        for filter in filters {
            let ix = self.of_kind(filter, Kind::Condition)?;
            if !found.contains(&ix) && self.graph.constant(ix).is_none_or(|x| x < 0.5) {
                found.push(ix);
            }
        }
        Ok(found)
    }

    fn positive(&mut self, expression: Option<&Expression>) -> Result<Option<NodeIx>, Fault> {
        let Some(expression) = expression else { return Ok(None) };
        let ix = self.of_kind(expression, Kind::Number)?;
        match self.graph.constant(ix) {
            Some(x) if x <= 0.0 => Err(self.refuse(expression, format!("this is {x}"), "write a number over 0")),
            _ => Ok(Some(ix)),
        }
    }

    fn time(&mut self, expression: &Expression) -> Result<u32, Fault> {
        let ix = self.of_kind(expression, Kind::Number)?;
        whole(self.graph.constant(ix), TIME_MAX).map_err(|reason| {
            let remedy =
                "write a whole number of bars from 1 to 100000, of figures and parameters, or leave the key out";
            self.refuse(expression, reason, remedy)
        })
    }

    fn size(&mut self, size: Option<&(SizeUnit, Expression)>) -> Result<PlannedSize, Fault> {
        let Some((unit, expression)) = size else { return Ok(PlannedSize::Account) };
        let Some(ix) = self.positive(Some(expression))? else { return Ok(PlannedSize::Account) };
        if *unit == SizeUnit::Equity
            && let Some(x) = self.graph.constant(ix).filter(|x| *x > EQUITY_MAX)
        {
            let reason = format!("{x} times the equity looks like percent");
            return Err(self.refuse(expression, reason, "write a fraction up to 10, such as 0.05 for 5 %"));
        }
        Ok(match unit {
            SizeUnit::Units => PlannedSize::Units(ix),
            SizeUnit::Notional => PlannedSize::Notional(ix),
            SizeUnit::Equity => PlannedSize::Equity(ix),
        })
    }

    /// Average true range over close. Nobody asks for it where the policy says its size.
    fn usual_volatility(&mut self, is_sized_by: bool) -> Result<NodeIx, TooMany> {
        if !is_sized_by {
            return self.graph.put(Node::Number(VOLATILITY_MIN));
        }
        let atr = self.graph.put(Node::Indicator(Indicator::Atr, VOLATILITY_BARS))?;
        let close = self.graph.put(Node::Bar(BarField::Close))?;
        self.graph.binary(Binary::Divide, atr, close)
    }

    fn finish(mut self, mut plan: Plan, threshold: Option<f64>) -> Result<Resolved, Fault> {
        let has_threshold = {
            let roots: Vec<NodeIx> = roots(&mut plan).iter().map(|ix| **ix).collect();
            self.graph.needs_threshold(&roots)
        };
        if has_threshold && threshold.is_none() {
            let never = self.graph.put(Node::Number(0.0)).map_err(too_many(&(0..0)))?;
            plan.filters = vec![never];
        }
        let nodes = self.graph.finish(threshold.unwrap_or(NO_THRESHOLD), &mut roots(&mut plan));
        Ok(Resolved { plan: Plan { nodes, ..plan }, has_threshold })
    }
}

/// Where a plan points into its nodes, in the order that numbers them.
fn roots(plan: &mut Plan) -> Vec<&mut NodeIx> {
    let Plan { nodes: _, long, short, filters, stop, target, trailing, time_exit_bars: _, size, volatility } = plan;
    let sides = [&mut long.entry, &mut short.entry, &mut long.exit, &mut short.exit];
    let size = match size {
        PlannedSize::Account => None,
        PlannedSize::Units(ix) | PlannedSize::Notional(ix) | PlannedSize::Equity(ix) => Some(ix),
    };
    let conditions = sides.into_iter().flatten().chain(filters);
    conditions.chain([stop, target, trailing].into_iter().flatten()).chain(size).chain([volatility]).collect()
}

fn whole(x: Option<f64>, most: f64) -> Result<u32, String> {
    match x {
        None => Err("this is not known before there are bars".to_owned()),
        Some(x) if x.fract() == 0.0 && (1.0..=most).contains(&x) =>
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in range")]
            Ok(x as u32)
        }
        Some(x) => Err(format!("this is {x}")),
    }
}

type Stepped = Result<(NodeIx, Kind), Fault>;

fn step_on(
    graph: &mut Graph,
    parameters: &[Parameter],
    definitions: &[Value],
    stack: &mut Vec<Value>,
    step: &Step,
    at: &Range<usize>,
) -> Stepped {
    let lost = || Fault::new(at.clone(), "a value is missing here", "write a name, a figure or a call");
    let put = |graph: &mut Graph, node| graph.put(node).map_err(too_many(at));
    match *step {
        Step::Number(x) => Ok((put(graph, Node::Number(x))?, Kind::Number)),
        Step::Truth(holds) => Ok((put(graph, Node::Number(f64::from(u8::from(holds))))?, Kind::Condition)),
        Step::Word(Meaning::Value(node), kind) => Ok((put(graph, node)?, kind)),
        Step::Word(Meaning::Threshold, kind) => Ok((graph.threshold().map_err(too_many(at))?, kind)),
        Step::Parameter(place) => {
            let parameter = parameters.get(place).ok_or_else(lost)?;
            Ok((put(graph, Node::Number(parameter.value))?, Kind::Number))
        }
        Step::Definition(place) => definitions.get(place).map(|value| (value.ix, value.kind)).ok_or_else(lost),
        Step::Unary(unary) => {
            let value = stack.pop().ok_or_else(lost)?;
            let kind = if unary == Unary::Not { Kind::Condition } else { Kind::Number };
            wanted(&value, kind)?;
            Ok((graph.unary(unary, value.ix).map_err(too_many(at))?, kind))
        }
        Step::Binary(binary) => {
            let (right, left) = (stack.pop().ok_or_else(lost)?, stack.pop().ok_or_else(lost)?);
            of_two(graph, binary, &left, &right, at)
        }
        Step::Call(function) => {
            let first = stack.len().checked_sub(function.arguments.len()).ok_or_else(lost)?;
            let arguments = stack.split_off(first);
            call(graph, function, &arguments, at)
        }
    }
}

fn of_two(graph: &mut Graph, binary: Binary, left: &Value, right: &Value, at: &Range<usize>) -> Stepped {
    let (takes, gives) = match binary {
        Binary::And | Binary::Or => (Kind::Condition, Kind::Condition),
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Min | Binary::Max => {
            (Kind::Number, Kind::Number)
        }
        _ => (Kind::Number, Kind::Condition),
    };
    wanted(left, takes)?;
    wanted(right, takes)?;
    if binary == Binary::Divide && graph.constant(right.ix) == Some(0.0) {
        return Err(Fault::new(right.at.clone(), "this is 0, and nothing is divided by it", "write another divisor"));
    }
    let ix = graph.binary(binary, left.ix, right.ix).map_err(too_many(at))?;
    // Both were finite: what is not now overflowed.
    if graph.constant(left.ix).is_some() && graph.constant(right.ix).is_some() {
        let sound = graph.constant(ix).is_some_and(f64::is_finite);
        if !sound {
            return Err(Fault::new(at.clone(), "this number is too large", "write smaller figures"));
        }
    }
    Ok((ix, gives))
}

fn call(graph: &mut Graph, function: &Function, arguments: &[Value], at: &Range<usize>) -> Stepped {
    let put = |graph: &mut Graph, node| graph.put(node).map_err(too_many(at));
    match (function.action, arguments) {
        (Action::Rolling(rolling), [source, length]) => {
            wanted(source, Kind::Number)?;
            let bars = length_of(graph, length)?;
            Ok((put(graph, Node::Rolling(rolling, source.ix, bars))?, function.kind))
        }
        (Action::Indicator(indicator), [length]) => {
            let bars = length_of(graph, length)?;
            Ok((put(graph, Node::Indicator(indicator, bars))?, function.kind))
        }
        (Action::Unary(unary), [x]) => {
            wanted(x, Kind::Number)?;
            Ok((graph.unary(unary, x.ix).map_err(too_many(at))?, function.kind))
        }
        (Action::Binary(binary), [a, b]) => of_two(graph, binary, a, b, at),
        (Action::Between, [x, least, most]) => {
            if let (Some(from), Some(to)) = (graph.constant(least.ix), graph.constant(most.ix))
                && from > to
            {
                let span = least.at.start..most.at.end;
                let remedy = "write the smaller first, or `x >= a or x <= b` for what goes over midnight";
                return Err(Fault::new(span, format!("nothing is from {from} to {to}"), remedy));
            }
            let (over, _) = of_two(graph, Binary::LessEqual, least, x, at)?;
            let (under, _) = of_two(graph, Binary::LessEqual, x, most, at)?;
            Ok((graph.binary(Binary::And, over, under).map_err(too_many(at))?, function.kind))
        }
        _ => {
            Err(Fault::new(at.clone(), "the arguments do not fit", format!("write {}", function.arguments.join(", "))))
        }
    }
}

fn length_of(graph: &Graph, length: &Value) -> Result<u32, Fault> {
    wanted(length, Kind::Number)?;
    whole(graph.constant(length.ix), LENGTH_MAX).map_err(|reason| {
        let remedy = "a length is a whole number of bars from 1 to 5000, of figures and parameters";
        Fault::new(length.at.clone(), reason, remedy)
    })
}
