//! The network once more, in plain arithmetic: what forecasts are computed with.
//!
//! libtorch's last bits depend on the size of a batch, on the place of a row in it, on threads and on the processor, and
//! a forecast must depend on its question alone. A test holds this against the network that was trained.

mod arithmetic;
mod layers;

use tch::TchError;
use tch::nn::VarStore;

use super::loss::QUANTILES;
use arithmetic::{elu, softmax, standardise};
use layers::{GatedSkip, Grn, Linear, Lstm, Weights, add, glu, multiply};

/// What the network says of the horizon.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// As in [`super::network::Said`].
    pub(super) quantiles: [f32; QUANTILES.len()],
    /// Logit of a rise.
    pub(super) direction: f32,
}

/// The network with fixed weights, for the symbols that it knows.
#[derive(Debug)]
pub(super) struct Inference {
    hidden: usize,
    heads: usize,
    /// One for each symbol's number.
    contexts: Vec<Context>,
    past: Selection,
    future: Selection,
    encoder: Lstm,
    decoder: Lstm,
    after_lstm: GatedSkip,
    enrichment: Grn,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    after_attention: GatedSkip,
    feed_forward: Grn,
    last: GatedSkip,
    quantiles: Linear,
    direction: Linear,
}

/// See [`super::network::Context`].
#[derive(Debug)]
struct Context {
    selection: Vec<f32>,
    state: Vec<f32>,
    cell: Vec<f32>,
    enrichment: Vec<f32>,
}

impl Inference {
    /// Of the weights in a store; `levels` are those of all symbols' numbers.
    pub(super) fn new(store: &VarStore, hidden: usize, heads: usize, levels: &[f32]) -> Result<Self, TchError> {
        let weights = Weights::of(store)?;
        let linear = |name: &str| Linear::new(&weights, name);
        let gated = |name: &str| GatedSkip::new(&weights, name);
        Ok(Self {
            hidden,
            heads,
            contexts: contexts(&weights, hidden, levels)?,
            past: Selection::new(&weights, "past", hidden)?,
            future: Selection::new(&weights, "future", hidden)?,
            encoder: Lstm::new(&weights, "encoder")?,
            decoder: Lstm::new(&weights, "decoder")?,
            after_lstm: gated("after_lstm")?,
            enrichment: Grn::new(&weights, "enrichment")?,
            query: linear("attention.query")?,
            key: linear("attention.key")?,
            value: linear("attention.value")?,
            attended: linear("attention.out")?,
            after_attention: gated("after_attention")?,
            feed_forward: Grn::new(&weights, "feed_forward")?,
            last: gated("last")?,
            quantiles: linear("quantiles")?,
            direction: linear("direction")?,
        })
    }

    /// What is selected of one past row of normalised columns: `hidden` numbers.
    pub(super) fn select(&self, number: usize, row: &[f32]) -> Vec<f32> {
        self.past.forward(row, &self.contexts[number].selection)
    }

    /// From what was selected of past rows and the calendar of future steps, each row after row, to what is said of the
    /// last of these steps.
    pub(super) fn forecast(&self, number: usize, past: &[f32], known: &[f32]) -> Words {
        let (width, context) = (self.hidden, &self.contexts[number]);
        let mut selected = past.to_vec();
        for step in known.chunks_exact(super::inputs::KNOWN.len()) {
            selected.extend(self.future.forward(step, &context.selection));
        }
        let (mut state, mut cell) = (context.state.clone(), context.cell.clone());
        let mut sequence = self.encoder.forward(past, &mut state, &mut cell);
        sequence.extend(self.decoder.forward(&selected[past.len()..], &mut state, &mut cell));
        let sequence = self.after_lstm.forward(&sequence, &selected);
        let enriched = self.enrichment.forward(&sequence, Some(&context.enrichment));
        let end = sequence.len() - width;
        let seen = self.attended.forward(&self.attend(&enriched));
        let attended = self.after_attention.forward(&seen, &enriched[end..]);
        let thought = self.feed_forward.forward(&attended, None);
        let out = self.last.forward(&thought, &sequence[end..]);
        let mut quantiles = [0.0; QUANTILES.len()];
        quantiles.copy_from_slice(&self.quantiles.forward(&out));
        Words { quantiles, direction: self.direction.forward(&out)[0] }
    }

    /// The values of all steps, weighted by how much the last step attends to them: the mean over heads.
    fn attend(&self, x: &[f32]) -> Vec<f32> {
        let width = self.hidden / self.heads;
        let query = self.query.forward(&x[x.len() - self.hidden..]);
        let keys = self.key.forward(x);
        let values = self.value.forward(x);
        let mut seen = vec![0.0; width];
        for head in 0..self.heads {
            let part = head * width..(head + 1) * width;
            let product =
                |key: &[f32]| query[part.clone()].iter().zip(&key[part.clone()]).map(|(q, k)| q * k).sum::<f32>();
            let mut weights: Vec<f32> =
                keys.chunks_exact(self.hidden).map(|key| product(key) / (width as f32).sqrt()).collect();
            softmax(&mut weights);
            multiply(&weights, &values, &mut seen);
        }
        seen.iter_mut().for_each(|x| *x /= self.heads as f32);
        seen
    }
}

/// The contexts of all symbols' numbers.
fn contexts(weights: &Weights, hidden: usize, levels: &[f32]) -> Result<Vec<Context>, TchError> {
    let grn = |name: &str| Grn::new(weights, name);
    let symbols = weights.get("static.symbols")?;
    let level_embedding = Linear::new(weights, "static.level")?;
    let (of_weights, of_symbol, of_level) =
        (grn("static.weights")?, grn("static.symbol_network")?, grn("static.level_network")?);
    let (selection, state) = (grn("context_selection")?, grn("context_state")?);
    let (cell, enrichment) = (grn("context_cell")?, grn("context_enrichment")?);
    let context = |(symbol, level): (&[f32], &f32)| {
        let level = level_embedding.forward(std::slice::from_ref(level));
        let mut shares = of_weights.forward(&[symbol, &level].concat(), None);
        softmax(&mut shares);
        let networks = [of_symbol.forward(symbol, None), of_level.forward(&level, None)].concat();
        let mut selected = vec![0.0; hidden];
        multiply(&shares, &networks, &mut selected);
        Context {
            selection: selection.forward(&selected, None),
            state: state.forward(&selected, None),
            cell: cell.forward(&selected, None),
            enrichment: enrichment.forward(&selected, None),
        }
    };
    Ok(symbols.chunks_exact(hidden).zip(levels).map(context).collect())
}

/// See [`super::selection::Selection`].
#[derive(Debug)]
struct Selection {
    hidden: usize,
    weights: Grn,
    first: Vec<f32>,
    first_bias: Vec<f32>,
    gate: Vec<f32>,
    gate_bias: Vec<f32>,
    skip: Vec<f32>,
    skip_bias: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Selection {
    fn new(weights: &Weights, name: &str, hidden: usize) -> Result<Self, TchError> {
        let own = |part: &str| weights.get(&format!("{name}.{part}"));
        Ok(Self {
            hidden,
            weights: Grn::new(weights, &format!("{name}.weights"))?,
            first: own("first")?,
            first_bias: own("first_bias")?,
            gate: own("gate")?,
            gate_bias: own("gate_bias")?,
            skip: own("skip")?,
            skip_bias: own("skip_bias")?,
            scale: own("scale")?,
            shift: own("shift")?,
        })
    }

    fn forward(&self, row: &[f32], context: &[f32]) -> Vec<f32> {
        let width = self.hidden;
        let mut shares = self.weights.forward(row, Some(context));
        softmax(&mut shares);
        let mut selected = vec![0.0; width];
        for (variable, (x, share)) in row.iter().zip(&shares).enumerate() {
            let own = variable * width..(variable + 1) * width;
            let line = |bias: &[f32], slope: &[f32]| -> Vec<f32> {
                bias[own.clone()].iter().zip(&slope[own.clone()]).map(|(bias, slope)| bias + x * slope).collect()
            };
            let mut inner = line(&self.first_bias, &self.first);
            inner.iter_mut().for_each(|x| *x = elu(*x));
            let mut gates = self.gate_bias[2 * own.start..2 * own.end].to_vec();
            multiply(&inner, &self.gate[2 * width * own.start..2 * width * own.end], &mut gates);
            let mut value = glu(&gates, width);
            add(&mut value, &line(&self.skip_bias, &self.skip));
            standardise(&mut value);
            let frozen = self.scale[own.clone()].iter().zip(&self.shift[own.clone()]);
            for ((selected, value), (scale, shift)) in selected.iter_mut().zip(&value).zip(frozen) {
                *selected += share * (value * scale + shift);
            }
        }
        selected
    }
}
