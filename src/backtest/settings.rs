//! What a backtest was made with, for its result.

use std::collections::BTreeMap;

use levibot_core::domain::Symbol;
use levibot_core::engine::StrategyPolicy;

use super::trial::Ground;
use super::view::{AccountView, CostView, ModelView, PolicyView, RulesView, Settings};
use super::{Request, policy};

pub(super) fn of(
    request: &Request,
    ground: &Ground<'_>,
    policies: &[StrategyPolicy],
    digest: u64,
    told: &[Symbol],
    model: Option<ModelView>,
) -> Settings {
    let (setup, paper) = (ground.setup, ground.paper);
    // Of a walk-forward these change from window to window, and what the file says of them was never traded.
    let is_chosen = |name: &str| request.walk.is_some() && request.sweep.iter().any(|axis| axis.name == name);
    let shown = |one: &StrategyPolicy| {
        let mut parameters = policy::parameters(one);
        parameters.retain(|name, _| !is_chosen(name));
        let view = PolicyView { hash: format!("{:016x}", one.hash()), parameters };
        (one.name().to_owned(), view)
    };
    let rules = |symbol: Symbol, tick: String| (symbol, RulesView { tick, told_from_prices: told.contains(&symbol) });
    let instruments: BTreeMap<_, _> =
        setup.instruments.iter().map(|one| rules(one.id().symbol, one.tick().to_string())).collect();
    Settings {
        data: request.data.display().to_string(),
        data_hash: format!("{digest:016x}"),
        symbols: instruments.keys().copied().collect(),
        timeframe: ground.market.timeframe,
        from: request.from,
        to: request.to,
        policies: policies.iter().map(shown).collect(),
        model,
        account: AccountView {
            kind: setup.kind,
            currency: setup.currency.clone(),
            cash: setup.initial_cash,
            unlimited: setup.unlimited,
        },
        costs: CostView {
            fee: paper.fee().rate(),
            spread: paper.spread().full(),
            slippage: paper.slippage().mean(),
            latency_ms: paper.latency().mean().secs_f64() * 1e3,
            participation: paper.participation().share(),
            funding: paper.funding(),
            seed: paper.seed(),
        },
        instruments,
    }
}
