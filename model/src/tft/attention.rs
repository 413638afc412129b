//! Interpretable multi-head attention (Lim et al. 2021, section 4.4).

use tch::nn::Path;
use tch::{Device, Kind, TchError, Tensor};

use super::layers::{Dropout, Linear};

/// Heads of their own queries and keys over values that all share, so that their mean says which steps were looked at.
#[derive(Debug)]
pub(super) struct Attention {
    heads: i64,
    width: i64,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl Attention {
    pub(super) fn new(path: &Path<'_>, hidden: i64, heads: i64) -> Result<Self, TchError> {
        let width = hidden / heads;
        Ok(Self {
            heads,
            width,
            query: Linear::new(&path.sub("query"), hidden, hidden)?,
            key: Linear::new(&path.sub("key"), hidden, hidden)?,
            value: Linear::new(&path.sub("value"), hidden, width)?,
            out: Linear::new(&path.sub("out"), width, hidden)?,
        })
    }

    /// The last `future` of all steps ask, and each sees the steps up to its own. From `[batch, steps, hidden]` to
    /// `[batch, future, hidden]` and the heads' mean of who was looked at, `[batch, future, steps]`.
    pub(super) fn forward(&self, x: &Tensor, future: i64, drop: Dropout) -> Result<(Tensor, Tensor), TchError> {
        let (batch, steps, _) = x.size3()?;
        let split = |t: Tensor, n: i64| t.f_reshape([batch, n, self.heads, self.width])?.f_transpose(1, 2);
        let asking = x.f_narrow(1, steps - future, future)?;
        let queries = split(self.query.forward(&asking)?, future)?;
        let keys = split(self.key.forward(x)?, steps)?;
        let scores = queries.f_matmul(&keys.f_transpose(2, 3)?)?.f_mul_scalar(1.0 / (self.width as f64).sqrt())?;
        let later = Tensor::f_ones([future, steps], (Kind::Float, Device::Cpu))?.f_triu(steps - future + 1)?;
        let scores = scores.f_masked_fill(&later.f_gt(0.5)?, f64::NEG_INFINITY)?;
        let weights = scores.f_softmax(-1, None::<Kind>)?.f_mean_dim([1_i64].as_slice(), false, None::<Kind>)?;
        let seen = drop.apply(weights.shallow_clone())?.f_bmm(&self.value.forward(x)?)?;
        Ok((self.out.forward(&seen)?, weights))
    }
}
