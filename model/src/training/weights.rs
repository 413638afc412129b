//! How much each member counts.

use levibot_core::domain::Member;
use levibot_core::fusion::{Calibration, Fusion, MemberFusion};

/// Steps of a weight: 1/20.
const STEPS: u32 = 20;
/// How strongly weights are held to the configured ones: the mean log loss that a distance of 1 (all of the weight moved
/// to one other member) has to earn. Validation data of a few thousand overlapping bars cannot tell smaller gains from luck.
const PULL: f64 = 0.002;

/// One member's part in the choice.
#[derive(Debug, Clone)]
pub struct Voice<'a> {
    /// Which member.
    pub member: Member,
    /// Its configured weight, over 0.
    pub configured: f64,
    /// Its calibration, fitted on the same validation part.
    pub calibration: Calibration,
    /// Its raw probabilities, one a labelled bar.
    pub raw: &'a [f64],
}

/// Weights on the simplex, in steps of 1/20, under which `outcomes` have the lowest mean log loss plus a pull towards
/// the configured weights (half the sum of distances times 0.002); and the calibration of the average. Ties go to the
/// weights that come first when the first member's weight is counted up.
///
/// `None` without voices, without outcomes of both kinds, or with lists of unequal length.
pub fn fit_fusion(voices: &[Voice<'_>], outcomes: &[bool]) -> Option<Fusion> {
    if voices.is_empty() || voices.iter().any(|voice| voice.raw.len() != outcomes.len()) {
        return None;
    }
    let calibrated: Vec<Vec<f64>> =
        voices.iter().map(|voice| voice.raw.iter().map(|p| voice.calibration.apply(*p)).collect()).collect();
    let total: f64 = voices.iter().map(|voice| voice.configured).sum();
    let configured: Vec<f64> = voices.iter().map(|voice| voice.configured / total).collect();
    let mut best: Option<(f64, Vec<f64>, Calibration)> = None;
    for weights in simplex(voices.len()) {
        let average = weighted(&calibrated, &weights);
        let calibration = Calibration::fit(&average, outcomes)?;
        let distance: f64 = weights.iter().zip(&configured).map(|(a, b)| (a - b).abs()).sum();
        let cost = mean_log_loss(&average, outcomes, calibration) + PULL * 0.5 * distance;
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, weights, calibration));
        }
    }
    let (_, weights, calibration) = best?;
    let part = |(voice, weight): (&Voice<'_>, f64)| MemberFusion {
        member: voice.member,
        weight,
        calibration: voice.calibration,
    };
    Some(Fusion { members: voices.iter().zip(weights).map(part).collect(), calibration })
}

/// All ways to divide 20 steps among `members`.
fn simplex(members: usize) -> Vec<Vec<f64>> {
    fn divide(left: u32, members: usize, taken: &mut Vec<u32>, all: &mut Vec<Vec<f64>>) {
        if members == 1 {
            let steps = taken.iter().chain([&left]);
            all.push(steps.map(|n| f64::from(*n) / f64::from(STEPS)).collect());
            return;
        }
        for step in 0..=left {
            taken.push(step);
            divide(left - step, members - 1, taken, all);
            taken.pop();
        }
    }
    let mut all = Vec::new();
    divide(STEPS, members, &mut Vec::new(), &mut all);
    all
}

fn weighted(calibrated: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let bars = calibrated.first().map_or(0, Vec::len);
    (0..bars).map(|at| calibrated.iter().zip(weights).map(|(list, weight)| list[at] * weight).sum()).collect()
}

fn mean_log_loss(average: &[f64], outcomes: &[bool], calibration: Calibration) -> f64 {
    let loss = |(p, up): (&f64, &bool)| {
        let p = calibration.apply(*p);
        -(if *up { p } else { 1.0 - p }).ln()
    };
    average.iter().zip(outcomes).map(loss).sum::<f64>() / outcomes.len() as f64
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::hash::unit_draw;

    use super::*;

    fn fit(first: &[f64], second: &[f64], outcomes: &[bool]) -> Vec<f64> {
        let voice = |member, configured, raw| Voice { member, configured, calibration: Calibration::default(), raw };
        let voices = [voice(Member::Lightgbm, 0.5, first), voice(Member::Tft, 0.3, second)];
        let fusion = fit_fusion(&voices, outcomes).unwrap();
        assert!(fusion.is_sound());
        fusion.members.iter().map(|part| part.weight).collect()
    }

    /// Outcomes, a voice that knows them to 70 %, and one that guesses.
    fn draws() -> (Vec<bool>, Vec<f64>, Vec<f64>) {
        let outcomes: Vec<bool> = (0..4_000).map(|n| unit_draw(1, n) < 0.5).collect();
        let knows = (0..).zip(&outcomes).map(|(n, up)| if (unit_draw(2, n) < 0.7) == *up { 0.7 } else { 0.3 });
        let guesses = (0..4_000).map(|n| 0.3 + 0.4 * unit_draw(3, n));
        (outcomes.clone(), knows.collect(), guesses.collect())
    }

    #[test]
    fn who_knows_gets_the_weight_and_who_guesses_loses_it() {
        let (outcomes, knows, guesses) = draws();
        assert!(fit(&knows, &guesses, &outcomes)[0] >= 0.9);
        assert!(fit(&guesses, &knows, &outcomes)[1] >= 0.9);
    }

    #[test]
    fn where_nobody_knows_the_configured_weights_stay() {
        let (outcomes, _, guesses) = draws();
        let weights = fit(&guesses, &guesses, &outcomes);
        assert!((weights[0] - 0.625).abs() <= 0.05 + 1e-9, "{weights:?}");
    }

    #[test]
    fn one_class_or_uneven_lists_are_no_fit() {
        let voice = Voice { member: Member::Tft, configured: 1.0, calibration: Calibration::default(), raw: &[0.5; 3] };
        assert!(fit_fusion(std::slice::from_ref(&voice), &[true; 3]).is_none());
        assert!(fit_fusion(std::slice::from_ref(&voice), &[true; 2]).is_none());
        assert!(fit_fusion(&[], &[true, false]).is_none());
        let alone = Voice { raw: &[0.4, 0.6, 0.3, 0.7], ..voice };
        let fusion = fit_fusion(&[alone], &[false, true, false, true]).unwrap();
        assert!((fusion.members[0].weight - 1.0).abs() < 1e-12);
    }
}
