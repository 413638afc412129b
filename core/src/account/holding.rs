//! A position as its fills make it, by average cost: the one place where money is reckoned from fills.

use rust_decimal::Decimal;

use super::assets::share;
use crate::domain::decimals::{compare, normal, plus, times};

/// One symbol's position and what it has earned. Base units and quote currency. All arithmetic is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Base units, negative when short.
    pub net: Decimal,
    /// What the open position cost, negative when short. Realised PnL takes its share out, so that the two always add up
    /// to what was paid.
    pub cost: Decimal,
    /// Realised PnL before fees.
    pub realised: Decimal,
    /// Fees paid.
    pub fees: Decimal,
    /// Funding paid; under zero it was received.
    pub funding: Decimal,
}

/// What a trade did to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The position after it.
    pub after: Holding,
    /// Whether a position was wholly closed by it, perhaps to be turned over.
    pub closed: bool,
}

impl Holding {
    /// The position after `units` more of it (fewer when negative) at a price: the part against it realises, the rest
    /// opens. `None` when a sum is beyond what decimals hold.
    pub fn traded(self, units: Decimal, price: Decimal) -> Option<Change> {
        let against = !self.net.is_zero() && self.net.is_sign_negative() != units.is_sign_negative();
        let (more, held) = (units.abs(), self.net.abs());
        let is_whole = compare(more, held).is_ge();
        let closing = match (against, is_whole) {
            (false, _) => Decimal::ZERO,
            (true, true) => held,
            (true, false) => more,
        };
        let moved = if units.is_sign_negative() { -closing } else { closing };
        let mut next = self;
        if !closing.is_zero() {
            let released = if is_whole { self.cost } else { share(self.cost, closing, held)? };
            let gained = plus(times(-moved, price)?, -released)?;
            next.realised = normal(plus(next.realised, gained)?);
            next.net = plus(next.net, moved)?;
            next.cost = plus(next.cost, -released)?;
        }
        let opening = plus(units, -moved)?;
        next.net = normal(plus(next.net, opening)?);
        next.cost = normal(plus(next.cost, times(opening, price)?)?);
        Some(Change { after: next, closed: !closing.is_zero() && is_whole })
    }

    /// The position after `units` of it, zero or more and at most all, went for nothing, and what they had cost. `None`
    /// when a sum is beyond what decimals hold.
    pub(super) fn without(self, units: Decimal) -> Option<(Change, Decimal)> {
        let held = self.net.abs();
        let cost = share(self.cost, units, held)?;
        let left = held.checked_sub(units)?;
        let net = if self.net.is_sign_negative() { -left } else { left };
        let after = Self { net: normal(net), cost: normal(self.cost.checked_sub(cost)?), ..self };
        Some((Change { after, closed: left.is_zero() && !held.is_zero() }, cost))
    }

    /// The position with more fees paid; `None` beyond what decimals hold.
    pub(super) fn charged(self, fee: Decimal) -> Option<Self> {
        Some(Self { fees: normal(plus(self.fees, fee)?), ..self })
    }

    /// The position with more funding paid; `None` beyond what decimals hold.
    pub(super) fn funded(self, paid: Decimal) -> Option<Self> {
        Some(Self { funding: normal(self.funding.checked_add(paid)?), ..self })
    }

    /// What closing at `mark` would gain, before fees; `None` beyond what decimals hold.
    pub fn unrealised(&self, mark: Decimal) -> Option<Decimal> {
        self.net.checked_mul(mark)?.checked_sub(self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(trades: &[(i64, &str)]) -> Holding {
        let trade = |h: Holding, units: i64, price: &str| h.traded(units.into(), price.parse().unwrap()).unwrap().after;
        trades.iter().fold(Holding::default(), |h, (units, price)| trade(h, *units, price))
    }

    fn figures(holding: Holding) -> [String; 3] {
        [holding.net, holding.cost, holding.realised].map(|d| d.to_string())
    }

    #[test]
    fn opening_adding_reducing_turning_and_closing() {
        assert_eq!(figures(after(&[(2, "100"), (1, "130")])), ["3", "330", "0"]);
        assert_eq!(figures(after(&[(3, "110"), (-1, "120")])), ["2", "220", "10"]);
        assert_eq!(figures(after(&[(-2, "100"), (1, "90")])), ["-1", "-100", "10"]);
        assert_eq!(figures(after(&[(1, "100"), (-3, "90")])), ["-2", "-180", "-10"]);
        assert_eq!(figures(after(&[(-1, "100"), (3, "90")])), ["2", "180", "10"]);
        let thirds = [(3, "0.1"), (-1, "0.2"), (-1, "0.2"), (-1, "0.2")];
        assert_eq!(figures(after(&thirds)), ["0", "0", "0.3"]);
    }

    #[test]
    fn what_goes_for_nothing_takes_its_cost_along() {
        let (part, cost) = after(&[(3, "110")]).without(1.into()).unwrap();
        assert_eq!((figures(part.after), cost, part.closed), (["2", "220", "0"].map(str::to_owned), 110.into(), false));
        let (all, cost) = after(&[(-3, "0.1")]).without(3.into()).unwrap();
        assert_eq!((figures(all.after)[0].as_str(), cost.to_string().as_str(), all.closed), ("0", "-0.3", true));
    }

    #[test]
    fn what_decimals_cannot_hold_is_told() {
        let most = Decimal::from(100_000_000_000_000_i64);
        let mut holding = Some(Holding::default());
        for _ in 0..10 {
            holding = holding.and_then(|h| h.traded(most, most)).map(|change| change.after);
        }
        assert_eq!(holding, None, "ten times 1e28 is beyond 28 digits");
    }
}
