//! An account's setup for the tests of this crate.

use super::{AccountSetup, RiskPolicy};
use crate::domain::instrument::RawInstrument;
use crate::domain::{AccountKind, Instrument, InstrumentId};

fn instrument(symbol: &str) -> Instrument {
    let raw = RawInstrument {
        id: InstrumentId { venue: "sim".parse().unwrap(), symbol: symbol.parse().unwrap() },
        base: symbol.into(),
        quote: "USDT".into(),
        tick: "0.01".parse().unwrap(),
        step: "0.001".parse().unwrap(),
        min_qty: "0.001".parse().unwrap(),
        min_notional: "5".parse().unwrap(),
    };
    raw.try_into().unwrap()
}

/// 10,000 USDT, a tick of a cent, and 5 bps a side.
pub(crate) fn setup(symbols: &[&str], kind: AccountKind, risk: &str) -> AccountSetup {
    AccountSetup {
        name: "paper".into(),
        kind,
        currency: "USDT".into(),
        initial_cash: "10000".parse().unwrap(),
        instruments: symbols.iter().map(|symbol| instrument(symbol)).collect(),
        risk: RiskPolicy::from_yaml(risk).unwrap(),
        cost_per_side: 0.0005,
        resume_next_day: false,
        unlimited: false,
    }
}
