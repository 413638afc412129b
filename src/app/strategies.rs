//! Strategies on record: with them a record can be run again, whatever its configuration says by then.

use std::collections::BTreeMap;

use levibot_core::domain::Symbol;
use levibot_core::driver::{Input, WARM_UP_BARS};
use levibot_core::engine::StrategyPolicy;
use levibot_core::record::{Record, StrategyOf};

use crate::config::Config;
use crate::risk_manager::Tell;

/// The strategies of these symbols as a note for the record.
pub(super) fn note(config: &Config, symbols: impl IntoIterator<Item = Symbol>) -> Tell {
    let mut strategies = BTreeMap::<u64, StrategyOf>::new();
    for symbol in symbols {
        let policy = config.strategies.of(symbol);
        let keys = || serde_json::to_value(policy).unwrap_or_default();
        let one = || StrategyOf { symbols: Vec::new(), strategy: keys() };
        strategies.entry(policy.hash()).or_insert_with(one).symbols.push(symbol);
    }
    let mut strategies: Vec<StrategyOf> = strategies.into_values().collect();
    strategies.iter_mut().for_each(|one| one.symbols.sort_unstable());
    strategies.sort_unstable_by(|a, b| a.symbols.cmp(&b.symbols));
    Tell::Input(Input::Note(Record::Strategies { strategies }))
}

/// Tells of strategies that look back further than engines are warmed up on: after a start or a change of theirs a part of them is
/// unknown for a while, and nothing is entered on it.
pub(super) fn tell_unwarmed(config: &Config, symbols: impl IntoIterator<Item = Symbol>) {
    for symbol in symbols {
        let policy = config.strategies.of(symbol);
        let wanted = policy.warm_up_bars();
        if let Some(bars) = wanted.checked_sub(WARM_UP_BARS).filter(|bars| *bars > 0) {
            tracing::warn!(
                %symbol,
                strategy = policy.name(),
                looks_back_bars = wanted,
                warmed_up_on_bars = WARM_UP_BARS,
                "after a start or a change of the strategy, what looks back further is unknown for {bars} bars, and nothing is \
                 entered on it; take shorter lengths or longer bars"
            );
        }
    }
}

/// The strategies of a record.
///
/// # Errors
/// In words, when one cannot be meant: the record is of another version.
pub(super) fn of_record(strategies: &[StrategyOf]) -> Result<BTreeMap<Symbol, StrategyPolicy>, String> {
    let mut found = BTreeMap::new();
    for StrategyOf { symbols, strategy } in strategies {
        let policy: StrategyPolicy = serde_json::from_value(strategy.clone()).map_err(|error| error.to_string())?;
        found.extend(symbols.iter().map(|symbol| (*symbol, policy.clone())));
    }
    Ok(found)
}
