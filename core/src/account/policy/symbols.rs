//! `risk_policy.symbols`: limits of single symbols, in place of the general ones.

use serde::{Deserialize, Serialize};

use super::{PolicyError, RawRiskPolicy, SizingMethod, amount, fraction, refuse};
use crate::domain::Symbol;

/// The keys under `symbols.<SYMBOL>`; what is absent is as for every symbol.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSymbolLimits {
    /// Most of the equity in it, a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_symbol_risk_pct: Option<f64>,
    /// Largest position, account currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_position_usd: Option<f64>,
    /// Smallest position worth opening, account currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_position_usd: Option<f64>,
    /// Risked on one trade, a fraction of equity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_risk_pct: Option<f64>,
    /// Share of full Kelly that is used, a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kelly_fraction: Option<f64>,
}

/// What holds for one symbol: its own limits, and the general ones where it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Kelly or fixed fractional.
    pub method: SizingMethod,
    /// Share of full Kelly that is used, a fraction.
    pub kelly_fraction: f64,
    /// Risked on one trade, a fraction of equity.
    pub risk_per_trade: f64,
    /// Most of the equity in the symbol, a fraction.
    pub symbol_fraction: f64,
    /// Smallest position worth opening, account currency.
    pub min_position_usd: f64,
    /// Largest position, account currency.
    pub max_position_usd: f64,
    /// Largest entry, account currency.
    pub max_order_usd: f64,
}

impl RawRiskPolicy {
    pub(super) fn limits(&self, symbol: Symbol) -> Limits {
        let own = self.symbols.get(&symbol).copied().unwrap_or_default();
        let keys = &self.position_sizing;
        let max_position_usd = own.max_position_usd.unwrap_or(keys.max_position_usd);
        Limits {
            method: keys.method,
            kelly_fraction: own.kelly_fraction.unwrap_or(keys.kelly_fraction),
            risk_per_trade: own.max_risk_pct.unwrap_or(self.max_risk_pct),
            symbol_fraction: own.max_symbol_risk_pct.unwrap_or(self.max_symbol_risk_pct),
            min_position_usd: own.min_position_usd.unwrap_or(keys.min_position_usd),
            max_position_usd,
            max_order_usd: self.orders.max_order_usd.unwrap_or(max_position_usd),
        }
    }
}

pub(super) fn check(raw: &RawRiskPolicy) -> Result<(), PolicyError> {
    for (symbol, own) in &raw.symbols {
        let path = |key: &str| format!("symbols.{symbol}.{key}");
        for (key, value) in [
            ("max_symbol_risk_pct", own.max_symbol_risk_pct),
            ("max_risk_pct", own.max_risk_pct),
            ("kelly_fraction", own.kelly_fraction),
        ] {
            value.map_or(Ok(()), |value| fraction(&path(key), value))?;
        }
        for (key, value) in [("max_position_usd", own.max_position_usd), ("min_position_usd", own.min_position_usd)] {
            value.map_or(Ok(()), |value| amount(&path(key), value))?;
        }
        let limits = raw.limits(*symbol);
        let (smallest, largest) = (limits.min_position_usd, limits.max_position_usd.min(limits.max_order_usd));
        if smallest > largest {
            let key = if own.min_position_usd.is_some() { "min_position_usd" } else { "max_position_usd" };
            let value = own.min_position_usd.or(own.max_position_usd).unwrap_or(smallest);
            let reason = "the symbol's smallest position is over its largest position or order";
            let remedy = "write min_position_usd <= max_position_usd and <= max_order_usd";
            return Err(refuse(&path(key), value, reason, remedy));
        }
    }
    Ok(())
}
