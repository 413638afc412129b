//! What the model says of a market of the past: asked once by its own program, and kept in a file.
//!
//! The file lies under `levibot/forecasts` in the user's folder of caches, and its name is made of all that its forecasts
//! depend on. It is checked whenever it is read; one that is damaged or of something else is made anew. After each one that is
//! made the oldest go: 64 files and 4 GiB stay at most.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use levibot_core::backtest::{Forecasts, MarketPast};
use levibot_core::domain::{Symbol, Ts};
use levibot_core::driver::WARM_UP_BARS;
use levibot_core::engine::StrategyPolicy;
use levibot_core::forecast::{KeptFault, KeptKey, bars_digest, read_kept, schema_hash};

use super::request::Request;
use super::view::ModelView;
use super::{BacktestError, load, prune};
use crate::config::{self, Config, SLACK_WEBHOOK, cache_dir, environment, model_binary};
use crate::model_versions::{self, FindFault, METADATA, Metadata};

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 18;

/// The policies, and what the model said where one asks it.
#[derive(Debug)]
pub(super) struct Asked {
    /// With the ensemble's threshold, where they need one.
    pub(super) policies: Vec<StrategyPolicy>,
    pub(super) said: Option<Said>,
}

/// What the model said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) forecasts: Forecasts,
    pub(super) view: ModelView,
}

/// Which model.
struct Which {
    dir: PathBuf,
    /// What names the folder.
    key: &'static str,
    metadata: Metadata,
    threshold: f64,
}

/// Asks the model about the bars that are traded, where a policy asks it.
pub(super) fn ask(
    request: &Request,
    config: Option<&Config>,
    market: &MarketPast,
    policies: Vec<StrategyPolicy>,
    threads: usize,
    tell: &dyn Fn(&str),
) -> Result<Asked, BacktestError> {
    let Some(asking) = policies.iter().find(|policy| policy.asks_model()) else {
        return Ok(Asked { policies, said: None });
    };
    let which = which(request, config, market, asking.name())?;
    let (start, end) = load::span(market, request.from, request.to).unwrap_or((Ts::EPOCH, Ts::EPOCH));
    let (version, through) = (which.metadata.version, which.metadata.trained_through);
    let in_sample = through > start;
    if in_sample {
        let allowed = request.model.in_sample || config.and_then(|c| c.model.as_ref()).is_some_and(|m| m.in_sample);
        if !allowed {
            return Err(BacktestError::InSample { version, through, start });
        }
        tell(&format!(
            "in sample: version {version} has learnt from bars through {through}, and is asked about bars from {start} on; \
             what it earned there means nothing"
        ));
    }
    let key = key(market, &policies, &which.metadata, (start, end));
    let symbols = kept(request, &which, &key, threads, tell)?;
    let view = ModelView {
        version,
        digest: which.metadata.digest,
        trained_through: through,
        in_sample,
        threshold: which.threshold,
        forecasts: symbols.iter().map(|list| list.len() as u64).sum(),
        kept: key.file_name(),
    };
    let policies = policies.into_iter().map(|policy| policy.with_threshold(which.threshold)).collect();
    Ok(Asked { policies, said: Some(Said { forecasts: Forecasts { symbols, start: Some(start) }, view }) })
}

/// The version that is asked for, looked at as far as can be told without loading it.
fn which(
    request: &Request,
    config: Option<&Config>,
    market: &MarketPast,
    policy: &str,
) -> Result<Which, BacktestError> {
    let model = config.and_then(|config| config.model.as_ref());
    let named = request.model.dir.clone().map(|dir| (dir, "--model"));
    let Some((dir, key)) = named.or_else(|| model.map(|model| (model.dir.clone(), "`model.dir`"))) else {
        let remedy = "name a folder of versions such as models/default; `levibot train` makes one";
        return Err(BacktestError::value("--model", "missing", format!("`{policy}` asks the fusion model"), remedy));
    };
    let of_config = if request.model.dir.is_some() { None } else { model.and_then(|model| model.version) };
    let refuse = |path: &Path, reason: String, remedy: &str| BacktestError::Version {
        path: path.to_owned(),
        key,
        reason,
        remedy: remedy.to_owned(),
    };
    let metadata = match model_versions::find(&dir, request.model.version.or(of_config)) {
        Ok(Some(metadata)) => metadata,
        Ok(None) => {
            let remedy = "train one with `levibot train --models` and this folder, or name another folder";
            return Err(refuse(&dir, "it holds no version in use".to_owned(), remedy));
        }
        Err(FindFault::NoVersion(version)) => {
            let remedy = "`levibot model list --models` and this folder shows those that there are";
            return Err(refuse(&dir, format!("it holds no version {version}"), remedy));
        }
        Err(FindFault::Read(path, error)) => {
            return Err(refuse(&path, format!("it cannot be read: {error}"), "restore it, or choose another version"));
        }
        Err(FindFault::Text(path, error)) => {
            return Err(refuse(
                &path,
                format!("it cannot be understood: {error}"),
                "restore it, or train a version anew",
            ));
        }
    };
    let file = model_versions::folder(&dir, Some(metadata.version)).join(METADATA);
    let ours = format!("{:016x}", schema_hash());
    if metadata.schema != ours {
        let reason = format!("`schema` is {}, and this program makes inputs {ours}", metadata.schema);
        return Err(refuse(&file, reason, "train a version with `levibot train`"));
    }
    if metadata.timeframe != market.timeframe {
        let reason = format!("`timeframe` is {}, and the bars are {} long", metadata.timeframe, market.timeframe);
        let remedy = format!("give --timeframe {}, or train a version on such bars", metadata.timeframe);
        return Err(refuse(&file, reason, &remedy));
    }
    let threshold = match model {
        Some(model) => model.ensemble.threshold,
        None => config::ensemble()?.threshold,
    };
    Ok(Which { dir, key, metadata, threshold })
}

fn key(market: &MarketPast, policies: &[StrategyPolicy], metadata: &Metadata, (start, end): (Ts, Ts)) -> KeptKey {
    let symbols = || market.symbols.iter().map(|one| one.symbol);
    let asked = symbols().zip(policies).filter(|(_, policy)| policy.asks_model()).map(|(symbol, _)| symbol).collect();
    let bars = market.symbols.iter().map(|one| (one.symbol, one.bars.as_slice()));
    KeptKey {
        version: metadata.version,
        digest: metadata.digest.clone(),
        schema: schema_hash(),
        trained_through: metadata.trained_through,
        bars: bars_digest(bars, market.timeframe, end),
        symbols: symbols().collect(),
        asked,
        timeframe: market.timeframe,
        start,
        end,
        warm_up: u32::try_from(WARM_UP_BARS).unwrap_or(u32::MAX),
    }
}

type Lists = Vec<Vec<(Ts, levibot_core::domain::Forecast)>>;

/// What the file of this key holds; it is made where it is not there or not what it should be.
fn kept(
    request: &Request,
    which: &Which,
    key: &KeptKey,
    threads: usize,
    tell: &dyn Fn(&str),
) -> Result<Lists, BacktestError> {
    let Some(folder) = cache_dir() else {
        let remedy = "set it to a folder that may be written to";
        return Err(BacktestError::value("XDG_CACHE_HOME", "missing", "there is no folder for forecasts", remedy));
    };
    let path = folder.join("forecasts").join(key.file_name());
    let read = || {
        File::open(&path)
            .map_err(KeptFault::Read)
            .and_then(|file| read_kept(BufReader::with_capacity(READ_BYTES, file), key))
    };
    match read() {
        Ok(lists) => return Ok(lists),
        Err(KeptFault::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Err(fault) => tell(&format!("{}: {fault}; the model is asked again", path.display())),
    }
    make(request, which, key, threads, &path)?;
    if let Err(error) = prune::prune(&path, prune::FILES_MAX, prune::BYTES_MAX) {
        tell(&format!("{}: old files of forecasts could not be taken away: {error}", folder.display()));
    }
    read().map_err(|fault| BacktestError::Kept { path: path.clone(), reason: fault.to_string() })
}

/// Lets the program of the model write the file.
fn make(request: &Request, which: &Which, key: &KeptKey, threads: usize, path: &Path) -> Result<(), BacktestError> {
    let list = |symbols: &[Symbol]| symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",");
    let mut command = Command::new(model_binary(&environment())?);
    command.arg("forecasts").arg("--data").arg(&request.data);
    command.args(["--symbols", &list(&key.symbols), "--ask", &list(&key.asked)]);
    command.args(["--timeframe", &key.timeframe.to_string()]);
    command.args(["--from", &key.start.to_string(), "--to", &key.end.to_string()]);
    command.arg("--models").arg(&which.dir).args(["--version", &key.version.to_string()]);
    command.args(["--threads", &threads.to_string()]).arg("--out").arg(path);
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    let failed = |how: String| BacktestError::Ask { how, command: format!("levibot {words}") };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| BacktestError::Version {
            path: folder.to_owned(),
            key: which.key,
            reason: format!("the folder of forecasts cannot be made: {error}"),
            remedy: "set XDG_CACHE_HOME to a folder that may be written to".to_owned(),
        })?;
    }
    if request.quiet {
        command.arg("--quiet");
    }
    // What it does not need to know it is not told; its output would stand in the way of the result.
    command.arg("--dies-with-parent").env_remove(SLACK_WEBHOOK).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
