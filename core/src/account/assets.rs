//! What an account holds besides its currency and its positions, each asset with what it was booked at.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::domain::decimals::{decimal_to_f64, normal};
use crate::domain::{Asset, Money};

/// How much of an asset is held and what it was booked at, in quote currency. A stock under zero is owed: the ledger was
/// not told where it came from. It has no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// Units of the asset.
    pub amount: Decimal,
    /// Booked value of all of it, quote currency, zero or more.
    pub value: Decimal,
}

impl Stock {
    /// What can be taken out of it.
    pub(super) fn there(&self) -> Decimal {
        self.amount.max(Decimal::ZERO)
    }

    /// Adds `amount` with its value, and says how much of that value has filled what was owed and is gone with it. `None`
    /// beyond what decimals hold.
    pub(super) fn put(&mut self, amount: Decimal, value: Decimal) -> Option<Decimal> {
        let owed = (-self.amount).max(Decimal::ZERO);
        let gone = if owed.is_zero() { Decimal::ZERO } else { share(value, owed.min(amount), amount)? };
        self.amount = normal(self.amount.checked_add(amount)?);
        self.value = normal(self.value.checked_add(value)?.checked_sub(gone)?);
        Some(gone)
    }

    /// Takes `amount` out, and says what it was booked at. What is not there is owed from then on, and has no value. `None`
    /// beyond what decimals hold.
    pub(super) fn take(&mut self, amount: Decimal) -> Option<Decimal> {
        let there = self.there();
        let value = if there.is_zero() { Decimal::ZERO } else { share(self.value, amount.min(there), there)? };
        self.amount = normal(self.amount.checked_sub(amount)?);
        self.value = normal(self.value.checked_sub(value)?);
        Some(value)
    }
}

/// The share of `part` in a `value` of `whole`: rounded to 12 decimals, except that the whole takes all of it, so that no
/// rounding outlives what it belongs to. `None` beyond what decimals hold.
pub(super) fn share(value: Decimal, part: Decimal, whole: Decimal) -> Option<Decimal> {
    if part == whole {
        return Some(value);
    }
    Some(value.checked_mul(part)?.checked_div(whole)?.round_dp(12))
}

/// All stocks of an account, by asset. Those of nothing are not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stocks {
    by_asset: BTreeMap<Asset, Stock>,
    value: Money,
    /// The same as `f64`: equity is asked for with every quote.
    value_f64: f64,
}

impl Stocks {
    pub(super) fn get(&self, asset: Asset) -> Stock {
        self.by_asset.get(&asset).copied().unwrap_or_default()
    }

    /// What they would be worth together with `changed` in place; `None` beyond what money is.
    pub(super) fn value_with(&self, changed: &[(Asset, Stock)]) -> Option<Money> {
        changed.iter().try_fold(self.value, |sum, (asset, stock)| {
            let moved = stock.value.checked_sub(self.get(*asset).value)?;
            Money::new(sum.get().checked_add(moved)?).ok()
        })
    }

    /// Puts `changed` in place. `value` is theirs from [`Self::value_with`].
    pub(super) fn put(&mut self, changed: &[(Asset, Stock)], value: Money) {
        for (asset, stock) in changed {
            if stock.amount.is_zero() {
                self.by_asset.remove(asset);
            } else {
                self.by_asset.insert(*asset, *stock);
            }
        }
        (self.value, self.value_f64) = (value, decimal_to_f64(value.get()));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Asset, Stock)> {
        self.by_asset.iter().map(|(asset, stock)| (*asset, *stock))
    }

    pub(super) const fn value(&self) -> Money {
        self.value
    }

    pub(super) const fn value_f64(&self) -> f64 {
        self.value_f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn what_leaves_takes_its_share_and_the_last_unit_takes_the_rest() {
        let mut stock = Stock::default();
        assert_eq!(stock.put(decimal("3"), decimal("1")), Some(Decimal::ZERO));
        assert_eq!(stock.take(decimal("1")), Some(decimal("0.333333333333")));
        assert_eq!(stock.take(decimal("2")), Some(decimal("0.666666666667")));
        assert_eq!(stock, Stock::default());
    }

    #[test]
    fn what_is_owed_has_no_value_and_is_filled_first() {
        let mut stock = Stock::default();
        stock.put(decimal("1"), decimal("10")).unwrap();
        assert_eq!(stock.take(decimal("3")), Some(decimal("10")));
        assert_eq!(stock, Stock { amount: decimal("-2"), value: Decimal::ZERO });
        assert_eq!(stock.put(decimal("1"), decimal("12")), Some(decimal("12")), "all of it was owed");
        assert_eq!(stock.put(decimal("4"), decimal("40")), Some(decimal("10")), "a quarter of it was owed");
        assert_eq!(stock, Stock { amount: decimal("3"), value: decimal("30") });
    }

    proptest! {
        /// Whatever comes and goes: what was put in is there, gone with what was owed, or was taken out.
        #[test]
        fn values_are_neither_made_nor_lost(
            course in proptest::collection::vec((any::<bool>(), 1u32..1_000_000, 0u32..1_000_000), 1..60),
        ) {
            let (mut stock, mut put, mut out) = (Stock::default(), Decimal::ZERO, Decimal::ZERO);
            for (comes, amount, value) in course {
                let (amount, value) = (Decimal::new(i64::from(amount), 5), Decimal::new(i64::from(value), 4));
                if comes {
                    put += value;
                    out += stock.put(amount, value).unwrap();
                } else {
                    out += stock.take(amount).unwrap();
                }
                prop_assert_eq!(stock.value, put - out);
                prop_assert!(stock.value >= Decimal::ZERO);
                prop_assert!(stock.amount > Decimal::ZERO || stock.value.is_zero());
            }
        }
    }
}
