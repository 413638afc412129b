//! `levibot risk simulate`: sizes and limits on made-up positions.

use levibot_core::account::simulate::{Row, Scenario, run};
use levibot_core::domain::Money;

use crate::app::AppError;
use crate::config::Config;

/// Lets `symbols` made-up symbols wish for a position under the limits of `config`, with an account of `equity`.
///
/// # Errors
/// [`AppError`] for counts and amounts that cannot be.
pub fn simulate(config: &Config, symbols: u16, equity: f64, seed: u64) -> Result<Vec<Row>, AppError> {
    let scenario = Scenario {
        risk: config.account.risk.clone(),
        kind: config.account.kind,
        cost_per_side: config.cost_per_side(),
        equity: Money::approx(equity).unwrap_or(Money::ZERO),
        symbols: symbols.into(),
        seed,
    };
    Ok(run(&scenario)?)
}
