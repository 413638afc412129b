//! Checks of what the daemon runs with: run, supervisor, journal, store, status API, logs, registry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use levibot_core::supervision::SupervisionSetup;

use super::error::Origin;
use super::overrides::{HTTP_BIND, Overrides, Variables};
use super::raw::{RawHttp, RawJournal, RawLogs, RawRegistry, RawReplay, RawRun, RawStore, RawSupervisor};
use super::{ConfigError, HttpConfig, JournalConfig, LogsConfig, PaceKey, RegistryConfig, RunConfig, StoreConfig};

pub(super) fn run(
    at: Origin<'_>,
    raw: RawRun,
    replay: &RawReplay,
    variables: &Variables,
    overrides: &Overrides,
) -> Result<RunConfig, ConfigError> {
    if replay.resume_next_day && raw.pace == PaceKey::Realtime {
        let reason = "with `run.pace` = \"realtime\" a stop of the day is lifted by a person only";
        let remedy = "write false, or set `run.pace` = \"lockstep\" for a replay";
        return Err(at.refuse("replay.resume_next_day", true, reason, remedy));
    }
    not_empty(at, "run.data_dir", &raw.data_dir)?;
    if let Some(dir) = &overrides.data_dir {
        not_empty(Origin::COMMAND_LINE, "--data-dir", dir)?;
    }
    let data_dir = overrides.data_dir.clone().or_else(|| variables.data_dir.clone()).unwrap_or(raw.data_dir);
    let watch = raw.watch.unwrap_or(true);
    Ok(RunConfig { pace: raw.pace, data_dir, watch, resume_next_day: replay.resume_next_day })
}

pub(super) fn not_empty(at: Origin<'_>, key: &str, path: &Path) -> Result<(), ConfigError> {
    if path.as_os_str().is_empty() {
        return Err(at.refuse(key, "\"\"", "it names nothing", "write a path"));
    }
    Ok(())
}

pub(super) fn supervision(at: Origin<'_>, raw: &RawSupervisor) -> Result<SupervisionSetup, ConfigError> {
    let default = SupervisionSetup::default();
    let setup = SupervisionSetup {
        failures_max: raw.failures_max.unwrap_or(default.failures_max),
        window: raw.window.map_or(default.window, |text| text.0),
        backoff_first: raw.backoff_first.map_or(default.backoff_first, |text| text.0),
        backoff_max: raw.backoff_max.map_or(default.backoff_max, |text| text.0),
        healthy_after: raw.healthy_after.map_or(default.healthy_after, |text| text.0),
        progress_deadline: raw.progress_deadline.map_or(default.progress_deadline, |text| text.0),
        starting_deadline: raw.starting_deadline.map_or(default.starting_deadline, |text| text.0),
        stop_deadline: raw.stop_deadline.map_or(default.stop_deadline, |text| text.0),
    };
    setup.validate().map_err(|e| at.refuse(format!("supervisor.{}", e.key), e.value, e.reason, e.remedy))?;
    Ok(setup)
}

/// So many engines in quarantine at once halt the account.
pub(super) fn quarantines_max(at: Origin<'_>, raw: &RawSupervisor) -> Result<u32, ConfigError> {
    let max = raw.quarantines_max.unwrap_or(3);
    if !(1..=1_000).contains(&max) {
        let reason = "it is not a number of engines that may be lost";
        return Err(at.refuse("supervisor.quarantines_max", max, reason, "write 1 to 1000; 3 is a good choice"));
    }
    Ok(max)
}

pub(super) fn journal(at: Origin<'_>, raw: &RawJournal) -> Result<JournalConfig, ConfigError> {
    keep_days(at, "journal.tape_keep_days", raw.tape_keep_days)?;
    Ok(JournalConfig { tape: raw.tape, tape_keep_days: raw.tape_keep_days })
}

fn keep_days(at: Origin<'_>, key: &str, days: u32) -> Result<(), ConfigError> {
    if !(1..=3_650).contains(&days) {
        return Err(at.refuse(key, days, "it is not a number of days to keep", "write 1 to 3650 (days)"));
    }
    Ok(())
}

pub(super) fn store(at: Origin<'_>, raw: &RawStore) -> Result<StoreConfig, ConfigError> {
    let remedy = "write \"sqlite\" for a file in the data folder, or \"sqlite://path/to/file.db\"";
    if raw.url == "sqlite" {
        return Ok(StoreConfig::InDataDir);
    }
    let Some((scheme, path)) = raw.url.split_once(':') else {
        return Err(at.refuse("store.url", format!("\"{}\"", raw.url), "it is not a database", remedy));
    };
    if scheme != "sqlite" {
        // What follows the scheme may hold a password.
        let value = format!("\"{scheme}:...\"");
        return Err(at.refuse("store.url", value, "only SQLite is supported", remedy));
    }
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(at.refuse("store.url", format!("\"{}\"", raw.url), "it is not the path of a file", remedy));
    }
    Ok(StoreConfig::File(PathBuf::from(path)))
}

pub(super) fn http(
    at: Origin<'_>,
    raw: &RawHttp,
    variables: &Variables,
    overrides: &Overrides,
) -> Result<HttpConfig, ConfigError> {
    let mut bind = address(at, "http.bind", &raw.bind)?;
    let (mut origin, mut key) = (at, "http.bind");
    if let Some(text) = &variables.http_bind {
        (origin, key) = (Origin::ENVIRONMENT, HTTP_BIND);
        bind = address(origin, key, text)?;
    }
    if let Some(given) = overrides.http_bind {
        (origin, key) = (Origin::COMMAND_LINE, "--http-bind");
        bind = given;
    }
    let enabled = raw.enabled || overrides.http_bind.is_some();
    let allow_non_loopback = raw.allow_non_loopback || overrides.allow_non_loopback;
    if enabled && !bind.ip().is_loopback() && !allow_non_loopback {
        let reason = "the API has no log-in, and other machines can reach this address";
        let remedy =
            "bind 127.0.0.1, or set `http.allow_non_loopback` = true or --allow-non-loopback behind a firewall";
        return Err(origin.refuse(key, bind, reason, remedy));
    }
    Ok(HttpConfig { enabled, bind, allow_non_loopback })
}

fn address(at: Origin<'_>, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let remedy = "write an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000";
    text.parse().map_err(|_| at.refuse(key, format!("\"{text}\""), "it is not an address with a port", remedy))
}

pub(super) fn logs(at: Origin<'_>, raw: RawLogs, variables: &Variables) -> Result<LogsConfig, ConfigError> {
    not_empty(at, "logs.dir", &raw.dir)?;
    keep_days(at, "logs.keep_days", raw.keep_days)?;
    level(at, "logs.level", &raw.level)?;
    if !(1..=1_000_000).contains(&raw.lines_per_second) {
        let reason = "it is no number of lines that a symbol may log in a second";
        let remedy = "write 1 to 1000000 (lines per second); 200 is the default";
        return Err(at.refuse("logs.lines_per_second", raw.lines_per_second, reason, remedy));
    }
    if !(1..=1_048_576).contains(&raw.file_mb_max) {
        let reason = "it is no size at which a log file stops growing";
        let remedy = "write 1 to 1048576 (MiB); 256 is the default";
        return Err(at.refuse("logs.file_mb_max", raw.file_mb_max, reason, remedy));
    }
    if let Some(text) = &variables.log {
        level(Origin::ENVIRONMENT, "LEVIBOT_LOG", text)?;
    }
    let level = variables.log.clone().unwrap_or(raw.level);
    let RawLogs { dir, keep_days, lines_per_second, file_mb_max, .. } = raw;
    Ok(LogsConfig { dir, level, keep_days, lines_per_second, file_mb_max })
}

/// Each directive is a level or `module=level`. A bare word is refused: the filter would take it for a module, and a
/// mistyped level would log everything of nothing.
fn level(at: Origin<'_>, key: &str, text: &str) -> Result<(), ConfigError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |directive: &str| {
        let level = match directive.split_once('=') {
            Some(("", _)) => return false,
            Some((_, level)) => level,
            None => directive,
        };
        LEVELS.contains(&level.trim().to_ascii_lowercase().as_str())
    };
    if !text.split(',').all(known) {
        let remedy = "write off, error, warn, info, debug or trace, or such as \"info,levibot::journal=debug\"";
        return Err(at.refuse(key, format!("\"{text}\""), "it is not a level of logging", remedy));
    }
    Ok(())
}

pub(super) fn registry(at: Origin<'_>, raw: RawRegistry) -> Result<RegistryConfig, ConfigError> {
    not_empty(at, "registry.path", &raw.path)?;
    Ok(RegistryConfig { path: raw.path })
}
