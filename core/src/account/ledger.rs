//! What one trade or transfer changes in an account's money: reckoned as a whole before anything is changed, so that it is
//! booked wholly or not at all.
//!
//! Every posting keeps this exactly, with all sums since the account was opened:
//!
//! ```text
//! flow + costs of positions + values of stocks = initial cash + contributed + realised - fees - funding
//! ```
//!
//! **Spot.** The balance of an asset is the position of the symbol that trades it and the stock of it together. Our
//! sales take from the position first, everybody else's, commissions and withdrawals from the stock first, and each takes what is
//! missing from the other. So a position is never under zero, and never more than what there is to be sold as far as the
//! ledger was told of everything; what is missing in both is a stock under zero, which our next purchase gives back first.
//!
//! **Linear.** A position is one position, whoever traded. Stocks come from transfers alone, and commissions are taken out of
//! them.

use arrayvec::ArrayVec;
use rust_decimal::Decimal;

use super::assets::{Stock, share};
use super::holding::{Change, Holding};
use crate::domain::decimals::{plus, times};
use crate::domain::{AccountKind, Asset, Commission, Fill, Side, Symbol, Transfer};

/// Where an account's money lies: what a posting is reckoned from.
pub trait Shelf {
    /// Spot or linear.
    fn kind(&self) -> AccountKind;
    /// The account's currency.
    fn currency(&self) -> &str;
    /// The position of a symbol; `None` for one that the account does not trade.
    fn holding(&self, symbol: Symbol) -> Option<Holding>;
    /// What a symbol trades, where the account trades the symbol.
    fn base(&self, symbol: Symbol) -> Option<Asset>;
    /// The symbol that the account trades an asset by.
    fn symbol_of(&self, asset: Asset) -> Option<Symbol>;
    /// The stock of an asset.
    fn stock(&self, asset: Asset) -> Stock;
}

/// What belongs to no symbol of the account: what others' trades and transfers have earned and paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outside {
    /// Before fees, quote currency.
    pub realised: Decimal,
    /// Quote currency.
    pub fees: Decimal,
}

/// What is changed. One trade touches at most the position it trades, one that pays its commission, and their stocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Posting {
    /// Currency paid to the account, less what it pays.
    pub flow: Decimal,
    /// What was brought in from outside, less what was taken out, quote currency.
    pub contributed: Decimal,
    /// What came to that which belongs to no symbol.
    pub outside: Outside,
    /// Positions as they are afterwards, and whether they were wholly closed.
    pub holdings: ArrayVec<(Symbol, Change), 2>,
    /// Stocks as they are afterwards.
    pub stocks: ArrayVec<(Asset, Stock), 2>,
}

/// A trade as it changes what is held.
struct Trade {
    price: Decimal,
    /// Base units that came, those that went as commission taken off; negative when they went.
    units: Decimal,
    /// Currency that came.
    paid: Decimal,
    /// Commission in quote currency and out of the base, valued at the price.
    fees: Decimal,
}

impl Trade {
    fn of(fill: &Fill) -> Option<Self> {
        let (price, qty, fee) = (fill.price.get(), fill.qty.get(), fill.fee.get());
        let signed = if fill.side == Side::Buy { qty } else { -qty };
        let paid = plus(times(-signed, price)?, -fee)?;
        Some(match fill.commission {
            Some(Commission::Base { amount }) => {
                let fees = amount.checked_mul(price)?.checked_add(fee)?;
                Self { price, units: signed.checked_sub(amount)?, paid, fees }
            }
            _ => Self { price, units: signed, paid, fees: fee },
        })
    }
}

/// What a trade of one of our orders changes. `None` when a sum is beyond what decimals hold, or the symbol is not traded.
pub fn fill(shelf: &impl Shelf, fill: &Fill) -> Option<Posting> {
    let mut desk = Desk { shelf, posting: Posting::default() };
    let trade = Trade::of(fill)?;
    let before = shelf.holding(fill.symbol)?;
    let beyond = match shelf.kind() {
        AccountKind::Spot => (-trade.units).checked_sub(before.net.max(Decimal::ZERO))?.max(Decimal::ZERO),
        AccountKind::Linear => Decimal::ZERO,
    };
    // Only on spot is what is traded an asset that is held.
    let base = if shelf.kind() == AccountKind::Spot { shelf.base(fill.symbol) } else { None };
    // A purchase first gives back what was sold before the ledger had heard of it.
    let owed = match (shelf.kind(), base) {
        (AccountKind::Spot, Some(asset)) => (-shelf.stock(asset).amount).min(trade.units).max(Decimal::ZERO),
        _ => Decimal::ZERO,
    };
    let aside = if base.is_some() { beyond.checked_sub(owed)? } else { Decimal::ZERO };
    let change = before.traded(plus(trade.units, aside)?, trade.price)?;
    desk.hold(fill.symbol, Change { after: change.after.charged(trade.fees)?, ..change })?;
    desk.pay(trade.paid)?;
    if let Some(asset) = base.filter(|_| !beyond.is_zero()) {
        let value = desk.take_stock(asset, beyond)?;
        desk.realise(beyond.checked_mul(trade.price)?.checked_sub(value)?)?;
    }
    if let Some(asset) = base.filter(|_| !owed.is_zero()) {
        desk.put_stock(asset, owed, owed.checked_mul(trade.price)?)?;
    }
    let value = desk.third_asset(fill)?;
    if !value.is_zero() {
        let after = desk.holding(fill.symbol)?.charged(value)?;
        desk.hold(fill.symbol, Change { after, closed: false })?;
    }
    Some(desk.posting)
}

/// What a trade of an order that is not ours changes. `Some(None)` where the account cannot know: the trade of a linear
/// symbol that it does not trade, or of a pair without its currency. `None` when a sum is beyond what decimals hold.
pub fn foreign(shelf: &impl Shelf, trade: &Fill) -> Option<Option<Posting>> {
    match shelf.kind() {
        AccountKind::Linear if shelf.holding(trade.symbol).is_some() => fill(shelf, trade).map(Some),
        AccountKind::Linear => Some(None),
        AccountKind::Spot => match traded_asset(shelf, trade.symbol) {
            Some(base) => foreign_spot(shelf, trade, base).map(Some),
            None => Some(None),
        },
    }
}

/// What a symbol trades against the currency: by its rules, or where the account does not trade it by its name.
pub(super) fn traded_asset(shelf: &impl Shelf, symbol: Symbol) -> Option<Asset> {
    let by_name = || {
        let base = symbol.as_str().strip_suffix(shelf.currency())?;
        base.trim_end_matches(['-', '_', '/']).parse().ok()
    };
    shelf.base(symbol).or_else(by_name)
}

fn foreign_spot(shelf: &impl Shelf, fill: &Fill, base: Asset) -> Option<Posting> {
    let mut desk = Desk { shelf, posting: Posting::default() };
    let trade = Trade::of(fill)?;
    desk.pay(trade.paid)?;
    desk.charge(trade.fees)?;
    if trade.units > Decimal::ZERO {
        let cost = trade.units.checked_mul(trade.price)?;
        desk.put_stock(base, trade.units, cost)?;
    } else {
        desk.sell_outside(base, -trade.units, trade.price)?;
    }
    let value = desk.third_asset(fill)?;
    desk.charge(value)?;
    Some(desk.posting)
}

/// What a deposit or withdrawal changes. An asset leaves at what it was booked at, so that no withdrawal gains or loses
/// anything; only what is missing from its stock, and leaves a spot position, leaves at the transfer's value. `None` when a
/// sum is beyond what decimals hold.
pub fn transfer(shelf: &impl Shelf, transfer: &Transfer) -> Option<Posting> {
    let mut desk = Desk { shelf, posting: Posting::default() };
    let (asset, amount) = (transfer.asset, transfer.amount);
    if asset.as_str() == shelf.currency() {
        desk.pay(amount)?;
        desk.posting.contributed = amount;
    } else if amount > Decimal::ZERO {
        let value = transfer.value.get().max(Decimal::ZERO);
        desk.put_stock(asset, amount, value)?;
        desk.posting.contributed = value;
    } else {
        let out = -amount;
        let (_, from_position) = desk.split(asset, out)?;
        let worth = if out.is_zero() { Decimal::ZERO } else { share(transfer.value.get().abs(), from_position, out)? };
        if !from_position.is_zero() {
            let cost = desk.take_position(asset, from_position)?;
            desk.realise(worth.checked_sub(cost)?)?;
        }
        let value = desk.take_stock(asset, out.checked_sub(from_position)?)?;
        desk.posting.contributed = -worth.checked_add(value)?;
    }
    Some(desk.posting)
}

/// A posting in the making.
struct Desk<'a, S> {
    shelf: &'a S,
    posting: Posting,
}

impl<S: Shelf> Desk<'_, S> {
    fn holding(&self, symbol: Symbol) -> Option<Holding> {
        let changed = self.posting.holdings.iter().find(|(known, _)| *known == symbol);
        changed.map_or_else(|| self.shelf.holding(symbol), |(_, change)| Some(change.after))
    }

    fn hold(&mut self, symbol: Symbol, change: Change) -> Option<()> {
        match self.posting.holdings.iter_mut().find(|(known, _)| *known == symbol) {
            Some((_, known)) => *known = Change { closed: known.closed || change.closed, ..change },
            None => self.posting.holdings.try_push((symbol, change)).ok()?,
        }
        Some(())
    }

    fn stock(&self, asset: Asset) -> Stock {
        let changed = self.posting.stocks.iter().find(|(known, _)| *known == asset);
        changed.map_or_else(|| self.shelf.stock(asset), |(_, stock)| *stock)
    }

    fn keep(&mut self, asset: Asset, stock: Stock) -> Option<()> {
        match self.posting.stocks.iter_mut().find(|(known, _)| *known == asset) {
            Some((_, known)) => *known = stock,
            None => self.posting.stocks.try_push((asset, stock)).ok()?,
        }
        Some(())
    }

    fn pay(&mut self, amount: Decimal) -> Option<()> {
        self.posting.flow = plus(self.posting.flow, amount)?;
        Some(())
    }

    fn realise(&mut self, amount: Decimal) -> Option<()> {
        self.posting.outside.realised = self.posting.outside.realised.checked_add(amount)?;
        Some(())
    }

    fn charge(&mut self, fee: Decimal) -> Option<()> {
        self.posting.outside.fees = self.posting.outside.fees.checked_add(fee)?;
        Some(())
    }

    /// What fills a stock that was owed is lost: it was spent before it was known of.
    fn put_stock(&mut self, asset: Asset, amount: Decimal, value: Decimal) -> Option<()> {
        let mut stock = self.stock(asset);
        let gone = stock.put(amount, value)?;
        self.keep(asset, stock)?;
        self.realise(-gone)
    }

    fn take_stock(&mut self, asset: Asset, amount: Decimal) -> Option<Decimal> {
        if amount.is_zero() {
            return Some(Decimal::ZERO);
        }
        let mut stock = self.stock(asset);
        let value = stock.take(amount)?;
        self.keep(asset, stock)?;
        Some(value)
    }

    /// How much of `amount` the stock of an asset has, and how much of the rest a spot position has.
    fn split(&self, asset: Asset, amount: Decimal) -> Option<(Decimal, Decimal)> {
        let from_stock = amount.min(self.stock(asset).there());
        let rest = amount.checked_sub(from_stock)?;
        if rest.is_zero() || self.shelf.kind() == AccountKind::Linear {
            return Some((from_stock, Decimal::ZERO));
        }
        let held = self.shelf.symbol_of(asset).and_then(|symbol| self.holding(symbol));
        Some((from_stock, held.map_or(Decimal::ZERO, |h| rest.min(h.net.max(Decimal::ZERO)))))
    }

    /// Takes units out of the spot position of an asset, and says what they had cost.
    fn take_position(&mut self, asset: Asset, units: Decimal) -> Option<Decimal> {
        let symbol = self.shelf.symbol_of(asset)?;
        let (change, cost) = self.holding(symbol)?.without(units)?;
        self.hold(symbol, change)?;
        Some(cost)
    }

    /// Others sell an asset: out of its stock, then out of our position, and the rest is owed.
    fn sell_outside(&mut self, asset: Asset, units: Decimal, price: Decimal) -> Option<()> {
        let (_, from_position) = self.split(asset, units)?;
        if !from_position.is_zero() {
            let symbol = self.shelf.symbol_of(asset)?;
            let change = self.holding(symbol)?.traded(-from_position, price)?;
            self.hold(symbol, change)?;
        }
        let rest = units.checked_sub(from_position)?;
        let value = self.take_stock(asset, rest)?;
        self.realise(rest.checked_mul(price)?.checked_sub(value)?)
    }

    /// Pays a commission out of a third asset, and says what it was booked at: the fee.
    fn third_asset(&mut self, fill: &Fill) -> Option<Decimal> {
        let Some(Commission::Other { asset, amount }) = fill.commission else { return Some(Decimal::ZERO) };
        if asset.as_str() == self.shelf.currency() {
            self.pay(-amount)?;
            return Some(amount);
        }
        let (_, from_position) = self.split(asset, amount)?;
        let cost = if from_position.is_zero() { Decimal::ZERO } else { self.take_position(asset, from_position)? };
        self.take_stock(asset, amount.checked_sub(from_position)?)?.checked_add(cost)
    }
}
