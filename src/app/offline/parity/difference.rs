//! What parity shows: differences and their causes, and how many things were compared.

use levibot_core::domain::Symbol;
use serde::Serialize;

use super::super::words::Iso;

/// Why something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Something else was decided, or with other features, forecast or strategy; or a position is protected otherwise.
    Signal,
    /// The same was decided, and its quantity or the account's answer differs.
    Size,
    /// The same was done at another time.
    Latency,
    /// Another fee was paid.
    Fee,
    /// Another price or quantity was filled, or the order ended otherwise.
    Fill,
    /// Another funding was paid.
    Funding,
    /// The backtest did it, the daemon did not.
    Missing,
    /// The daemon did it, the backtest did not.
    Extra,
}

impl Cause {
    /// A short stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Size => "size",
            Self::Latency => "latency",
            Self::Fee => "fee",
            Self::Fill => "fill",
            Self::Funding => "funding",
            Self::Missing => "missing",
            Self::Extra => "extra",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Its number, 1 for the first in order of time.
    pub number: usize,
    /// When the daemon did it; where it did not, when the backtest did.
    pub ts: Iso,
    /// Of what; `None` where it is of the whole account.
    pub symbol: Option<Symbol>,
    /// `decision`, `order`, `fill`, `end` (of an order), `bracket` (the last of the day), `funding` or `halt`.
    pub what: &'static str,
    /// The order, where it is about one.
    pub order: Option<String>,
    /// Why.
    pub cause: Cause,
    /// The number of the earlier difference that it follows from: by the order or the decision behind it, by the position or
    /// the orders of its symbol until both sides have none again, or, for sizes and risk's halts, by equity and what else is held.
    pub follows: Option<usize>,
    /// What the daemon did.
    pub daemon: String,
    /// What the backtest did.
    pub backtest: String,
    /// What made the difference.
    pub why: String,
    /// By how much it makes the daemon's equity larger at the end of the day, account currency. What follows from a decision
    /// or an order is reckoned there.
    pub effect: f64,
}

/// How many there are on each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Of the daemon.
    pub daemon: u64,
    /// Of the backtest.
    pub backtest: u64,
    /// Those that are the same.
    pub equal: u64,
}

impl Count {
    /// Counts one, of the sides that have it.
    pub(super) const fn see(&mut self, daemon: bool, backtest: bool) {
        self.daemon += daemon as u64;
        self.backtest += backtest as u64;
    }
}

/// How many things were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Decisions that wanted something.
    pub decisions: Count,
    /// Orders.
    pub orders: Count,
    /// Fills.
    pub fills: Count,
    /// Ends of orders.
    pub ends: Count,
    /// The last bracket of each symbol.
    pub brackets: Count,
    /// Fundings.
    pub fundings: Count,
    /// Halts and resumptions.
    pub halts: Count,
}
