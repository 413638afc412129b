//! What of a policy a backtest sets and shows.

use std::collections::BTreeMap;

use levibot_core::engine::StrategyPolicy;
use levibot_core::policy::plan::PlannedSize;

/// The policy with its parameters set to these values.
///
/// # Errors
/// What the policy says of a parameter that it does not have or a value that it cannot have, in words.
pub(super) fn with(policy: &StrategyPolicy, values: &[(&str, f64)]) -> Result<StrategyPolicy, String> {
    policy.with(values).map_err(|error| error.to_string())
}

/// The parameters and where they stand.
pub(super) fn parameters(policy: &StrategyPolicy) -> BTreeMap<String, f64> {
    policy.parameters().iter().map(|one| (one.name.clone(), one.value)).collect()
}

/// Whether it says itself how large entries are.
pub(super) fn states_size(policy: &StrategyPolicy) -> bool {
    policy.size() != PlannedSize::Account
}

/// Whether its sizes do not grow with equity.
pub(super) const fn has_fixed_size(policy: &StrategyPolicy) -> bool {
    matches!(policy.size(), PlannedSize::Units(_) | PlannedSize::Notional(_))
}
