//! Forecasting. Native code is called with [`BATCH`] windows or [`ROWS`] rows, padded with zeros, and never with another
//! number: libtorch's last bits depend on it.

use std::collections::HashMap;

use levibot_core::domain::{Symbol, Ts};
use levibot_core::forecast::{INPUTS, WINDOW};
use tch::{TchError, Tensor, no_grad};

use super::cache::Key;
use super::inputs::KNOWN;
use super::layers::Dropout;
use super::loss::{QUANTILES, ordered_numbers};
use super::{Tft, TftError};

/// Windows that are computed together.
const BATCH: usize = 16;
/// Rows whose variables are selected together.
const ROWS: usize = 32;

/// A bar in question.
#[derive(Debug, Clone, Copy)]
pub struct TftInput<'a> {
    /// Whose.
    pub symbol: Symbol,
    /// Close of the bar.
    pub bar: Ts,
    /// [`WINDOW`] rows of [`INPUTS`] values, oldest first, the last of which is the bar's own.
    pub window: &'a [f32],
}

/// What the transformer says of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TftOutput {
    /// Probability that the price rises over the horizon, given that it moves by more than a round trip costs; 0 to 1,
    /// not calibrated.
    pub prob_up: f64,
    /// The 10 %, 50 % and 90 % quantiles of the log return over the horizon, ascending.
    pub quantiles: [f64; QUANTILES.len()],
}

impl Tft {
    /// Forecasts bars of [`Tft::timeframe`], in their order. Equal questions get equal bits, whatever they are asked
    /// together with or after.
    ///
    /// # Errors
    /// A window of another length or with a value that is not finite, before native code sees any of the batch; outputs
    /// that are not finite; failures of libtorch.
    pub fn predict(&self, batch: &[TftInput<'_>]) -> Result<Vec<TftOutput>, TftError> {
        check(batch)?;
        let mut outputs = Vec::with_capacity(batch.len());
        for (at, chunk) in batch.chunks(BATCH).enumerate() {
            let (quantiles, logits) = no_grad(|| self.raw(chunk))?;
            for (row, input) in chunk.iter().enumerate() {
                let output = self.output(input, &quantiles[row], logits[row]);
                outputs.push(output.ok_or(TftError::Output { index: at * BATCH + row })?);
            }
        }
        Ok(outputs)
    }

    /// The quantiles of the horizon and the logits that the network says for at most [`BATCH`] windows, with padding.
    fn raw(&self, chunk: &[TftInput<'_>]) -> Result<(Vec<[f32; QUANTILES.len()]>, Vec<f32>), TftError> {
        let (window, hidden) = (self.inputs.window, self.hidden as usize);
        let mut ids = [0_i64; BATCH];
        let mut past = vec![0.0; BATCH * window * hidden];
        let mut known = Vec::with_capacity(BATCH * self.inputs.steps.len() * KNOWN.len());
        self.selected_rows(chunk, &mut past)?;
        for (id, input) in ids.iter_mut().zip(chunk) {
            *id = i64::try_from(self.inputs.number(input.symbol)).unwrap_or(0);
            self.inputs.known(input.bar, &mut known);
        }
        known.resize(known.capacity(), 0.0);
        let context = self.contexts.rows(&Tensor::f_from_slice(&ids)?)?;
        let past = shaped(&past, [BATCH, window, hidden])?;
        let known = shaped(&known, [BATCH, self.inputs.steps.len(), KNOWN.len()])?;
        let (future, _) = self.network.select_future(&known, &context.selection, Dropout::NONE)?;
        let said = self.network.forecast(&past, &future, &context, Dropout::NONE)?;
        let mut quantiles = vec![0.0; BATCH * QUANTILES.len()];
        said.quantiles.f_select(1, -1)?.f_contiguous()?.f_copy_data(&mut quantiles, BATCH * QUANTILES.len())?;
        let mut logits = vec![0.0; BATCH];
        said.direction.f_contiguous()?.f_copy_data(&mut logits, BATCH)?;
        Ok((quantiles.as_chunks().0.to_vec(), logits))
    }

    /// Writes what is selected of the windows' rows into `past`, `[windows, rows, hidden]`: from the cache where it is
    /// known, else computed, which gives the same bits.
    fn selected_rows(&self, chunk: &[TftInput<'_>], past: &mut [f32]) -> Result<(), TftError> {
        let (window, hidden) = (self.inputs.window, self.hidden as usize);
        let places = self.inputs.places();
        let mut missing: HashMap<Key, usize> = HashMap::new();
        let mut rows: Vec<(i64, &[f32])> = Vec::new();
        let mut gaps: Vec<(usize, usize)> = Vec::new();
        let mut cache = self.cache();
        let mut key = Vec::with_capacity(places.len() + 1);
        for (n, input) in chunk.iter().enumerate() {
            let number = self.inputs.number(input.symbol);
            for (step, row) in input.window.chunks_exact(INPUTS).skip(WINDOW - window).enumerate() {
                key.clear();
                key.push(u32::try_from(number).unwrap_or(0));
                key.extend(places.iter().map(|at| row[*at].to_bits()));
                let start = (n * window + step) * hidden;
                if let Some(selected) = cache.get(&key) {
                    past[start..start + hidden].copy_from_slice(selected);
                    continue;
                }
                let at = *missing.entry(key.as_slice().into()).or_insert_with(|| {
                    rows.push((i64::try_from(number).unwrap_or(0), row));
                    rows.len() - 1
                });
                gaps.push((start, at));
            }
        }
        let selected = self.select(&rows, &places)?;
        for (start, at) in gaps {
            past[start..start + hidden].copy_from_slice(&selected[at * hidden..(at + 1) * hidden]);
        }
        for (key, at) in missing {
            cache.insert(key, selected[at * hidden..(at + 1) * hidden].into());
        }
        Ok(())
    }

    /// Selects among the variables of rows, each with its symbol's number, [`ROWS`] at a time.
    fn select(&self, rows: &[(i64, &[f32])], places: &[usize]) -> Result<Vec<f32>, TftError> {
        let hidden = self.hidden as usize;
        let mut selected = Vec::with_capacity(rows.len().next_multiple_of(ROWS) * hidden);
        for chunk in rows.chunks(ROWS) {
            let mut ids = [0; ROWS];
            let mut values = Vec::with_capacity(ROWS * places.len());
            for (id, (number, row)) in ids.iter_mut().zip(chunk) {
                *id = *number;
                self.inputs.normalise(row, places, &mut values);
            }
            values.resize(ROWS * places.len(), 0.0);
            let contexts = self.contexts.selection.f_index_select(0, &Tensor::f_from_slice(&ids)?)?;
            let x = shaped(&values, [ROWS, 1, places.len()])?;
            let (x, _) = self.network.select_past(&x, &contexts, Dropout::NONE)?;
            let start = selected.len();
            selected.resize(start + ROWS * hidden, 0.0);
            x.f_contiguous()?.f_copy_data(&mut selected[start..], ROWS * hidden)?;
        }
        Ok(selected)
    }

    /// Brings what the network says back to prices; `None` when it is not finite.
    fn output(&self, input: &TftInput<'_>, raw: &[f32; QUANTILES.len()], logit: f32) -> Option<TftOutput> {
        let scale = self.inputs.scales(&input.window[(WINDOW - 1) * INPUTS..]).last()?;
        let quantiles = ordered_numbers(*raw).map(|quantile| quantile * scale);
        let prob_up = 1.0 / (1.0 + (-f64::from(logit)).exp());
        (prob_up.is_finite() && quantiles.iter().all(|x| x.is_finite())).then_some(TftOutput { prob_up, quantiles })
    }
}

/// A tensor of three dimensions with these values.
pub(super) fn shaped(values: &[f32], shape: [usize; 3]) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_reshape(shape.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
}

/// Refuses windows that native code must not see.
pub(super) fn check(batch: &[TftInput<'_>]) -> Result<(), TftError> {
    let wanted = WINDOW * INPUTS;
    for (index, input) in batch.iter().enumerate() {
        if input.window.len() != wanted {
            return Err(TftError::Length { index, found: input.window.len(), wanted });
        }
        if let Some(at) = input.window.iter().position(|x| !x.is_finite()) {
            return Err(TftError::NotFinite { index, at });
        }
    }
    Ok(())
}
