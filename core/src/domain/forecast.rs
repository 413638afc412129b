//! What a model says of a bar, and what it is asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Direction, Ix, ModelVersion, Ts};

/// A member of the fusion model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// Gradient-boosted trees over the features of one bar.
    Lightgbm,
    /// The Temporal Fusion Transformer over a window of bars.
    Tft,
    /// Scores of news and social posts.
    Sentiment,
}

impl Member {
    /// All of them, in the order of their votes.
    pub const ALL: [Self; 3] = [Self::Lightgbm, Self::Tft, Self::Sentiment];

    /// Its name in configuration, records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lightgbm => "lightgbm",
            Self::Tft => "tft",
            Self::Sentiment => "sentiment",
        }
    }

    /// Its place in a list of votes.
    pub const fn at(self) -> usize {
        self as usize
    }
}

/// What one member says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Calibrated probability that the price rises over the horizon, 0 to 1.
    pub probability: f64,
    /// Its share in the fusion, 0 to 1. The shares of the members that are present add up to 1.
    pub weight: f64,
}

/// What the fusion model says of one bar. It is an input like a price: recorded before it is used, never computed again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Which version of the model.
    pub version: ModelVersion,
    /// Hash of the bits that it was shown, from the question.
    pub features: u64,
    /// One place for each of [`Member::ALL`]; `None` for a member that is absent.
    pub votes: [Option<Vote>; Member::ALL.len()],
    /// Calibrated probability that the price rises over the horizon, 0 to 1.
    pub prob_up: f64,
    /// The 10 %, 50 % and 90 % quantiles of the log return over the horizon, where a member gives them.
    pub quantiles: Option<[f64; 3]>,
}

impl Forecast {
    /// How sure it is of the likelier side, 0.5 to 1.
    pub const fn confidence(&self) -> f64 {
        self.prob_up.max(1.0 - self.prob_up)
    }

    /// The likelier side; long when neither is.
    pub fn side(&self) -> Direction {
        if self.prob_up >= 0.5 { Direction::Long } else { Direction::Short }
    }

    /// The probability of one side: a short's is `1 - prob_up`.
    pub const fn probability_of(&self, side: Direction) -> f64 {
        match side {
            Direction::Long => self.prob_up,
            Direction::Short => 1.0 - self.prob_up,
        }
    }

    /// Whether every number in it is one that can be meant.
    pub fn is_sound(&self) -> bool {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let votes = self.votes.iter().flatten();
        let weights: f64 = votes.clone().map(|vote| vote.weight).sum();
        share(self.prob_up)
            && votes.clone().all(|vote| share(vote.probability) && share(vote.weight))
            && (weights - 1.0).abs() < 1e-6
            && self.quantiles.is_none_or(|q| q.iter().all(|x| x.is_finite()) && q[0] <= q[1] && q[1] <= q[2])
    }
}

/// What an engine wants to know about a bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Whose.
    pub instrument: Ix,
    /// Close of the bar.
    pub bar: Ts,
    /// Hash of the bits of `window`.
    pub features: u64,
    /// The rows of the last bars, oldest first, one after the other: `forecast::WINDOW` rows of `forecast::INPUTS`.
    #[serde(with = "window")]
    pub window: Arc<[f32]>,
}

/// A shared window as the list that it is.
mod window {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(window: &Arc<[f32]>, to: S) -> Result<S::Ok, S::Error> {
        window.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[f32]>, D::Error> {
        Ok(Vec::deserialize(from)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(prob_up: f64) -> Forecast {
        let vote = |probability, weight| Some(Vote { probability, weight });
        Forecast {
            version: "20251014_030000".parse().unwrap(),
            features: 1,
            votes: [vote(0.6, 0.625), vote(0.7, 0.375), None],
            prob_up,
            quantiles: Some([-0.1, 0.0, 0.1]),
        }
    }

    #[test]
    fn a_side_is_judged_by_its_own_probability() {
        for (prob_up, side, confidence) in
            [(0.7, Direction::Long, 0.7), (0.25, Direction::Short, 0.75), (0.5, Direction::Long, 0.5)]
        {
            let forecast = forecast(prob_up);
            assert_eq!(forecast.side(), side);
            assert!((forecast.confidence() - confidence).abs() < 1e-12);
            assert!((forecast.probability_of(side) - confidence).abs() < 1e-12);
        }
    }

    #[test]
    fn numbers_that_cannot_be_meant_are_not_sound() {
        assert!(forecast(0.0).is_sound() && forecast(1.0).is_sound());
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(!forecast(bad).is_sound());
        }
        let mut other = forecast(0.6);
        other.votes[0] = None;
        assert!(!other.is_sound(), "the weights of those present add up to 1");
        assert!(!Forecast { votes: [None; 3], ..forecast(0.6) }.is_sound());
        assert!(!Forecast { quantiles: Some([0.1, 0.0, 0.2]), ..forecast(0.6) }.is_sound());
        assert!(!Forecast { quantiles: Some([0.0, f64::NAN, 0.2]), ..forecast(0.6) }.is_sound());
    }
}
