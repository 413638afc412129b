//! Sizes and limits on made-up positions: the live account, fed with drawn decisions.

use serde::Serialize;

use super::{Account, AccountSetup, Action, RiskPolicy};
use crate::domain::hash::unit_draw;
use crate::domain::instrument::{InstrumentError, RawInstrument};
use crate::domain::money::NumberError;
use crate::domain::{
    AccountKind, Actions, Bar, BracketSpec, Context, Decision, Direction, Event, Instrument, InstrumentId, Intent, Ix,
    Money, Size, Span, Symbol, Timeframe, Ts, ids::NameError,
};
use crate::record::{Record, Verdict};

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The limits.
    pub risk: RiskPolicy,
    /// Spot or linear.
    pub kind: AccountKind,
    /// Cost of one side of a trade, a fraction of notional.
    pub cost_per_side: f64,
    /// Cash of the account, over zero.
    pub equity: Money,
    /// How many symbols want a position, one after the other, up to 10,000. Those that the policy names come first.
    pub symbols: u32,
    /// Chooses volatilities, probabilities and sides.
    pub seed: u64,
}

/// What became of one symbol's wish. Amounts in account currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The symbol.
    pub symbol: Symbol,
    /// Long or short.
    pub side: Direction,
    /// Probability of the side, 0 to 1.
    pub probability: f64,
    /// Usual move, a fraction of price.
    pub volatility: f64,
    /// `equity * max_risk_pct / volatility`; `None` when it was refused before it was sized.
    pub base: Option<f64>,
    /// Factor of Kelly's rule, 0 to 1.
    pub kelly: Option<f64>,
    /// The limit that bound last.
    pub bound_by: Option<String>,
    /// Size after all limits.
    pub notional: Option<f64>,
    /// Whether the account would send the order.
    pub approved: bool,
    /// The check that said no.
    pub check: Option<String>,
    /// Its reason in words.
    pub reason: Option<String>,
}

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// More symbols than an account can hold.
    #[error("{0} symbols are too many: simulate 1 to 10000")]
    Symbols(u32),
    /// A cash of zero or less.
    #[error("an account of {0} can hold no position: give it an equity over zero")]
    Equity(Money),
    /// A made-up name is none.
    #[error("cannot name a made-up instrument")]
    Name(#[from] NameError),
    /// A made-up number is none.
    #[error("cannot make up a number")]
    Number(#[from] NumberError),
    /// A made-up instrument is none.
    #[error("cannot make up an instrument")]
    Instrument(#[from] InstrumentError),
    /// The account refuses to open.
    #[error("cannot open the made-up account")]
    Open(#[from] super::ApplyError),
}

/// The price of everything.
const PRICE: f64 = 100.0;
/// Time between two wishes: nobody wants everything within one minute.
const STEP: Span = Span::MINUTE;
/// When it happens: a fixed day, since only differences matter.
const START: Ts = Ts::from_secs(1_735_689_600);

/// Lets each symbol in turn wish for a position, and tells what the account says. What is approved stays on its way, so
/// that it counts against the limits of those that come after it. The same scenario gives the same rows.
///
/// # Errors
/// [`SimulateError`] for counts and amounts that cannot be.
pub fn run(scenario: &Scenario) -> Result<Vec<Row>, SimulateError> {
    if scenario.symbols == 0 || scenario.symbols > 10_000 {
        return Err(SimulateError::Symbols(scenario.symbols));
    }
    if scenario.equity <= Money::ZERO {
        return Err(SimulateError::Equity(scenario.equity));
    }
    let mut out = Actions::new();
    let mut account = Account::open(START, started(scenario)?, &mut out)?;
    let mut rows = Vec::new();
    for at in 0..scenario.symbols {
        let Some(ix) = Ix::from_usize(at as usize) else { break };
        let now = START + STEP.times(i64::from(at) + 1);
        rows.extend(wish(&mut account, ix, scenario.seed, now));
    }
    Ok(rows)
}

/// One symbol's price, its wish, and the account's word.
fn wish(account: &mut Account, ix: Ix, seed: u64, now: Ts) -> Option<Row> {
    let symbol = account.state().book(ix)?.symbol();
    let draw = |n: u64| unit_draw(seed, u64::from(ix.0) * 3 + n);
    // From 0.2 % to 5 %, as often under 1 % as over it.
    let volatility = 0.002 * 25.0_f64.powf(draw(0));
    let probability = 0.5 + 0.25 * draw(1);
    let side = if draw(2) < 0.5 { Direction::Long } else { Direction::Short };
    let distance = 2.0 * volatility * PRICE;
    let bracket = BracketSpec { stop: Some(distance), target: Some(2.0 * distance), trailing: None, time_exit: None };
    let intent = Intent::Enter {
        direction: side,
        probability: Some(probability),
        volatility,
        reference: PRICE,
        size: Size::Account,
        bracket,
    };
    let bar = Bar { open_ts: now - STEP, open: PRICE, high: PRICE, low: PRICE, close: PRICE, volume: 1.0 };
    let mut out = Actions::new();
    account.step(&Event::Bar { instrument: ix, bar, context: Context::default() }, now, &mut out);
    let decision = Decision { instrument: ix, bar: now, policy: 0, features: 0, forecast: None, intent: Some(intent) };
    account.step(&Event::Decision(decision), now, &mut out);
    let verdict = out.drain().find_map(|action| match action {
        Action::Record(record) => match *record {
            Record::Decision { verdict, .. } => Some(verdict),
            _ => None,
        },
        _ => None,
    });
    let (sizing, refused) = match verdict? {
        Verdict::Approved { sizing, .. } => (sizing, None),
        Verdict::Refused { check, reason, sizing, .. } => (sizing, Some((check, reason))),
        Verdict::Unchanged => return None,
    };
    let approved = refused.is_none();
    let (check, reason) = refused.unzip();
    let (base, kelly) = (sizing.as_ref().map(|s| s.base), sizing.as_ref().map(|s| s.kelly));
    let (notional, bound_by) = (sizing.as_ref().map(|s| s.notional), sizing.map(|s| s.bound_by));
    Some(Row { symbol, side, probability, volatility, base, kelly, bound_by, notional, approved, check, reason })
}

fn started(scenario: &Scenario) -> Result<Record, SimulateError> {
    let instruments = names(scenario)?.into_iter().map(instrument).collect::<Result<_, _>>()?;
    let setup = AccountSetup {
        name: "simulated".to_owned(),
        kind: scenario.kind,
        currency: "USDT".to_owned(),
        initial_cash: scenario.equity,
        instruments,
        risk: scenario.risk.clone(),
        cost_per_side: scenario.cost_per_side,
        resume_next_day: false,
        unlimited: false,
    };
    let (run, setup) = ("simulated".parse()?, Box::new(setup));
    Ok(Record::Started { run, timeframe: Timeframe::HOUR, config_hash: String::new(), setup })
}

/// The symbols that the policy names, so that its groups and exceptions are seen, then made-up ones.
fn names(scenario: &Scenario) -> Result<Vec<Symbol>, NameError> {
    let mut names: Vec<Symbol> = Vec::new();
    let grouped = scenario.risk.groups().values().flatten().copied();
    for symbol in grouped.chain(scenario.risk.symbols_named()) {
        if !names.contains(&symbol) {
            names.push(symbol);
        }
    }
    let wanted = scenario.symbols as usize;
    for n in 1..=wanted.saturating_sub(names.len()) {
        names.push(format!("SIM{n:02}USDT").parse()?);
    }
    names.truncate(wanted);
    Ok(names)
}

/// One that binds nothing: steps and smallest orders are the venue's matter.
fn instrument(symbol: Symbol) -> Result<Instrument, SimulateError> {
    let cent = rust_decimal::Decimal::new(1, 2);
    let small = rust_decimal::Decimal::new(1, 6);
    let raw = RawInstrument {
        id: InstrumentId { venue: "simulated".parse()?, symbol },
        base: symbol.as_str().trim_end_matches("USDT").to_owned(),
        quote: "USDT".to_owned(),
        tick: cent,
        step: small,
        min_qty: crate::domain::Qty::ZERO,
        min_notional: Money::ZERO,
    };
    Ok(raw.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RISK: &str = include_str!("../../../policies/risk.yaml");

    fn scenario(symbols: u32) -> Scenario {
        let (risk, equity) = (RiskPolicy::from_yaml(RISK).unwrap(), "10000".parse().unwrap());
        Scenario { risk, kind: AccountKind::Linear, cost_per_side: 0.0008, equity, symbols, seed: 7 }
    }

    #[test]
    fn the_limits_bind_as_they_do_in_the_account() {
        let rows = run(&scenario(40)).unwrap();
        assert_eq!(rows.len(), 40);
        assert_eq!(rows, run(&scenario(40)).unwrap(), "the same draws");
        assert_ne!(rows, run(&Scenario { seed: 8, ..scenario(40) }).unwrap());
        let approved: Vec<&Row> = rows.iter().filter(|row| row.approved).collect();
        let sum: f64 = approved.iter().filter_map(|row| row.notional).sum();
        assert!(approved.iter().all(|row| row.notional.is_some_and(|n| (10.0..=1_000.0).contains(&n))), "{rows:?}");
        assert!(sum <= 10_000.0 && approved.len() <= 15, "{} positions of {sum}", approved.len());
        assert!(rows.iter().any(|row| row.bound_by.as_deref() == Some("max_position_usd")), "{rows:?}");
        for row in rows.iter().filter(|row| !row.approved) {
            assert!(row.check.is_some() && row.reason.is_some());
        }
    }

    #[test]
    fn a_spot_account_is_never_short_and_what_cannot_be_is_refused() {
        let rows = run(&Scenario { kind: AccountKind::Spot, ..scenario(20) }).unwrap();
        assert!(rows.iter().all(|row| (row.side == Direction::Long) || row.check.as_deref() == Some("spot_short")));
        assert!(run(&scenario(0)).is_err() && run(&scenario(10_001)).is_err());
        assert!(run(&Scenario { equity: Money::ZERO, ..scenario(5) }).is_err());
    }
}
