//! The blocks of [`super::super::layers`] in plain arithmetic. Sequences are rows, one after the other.

use std::collections::BTreeMap;

use tch::nn::VarStore;
use tch::{Kind, TchError};

use super::arithmetic::{elu, sigmoid, standardise, tanh};

/// All weights of a network by name.
#[derive(Debug)]
pub(super) struct Weights(BTreeMap<String, Vec<f32>>);

impl Weights {
    pub(super) fn of(store: &VarStore) -> Result<Self, TchError> {
        let mut weights = BTreeMap::new();
        for (name, tensor) in store.variables() {
            let mut values = vec![0.0; tensor.numel()];
            tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_copy_data(&mut values, tensor.numel())?;
            weights.insert(name, values);
        }
        Ok(Self(weights))
    }

    /// The weights of a name that the network has given them.
    pub(super) fn get(&self, name: &str) -> Result<Vec<f32>, TchError> {
        let missing = || TchError::TensorNameNotFound(name.to_owned(), "the network".to_owned());
        self.0.get(name).cloned().ok_or_else(missing)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// `W x + b` for each row.
#[derive(Debug)]
pub(super) struct Linear {
    inputs: usize,
    /// A row of outputs for each input, so that outputs can be computed side by side.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    pub(super) fn new(weights: &Weights, name: &str) -> Result<Self, TchError> {
        Self::named(weights, &format!("{name}.weight"), &format!("{name}.bias"))
    }

    fn named(weights: &Weights, weight: &str, bias: &str) -> Result<Self, TchError> {
        let (rows, bias) = (weights.get(weight)?, weights.get(bias)?);
        let (inputs, outputs) = (rows.len() / bias.len(), bias.len());
        let weight = (0..inputs * outputs).map(|at| rows[(at % outputs) * inputs + at / outputs]).collect();
        Ok(Self { inputs, weight, bias })
    }

    pub(super) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let outputs = self.bias.len();
        let mut out = Vec::with_capacity(x.len() / self.inputs * outputs);
        for row in x.chunks_exact(self.inputs) {
            let start = out.len();
            out.extend_from_slice(&self.bias);
            multiply(row, &self.weight, &mut out[start..]);
        }
        out
    }
}

/// Adds to `out` the weights of each input times the input; `weight` has a row as long as `out` for each. Every output is
/// added up in the order of the inputs; blocks of outputs are computed side by side.
pub(super) fn multiply(x: &[f32], weight: &[f32], out: &mut [f32]) {
    let width = out.len();
    let (wide, rest) = out.as_chunks_mut::<16>();
    let mut start = 0;
    for block in wide {
        add_products(x, weight, width, start, block);
        start += block.len();
    }
    let (narrow, rest) = rest.as_chunks_mut::<4>();
    for block in narrow {
        add_products(x, weight, width, start, block);
        start += block.len();
    }
    for out in rest {
        add_products(x, weight, width, start, std::array::from_mut(out));
        start += 1;
    }
}

/// The part of [`multiply`] for the outputs from `start` on.
#[inline]
fn add_products<const N: usize>(x: &[f32], weight: &[f32], width: usize, start: usize, out: &mut [f32; N]) {
    let mut sums = *out;
    for (x, row) in x.iter().zip(weight.chunks_exact(width)) {
        if let Some(row) = row.get(start..).and_then(<[f32]>::first_chunk::<N>) {
            sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += x * weight);
        }
    }
    *out = sums;
}

/// Adds numbers, place by place.
#[inline]
pub(super) fn add(to: &mut [f32], x: &[f32]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += x);
}

/// The first half of each row of `2 * width`, times the logistic function of the second.
pub(super) fn glu(x: &[f32], width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len() / 2);
    for row in x.chunks_exact(2 * width) {
        let (value, gate) = row.split_at(width);
        out.extend(value.iter().zip(gate).map(|(value, gate)| value * sigmoid(*gate)));
    }
    out
}

/// See [`super::super::layers::GatedSkip`].
#[derive(Debug)]
pub(super) struct GatedSkip {
    gate: Linear,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl GatedSkip {
    pub(super) fn new(weights: &Weights, name: &str) -> Result<Self, TchError> {
        Ok(Self {
            gate: Linear::new(weights, &format!("{name}.gate"))?,
            scale: weights.get(&format!("{name}.norm.weight"))?,
            shift: weights.get(&format!("{name}.norm.bias"))?,
        })
    }

    pub(super) fn forward(&self, x: &[f32], residual: &[f32]) -> Vec<f32> {
        let width = self.scale.len();
        let mut out = glu(&self.gate.forward(x), width);
        add(&mut out, residual);
        for row in out.chunks_exact_mut(width) {
            standardise(row);
            let frozen = self.scale.iter().zip(&self.shift);
            row.iter_mut().zip(frozen).for_each(|(x, (scale, shift))| *x = *x * scale + shift);
        }
        out
    }
}

/// See [`super::super::layers::Grn`].
#[derive(Debug)]
pub(super) struct Grn {
    first: Linear,
    context: Option<Linear>,
    second: Linear,
    skip: Option<Linear>,
    gate: GatedSkip,
}

impl Grn {
    pub(super) fn new(weights: &Weights, name: &str) -> Result<Self, TchError> {
        let optional = |part: &str| {
            let name = format!("{name}.{part}");
            weights.has(&format!("{name}.weight")).then(|| Linear::new(weights, &name)).transpose()
        };
        Ok(Self {
            first: Linear::new(weights, &format!("{name}.first"))?,
            context: optional("context")?,
            second: Linear::new(weights, &format!("{name}.second"))?,
            skip: optional("skip")?,
            gate: GatedSkip::new(weights, name)?,
        })
    }

    /// The same context goes to every row.
    pub(super) fn forward(&self, x: &[f32], context: Option<&[f32]>) -> Vec<f32> {
        let mut inner = self.first.forward(x);
        if let (Some(linear), Some(context)) = (&self.context, context) {
            let context = linear.forward(context);
            inner.chunks_exact_mut(context.len()).for_each(|row| add(row, &context));
        }
        inner.iter_mut().for_each(|x| *x = elu(*x));
        let inner = self.second.forward(&inner);
        match &self.skip {
            Some(skip) => self.gate.forward(&inner, &skip.forward(x)),
            None => self.gate.forward(&inner, x),
        }
    }
}

/// One layer of long short-term memory; gates in libtorch's order: input, forget, cell, output.
#[derive(Debug)]
pub(super) struct Lstm {
    input: Linear,
    state: Linear,
}

impl Lstm {
    pub(super) fn new(weights: &Weights, name: &str) -> Result<Self, TchError> {
        let part = |part: &str| Linear::named(weights, &format!("{name}.{part}"), &format!("{name}.{part}_bias"));
        Ok(Self { input: part("input")?, state: part("state")? })
    }

    /// Hidden states of all steps; `state` and `cell` are those before, and afterwards those after.
    pub(super) fn forward(&self, x: &[f32], state: &mut [f32], cell: &mut [f32]) -> Vec<f32> {
        let width = cell.len();
        let mut out = Vec::with_capacity(x.len());
        for from_input in self.input.forward(x).chunks_exact(4 * width) {
            let mut gates = self.state.forward(state);
            add(&mut gates, from_input);
            let (sigmoids, rest) = gates.split_at_mut(2 * width);
            let (candidates, outputs) = rest.split_at_mut(width);
            sigmoids.iter_mut().for_each(|x| *x = sigmoid(*x));
            outputs.iter_mut().for_each(|x| *x = sigmoid(*x));
            candidates.iter_mut().for_each(|x| *x = tanh(*x));
            let (inputs, forgets) = sigmoids.split_at(width);
            for (at, cell) in cell.iter_mut().enumerate() {
                *cell = forgets[at] * *cell + inputs[at] * candidates[at];
                state[at] = outputs[at] * tanh(*cell);
            }
            out.extend_from_slice(state);
        }
        out
    }
}
