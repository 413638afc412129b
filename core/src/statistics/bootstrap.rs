//! How far a figure of a series may lie from the truth, by drawing the series again.

use serde::Serialize;

use super::{correlation, mean, quantile_sorted};
use crate::domain::hash::{hash64, unit_draw};

/// An interval of a figure, by quantiles of what was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// Upper end.
    pub high: f64,
}

/// The key of the draws of round `round` for one purpose: what is drawn in a round depends on nothing else, so that rounds may
/// be made in any order and by any thread.
pub(super) fn key(purpose: &str, seed: u64, round: u64) -> u64 {
    hash64(&[purpose.as_bytes(), &seed.to_le_bytes(), &round.to_le_bytes()])
}

/// A whole number from 0 to under `below`, of a draw in `[0, 1)`; 0 for `below` 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to under a length of memory")]
pub(super) fn pick(draw: f64, below: usize) -> usize {
    ((draw * below as f64) as usize).min(below.saturating_sub(1))
}

/// Draws a series again by the stationary bootstrap (Politis & Romano 1994): it goes on with the next value, the first one
/// following the last, but begins anew anywhere with the probability 1 / `block`, so that blocks have a geometric length of that
/// mean. `block` under 1 counts as 1: every value for itself.
pub fn redraw(values: &[f64], block: f64, key: u64, into: &mut Vec<f64>) {
    into.clear();
    let anew = 1.0 / block.max(1.0);
    let (mut at, mut n) = (0, 0);
    for _ in values {
        let draw = unit_draw(key, n);
        // One draw says both whether and, below the bar, where.
        at = if n == 0 {
            pick(draw, values.len())
        } else if draw < anew {
            pick(draw / anew, values.len())
        } else {
            at + 1
        };
        at = if at < values.len() { at } else { 0 };
        into.extend(values.get(at));
        n += 1;
    }
}

/// Percentile intervals (Efron 1979) of figures of a series, over `draws` series of [`redraw`]. `figures` gives all figures of a
/// series; where one is `None` or not finite, that series does not count for it. A figure that no series has is `None`, as is
/// everything unless 0 < `confidence` < 1.
///
/// The interval of a deepest drawdown says how deep others of the kind may go: it is no interval around the one seen.
pub fn intervals<const N: usize>(
    values: &[f64],
    block: f64,
    (seed, draws): (u64, u32),
    confidence: f64,
    mut figures: impl FnMut(&[f64]) -> [Option<f64>; N],
) -> [Option<Interval>; N] {
    let mut found: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let mut series = Vec::with_capacity(values.len());
    for round in 0..draws {
        redraw(values, block, key("bootstrap", seed, u64::from(round)), &mut series);
        for (found, figure) in found.iter_mut().zip(figures(&series)) {
            found.extend(figure.filter(|figure| figure.is_finite()));
        }
    }
    let tail = (1.0 - confidence) / 2.0;
    found.map(|mut found| {
        found.sort_unstable_by(f64::total_cmp);
        let at = |share| quantile_sorted(&found, share);
        if !(tail > 0.0 && tail < 0.5) {
            return None;
        }
        Some(Interval { low: at(tail)?, median: at(0.5)?, high: at(1.0 - tail)? })
    })
}

/// The mean length of blocks that is best for the variance of a mean (Politis & White 2004, corrected by Patton, Politis & White
/// 2009): (2 G^2 / D)^(1/3) * n^(1/3), D = 2 g(0)^2, with G = sum w(k/M) |k| R(k) and g(0) = sum w(k/M) R(k) over lags from -M
/// to M, R being autocovariances and w the flat-top window 1 up to a half and 2 (1 - |t|) from there to 1. M is twice the
/// lag after which K = max(5, root log10 n) autocorrelations in a row stay under 2 root(log10 n / n), at most root n + K.
///
/// At least 1, at most min(3 root n, n / 3), rounded up; 1 for fewer than 10 values and where none differs from another.
pub fn block_length(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let Some((covariances, last)) = significant(values).filter(|_| values.len() >= 10) else { return 1.0 };
    let width = 2 * last;
    let (mut slope, mut level) = (0.0, covariances.first().copied().unwrap_or_default());
    for (lag, covariance) in covariances.iter().enumerate().take(width + 1).skip(1) {
        let share = lag as f64 / width as f64;
        // Lags on both sides.
        let weighted = 2.0 * (2.0 * (1.0 - share)).min(1.0) * covariance;
        slope += weighted * lag as f64;
        level += weighted;
    }
    let block = (slope / level).powi(2).cbrt() * n.cbrt();
    let longest = (3.0 * n.sqrt()).min(n / 3.0).ceil();
    if block.is_finite() { block.clamp(1.0, longest) } else { longest }
}

/// Autocovariances up to the most lags that are asked for, and the last lag that matters.
fn significant(values: &[f64]) -> Option<(Vec<f64>, usize)> {
    let n = values.len() as f64;
    let middle = mean(values)?;
    let row = n.log10().sqrt().ceil().max(5.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "roots of a length of memory")]
    let (row, most) = (row as usize, (n.sqrt().ceil() + row) as usize);
    let centred: Vec<f64> = values.iter().map(|x| x - middle).collect();
    let covariance = |lag: usize| -> f64 {
        let later = centred.get(lag..).unwrap_or_default();
        later.iter().zip(&centred).map(|(x, y)| x * y).sum::<f64>() / n
    };
    let covariances: Vec<f64> = (0..=most + row).map(covariance).collect();
    let variance = covariances.first().copied().filter(|v| *v > 0.0)?;
    // A series of equal values: its correlation with itself cannot be told.
    correlation(values, values)?;
    let bar = 2.0 * (n.log10() / n).sqrt() * variance;
    let is_quiet = |last: usize| covariances.iter().skip(last + 1).take(row).all(|c| c.abs() < bar);
    let last = (0..=most).find(|last| is_quiet(*last));
    // None is followed by quiet: the last one that speaks.
    let last = last.or_else(|| covariances.iter().rposition(|c| c.abs() >= bar)).unwrap_or(0);
    Some((covariances, last.min(most / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{normal_quantile, sharpe};

    fn normal(key: u64, n: u64) -> f64 {
        normal_quantile(unit_draw(key, n).max(1e-300)).unwrap()
    }

    /// An autoregression of order one, its variance being 1 / (1 - slope^2).
    fn autoregression(slope: f64, len: u64, seed: u64) -> Vec<f64> {
        let mut last = normal(seed, len) / (1.0 - slope * slope).sqrt();
        let next = |at| {
            last = slope * last + normal(seed, at);
            last
        };
        (0..len).map(next).collect()
    }

    fn mean_of(values: &[f64]) -> [Option<f64>; 1] {
        [mean(values)]
    }

    #[test]
    fn the_length_of_blocks_is_that_of_the_formula() {
        // For an autoregression G and g(0) are known and with them the best length: (2 a / (1 - a^2))^(2/3) * n^(1/3).
        // Estimates vary a lot; their median is near.
        for (slope, len) in [(0.7, 2_000), (0.5, 2_000), (-0.4, 2_000)] {
            let mut found: Vec<f64> = (0..41).map(|seed| block_length(&autoregression(slope, len, seed))).collect();
            found.sort_unstable_by(f64::total_cmp);
            let wanted = (2.0 * f64::abs(slope) / (1.0 - slope * slope)).powf(2.0 / 3.0) * (len as f64).cbrt();
            assert!((found[20] / wanted - 1.0).abs() < 0.25, "{slope}: {}, {wanted}", found[20]);
        }
    }

    #[test]
    fn independent_values_are_drawn_one_by_one() {
        let lengths: Vec<f64> = (0..40).map(|seed| block_length(&autoregression(0.0, 500, seed))).collect();
        assert!(lengths.iter().filter(|length| **length < 1.5).count() >= 36, "{lengths:?}");
        for values in [vec![], vec![1.0], vec![0.25; 100], autoregression(0.9, 9, 1)] {
            assert!((block_length(&values) - 1.0).abs() < 1e-12);
        }
        // A trend speaks at every lag.
        let trend: Vec<f64> = (0..100).map(f64::from).collect();
        assert!((1.0..=30.0).contains(&block_length(&trend)), "{}", block_length(&trend));
    }

    #[test]
    fn blocks_have_the_length_that_was_asked_for() {
        let values: Vec<f64> = (0..1_000).map(f64::from).collect();
        let mut series = Vec::new();
        let (mut breaks, mut sum) = (0, 0.0);
        for key in 0..50 {
            redraw(&values, 10.0, key, &mut series);
            assert_eq!(series.len(), values.len());
            breaks += series.windows(2).filter(|two| ((two[0] + 1.0) % 1_000.0 - two[1]).abs() > 0.5).count();
            sum += mean(&series).unwrap();
        }
        // 50 * 999 * 0.1 * 0.999 = 4,990 with a deviation of 67; all values are equally likely.
        assert!((4_700..5_300).contains(&breaks), "{breaks}");
        assert!((sum / 50.0 - 499.5).abs() < 20.0, "{}", sum / 50.0);
        redraw(&[], 10.0, 1, &mut series);
        assert!(series.is_empty());
    }

    #[test]
    fn intervals_cover_what_they_should() {
        // The Sharpe ratio of independent normal returns, 0.1 a period.
        let covered = (0..200).filter(|seed| {
            let values: Vec<f64> = (0..250).map(|n| 0.1 + normal(1_000 + seed, n)).collect();
            let [found] = intervals(&values, 1.0, (*seed, 200), 0.9, |series| [sharpe(series, 1.0)]);
            found.is_some_and(|found| (found.low..=found.high).contains(&0.1))
        });
        let covered = covered.count();
        assert!((167..=193).contains(&covered), "{covered} of 200, wanted 180");
    }

    #[test]
    fn blocks_see_the_dependence_that_single_values_do_not() {
        let cover = |block: fn(&[f64]) -> f64| {
            let is_covered = |seed: &u64| {
                let values = autoregression(0.6, 300, 9_000 + seed);
                let [found] = intervals(&values, block(&values), (*seed, 200), 0.9, mean_of);
                found.is_some_and(|found| found.low <= 0.0 && found.high >= 0.0)
            };
            (0..150).filter(is_covered).count()
        };
        // The deviation of the mean is twice that of independent values: the latter's interval holds it in 59 %.
        let (blocks, single) = (cover(block_length), cover(|_| 1.0));
        assert!(blocks > 115 && single < 105, "{blocks} and {single} of 150, wanted 135");
    }

    #[test]
    fn draws_depend_on_the_seed_alone() {
        let values = autoregression(0.3, 100, 5);
        let of = |seed| intervals(&values, 4.0, (seed, 50), 0.9, mean_of);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(intervals(&values, 4.0, (1, 0), 0.9, mean_of), [None]);
        assert_eq!(intervals(&values, 4.0, (1, 9), 1.0, mean_of), [None]);
        assert_eq!(intervals(&values, 4.0, (1, 9), 0.9, |_| [Some(f64::NAN)]), [None]);
    }
}
