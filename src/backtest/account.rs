//! The account and its costs, from a configuration or from the defaults of a policy that is measured by itself.

use std::collections::BTreeMap;

use levibot_core::account::AccountSetup;
use levibot_core::backtest::MarketPast;
use levibot_core::domain::{AccountKind, Instrument, Money, Span, Symbol};
use levibot_core::engine::StrategyPolicy;
use levibot_core::fills::{PaperSetup, RawPaperSetup};

use super::policy::states_size;
use super::request::FundingRequest;
use super::{BacktestError, Request, instruments};
use crate::config::{self, Config};

/// Currency of the account without a configuration.
const CURRENCY: &str = "USDT";
/// Cash of the account without a configuration.
const CASH: i64 = 10_000;
/// Seed of draws without a configuration.
const SEED: u64 = 42;
/// Costs without a configuration: 5 basis points a side and nothing else.
const COSTS: RawPaperSetup = RawPaperSetup {
    seed: SEED,
    fee: 0.0005,
    spread: 0.0,
    slippage: 0.0,
    latency: Span::ZERO,
    participation: 1.0,
    funding: 0.0,
};
/// A cost of this and more is a mistaken unit, as in the configuration.
const COST_END: f64 = 0.02;

/// Who trades and what it costs.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) setup: AccountSetup,
    pub(super) paper: PaperSetup,
    /// Symbols whose trading rules were told from their prices.
    pub(super) told: Vec<Symbol>,
}

/// The terms of a backtest; ticks that are large beside the prices are told.
pub(super) fn terms(
    request: &Request,
    config: Option<&Config>,
    market: &MarketPast,
    policies: &[StrategyPolicy],
    tell: &dyn Fn(&str),
) -> Result<Terms, BacktestError> {
    let paper = paper(request, config)?;
    let cost_per_side = paper.fee().rate() + paper.spread().half() + paper.slippage().mean();
    let (mut setup, told) = match config {
        Some(config) => {
            let symbols: Vec<Symbol> = market.symbols.iter().map(|one| one.symbol).collect();
            (config.account_setup(&symbols)?, Vec::new())
        }
        None => bare(market, policies, request.account.risk.is_some())?,
    };
    for (one, rules) in market.symbols.iter().zip(&setup.instruments) {
        if let Some(text) = instruments::coarse(&one.bars, rules) {
            tell(&text);
        }
    }
    if let Some(file) = &request.account.risk {
        setup.risk = config::limits(Some(file))?;
    }
    if let Some(kind) = request.account.kind {
        setup.kind = kind;
    }
    if let Some(cash) = request.account.cash {
        if cash <= Money::ZERO {
            let remedy = "write an amount over zero, such as 10000";
            return Err(BacktestError::value("--cash", cash, "an account opens with cash", remedy));
        }
        setup.initial_cash = cash;
    }
    // Nobody attends a backtest.
    (setup.cost_per_side, setup.resume_next_day) = (cost_per_side, true);
    Ok(Terms { setup, paper, told })
}

/// The account of a policy that is measured by itself: without limits where the policy states its sizes, and none are named.
fn bare(
    market: &MarketPast,
    policies: &[StrategyPolicy],
    limited: bool,
) -> Result<(AccountSetup, Vec<Symbol>), BacktestError> {
    let (instruments, told) = rules(market, CURRENCY)?;
    let setup = AccountSetup {
        name: "backtest".to_owned(),
        kind: AccountKind::Linear,
        currency: CURRENCY.to_owned(),
        initial_cash: Money::new(CASH.into()).map_err(|error| BacktestError::Run(error.to_string()))?,
        instruments,
        risk: config::limits(None)?,
        cost_per_side: 0.0,
        resume_next_day: true,
        unlimited: !limited && policies.iter().all(states_size),
    };
    Ok((setup, told))
}

/// The rules of every symbol, in the market's order, and the symbols whose rules were told from their prices.
fn rules(market: &MarketPast, currency: &str) -> Result<(Vec<Instrument>, Vec<Symbol>), BacktestError> {
    let known: BTreeMap<Symbol, Instrument> = config::shipped_rules()?;
    let (mut all, mut told) = (Vec::with_capacity(market.symbols.len()), Vec::new());
    for one in &market.symbols {
        let fits = |rules: &&Instrument| rules.quote() == currency && instruments::lie_on_tick(&one.bars, rules);
        match known.get(&one.symbol).filter(fits) {
            Some(rules) => all.push(rules.clone()),
            None => {
                all.push(instruments::told_from(one.symbol, &one.bars, currency)?);
                told.push(one.symbol);
            }
        }
    }
    Ok((all, told))
}

fn paper(request: &Request, config: Option<&Config>) -> Result<PaperSetup, BacktestError> {
    let base = config.map_or(COSTS, |config| RawPaperSetup::from(config.paper));
    let given = request.costs;
    for (key, cost) in [("--fee", given.fee), ("--spread", given.spread), ("--slippage", given.slippage)] {
        if let Some(cost) = cost.filter(|cost| *cost >= COST_END) {
            let reason = format!("that is {} % of the price and looks like percent or basis points", cost * 100.0);
            let remedy = "this is a fraction: write 0.0005 for 0.05 % or 5 basis points";
            return Err(BacktestError::value(key, cost, reason, remedy));
        }
    }
    let raw = RawPaperSetup {
        seed: request.seed.unwrap_or(base.seed),
        fee: given.fee.unwrap_or(base.fee),
        spread: given.spread.unwrap_or(base.spread),
        slippage: given.slippage.unwrap_or(base.slippage),
        latency: given.latency.unwrap_or(base.latency),
        participation: given.participation.unwrap_or(base.participation),
        funding: request.funding.as_ref().and_then(FundingRequest::rate).unwrap_or(base.funding),
    };
    PaperSetup::try_from(raw).map_err(|error| {
        let key = match error.key {
            "fee" => "--fee",
            "spread" => "--spread",
            "slippage" => "--slippage",
            "latency" => "--latency",
            "participation" => "--participation",
            "funding" => "--funding",
            _ => "--seed",
        };
        BacktestError::value(key, error.value, error.reason, error.remedy)
    })
}
