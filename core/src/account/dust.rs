//! What is left of a position and cannot be closed: too little for any order that its venue takes.

use super::core::{Account, plain};
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::instrument::Rounding;
use crate::domain::{AccountKind, Actions, Ix, Qty, Ts};
use crate::record::Record;

impl Account {
    /// What an exit of the whole position would sell or buy back: whole steps of it. `None` when there is nothing to be
    /// closed, or what is left is dust; the latter is put on record, once.
    pub(super) fn closable(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) -> Option<Qty> {
        let book = self.state.book(ix)?;
        book.direction()?;
        match self.too_small(ix) {
            None => Some(book.closable()),
            // What is on its way may still add to it.
            Some(_) if !book.live().is_empty() => None,
            Some(reason) => {
                self.leave(ix, reason, now, out);
                None
            }
        }
    }

    /// Looks at what is left of a position for which nothing is on its way: called when that may have changed.
    pub(super) fn sweep(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        let idle = self.state.book(ix).is_some_and(|book| book.direction().is_some() && book.live().is_empty());
        if idle && let Some(reason) = self.too_small(ix) {
            self.leave(ix, reason, now, out);
        }
    }

    /// Why no order can close what is held, in words; `None` when one can. The least notional binds on spot alone: an
    /// exit of a linear account only reduces, and venues take those whatever they are worth.
    fn too_small(&self, ix: Ix) -> Option<String> {
        let (book, live) = self.state.book(ix).zip(self.live.get(ix.at()))?;
        let (rules, qty) = (book.instrument(), book.closable());
        if qty.is_zero() {
            return Some("it is less than one step of an order".to_owned());
        }
        let (least, least_notional) = (rules.min_qty(), rules.min_notional());
        if qty < least {
            return Some(format!("the venue takes no order under {}", plain(least)));
        }
        // Without a mark nobody knows what it is worth.
        if self.state.setup.kind == AccountKind::Linear || live.mark <= 0.0 {
            return None;
        }
        let worth = rules.price(live.mark, Rounding::Nearest).ok()?.notional(qty);
        let currency = &self.state.setup.currency;
        (worth < least_notional).then(|| {
            format!("it is worth {} {currency}, and the venue takes no order under {least_notional}", worth.rounded(8))
        })
    }

    fn leave(&mut self, ix: Ix, reason: String, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let (symbol, size) = (book.symbol(), book.size());
        let text = format!(
            "{} {} of {symbol} are left and cannot be closed: {reason}; they stay until they can go with the next position",
            plain(size),
            book.instrument().base(),
        );
        if self.commit(Record::Dust { symbol, size, reason }, now, out) {
            out.push(Action::Alert(Alert::info(Topic::Account, symbol, text)));
            self.publish(ix, out);
        }
    }
}
