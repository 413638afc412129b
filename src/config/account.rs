//! Checks of what the account decides with: account, strategies, paper venue.

use std::collections::BTreeMap;
use std::path::PathBuf;

use levibot_core::account::RiskPolicy;
use levibot_core::domain::{Money, Symbol};
use levibot_core::engine::StrategyPolicy;
use levibot_core::fills::{PaperSetup, RawPaperSetup};

use super::error::Origin;
use super::overrides::Overrides;
use super::raw::{RawAccount, RawPaper, RawStrategies};
use super::text::{Shelf, masked};
use super::{AccountConfig, ConfigError, MarketConfig, StrategiesConfig, StrategyFile};

/// A cost of this and more is a mistaken unit: 0.02 is 2 % of the price on each side of a trade, and just what 2 basis
/// points look like when they are written in percent.
const COST_END: f64 = 0.02;

pub(super) fn account(at: Origin<'_>, shelf: Shelf, raw: RawAccount) -> Result<AccountConfig, ConfigError> {
    let RawAccount { name, kind, currency, initial_cash, risk: risk_file } = raw;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if !(1..=32).contains(&name.len()) || !name.chars().all(plain) {
        let remedy = "write 1 to 32 lower-case letters, digits, `_` or `-`";
        return Err(at.refuse("account.name", format!("\"{name}\""), "it is not a plain name", remedy));
    }
    if !is_currency(&currency) {
        let remedy = "write 1 to 12 upper-case letters or digits, such as \"USDT\"";
        return Err(at.refuse("account.currency", format!("\"{currency}\""), "it is not a currency", remedy));
    }
    if initial_cash <= Money::ZERO {
        let remedy = "write an amount over zero of the account's currency, such as \"10000\"";
        return Err(at.refuse("account.initial_cash", initial_cash, "an account opens with cash", remedy));
    }
    let key = "`account.risk`";
    let risk = RiskPolicy::from_yaml(&shelf.read(&risk_file, key)?).map_err(|error| ConfigError::Policy {
        file: risk_file.clone(),
        key: key.to_owned(),
        text: masked(&error.to_string()),
    })?;
    Ok(AccountConfig { name, kind, currency, initial_cash, risk_file, risk })
}

/// Whether this can be the name of a currency or an asset.
pub(super) fn is_currency(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

pub(super) fn strategies(
    shelf: Shelf,
    raw: RawStrategies,
    market: &MarketConfig,
    traded: Option<&[Symbol]>,
    overrides: &Overrides,
) -> Result<StrategiesConfig, ConfigError> {
    let mut symbols = BTreeMap::new();
    if let Some(file) = &overrides.strategy {
        return Ok(StrategiesConfig { default: strategy(shelf, file.clone(), "--strategy")?, symbols });
    }
    let default = strategy(shelf, raw.default, "`strategy.default`")?;
    for (symbol, file) in raw.symbols {
        market.rules(symbol, "`strategy.symbols`")?;
        // Read even where it is not used, so that a mistake does not wait for the day on which it is.
        let strategy = strategy(shelf, file, &format!("`strategy.symbols.{symbol}`"))?;
        if traded.is_none_or(|traded| traded.contains(&symbol)) {
            symbols.insert(symbol, strategy);
        }
    }
    Ok(StrategiesConfig { default, symbols })
}

fn strategy(shelf: Shelf, file: PathBuf, key: &str) -> Result<StrategyFile, ConfigError> {
    let policy = StrategyPolicy::from_yaml(&shelf.read(&file, key)?).map_err(|error| ConfigError::Policy {
        file: file.clone(),
        key: key.to_owned(),
        text: masked(&error.to_string()),
    })?;
    Ok(StrategyFile { file, policy })
}

pub(super) fn paper(at: Origin<'_>, raw: &RawPaper) -> Result<PaperSetup, ConfigError> {
    for (key, cost) in [("fee", raw.fee), ("spread", raw.spread), ("slippage", raw.slippage)] {
        if cost >= COST_END {
            let reason = format!("that is {} % of the price and looks like percent or basis points", cost * 100.0);
            let remedy = "this key is a fraction: write 0.0005 for 0.05 % or 5 basis points";
            return Err(at.refuse(format!("paper.{key}"), cost, reason, remedy));
        }
    }
    let RawPaper { seed, fee, spread, slippage, ref latency, participation, funding } = *raw;
    let raw = RawPaperSetup { seed, fee, spread, slippage, latency: latency.0, participation, funding };
    PaperSetup::try_from(raw).map_err(|e| at.refuse(format!("paper.{}", e.key), e.value, e.reason, e.remedy))
}
