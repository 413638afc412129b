//! A seeded market for the embedded default.
//!
//! Not a picture of any real market, and nothing measured on it is evidence of profit: it gives the daemon something
//! that moves as prices do. Moves come in clusters, tails are fat, symbols move together, trends come and go
//! unannounced, and volume and spread follow the turmoil. With [`SimulatorSetup::trend`] over 0 a slow drift is hidden in
//! it besides, so that there is something to learn. The walk is a pure function of its settings: there is no
//! clock here, and every draw depends on the seed, the name of its stream and the number of the step alone. One
//! platform gives the same events bit for bit; another may differ in the last digit of a logarithm.

mod feed;
mod market;
mod noise;
mod path;
mod setup;
mod trend;

pub use feed::{SimulatedFeed, walk_history};
pub use setup::{SimulatedSymbol, SimulatorError, SimulatorSetup, crypto_symbols};

/// Bars that the walk runs at least before the start of its feed: what [`crate::domain::Feed::history`] can give at most.
pub const WARM_UP_BARS: u16 = 1_024;
