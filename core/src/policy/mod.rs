//! LeviLang: strategies as text.
//!
//! A file under `policies/strategies/` is read, checked and resolved here into a [`Plan`], which the engine's program runs
//! bar by bar, live, in replays and in backtests alike.

pub mod plan;

pub use plan::Plan;
