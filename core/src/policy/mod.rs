//! LeviLang: strategies as text.
//!
//! A file under `policies/strategies/` is read, checked and resolved here into a [`Plan`], which the engine's program runs
//! bar by bar, live, in replays and in backtests alike. `docs/levilang.md` is the language.
//!
//! The way of a text: [`tree`] reads YAML and remembers places, [`document`] knows the keys, [`lexer`] and [`expression`]
//! make postfix code of what stands behind them, [`resolve`] runs that code over the values of the parameters and puts
//! nodes into a [`graph`], which merges, folds and numbers them.

mod document;
mod error;
mod expression;
mod graph;
mod lexer;
mod memory;
pub mod names;
mod parameter;
pub mod plan;
mod resolve;
mod schema;
mod strategy;
mod tree;
mod warm_up;

pub use error::{Mistake, StrategyError};
pub use parameter::Parameter;
pub use plan::Plan;
pub use schema::schema;
pub use strategy::StrategyPolicy;

#[cfg(test)]
mod mistakes_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
