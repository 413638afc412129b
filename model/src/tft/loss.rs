//! What training minimises: the pinball loss of the quantiles and the log loss of the direction.

use tch::{Kind, Reduction, TchError, Tensor};

/// The quantiles that are forecast.
pub(super) const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// The quantiles that the network's outputs mean, `[batch, steps, 3]`: the median, and the others at positive distances
/// from it, so that they cannot cross.
fn ordered(raw: &Tensor) -> Result<Tensor, TchError> {
    let middle = raw.f_narrow(-1, 1, 1)?;
    let distances = raw.f_softplus()?;
    let low = middle.f_sub(&distances.f_narrow(-1, 0, 1)?)?;
    let high = middle.f_add(&distances.f_narrow(-1, 2, 1)?)?;
    Tensor::f_cat(&[&low, &middle, &high], -1)
}

/// [`ordered`] for one step of a forecast, in units of the expected volatility.
pub(super) fn ordered_numbers(raw: [f32; 3]) -> [f64; 3] {
    let [low, middle, high] = raw.map(f64::from);
    // ln(1 + e^x), without overflow.
    let distance = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    [middle - distance(low), middle, middle + distance(high)]
}

/// The mean pinball loss (Koenker and Bassett 1978) of raw outputs `[batch, steps, 3]` against targets `[batch, steps]`.
pub(super) fn pinball(raw: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    let errors = targets.f_unsqueeze(-1)?.f_sub(&ordered(raw)?)?;
    let over = Tensor::f_from_slice(&QUANTILES)?.f_to_kind(Kind::Float)?;
    let under = over.f_sub_scalar(1.0)?;
    errors.f_mul(&over)?.f_maximum(&errors.f_mul(&under)?)?.f_mean(None::<Kind>)
}

/// The summed log loss of logits against `up`, counting only what is `labelled`, all `[batch]`.
pub(super) fn log_loss(logits: &Tensor, up: &Tensor, labelled: &Tensor) -> Result<Tensor, TchError> {
    logits.f_binary_cross_entropy_with_logits(up, Some(labelled), None::<&Tensor>, Reduction::Sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinball_loss_is_least_at_the_quantiles() {
        let targets = Tensor::from_slice(&(0..1_000).map(|i| f64::from(i) / 100.0).collect::<Vec<_>>())
            .to_kind(Kind::Float)
            .reshape([-1, 1]);
        let gap = |x: f64| x.exp_m1().ln();
        let loss = |low: f64, middle: f64, high: f64| {
            let raw = Tensor::from_slice(&[gap(middle - low), middle, gap(high - middle)]).to_kind(Kind::Float);
            f64::try_from(pinball(&raw.reshape([1, 1, 3]), &targets).unwrap()).unwrap()
        };
        let best = loss(1.0, 5.0, 9.0);
        for (low, middle, high) in [(1.3, 5.0, 9.0), (0.7, 5.0, 9.0), (1.0, 5.3, 9.0), (1.0, 5.0, 9.3), (1.0, 5.0, 8.7)]
        {
            assert!(loss(low, middle, high) > best + 1e-4, "{low} {middle} {high}");
        }
    }

    #[test]
    fn numbers_and_tensors_mean_the_same_quantiles() {
        for raw in [[0.5, -1.0, 2.0], [-30.0, 0.0, 30.0], [80.0, 3.0, -80.0]] {
            let tensor = ordered(&Tensor::from_slice(&raw).reshape([1, 1, 3])).unwrap();
            let wanted = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            let numbers = ordered_numbers(raw);
            assert!(numbers[0] <= numbers[1] && numbers[1] <= numbers[2]);
            for (number, wanted) in numbers.iter().zip(&wanted) {
                assert!((number - f64::from(*wanted)).abs() < 1e-4, "{numbers:?} {wanted:?}");
            }
        }
    }

    #[test]
    fn what_has_no_label_does_not_count() {
        let logits = Tensor::from_slice(&[0.0_f32, 3.0]);
        let up = Tensor::from_slice(&[1.0_f32, 0.0]);
        let one = f64::try_from(log_loss(&logits, &up, &Tensor::from_slice(&[1.0_f32, 0.0])).unwrap()).unwrap();
        assert!((one - 2.0_f64.ln()).abs() < 1e-6);
    }
}
