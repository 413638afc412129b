//! The Temporal Fusion Transformer (Lim, Arik, Loeff, Pfister 2021), small: a window of past bars and the calendar of
//! future ones in, the probability of a rise and quantiles of the log return out. The only place that names `tch`.
//!
//! The same question gives the same bits, whatever else was asked before or together with it: native code is only ever
//! called with batches of one size. It still depends on the processor's instruction set and on the number of threads.

mod attention;
mod batches;
mod cache;
mod error;
mod explain;
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
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, no_grad};

use cache::Cache;
use inputs::{Inputs, KNOWN};
use layers::Dropout;
use loss::QUANTILES;
use network::{Context, Network, Shape};

/// Fixes the number of threads that libtorch computes with, for the whole process. A caller does so once, before
/// anything is trained or forecast: the last bits of a result depend on it.
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
    /// That of every symbol's number, in order.
    contexts: Context,
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
        let contexts = no_grad(|| {
            let (ids, levels) = all_symbols(&inputs)?;
            network.context(&ids, &levels, Dropout::NONE).map(|(contexts, _)| contexts)
        })?;
        Ok(Self { inputs, hidden, heads, weights, network, contexts, cache: Mutex::default() })
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

/// The numbers of all symbols, `[vocabulary]`, and their levels, `[vocabulary, 1]`.
fn all_symbols(inputs: &Inputs) -> Result<(Tensor, Tensor), tch::TchError> {
    let count = i64::try_from(inputs.vocabulary()).unwrap_or(i64::MAX);
    let ids = Tensor::f_arange(count, (Kind::Int64, Device::Cpu))?;
    Ok((ids, Tensor::f_from_slice(&inputs.levels())?.f_reshape([-1, 1])?))
}
