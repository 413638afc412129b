//! Why it says what it says: the weights of variables and the attention to steps (Lim et al. 2021, section 7).

use levibot_core::features::FeatureId;
use levibot_core::forecast::{INPUTS, WINDOW};
use tch::{Kind, TchError, Tensor, no_grad};

use super::inputs::KNOWN;
use super::layers::Dropout;
use super::network::Said;
use super::predict::check;
use super::selection::STATICS;
use super::{Tft, TftError, TftInput};

/// What a forecast looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct TftExplanation {
    /// Mean weight of each column over the past bars; they add up to 1.
    pub past: Vec<(FeatureId, f32)>,
    /// Mean weight of each part of the calendar over the future bars; they add up to 1.
    pub future: Vec<(FeatureId, f32)>,
    /// Weights of the symbol itself and of how much it usually moves; they add up to 1.
    pub statics: Vec<(&'static str, f32)>,
    /// How much the forecast of the horizon attends to each past bar, oldest first, then to each future bar that is
    /// forecast; they add up to 1.
    pub attention: Vec<f32>,
}

impl Tft {
    /// Explains the forecast of one bar. Much slower than [`Tft::predict`].
    ///
    /// # Errors
    /// Those of [`Tft::predict`].
    pub fn explain(&self, input: &TftInput<'_>) -> Result<TftExplanation, TftError> {
        check(std::slice::from_ref(input))?;
        no_grad(|| self.explained(input))
    }

    fn explained(&self, input: &TftInput<'_>) -> Result<TftExplanation, TftError> {
        let (said, [past, future, statics]) = self.computed(input)?;
        let mean = |weights: &Tensor| numbers(&weights.f_mean_dim([1_i64].as_slice(), false, Kind::Float)?);
        Ok(TftExplanation {
            past: self.inputs.columns.iter().copied().zip(mean(&past)?).collect(),
            future: KNOWN.into_iter().zip(mean(&future)?).collect(),
            statics: STATICS.into_iter().zip(numbers(&statics)?).collect(),
            attention: numbers(&said.attention.f_select(1, -1)?)?,
        })
    }

    /// What the network as it was trained says of one bar, and the weights of past, future and static variables.
    pub(super) fn computed(&self, input: &TftInput<'_>) -> Result<(Said, [Tensor; 3]), TftError> {
        let inputs = &self.inputs;
        let places = inputs.places();
        let (mut past, mut known) = (Vec::new(), Vec::new());
        for row in input.window.chunks_exact(INPUTS).skip(WINDOW - inputs.window) {
            inputs.normalise(row, &places, &mut past);
        }
        inputs.known(input.bar, &mut known);
        let number = inputs.number(input.symbol);
        let ids = Tensor::f_from_slice(&[i64::try_from(number).unwrap_or(0)])?;
        let levels = Tensor::f_from_slice(&[inputs.levels()[number]])?.f_reshape([1, 1])?;
        let (context, of_statics) = self.network.context(&ids, &levels, Dropout::NONE)?;
        let past = shaped(&past, [1, inputs.window, places.len()])?;
        let known = shaped(&known, [1, inputs.steps.len(), KNOWN.len()])?;
        let (past, of_past) = self.network.select_past(&past, &context.selection, Dropout::NONE)?;
        let (future, of_future) = self.network.select_future(&known, &context.selection, Dropout::NONE)?;
        let said = self.network.forecast(&past, &future, &context, Dropout::NONE)?;
        Ok((said, [of_past, of_future, of_statics]))
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.f_contiguous()?.f_copy_data(&mut numbers, tensor.numel())?;
    Ok(numbers)
}

/// A tensor of three dimensions with these values.
fn shaped(values: &[f32], shape: [usize; 3]) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_reshape(shape.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
}
