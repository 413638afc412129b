//! Booking: what trades and transfers make of the account's state.

use rust_decimal::Decimal;

use super::assets::Stock;
use super::book::Book;
use super::holding::Holding;
use super::ledger::{self, Posting, Shelf};
use super::state::{ApplyError, Day, Past, State};
use crate::domain::decimals::plus;
use crate::domain::{AccountKind, Asset, Fill, Money, Symbol, Transfer};

impl State {
    pub(super) fn apply_foreign(&mut self, fill: &Fill) -> Result<(), ApplyError> {
        self.check_trade(fill)?;
        // What cannot be booked is remembered: it is told once.
        let posting = ledger::foreign(self, fill).map(Option::unwrap_or_default);
        self.post(posting, Some(fill)).ok_or(ApplyError::Overflow { order: fill.order })
    }

    pub(super) fn apply_transfer(&mut self, transfer: &Transfer) -> Result<(), ApplyError> {
        if self.transfers.contains(&transfer.id) {
            return Err(ApplyError::RepeatedTransfer { id: transfer.id.clone() });
        }
        let posting = ledger::transfer(self, transfer);
        self.post(posting, None).ok_or_else(|| ApplyError::TransferOverflow { id: transfer.id.clone() })?;
        self.transfers.insert(transfer.id.clone());
        Ok(())
    }

    pub(super) fn check_trade(&self, fill: &Fill) -> Result<(), ApplyError> {
        if self.trades.contains(fill.symbol, fill.trade_id) {
            return Err(ApplyError::RepeatedTrade { order: fill.order, trade_id: fill.trade_id });
        }
        Ok(())
    }

    /// Books a posting, and remembers the trade that made it. `None` when a sum is beyond what is kept exact: nothing has
    /// changed then.
    pub(super) fn post(&mut self, posting: Option<Posting>, trade: Option<&Fill>) -> Option<()> {
        let posting = posting?;
        let sum = |now: Money, more: Decimal| match more.is_zero() {
            true => Some(now),
            false => Money::new(plus(now.get(), more)?).ok(),
        };
        let flow = sum(self.flow, posting.flow)?;
        let contributed = sum(self.contributed, posting.contributed)?;
        let realised = sum(self.past.realised, posting.outside.realised)?;
        let fees = sum(self.past.fees, posting.outside.fees)?;
        let stocks = self.stocks.value_with(&posting.stocks)?;
        let day = match self.day {
            Some(day) => Some(Day { start_equity: sum(day.start_equity, posting.contributed)?, ..day }),
            None => None,
        };
        for (symbol, change) in &posting.holdings {
            let Holding { cost, realised, fees, funding, .. } = change.after;
            let is_money = [cost, realised, fees, funding].into_iter().all(Money::holds);
            if !is_money || self.holding(*symbol).is_none() {
                return None;
            }
        }
        (self.flow, self.contributed, self.day) = (flow, contributed, day);
        self.past = Past { realised, fees, ..self.past };
        self.stocks.put(&posting.stocks, stocks);
        for (symbol, change) in &posting.holdings {
            let traded = trade.filter(|fill| fill.symbol == *symbol).map(|fill| fill.ts);
            if let Ok(book) = self.book_mut(*symbol) {
                book.rebook(change, traded);
            }
        }
        if let Some(fill) = trade {
            self.trades.insert(fill.symbol, fill.trade_id);
        }
        Some(())
    }
}

impl Shelf for State {
    fn kind(&self) -> AccountKind {
        self.setup.kind
    }

    fn currency(&self) -> &str {
        &self.setup.currency
    }

    fn holding(&self, symbol: Symbol) -> Option<Holding> {
        self.books.iter().find(|b| b.symbol() == symbol).map(Book::holding)
    }

    fn base(&self, symbol: Symbol) -> Option<Asset> {
        let book = self.books.iter().find(|b| b.symbol() == symbol)?;
        book.instrument().base().parse().ok()
    }

    fn symbol_of(&self, asset: Asset) -> Option<Symbol> {
        self.books.iter().find(|b| b.instrument().base() == asset.as_str()).map(Book::symbol)
    }

    fn stock(&self, asset: Asset) -> Stock {
        self.stocks.get(asset)
    }
}
