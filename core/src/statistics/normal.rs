//! The standard normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// Probability that a standard normal value is `x` or less: erfc(-x / root 2) / 2. The complementary error function is that
/// of `libm` (Sun's fdlibm, under one unit in the last place), so that the lower tail keeps its digits and every machine
/// computes the same bits of it.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Steps of [`normal_quantile`]: each cubes the error, which starts under 4.5e-4.
const STEPS: usize = 3;

/// The value that a standard normal one stays under with the probability `p`: the rational approximation 26.2.23 of Abramowitz
/// & Stegun, made exact by Halley's steps on [`normal_cdf`]. `None` unless 0 < p < 1. Accurate to some 1e-15 of the value
/// where `p` is; near 1 `p` itself holds no more than 16 digits of `1 - p`.
pub fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let tail = p.min(1.0 - p);
    let t = (-2.0 * tail.ln()).sqrt();
    let over = t * (t * 0.010_328 + 0.802_853) + 2.515_517;
    let under = t * (t * (t * 0.001_308 + 0.189_269) + 1.432_788) + 1.0;
    let mut x = over / under - t;
    for _ in 0..STEPS {
        // Newton's step times the root of 2 pi is error / density; Halley's takes the density's slope, -x, along.
        let newton = (normal_cdf(x) - tail) * (2.0 * PI).sqrt() * (x * x / 2.0).exp();
        let step = newton / (1.0 + x * newton / 2.0);
        if step.is_finite() {
            x -= step;
        }
    }
    Some(if p < 0.5 { x } else { -x })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_tabulated_ones() {
        // Abramowitz & Stegun, table 26.1 (15 decimals) and, for the tails, table 26.2 (-log10 of the upper tail).
        for (x, wanted) in
            [(0.0, 0.5), (0.5, 0.691_462_461_274_013), (1.0, 0.841_344_746_068_543), (2.0, 0.977_249_868_051_821)]
        {
            assert!((normal_cdf(x) - wanted).abs() < 1e-15, "{x}: {}", normal_cdf(x));
        }
        for (x, wanted) in [(5.0, 6.54265), (10.0, 23.11805), (20.0, 88.56010), (30.0, 197.30921)] {
            assert!((-normal_cdf(-x).log10() - wanted).abs() < 6e-6, "{x}: {}", -normal_cdf(-x).log10());
        }
    }

    #[test]
    fn quantiles_are_the_tabulated_ones_and_undo_probabilities() {
        // Abramowitz & Stegun, table 26.5 and, further, Wichura 1988 (algorithm AS 241, its test values).
        for (p, wanted) in [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_814),
            (1e-20, -9.262_340_089_798_408),
            (0.975, crate::statistics::Z95),
            (0.5, 0.0),
        ] {
            let found = normal_quantile(p).unwrap();
            assert!((found - wanted).abs() < 4e-15 * (1.0 + f64::abs(wanted)), "{p}: {found}");
        }
        for at in 1..=3_000 {
            let p = 10_f64.powf(-f64::from(at) / 10.0) / 2.0;
            let x = normal_quantile(p).unwrap();
            // The tail moves by x^2 for a relative change of x, so that this is what the last bits of x allow.
            assert!((normal_cdf(x) / p - 1.0).abs() < 1e-15 * (4.0 + 2.0 * x * x), "{p}");
        }
        let sides = [0.6, 0.9, 0.9999].map(|p: f64| normal_quantile(p).unwrap() + normal_quantile(1.0 - p).unwrap());
        assert!(sides.iter().all(|sum| sum.abs() < 1e-12), "{sides:?}");
        for p in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert!(normal_quantile(p).is_none(), "{p}");
        }
        assert!(normal_quantile(f64::MIN_POSITIVE).unwrap() < -37.0 && normal_quantile(5e-324).unwrap().is_finite());
    }
}
