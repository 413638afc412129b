//! The core of an engine: features and a policy in, decisions out.
//!
//! An engine knows one symbol. It gives exactly one [`Decision`] to each bar, mostly the decision to leave things as they
//! are, and cannot express an order: size, limits and protection are the account's.

pub mod core;
pub mod policy;
mod rule;
pub mod snapshot;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

pub use self::core::{Core, EngineSetup};
pub use self::policy::{RawStrategy, Rule, StrategyError, StrategyPolicy};
pub use self::snapshot::{RestoreError, SNAPSHOT_VERSION, Snapshot};
use crate::domain::{Actions, Bar, Context, Decision, Event, Ts};

/// What a host drives. [`Core`] is the engine; hosts are tested with others that misbehave.
pub trait EngineStep: Send + Debug {
    /// Takes one event at trading time `now`, and pushes one decision if it is a new bar of its instrument.
    fn step(&mut self, event: &Event, now: Ts, actions: &mut Actions<Decision>);

    /// Takes a bar of the past without deciding.
    fn prime(&mut self, bar: &Bar, context: &Context);

    /// Its state, from which an engine of the same setup goes on bit for bit.
    fn snapshot(&self) -> Snapshot;
}
