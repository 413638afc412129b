//! Probabilities that mean what they say.

use serde::{Deserialize, Serialize};

/// Probabilities are held this far from 0 and 1, so that their logits stay finite.
const EDGE: f64 = 1e-9;

/// Platt's scaling on the logit (Platt 1999; Niculescu-Mizil and Caruana 2005): `sigmoid(slope * logit(p) + intercept)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Under 1 takes confidence back; never negative, so that the order of probabilities stays.
    pub slope: f64,
    /// Moves the base rate.
    pub intercept: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { slope: 1.0, intercept: 0.0 }
    }
}

impl Calibration {
    /// The calibrated probability, strictly between 0 and 1; NaN stays NaN.
    pub fn apply(&self, probability: f64) -> f64 {
        sigmoid(self.slope.mul_add(logit(probability), self.intercept)).clamp(EDGE, 1.0 - EDGE)
    }

    /// Whether its numbers can be used.
    pub const fn is_sound(&self) -> bool {
        self.slope.is_finite() && self.slope >= 0.0 && self.intercept.is_finite()
    }

    /// The one under which `outcomes` were likeliest, by Newton's method on the log loss with Platt's targets, which
    /// hold it back when there are few outcomes. A fit that would turn the order of probabilities around has slope 0.
    ///
    /// `None` with fewer than two outcomes of either kind: nothing can be told from them.
    pub fn fit(probabilities: &[f64], outcomes: &[bool]) -> Option<Self> {
        let ups = outcomes.iter().filter(|up| **up).count();
        let downs = outcomes.len().checked_sub(ups)?;
        if ups < 2 || downs < 2 || probabilities.len() != outcomes.len() {
            return None;
        }
        let (up, down) = ((ups as f64 + 1.0) / (ups as f64 + 2.0), 1.0 / (downs as f64 + 2.0));
        let points: Vec<(f64, f64)> =
            probabilities.iter().zip(outcomes).map(|(p, y)| (logit(*p), if *y { up } else { down })).collect();
        let fitted = newton(&points, true);
        if fitted.slope > 0.0 { Some(fitted) } else { Some(newton(&points, false)) }
    }
}

/// Minimises the log loss over slope and intercept, or over the intercept alone with slope 0.
fn newton(points: &[(f64, f64)], with_slope: bool) -> Calibration {
    let start = if with_slope { 1.0 } else { 0.0 };
    let mut at = Calibration { slope: start, intercept: 0.0 };
    let mut loss = log_loss(points, at);
    for _ in 0..100 {
        // Gradient and Hessian of the summed loss; a little on the diagonal keeps a flat direction solvable.
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (x, y) in points {
            let p = sigmoid(at.slope.mul_add(*x, at.intercept));
            let (d, w) = (p - y, p * (1.0 - p));
            ga += d * x;
            gb += d;
            haa += w * x * x;
            hab += w * x;
            hbb += w;
        }
        let (da, db) = if with_slope {
            let det = haa * hbb - hab * hab;
            ((hbb * ga - hab * gb) / det, (haa * gb - hab * ga) / det)
        } else {
            (0.0, gb / hbb)
        };
        let (mut step, mut moved) = (1.0, false);
        // Halved until it helps, so that the loss never rises.
        while step > 1e-10 {
            let next = Calibration { slope: at.slope - step * da, intercept: at.intercept - step * db };
            let next_loss = log_loss(points, next);
            if next_loss < loss - 1e-12 {
                (at, loss, moved) = (next, next_loss, true);
                break;
            }
            step *= 0.5;
        }
        if !moved {
            break;
        }
    }
    at
}

fn log_loss(points: &[(f64, f64)], at: Calibration) -> f64 {
    points
        .iter()
        .map(|(x, y)| {
            let z = at.slope.mul_add(*x, at.intercept);
            // ln(1 + e^z) - y z, without overflow.
            z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z
        })
        .sum()
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(EDGE, 1.0 - EDGE);
    (p / (1.0 - p)).ln()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes that come true with the probability `truth` of what was said, spread evenly.
    fn outcomes(truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let (mut said, mut came) = (Vec::new(), Vec::new());
        for tenth in 1..10 {
            let p = f64::from(tenth) / 10.0;
            for n in 0..1_000 {
                said.push(p);
                came.push((f64::from(n) + 0.5) / 1_000.0 < truth(p));
            }
        }
        (said, came)
    }

    #[test]
    fn over_confidence_is_taken_back() {
        let honest = Calibration { slope: 0.4, intercept: 0.3 };
        let (said, came) = outcomes(|p| honest.apply(p));
        let fitted = Calibration::fit(&said, &came).unwrap();
        assert!((fitted.slope - 0.4).abs() < 0.02 && (fitted.intercept - 0.3).abs() < 0.02, "{fitted:?}");
    }

    #[test]
    fn what_is_turned_around_says_only_the_base_rate() {
        let (said, came) = outcomes(|p| 1.0 - p);
        let fitted = Calibration::fit(&said, &came).unwrap();
        assert!(fitted.slope.abs() < 1e-12 && (fitted.apply(0.9) - 0.5).abs() < 0.01, "{fitted:?}");
    }

    #[test]
    fn edges_stay_inside_and_one_class_tells_nothing() {
        let same = Calibration::default();
        assert!(same.apply(0.0) > 0.0 && same.apply(1.0) < 1.0 && (same.apply(0.3) - 0.3).abs() < 1e-12);
        assert_eq!(Calibration::fit(&[0.4; 9], &[true; 9]), None);
        assert!(Calibration { slope: 50.0, intercept: 0.0 }.apply(0.999_999).is_finite());
    }
}
