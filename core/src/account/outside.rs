//! What others do to the account: people and other programs trade, pay in and take out. Their trades and transfers are
//! booked as what they are; their orders are never touched.

use super::book::Book;
use super::core::Account;
use super::ledger::{self, Shelf};
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{AccountKind, Actions, Asset, Commission, Fill, FreezeCause, Ix, Side, Symbol, Transfer, Ts};
use crate::record::Record;

/// Why entries are frozen where somebody else has opened or turned a position. Lifted when it is flat again.
const UNGUARDED: &str = "a trade that is not ours has left a position without a stop";

impl Account {
    /// A trade of an order that is not ours. One that was booked before is passed over.
    ///
    /// On a linear account it moves our position. Where that leaves one without a bracket of ours (it was opened or turned
    /// by this trade), entries of the symbol are frozen, on record, until the position is closed or a person lifts the
    /// freeze: we did not choose it and would not add to it.
    pub(super) fn on_foreign(&mut self, fill: &Fill, name: &str, now: Ts, out: &mut Actions<Action>) {
        if self.state.knows_trade(fill.symbol, fill.trade_id) {
            return;
        }
        let is_booked = !matches!(ledger::foreign(&self.state, fill), Some(None));
        if !self.commit(Record::Foreign { fill: fill.clone(), name: name.to_owned() }, now, out) {
            return;
        }
        out.push(Action::Alert(self.words_of(fill, name, is_booked)));
        if !is_booked {
            return;
        }
        self.after_trade(fill, now, out);
        if let Some(ix) = self.ix(fill.symbol) {
            self.after_others(ix, now, out);
            self.freeze_unguarded(ix, now, out);
        }
    }

    fn words_of(&self, fill: &Fill, name: &str, is_booked: bool) -> Alert {
        let Fill { symbol, side, price, qty, .. } = fill;
        let done = if *side == Side::Buy { "bought" } else { "sold" };
        let what = format!("an order that is not ours ({name}) has {done} {qty} {symbol} at {price}");
        if is_booked {
            return Alert::info(Topic::Venue, *symbol, format!("{what}: it is booked"));
        }
        let currency = &self.state.setup.currency;
        let text = format!(
            "{what}: it is not booked, because {symbol} is not traded here; the balance of {currency} will differ from \
             the ledger by what it costs and earns"
        );
        Alert::warning(Topic::Venue, *symbol, text)
    }

    /// Somebody else has changed what our orders were made for.
    fn after_others(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        let direction = self.state.book(ix).and_then(Book::direction);
        self.cancel_surplus_exits(ix, direction, out);
        self.settle(ix, now, out);
        self.publish(ix, out);
    }

    /// Freezes entries over a position that others have opened or turned.
    pub(super) fn freeze_unguarded(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        if book.direction().is_none() || book.bracket().is_some() {
            return;
        }
        let symbol = book.symbol();
        let text = format!(
            "{symbol} holds {} that an order which is not ours has opened: it has no stop of ours and entries are frozen; \
             close it with `levibot close {symbol}` or at the venue",
            book.net(),
        );
        out.push(Action::Alert(Alert::critical(Topic::Account, symbol, text)));
        if !book.frozen().contains_key(&FreezeCause::Venue) {
            let reason = Some(UNGUARDED.to_owned());
            self.commit(Record::Freeze { symbol, cause: FreezeCause::Venue, reason }, now, out);
        }
        self.cancel_entries(ix, out);
    }

    /// What a position leaves behind when it has changed or its last order is over: dust, and a freeze that has lost its
    /// cause.
    pub(super) fn settle(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        self.sweep(ix, now, out);
        let Some(book) = self.state.book(ix) else { return };
        let is_guarded = book.frozen().get(&FreezeCause::Venue).is_some_and(|reason| reason == UNGUARDED);
        if is_guarded && book.direction().is_none() {
            let symbol = book.symbol();
            self.commit(Record::Freeze { symbol, cause: FreezeCause::Venue, reason: None }, now, out);
        }
    }

    /// A trade is booked: what else it has touched is refreshed, and people hear of a stock that is owed.
    pub(super) fn after_trade(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) {
        let base = match self.state.setup.kind {
            AccountKind::Spot if fill.side == Side::Sell => ledger::traded_asset(&self.state, fill.symbol),
            _ => None,
        };
        let paid_in = match fill.commission {
            Some(Commission::Other { asset, .. }) if base != Some(asset) => Some(asset),
            _ => None,
        };
        for asset in [base, paid_in].into_iter().flatten() {
            self.refresh(asset, Some(fill.symbol), now, out);
        }
    }

    /// A stock has lost something: the position of another symbol that shares its balance may have lost to it, and what is
    /// owed is told.
    fn refresh(&mut self, asset: Asset, traded: Option<Symbol>, now: Ts, out: &mut Actions<Action>) {
        let amount = self.state.stocks.get(asset).amount;
        if amount.is_sign_negative() && !amount.is_zero() {
            let text = format!(
                "more {asset} was spent than the ledger knows of ({amount} now): a deposit or a trade of it was not reported"
            );
            out.push(Action::Alert(Alert::critical(Topic::Account, traded, text)));
        }
        if self.state.setup.kind == AccountKind::Linear {
            return;
        }
        let shared = self.state.symbol_of(asset).filter(|symbol| Some(*symbol) != traded);
        if let Some(ix) = shared.and_then(|symbol| self.ix(symbol)) {
            self.after_others(ix, now, out);
        }
    }

    /// A deposit or withdrawal. One that was booked before is passed over. The day's loss and the equity that the next day
    /// begins with are moved by what it was booked at, so that it is neither a gain nor a loss.
    pub(super) fn on_transfer(&mut self, transfer: &Transfer, now: Ts, out: &mut Actions<Action>) {
        if self.state.knows_transfer(&transfer.id) {
            return;
        }
        self.settle_frame();
        let before = self.state.contributed;
        if !self.commit(Record::Transfer { transfer: transfer.clone() }, now, out) {
            return;
        }
        self.last_equity += self.state.contributed - before;
        let Transfer { asset, amount, .. } = transfer;
        let is_currency = asset.as_str() == self.state.setup.currency;
        let done = if amount.is_sign_negative() { "withdrawn" } else { "deposited" };
        let what = format!("{} {asset} were {done}", amount.abs().normalize());
        let cash = self.state.cash();
        out.push(Action::Alert(if is_currency && amount.is_sign_negative() && cash.is_negative() {
            let text = format!("{what}, more than there was: cash is {} now", cash.rounded(8));
            Alert::critical(Topic::Account, None, text)
        } else {
            Alert::info(Topic::Account, None, format!("{what}: it is booked"))
        }));
        if !is_currency {
            self.refresh(*asset, None, now, out);
        }
    }
}
