//! `config/ensemble.yaml`: who votes, on what, and how sure the model must be.

use serde::Deserialize;

use crate::domain::Member;
use crate::domain::hash::hash64;
use crate::features::FeatureId;
use crate::forecast::groups;

/// The feature groups of the sentiment member, which come from sources and not from bars.
const SENTIMENT: [&str; 2] = ["news_score", "social_score"];

/// The file's only top-level key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ensemble: Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    models: Vec<RawMember>,
    voting: Voting,
    threshold: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: Member,
    weight: f64,
    features: Vec<String>,
}

/// How votes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voting {
    /// The weighted average of calibrated probabilities.
    WeightedAverage,
}

/// One member as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberKeys {
    /// Which member.
    pub member: Member,
    /// Its weight before training has its say, over 0.
    pub weight: f64,
    /// The inputs that it is shown, in the order of a row; none for sentiment.
    pub features: Vec<FeatureId>,
}

/// The file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// The members, each at most once.
    pub members: Vec<MemberKeys>,
    /// How votes are counted.
    pub voting: Voting,
    /// The confidence from which it is acted on, 0.5 to 1.
    pub threshold: f64,
    hash: u64,
}

/// Why the file is refused.
#[derive(Debug, thiserror::Error)]
pub enum EnsembleError {
    /// Not YAML, an unknown key or a wrong type; the text names line and column.
    #[error("{0}")]
    Yaml(String),
    /// A value that cannot be meant.
    #[error("`ensemble.{key}` is {value}: {reason}; {remedy}")]
    Value {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
}

fn refuse(key: String, value: impl ToString, reason: &'static str, remedy: &'static str) -> EnsembleError {
    EnsembleError::Value { key, value: value.to_string(), reason, remedy }
}

impl Ensemble {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`EnsembleError`] naming the key (or line and column), the value, the reason and the remedy.
    pub fn from_yaml(text: &str) -> Result<Self, EnsembleError> {
        let file: File = serde_saphyr::from_str(text).map_err(|e| EnsembleError::Yaml(e.to_string()))?;
        let Raw { models, voting, threshold } = file.ensemble;
        if !(0.5..1.0).contains(&threshold) {
            let reason = "it is not a confidence from which to act";
            return Err(refuse(
                "threshold".into(),
                threshold,
                reason,
                "write a number from 0.5 to under 1, such as 0.6",
            ));
        }
        if models.iter().all(|model| model.name == Member::Sentiment) {
            let reason = "there is no member that learns from prices";
            return Err(refuse("models".into(), "a list", reason, "name lightgbm, tft or both"));
        }
        let mut members: Vec<MemberKeys> = Vec::new();
        for (at, model) in models.into_iter().enumerate() {
            let member = check_member(at, model)?;
            if members.iter().any(|other| other.member == member.member) {
                let (key, value) = (format!("models[{at}].name"), member.member.name());
                return Err(refuse(key, value, "it is named twice", "name each member once"));
            }
            members.push(member);
        }
        let hash = hash64(&[format!("{members:?} {voting:?} {:016x}", threshold.to_bits()).as_bytes()]);
        Ok(Self { members, voting, threshold, hash })
    }

    /// Hash of its meaning.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// One member's keys, where it is configured.
    pub fn member(&self, member: Member) -> Option<&MemberKeys> {
        self.members.iter().find(|keys| keys.member == member)
    }
}

fn check_member(at: usize, raw: RawMember) -> Result<MemberKeys, EnsembleError> {
    let RawMember { name, weight, features } = raw;
    if !(weight.is_finite() && weight > 0.0) {
        let (key, reason) = (format!("models[{at}].weight"), "it is not a weight");
        return Err(refuse(key, weight, reason, "write a number over 0, or leave the member out"));
    }
    let mut ids: Vec<FeatureId> = Vec::new();
    for group in &features {
        let key = || format!("models[{at}].features");
        let known =
            if name == Member::Sentiment { SENTIMENT.contains(&group.as_str()) } else { groups(group).is_some() };
        if !known {
            let remedy = if name == Member::Sentiment {
                "write news_score, social_score or both"
            } else {
                "write some of ohlcv, volume, indicators, price_history, volatility"
            };
            return Err(refuse(key(), format!("`{group}`"), "it is not a group of features of this member", remedy));
        }
        ids.extend(groups(group).unwrap_or_default());
    }
    if features.is_empty() {
        let key = format!("models[{at}].features");
        return Err(refuse(key, "[]", "the member would see nothing", "name at least one group"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(MemberKeys { member: name, weight, features: ids })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/ensemble.yaml");

    #[test]
    fn the_shipped_file_is_the_users() {
        let ensemble = Ensemble::from_yaml(SHIPPED).unwrap();
        let weights: Vec<(&str, f64)> = ensemble.members.iter().map(|m| (m.member.name(), m.weight)).collect();
        assert_eq!(weights, [("lightgbm", 0.5), ("tft", 0.3), ("sentiment", 0.2)]);
        assert!((ensemble.threshold - 0.6).abs() < 1e-12 && ensemble.voting == Voting::WeightedAverage);
        assert_eq!(ensemble.member(Member::Lightgbm).unwrap().features.len(), 38);
        assert!(ensemble.member(Member::Sentiment).unwrap().features.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_key_value_reason_and_remedy() {
        for (from, to, wanted) in [
            ("threshold: 0.6", "threshold: 0.4", "`ensemble.threshold` is 0.4: it is not a confidence"),
            ("threshold: 0.6", "threshold: .nan", "threshold"),
            ("weight: 0.5", "weight: 0", "`ensemble.models[0].weight` is 0: it is not a weight; write a number over 0"),
            ("weight: 0.5", "weight: -1", "models[0].weight"),
            ("name: tft", "name: lightgbm", "`ensemble.models[1].name` is lightgbm: it is named twice"),
            ("name: tft", "name: oracle", "oracle"),
            ("[ohlcv, volume, indicators]", "[tea_leaves]", "`ensemble.models[0].features` is `tea_leaves`"),
            ("[ohlcv, volume, indicators]", "[]", "the member would see nothing"),
            ("news_score", "ohlcv", "write news_score, social_score or both"),
            ("voting: weighted_average", "voting: coin", "coin"),
            ("threshold: 0.6", "treshold: 0.6", "treshold"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = Ensemble::from_yaml(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{to}: {error}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_meaning() {
        let hash = |text: &str| Ensemble::from_yaml(text).unwrap().hash();
        assert_eq!(hash(SHIPPED), hash(&format!("# a note\n{SHIPPED}")));
        assert_ne!(hash(SHIPPED), hash(&SHIPPED.replace("threshold: 0.6", "threshold: 0.61")));
        assert_ne!(hash(SHIPPED), hash(&SHIPPED.replace("weight: 0.3", "weight: 0.31")));
    }
}
