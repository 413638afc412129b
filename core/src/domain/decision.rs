//! What an engine decides at a bar.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Forecast, Ix, Side, Span, Ts};

/// The direction of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Gains when the price rises.
    Long,
    /// Gains when the price falls.
    Short,
}

impl Direction {
    /// +1 for long, -1 for short.
    pub const fn sign(self) -> f64 {
        match self {
            Self::Long => 1.0,
            Self::Short => -1.0,
        }
    }

    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Long => Self::Short,
            Self::Short => Self::Long,
        }
    }

    /// The side of an order that opens this.
    pub const fn entry_side(self) -> Side {
        match self {
            Self::Long => Side::Buy,
            Self::Short => Side::Sell,
        }
    }
}

/// Why a position is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The policy decided so.
    Signal,
    /// The policy turned to the other side.
    Reverse,
    /// The stop price was reached.
    Stop,
    /// The target price was reached.
    Target,
    /// The longest holding time is over.
    TimeExit,
    /// The trailing stop was reached.
    Trailing,
    /// The account flattens.
    Flatten,
    /// The range of a backtest is over. No daemon ever says so.
    RangeEnd,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signal => "signal",
            Self::Reverse => "reverse",
            Self::Stop => "stop",
            Self::Target => "target",
            Self::TimeExit => "time_exit",
            Self::Trailing => "trailing",
            Self::Flatten => "flatten",
            Self::RangeEnd => "range_end",
        })
    }
}

/// How large an entry is meant to be. It never exceeds what the account's limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// As large as the account's own sizing makes it.
    #[default]
    Account,
    /// So many base units, over zero.
    Units(f64),
    /// For so much, quote currency, over zero.
    Notional(f64),
    /// For this fraction of equity, over zero.
    Equity(f64),
}

impl Size {
    /// Whether its figure is finite and over zero.
    pub fn is_sound(&self) -> bool {
        match *self {
            Self::Account => true,
            Self::Units(x) | Self::Notional(x) | Self::Equity(x) => x.is_finite() && x > 0.0,
        }
    }
}

/// The protection that every entry carries, as distances from the price at which it is filled. All in quote currency a
/// base unit, finite and over zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BracketSpec {
    /// Distance of the stop; absent: a loss has no end but the policy's own exits and the account's stops.
    pub stop: Option<f64>,
    /// Distance of the target.
    pub target: Option<f64>,
    /// Distance at which the stop follows the best price since entry.
    pub trailing: Option<f64>,
    /// Longest time in the position.
    pub time_exit: Option<Span>,
}

impl BracketSpec {
    /// The longest time in a position that an account takes: ten years. An engine cuts longer ones to it.
    pub const TIME_MAX: Span = Span::DAY.times(3_660);

    /// Whether all distances are finite and over zero.
    pub fn is_sound(&self) -> bool {
        let sound = |x: f64| x.is_finite() && x > 0.0;
        self.stop.is_none_or(sound)
            && self.target.is_none_or(sound)
            && self.trailing.is_none_or(sound)
            && self.time_exit.is_none_or(|t| t > Span::ZERO)
    }
}

/// What an engine wants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// To be in a position of this direction; an opposite one is closed first.
    Enter {
        /// Long or short.
        direction: Direction,
        /// Calibrated probability of this side, 0 to 1, when a model decided; a rule has none.
        probability: Option<f64>,
        /// Expected size of a move over the holding horizon, as a fraction of price (ATR / close): what sizing divides by.
        volatility: f64,
        /// Close of the deciding bar, quote currency.
        reference: f64,
        /// How large it is meant to be.
        #[serde(default)]
        size: Size,
        /// The protection that goes with it.
        bracket: BracketSpec,
    },
    /// To be flat.
    Exit,
    /// To move the stop closer, to this price. A looser one is refused.
    Tighten {
        /// The new stop price.
        stop: f64,
    },
}

/// An engine's answer to one bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whose.
    pub instrument: Ix,
    /// Close of the bar that caused it.
    pub bar: Ts,
    /// Hash of the policy that decided.
    pub policy: u64,
    /// Hash of the bits of the features that were seen.
    pub features: u64,
    /// What the model said of the bar, where the strategy asks one and it answered.
    pub forecast: Option<Forecast>,
    /// What is wanted; `None` leaves things as they are.
    pub intent: Option<Intent>,
}
