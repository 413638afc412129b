//! A position as its fills make it, by average cost: the one place where money is reckoned from fills.

use rust_decimal::Decimal;

use crate::domain::{Fill, Side};

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
}

/// What a fill did to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The position after it.
    pub after: Holding,
    /// Whether a position was wholly closed by it, perhaps to be turned over.
    pub closed: bool,
}

impl Holding {
    /// The position after a fill: the part against it realises, the rest opens. `None` when a sum is beyond what
    /// decimals hold.
    pub fn with(self, fill: &Fill) -> Option<Change> {
        let (price, qty) = (fill.price.get(), fill.qty.get());
        let signed = if fill.side == Side::Buy { qty } else { -qty };
        let mut next = self;
        next.fees = self.fees.checked_add(fill.fee.get())?.normalize();
        let against = !self.net.is_zero() && self.net.is_sign_negative() != signed.is_sign_negative();
        let closing = if against { qty.min(self.net.abs()) } else { Decimal::ZERO };
        if !closing.is_zero() {
            // All of it takes all of the cost, so that no rounding outlives a position.
            let released = if closing == self.net.abs() {
                self.cost
            } else {
                self.cost.checked_mul(closing)?.checked_div(self.net.abs())?.round_dp(12)
            };
            let moved = if signed.is_sign_negative() { -closing } else { closing };
            let gained = (-moved).checked_mul(price)?.checked_sub(released)?;
            next.realised = next.realised.checked_add(gained)?.normalize();
            next.net = next.net.checked_add(moved)?;
            next.cost = next.cost.checked_sub(released)?;
        }
        let opening = if signed.is_sign_negative() { closing - qty } else { qty - closing };
        next.net = next.net.checked_add(opening)?.normalize();
        next.cost = next.cost.checked_add(opening.checked_mul(price)?)?.normalize();
        Some(Change { after: next, closed: !self.net.is_zero() && closing == self.net.abs() })
    }

    /// What closing at `mark` would gain, before fees; `None` beyond what decimals hold.
    pub fn unrealised(&self, mark: Decimal) -> Option<Decimal> {
        self.net.checked_mul(mark)?.checked_sub(self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(side: Side, qty: &str, price: &str) -> Fill {
        Fill {
            order: "lb-a".parse().unwrap(),
            trade_id: 1,
            symbol: "BTCUSDT".parse().unwrap(),
            side,
            price: price.parse().unwrap(),
            qty: qty.parse().unwrap(),
            fee: "0.5".parse().unwrap(),
            commission: None,
            ts: crate::domain::Ts::EPOCH,
        }
    }

    fn after(fills: &[(Side, &str, &str)]) -> Holding {
        fills.iter().fold(Holding::default(), |h, (side, qty, price)| h.with(&fill(*side, qty, price)).unwrap().after)
    }

    fn figures(holding: Holding) -> [String; 3] {
        [holding.net, holding.cost, holding.realised].map(|d| d.to_string())
    }

    #[test]
    fn opening_adding_reducing_turning_and_closing() {
        use Side::{Buy, Sell};
        assert_eq!(figures(after(&[(Buy, "2", "100"), (Buy, "1", "130")])), ["3", "330", "0"]);
        assert_eq!(figures(after(&[(Buy, "3", "110"), (Sell, "1", "120")])), ["2", "220", "10"]);
        assert_eq!(figures(after(&[(Sell, "2", "100"), (Buy, "1", "90")])), ["-1", "-100", "10"]);
        assert_eq!(figures(after(&[(Buy, "1", "100"), (Sell, "3", "90")])), ["-2", "-180", "-10"]);
        assert_eq!(figures(after(&[(Sell, "1", "100"), (Buy, "3", "90")])), ["2", "180", "10"]);
        let thirds = [(Buy, "3", "0.1"), (Sell, "1", "0.2"), (Sell, "1", "0.2"), (Sell, "1", "0.2")];
        assert_eq!(figures(after(&thirds)), ["0", "0", "0.3"]);
        assert_eq!(after(&thirds).fees.to_string(), "2");
    }

    #[test]
    fn what_decimals_cannot_hold_is_told() {
        let most = fill(Side::Buy, "100000000000000", "100000000000000");
        let mut holding = Some(Holding::default());
        for _ in 0..10 {
            holding = holding.and_then(|h| h.with(&most)).map(|change| change.after);
        }
        assert_eq!(holding, None, "ten times 1e28 is beyond 28 digits");
    }
}
