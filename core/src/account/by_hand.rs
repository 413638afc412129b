//! What a person asks of the account beside halts: to close one position, and to drill the stop.

use super::core::Account;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{Actions, Cause, Ix, Leg, Reason, Ts};
use crate::record::Record;

impl Account {
    /// Cancels the entries of one symbol and closes its position.
    pub(super) fn on_close(&mut self, ix: Ix, reason: &Reason, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else {
            let text = format!("nothing is closed for {}: the symbol is not in the account's setup", reason.by);
            out.push(Action::Alert(Alert::warning(Topic::Account, None, text)));
            return;
        };
        let symbol = book.symbol();
        let enters = book.has_live(Leg::Entry, &self.state.orders);
        // A smaller exit of a rebalancing, or one of which nothing is known, closes nothing yet.
        let is_closing = book.is_closing(&self.state.orders) || (book.wanted().is_some() && self.exit_under_way(book));
        let closes = book.direction().is_some() && !is_closing;
        if !enters && !closes {
            let why = match book.direction() {
                Some(_) => "an exit is on its way already",
                None if book.is_flat() => "there is no position and no entry",
                None => "what is held is too small to be closed",
            };
            let text = format!("nothing is closed for {}: {why}", reason.by);
            out.push(Action::Alert(Alert::warning(Topic::Account, symbol, text)));
            return;
        }
        if !self.commit(Record::Close { symbol, reason: reason.clone() }, now, out) {
            return;
        }
        let seq = self.state.seq();
        self.cancel_entries(ix, out);
        self.close(ix, Cause::Command { seq }, None, now, out);
        self.publish(ix, out);
    }

    /// Reckons with a loss that is not there from here on. The ledger knows nothing of it; the stop does what it does.
    pub(super) fn on_drill(&mut self, loss: f64, reason: &Reason, now: Ts, out: &mut Actions<Action>) {
        if !(loss > 0.0 && loss <= 1.0) {
            let text = format!("no drill for {}: a loss of {loss} is no fraction over 0 and up to 1", reason.by);
            out.push(Action::Alert(Alert::warning(Topic::Account, None, text)));
            return;
        }
        // Before the first market data there is no day whose loss could be reckoned.
        self.begin_day(now.day(), now, out);
        if self.commit(Record::Drill { loss, reason: reason.clone() }, now, out) {
            self.drilled = None;
            let text =
                format!("drill by {}: a loss of {:.2} % is reckoned with until the resume", reason.by, 100.0 * loss);
            out.push(Action::Alert(Alert::warning(Topic::Account, None, text)));
        }
    }
}
