//! Series of returns.

use crate::domain::Timeframe;

/// Arithmetic mean.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation, with n - 1; `None` for fewer than two values.
pub fn std_dev(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Bars in a year of 365.25 days in a market that never closes. A market with closing hours has fewer.
pub fn bars_a_year(timeframe: Timeframe) -> f64 {
    365.25 * 86_400.0 / f64::from(timeframe.secs())
}

/// Sharpe ratio (Sharpe 1994): mean / standard deviation of per-bar returns, times the root of the bars in a year, the
/// riskless rate being taken as 0. It assumes that returns of bars do not depend on each other (Lo 2002). `None` for fewer
/// than two returns or where none differs from another.
pub fn sharpe(returns: &[f64], bars_a_year: f64) -> Option<f64> {
    let deviation = std_dev(returns)?;
    // Equal returns differ by rounding errors of their mean at most.
    let largest = returns.iter().map(|x| x.abs()).fold(0.0, f64::max);
    (deviation > largest * 1e-12).then_some(mean(returns)? / deviation * bars_a_year.sqrt())
}

/// Largest loss from a peak to a later low, as a share of the peak, 0 to 1: the returns are simple ones and compound, and
/// the start is the first peak. A return of -1 or less loses everything.
pub fn max_drawdown(returns: &[f64]) -> f64 {
    let (mut equity, mut peak, mut worst) = (1.0_f64, 1.0_f64, 0.0_f64);
    for change in returns {
        equity = (equity * (1.0 + change)).max(0.0);
        peak = peak.max(equity);
        worst = worst.max(1.0 - equity / peak);
    }
    worst
}

/// Correlation of two series of one length (Pearson); `None` where they differ in length, have fewer than two values, or
/// one of them does not move.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (spread_a, spread_b) = (std_dev(a)?, std_dev(b)?);
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    let together: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    let scale = spread_a * spread_b * (a.len() - 1) as f64;
    (scale > 0.0).then(|| (together / scale).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn mean_and_deviation_are_those_computed_by_hand() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert!(near(mean(&values).unwrap(), 5.0));
        assert!(near(std_dev(&values).unwrap(), (32.0_f64 / 7.0).sqrt()));
        assert!(mean(&[]).is_none() && std_dev(&[1.0]).is_none());
    }

    #[test]
    fn sharpe_is_annualised_by_the_root_of_the_bars() {
        assert!(near(bars_a_year(Timeframe::HOUR), 8_766.0));
        // Mean 0.01, deviation 0.01.
        let returns = [0.0, 0.01, 0.02];
        assert!(near(sharpe(&returns, 100.0).unwrap(), 10.0));
        assert!(near(sharpe(&returns.map(|x| -x), 100.0).unwrap(), -10.0));
        assert!(sharpe(&[0.1; 7], 100.0).is_none() && sharpe(&[0.0; 7], 100.0).is_none() && sharpe(&[], 1.0).is_none());
    }

    #[test]
    fn a_drawdown_is_from_a_peak_to_a_later_low() {
        // 1, 1.1, 0.88, 0.924, 1.386, 1.2474: the worst is 0.88 against 1.1.
        assert!(near(max_drawdown(&[0.1, -0.2, 0.05, 0.5, -0.1]), 0.2));
        assert!(near(max_drawdown(&[-0.1, -0.1]), 0.19), "the start is a peak");
        assert!(near(max_drawdown(&[0.1, 0.2]), 0.0) && near(max_drawdown(&[]), 0.0));
        assert!(near(max_drawdown(&[0.1, -1.5, 3.0]), 1.0), "what is lost stays lost");
    }

    #[test]
    fn correlation_is_pearsons() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert!(near(correlation(&a, &[2.0, 4.0, 6.0, 8.0]).unwrap(), 1.0));
        assert!(near(correlation(&a, &[4.0, 3.0, 2.0, 1.0]).unwrap(), -1.0));
        // By hand: sum (x - 2.5)(y - 2) = 1.5 + 0.5 + 0 + 3 over the root of 5 * 6.
        assert!(near(correlation(&a, &[1.0, 1.0, 2.0, 4.0]).unwrap(), 5.0 / 30.0_f64.sqrt()));
        assert!(correlation(&a, &[1.0; 4]).is_none() && correlation(&a, &[1.0]).is_none());
    }
}
