//! The core of an engine: features and a policy in, decisions out.
//!
//! An engine knows one symbol. It gives exactly one [`Decision`] to each bar, mostly the decision to leave things as they
//! are, and cannot express an order: size, limits and protection are the account's. A strategy that follows the model
//! first puts a [`Question`] and decides when the forecast comes.

pub mod core;
pub mod program;
pub mod snapshot;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

pub use self::core::{Core, EngineSetup};
pub use self::snapshot::{RestoreError, SNAPSHOT_VERSION, Snapshot};
use crate::domain::{Actions, Bar, Context, Decision, Event, Question, Ts};
pub use crate::policy::{StrategyError, StrategyPolicy};

/// What an engine answers a bar with.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a bar, and made where it is used")]
pub enum EngineAction {
    /// Its decision.
    Decide(Decision),
    /// It must know what the model says first, and decides when it is told.
    Ask(Question),
}

/// What [`Core::answer`] says to a bar.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a bar, and read where it is made")]
pub enum Answer {
    /// Nothing: the bar is unsound, or not after the last one.
    NotTaken,
    /// Its decision.
    Decided(Decision),
    /// It must know what the model says first.
    Asks(Question),
}

/// What a host drives. [`Core`] is the engine; hosts are tested with others that misbehave.
pub trait EngineStep: Send + Debug {
    /// Takes one event at trading time `now`, and pushes one action if it is a new bar of its instrument, or the forecast
    /// that it asked for.
    fn step(&mut self, event: &Event, now: Ts, actions: &mut Actions<EngineAction>);

    /// Takes a bar of the past without deciding.
    fn prime(&mut self, bar: &Bar, context: &Context);

    /// Its state after the last decision, from which an engine of the same setup goes on bit for bit.
    fn snapshot(&self) -> Snapshot;
}
