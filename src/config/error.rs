//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

use levibot_core::domain::Symbol;

use super::text::masked;

/// A configuration that cannot be used. Every variant names where, which key, what was given, why it is refused and what
/// to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is not there or may not be read.
    #[error("{} (named by {key}) cannot be read: check that it exists and may be read, or correct {key}", file.display())]
    Read {
        /// Which file, as it was looked up.
        file: PathBuf,
        /// The key or option that named it.
        key: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is no text, or no text of a sensible size.
    #[error("{} (named by {key}) {reason}: {remedy}", file.display())]
    Text {
        /// Which file.
        file: PathBuf,
        /// The key or option that named it.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// TOML that cannot be understood: bad syntax, an unknown or repeated key, a missing one, a wrong type.
    #[error(
        "{} (named by {key}) cannot be understood: {text}\ncorrect that line; the shipped {example} names every key with its unit",
        file.display()
    )]
    Toml {
        /// Which file.
        file: PathBuf,
        /// The key or option that named it.
        key: String,
        /// What the parser says, with line, column and the line itself.
        text: String,
        /// A file that shows how it is done.
        example: &'static str,
    },
    /// A policy file that is refused; the text names its key, or line and column, with reason and remedy.
    #[error("{} (named by {key}) is refused: {text}", file.display())]
    Policy {
        /// Which file.
        file: PathBuf,
        /// The key that named it.
        key: String,
        /// What the policy's own check says.
        text: String,
    },
    /// A value that cannot be meant.
    #[error("{origin}: `{key}` is {value}: {reason}; {remedy}")]
    Value {
        /// The file, `the command line` or `the environment`.
        origin: String,
        /// The key with its table, or the option or variable.
        key: String,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: String,
        /// What to write instead.
        remedy: String,
    },
    /// A symbol without trading rules.
    #[error("{}", unknown_symbol(*symbol, asked, file, nearest))]
    UnknownSymbol {
        /// The symbol.
        symbol: Symbol,
        /// The key or option that asks for it.
        asked: String,
        /// The file of trading rules.
        file: PathBuf,
        /// Known names that look most like it.
        nearest: Vec<Symbol>,
    },
    /// The program of the fusion model is not where it should be.
    #[error("{}", no_model_binary(path, *named))]
    NoModelBinary {
        /// Where it was looked for.
        path: PathBuf,
        /// Whether `LEVIBOT_MODEL_BINARY` named it.
        named: bool,
    },
    /// A variable that looks like ours and is not.
    #[error("the environment: `{name}` is not a variable of levibot; unset it or use one of {known}")]
    UnknownVariable {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
}

fn no_model_binary(path: &std::path::Path, named: bool) -> String {
    let by = if named { "LEVIBOT_MODEL_BINARY names it" } else { "it belongs beside levibot" };
    let remedy = if named { "correct or unset the variable" } else { "or name it with LEVIBOT_MODEL_BINARY" };
    format!(
        "there is no program of the fusion model at {} ({by}): run scripts/setup.sh once and build it with `cargo build \
         --release --workspace`, {remedy}",
        path.display()
    )
}

fn unknown_symbol(symbol: Symbol, asked: &str, file: &std::path::Path, nearest: &[Symbol]) -> String {
    let near = nearest.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ");
    let near = if near.is_empty() { String::new() } else { format!(" (nearest known: {near})") };
    format!(
        "{asked} asks for {symbol}, which has no trading rules in {} (named by `market.instruments`){near}; correct the \
         symbol, or add a table [\"{symbol}\"] with base, quote, tick, step, min_qty and min_notional to that file",
        file.display()
    )
}

/// Where a value was given, to refuse it there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a>(pub(super) &'a str);

impl Origin<'_> {
    pub(super) const COMMAND_LINE: Origin<'static> = Origin("the command line");
    pub(super) const ENVIRONMENT: Origin<'static> = Origin("the environment");

    pub(super) fn refuse(
        self,
        key: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Value {
            origin: self.0.to_owned(),
            key: key.into(),
            value: masked(&value.to_string()),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}
