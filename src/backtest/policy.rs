//! The one place that knows how a policy's parameters are set.

use std::collections::BTreeMap;

use levibot_core::engine::StrategyPolicy;
use serde_json::Value;

/// The policy with its parameters set to these values.
///
/// # Errors
/// What the policy says of a parameter that it does not have or a value that it cannot have, in words.
pub(super) fn with(policy: &StrategyPolicy, values: &[(&str, f64)]) -> Result<StrategyPolicy, String> {
    let mut keys = serde_json::to_value(policy.keys()).map_err(|error| error.to_string())?;
    for (name, value) in values {
        let known = parameters(policy);
        let Some(slot) = known.contains_key(*name).then(|| keys.get_mut(*name)).flatten() else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(format!("it has no parameter `{name}`; set one of {}", names.join(", ")));
        };
        #[expect(clippy::cast_possible_truncation, reason = "whole and small, or kept as it is")]
        let whole = (value.fract() == 0.0 && value.abs() < 1e15).then_some(*value as i64);
        *slot = whole.map_or_else(|| Value::from(*value), Value::from);
    }
    serde_json::from_value(keys).map_err(|error| error.to_string())
}

/// The parameters and what they stand at.
pub(super) fn parameters(policy: &StrategyPolicy) -> BTreeMap<String, f64> {
    let Ok(Value::Object(keys)) = serde_json::to_value(policy.keys()) else { return BTreeMap::new() };
    keys.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect()
}

/// Whether it says itself how large entries are.
pub(super) const fn states_size(_policy: &StrategyPolicy) -> bool {
    false
}

/// Whether its sizes do not grow with equity.
pub(super) const fn has_fixed_size(_policy: &StrategyPolicy) -> bool {
    false
}

/// Its text.
pub(super) fn source(policy: &StrategyPolicy) -> String {
    serde_json::to_string_pretty(policy.keys()).unwrap_or_default()
}
