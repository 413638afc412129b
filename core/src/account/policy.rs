//! `policies/risk.yaml`: raw keys in, checked limits out.

mod orders;
mod protections;
mod symbols;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use orders::RawOrders;
pub use protections::{Cooldown, LowProfit, MaxDrawdown, RawProtections, StopLossGuard};
pub use symbols::{Limits, RawSymbolLimits};

pub use super::rebalance::RawRebalance;
pub use super::returns::RawCorrelation;
use crate::domain::{Span, Symbol, Timeframe};

/// The limits of the account, checked. Built from YAML by [`RiskPolicy::from_yaml`]; serde goes through the same checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRiskPolicy", into = "RawRiskPolicy")]
pub struct RiskPolicy {
    raw: RawRiskPolicy,
}

/// What the day's stop does to open positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStop {
    /// Leaves them to their stops, targets and times, and closes those that have neither a stop nor a trailing distance:
    /// strategies are asked for no exits any more.
    ReduceOnly,
    /// Closes them.
    Flatten,
}

/// How a position's size is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizingMethod {
    /// `equity * max_risk_pct / volatility`, then Kelly's rule.
    Kelly,
    /// `equity * max_risk_pct / volatility`.
    FixedFractional,
}

/// How often the book is rebalanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rebalance {
    /// Mondays.
    Weekly,
    /// Never.
    Never,
}

/// The keys under `risk_policy`, as the user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRiskPolicy {
    /// Loss of the day at which everything stops, percent of the day's starting equity (3.0 = 3 %).
    pub max_daily_loss_pct: f64,
    /// Most of the equity in one symbol, a fraction (0.2 = 20 %).
    pub max_symbol_risk_pct: f64,
    /// Most positions at a time, entries on their way included.
    pub max_concurrent_positions: u32,
    /// How often the book is rebalanced.
    pub rebalance_frequency: Rebalance,
    /// Symbols that move together; one may be in several groups.
    #[serde(default)]
    pub correlation_groups: BTreeMap<String, Vec<Symbol>>,
    /// How sizes are found.
    pub position_sizing: RawSizing,
    /// Most positions of one direction in one correlation group.
    #[serde(default = "defaults::correlated")]
    pub max_correlated_positions: u32,
    /// Risked on one trade, a fraction of equity (0.02 = 2 %).
    #[serde(default = "defaults::risk")]
    pub max_risk_pct: f64,
    /// What the day's stop does to open positions.
    #[serde(default = "defaults::on_stop")]
    pub on_stop: OnStop,
    /// Share of the daily loss at which entries are halted before the stop (0.9 = at 2.7 % of 3 %); absent: only the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_halt_at: Option<f64>,
    /// What no order and no run of orders may exceed.
    #[serde(default, skip_serializing_if = "RawOrders::is_default")]
    pub orders: RawOrders,
    /// Limits of single symbols.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub symbols: BTreeMap<Symbol, RawSymbolLimits>,
    /// Pauses of entries after bad times.
    #[serde(default, skip_serializing_if = "RawProtections::is_default")]
    pub protections: RawProtections,
    /// How alike symbols move is measured with these; absent: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<RawCorrelation>,
    /// What a rebalancing leaves as it is; absent: with the defaults of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<RawRebalance>,
}

/// The keys under `position_sizing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSizing {
    /// Kelly or fixed fractional.
    pub method: SizingMethod,
    /// Share of full Kelly that is used, a fraction.
    pub kelly_fraction: f64,
    /// Smallest position worth opening, account currency.
    pub min_position_usd: f64,
    /// Largest position in one symbol, account currency.
    pub max_position_usd: f64,
}

mod defaults {
    pub(super) const fn correlated() -> u32 {
        5
    }
    pub(super) const fn risk() -> f64 {
        0.02
    }
    pub(super) const fn on_stop() -> super::OnStop {
        super::OnStop::ReduceOnly
    }
}

/// The file's only top-level key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RiskFile {
    risk_policy: RawRiskPolicy,
}

/// Why a risk policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not YAML, an unknown key or a wrong type; the text names line and column.
    #[error("{0}")]
    Yaml(String),
    /// A value that cannot be meant.
    #[error("`risk_policy.{key}` is {value}: {reason}; {remedy}")]
    Value {
        /// Path of the key.
        key: String,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
}

pub(super) fn refuse(key: &str, value: impl ToString, reason: &'static str, remedy: &'static str) -> PolicyError {
    PolicyError::Value { key: key.to_owned(), value: value.to_string(), reason, remedy }
}

impl TryFrom<RawRiskPolicy> for RiskPolicy {
    type Error = PolicyError;

    fn try_from(raw: RawRiskPolicy) -> Result<Self, PolicyError> {
        check_losses(&raw)?;
        check_counts(&raw)?;
        check_sizing(&raw.position_sizing)?;
        orders::check(&raw)?;
        symbols::check(&raw)?;
        protections::check(&raw.protections)?;
        raw.correlation.as_ref().map_or(Ok(()), RawCorrelation::check)?;
        raw.rebalance.as_ref().map_or(Ok(()), RawRebalance::check)?;
        Ok(Self { raw })
    }
}

impl From<RiskPolicy> for RawRiskPolicy {
    fn from(policy: RiskPolicy) -> Self {
        policy.raw
    }
}

fn check_losses(raw: &RawRiskPolicy) -> Result<(), PolicyError> {
    let loss = raw.max_daily_loss_pct;
    // Under 0.1 % is all but certainly a fraction (0.03 for 3 %) and would stop the account on its first tick.
    if !loss.is_finite() || loss < 0.1 {
        let remedy = "this key is in percent: write 3.0 for 3 %";
        return Err(refuse("max_daily_loss_pct", loss, "a daily loss under 0.1 % looks like a fraction", remedy));
    }
    if loss > 50.0 {
        return Err(refuse("max_daily_loss_pct", loss, "over 50 % it protects nothing", "write 0.1 to 50 (percent)"));
    }
    fraction("max_symbol_risk_pct", raw.max_symbol_risk_pct)?;
    fraction("max_risk_pct", raw.max_risk_pct)?;
    if let Some(share) = raw.entry_halt_at {
        fraction("entry_halt_at", share)?;
    }
    Ok(())
}

fn fraction(key: &str, value: f64) -> Result<(), PolicyError> {
    if value.is_finite() && value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(refuse(key, value, "it is not a fraction over 0 and up to 1", "this key is a fraction: write 0.2 for 20 %"))
}

fn amount(key: &str, usd: f64) -> Result<(), PolicyError> {
    if usd.is_finite() && usd > 0.0 && usd <= 1e12 {
        return Ok(());
    }
    Err(refuse(key, usd, "it is not an amount over zero and up to 1e12", "write an amount of the account's currency"))
}

fn check_counts(raw: &RawRiskPolicy) -> Result<(), PolicyError> {
    for (key, count) in [
        ("max_concurrent_positions", raw.max_concurrent_positions),
        ("max_correlated_positions", raw.max_correlated_positions),
    ] {
        if count == 0 || count > 10_000 {
            return Err(refuse(key, count, "no account trades with it", "write a whole number from 1 to 10000"));
        }
    }
    for (group, symbols) in &raw.correlation_groups {
        let mut sorted = symbols.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != symbols.len() {
            let key = format!("correlation_groups.{group}");
            return Err(refuse(&key, "a list", "a symbol stands in it twice", "name each symbol once a group"));
        }
    }
    Ok(())
}

fn check_sizing(raw: &RawSizing) -> Result<(), PolicyError> {
    fraction("position_sizing.kelly_fraction", raw.kelly_fraction)?;
    for (key, usd) in [("min_position_usd", raw.min_position_usd), ("max_position_usd", raw.max_position_usd)] {
        amount(&format!("position_sizing.{key}"), usd)?;
    }
    if raw.min_position_usd > raw.max_position_usd {
        let remedy = "write min_position_usd <= max_position_usd";
        return Err(refuse(
            "position_sizing.min_position_usd",
            raw.min_position_usd,
            "it is over max_position_usd",
            remedy,
        ));
    }
    Ok(())
}

impl RiskPolicy {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key (or line and column), the value, the reason and the remedy.
    pub fn from_yaml(text: &str) -> Result<Self, PolicyError> {
        let file: RiskFile = serde_saphyr::from_str(text).map_err(|e| PolicyError::Yaml(e.to_string()))?;
        file.risk_policy.try_into()
    }

    /// The day's largest loss as a fraction of its starting equity.
    pub fn daily_loss(&self) -> f64 {
        self.raw.max_daily_loss_pct / 100.0
    }

    /// Share of the daily loss at which entries are halted.
    pub const fn entry_halt_at(&self) -> Option<f64> {
        self.raw.entry_halt_at
    }

    /// What holds for one symbol.
    pub fn limits(&self, symbol: Symbol) -> Limits {
        self.raw.limits(symbol)
    }

    /// Symbols that have limits of their own.
    pub fn symbols_named(&self) -> impl Iterator<Item = Symbol> {
        self.raw.symbols.keys().copied()
    }

    /// Orders within a minute at which entries are refused; at twice as many they are halted.
    pub const fn orders_per_minute_max(&self) -> u32 {
        self.raw.orders.max_orders_per_minute
    }

    /// Furthest that the price of a decision may be from the last price, percent.
    pub const fn collar_pct(&self) -> f64 {
        self.raw.orders.price_collar_pct
    }

    /// Oldest price that an entry may be decided on, for bars of length `timeframe`.
    pub fn data_age_max(&self, timeframe: Timeframe) -> Span {
        self.raw.orders.max_data_age.map_or_else(|| timeframe.span().times(2), Timeframe::span)
    }

    /// Time within which the same entry again is taken for the same one sent twice.
    pub const fn duplicate_window(&self) -> Span {
        self.raw.orders.duplicate_window.span()
    }

    /// Pauses of entries after bad times.
    pub const fn protections(&self) -> &RawProtections {
        &self.raw.protections
    }

    /// Most positions at a time.
    pub const fn positions_max(&self) -> u32 {
        self.raw.max_concurrent_positions
    }

    /// Most positions of one direction in one group.
    pub const fn correlated_max(&self) -> u32 {
        self.raw.max_correlated_positions
    }

    /// Groups of symbols that move together.
    pub const fn groups(&self) -> &BTreeMap<String, Vec<Symbol>> {
        &self.raw.correlation_groups
    }

    /// How sizes are found.
    pub const fn sizing_method(&self) -> SizingMethod {
        self.raw.position_sizing.method
    }

    /// What the day's stop does to open positions.
    pub const fn on_stop(&self) -> OnStop {
        self.raw.on_stop
    }

    /// How correlation is measured, where it is.
    pub const fn correlation(&self) -> Option<&RawCorrelation> {
        self.raw.correlation.as_ref()
    }

    /// Whether the calendar rebalances.
    pub fn is_rebalanced(&self) -> bool {
        self.raw.rebalance_frequency == Rebalance::Weekly
    }

    /// What a rebalancing leaves as it is.
    pub fn rebalance(&self) -> RawRebalance {
        self.raw.rebalance.unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "policy/policy_tests.rs"]
mod tests;
