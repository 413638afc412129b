//! Questions with known answers: a version answers nobody before it has answered these as it did when it was trained.

use std::path::Path;

use levibot_core::domain::{Member, Symbol, Ts};
use levibot_core::forecast::{Asked, window_hash};
use serde::{Deserialize, Serialize};

use super::{LoadError, Spoken, Voters, fault};

/// Its file in a version.
pub const CANARY_FILE: &str = "canary.json";
/// Fewest questions.
pub const CANARY_QUESTIONS_MIN: usize = 16;
/// How far a probability may be from the one of training. Other processors and batches move the last bits of a float
/// (about 1e-7 was seen); a wrong file moves more.
pub const CANARY_TOLERANCE: f64 = 1e-5;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// At least [`CANARY_QUESTIONS_MIN`].
    pub questions: Vec<CanaryQuestion>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryQuestion {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Close of the bar, nanoseconds since 1970.
    pub bar: Ts,
    /// The rows.
    pub window: Vec<f32>,
    /// What each of [`Member::ALL`] said, before calibration.
    pub raw: [Option<f64>; Member::ALL.len()],
    /// What came of it.
    pub prob_up: f64,
}

impl Canary {
    /// The questions, answered by the members as they are in memory after training.
    pub(super) fn answered(questions: &[Asked], voters: &Voters) -> Result<Self, String> {
        let asked: Vec<&Asked> = questions.iter().collect();
        let spoken = voters.speak(&asked)?;
        let answer = |(asked, spoken): (&Asked, Spoken)| CanaryQuestion {
            symbol: asked.symbol,
            bar: asked.bar,
            window: asked.window.clone(),
            raw: spoken.raw,
            prob_up: spoken.fused.prob_up,
        };
        Ok(Self { questions: questions.iter().zip(spoken).map(answer).collect() })
    }

    /// Asks the questions, as they stand in the file `path`.
    pub(super) fn check(&self, path: &Path, voters: &Voters) -> Result<(), LoadError> {
        let count = self.questions.len();
        if count < CANARY_QUESTIONS_MIN {
            let reason = format!("{count} questions, fewer than {CANARY_QUESTIONS_MIN}");
            return Err(LoadError::Content { path: path.to_owned(), reason });
        }
        let asked: Vec<Asked> = self.questions.iter().map(CanaryQuestion::asked).collect();
        let unanswered = |reason: String| LoadError::Unanswered { path: path.to_owned(), reason };
        if let Some((at, refusal)) = asked.iter().enumerate().find_map(|(at, one)| Some((at, fault(one)?))) {
            return Err(unanswered(format!("question {}: {refusal:?}", at + 1)));
        }
        let asked: Vec<&Asked> = asked.iter().collect();
        let spoken = voters.speak(&asked).map_err(unanswered)?;
        for (at, (question, spoken)) in self.questions.iter().zip(&spoken).enumerate() {
            if let Some(difference) = question.difference(&spoken.raw, spoken.fused.prob_up) {
                return Err(LoadError::Canary { path: path.to_owned(), question: at + 1, difference });
            }
        }
        Ok(())
    }
}

impl CanaryQuestion {
    /// As the daemon would ask it.
    pub fn asked(&self) -> Asked {
        let window = self.window.clone();
        Asked { symbol: self.symbol, bar: self.bar, features: window_hash(&window), window }
    }

    /// In which way another answer differs from this one; `None` when it does not.
    pub(super) fn difference(&self, raw: &[Option<f64>; Member::ALL.len()], prob_up: f64) -> Option<String> {
        let near = |a: f64, b: f64| (a - b).abs() <= CANARY_TOLERANCE;
        for (member, (wanted, found)) in Member::ALL.iter().zip(self.raw.iter().zip(raw)) {
            let same = match (wanted, found) {
                (None, None) => true,
                (Some(wanted), Some(found)) => near(*wanted, *found),
                _ => false,
            };
            if !same {
                let text = |x: &Option<f64>| x.map_or_else(|| "nothing".to_owned(), |x| x.to_string());
                return Some(format!("{} says {} instead of {}", member.name(), text(found), text(wanted)));
            }
        }
        (!near(self.prob_up, prob_up)).then(|| format!("together they say {prob_up} instead of {}", self.prob_up))
    }
}
