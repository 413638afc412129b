//! What a paper venue holds for the account: reckoned from the venue's own fills, so that it can be compared with the
//! account's ledger like the books of any other venue.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::models::{FeeModel, notional};
use crate::account::AccountSetup;
use crate::account::holding::Holding;
use crate::domain::decimals::plus;
use crate::domain::{
    AccountKind, Asset, Fill, Funding, Instrument, Leg, Money, Order, Price, Qty, Side, Symbol, Transfer,
};

/// Whose money a paper venue keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperAccount {
    /// Spot or linear.
    pub kind: AccountKind,
    /// The account's currency.
    pub currency: String,
    /// What it held of the currency in the beginning.
    pub initial_cash: Money,
}

impl From<&AccountSetup> for PaperAccount {
    fn from(setup: &AccountSetup) -> Self {
        Self { kind: setup.kind, currency: setup.currency.clone(), initial_cash: setup.initial_cash }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wallet {
    kind: AccountKind,
    /// `None` when the currency has no name that a venue could write.
    currency: Option<Asset>,
    /// Linear: what was there in the beginning, with everything paid in and out and less all fees; what positions earned
    /// stands with them. Spot: the balance of the currency.
    cash: Decimal,
    /// Linear: positions by symbol, also those that are closed, for what they earned.
    holdings: BTreeMap<Symbol, Holding>,
    /// Spot: balances of all other assets.
    assets: BTreeMap<Asset, Decimal>,
    /// Spot: which asset a symbol is about.
    bases: BTreeMap<Symbol, Asset>,
}

impl Wallet {
    pub(super) fn new(account: &PaperAccount) -> Self {
        Self {
            kind: account.kind,
            currency: account.currency.parse().ok(),
            cash: account.initial_cash.get(),
            holdings: BTreeMap::new(),
            assets: BTreeMap::new(),
            bases: BTreeMap::new(),
        }
    }

    pub(super) fn is_spot(&self) -> bool {
        self.kind == AccountKind::Spot
    }

    /// Begins anew as what the first record of a journal says, whatever the configuration says today.
    pub(super) fn reopen(&mut self, account: &PaperAccount) {
        *self = Self { bases: std::mem::take(&mut self.bases), ..Self::new(account) };
    }

    pub(super) fn learn(&mut self, rules: &Instrument) {
        if let Ok(base) = rules.base().parse() {
            self.bases.insert(rules.id().symbol, base);
        }
    }

    /// Books a fill; `false` when a sum is beyond what decimals hold, and nothing has changed.
    pub(super) fn book(&mut self, fill: &Fill) -> bool {
        let booked = match self.kind {
            AccountKind::Linear => self.book_linear(fill),
            AccountKind::Spot => self.book_spot(fill),
        };
        booked.is_some()
    }

    fn book_linear(&mut self, fill: &Fill) -> Option<()> {
        let cash = plus(self.cash, -fill.fee.get())?;
        let units = if fill.side == Side::Buy { fill.qty.get() } else { -fill.qty.get() };
        let held = self.holdings.entry(fill.symbol).or_default();
        *held = held.traded(units, fill.price.get())?.after;
        self.cash = cash;
        Some(())
    }

    fn book_spot(&mut self, fill: &Fill) -> Option<()> {
        let cost = fill.price.get().checked_mul(fill.qty.get())?;
        let (paid, got) = match fill.side {
            Side::Buy => (cost, fill.qty.get()),
            Side::Sell => (-cost, -fill.qty.get()),
        };
        let cash = self.cash.checked_sub(paid)?.checked_sub(fill.fee.get())?;
        if let Some(base) = self.bases.get(&fill.symbol) {
            let held = self.assets.entry(*base).or_default();
            *held = held.checked_add(got)?.normalize();
        }
        self.cash = cash;
        Some(())
    }

    /// What a linear account holds of a symbol, base units, negative when short; spot: nothing.
    pub(super) fn net(&self, symbol: Symbol) -> Decimal {
        self.holdings.get(&symbol).map_or(Decimal::ZERO, |held| held.net)
    }

    /// Books funding.
    pub(super) fn fund(&mut self, funding: &Funding) {
        self.cash = self.cash.saturating_add(funding.amount.get());
    }

    /// Books a payment in or out.
    pub(super) fn pay(&mut self, transfer: &Transfer) {
        let held = match self.kind {
            _ if Some(transfer.asset) == self.currency => &mut self.cash,
            AccountKind::Spot => self.assets.entry(transfer.asset).or_default(),
            // A linear account holds its currency alone; what else comes in is worth what it was worth then.
            AccountKind::Linear => {
                self.cash = self.cash.saturating_add(transfer.value.get());
                return;
            }
        };
        *held = held.saturating_add(transfer.amount).normalize();
    }

    /// Why an order is not taken, in words; `None` when it is. `locked` is what other live orders of the account hold of the
    /// same kind: the currency for a buy, the asset for a sell.
    pub(super) fn refusal(
        &self,
        order: &Order,
        price: Option<Price>,
        fee: FeeModel,
        locked: Decimal,
    ) -> Option<String> {
        if self.kind == AccountKind::Linear {
            return None;
        }
        let (asset, held, wanted) = match order.side {
            Side::Sell => (self.bases.get(&order.symbol).copied(), self.base(order.symbol), order.qty.get()),
            Side::Buy => (self.currency, self.cash, price.and_then(|price| cost(price, order.qty, fee))?),
        };
        let free = (held - locked).max(Decimal::ZERO).normalize();
        let asset = asset.map_or_else(|| "the asset".to_owned(), |asset| asset.to_string());
        (wanted > free)
            .then(|| format!("insufficient balance: {} of {asset} are needed, {free} are free", wanted.normalize()))
    }

    /// The most that an order may be filled with at this price; `None` when the account sets no bound.
    pub(super) fn room(&self, order: &Order, price: Price, fee: FeeModel, rules: &Instrument) -> Option<Qty> {
        let most = match (self.kind, order.side) {
            (AccountKind::Linear, _) if order.leg == Leg::Entry => return None,
            (AccountKind::Linear, side) => {
                let net = self.net(order.symbol);
                if side == Side::Sell { net } else { -net }
            }
            (AccountKind::Spot, Side::Sell) => self.base(order.symbol),
            (AccountKind::Spot, Side::Buy) => return Some(self.affordable(order.qty, price, fee, rules)),
        };
        Some(Qty::new(most.max(Decimal::ZERO)).unwrap_or(order.qty))
    }

    /// As much of `qty` as the currency buys at this price, whole steps.
    fn affordable(&self, qty: Qty, price: Price, fee: FeeModel, rules: &Instrument) -> Qty {
        let is_paid = |qty| cost(price, qty, fee).is_some_and(|cost| cost <= self.cash);
        if is_paid(qty) {
            return qty;
        }
        let cash = crate::domain::decimals::decimal_to_f64(self.cash.max(Decimal::ZERO));
        // A hair less, so that rounding of fee and steps stays inside.
        let most = rules.qty_floor(cash / (price.to_f64() * (1.0 + fee.rate())) * (1.0 - 1e-9)).unwrap_or(Qty::ZERO);
        if is_paid(most) { most.min(qty) } else { Qty::ZERO }
    }

    fn base(&self, symbol: Symbol) -> Decimal {
        self.bases.get(&symbol).and_then(|base| self.assets.get(base)).copied().unwrap_or_default()
    }

    /// Positions, those that are not zero. Spot: none.
    pub(super) fn positions(&self) -> Vec<(Symbol, Decimal)> {
        let open = self.holdings.iter().filter(|(_, held)| !held.net.is_zero());
        open.map(|(symbol, held)| (*symbol, held.net)).collect()
    }

    /// Balances, those that are not zero. Linear: the currency, without what open positions gain.
    pub(super) fn balances(&self) -> Vec<(Asset, Decimal)> {
        let earned: Decimal = self.holdings.values().map(|held| held.realised).sum();
        let currency = self.currency.map(|currency| (currency, (self.cash + earned).normalize()));
        let all = currency.into_iter().chain(self.assets.iter().map(|(asset, held)| (*asset, *held)));
        all.filter(|(_, held)| !held.is_zero()).collect()
    }
}

/// What a purchase takes out of the currency; `None` beyond what is kept exact.
pub(super) fn cost(price: Price, qty: Qty, fee: FeeModel) -> Option<Decimal> {
    Some(notional(price, qty)?.get() + fee.fee(price, qty)?.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::instrument::RawInstrument;
    use crate::domain::{InstrumentId, Ts};

    fn wallet(kind: AccountKind) -> Wallet {
        let initial_cash = "1000".parse().unwrap();
        let mut wallet = Wallet::new(&PaperAccount { kind, currency: "USDT".into(), initial_cash });
        wallet.learn(&rules());
        wallet
    }

    fn rules() -> Instrument {
        let raw = RawInstrument {
            id: InstrumentId { venue: "sim".parse().unwrap(), symbol: "BTCUSDT".parse().unwrap() },
            base: "BTC".into(),
            quote: "USDT".into(),
            tick: "0.1".parse().unwrap(),
            step: "0.001".parse().unwrap(),
            min_qty: "0.001".parse().unwrap(),
            min_notional: "5".parse().unwrap(),
        };
        raw.try_into().unwrap()
    }

    fn fee() -> FeeModel {
        FeeModel::new(0.001).unwrap()
    }

    fn fill(side: Side, qty: &str, price: &str) -> Fill {
        let (price, qty): (Price, Qty) = (price.parse().unwrap(), qty.parse().unwrap());
        let (order, symbol, ts) = ("lb-a".parse().unwrap(), "BTCUSDT".parse().unwrap(), Ts::EPOCH);
        let fee = fee().fee(price, qty).unwrap();
        Fill { order, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts }
    }

    fn order(side: Side, leg: Leg, qty: &str) -> Order {
        Order {
            id: "lb-a".parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            side,
            leg,
            qty: qty.parse().unwrap(),
            cause: crate::domain::Cause::Command { seq: 1 },
            attempt: 1,
            trigger: None,
            created: Ts::EPOCH,
        }
    }

    fn balances(wallet: &Wallet) -> Vec<String> {
        wallet.balances().iter().map(|(asset, held)| format!("{asset} {held}")).collect()
    }

    #[test]
    fn a_linear_account_holds_cash_and_a_position() {
        let mut wallet = wallet(AccountKind::Linear);
        assert!(wallet.book(&fill(Side::Buy, "2", "100")));
        assert_eq!(balances(&wallet), ["USDT 999.8"], "the fee alone; the position is no cash");
        assert!(wallet.book(&fill(Side::Sell, "3", "110")));
        assert_eq!(balances(&wallet), ["USDT 1019.47"]);
        assert_eq!(wallet.positions(), [("BTCUSDT".parse().unwrap(), "-1".parse().unwrap())]);
    }

    #[test]
    fn an_exit_has_the_room_of_the_position_and_an_entry_all() {
        let mut wallet = wallet(AccountKind::Linear);
        let price = "100".parse().unwrap();
        let room = |wallet: &Wallet, side, leg| {
            wallet.room(&order(side, leg, "5"), price, fee(), &rules()).map(|qty| qty.to_string())
        };
        assert_eq!(room(&wallet, Side::Sell, Leg::Exit).unwrap(), "0");
        wallet.book(&fill(Side::Buy, "2", "100"));
        assert_eq!(room(&wallet, Side::Sell, Leg::Exit).unwrap(), "2");
        assert_eq!(room(&wallet, Side::Buy, Leg::Exit).unwrap(), "0", "it would add");
        assert_eq!(room(&wallet, Side::Buy, Leg::Entry), None);
    }

    #[test]
    fn a_spot_account_sells_what_it_holds_and_buys_what_it_can_pay() {
        let mut wallet = wallet(AccountKind::Spot);
        let price: Price = "100".parse().unwrap();
        let refusal = |wallet: &Wallet, side, qty: &str, locked: &str| {
            wallet.refusal(&order(side, Leg::Entry, qty), Some(price), fee(), locked.parse().unwrap())
        };
        assert!(refusal(&wallet, Side::Sell, "1", "0").unwrap().contains("1 of BTC are needed, 0 are free"));
        assert!(refusal(&wallet, Side::Buy, "10", "0").unwrap().contains("1001 of USDT are needed, 1000 are free"));
        assert_eq!(refusal(&wallet, Side::Buy, "9", "99.1"), None);
        assert!(refusal(&wallet, Side::Buy, "9", "99.2").is_some(), "another order holds it");
        wallet.book(&fill(Side::Buy, "4", "100"));
        assert_eq!(balances(&wallet), ["USDT 599.6", "BTC 4"]);
        assert_eq!(refusal(&wallet, Side::Sell, "4", "0"), None);
        let room = |price: &str| {
            let buy = order(Side::Buy, Leg::Entry, "9");
            wallet.room(&buy, price.parse().unwrap(), fee(), &rules()).unwrap().to_string()
        };
        assert_eq!((room("100"), room("50")), ("5.99".into(), "9".into()));
        assert_eq!(wallet.positions(), []);
    }

    #[test]
    fn what_is_paid_in_is_there() {
        let paid = |asset: &str, amount: &str, value: &str| Transfer {
            id: "t".into(),
            asset: asset.parse().unwrap(),
            amount: amount.parse().unwrap(),
            value: value.parse().unwrap(),
            ts: Ts::EPOCH,
        };
        let mut spot = wallet(AccountKind::Spot);
        spot.pay(&paid("USDT", "-100", "-100"));
        spot.pay(&paid("BTC", "2", "200"));
        assert_eq!(balances(&spot), ["USDT 900", "BTC 2"]);
        let mut linear = wallet(AccountKind::Linear);
        linear.pay(&paid("USDT", "-100", "-100"));
        linear.pay(&paid("BTC", "2", "200"));
        assert_eq!(balances(&linear), ["USDT 1100"]);
    }
}
