//! Variable selection networks (Lim et al. 2021, section 4.2).

use tch::nn::{Init, Path};
use tch::{Kind, TchError, Tensor};

use super::layers::{Dropout, Grn, Linear, normalise, uniform};

/// Selects among numeric variables of one step.
///
/// Every variable has an embedding and a gated residual network of its own. An embedding is a linear map of one number,
/// so embedding and first layer of the network are one linear map, and so are its second layer and its gate; what is
/// left is computed for all variables at once. The network of the weights reads the numbers themselves for the same
/// reason. What can be expressed is the same, at a fraction of the time.
#[derive(Debug)]
pub(super) struct Selection {
    variables: i64,
    hidden: i64,
    weights: Grn,
    first: Tensor,
    first_bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    skip: Tensor,
    skip_bias: Tensor,
    scale: Tensor,
    shift: Tensor,
}

impl Selection {
    pub(super) fn new(path: &Path<'_>, variables: i64, hidden: i64) -> Result<Self, TchError> {
        let own = |name: &str, shape: [i64; 3], init| path.f_var(name, &shape, init);
        let row = [variables, 1, hidden];
        Ok(Self {
            variables,
            hidden,
            weights: Grn::with_context(&path.sub("weights"), variables, hidden, variables)?,
            first: own("first", row, uniform(1))?,
            first_bias: own("first_bias", row, uniform(1))?,
            gate: own("gate", [variables, hidden, 2 * hidden], uniform(hidden))?,
            gate_bias: own("gate_bias", [variables, 1, 2 * hidden], Init::Const(0.0))?,
            skip: own("skip", row, uniform(1))?,
            skip_bias: own("skip_bias", row, uniform(1))?,
            scale: own("scale", row, Init::Const(1.0))?,
            shift: own("shift", row, Init::Const(0.0))?,
        })
    }

    /// From `[batch, steps, variables]` and a context `[batch, hidden]` to what is selected, `[batch, steps, hidden]`,
    /// and the weights of the variables, `[batch, steps, variables]`, which add up to 1 at each step.
    pub(super) fn forward(&self, x: &Tensor, context: &Tensor, drop: Dropout) -> Result<(Tensor, Tensor), TchError> {
        let (batch, steps, _) = x.size3()?;
        let (rows, hidden) = (batch * steps, self.hidden);
        let weights = self.weights.forward(x, Some(&context.f_unsqueeze(1)?), drop)?.f_softmax(-1, None::<Kind>)?;
        let flat = |t: &Tensor| t.f_reshape([rows, self.variables])?.f_transpose(0, 1)?.f_unsqueeze(-1);
        let number = flat(x)?.f_contiguous()?;
        let inner = drop.apply(self.first_bias.f_addcmul(&number, &self.first)?.f_elu()?)?;
        let gated = self.gate_bias.f_baddbmm(&inner, &self.gate, 1.0, 1.0)?.f_glu(-1)?;
        let residual = self.skip_bias.f_addcmul(&number, &self.skip)?;
        let normal = normalise(&gated.f_add(&residual)?, hidden)?;
        let values = self.shift.f_addcmul(&normal, &self.scale)?;
        let selected = values.f_mul(&flat(&weights)?)?.f_sum_dim_intlist([0_i64].as_slice(), false, None::<Kind>)?;
        Ok((selected.f_reshape([batch, steps, hidden])?, weights))
    }
}

/// Selects among what never changes for a symbol: which one it is, and how much it usually moves.
#[derive(Debug)]
pub(super) struct StaticSelection {
    hidden: i64,
    symbols: Tensor,
    level: Linear,
    weights: Grn,
    symbol_network: Grn,
    level_network: Grn,
}

/// Static variables, in the order of their weights.
pub(super) const STATICS: [&str; 2] = ["symbol", "volatility_level"];

impl StaticSelection {
    pub(super) fn new(path: &Path<'_>, vocabulary: i64, hidden: i64) -> Result<Self, TchError> {
        let grn = |name: &str| Grn::new(&path.sub(name), hidden, hidden, hidden);
        Ok(Self {
            hidden,
            symbols: path.f_var("symbols", &[vocabulary, hidden], Init::Randn { mean: 0.0, stdev: 0.3 })?,
            level: Linear::new(&path.sub("level"), 1, hidden)?,
            weights: Grn::new(&path.sub("weights"), 2 * hidden, hidden, 2)?,
            symbol_network: grn("symbol_network")?,
            level_network: grn("level_network")?,
        })
    }

    /// From the numbers of the symbols, `[batch]`, and their levels, `[batch, 1]`, to `[batch, hidden]` and the weights
    /// of the two, `[batch, 2]`.
    pub(super) fn forward(&self, ids: &Tensor, levels: &Tensor, drop: Dropout) -> Result<(Tensor, Tensor), TchError> {
        let symbol = self.symbols.f_index_select(0, ids)?;
        let level = self.level.forward(levels)?;
        let both = Tensor::f_cat(&[&symbol, &level], -1)?;
        let weights = self.weights.forward(&both, None, drop)?.f_softmax(-1, None::<Kind>)?;
        let networks =
            [self.symbol_network.forward(&symbol, None, drop)?, self.level_network.forward(&level, None, drop)?];
        let values = Tensor::f_stack(&networks, 1)?;
        let selected = values
            .f_mul(&weights.f_unsqueeze(-1)?)?
            .f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?
            .f_reshape([-1, self.hidden])?;
        Ok((selected, weights))
    }
}
