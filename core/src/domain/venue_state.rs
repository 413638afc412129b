//! What a venue says when it is asked for everything: what reconciliation compares with the ledger.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Asset, Fill, Money, OrderId, Qty, Side, Symbol, Ts};

/// All that a venue knows of the account, as of one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VenueState {
    /// Trading time at which it was asked: what happened later may be missing.
    pub asked: Ts,
    /// Whether the stream of reports may have lost something since it was asked the last time.
    pub gap: bool,
    /// Open orders, ours and others.
    pub orders: Vec<VenueOrder>,
    /// Trades of our orders, oldest first: those since it was asked the last time, or more.
    pub fills: Vec<Fill>,
    /// Trades of orders that are not ours, with the orders' names, oldest first.
    pub foreign: Vec<(Fill, String)>,
    /// What was paid in and out, oldest first.
    pub transfers: Vec<Transfer>,
    /// Linear: every position, base units, negative when short. Symbols that are not there are flat. Spot: empty.
    pub positions: Vec<(Symbol, Decimal)>,
    /// What is held of each asset, locked parts included. Linear: the currency alone, as cash without what positions
    /// gain; spot: all. Assets that are not there are zero.
    pub balances: Vec<(Asset, Decimal)>,
}

/// An open order at the venue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VenueOrder {
    /// Its id, where it is one of ours by its name.
    pub id: Option<OrderId>,
    /// Its name at the venue.
    pub name: String,
    /// The symbol.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Base units.
    pub qty: Qty,
    /// Base units filled.
    pub filled: Qty,
}

/// A deposit or withdrawal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// The venue's name of it: booked once.
    pub id: String,
    /// What was paid.
    pub asset: Asset,
    /// How much: over zero into the account, under zero out of it.
    pub amount: Decimal,
    /// What it was worth in the account's currency, with the sign of the amount; for the currency the amount itself.
    pub value: Money,
    /// When.
    pub ts: Ts,
}
