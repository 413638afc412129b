//! The account: ledger, limits, sizing, brackets, order states and the day stop.

pub mod approved;
pub mod assets;
pub mod book;
mod booking;
mod by_hand;
mod checks;
mod core;
mod correlation;
mod counts;
mod decisions;
mod dust;
pub mod exits;
mod facts;
mod frames;
pub mod funding;
pub mod holding;
mod inquiry;
pub mod ledger;
mod live;
mod open_orders;
mod order_limits;
pub mod orders;
mod outside;
pub mod policy;
mod protect;
pub mod protections;
mod rebalance;
mod reconcile;
mod recording;
mod reports;
mod returns;
mod ring;
pub mod setup;
pub mod simulate;
pub mod sizing;
pub mod state;
mod stop;
mod trade_ids;
pub mod view;
mod wanted;
mod witness;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use self::core::Account;
pub use approved::Approved;
pub use book::Book;
pub use policy::{OnStop, RiskPolicy, SizingMethod};
pub use protections::{ActiveProtection, Protection};
pub use recording::Recording;
pub use setup::AccountSetup;
pub use state::{ApplyError, State};
pub use view::AccountView;

pub use crate::alerts::{Alert, Severity};

use crate::domain::{HaltLevel, Order, OrderId, PositionView, Reason};
use crate::record::Record;

/// What the account asks for. Records stand before the effects they explain: a host makes a record durable before it
/// carries out anything that follows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Put on record.
    Record(Box<Record>),
    /// Send to the venue.
    Submit(Approved<Order>),
    /// Cancel at the venue.
    Cancel(OrderId),
    /// Ask the venue about an order.
    Query(OrderId),
    /// Ask the venue for everything.
    Reconcile,
    /// Tell the engine.
    Position(PositionView),
    /// The halt level has changed: `None` after a resume. Engines stop at `ReduceOnly` and above, and the latch file
    /// follows.
    Halt(HaltLevel, Reason),
    /// Tell people.
    Alert(Alert),
}
