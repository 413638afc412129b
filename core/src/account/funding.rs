//! Funding: what a linear position pays and is paid for being held.

use super::core::Account;
use super::holding::Change;
use super::ledger::{Posting, Shelf};
use super::state::{ApplyError, State};
use super::{Action, trade_ids};
use crate::domain::{AccountKind, Actions, Funding, Money, Symbol, Ts};
use crate::record::Record;

/// How many payments are remembered.
pub(super) const FUNDINGS_MAX: usize = 4_096;

/// The payments that were booked, by symbol and instant.
pub(super) type Funded = trade_ids::Recent<(Symbol, Ts)>;

/// What a payment changes. `None` where there is none, on spot or for a symbol that the account does not trade, and when a sum
/// is beyond what decimals hold.
pub fn posting(shelf: &impl Shelf, funding: &Funding) -> Option<Posting> {
    if shelf.kind() == AccountKind::Spot {
        return None;
    }
    let amount = funding.amount.get();
    let after = shelf.holding(funding.symbol)?.funded(-amount)?;
    let mut posting = Posting { flow: amount, ..Posting::default() };
    posting.holdings.push((funding.symbol, Change { after, closed: false }));
    Some(posting)
}

impl State {
    pub(super) fn apply_funding(&mut self, funding: &Funding) -> Result<(), ApplyError> {
        let Funding { symbol, ts, .. } = *funding;
        if self.funded.contains(&(symbol, ts)) {
            return Err(ApplyError::RepeatedFunding { symbol, ts });
        }
        self.post(posting(self, funding), None).ok_or(ApplyError::FundingImpossible { symbol, ts })?;
        self.funded.insert((symbol, ts));
        Ok(())
    }

    /// Sum of all funding paid; under zero more was received.
    pub fn funding(&self) -> Money {
        self.books.iter().map(super::Book::funding).sum::<Money>() + self.past.funding
    }
}

impl Account {
    /// Books a payment once. It moves the day's result like any other cost.
    pub(super) fn on_funding(&mut self, funding: &Funding, now: Ts, out: &mut Actions<Action>) {
        if !self.state.funded.contains(&(funding.symbol, funding.ts)) {
            self.commit(Record::Funding { funding: *funding }, now, out);
        }
    }
}
