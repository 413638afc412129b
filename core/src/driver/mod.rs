//! Drives the cores: the sequencer that live trading, replay and simulation share, and what recomputes a record.

pub mod audit;
pub mod lane;
pub mod sequencer;

#[cfg(test)]
mod tests;

pub use sequencer::{EngineInput, Input, Output, Pace, Sequencer, VenueCommand};
