//! An account's money, summed from raw records: it knows nothing of the account's own ledger.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::account::AccountSetup;
use crate::domain::{AccountKind, Asset, Commission, Fill, Funding, Money, Side, Symbol, Transfer, Ts};
use crate::record::MarkedStock;

/// An asset beside currency and positions: how much, and what it was booked at.
#[derive(Debug, Clone, Copy, Default)]
struct Pile {
    amount: Decimal,
    value: Decimal,
}

/// All that an account holds, summed from its fills and transfers.
#[derive(Debug, Default)]
pub(super) struct Sums {
    is_spot: bool,
    currency: String,
    /// What each symbol trades; a symbol stays, because what it holds does.
    bases: BTreeMap<Symbol, String>,
    /// Currency, positions at their cost left out.
    pub(super) flow: Decimal,
    /// What was paid in less what was paid out, initial cash left out.
    pub(super) contributed: Decimal,
    nets: BTreeMap<Symbol, Decimal>,
    piles: BTreeMap<Asset, Pile>,
    trades: BTreeSet<(Symbol, u64)>,
    transfers: BTreeSet<String>,
    fundings: BTreeSet<(Symbol, Ts)>,
}

impl Sums {
    pub(super) fn open(setup: &AccountSetup) -> Self {
        let mut sums = Self { flow: setup.initial_cash.get(), ..Self::default() };
        sums.adopt(setup);
        sums
    }

    pub(super) fn adopt(&mut self, setup: &AccountSetup) {
        self.is_spot = setup.kind == AccountKind::Spot;
        self.currency.clone_from(&setup.currency);
        self.bases.extend(setup.instruments.iter().map(|i| (i.id().symbol, i.base().to_owned())));
    }

    /// The position of a symbol.
    pub(super) fn net(&self, symbol: Symbol) -> Decimal {
        self.nets.get(&symbol).copied().unwrap_or_default().normalize()
    }

    /// The symbols that hold something.
    pub(super) fn open_symbols(&self) -> BTreeSet<Symbol> {
        self.nets.iter().filter(|(_, net)| !net.is_zero()).map(|(symbol, _)| *symbol).collect()
    }

    /// What is held besides, by asset.
    pub(super) fn stocks(&self) -> Vec<MarkedStock> {
        let kept = self.piles.iter().filter(|(_, pile)| !pile.amount.is_zero());
        let marked = |(asset, pile): (&Asset, &Pile)| MarkedStock {
            asset: *asset,
            amount: pile.amount.normalize(),
            value: Money::new(pile.value).unwrap_or(Money::ZERO),
        };
        kept.map(marked).collect()
    }

    /// A trade of ours, or of somebody else where `is_ours` is false: `false` when it is there already. `is_traded` says
    /// whether the account trades the symbol.
    pub(super) fn trade(&mut self, fill: &Fill, is_ours: bool, is_traded: bool) -> bool {
        if !self.trades.insert((fill.symbol, fill.trade_id)) {
            return false;
        }
        let base = self.base(fill.symbol);
        // A pair without the account's currency, or a linear symbol that is not traded: nobody knows what it moved.
        if !is_ours && (if self.is_spot { base.is_none() } else { !is_traded }) {
            return true;
        }
        let (qty, price) = (fill.qty.get(), fill.price.get());
        let bought = if fill.side == Side::Buy { qty } else { -qty };
        self.flow -= bought * price + fill.fee.get();
        let taken = if let Some(Commission::Base { amount }) = fill.commission { amount } else { Decimal::ZERO };
        let units = bought - taken;
        match base.filter(|_| self.is_spot) {
            None => *self.nets.entry(fill.symbol).or_default() += units,
            Some(base) if is_ours && !units.is_sign_negative() => {
                // What was sold before it was heard of is given back first.
                let owed = self.piles.get(&base).map_or(Decimal::ZERO, |pile| -pile.amount);
                let back = owed.max(Decimal::ZERO).min(units);
                self.bring(base, back, back * price);
                *self.nets.entry(fill.symbol).or_default() += units - back;
            }
            Some(base) if !units.is_sign_negative() => self.bring(base, units, units * price),
            Some(base) if is_ours => {
                let held = self.net(fill.symbol).max(Decimal::ZERO).min(-units);
                *self.nets.entry(fill.symbol).or_default() -= held;
                self.spend(base, -units - held);
            }
            Some(base) => {
                self.spend_anywhere(base, -units);
            }
        }
        if let Some(Commission::Other { asset, amount }) = fill.commission {
            if asset.as_str() == self.currency {
                self.flow -= amount;
            } else {
                self.spend_anywhere(asset, amount);
            }
        }
        true
    }

    /// A deposit or withdrawal: `false` when it is there already.
    pub(super) fn transfer(&mut self, transfer: &Transfer) -> bool {
        if !self.transfers.insert(transfer.id.clone()) {
            return false;
        }
        let (amount, value) = (transfer.amount, transfer.value.get());
        if transfer.asset.as_str() == self.currency {
            self.flow += amount;
            self.contributed += amount;
        } else if amount > Decimal::ZERO {
            self.bring(transfer.asset, amount, value.max(Decimal::ZERO));
            self.contributed += value.max(Decimal::ZERO);
        } else if amount < Decimal::ZERO {
            let (booked, from_position) = self.spend_anywhere(transfer.asset, -amount);
            self.contributed -= booked + part(value.abs(), from_position, -amount);
        }
        true
    }

    /// A payment of funding: `false` when it is there already.
    pub(super) fn funding(&mut self, funding: &Funding) -> bool {
        let is_new = self.fundings.insert((funding.symbol, funding.ts));
        if is_new {
            self.flow += funding.amount.get();
        }
        is_new
    }

    fn base(&self, symbol: Symbol) -> Option<Asset> {
        let by_name = || symbol.as_str().strip_suffix(&self.currency).map(|b| b.trim_end_matches(['-', '_', '/']));
        self.bases.get(&symbol).map(String::as_str).or_else(by_name)?.parse().ok()
    }

    /// What comes fills what is owed first, and that much of its value is gone.
    fn bring(&mut self, asset: Asset, amount: Decimal, value: Decimal) {
        let pile = self.piles.entry(asset).or_default();
        let owed = (-pile.amount).max(Decimal::ZERO).min(amount);
        pile.value += value - part(value, owed, amount);
        pile.amount += amount;
    }

    /// Takes from the pile alone, and says what that was booked at.
    fn spend(&mut self, asset: Asset, amount: Decimal) -> Decimal {
        let pile = self.piles.entry(asset).or_default();
        let there = pile.amount.max(Decimal::ZERO);
        let value = part(pile.value, amount.min(there), there);
        pile.value -= value;
        pile.amount -= amount;
        value
    }

    /// Takes from the pile, then from the spot position that shares its balance, and owes the rest: what the pile's part was
    /// booked at, and how much the position gave.
    fn spend_anywhere(&mut self, asset: Asset, amount: Decimal) -> (Decimal, Decimal) {
        let there = self.piles.get(&asset).map_or(Decimal::ZERO, |pile| pile.amount.max(Decimal::ZERO));
        let missing = (amount - there).max(Decimal::ZERO);
        let shares = |(_, base): &(&Symbol, &String)| base.as_str() == asset.as_str();
        let symbol = self.bases.iter().find(shares).map(|(symbol, _)| *symbol).filter(|_| self.is_spot);
        let net = symbol.and_then(|symbol| self.nets.get_mut(&symbol));
        let given = net.map_or(Decimal::ZERO, |net| {
            let given = missing.min((*net).max(Decimal::ZERO));
            *net -= given;
            given
        });
        (self.spend(asset, amount - given), given)
    }
}

/// A part's share of a value, to 12 decimals; the whole takes all of it.
fn part(value: Decimal, of: Decimal, whole: Decimal) -> Decimal {
    if whole.is_zero() {
        Decimal::ZERO
    } else if of == whole {
        value
    } else {
        (value * of / whole).round_dp(12)
    }
}
