//! Training: Adam with a one-cycle rate, early stopping on validation, the best weights kept.

use std::sync::{Mutex, PoisonError};

use levibot_core::domain::hash::{hash64, unit_draw};
use levibot_core::features::FeatureId;
use serde::{Deserialize, Serialize};
use tch::nn::{Adam, Optimizer, OptimizerConfig, VarStore};
use tch::{TchError, Tensor, no_grad};

use super::batches::{Batch, Batches, check};
use super::inputs::Inputs;
use super::layers::Dropout;
use super::loss::{log_loss, pinball};
use super::network::{Network, Said};
use super::{Tft, TftError, fix_threads};
use crate::dataset::{Sample, Table};
use crate::progress::Progress;
use crate::settings::TftSettings;

/// Validation samples that a pass is judged by, at most; taken evenly from all.
const VALIDATION_MAX: usize = 8_192;
/// Share of steps over which the rate rises (Smith and Topin 2018).
const WARM_UP: f64 = 0.15;
/// The rate at both ends of training, as a share of the highest.
const RATE_LOW: f64 = 0.05;
/// Gradients longer than this are shortened to it.
const GRADIENT_MAX: f64 = 1.0;
/// libtorch has one generator for the whole process: trainings that ran side by side would draw from each other's.
static GENERATOR: Mutex<()> = Mutex::new(());

/// How training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TftHistory {
    /// One for each pass that was made.
    pub epochs: Vec<TftEpoch>,
    /// The pass whose weights were kept, counted from 1.
    pub best: u32,
    /// Windows learnt from, over all passes.
    pub windows: u64,
}

/// One pass over the training windows. A loss is the mean pinball loss of the quantiles, in units of the expected
/// volatility, plus the mean log loss of the direction of labelled samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TftEpoch {
    /// Loss on the training windows while they were learnt, dropout included.
    pub training: f64,
    /// Loss on validation: what passes are compared by.
    pub validation: f64,
    /// The part of `validation` that is of quantiles.
    pub pinball: f64,
    /// The part of `validation` that is of the direction; ln 2 is that of a coin.
    pub log_loss: f64,
}

impl Tft {
    /// Trains on some samples of a table, and keeps the weights of the pass that was best on others. Samples without an
    /// outcome are passed over. Statistics for normalising come from the training samples alone.
    ///
    /// Threads of libtorch are fixed to `threads` for the whole process. With one thread, the same call gives the same
    /// model; with more, libtorch may add up in another order and models differ in their last bits.
    ///
    /// # Errors
    /// No samples with outcomes, values in the table that are not finite, a loss that is not finite, failures of
    /// libtorch.
    #[expect(clippy::too_many_arguments, reason = "each is of its own kind and the two callers name them all")]
    pub fn train(
        table: &Table,
        train: &[Sample],
        validation: &[Sample],
        columns: &[FeatureId],
        settings: &TftSettings,
        seed: u64,
        threads: u32,
        progress: &dyn Progress,
    ) -> Result<(Self, TftHistory), TftError> {
        let train = with_outcome(table, train, "training")?;
        let validation = thinned(with_outcome(table, validation, "validation")?);
        train.iter().chain(&validation).try_for_each(|sample| check(table, settings.window as usize, *sample))?;
        let inputs = Inputs::fit(table, &train, columns, settings.window as usize)?;
        let batches = Batches::new(table, &inputs)?;
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        fix_threads(threads);
        tch::manual_seed(hash64(&[b"tft", &seed.to_le_bytes()]).cast_signed());
        let (store, network) = Self::network(&inputs, settings.hidden, settings.heads)?;
        let run = Run { settings, seed, batches: &batches, train, validation, store: &store, network: &network };
        let history = run.learn(progress)?;
        Ok((Self::new(inputs, settings.hidden, settings.heads, store, network)?, history))
    }
}

/// The samples that have an outcome.
fn with_outcome(table: &Table, samples: &[Sample], what: &'static str) -> Result<Vec<Sample>, TftError> {
    let known: Vec<Sample> = samples.iter().copied().filter(|sample| table.outcome(*sample).is_some()).collect();
    if known.is_empty() { Err(TftError::NoSamples { what }) } else { Ok(known) }
}

/// At most [`VALIDATION_MAX`] of them, evenly.
fn thinned(samples: Vec<Sample>) -> Vec<Sample> {
    let count = samples.len().min(VALIDATION_MAX);
    (0..count).map(|at| samples[at * samples.len() / count]).collect()
}

/// One training.
struct Run<'a> {
    settings: &'a TftSettings,
    seed: u64,
    batches: &'a Batches<'a>,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    store: &'a VarStore,
    network: &'a Network,
}

impl Run<'_> {
    fn learn(&self, progress: &dyn Progress) -> Result<TftHistory, TftError> {
        let settings = self.settings;
        let mut optimizer = Adam::default().build(self.store, settings.learning_rate)?;
        let windows = match settings.windows_per_epoch as usize {
            0 => self.train.len(),
            wanted => wanted.min(self.train.len()),
        };
        let steps = windows.div_ceil(settings.batch as usize) as u64;
        let total = steps * u64::from(settings.epochs);
        progress.begin("transformer", total);
        let mut history = TftHistory { epochs: Vec::new(), best: 0, windows: 0 };
        let (mut lowest, mut best) = (f64::INFINITY, Vec::new());
        for epoch in 1..=settings.epochs {
            let drawn = self.draw(epoch, windows);
            let (mut sum, mut step) = (0.0, steps * u64::from(epoch - 1));
            for (n, chunk) in drawn.chunks(settings.batch as usize).enumerate() {
                optimizer.set_lr(settings.learning_rate * rate(step as f64 / total as f64));
                let batch = self.batches.batch(chunk, |at| self.hidden(epoch, n * settings.batch as usize + at))?;
                sum += self.step(&mut optimizer, &batch)? * chunk.len() as f64;
                step += 1;
                progress.step(1, "");
            }
            let judged = self.judge(sum / windows as f64)?;
            if !judged.training.is_finite() || !judged.validation.is_finite() {
                return Err(TftError::Diverged { epoch });
            }
            history.windows += windows as u64;
            history.epochs.push(judged);
            if judged.validation < lowest {
                (lowest, history.best) = (judged.validation, epoch);
                best = copies(self.store)?;
            }
            progress.step(0, &format!("pass {epoch}: validation loss {:.4}", judged.validation));
            if epoch - history.best >= settings.patience {
                break;
            }
        }
        restore(self.store, &best)?;
        progress.end();
        Ok(history)
    }

    /// The windows of a pass: drawn without replacement, in the order of the draw (Fisher and Yates).
    fn draw(&self, epoch: u32, windows: usize) -> Vec<Sample> {
        let key = hash64(&[b"tft windows", &self.seed.to_le_bytes(), &epoch.to_le_bytes()]);
        let mut samples = self.train.clone();
        for at in 0..windows {
            let left = samples.len() - at;
            samples.swap(at, at + below(left, unit_draw(key, at as u64)));
        }
        samples.truncate(windows);
        samples
    }

    /// Whether a window is shown without its symbol, so that the network learns what to say of one it does not know.
    fn hidden(&self, epoch: u32, at: usize) -> bool {
        const SHARE: f64 = 0.1;
        let key = hash64(&[b"tft hidden", &self.seed.to_le_bytes(), &epoch.to_le_bytes()]);
        unit_draw(key, at as u64) < SHARE
    }

    /// Learns from one batch; its loss before that.
    fn step(&self, optimizer: &mut Optimizer, batch: &Batch) -> Result<f64, TftError> {
        let said = self.forward(batch, Dropout(self.settings.dropout))?;
        let direction = log_loss(&said.direction, &batch.up, &batch.labelled)?;
        let direction = direction.f_div_scalar(batch.labels.max(1.0))?;
        let loss = pinball(&said.quantiles, &batch.targets)?.f_add(&direction)?;
        optimizer.zero_grad();
        loss.f_backward()?;
        optimizer.clip_grad_norm(GRADIENT_MAX);
        optimizer.step();
        Ok(loss.f_double_value(&[])?)
    }

    fn forward(&self, batch: &Batch, drop: Dropout) -> Result<Said, TchError> {
        let (context, _) = self.network.context(&batch.ids, &batch.levels, drop)?;
        let (past, _) = self.network.select_past(&batch.past, &context.selection, drop)?;
        let (future, _) = self.network.select_future(&batch.known, &context.selection, drop)?;
        self.network.forecast(&past, &future, &context, drop)
    }

    /// The losses on validation, all symbols known.
    fn judge(&self, training: f64) -> Result<TftEpoch, TftError> {
        let (mut pinballs, mut log_losses, mut labels) = (0.0, 0.0, 0.0);
        for chunk in self.validation.chunks(self.settings.batch as usize) {
            let batch = self.batches.batch(chunk, |_| false)?;
            let (quantiles, direction) = no_grad(|| {
                let said = self.forward(&batch, Dropout::NONE)?;
                let direction = log_loss(&said.direction, &batch.up, &batch.labelled)?;
                Ok::<_, TchError>((pinball(&said.quantiles, &batch.targets)?, direction))
            })?;
            pinballs += quantiles.f_double_value(&[])? * chunk.len() as f64;
            log_losses += direction.f_double_value(&[])?;
            labels += batch.labels;
        }
        let pinball = pinballs / self.validation.len() as f64;
        let log_loss = log_losses / f64::max(labels, 1.0);
        Ok(TftEpoch { training, validation: pinball + log_loss, pinball, log_loss })
    }
}

/// The rate at a share of all steps, as a share of the highest: up a line, down a cosine.
fn rate(done: f64) -> f64 {
    let height = if done < WARM_UP {
        done / WARM_UP
    } else {
        let down = ((done - WARM_UP) / (1.0 - WARM_UP)).min(1.0);
        0.5 + 0.5 * (std::f64::consts::PI * down).cos()
    };
    RATE_LOW + (1.0 - RATE_LOW) * height
}

/// A whole number under `count` from a draw in `[0, 1)`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "under `count` and not negative")]
fn below(count: usize, draw: f64) -> usize {
    ((count as f64 * draw) as usize).min(count - 1)
}

fn copies(store: &VarStore) -> Result<Vec<Tensor>, TchError> {
    no_grad(|| store.trainable_variables().iter().map(|tensor| tensor.f_detach_copy()).collect())
}

fn restore(store: &VarStore, values: &[Tensor]) -> Result<(), TchError> {
    let mut places = store.trainable_variables();
    no_grad(|| places.iter_mut().zip(values).try_for_each(|(place, value)| place.f_copy_(value)))
}
