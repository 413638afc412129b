//! Single files of a configuration, for what runs without one.

use std::collections::BTreeMap;
use std::path::Path;

use levibot_core::account::RiskPolicy;
use levibot_core::domain::{Instrument, Symbol};
use levibot_core::fusion::Ensemble;

use super::text::Shelf;
use super::{ConfigError, StrategyFile, account, market, model};

/// The trading rules that are shipped, by symbol; a file in the folder in which the program was started comes first.
///
/// # Errors
/// The first [`ConfigError`] found.
pub fn shipped_rules() -> Result<BTreeMap<Symbol, Instrument>, ConfigError> {
    // The venue whose rules these are.
    let venue = "binance";
    let venue = venue.parse().map_err(|error: levibot_core::domain::ids::NameError| ConfigError::Value {
        origin: "the program".to_owned(),
        key: "venue".to_owned(),
        value: venue.to_owned(),
        reason: error.to_string(),
        remedy: "report it".to_owned(),
    })?;
    market::instruments(Shelf::DiskThenEmbedded, Path::new("config/symbols/binance.toml"), venue)
}

/// The limits of `file`, or those that are shipped.
///
/// # Errors
/// The first [`ConfigError`] found.
pub fn limits(file: Option<&Path>) -> Result<RiskPolicy, ConfigError> {
    match file {
        Some(file) => account::limits(Shelf::Disk, file, "--risk"),
        None => account::limits(Shelf::DiskThenEmbedded, Path::new("policies/risk.yaml"), "the default of --risk"),
    }
}

/// The policy of a file; one that is shipped need not be there.
///
/// # Errors
/// [`ConfigError`] when it cannot be read or is refused.
pub fn policy(file: &Path) -> Result<StrategyFile, ConfigError> {
    account::strategy(Shelf::DiskThenEmbedded, file.to_owned(), "--policy")
}

/// The ensemble's configuration that is shipped; a file in the folder in which the program was started comes first.
///
/// # Errors
/// [`ConfigError`] when it cannot be read or is refused.
pub fn ensemble() -> Result<Ensemble, ConfigError> {
    model::read_ensemble(Shelf::DiskThenEmbedded, Path::new("config/ensemble.yaml")).map(|(ensemble, _)| ensemble)
}
