//! The words of the language: values and functions, each with its meaning and unit. The parser, the schema and the
//! documents read these tables.

use super::plan::{
    BarField, Binary, Indicator, ModelValue, Node, PositionValue, RegimeValue, Rolling, TimeValue, Unary,
};
use crate::features::FeatureId;

/// What a value is. The two never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// Holds or does not.
    Condition,
}

impl Kind {
    /// With its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Condition => "a condition",
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// A value of the bar, the market or the position.
    Value(Node),
    /// The ensemble's threshold, given when the strategy is loaded.
    Threshold,
}

/// A name that every strategy knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Word {
    /// As it is written.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: Meaning,
    /// Its type.
    pub kind: Kind,
    /// What it is, with its unit.
    pub doc: &'static str,
}

const fn word(name: &'static str, node: Node, kind: Kind, doc: &'static str) -> Word {
    Word { name, meaning: Meaning::Value(node), kind, doc }
}

use Kind::{Condition, Number};

/// Every name but the features, which are `feature.` and [`FeatureId::name`].
pub static WORDS: [Word; 22] = [
    word("open", Node::Bar(BarField::Open), Number, "First price of the bar, quote currency."),
    word("high", Node::Bar(BarField::High), Number, "Highest price of the bar, quote currency."),
    word("low", Node::Bar(BarField::Low), Number, "Lowest price of the bar, quote currency."),
    word("close", Node::Bar(BarField::Close), Number, "Last price of the bar, quote currency."),
    word("volume", Node::Bar(BarField::Volume), Number, "Traded in the bar, base units."),
    word("minute", Node::Time(TimeValue::Minute), Number, "Minute at which the bar closed, UTC, 0 to 59."),
    word("hour", Node::Time(TimeValue::Hour), Number, "Hour at which the bar closed, UTC, 0 to 23."),
    word(
        "weekday",
        Node::Time(TimeValue::Weekday),
        Number,
        "Day of the week at the bar's close, UTC, 0 (Monday) to 6.",
    ),
    word("day", Node::Time(TimeValue::Day), Number, "Day of the month at the bar's close, UTC, 1 to 31."),
    word("month", Node::Time(TimeValue::Month), Number, "Month at the bar's close, UTC, 1 to 12."),
    word("model.prob_up", Node::Model(ModelValue::ProbUp), Number, "The model's probability of a rise, 0 to 1."),
    word(
        "model.confidence",
        Node::Model(ModelValue::Confidence),
        Number,
        "The larger of the probabilities of rise and fall, 0.5 to 1.",
    ),
    Word {
        name: "model.threshold",
        meaning: Meaning::Threshold,
        kind: Number,
        doc: "The threshold of the ensemble, 0.5 to 1: a constant, given when the strategy is loaded.",
    },
    word("regime.up", Node::Regime(RegimeValue::Up), Condition, "The trend is up."),
    word("regime.down", Node::Regime(RegimeValue::Down), Condition, "The trend is down."),
    word("regime.range", Node::Regime(RegimeValue::Range), Condition, "There is no trend."),
    word("regime.calm", Node::Regime(RegimeValue::Calm), Condition, "Moves are smaller than usual."),
    word("regime.wild", Node::Regime(RegimeValue::Wild), Condition, "Moves are larger than usual."),
    word("position.long", Node::Position(PositionValue::Long), Condition, "A long position is held."),
    word("position.short", Node::Position(PositionValue::Short), Condition, "A short position is held."),
    word("position.flat", Node::Position(PositionValue::Flat), Condition, "Nothing is held."),
    word(
        "position.gain",
        Node::Position(PositionValue::Gain),
        Number,
        "Gain of the position as a fraction of its entry price; 0 when flat.",
    ),
];

/// What the names of features begin with.
pub const FEATURE: &str = "feature.";

/// What a function does with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Source and length.
    Rolling(Rolling),
    /// Length.
    Indicator(Indicator),
    /// One number.
    Unary(Unary),
    /// Two numbers.
    Binary(Binary),
    /// A number, the least and the most it may be.
    Between,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// As it is written.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// What it gives.
    pub kind: Kind,
    /// What it is, with its unit.
    pub doc: &'static str,
}

const SOURCE: &[&str] = &["source", "length"];
const LENGTH: &[&str] = &["length"];
const PAIR: &[&str] = &["a", "b"];

const fn function(
    name: &'static str,
    action: Action,
    arguments: &'static [&'static str],
    kind: Kind,
    doc: &'static str,
) -> Function {
    Function { name, action, arguments, kind, doc }
}

const fn rolling(name: &'static str, rolling: Rolling, doc: &'static str) -> Function {
    function(name, Action::Rolling(rolling), SOURCE, Number, doc)
}

/// Every function.
pub static FUNCTIONS: [Function; 17] = [
    rolling(
        "ema",
        Rolling::Ema,
        "Exponential average, alpha 2 / (length + 1), seeded with the mean of the first values.",
    ),
    rolling("sma", Rolling::Sma, "Mean of the last values, this bar's included."),
    rolling("std", Rolling::Std, "Population standard deviation of the last values, 0 or more."),
    rolling(
        "zscore",
        Rolling::Zscore,
        "(source - mean) / standard deviation of the last values; 0 when they are equal.",
    ),
    rolling("highest", Rolling::Highest, "Largest of the last values, this bar's included."),
    rolling("lowest", Rolling::Lowest, "Smallest of the last values, this bar's included."),
    rolling("lag", Rolling::Lag, "The value so many bars ago."),
    rolling("change", Rolling::Change, "The value less that of so many bars ago."),
    rolling("rsi", Rolling::Rsi, "Relative strength index (Wilder 1978), 0 to 100; 50 when nothing moved."),
    function(
        "atr",
        Action::Indicator(Indicator::Atr),
        LENGTH,
        Number,
        "Average true range (Wilder 1978), quote currency.",
    ),
    function(
        "adx",
        Action::Indicator(Indicator::Adx),
        LENGTH,
        Number,
        "Average directional index (Wilder 1978), 0 to 100.",
    ),
    function("abs", Action::Unary(Unary::Abs), &["x"], Number, "The number without its sign."),
    function("min", Action::Binary(Binary::Min), PAIR, Number, "The smaller."),
    function("max", Action::Binary(Binary::Max), PAIR, Number, "The larger."),
    function(
        "crosses_above",
        Action::Binary(Binary::CrossesAbove),
        PAIR,
        Condition,
        "`a` was at or under `b` on the bar before and is over it now.",
    ),
    function(
        "crosses_below",
        Action::Binary(Binary::CrossesBelow),
        PAIR,
        Condition,
        "`a` was at or over `b` on the bar before and is under it now.",
    ),
    function("between", Action::Between, &["x", "least", "most"], Condition, "`least <= x <= most`."),
];

/// Words of the grammar, which name nothing.
pub(super) const KEYWORDS: [&str; 5] = ["and", "or", "not", "true", "false"];

/// What a name stands for, and its type.
pub(super) fn meaning(name: &str) -> Option<(Meaning, Kind)> {
    if let Some(feature) = name.strip_prefix(FEATURE) {
        let id = FeatureId::ALL.iter().find(|id| id.name() == feature)?;
        return Some((Meaning::Value(Node::Feature(*id)), Number));
    }
    WORDS.iter().find(|word| word.name == name).map(|word| (word.meaning, word.kind))
}

pub(super) fn function_of(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Whether a strategy may not give this name to something of its own.
pub(super) fn is_taken(name: &str) -> bool {
    let begins = |word: &Word| word.name.split('.').next() == Some(name);
    KEYWORDS.contains(&name)
        || function_of(name).is_some()
        || WORDS.iter().any(begins)
        || FEATURE.trim_end_matches('.') == name
}
