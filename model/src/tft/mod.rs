//! The Temporal Fusion Transformer (Lim, Arik, Loeff, Pfister 2021), small: a window of past bars and the calendar of
//! future ones in, the probability of a rise and quantiles of the log return out. The only place that names `tch`.
//!
//! It is trained by libtorch and forecasts in plain arithmetic: the same question gives the same bits, whatever else was
//! asked before or together with it, with any number of threads and on any processor.

mod attention;
mod batches;
mod cache;
mod error;
mod explain;
mod inference;
mod inputs;
mod layers;
mod loss;
mod network;
mod predict;
mod selection;
mod store;
mod training;

#[cfg(test)]
mod tests;

pub use error::TftError;
pub use explain::TftExplanation;
pub use predict::{TftInput, TftOutput};
pub use training::{TftEpoch, TftHistory};

use std::sync::{Mutex, PoisonError};

use levibot_core::domain::{Symbol, Timeframe};
use levibot_core::features::FeatureId;
use tch::Device;
use tch::nn::VarStore;

use cache::Cache;
use inference::Inference;
use inputs::{Inputs, KNOWN};
use loss::QUANTILES;
use network::{Network, Shape};

/// Fixes the number of threads that libtorch computes with, for the whole process. Training does so itself; forecasts
/// do not depend on it.
pub fn fix_threads(threads: u32) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(1));
}

/// A trained transformer.
#[derive(Debug)]
pub struct Tft {
    inputs: Inputs,
    hidden: u32,
    heads: u32,
    weights: VarStore,
    network: Network,
    inference: Inference,
    cache: Mutex<Cache>,
}

impl Tft {
    /// Bar length that it was trained on.
    pub const fn timeframe(&self) -> Timeframe {
        self.inputs.timeframe
    }

    /// How many bars ahead it looks.
    pub fn horizon_bars(&self) -> u32 {
        self.inputs.steps.last().copied().unwrap_or(0)
    }

    /// The features of a past bar that it reads, the calendar among them.
    pub fn columns(&self) -> &[FeatureId] {
        &self.inputs.columns
    }

    /// The symbols that it has learnt from, in order. It answers for others too, as for a usual one.
    pub fn symbols(&self) -> Vec<Symbol> {
        self.inputs.symbols.iter().map(|known| known.symbol).collect()
    }

    /// Ready to forecast, once its weights have their values.
    fn new(inputs: Inputs, hidden: u32, heads: u32, weights: VarStore, network: Network) -> Result<Self, TftError> {
        let inference = Inference::new(&weights, hidden as usize, heads as usize, &inputs.levels())?;
        Ok(Self { inputs, hidden, heads, weights, network, inference, cache: Mutex::default() })
    }

    /// A network without knowledge: its weights are drawn from libtorch's generator.
    fn network(inputs: &Inputs, hidden: u32, heads: u32) -> Result<(VarStore, Network), TftError> {
        let store = VarStore::new(Device::Cpu);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let shape = Shape {
            hidden: i64::from(hidden),
            heads: i64::from(heads),
            past: count(inputs.columns.len()),
            known: count(KNOWN.len()),
            vocabulary: count(inputs.vocabulary()),
            quantiles: count(QUANTILES.len()),
        };
        let network = Network::new(&store.root(), shape)?;
        Ok((store, network))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
