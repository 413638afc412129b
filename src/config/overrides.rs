//! What stands above the file: the environment and the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use levibot_core::domain::{Symbol, Ts};
use secrecy::SecretString;

use super::ConfigError;

/// What the command line gives. An absent value leaves the file's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `--symbols`: what is traded.
    pub symbols: Option<Vec<Symbol>>,
    /// `--data-dir`: folder of journal, tape and database.
    pub data_dir: Option<PathBuf>,
    /// `--data`: a price file or a folder of them.
    pub data: Option<PathBuf>,
    /// `--from`: bars that open at or after this are traded.
    pub from: Option<Ts>,
    /// `--to`: bars that close at or before this are traded; read it with [`parse_to`](super::parse_to).
    pub to: Option<Ts>,
    /// `--strategy`: the strategy file of every symbol.
    pub strategy: Option<PathBuf>,
    /// `--http-bind`: where the API listens. Turns it on.
    pub http_bind: Option<SocketAddr>,
    /// `--allow-non-loopback`: lets the API listen beyond this machine.
    pub allow_non_loopback: bool,
    /// `--in-sample`: lets the model be asked about bars that it has learnt from.
    pub in_sample: bool,
}

/// What all variables of ours begin with.
const PREFIX: &str = "LEVIBOT_";
const DATA_DIR: &str = "LEVIBOT_DATA_DIR";
const LOG: &str = "LEVIBOT_LOG";
/// Overrides `http.bind`.
pub(super) const HTTP_BIND: &str = "LEVIBOT_HTTP_BIND";
/// The program of the fusion model; read by [`model_binary`](super::model_binary), as commands need it without a
/// configuration.
pub(super) const MODEL_BINARY: &str = "LEVIBOT_MODEL_BINARY";
/// The address of the Slack webhook: a secret. Overrides the file of `alerts.slack_webhook_file`. Programs that the daemon
/// starts do not get it.
pub const SLACK_WEBHOOK: &str = "LEVIBOT_SLACK_WEBHOOK";
/// Read by tests to find recorded prices; no setting of the daemon.
const SHARED_DATA: &str = "LEVIBOT_SHARED_DATA";

/// The variables of this process whose names begin with `LEVIBOT_`, for [`Config::load`](super::Config::load). Bytes that
/// are not UTF-8 are replaced, so that the value is refused where it is used.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// The folder of what can be made again: `levibot` in `XDG_CACHE_HOME`, or in `.cache` of the home folder. `None` where the
/// environment names neither. A relative `XDG_CACHE_HOME` counts as not set (XDG Base Directory Specification).
pub fn cache_dir() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("levibot"))
}

/// The arguments of this process, without its own name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// The values of the known variables. One that is set to nothing counts as not set.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) http_bind: Option<String>,
    pub(super) log: Option<String>,
    pub(super) slack_webhook: Option<SecretString>,
}

impl Variables {
    pub(super) fn read(env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut variables = Self::default();
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            let value = Some(value.clone()).filter(|value| !value.is_empty());
            match name.as_str() {
                DATA_DIR => variables.data_dir = value.map(PathBuf::from),
                HTTP_BIND => variables.http_bind = value,
                LOG => variables.log = value,
                SLACK_WEBHOOK => variables.slack_webhook = value.map(SecretString::from),
                MODEL_BINARY | SHARED_DATA => {}
                _ => {
                    let known = [DATA_DIR, HTTP_BIND, LOG, MODEL_BINARY, SLACK_WEBHOOK].join(", ");
                    return Err(ConfigError::UnknownVariable { name: name.clone(), known });
                }
            }
        }
        Ok(variables)
    }
}
