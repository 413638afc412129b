//! Ratios of gain and risk, and how sure they are.

use super::{mean, normal_cdf, normal_quantile, std_dev};

/// The shape of a sample of returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// How many there are.
    pub count: usize,
    /// m3 / m2^1.5, with m_k the mean of the k-th powers of the distances from the mean.
    pub skewness: f64,
    /// m4 / m2^2, 3 for a normal distribution.
    pub kurtosis: f64,
}

impl Shape {
    /// Of returns; `None` where fewer than two differ.
    pub fn of(returns: &[f64]) -> Option<Self> {
        let middle = mean(returns)?;
        let (mut m2, mut m3, mut m4) = (0.0, 0.0, 0.0);
        for x in returns {
            let (away, square) = (x - middle, (x - middle).powi(2));
            m2 += square;
            m3 += square * away;
            m4 += square * square;
        }
        let n = returns.len() as f64;
        let (m2, m3, m4) = (m2 / n, m3 / n, m4 / n);
        let shape = Self { count: returns.len(), skewness: m3 / m2.powf(1.5), kurtosis: m4 / (m2 * m2) };
        (moves(m2.sqrt(), returns) && shape.skewness.is_finite() && shape.kurtosis.is_finite()).then_some(shape)
    }

    /// Variance of an estimated Sharpe ratio a period, times `count - 1`: 1 - skewness * SR + (kurtosis - 1) / 4 * SR^2
    /// (Mertens 2002). `None` where it is not over zero, which no sample has but rounding may give.
    fn spread(&self, sharpe: f64) -> Option<f64> {
        let spread = 1.0 - self.skewness * sharpe + (self.kurtosis - 1.0) / 4.0 * sharpe * sharpe;
        (spread > 0.0 && spread.is_finite()).then_some(spread)
    }
}

/// Whether a deviation is more than rounding errors of a mean: equal returns differ by those at most.
fn moves(deviation: f64, returns: &[f64]) -> bool {
    deviation > returns.iter().map(|x| x.abs()).fold(0.0, f64::max) * 1e-12
}

/// Sortino ratio with the target 0 (Sortino & van der Meer 1991): mean / downside deviation, that being the root of the mean
/// over all returns of min(return, 0)^2, times the root of the periods in a year. `None` without returns and where none is
/// under zero.
pub fn sortino(returns: &[f64], periods_a_year: f64) -> Option<f64> {
    let squares: f64 = returns.iter().map(|x| x.min(0.0).powi(2)).sum();
    let downside = (squares / returns.len() as f64).sqrt();
    (downside > 0.0).then_some(mean(returns)? / downside * periods_a_year.sqrt())
}

/// Probabilistic Sharpe ratio: the probability that the true Sharpe ratio exceeds `benchmark`,
/// cdf((SR - benchmark) * root(n - 1) / root(1 - skewness * SR + (kurtosis - 1) / 4 * SR^2)) (Bailey & Lopez de Prado 2012,
/// "The Sharpe Ratio Efficient Frontier", eq. 11). Both ratios are a period, not a year. The returns are taken as independent
/// of each other. With [`expected_max_sharpe`] as the benchmark it is the deflated Sharpe ratio (Bailey & Lopez de Prado 2014).
/// `None` for fewer than two returns.
pub fn probabilistic_sharpe(sharpe: f64, benchmark: f64, shape: &Shape) -> Option<f64> {
    let degrees = (shape.count > 1).then(|| (shape.count - 1) as f64)?;
    let z = (sharpe - benchmark) * (degrees / shape.spread(sharpe)?).sqrt();
    z.is_finite().then(|| normal_cdf(z))
}

/// Minimum track record length: how many periods it takes until [`probabilistic_sharpe`] reaches `confidence`,
/// 1 + (1 - skewness * SR + (kurtosis - 1) / 4 * SR^2) * (z / (SR - benchmark))^2 (Bailey & Lopez de Prado 2012, eq. 13).
/// `None` unless the ratio, a period, exceeds the benchmark and `confidence` lies between a half and 1.
pub fn min_track_record(sharpe: f64, benchmark: f64, shape: &Shape, confidence: f64) -> Option<f64> {
    let z = normal_quantile(confidence).filter(|z| *z >= 0.0)?;
    let length = 1.0 + shape.spread(sharpe)? * (z / (sharpe - benchmark)).powi(2);
    (sharpe > benchmark && length.is_finite()).then_some(length)
}

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Expected highest of so many independent Sharpe ratios that are worth nothing and have this variance:
/// root(variance) * ((1 - g) * quantile(1 - 1/n) + g * quantile(1 - 1/(n e))), g being Euler's constant (Bailey & Lopez de
/// Prado 2014, "The Deflated Sharpe Ratio", eq. 1). 0 for a single trial. `None` without trials or for a variance that is
/// negative or not finite.
pub fn expected_max_sharpe(variance: f64, trials: u32) -> Option<f64> {
    if !(variance >= 0.0 && variance.is_finite()) || trials == 0 {
        return None;
    }
    if trials == 1 {
        return Some(0.0);
    }
    let n = f64::from(trials);
    // By the lower tail, which keeps its digits.
    let (first, second) = (-normal_quantile(1.0 / n)?, -normal_quantile(1.0 / (n * std::f64::consts::E))?);
    Some(variance.sqrt() * ((1.0 - EULER) * first + EULER * second))
}

/// Sample variance of trials' Sharpe ratios, n - 1: what [`expected_max_sharpe`] takes. Those that could not be told (`None`:
/// nothing was traded) do not count. `None` for fewer than two.
pub fn sharpe_variance(ratios: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = ratios.into_iter().flatten().filter(|ratio| ratio.is_finite()).collect();
    Some(std_dev(&known)?.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hash::unit_draw;

    fn near(a: Option<f64>, b: f64, by: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < by)
    }

    #[test]
    fn moments_are_those_computed_by_hand() {
        // Distances from the mean 2: -2, -1, 0, 3; m2 = 14/4, m3 = 18/4, m4 = 98/4.
        let shape = Shape::of(&[0.0, 1.0, 2.0, 5.0]).unwrap();
        assert!(near(Some(shape.skewness), 4.5 / 3.5_f64.powf(1.5), 1e-12), "{shape:?}");
        assert!(near(Some(shape.kurtosis), 24.5 / 12.25, 1e-12) && shape.count == 4, "{shape:?}");
        assert!(Shape::of(&[]).is_none() && Shape::of(&[0.1; 9]).is_none() && Shape::of(&[0.0; 2]).is_none());
    }

    #[test]
    fn sortinos_ratio_is_the_published_one() {
        // Rollinger & Hoffman 2013, "Sortino: A 'Sharper' Ratio": mean 10 %, downside deviation 2.264 %, ratio 4.417.
        let returns = [0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04];
        assert!(near(sortino(&returns, 1.0), 4.417, 5e-4), "{:?}", sortino(&returns, 1.0));
        assert!(near(sortino(&returns, 4.0), 8.834, 1e-3));
        assert!(sortino(&[0.1, 0.2], 1.0).is_none() && sortino(&[], 1.0).is_none());
    }

    #[test]
    fn the_probabilistic_ratio_is_the_published_one() {
        // Bailey & Lopez de Prado 2012, section 4: two years of months at SR 0.458 a month.
        let normal = Shape { count: 24, skewness: 0.0, kurtosis: 3.0 };
        let skewed = Shape { count: 24, skewness: -2.448, kurtosis: 10.164 };
        assert!(near(probabilistic_sharpe(0.458, 0.0, &normal), 0.982, 5e-4));
        assert!(near(probabilistic_sharpe(0.458, 0.0, &skewed), 0.913, 5e-4));
        assert!(near(probabilistic_sharpe(0.1, 0.1, &skewed), 0.5, 1e-15));
        assert!(probabilistic_sharpe(0.1, 0.0, &Shape { count: 1, ..normal }).is_none());
        assert!(probabilistic_sharpe(f64::NAN, 0.0, &normal).is_none());
    }

    #[test]
    fn the_shortest_track_record_is_the_published_one() {
        // Bailey & Lopez de Prado 2012, section 5: SR 2 a year against 1 at 95 %, in years of days, weeks and months, and of
        // months with the skewness and kurtosis of hedge funds.
        let shape = |skewness, kurtosis| Shape { count: 2, skewness, kurtosis };
        for (a_year, shape, wanted) in [
            (252.0, shape(0.0, 3.0), 2.73),
            (52.0, shape(0.0, 3.0), 2.83),
            (12.0, shape(0.0, 3.0), 3.24),
            (12.0, shape(-0.72, 5.78), 4.99),
        ] {
            let root = f64::sqrt(a_year);
            let length = min_track_record(2.0 / root, 1.0 / root, &shape, 0.95);
            assert!(near(length.map(|n| n / a_year), wanted, 5e-3), "{length:?}, {wanted}");
            // After so many periods the probability is what was asked for.
            let sure = probabilistic_sharpe(2.0 / root, 1.0 / root, &Shape { count: 100_001, ..shape }).unwrap();
            let z = normal_quantile(0.95).unwrap();
            let reached = normal_cdf(z * (100_000.0 / (length.unwrap() - 1.0)).sqrt());
            assert!(near(Some(sure), reached, 1e-12));
        }
        assert!(min_track_record(0.1, 0.1, &shape(0.0, 3.0), 0.95).is_none());
        assert!(min_track_record(0.1, 0.2, &shape(0.0, 3.0), 0.95).is_none());
        assert!(min_track_record(0.1, 0.0, &shape(0.0, 3.0), 0.4).is_none());
    }

    #[test]
    fn the_deflated_ratio_is_the_published_one() {
        // Bailey & Lopez de Prado 2014, the numerical example: 5 years of 250 days, SR 2.5 a year, variance of the trials'
        // ratios 0.5 a year: 0.1132 a day is to be expected of the best of 100, and what is left is 0.9004; of 46 trials
        // 0.9505 would have been left.
        let a_year = 250.0_f64;
        let shape = Shape { count: 1_250, skewness: -3.0, kurtosis: 10.0 };
        let expected = |trials| expected_max_sharpe(0.5 / a_year, trials).unwrap();
        let deflated = |trials, shape| probabilistic_sharpe(2.5 / a_year.sqrt(), expected(trials), shape);
        assert!(near(Some(expected(100)), 0.1132, 5e-5), "{}", expected(100));
        assert!(near(deflated(100, &shape), 0.9004, 5e-5), "{:?}", deflated(100, &shape));
        assert!(near(deflated(46, &shape), 0.9505, 5e-5), "{:?}", deflated(46, &shape));
        // With normal returns 88 trials would have been needed for the same.
        let normal = Shape { skewness: 0.0, kurtosis: 3.0, ..shape };
        assert!(near(deflated(88, &normal), 0.9505, 5e-5), "{:?}", deflated(88, &normal));
    }

    #[test]
    fn the_expected_maximum_is_near_that_of_normal_values() {
        // Harter 1961, expected values of normal order statistics: of 10 1.53875, of 100 2.50759; the formula is one for
        // many trials.
        for (trials, wanted, by) in [(10, 1.53875, 0.04), (100, 2.50759, 0.03)] {
            assert!(near(expected_max_sharpe(1.0, trials), wanted, by), "{:?}", expected_max_sharpe(1.0, trials));
        }
        // By brute force: 400 times the best of 1,000.
        let best = |round: u64| {
            let draws = (0..1_000).map(|n| normal_quantile(unit_draw(round, n).max(1e-300)).unwrap());
            draws.fold(f64::MIN, f64::max)
        };
        let mean = (0..400).map(best).sum::<f64>() / 400.0;
        assert!(near(expected_max_sharpe(4.0, 1_000), 2.0 * mean, 0.12), "{mean}");
        assert!(near(expected_max_sharpe(1.0, 1), 0.0, 1e-15) && near(expected_max_sharpe(0.0, 9), 0.0, 1e-15));
        assert!(expected_max_sharpe(1.0, 0).is_none() && expected_max_sharpe(-1.0, 9).is_none());
        assert!(near(sharpe_variance([Some(1.0), None, Some(3.0)]), 2.0, 1e-12));
        assert!(sharpe_variance([Some(1.0), None]).is_none());
    }
}
