//! The Temporal Fusion Transformer (Lim, Arik, Loeff, Pfister 2021: "Temporal Fusion Transformers for Interpretable
//! Multi-horizon Time Series Forecasting").

use tch::nn::{Init, Path};
use tch::{TchError, Tensor};

use super::attention::Attention;
use super::layers::{Dropout, GatedSkip, Grn, Linear, uniform};
use super::selection::{Selection, StaticSelection};

/// Its measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Width of all layers.
    pub(super) hidden: i64,
    /// Heads of attention; they divide `hidden`.
    pub(super) heads: i64,
    /// Variables of a past step.
    pub(super) past: i64,
    /// Variables of a future step.
    pub(super) known: i64,
    /// Symbols, the unknown one included.
    pub(super) vocabulary: i64,
    /// Quantiles a step: the lower ones, the median, the upper ones.
    pub(super) quantiles: i64,
}

/// The network. Its weights live in the store of the path that it was made in.
#[derive(Debug)]
pub(super) struct Network {
    statics: StaticSelection,
    contexts: [Grn; 4],
    past: Selection,
    future: Selection,
    encoder: Lstm,
    decoder: Lstm,
    after_lstm: GatedSkip,
    enrichment: Grn,
    attention: Attention,
    after_attention: GatedSkip,
    feed_forward: Grn,
    last: GatedSkip,
    quantiles: Linear,
    direction: Linear,
}

/// What a symbol's static variables say to the rest of the network, each `[batch, hidden]`.
#[derive(Debug)]
pub(super) struct Context {
    /// To variable selection.
    pub(super) selection: Tensor,
    /// The first hidden state.
    pub(super) state: Tensor,
    /// The first cell state.
    pub(super) cell: Tensor,
    /// To static enrichment.
    pub(super) enrichment: Tensor,
}

/// What the network says of a batch.
#[derive(Debug)]
pub(super) struct Said {
    /// `[batch, steps, quantiles]`: the median, and the logarithms of the exponentials less 1 of the distances between
    /// neighbouring quantiles, in units of the expected volatility.
    pub(super) quantiles: Tensor,
    /// Logit of a rise over the whole horizon, `[batch]`.
    pub(super) direction: Tensor,
    /// Who was looked at, `[batch, steps, past and future steps]`.
    pub(super) attention: Tensor,
}

impl Network {
    pub(super) fn new(path: &Path<'_>, shape: Shape) -> Result<Self, TchError> {
        let width = shape.hidden;
        let grn = |name: &str| Grn::new(&path.sub(name), width, width, width);
        let gated = |name: &str| GatedSkip::new(&path.sub(name), width, width);
        Ok(Self {
            statics: StaticSelection::new(&path.sub("static"), shape.vocabulary, width)?,
            contexts: [
                grn("context_selection")?,
                grn("context_state")?,
                grn("context_cell")?,
                grn("context_enrichment")?,
            ],
            past: Selection::new(&path.sub("past"), shape.past, width)?,
            future: Selection::new(&path.sub("future"), shape.known, width)?,
            encoder: Lstm::new(&path.sub("encoder"), width)?,
            decoder: Lstm::new(&path.sub("decoder"), width)?,
            after_lstm: gated("after_lstm")?,
            enrichment: Grn::with_context(&path.sub("enrichment"), width, width, width)?,
            attention: Attention::new(&path.sub("attention"), width, shape.heads)?,
            after_attention: gated("after_attention")?,
            feed_forward: grn("feed_forward")?,
            last: gated("last")?,
            quantiles: Linear::new(&path.sub("quantiles"), width, shape.quantiles)?,
            direction: Linear::new(&path.sub("direction"), width, 1)?,
        })
    }

    /// The context of symbols: their numbers `[batch]` and levels `[batch, 1]`. With it the weights of the two.
    pub(super) fn context(&self, ids: &Tensor, levels: &Tensor, drop: Dropout) -> Result<(Context, Tensor), TchError> {
        let (selected, weights) = self.statics.forward(ids, levels, drop)?;
        let [selection, state, cell, enrichment] = &self.contexts;
        let encode = |grn: &Grn| grn.forward(&selected, None, drop);
        let context = Context {
            selection: encode(selection)?,
            state: encode(state)?,
            cell: encode(cell)?,
            enrichment: encode(enrichment)?,
        };
        Ok((context, weights))
    }

    /// Selects among the variables of past steps, `[batch, steps, past]`; `selection` is that of [`Context`].
    pub(super) fn select_past(
        &self,
        x: &Tensor,
        selection: &Tensor,
        drop: Dropout,
    ) -> Result<(Tensor, Tensor), TchError> {
        self.past.forward(x, selection, drop)
    }

    /// Selects among the variables of future steps, `[batch, steps, known]`.
    pub(super) fn select_future(
        &self,
        x: &Tensor,
        selection: &Tensor,
        drop: Dropout,
    ) -> Result<(Tensor, Tensor), TchError> {
        self.future.forward(x, selection, drop)
    }

    /// From what was selected of past and future steps, `[batch, steps, hidden]` each, to what is said of the future.
    pub(super) fn forecast(
        &self,
        past: &Tensor,
        future: &Tensor,
        context: &Context,
        drop: Dropout,
    ) -> Result<Said, TchError> {
        let steps = future.size3()?.1;
        let states = (context.state.f_unsqueeze(0)?, context.cell.f_unsqueeze(0)?);
        let (encoded, states) = self.encoder.forward(past, &states)?;
        let (decoded, _) = self.decoder.forward(future, &states)?;
        let selected = Tensor::f_cat(&[past, future], 1)?;
        let sequence = self.after_lstm.forward(Tensor::f_cat(&[encoded, decoded], 1)?, &selected, drop)?;
        let enriched = self.enrichment.forward(&sequence, Some(&context.enrichment.f_unsqueeze(1)?), drop)?;
        let (seen, attention) = self.attention.forward(&enriched, steps, drop)?;
        let ending = |x: &Tensor| x.f_narrow(1, x.size3()?.1 - steps, steps);
        let attended = self.after_attention.forward(seen, &ending(&enriched)?, drop)?;
        let thought = self.feed_forward.forward(&attended, None, drop)?;
        let out = self.last.forward(thought, &ending(&sequence)?, Dropout::NONE)?;
        let direction = self.direction.forward(&out.f_select(1, steps - 1)?)?.f_squeeze_dim(-1)?;
        Ok(Said { quantiles: self.quantiles.forward(&out)?, direction, attention })
    }
}

/// One layer of long short-term memory (Hochreiter and Schmidhuber 1997).
#[derive(Debug)]
struct Lstm {
    weights: [Tensor; 4],
}

impl Lstm {
    fn new(path: &Path<'_>, width: i64) -> Result<Self, TchError> {
        let matrix = |name| path.f_var(name, &[4 * width, width], uniform(width));
        let bias = |name| path.f_var(name, &[4 * width], Init::Const(0.0));
        Ok(Self { weights: [matrix("input")?, matrix("state")?, bias("input_bias")?, bias("state_bias")?] })
    }

    fn forward(&self, x: &Tensor, from: &(Tensor, Tensor)) -> Result<(Tensor, (Tensor, Tensor)), TchError> {
        let (out, state, cell) =
            x.f_lstm(&[&from.0, &from.1], &self.weights.each_ref(), true, 1, 0.0, false, false, true)?;
        Ok((out, (state, cell)))
    }
}
