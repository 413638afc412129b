//! Forecasting.

use levibot_core::domain::{Symbol, Ts};
use levibot_core::forecast::{INPUTS, WINDOW};

use super::inference::Words;
use super::loss::{QUANTILES, ordered_numbers};
use super::{Tft, TftError};

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
    /// A window of another length or with a value that is not finite, before any of the batch is computed; outputs that
    /// are not finite.
    pub fn predict(&self, batch: &[TftInput<'_>]) -> Result<Vec<TftOutput>, TftError> {
        check(batch)?;
        let mut outputs = Vec::with_capacity(batch.len());
        let mut past = Vec::with_capacity(self.inputs.window * self.hidden as usize);
        let mut known = Vec::new();
        for (index, input) in batch.iter().enumerate() {
            let number = self.inputs.number(input.symbol);
            past.clear();
            known.clear();
            self.selected(number, input.window, &mut past);
            self.inputs.known(input.bar, &mut known);
            let words = self.inference.forecast(number, &past, &known);
            outputs.push(self.output(input, &words).ok_or(TftError::Output { index })?);
        }
        Ok(outputs)
    }

    /// Adds what is selected of the window's rows to `past`: from the cache where it is known, else computed.
    fn selected(&self, number: usize, window: &[f32], past: &mut Vec<f32>) {
        let places = self.inputs.places();
        let mut cache = self.cache();
        let (mut key, mut values) = (Vec::new(), Vec::new());
        for row in window.chunks_exact(INPUTS).skip(WINDOW - self.inputs.window) {
            key.clear();
            key.push(u32::try_from(number).unwrap_or(u32::MAX));
            key.extend(places.iter().map(|at| row[*at].to_bits()));
            if let Some(selected) = cache.get(&key) {
                past.extend_from_slice(selected);
                continue;
            }
            values.clear();
            self.inputs.normalise(row, &places, &mut values);
            let selected = self.inference.select(number, &values);
            past.extend_from_slice(&selected);
            cache.insert(key.as_slice().into(), selected.into());
        }
    }

    /// Brings what the network says back to prices; `None` when it is not finite.
    fn output(&self, input: &TftInput<'_>, words: &Words) -> Option<TftOutput> {
        let scale = self.inputs.scales(&input.window[(WINDOW - 1) * INPUTS..]).last()?;
        let quantiles = ordered_numbers(words.quantiles).map(|quantile| quantile * scale);
        let prob_up = 1.0 / (1.0 + (-f64::from(words.direction)).exp());
        (prob_up.is_finite() && quantiles.iter().all(|x| x.is_finite())).then_some(TftOutput { prob_up, quantiles })
    }
}

/// Refuses windows that are not whole or not finite.
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
