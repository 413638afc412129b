//! `risk_policy.orders`: what no single order and no run of orders may exceed, whatever sizing gives.

use serde::{Deserialize, Serialize};

use super::{PolicyError, RawRiskPolicy, amount, refuse};
use crate::domain::Timeframe;

/// The keys under `orders`, each with a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOrders {
    /// Largest entry, account currency; absent: `max_position_usd` of the symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_order_usd: Option<f64>,
    /// Orders of any kind within a minute of trading time at which entries are refused. At twice as many all entries are
    /// halted: a runaway must not trade on.
    pub max_orders_per_minute: u32,
    /// Furthest that the price of a decision may be from the last price, percent of the last price.
    pub price_collar_pct: f64,
    /// Oldest price that an entry may be decided on or valued at; absent: two bars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_data_age: Option<Timeframe>,
    /// Time within which an entry of the same symbol, side and quantity is taken for the same one sent twice.
    pub duplicate_window: Timeframe,
}

impl Default for RawOrders {
    fn default() -> Self {
        Self {
            max_order_usd: None,
            max_orders_per_minute: 120,
            price_collar_pct: 5.0,
            max_data_age: None,
            duplicate_window: Timeframe::SECOND,
        }
    }
}

impl RawOrders {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The most orders a minute that any policy allows: 100 a second.
const ORDERS_PER_MINUTE_MAX: u32 = 6_000;

pub(super) fn check(raw: &RawRiskPolicy) -> Result<(), PolicyError> {
    let keys = &raw.orders;
    if let Some(usd) = keys.max_order_usd {
        amount("orders.max_order_usd", usd)?;
        let smallest = raw.position_sizing.min_position_usd;
        if usd < smallest {
            let remedy = "write max_order_usd >= min_position_usd";
            return Err(refuse("orders.max_order_usd", usd, "every entry would be under min_position_usd", remedy));
        }
    }
    let rate = keys.max_orders_per_minute;
    if rate == 0 || rate > ORDERS_PER_MINUTE_MAX {
        let remedy = "write a whole number from 1 to 6000";
        return Err(refuse("orders.max_orders_per_minute", rate, "no account trades at this rate", remedy));
    }
    let collar = keys.price_collar_pct;
    // Under 0.01 % every spread is beyond the collar: it is all but certainly a fraction.
    if !collar.is_finite() || !(0.01..=50.0).contains(&collar) {
        let (reason, remedy) = ("it is not a percentage from 0.01 to 50", "this key is in percent: write 5.0 for 5 %");
        return Err(refuse("orders.price_collar_pct", collar, reason, remedy));
    }
    if keys.duplicate_window > Timeframe::HOUR {
        let (reason, remedy) = ("it would refuse honest entries of later bars", "write a time from 1s to 1h");
        return Err(refuse("orders.duplicate_window", keys.duplicate_window, reason, remedy));
    }
    Ok(())
}
