//! Positions as the fills make them, by average cost.

use levibot_core::domain::{Fill, Side};
use rust_decimal::Decimal;

/// One symbol's position and what it has earned. Base units and quote currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) net: Decimal,
    pub(super) cost: Decimal,
    pub(super) realised: Decimal,
    pub(super) fees: Decimal,
    pub(super) mark: Option<Decimal>,
}

impl Position {
    /// The position after a fill; `None` when a sum is beyond what decimals hold.
    pub(super) fn after(self, fill: &Fill) -> Option<Self> {
        let (price, qty) = (fill.price.get(), fill.qty.get());
        let signed = if fill.side == Side::Buy { qty } else { -qty };
        let mut next = self;
        next.fees = self.fees.checked_add(fill.fee.get())?;
        let against = !self.net.is_zero() && self.net.is_sign_negative() != signed.is_sign_negative();
        let closed = if against { qty.min(self.net.abs()) } else { Decimal::ZERO };
        if !closed.is_zero() {
            // All of it takes all of the cost, so that no rounding outlives a position.
            let released = if closed == self.net.abs() {
                self.cost
            } else {
                self.cost.checked_mul(closed)?.checked_div(self.net.abs())?.round_dp(18)
            };
            let moved = if signed.is_sign_negative() { -closed } else { closed };
            let gained = (-moved).checked_mul(price)?.checked_sub(released)?;
            next.realised = next.realised.checked_add(gained)?;
            next.net = next.net.checked_add(moved)?;
            next.cost = next.cost.checked_sub(released)?;
        }
        let opened = if signed.is_sign_negative() { closed - qty } else { qty - closed };
        next.net = next.net.checked_add(opened)?;
        next.cost = next.cost.checked_add(opened.checked_mul(price)?)?;
        Some(next)
    }

    /// What closing at the mark would gain; `None` without a mark or beyond what decimals hold.
    pub(super) fn unrealised(&self) -> Option<Decimal> {
        self.net.checked_mul(self.mark?)?.checked_sub(self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(fills: &[(Side, &str, &str)]) -> Position {
        fills.iter().fold(Position::default(), |position, (side, qty, price)| {
            let fill = Fill {
                order: "lb-a".parse().unwrap(),
                trade_id: 1,
                symbol: "BTCUSDT".parse().unwrap(),
                side: *side,
                price: price.parse().unwrap(),
                qty: qty.parse().unwrap(),
                fee: "0.5".parse().unwrap(),
                ts: levibot_core::domain::Ts::EPOCH,
            };
            position.after(&fill).unwrap()
        })
    }

    fn figures(position: Position) -> [String; 3] {
        [position.net, position.cost, position.realised].map(|d| d.normalize().to_string())
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
        assert_eq!(after(&thirds).fees.to_string(), "2.0");
    }

    #[test]
    fn what_decimals_cannot_hold_is_told() {
        let huge = after(&[(Side::Buy, "10000000000000", "1000000000000000")]);
        let fill = Fill {
            order: "lb-a".parse().unwrap(),
            trade_id: 1,
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            price: "1000000000000000".parse().unwrap(),
            qty: "1000000000000000".parse().unwrap(),
            fee: "0".parse().unwrap(),
            ts: levibot_core::domain::Ts::EPOCH,
        };
        assert_eq!(huge.after(&fill), None);
    }
}
