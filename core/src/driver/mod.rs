//! Drives the cores: the sequencer that live trading, replay and simulation share, and what recomputes a record.

pub mod audit;
pub mod lane;
pub mod outbox;
mod questions;
pub mod recovery;
pub mod sequencer;
mod setups;
pub mod words;

#[cfg(test)]
mod tests;

pub use lane::{EngineInput, RECENT_BARS_MAX, WARM_UP_BARS};
pub use outbox::Outbox;
pub use sequencer::Sequencer;
pub use words::{Input, Output, Pace, VenueCommand};
