//! A strategy, checked, and its parameters set.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::{Document, FILE_BYTES_MAX};
use super::error::{Fault, StrategyError, quoted, suggestion};
use super::parameter::Parameter;
use super::plan::{Plan, PlannedSize};
use super::resolve::{Resolved, resolve};
use super::{document, memory, tree, warm_up};
use crate::domain::Direction;
use crate::domain::hash::hash64;

/// Versions what the language means: a change of what a text does must change it.
const MEANING: &[u8] = b"levilang 1";

/// A strategy. Built from YAML by [`StrategyPolicy::from_yaml`]; serde goes through the same checks.
///
/// Two are equal when they mean the same: comments and layout are no difference.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct StrategyPolicy {
    source: Arc<Source>,
    parameters: Vec<Parameter>,
    /// That of the ensemble, where the text names it and it is known: other parameters may need it though these do not.
    threshold: Option<f64>,
    awaits_threshold: bool,
    plan: Plan,
    hash: u64,
}

/// What was read, shared by all settings of it.
#[derive(Debug)]
struct Source {
    text: String,
    document: Document,
}

/// What is kept of a strategy: all that is needed to run it again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The file.
    source: String,
    /// The parameters that do not stand at their defaults.
    set: BTreeMap<String, f64>,
    /// That of the ensemble.
    threshold: Option<f64>,
}

impl From<StrategyPolicy> for Stored {
    fn from(policy: StrategyPolicy) -> Self {
        let is_set = |parameter: &&Parameter| parameter.value.to_bits() != parameter.default.to_bits();
        let set = policy.parameters.iter().filter(is_set).map(|one| (one.name.clone(), one.value)).collect();
        Self { source: policy.source.text.clone(), set, threshold: policy.threshold }
    }
}

impl TryFrom<Stored> for StrategyPolicy {
    type Error = StrategyError;

    fn try_from(stored: Stored) -> Result<Self, StrategyError> {
        let set: Vec<(&str, f64)> = stored.set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let source = Source::read(stored.source)?;
        let parameters = source.set(&source.document.parameters, &set)?;
        Self::resolved(Arc::new(source), parameters, stored.threshold.filter(|threshold| is_threshold(*threshold)))
    }
}

impl PartialEq for StrategyPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.plan == other.plan
            && self.parameters == other.parameters
            && self.awaits_threshold == other.awaits_threshold
            && (self.name(), self.about()) == (other.name(), other.about())
    }
}

fn is_threshold(threshold: f64) -> bool {
    (0.0..=1.0).contains(&threshold)
}

impl Source {
    fn read(text: String) -> Result<Self, StrategyError> {
        if text.len() > FILE_BYTES_MAX {
            let reason = format!("the file has {} bytes", text.len());
            return Err(Fault::new(0..0, reason, "a strategy has up to 65536").shown(&text));
        }
        let document = tree::read(&text).and_then(|tree| document::read(&tree, &text));
        match document {
            Ok(document) => Ok(Self { text, document }),
            Err(fault) => Err(fault.shown(&text)),
        }
    }

    /// The parameters with some of them set.
    fn set(&self, from: &[Parameter], set: &[(&str, f64)]) -> Result<Vec<Parameter>, StrategyError> {
        let mut parameters = from.to_vec();
        for (place, (name, value)) in set.iter().enumerate() {
            let refuse = |reason: String, remedy: String| {
                let name = quoted(name).trim_matches('`').to_owned();
                Err(StrategyError::Setting { name, value: value.to_string(), reason, remedy })
            };
            if set.iter().take(place).any(|(other, _)| other == name) {
                return refuse("it is set twice".to_owned(), "set it once".to_owned());
            }
            let Some(parameter) = parameters.iter_mut().find(|parameter| parameter.name == *name) else {
                let names: Vec<&str> = from.iter().map(|parameter| parameter.name.as_str()).collect();
                let all = match names.as_slice() {
                    [] => format!("{} has no parameters", self.document.name),
                    names => format!("{} has {}", self.document.name, names.join(", ")),
                };
                return refuse("there is no such parameter".to_owned(), suggestion(name, names.into_iter(), &all));
            };
            if let Err((reason, remedy)) = parameter.check(*value) {
                return refuse(reason, remedy);
            }
            parameter.value = *value;
        }
        Ok(parameters)
    }
}

impl StrategyPolicy {
    /// Reads a file's text: see `docs/levilang.md`.
    ///
    /// # Errors
    /// [`StrategyError`] with line, column, key, reason and remedy.
    pub fn from_yaml(text: &str) -> Result<Self, StrategyError> {
        let source = Source::read(text.to_owned())?;
        let parameters = source.document.parameters.clone();
        let policy = Self::resolved(Arc::new(source), parameters, None)?;
        policy.source.document.check_ways_out().map_err(|fault| fault.shown(&policy.source.text))?;
        policy.remembered()
    }

    /// The same, if an engine's snapshot holds all that it remembers. What stands on record is not asked: it was run.
    fn remembered(self) -> Result<Self, StrategyError> {
        memory::check(&self.plan).map_err(|fault| fault.shown(&self.source.text))?;
        Ok(self)
    }

    fn resolved(
        source: Arc<Source>,
        parameters: Vec<Parameter>,
        threshold: Option<f64>,
    ) -> Result<Self, StrategyError> {
        let resolved = resolve(&source.document, &parameters, threshold, &source.text);
        let Resolved { plan, has_threshold } = resolved.map_err(|fault| fault.shown(&source.text))?;
        let hash = hash_of(&source.document.name, &plan);
        let awaits_threshold = has_threshold && threshold.is_none();
        let threshold = threshold.filter(|_| source.document.names_threshold());
        Ok(Self { source, parameters, threshold, awaits_threshold, plan, hash })
    }

    /// The same with some parameters set, each `(name, value)`; the others stay where they stand. The text is not read
    /// again.
    ///
    /// # Errors
    /// [`StrategyError`] when there is no such parameter, a value is out of its range or between its steps, or a condition
    /// of the strategy does not hold with these values, or they make it remember more than a snapshot holds.
    pub fn with(&self, set: &[(&str, f64)]) -> Result<Self, StrategyError> {
        let parameters = self.source.set(&self.parameters, set)?;
        Self::resolved(Arc::clone(&self.source), parameters, self.threshold)?.remembered()
    }

    /// The same with the ensemble's threshold, 0 to 1, where its text names one and it has none yet. Another number is no
    /// threshold and changes nothing.
    #[must_use]
    pub fn with_threshold(self, threshold: f64) -> Self {
        if self.threshold.is_some() || !is_threshold(threshold) {
            return self;
        }
        // What a threshold is never decides whether a strategy can be meant: this resolves as it did before.
        Self::resolved(Arc::clone(&self.source), self.parameters.clone(), Some(threshold)).unwrap_or(self)
    }

    /// The ensemble's threshold that it was given.
    pub const fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// Whether it needs the ensemble's threshold and has none: then it enters nothing.
    pub const fn awaits_threshold(&self) -> bool {
        self.awaits_threshold
    }

    /// Hash of its meaning, parameters included: the same however the file is laid out, another when it decides by anything
    /// else.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// What decisions and reports call it.
    pub fn name(&self) -> &str {
        &self.source.document.name
    }

    /// What its file says of it; may be empty.
    pub fn about(&self) -> &str {
        &self.source.document.about
    }

    /// The file's text.
    pub fn source(&self) -> &str {
        &self.source.text
    }

    /// What may be set, in order of the file.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What is evaluated.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether it asks the model.
    pub fn asks_model(&self) -> bool {
        self.plan.asks_model()
    }

    /// Whether it may enter this direction.
    pub const fn trades(&self, direction: Direction) -> bool {
        self.plan.side(direction).entry.is_some()
    }

    /// How large its entries are.
    pub const fn size(&self) -> PlannedSize {
        self.plan.size
    }

    /// Bars after which all that it decides by is defined, this bar's values included.
    pub fn warm_up_bars(&self) -> usize {
        warm_up::warm_up_bars(&self.plan)
    }
}

fn hash_of(name: &str, plan: &Plan) -> u64 {
    // Writing to memory does not fail.
    let plan = postcard::to_allocvec(plan).unwrap_or_default();
    hash64(&[MEANING, name.as_bytes(), &plan])
}
