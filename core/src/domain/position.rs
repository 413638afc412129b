//! Accounts and what engines may know of them.

use serde::{Deserialize, Serialize};

use super::{Direction, Ix};

/// What kind of account trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Balances of assets; long only. A short is refused with that reason.
    Spot,
    /// Margin, both directions, leverage 1.
    Linear,
}

/// The account's truth about one symbol, as an engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PositionView {
    /// Which symbol.
    pub instrument: Ix,
    /// Direction held, `None` when flat.
    pub direction: Option<Direction>,
    /// Mean entry price, quote currency; 0 when flat.
    pub entry_price: f64,
    /// The stop now in force; 0 when there is none.
    pub stop: f64,
    /// Side of the strategy's entry that is on its way and still wanted. What a rebalancing adds is none: it belongs to the
    /// position that is there.
    pub entry_pending: Option<Direction>,
}

impl PositionView {
    /// Where it stands once its entry is filled: the side on its way, else the one held.
    #[inline]
    pub fn side(&self) -> Option<Direction> {
        self.entry_pending.or(self.direction)
    }

    /// No position and nothing on its way.
    pub const fn flat(instrument: Ix) -> Self {
        Self { instrument, direction: None, entry_price: 0.0, stop: 0.0, entry_pending: None }
    }
}
