//! What a backtest was made with, for its result.

use std::collections::BTreeMap;

use levibot_core::account::policy::RiskPolicy;
use levibot_core::domain::hash::hash64;
use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::{Instrument, Symbol};
use levibot_core::engine::StrategyPolicy;

use super::request::FundingRequest;
use super::trial::Ground;
use super::view::{
    AccountView, ConfigView, CostView, LimitsView, ModelView, PolicyView, RulesView, SearchView, Settings, WalkLengths,
};
use super::{Request, policy};
use crate::config::Config;

/// What was found on the way.
#[derive(Debug)]
pub(super) struct Facts {
    /// Hash of bars and rates.
    pub(super) digest: u64,
    /// Symbols whose rules were told from their prices.
    pub(super) told: Vec<Symbol>,
    pub(super) model: Option<ModelView>,
}

pub(super) fn of(
    request: &Request,
    config: Option<&Config>,
    ground: &Ground<'_>,
    policies: &[StrategyPolicy],
    facts: Facts,
) -> Settings {
    let Facts { digest, told, model } = facts;
    let setup = ground.setup;
    // Of a walk-forward these change from window to window, and what the file says of them was never traded.
    let is_chosen = |name: &str| request.walk.is_some() && request.sweep.iter().any(|axis| axis.name == name);
    let shown = |one: &StrategyPolicy| {
        let mut parameters = policy::parameters(one);
        parameters.retain(|name, _| !is_chosen(name));
        let view = PolicyView { hash: format!("{:016x}", one.hash()), parameters };
        (one.name().to_owned(), view)
    };
    let instruments: BTreeMap<_, _> = setup.instruments.iter().map(|one| rules(one, &told)).collect();
    Settings {
        build: env!("CARGO_PKG_VERSION").to_owned(),
        data: request.data.display().to_string(),
        data_hash: format!("{digest:016x}"),
        symbols: instruments.keys().copied().collect(),
        timeframe: ground.market.timeframe,
        from: request.from,
        to: request.to,
        policies: policies.iter().map(shown).collect(),
        model,
        config: request
            .config
            .as_ref()
            .zip(config)
            .map(|(file, config)| ConfigView { file: file.display().to_string(), hash: config.hash() }),
        account: AccountView {
            kind: setup.kind,
            currency: setup.currency.clone(),
            cash: setup.initial_cash,
            unlimited: setup.unlimited,
        },
        limits: if setup.unlimited {
            LimitsView { from: "none".to_owned(), hash: None }
        } else {
            limits(request, &setup.risk)
        },
        costs: costs(request, ground),
        search: search(request),
        instruments,
    }
}

fn rules(instrument: &Instrument, told: &[Symbol]) -> (Symbol, RulesView) {
    let RawInstrument { id, tick, step, min_qty, min_notional, .. } = instrument.clone().into();
    let view = RulesView {
        tick: tick.to_string(),
        step: step.to_string(),
        min_qty: min_qty.to_string(),
        min_notional: min_notional.to_string(),
        told_from_prices: told.contains(&id.symbol),
    };
    (id.symbol, view)
}

fn limits(request: &Request, limits: &RiskPolicy) -> LimitsView {
    let from = match (&request.account.risk, &request.config) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(_)) => "configuration".to_owned(),
        (None, None) => "shipped".to_owned(),
    };
    // Their text in JSON, whose keys have one order.
    let hash = serde_json::to_vec(limits).ok().map(|text| format!("{:016x}", hash64(&[&text])));
    LimitsView { from, hash }
}

fn costs(request: &Request, ground: &Ground<'_>) -> CostView {
    let paper = ground.paper;
    let files = match &request.funding {
        Some(FundingRequest::Files(path)) => Some(path.display().to_string()),
        _ => None,
    };
    CostView {
        fee: paper.fee().rate(),
        spread: paper.spread().full(),
        slippage: paper.slippage().mean(),
        latency_ms: paper.latency().mean().secs_f64() * 1e3,
        participation: paper.participation().share(),
        funding: files.is_none().then(|| paper.funding()),
        funding_files: files,
        seed: paper.seed(),
    }
}

fn search(request: &Request) -> Option<SearchView> {
    (!request.sweep.is_empty()).then(|| SearchView {
        objective: request.objective.to_string(),
        values: request.sweep.iter().map(|axis| (axis.name.clone(), axis.values.clone())).collect(),
        random: request.sweep_random,
        walk_forward: request.walk.map(|walk| WalkLengths {
            train: walk.train.secs_f64(),
            test: walk.test.secs_f64(),
            embargo: walk.embargo.secs_f64(),
        }),
    })
}
