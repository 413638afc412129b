//! Checks of the fusion model: where its versions are, who asks it, and how long is waited for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levibot_core::domain::{ModelVersion, Span, Symbol};
use levibot_core::fusion::Ensemble;

use super::error::Origin;
use super::overrides::{MODEL_BINARY, Overrides};
use super::raw::RawModel;
use super::text::{Shelf, masked, span_text};
use super::{ConfigError, StrategiesConfig, host};

/// The longest that questions may wait for each other.
const BATCH_WAIT_MAX: Span = Span::SECOND;
/// The longest that an answer may be waited for.
const DEADLINE_MAX: Span = Span::MINUTE;
/// The program of the fusion model, beside this one.
const BINARY: &str = "levibot-model";

/// `[model]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The folder of versions, with the link `current` to the one in use.
    pub dir: PathBuf,
    /// The file of members, weights and threshold.
    pub ensemble_file: PathBuf,
    /// What it says.
    pub ensemble: Ensemble,
    /// Its text, for a training where the file itself is only built in.
    pub ensemble_text: String,
    /// How a version is trained where there is none.
    pub training_file: PathBuf,
    /// Its text; the training checks it.
    pub training_text: String,
    /// How long the first question of an instant waits for the others, up to 1 s.
    pub batch_wait: Span,
    /// How long a question may go unanswered in realtime, over [`batch_wait`](Self::batch_wait) and up to 1 min.
    pub deadline: Span,
    /// Threads of native code in the model server, 1 to 64.
    pub threads: u32,
    /// Whether a first version is trained before the start where there is none.
    pub train_when_missing: bool,
    /// Whether a version may be asked about bars that it has learnt from.
    pub in_sample: bool,
    /// The version to answer with; `None`: the one in use.
    pub version: Option<ModelVersion>,
}

impl StrategiesConfig {
    /// Whether the strategy of a symbol asks the model.
    pub fn asks_model(&self, symbol: Symbol) -> bool {
        self.of(symbol).asks_model()
    }

    /// Whether any strategy does.
    pub fn any_asks_model(&self) -> bool {
        self.symbols.values().chain([&self.default]).any(|strategy| strategy.policy.asks_model())
    }

    /// Gives the ensemble's threshold to the strategies that ask the model and name none of their own.
    pub(super) fn take_threshold(&mut self, threshold: f64) {
        for strategy in self.symbols.values_mut().chain([&mut self.default]) {
            strategy.policy = strategy.policy.clone().with_threshold(threshold);
        }
    }
}

/// The path of the program of the fusion model: `LEVIBOT_MODEL_BINARY`, or `levibot-model` beside this program.
///
/// # Errors
/// [`ConfigError::NoModelBinary`] when there is no such file.
pub fn model_binary(env: &BTreeMap<String, String>) -> Result<PathBuf, ConfigError> {
    let given = env.get(MODEL_BINARY).filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = given.is_some();
    let beside = || std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(BINARY)));
    let path = given.or_else(beside).unwrap_or_else(|| PathBuf::from(BINARY));
    if path.is_file() { Ok(path) } else { Err(ConfigError::NoModelBinary { path, named }) }
}

pub(super) fn model(
    at: Origin<'_>,
    shelf: Shelf,
    raw: Option<RawModel>,
    strategies: &StrategiesConfig,
    overrides: &Overrides,
) -> Result<Option<ModelConfig>, ConfigError> {
    let Some(raw) = raw else {
        if strategies.any_asks_model() {
            let reason = "a strategy asks the model";
            let remedy = "copy the table from the shipped config/levibot.toml";
            return Err(at.refuse("model", "missing", reason, remedy));
        }
        return Ok(None);
    };
    for (key, path) in [("dir", &raw.dir), ("ensemble", &raw.ensemble), ("training", &raw.training)] {
        host::not_empty(at, &format!("model.{key}"), path)?;
    }
    let (batch_wait, deadline) = (raw.batch_wait.0, raw.deadline.0);
    if batch_wait > BATCH_WAIT_MAX {
        let (reason, remedy) = ("engines wait so long at every bar", "write a span up to 1s, such as \"2ms\"");
        return Err(at.refuse("model.batch_wait", span_text(batch_wait), reason, remedy));
    }
    if deadline <= batch_wait || deadline > DEADLINE_MAX {
        let reason = "it must be over `model.batch_wait` and up to a minute";
        return Err(at.refuse("model.deadline", span_text(deadline), reason, "write a span such as \"250ms\""));
    }
    if !(1..=64).contains(&raw.threads) {
        return Err(at.refuse("model.threads", raw.threads, "it is not a number of threads", "write 1 to 64"));
    }
    let (ensemble, ensemble_text) = read_ensemble(shelf, &raw.ensemble)?;
    let training_text = shelf.read(&raw.training, "`model.training`")?;
    Ok(Some(ModelConfig {
        dir: raw.dir,
        ensemble_file: raw.ensemble,
        ensemble,
        ensemble_text,
        training_file: raw.training,
        training_text,
        batch_wait,
        deadline,
        threads: raw.threads,
        train_when_missing: raw.train_when_missing,
        in_sample: raw.in_sample || overrides.in_sample,
        version: raw.version,
    }))
}

pub(super) fn read_ensemble(shelf: Shelf, file: &Path) -> Result<(Ensemble, String), ConfigError> {
    let key = "`model.ensemble`";
    let text = shelf.read(file, key)?;
    let ensemble = Ensemble::from_yaml(&text).map_err(|error| ConfigError::Policy {
        file: file.to_owned(),
        key: key.to_owned(),
        text: masked(&error.to_string()),
    })?;
    Ok((ensemble, text))
}
