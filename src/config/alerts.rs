//! Checks of where alerts go. The address of the Slack webhook is a secret: no error, entry or debug text shows it.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use levibot_core::alerts::Severity;
use levibot_core::domain::Span;
use nix::fcntl::OFlag;
use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;
use super::error::Origin;
use super::host::not_empty;
use super::overrides::{SLACK_WEBHOOK, Variables};
use super::raw::RawAlerts;
use super::text::span_text;

const FILE_KEY: &str = "alerts.slack_webhook_file";
/// No address is longer.
const WEBHOOK_BYTES_MAX: u64 = 4_096;

/// `[alerts]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertsConfig {
    /// How long alerts that belong together are gathered for slow channels; zero: not at all.
    pub coalesce: Span,
    /// The file that holds the webhook, if one is named.
    pub slack_webhook_file: Option<PathBuf>,
    /// Where Slack takes alerts; `None`: they do not go there.
    pub slack_webhook: Option<Webhook>,
    /// The least urgent alerts that go to Slack.
    pub slack_level: Severity,
}

/// The secret address of an incoming webhook: HTTPS, or HTTP on this machine.
#[derive(Debug, Clone)]
pub struct Webhook(SecretString);

impl Webhook {
    /// The address, for the one who posts to it.
    pub const fn address(&self) -> &SecretString {
        &self.0
    }
}

impl PartialEq for Webhook {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Webhook {}

pub(super) fn alerts(at: Origin<'_>, raw: RawAlerts, variables: &Variables) -> Result<AlertsConfig, ConfigError> {
    let coalesce = raw.coalesce.0;
    if coalesce > Span::HOUR {
        let reason = "nobody would hear of trouble in time";
        return Err(at.refuse("alerts.coalesce", span_text(coalesce), reason, "write up to \"1h\"; \"0s\" for never"));
    }
    let slack_webhook = match (&variables.slack_webhook, &raw.slack_webhook_file) {
        (Some(text), _) => Some(webhook(text).map_err(|reason| refused(Origin::ENVIRONMENT, SLACK_WEBHOOK, reason))?),
        (None, Some(file)) => {
            not_empty(at, FILE_KEY, file)?;
            // An error about a file shows its name.
            if file.to_string_lossy().contains("://") {
                let remedy = "write the address into a file that only this user may read, and name that file";
                return Err(at.refuse(FILE_KEY, "(not shown)", "it is an address and names no file", remedy));
            }
            Some(webhook(&secret_in(file)?).map_err(|reason| refused(at, FILE_KEY, reason))?)
        }
        (None, None) => None,
    };
    let (slack_webhook_file, slack_level) = (raw.slack_webhook_file, raw.slack_level.into());
    Ok(AlertsConfig { coalesce, slack_webhook_file, slack_webhook, slack_level })
}

fn refused(origin: Origin<'_>, key: &str, reason: &'static str) -> ConfigError {
    let remedy = "give the whole address of an incoming webhook, https://hooks.slack.com/services/...";
    origin.refuse(key, "(not shown)", reason, remedy)
}

/// What is wrong is said without the text.
fn webhook(text: &SecretString) -> Result<Webhook, &'static str> {
    let text = text.expose_secret().trim();
    let Some((scheme, rest)) = text.split_once("://") else { return Err("it is not the address of a web page") };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it holds spaces or signs that no address has");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() || path.is_empty() {
        return Err("it names no webhook of a server");
    }
    if authority.contains('@') {
        return Err("it holds a user's name");
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(authority) => {}
        "http" => return Err("without HTTPS everybody on the way can read it"),
        _ => return Err("it does not begin with https://"),
    }
    Ok(Webhook(SecretString::from(text)))
}

/// Whether a host with or without a port is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The text of a file that only its owner may read.
fn secret_in(path: &Path) -> Result<SecretString, ConfigError> {
    let read = |source| ConfigError::Read { file: path.to_owned(), key: FILE_KEY.to_owned(), source };
    let text =
        |reason: String, remedy| ConfigError::Text { file: path.to_owned(), key: FILE_KEY.to_owned(), reason, remedy };
    // Opening a pipe must not wait for whoever writes into it.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(read)?;
    // Asked of the open file: what its name means can change.
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(read(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let reason = format!("holds a secret and may be read by others (mode {mode:04o})");
        return Err(text(reason, "run `chmod 600` on it"));
    }
    let mut secret = String::new();
    file.take(WEBHOOK_BYTES_MAX + 1).read_to_string(&mut secret).map_err(read)?;
    if secret.len() as u64 > WEBHOOK_BYTES_MAX || secret.trim().is_empty() {
        let remedy = "write the address of the webhook into it, and nothing else";
        return Err(text("holds no webhook".to_owned(), remedy));
    }
    Ok(SecretString::from(secret))
}
