//! The version of the fusion model that a run asks: found, checked, and trained where there is none.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use levibot_core::domain::{ModelVersion, Timeframe, Ts};
use levibot_core::forecast::schema_hash;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::AppError;
use super::data::{Source, progress};
use super::history;
use crate::config::{Config, ModelConfig, SLACK_WEBHOOK, environment, model_binary};
use crate::model_versions::{self, FindFault, METADATA, Metadata};

/// Fewer bars of a symbol before the start teach nothing.
const BARS_MIN: usize = 1_000;
/// How long a training may take to end when asked.
const END_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at a training.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a run cannot have the model that its strategies ask.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No version, and none is to be trained.
    #[error(
        "{} holds no version of the fusion model, and a strategy asks it: train one with `{command}`, or set \
         `model.train_when_missing` = true", dir.display()
    )]
    Missing {
        /// The folder of versions.
        dir: PathBuf,
        /// What trains one.
        command: String,
    },
    /// The version that is named is not there.
    #[error(
        "{} holds no version {version}, which `model.version` names: `levibot model list` shows those that there are",
        dir.display()
    )]
    NoVersion {
        /// The folder of versions.
        dir: PathBuf,
        /// Which.
        version: ModelVersion,
    },
    /// There is not enough to learn from.
    #[error(
        "a first version cannot be trained: there are {found} bars of a symbol before {start}, and {BARS_MIN} are needed; \
         start later with --from, give earlier prices with --data, or train a version on others: `{command}`"
    )]
    NotEnough {
        /// The most bars of a symbol.
        found: usize,
        /// When the run starts.
        start: Ts,
        /// What trains one.
        command: String,
    },
    /// The version's description cannot be used.
    #[error("{} cannot be used: {reason}", file.display())]
    Metadata {
        /// The file.
        file: PathBuf,
        /// What is wrong, with the remedy.
        reason: String,
    },
    /// The version has learnt from what the run decides on.
    #[error(
        "version {version} has learnt from bars through {through}, and the run's first decision is on the bar after \
         {start}: what it earned would mean nothing; train one with `{command}`, or ask it all the same with --in-sample"
    )]
    InSample {
        /// Which.
        version: ModelVersion,
        /// Close of the last bar that it has learnt from.
        through: Ts,
        /// When the run starts.
        start: Ts,
        /// What trains one that has not.
        command: String,
    },
    /// A file could not be written or read.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The training failed; it has said why.
    #[error("the training of a first version failed ({status}), its own words stand above: `{command}` does it again")]
    Train {
        /// How it ended.
        status: ExitStatus,
        /// The command.
        command: String,
    },
    /// A person or the system ended it.
    #[error("interrupted while a first version of the model was trained; nothing of it is kept")]
    Interrupted,
}

impl ModelError {
    /// Whether configuration or data are to be corrected.
    pub const fn is_setup(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Train { .. } | Self::Interrupted)
    }
}

/// Finds the version that the strategies ask, and trains one where there is none and that is wanted. Nothing where no
/// strategy asks.
pub(super) fn ensure(config: &Config, source: &Source) -> Result<Option<Metadata>, AppError> {
    let Some(model) = config.model.as_ref().filter(|_| config.strategies.any_asks_model()) else { return Ok(None) };
    // Without the program nobody would answer: better told now than by a server that never comes.
    let binary = model_binary(&environment())?;
    let metadata = match find(model)? {
        Some(metadata) => metadata,
        None => {
            train(config, model, source, &binary)?;
            let command = Training::of(config, model, source).text();
            find(model)?.ok_or_else(|| ModelError::Missing { dir: model.dir.clone(), command })?
        }
    };
    check(model, config.market.timeframe, &metadata)?;
    Ok(Some(metadata))
}

/// Refuses a version that has learnt from bars after `start`, at which the run decides first.
pub(super) fn check_in_sample(
    config: &Config,
    source: &Source,
    metadata: &Metadata,
    start: Ts,
) -> Result<(), ModelError> {
    let Some(model) = config.model.as_ref().filter(|model| !model.in_sample) else { return Ok(()) };
    if metadata.trained_through <= start {
        return Ok(());
    }
    let command = Training { to: Some(start), ..Training::of(config, model, source) }.text();
    Err(ModelError::InSample { version: metadata.version, through: metadata.trained_through, start, command })
}

/// The version that is named, or the one in use.
fn find(model: &ModelConfig) -> Result<Option<Metadata>, ModelError> {
    model_versions::find(&model.dir, model.version).map_err(|fault| match fault {
        FindFault::NoVersion(version) => ModelError::NoVersion { dir: model.dir.clone(), version },
        FindFault::Read(path, source) => ModelError::Io { doing: "read", path, source },
        FindFault::Text(file, error) => ModelError::Metadata {
            file,
            reason: format!("{error}; restore the folder, or train a version anew with `levibot train`"),
        },
    })
}

/// What the model server would refuse later is told before anything starts.
fn check(model: &ModelConfig, timeframe: Timeframe, metadata: &Metadata) -> Result<(), ModelError> {
    let file = model.dir.join(format!("ensemble_{}", metadata.version)).join(METADATA);
    let ours = format!("{:016x}", schema_hash());
    let reason = if metadata.schema != ours {
        format!(
            "it was trained on inputs {}, this program makes {ours}; train one with `levibot train`",
            metadata.schema
        )
    } else if metadata.timeframe != timeframe {
        format!(
            "it was trained on bars of {}, `market.timeframe` is {timeframe}; train one with --timeframe {timeframe}",
            metadata.timeframe
        )
    } else {
        return Ok(());
    };
    Err(ModelError::Metadata { file, reason })
}

/// A training, as options of `levibot train`.
#[derive(Debug)]
struct Training {
    data: PathBuf,
    symbols: String,
    timeframe: Timeframe,
    to: Option<Ts>,
    config: PathBuf,
    ensemble: PathBuf,
    models: PathBuf,
}

impl Training {
    fn of(config: &Config, model: &ModelConfig, source: &Source) -> Self {
        let names: Vec<String> = source.setup.instruments.iter().map(|i| i.id().symbol.to_string()).collect();
        Self {
            data: source.path().map_or_else(|| config.run.data_dir.join("history"), Path::to_owned),
            symbols: names.join(","),
            timeframe: config.market.timeframe,
            to: source.path().map(|_| source.start),
            config: model.training_file.clone(),
            ensemble: model.ensemble_file.clone(),
            models: model.dir.clone(),
        }
    }

    fn args(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut args = vec!["train".to_owned(), "--data".to_owned(), path(&self.data)];
        args.extend(["--symbols".to_owned(), self.symbols.clone()]);
        args.extend(["--timeframe".to_owned(), self.timeframe.to_string()]);
        if let Some(to) = self.to {
            args.extend(["--to".to_owned(), to.to_string()]);
        }
        args.extend(["--config".to_owned(), path(&self.config), "--ensemble".to_owned(), path(&self.ensemble)]);
        args.extend(["--models".to_owned(), path(&self.models), "--promote".to_owned()]);
        args
    }

    fn text(&self) -> String {
        format!("levibot {}", self.args().join(" "))
    }
}

fn train(config: &Config, model: &ModelConfig, source: &Source, binary: &Path) -> Result<(), AppError> {
    let mut training = Training::of(config, model, source);
    let command = training.text();
    if !model.train_when_missing {
        return Err(ModelError::Missing { dir: model.dir.clone(), command }.into());
    }
    let found = source.bars_before_start();
    if found < BARS_MIN {
        return Err(ModelError::NotEnough { found, start: source.start, command }.into());
    }
    tracing::info!(models = %model.dir.display(), "there is no version of the model: a first one is trained");
    if let Some(setup) = source.simulated() {
        let bar = progress(u64::from(setup.walked_bars()), "simulating history");
        history::write(setup, source.start, &training.data, |_| bar.inc(1))?;
        bar.finish_and_clear();
    }
    training.config = on_disk(&model.training_file, &model.training_text, &config.run.data_dir, "training.toml")?;
    training.ensemble = on_disk(&model.ensemble_file, &model.ensemble_text, &config.run.data_dir, "ensemble.yaml")?;
    let mut child = Command::new(binary);
    child
        .env_remove(SLACK_WEBHOOK)
        .args(training.args())
        .arg("--dies-with-parent")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = run_to_end(&mut child)?;
    if status.success() { Ok(()) } else { Err(ModelError::Train { status, command }.into()) }
}

/// The file, or a copy of the text that is built in where there is no such file.
fn on_disk(file: &Path, text: &str, data_dir: &Path, name: &str) -> Result<PathBuf, ModelError> {
    if file.is_file() {
        return Ok(file.to_owned());
    }
    let dir = data_dir.join("history");
    let path = dir.join(format!("{name}.builtin"));
    let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, text));
    written.map_err(|source| ModelError::Io { doing: "write", path: path.clone(), source })?;
    Ok(path)
}

/// Runs a training. A signal to end ends it first: nothing goes on behind the back of whoever stopped the daemon.
fn run_to_end(command: &mut Command) -> Result<ExitStatus, AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::Signals)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
        let path = PathBuf::from(command.get_program());
        let failed = |source| ModelError::Io { doing: "start", path, source };
        let mut child = command.spawn().map_err(failed)?;
        let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        let mut stopped: Option<Instant> = None;
        loop {
            if let Some(status) = child.try_wait().map_err(AppError::Signals)? {
                return if stopped.is_some() { Err(ModelError::Interrupted.into()) } else { Ok(status) };
            }
            if stopped.is_some_and(|at| at.elapsed() >= END_DEADLINE) {
                let _ = child.kill();
            }
            let asked = tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if asked && stopped.is_none() {
                stopped = Some(Instant::now());
                // Not waited for yet, so that the number is still its own.
                pid.map(|pid| kill(pid, Signal::SIGTERM));
            }
        }
    })
}

#[cfg(test)]
#[path = "first_model_tests.rs"]
mod tests;
