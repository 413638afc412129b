//! Quantiles.

use serde::Serialize;

/// Where the values of a sample lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Smallest.
    pub min: f64,
    /// 5 %.
    pub p05: f64,
    /// 25 %.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// 75 %.
    pub p75: f64,
    /// 95 %.
    pub p95: f64,
    /// Largest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

impl Quantiles {
    /// Of values in any order; `None` without values or where one is not finite.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        if !values.iter().all(|x| x.is_finite()) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let at = |share| quantile_sorted(&values, share);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self {
            min: at(0.0)?,
            p05: at(0.05)?,
            p25: at(0.25)?,
            p50: at(0.5)?,
            p75: at(0.75)?,
            p95: at(0.95)?,
            max: at(1.0)?,
            mean,
        })
    }
}

/// The quantile `share`, 0 to 1, of values in ascending order: linear between neighbours, x at (n - 1) * share (definition 7
/// of Hyndman & Fan 1996). `None` without values.
pub fn quantile_sorted(sorted: &[f64], share: f64) -> Option<f64> {
    let place = sorted.len().checked_sub(1)? as f64 * share.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length of a slice")]
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = *sorted.get(below + 1).unwrap_or(&low);
    Some(low + (high - low) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_definition_seven() {
        // R: quantile(c(1, 2, 3, 4, 10), c(0.05, 0.25, 0.5, 0.75, 0.95)) is 1.2, 2, 3, 4, 8.8.
        let found = Quantiles::of(vec![10.0, 3.0, 1.0, 4.0, 2.0]).unwrap();
        let wanted = [1.0, 1.2, 2.0, 3.0, 4.0, 8.8, 10.0, 4.0];
        let found = [found.min, found.p05, found.p25, found.p50, found.p75, found.p95, found.max, found.mean];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(Quantiles::of(vec![]).is_none() && Quantiles::of(vec![1.0, f64::NAN]).is_none());
        assert_eq!(Quantiles::of(vec![7.0]).map(|q| (q.min, q.p50, q.max)), Some((7.0, 7.0, 7.0)));
    }
}
