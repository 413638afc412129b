//! The building blocks of the network: linear maps, gates, gated residual networks (Lim et al. 2021, section 4.1).

use tch::nn::{Init, Path};
use tch::{TchError, Tensor};

/// Added to the variance in layer normalisation.
const EPSILON: f64 = 1e-5;

/// Share of activations that are dropped in this pass: nothing while forecasting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout(pub(super) f64);

impl Dropout {
    pub(super) const NONE: Self = Self(0.0);

    pub(super) fn apply(self, x: Tensor) -> Result<Tensor, TchError> {
        if self.0 > 0.0 { x.f_dropout(self.0, true) } else { Ok(x) }
    }
}

/// Uniform within the root of the inverse number of inputs, as is usual for linear maps.
pub(super) fn uniform(inputs: i64) -> Init {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

/// `W x + b` over the last dimension.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(super) fn new(path: &Path<'_>, inputs: i64, outputs: i64) -> Result<Self, TchError> {
        Ok(Self {
            weight: path.f_var("weight", &[outputs, inputs], uniform(inputs))?,
            bias: path.f_var("bias", &[outputs], Init::Const(0.0))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// Layer normalisation over the last dimension (Ba et al. 2016).
#[derive(Debug)]
pub(super) struct Norm {
    width: i64,
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    pub(super) fn new(path: &Path<'_>, width: i64) -> Result<Self, TchError> {
        Ok(Self {
            width,
            weight: path.f_var("weight", &[width], Init::Const(1.0))?,
            bias: path.f_var("bias", &[width], Init::Const(0.0))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_layer_norm([self.width], Some(&self.weight), Some(&self.bias), EPSILON, false)
    }
}

/// Layer normalisation without weights of its own.
pub(super) fn normalise(x: &Tensor, width: i64) -> Result<Tensor, TchError> {
    x.f_layer_norm([width], None::<&Tensor>, None::<&Tensor>, EPSILON, false)
}

/// A gated linear unit with a residual: `norm(residual + GLU(dropout(x)))` (Dauphin et al. 2017).
#[derive(Debug)]
pub(super) struct GatedSkip {
    gate: Linear,
    norm: Norm,
}

impl GatedSkip {
    pub(super) fn new(path: &Path<'_>, inputs: i64, outputs: i64) -> Result<Self, TchError> {
        Ok(Self {
            gate: Linear::new(&path.sub("gate"), inputs, 2 * outputs)?,
            norm: Norm::new(&path.sub("norm"), outputs)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor, residual: &Tensor, dropout: Dropout) -> Result<Tensor, TchError> {
        let gated = self.gate.forward(&dropout.apply(x)?)?.f_glu(-1)?;
        self.norm.forward(&gated.f_add(residual)?)
    }
}

/// A gated residual network: `norm(a + GLU(W1 ELU(W2 a + W3 c)))`, where `c` is an optional context.
#[derive(Debug)]
pub(super) struct Grn {
    first: Linear,
    context: Option<Linear>,
    second: Linear,
    /// Brings the residual to the width of the output, where the two differ.
    skip: Option<Linear>,
    gate: GatedSkip,
}

impl Grn {
    /// From `inputs` to `outputs` with `hidden` in between.
    pub(super) fn new(path: &Path<'_>, inputs: i64, hidden: i64, outputs: i64) -> Result<Self, TchError> {
        let skip = (inputs != outputs).then(|| Linear::new(&path.sub("skip"), inputs, outputs)).transpose()?;
        Ok(Self {
            first: Linear::new(&path.sub("first"), inputs, hidden)?,
            context: None,
            second: Linear::new(&path.sub("second"), hidden, hidden)?,
            skip,
            gate: GatedSkip::new(path, hidden, outputs)?,
        })
    }

    /// One that also reads a context of width `hidden`.
    pub(super) fn with_context(path: &Path<'_>, inputs: i64, hidden: i64, outputs: i64) -> Result<Self, TchError> {
        let context = Some(Linear::new(&path.sub("context"), hidden, hidden)?);
        Ok(Self { context, ..Self::new(path, inputs, hidden, outputs)? })
    }

    /// `context` is broadcast over `x`; one that was not built for a context does not read it.
    pub(super) fn forward(&self, x: &Tensor, context: Option<&Tensor>, dropout: Dropout) -> Result<Tensor, TchError> {
        let mut inner = self.first.forward(x)?;
        if let (Some(linear), Some(context)) = (&self.context, context) {
            inner = inner.f_add(&linear.forward(context)?)?;
        }
        let inner = self.second.forward(&inner.f_elu()?)?;
        match &self.skip {
            Some(skip) => self.gate.forward(inner, &skip.forward(x)?, dropout),
            None => self.gate.forward(inner, x, dropout),
        }
    }
}
