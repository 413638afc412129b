//! Functions of single precision numbers that give the same bits on every processor: additions, multiplications and
//! divisions alone, in a fixed order, written so that the compiler can do several at once.

/// Added to the variance: that of [`super::super::layers`].
const EPSILON: f32 = 1e-5;

/// e to the x, within 2 units in the last place; 0 and infinity are not reached. NaN stays NaN.
///
/// Cody and Waite's reduction to within half of ln 2, then a Taylor polynomial.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it leaves the nearest whole number in the last bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let whole = rounded - ROUNDER;
    let rest = x - whole * LN2_HIGH - whole * LN2_LOW;
    let mut sum = 1.0 / 5_040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * rest + term;
    }
    sum * f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// The logistic function.
#[inline]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, within 1e-7 of it.
#[inline]
pub(super) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// x where it is over 0, else e^x - 1 (Clevert et al. 2015), within 1e-7 of it.
#[inline]
pub(super) fn elu(x: f32) -> f32 {
    let below = exp(if x > 0.0 { 0.0 } else { x }) - 1.0;
    if x > 0.0 { x } else { below }
}

/// Makes numbers shares of 1, in the ratio of their exponentials.
pub(super) fn softmax(x: &mut [f32]) {
    let highest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|x| *x = exp(*x - highest));
    let sum: f32 = x.iter().sum();
    x.iter_mut().for_each(|x| *x /= sum);
}

/// Takes mean and standard deviation away from numbers, as layer normalisation does.
pub(super) fn standardise(x: &mut [f32]) {
    let count = x.len() as f32;
    let mean = x.iter().sum::<f32>() / count;
    x.iter_mut().for_each(|x| *x -= mean);
    let variance = x.iter().map(|x| x * x).sum::<f32>() / count;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    x.iter_mut().for_each(|x| *x *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_their_names_say() {
        for n in -86_000..=86_000_i32 {
            let x = n as f32 / 1_000.0;
            let wide = f64::from(x);
            assert!((f64::from(exp(x)) / wide.exp() - 1.0).abs() < 2.5e-7, "exp({x})");
            assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-wide).exp())).abs() < 2e-7, "sigmoid({x})");
            assert!((f64::from(tanh(x)) - wide.tanh()).abs() < 3e-7, "tanh({x})");
            let wanted = if wide > 0.0 { wide } else { wide.exp_m1() };
            assert!((f64::from(elu(x)) - wanted).abs() < 2e-7, "elu({x})");
        }
        assert!(exp(1e30).is_finite() && exp(-1e30) >= 0.0 && exp(f32::NAN).is_nan());
        assert!(sigmoid(f32::NAN).is_nan() && elu(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }

    #[test]
    fn shares_add_up_to_one_and_standardised_numbers_have_mean_0_and_deviation_1() {
        let mut x = [500.0, 499.0, -500.0];
        softmax(&mut x);
        assert!((x.iter().sum::<f32>() - 1.0).abs() < 1e-6 && (x[0] / x[1] - 1.0_f32.exp()).abs() < 1e-5);
        let mut x = [1.0, 3.0, 1.0, 3.0];
        standardise(&mut x);
        assert!(x.iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(x, y)| (x - y).abs() < 1e-4));
    }
}
