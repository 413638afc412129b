//! How large a position may be.

use std::borrow::Cow;

use arrayvec::ArrayVec;

use super::policy::{Limits, SizingMethod};
use crate::domain::{BracketSpec, Size};
use crate::record::{Sizing, Term};

/// What a size is made from. Amounts in account currency, the rest as fractions.
#[derive(Debug, Clone, Copy)]
pub struct SizingInput<'a> {
    /// Equity now.
    pub equity: f64,
    /// What is neither in positions nor reserved.
    pub available: f64,
    /// Expected move over the horizon, a fraction of price, over zero.
    pub volatility: f64,
    /// Probability of the side, when a model decided.
    pub probability: Option<f64>,
    /// The bracket, for the pay-off.
    pub bracket: &'a BracketSpec,
    /// Price that the bracket's distances refer to.
    pub reference: f64,
    /// Price at which units are reckoned as a notional.
    pub price: f64,
    /// Cost of one side, a fraction of notional.
    pub cost_per_side: f64,
    /// How large the policy means it to be.
    pub size: Size,
    /// Whether nothing but the first term binds: see [`super::AccountSetup::unlimited`].
    pub unlimited: bool,
}

/// The terms of a size, at most.
const TERMS: usize = 5;
/// The term that binds where an entry is for so many base units.
pub(super) const POLICY_UNITS: &str = "policy_units";

/// A size as it was reckoned: see [`Sizing`], which is this on record.
#[derive(Debug, Clone)]
pub struct Sized {
    /// See [`Sizing::base`].
    pub base: f64,
    /// See [`Sizing::kelly`].
    pub kelly: f64,
    /// The term that bound last.
    pub bound_by: &'static str,
    /// The smallest of all terms, zero or more.
    pub notional: f64,
    terms: ArrayVec<(f64, &'static str), TERMS>,
}

/// The size under `limits`. First what is meant: `equity * max_risk_pct / volatility` and Kelly's rule, or in their place
/// what the policy itself asks for. Then each limit in turn. The term that bound last is named in [`Sized::bound_by`].
pub fn size(limits: &Limits, input: &SizingInput<'_>) -> Sized {
    let (base, kelly, name) = meant(limits, input);
    let mut terms = ArrayVec::new();
    terms.push((base * kelly, name));
    if !input.unlimited {
        terms.extend([
            (input.equity * limits.symbol_fraction, "max_symbol_risk_pct"),
            (limits.max_position_usd, "max_position_usd"),
            (limits.max_order_usd, "max_order_usd"),
            (input.available / (1.0 + 2.0 * input.cost_per_side), "available"),
        ]);
    }
    let (mut notional, mut bound_by) = (f64::INFINITY, "");
    for &(allowed, name) in &terms {
        if allowed < notional {
            (notional, bound_by) = (allowed.max(0.0), name);
        }
    }
    Sized { base, kelly, bound_by, notional, terms }
}

/// What is meant before any limit: a base, the factor that is left of it, and the name of their product.
fn meant(limits: &Limits, input: &SizingInput<'_>) -> (f64, f64, &'static str) {
    match input.size {
        Size::Account => {
            let kelly = match limits.method {
                SizingMethod::FixedFractional => 1.0,
                SizingMethod::Kelly => limits.kelly_fraction * input.probability.map_or(1.0, |p| kelly(p, input)),
            };
            (input.equity * limits.risk_per_trade / input.volatility, kelly, "risk_per_trade")
        }
        Size::Units(units) => (units * input.price, 1.0, POLICY_UNITS),
        Size::Notional(notional) => (notional, 1.0, "policy_notional"),
        Size::Equity(fraction) => (input.equity * fraction, 1.0, "policy_equity"),
    }
}

impl Sized {
    /// As a record holds it.
    pub fn on_record(&self, input: &SizingInput<'_>) -> Sizing {
        let term = |&(notional, name): &(f64, &'static str)| Term { name: Cow::Borrowed(name), notional };
        Sizing {
            equity: input.equity,
            volatility: input.volatility,
            base: self.base,
            kelly: self.kelly,
            with_probability: input.probability.is_some(),
            bound_by: self.bound_by.to_owned(),
            notional: self.notional,
            terms: self.terms.iter().map(term).collect(),
        }
    }
}

/// Kelly's fraction of a bet won with probability `p` at odds `b`: `p - (1 - p) / b` (Kelly 1956), held to 0..1. The
/// odds are net: target less both sides' costs over stop plus both sides' costs. Without a target the odds are those of
/// a win as large as the stop.
fn kelly(p: f64, input: &SizingInput<'_>) -> f64 {
    let costs = 2.0 * input.cost_per_side;
    // Without a stop it is the usual move that is lost.
    let stop = input.bracket.stop.map_or(input.volatility, |stop| stop / input.reference);
    let win = input.bracket.target.map_or(stop, |target| target / input.reference) - costs;
    let loss = stop + costs;
    if win <= 0.0 || loss <= 0.0 || !p.is_finite() {
        return 0.0;
    }
    (p - (1.0 - p) * loss / win).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::RiskPolicy;
    use proptest::prelude::*;

    const BRACKET: BracketSpec = BracketSpec { stop: Some(2.0), target: Some(4.0), trailing: None, time_exit: None };

    fn limits(method: &str, symbol: &str) -> Limits {
        let text = format!(
            "risk_policy: {{max_daily_loss_pct: 3.0, max_symbol_risk_pct: 0.2, max_concurrent_positions: 15, \
             rebalance_frequency: weekly, position_sizing: {{method: {method}, kelly_fraction: 0.5, \
             min_position_usd: 10, max_position_usd: 100000}}, \
             symbols: {{AAA: {{max_symbol_risk_pct: 0.1, max_position_usd: 700, max_risk_pct: 0.01, kelly_fraction: 1}}}}}}"
        );
        RiskPolicy::from_yaml(&text).unwrap().limits(symbol.parse().unwrap())
    }

    fn input(probability: Option<f64>, volatility: f64) -> SizingInput<'static> {
        SizingInput {
            equity: 10_000.0,
            available: 10_000.0,
            volatility,
            probability,
            bracket: &BRACKET,
            reference: 100.0,
            price: 100.0,
            cost_per_side: 0.0005,
            size: Size::Account,
            unlimited: false,
        }
    }

    #[test]
    fn fixed_fractional_is_the_formula_of_the_policy() {
        let sizing = size(&limits("fixed_fractional", "BBB"), &input(None, 0.2));
        assert!((sizing.notional - 1_000.0).abs() < 1e-9, "10,000 * 0.02 / 0.2: {sizing:?}");
        assert_eq!(sizing.bound_by, "risk_per_trade");
    }

    #[test]
    fn kelly_uses_net_odds_and_half_of_it() {
        let sizing = size(&limits("kelly", "BBB"), &input(Some(0.6), 0.2));
        // Odds (0.04 - 0.001) / (0.02 + 0.001); f = 0.6 - 0.4 / odds = 0.384615...
        let wanted = 1_000.0 * 0.5 * (0.6 - 0.4 * 0.021 / 0.039);
        assert!((sizing.notional - wanted).abs() < 1e-9, "{sizing:?}");
        assert!(
            (size(&limits("kelly", "BBB"), &input(None, 0.2)).notional - 500.0).abs() < 1e-9,
            "a rule gets the fraction alone"
        );
    }

    #[test]
    fn a_bet_without_an_edge_gets_nothing() {
        assert!(size(&limits("kelly", "BBB"), &input(Some(0.3), 0.2)).notional.abs() < 1e-12);
    }

    #[test]
    fn the_symbol_limit_binds_before_a_quiet_market_makes_sizes_huge() {
        let sizing = size(&limits("fixed_fractional", "BBB"), &input(None, 0.001));
        assert!((sizing.notional - 2_000.0).abs() < 1e-9);
        assert_eq!(sizing.bound_by, "max_symbol_risk_pct");
    }

    proptest! {
        #[test]
        fn no_input_exceeds_a_limit(p in 0.0..1.0_f64, vol in 1e-6..1.0_f64, equity in 0.0..1e9_f64, available in -1e6..1e9_f64) {
            let input = SizingInput { equity, available, ..input(Some(p), vol) };
            let sizing = size(&limits("kelly", "BBB"), &input);
            prop_assert!(sizing.notional.is_finite() && sizing.notional >= 0.0);
            prop_assert!(sizing.notional <= (equity * 0.2).min(100_000.0) + 1e-6);
            prop_assert!(sizing.notional <= available.max(0.0) + 1e-6);
        }
    }
}
