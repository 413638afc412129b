//! The weighted average of calibrated votes.

use serde::{Deserialize, Serialize};

use super::Calibration;
use crate::domain::{Member, Vote};

/// One member's part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemberFusion {
    /// Which member.
    pub member: Member,
    /// Its weight, 0 or more; only its ratio to the others counts.
    pub weight: f64,
    /// Of its raw probability.
    pub calibration: Calibration,
}

/// How votes become one probability: fitted in training and kept with the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    /// The members, each at most once.
    pub members: Vec<MemberFusion>,
    /// Of the weighted average.
    pub calibration: Calibration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fused {
    /// The votes with the weights that they had.
    pub votes: [Option<Vote>; Member::ALL.len()],
    /// Calibrated probability that the price rises, strictly between 0 and 1.
    pub prob_up: f64,
}

impl Fusion {
    /// Fuses raw probabilities, one place for each of [`Member::ALL`]. A member that is absent leaves its weight to the
    /// others; it is never replaced by a made-up value. `None` when nobody with a weight is there, or when a number is
    /// not finite.
    pub fn fuse(&self, raw: &[Option<f64>; Member::ALL.len()]) -> Option<Fused> {
        let mut votes = [None; Member::ALL.len()];
        let (mut sum, mut total) = (0.0, 0.0);
        for part in &self.members {
            let Some(raw) = raw[part.member.at()] else { continue };
            let probability = part.calibration.apply(raw);
            sum += part.weight * probability;
            total += part.weight;
            votes[part.member.at()] = Some(Vote { probability, weight: part.weight });
        }
        let prob_up = self.calibration.apply(sum / total);
        if total <= 0.0 || !prob_up.is_finite() {
            return None;
        }
        for vote in votes.iter_mut().flatten() {
            vote.weight /= total;
        }
        Some(Fused { votes, prob_up })
    }

    /// Whether all its numbers can be used and no member stands twice.
    pub fn is_sound(&self) -> bool {
        let once = |at: usize, part: &MemberFusion| !self.members[..at].iter().any(|other| other.member == part.member);
        !self.members.is_empty()
            && self.calibration.is_sound()
            && self.members.iter().enumerate().all(|(at, part)| {
                part.weight.is_finite() && part.weight >= 0.0 && part.calibration.is_sound() && once(at, part)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fusion(weights: [f64; 3]) -> Fusion {
        let members = Member::ALL.iter().zip(weights).map(|(member, weight)| MemberFusion {
            member: *member,
            weight,
            calibration: Calibration::default(),
        });
        Fusion { members: members.collect(), calibration: Calibration::default() }
    }

    #[test]
    fn an_absent_member_leaves_its_weight_to_the_others() {
        let fused = fusion([0.5, 0.3, 0.2]).fuse(&[Some(0.6), Some(0.8), None]).unwrap();
        assert!((fused.prob_up - (0.5 * 0.6 + 0.3 * 0.8) / 0.8).abs() < 1e-12);
        let weights: Vec<f64> = fused.votes.iter().flatten().map(|vote| vote.weight).collect();
        assert!((weights[0] - 0.625).abs() < 1e-12 && (weights[1] - 0.375).abs() < 1e-12);
        assert!(fused.votes[2].is_none());
        let all = fusion([0.5, 0.3, 0.2]).fuse(&[Some(0.6), Some(0.8), Some(0.5)]).unwrap();
        assert!((all.prob_up - 0.64).abs() < 1e-12);
    }

    #[test]
    fn nobody_is_no_vote() {
        assert_eq!(fusion([0.5, 0.3, 0.2]).fuse(&[None; 3]), None);
        assert_eq!(fusion([0.0, 0.0, 1.0]).fuse(&[Some(0.6), Some(0.7), None]), None);
        assert_eq!(fusion([1.0, 1.0, 1.0]).fuse(&[Some(f64::NAN), None, None]), None);
    }

    #[test]
    fn unsound_parts_are_told() {
        assert!(fusion([1.0, 0.0, 0.0]).is_sound());
        assert!(!fusion([1.0, -1.0, 0.0]).is_sound() && !fusion([f64::NAN, 1.0, 1.0]).is_sound());
        let mut twice = fusion([1.0, 1.0, 1.0]);
        twice.members[1].member = Member::Lightgbm;
        assert!(!twice.is_sound());
    }
}
