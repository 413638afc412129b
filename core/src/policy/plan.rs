//! A policy as it is evaluated: every expression resolved, every parameter a number, equal parts merged.
//!
//! The front (text, parser, checks) makes a [`Plan`]; the engine's program runs it bar by bar. All values are `f64`; a
//! condition is 1 where it holds and 0 where it does not.

use serde::{Deserialize, Serialize};

use crate::domain::Direction;
use crate::features::FeatureId;

/// The least that a volatility counts for, and what stands for one that nobody asks for, a fraction of price.
pub const VOLATILITY_MIN: f64 = 1e-9;

/// Place of a node in [`Plan::nodes`].
pub type NodeIx = u16;

/// A price or the volume of the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarField {
    /// First price.
    Open,
    /// Highest price.
    High,
    /// Lowest price.
    Low,
    /// Last price.
    Close,
    /// Base units traded.
    Volume,
}

/// What the fusion model says of the bar. A plan that holds one of these asks the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelValue {
    /// Calibrated probability of a rise, 0 to 1.
    ProbUp,
    /// The larger of the probabilities of both sides, 0.5 to 1.
    Confidence,
}

/// What [`crate::regime`] says of the bar, each 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegimeValue {
    /// The trend is up.
    Up,
    /// The trend is down.
    Down,
    /// There is no trend.
    Range,
    /// Moves are smaller than usual.
    Calm,
    /// Moves are larger than usual.
    Wild,
}

/// When the bar closed, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeValue {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 0 (Monday) to 6 (Sunday).
    Weekday,
    /// Day of the month, 1 to 31.
    Day,
    /// 1 to 12.
    Month,
}

/// What is held, as the account has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionValue {
    /// 1 while long.
    Long,
    /// 1 while short.
    Short,
    /// 1 while nothing is held.
    Flat,
    /// Gain of the position as a fraction of its entry price; 0 when flat.
    Gain,
}

/// A value with a memory over a source. Lengths are in bars, 1 to 5,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rolling {
    /// Exponential average, seeded with the plain mean of its first values as TA-Lib does.
    Ema,
    /// Plain mean.
    Sma,
    /// Population standard deviation.
    Std,
    /// How many standard deviations the source is away from its mean.
    Zscore,
    /// Largest.
    Highest,
    /// Smallest.
    Lowest,
    /// The value so many bars ago.
    Lag,
    /// Source less its value so many bars ago.
    Change,
    /// Relative strength index of the source (Wilder 1978), 0 to 100.
    Rsi,
}

/// An indicator of whole bars. Lengths are in bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Indicator {
    /// Average true range (Wilder 1978), quote currency.
    Atr,
    /// Average directional index (Wilder 1978), 0 to 100.
    Adx,
}

/// Two values in, one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient.
    Divide,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// Both hold.
    And,
    /// One holds at least.
    Or,
    /// The first was at or under the second on the bar before and is over it now.
    CrossesAbove,
    /// The first was at or over the second on the bar before and is under it now.
    CrossesBelow,
}

/// One value in, one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unary {
    /// Changed sign.
    Negate,
    /// Absolute value.
    Abs,
    /// Holds where the other does not.
    Not,
}

/// One value of a plan. What it is made of stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// A constant: a literal, or what a parameter stands at.
    Number(f64),
    /// Of the bar.
    Bar(BarField),
    /// One of the features, as the model is shown it.
    Feature(FeatureId),
    /// Of the model.
    Model(ModelValue),
    /// Of the regime.
    Regime(RegimeValue),
    /// Of the clock of the market.
    Time(TimeValue),
    /// Of the position.
    Position(PositionValue),
    /// A value over the last bars of another one.
    Rolling(Rolling, NodeIx, u32),
    /// An indicator of whole bars.
    Indicator(Indicator, u32),
    /// Of one value.
    Unary(Unary, NodeIx),
    /// Of two.
    Binary(Binary, NodeIx, NodeIx),
}

impl Node {
    /// What it is made of.
    pub(crate) const fn operands(&self) -> [Option<NodeIx>; 2] {
        match *self {
            Self::Rolling(_, a, _) | Self::Unary(_, a) => [Some(a), None],
            Self::Binary(_, a, b) => [Some(a), Some(b)],
            _ => [None, None],
        }
    }
}

/// How large an entry is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedSize {
    /// As the account sizes it.
    #[default]
    Account,
    /// Base units.
    Units(NodeIx),
    /// Quote currency.
    Notional(NodeIx),
    /// Fraction of equity.
    Equity(NodeIx),
}

/// What holds for one direction.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SidePlan {
    /// To be entered where this holds (and every filter does); absent: never entered.
    pub entry: Option<NodeIx>,
    /// To be left where this holds.
    pub exit: Option<NodeIx>,
}

/// A policy, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Every value, each after what it is made of.
    pub nodes: Vec<Node>,
    /// Long.
    pub long: SidePlan,
    /// Short.
    pub short: SidePlan,
    /// All of these must hold for an entry. Exits never ask them.
    pub filters: Vec<NodeIx>,
    /// Distance of the stop, quote currency.
    pub stop: Option<NodeIx>,
    /// Distance of the target, quote currency.
    pub target: Option<NodeIx>,
    /// Distance of the trailing stop, quote currency.
    pub trailing: Option<NodeIx>,
    /// Longest time in a position, bars, 1 to 100,000.
    pub time_exit_bars: Option<u32>,
    /// How large.
    pub size: PlannedSize,
    /// Usual move as a fraction of price: what sizing divides by. Of this node what it gives before it is warm is used
    /// too. Where it is under 1e-9 or not known, the account cannot size by it and nothing is entered.
    pub volatility: NodeIx,
}

impl Plan {
    /// What holds for a direction.
    pub const fn side(&self, direction: Direction) -> SidePlan {
        match direction {
            Direction::Long => self.long,
            Direction::Short => self.short,
        }
    }

    /// Whether a value of the model stands in it.
    pub fn asks_model(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node, Node::Model(_)))
    }
}
