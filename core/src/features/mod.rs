//! Streaming features of one symbol.
//!
//! A feature is a number that is known when a bar has closed, has no unit and hardly depends on the level of prices, so
//! that one model can read every symbol. [`FeatureSet`] computes a selection of them in constant time a bar and without
//! allocating; what nothing selected needs is not updated. There is no way to ask it for a bar that has not closed.
//!
//! The [`indicators`] are usable on their own, where a rule needs other lengths than the features have.

pub mod hash;
pub mod id;
pub mod indicators;
pub mod set;

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod series;

pub use hash::{SCHEMA_VERSION, feature_hash, mix_words, schema_hash};
pub use id::FeatureId;
pub use set::{FEATURE_BOUND, FeatureSet};
