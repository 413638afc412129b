//! How far chance alone goes.

use serde::Serialize;

/// The standard normal quantile of a two-sided 95 % interval.
pub const Z95: f64 = 1.959_963_984_540_054;

/// An interval, most often of shares, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Bounds {
    /// Whether a value lies in it, its ends included.
    pub fn hold(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Wilson's score interval of a share (Wilson 1927): with p = hits / n,
/// (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). `hits` and `n` may be effective numbers
/// ([`effective_size`]); `None` unless n > 0 and 0 <= hits <= n.
pub fn wilson(hits: f64, n: f64, z: f64) -> Option<Bounds> {
    if !(n > 0.0 && (0.0..=n).contains(&hits)) {
        return None;
    }
    let p = hits / n;
    let z2 = z * z;
    let middle = p + z2 / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Some(Bounds { low: ((middle - reach) / scale).max(0.0), high: ((middle + reach) / scale).min(1.0) })
}

/// Up to so many outcomes [`binomial_bounds`] is exact.
const EXACT_MAX: u32 = 1_000_000;

/// The shares within which a hit rate lies by chance: the quantiles `alpha / 2` and `1 - alpha / 2` of the binomial
/// distribution over n, so that each tail outside holds at most `alpha / 2`. Exact, without a normal approximation, up to
/// a million outcomes; for more the bounds are those of a million, which are wider. `None` unless n is at least 1, 0 < p < 1 and 0 < alpha < 1.
///
/// `n` is the number of independent outcomes, rounded down: where they overlap, that of [`effective_size`].
pub fn binomial_bounds(n: f64, p: f64, alpha: f64) -> Option<Bounds> {
    let inside = |x: f64| x > 0.0 && x < 1.0;
    if !(n >= 1.0 && inside(p) && inside(alpha)) {
        return None;
    }
    let weights = relative_weights(n.min(f64::from(EXACT_MAX)).floor(), p);
    let total: f64 = weights.iter().sum();
    let quantile = |share: f64| {
        let mut sum = 0.0;
        // A tail of exactly `share` belongs to the quantile, whatever the last bits of the sum say.
        let reached = |weight: &f64| {
            sum += weight / total;
            sum >= share - 1e-12
        };
        weights.iter().position(reached).unwrap_or(weights.len() - 1) as f64 / (weights.len() - 1) as f64
    };
    Some(Bounds { low: quantile(alpha / 2.0), high: quantile(1.0 - alpha / 2.0) })
}

/// Weights of 0 to n hits, up to a common factor: from the mode outwards by the ratio of neighbours, so that nothing
/// overflows and what underflows is nothing. `n` is whole.
fn relative_weights(n: f64, p: f64) -> Vec<f64> {
    let odds = p / (1.0 - p);
    let hits = || (0..=EXACT_MAX).map(f64::from).take_while(|k| *k <= n);
    let mode = hits().skip(1).take_while(|k| *k <= (n + 1.0) * p).count();
    let mut weights = vec![0.0; hits().count()];
    weights[mode] = 1.0;
    for k in mode..weights.len() - 1 {
        weights[k + 1] = weights[k] * odds * (n - k as f64) / (k as f64 + 1.0);
    }
    for k in (0..mode).rev() {
        weights[k] = weights[k + 1] * (k as f64 + 1.0) / ((n - k as f64) * odds);
    }
    weights
}

/// How many independent outcomes `samples` overlapping ones are worth, at least 1: each shares all but one of its
/// `horizon_bars` bars with the next, so about samples / horizon (Lopez de Prado 2018, ch. 4: average uniqueness), and
/// outcomes of several symbols at one instant are worth less again by `design`, a [`design_effect`] (1 for
/// independent symbols).
pub fn effective_size(samples: usize, horizon_bars: u32, design: f64) -> f64 {
    (samples as f64 / (f64::from(horizon_bars.max(1)) * design.max(1.0))).max(1.0)
}

/// What correlation within clusters of m costs: 1 + (m - 1) * correlation (Kish 1965), at least 1. A cluster are the
/// `symbols` that are judged at one instant, the correlation is that of their returns over the horizon.
pub fn design_effect(symbols: usize, correlation: f64) -> f64 {
    (1.0 + (symbols.max(1) - 1) as f64 * correlation).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, by: f64) -> bool {
        (a - b).abs() < by
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score, no continuity correction).
        for (hits, n, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let bounds = wilson(hits, n, Z95).unwrap();
            assert!(near(bounds.low, low, 5e-5) && near(bounds.high, high, 5e-5), "{hits} of {n}: {bounds:?}");
        }
        assert!(wilson(1.0, 0.0, Z95).is_none() && wilson(3.0, 2.0, Z95).is_none());
    }

    #[test]
    fn chance_is_bounded_as_the_binomial_distribution_says() {
        // By hand: of 10 fair coins 1 or fewer heads are 11/1024 = 1.07 %, 2 or fewer are 56/1024 = 5.5 %.
        let bounds = binomial_bounds(10.0, 0.5, 0.05).unwrap();
        assert!(near(bounds.low, 0.2, 1e-12) && near(bounds.high, 0.8, 1e-12), "{bounds:?}");
        // The 2.5 % and 97.5 % quantiles of 100 fair coins are 40 and 60.
        let bounds = binomial_bounds(100.0, 0.5, 0.05).unwrap();
        assert!(near(bounds.low, 0.4, 1e-12) && near(bounds.high, 0.6, 1e-12), "{bounds:?}");
        // A tail of exactly alpha / 2: of 2 fair coins none or both are 1/4 each.
        let bounds = binomial_bounds(2.0, 0.5, 0.5).unwrap();
        assert!(near(bounds.low, 0.0, 1e-12) && near(bounds.high, 0.5, 1e-12), "{bounds:?}");
        // With many, the normal approximation p +- z sqrt(p (1 - p) / n) comes near.
        let bounds = binomial_bounds(200_000.0, 0.52, 0.05).unwrap();
        let reach = Z95 * (0.52_f64 * 0.48 / 200_000.0).sqrt();
        assert!(near(bounds.low, 0.52 - reach, 1e-5) && near(bounds.high, 0.52 + reach, 1e-5), "{bounds:?}");
        assert!(bounds.hold(0.52) && !bounds.hold(0.53));
        assert_eq!(binomial_bounds(10.9, 0.5, 0.05), binomial_bounds(10.0, 0.5, 0.05));
        assert_eq!(binomial_bounds(1e9, 0.5, 0.05), binomial_bounds(1e6, 0.5, 0.05));
        assert!(binomial_bounds(0.9, 0.5, 0.05).is_none() && binomial_bounds(f64::NAN, 0.5, 0.05).is_none());
        assert!(binomial_bounds(0.0, 0.5, 0.05).is_none() && binomial_bounds(5.0, 1.0, 0.05).is_none());
    }

    #[test]
    fn overlap_and_correlation_make_samples_worth_less() {
        assert!(near(effective_size(1_200, 12, 1.0), 100.0, 1e-12));
        assert!(near(effective_size(5, 12, 1.0), 1.0, 1e-12));
        // Nine symbols that move as one are worth one.
        assert!(near(effective_size(10_800, 12, design_effect(9, 1.0)), 100.0, 1e-9));
        assert!(near(design_effect(9, 0.5), 5.0, 1e-12) && near(design_effect(9, -0.5), 1.0, 1e-12));
        assert!(near(design_effect(0, 0.5), 1.0, 1e-12));
    }
}
