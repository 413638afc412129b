//! Fill models and the paper venue.
//!
//! The models ([`FeeModel`], [`SpreadModel`], [`SlippageModel`], [`LatencyModel`], [`ParticipationModel`]) are small
//! checked values without state: whatever is random in them is drawn from a key and a number, so that a fill computed
//! again is the same fill. [`PaperVenue`] puts them together into a venue that takes approved orders and answers with
//! reports; its state is a fold of the journal and can be rebuilt from it.

mod book;
mod finished;
mod funding;
pub mod models;
pub mod paper;
pub mod setup;
#[cfg(test)]
mod tests;
mod wallet;

pub use models::{FeeModel, LatencyModel, ParticipationModel, SlippageModel, SpreadModel};
pub use paper::{PaperVenue, VenueAnswer};
pub use setup::{PaperSetup, PaperSetupError, RawPaperSetup};
pub use wallet::PaperAccount;
