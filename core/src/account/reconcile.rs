//! Ledger and venue compared: orders, then fills, then positions, then balances.
//!
//! What is not in the venue's lists proves nothing by itself. An order that is missing is asked about; only positions and
//! balances that differ are acted on, and only where lists are whole and nothing can have been under way. Otherwise the
//! difference is noted and the venue is asked again, and the second difference in a row counts. What counts freezes entries,
//! of that symbol or, where the currency differs, of all; the next comparison that is equal lifts it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::book::{Book, OrderState};
use super::core::Account;
use super::orders::{OrderStage, Touch};
use super::state::State;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{
    AccountKind, Actions, Asset, FreezeCause, OrderId, ReconcileCause, Span, Symbol, Ts, VenueOrder, VenueState,
};
use crate::record::Record;

/// An order with a record younger than this when the venue was asked may be on its way to or from the lists.
const GRACE: Span = Span::from_secs(5);
/// How long a venue may still accept an order after its creation: the longest window that venues let an order say.
const ACCEPTABLE: Span = Span::MINUTE;

/// How every freeze of a comparison begins, so that it lifts its own and no others.
const DIFFERS: &str = "ledger and venue differ";

/// What is true of one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Equal,
    /// It differs, and that may be a matter of time; or it cannot be told.
    Open,
    /// It differs: in words.
    Differs(String),
}

/// A comparison at work.
struct Comparison<'a> {
    venue: &'a VenueState,
    /// Trading time for which it speaks.
    asked: Ts,
    cause: ReconcileCause,
    /// What the venue cannot know yet is behind this.
    horizon: Touch,
    /// What was found, in words.
    found: Vec<String>,
    /// Whether something must be looked at again at once.
    again: bool,
}

impl State {
    /// How much of an asset should be at the venue, locked parts included; `None` where the ledger does not reckon with it.
    pub fn expected_balance(&self, asset: Asset) -> Option<Decimal> {
        if asset.as_str() == self.setup.currency {
            return Some(self.cash().get());
        }
        if self.setup.kind == AccountKind::Linear {
            return None;
        }
        let mut held = self.books.iter().filter(|book| book.instrument().base() == asset.as_str()).map(Book::net);
        let first = held.next();
        let stock = self.stocks.get(asset).amount;
        (first.is_some() || !stock.is_zero())
            .then(|| held.fold(first.unwrap_or_default() + stock, |sum, net| sum + net))
    }

    /// The assets that the ledger reckons with, each once.
    fn assets(&self) -> Vec<Asset> {
        let bases = self.books.iter().map(|book| book.instrument().base());
        let is_spot = self.setup.kind == AccountKind::Spot;
        let names = std::iter::once(self.setup.currency.as_str()).chain(bases.filter(|_| is_spot));
        let mut assets: Vec<Asset> = names.filter_map(|name| name.parse().ok()).collect();
        assets.extend(self.stocks().map(|(asset, _)| asset).filter(|_| is_spot));
        assets.sort_unstable();
        assets.dedup();
        assets
    }
}

impl Account {
    pub(super) fn on_venue_state(&mut self, venue: &VenueState, now: Ts, out: &mut Actions<Action>) {
        // No answer can know the future, whatever its clock says.
        let asked = venue.asked.min(now);
        let (cause, horizon) = (self.inquiry.cause(asked), self.inquiry.horizon(asked));
        let mut comparison = Comparison { venue, asked, cause, horizon, found: Vec::new(), again: false };
        self.compare_open(&mut comparison, now, out);
        self.compare_missing(&mut comparison, now, out);
        self.take_fills(&mut comparison, now, out);
        self.compare_figures(&mut comparison, now, out);
        let Comparison { found, again, .. } = comparison;
        self.inquiry.answered(asked, !venue.gap && !again);
        if cause != ReconcileCause::Periodic || !found.is_empty() {
            self.commit(Record::Reconciled { cause, asked, found }, now, out);
        }
        if again {
            self.compare_again(now, out);
        }
    }

    /// What is open at the venue.
    fn compare_open(&mut self, comparison: &mut Comparison<'_>, now: Ts, out: &mut Actions<Action>) {
        for open in &comparison.venue.orders {
            match open.id.filter(OrderId::is_ours) {
                Some(id) => self.compare_order(comparison, id, open, now, out),
                None => self.tell_of_others(open, out),
            }
        }
    }

    fn compare_order(
        &mut self,
        comparison: &mut Comparison<'_>,
        id: OrderId,
        open: &VenueOrder,
        now: Ts,
        out: &mut Actions<Action>,
    ) {
        if let Some(ours) = self.state.orders.get(&id) {
            if ours.stage != OrderStage::Live {
                comparison.found.push(format!("order {id} is at the venue: it was {} here", ours.stage.as_str()));
                self.on_accepted(id, now, out);
                self.publish_order(id, out);
            }
            return;
        }
        // One that ended after the venue was asked was rightly open then.
        if self.state.finished().get(id).is_some_and(|over| over.ended.is_after(comparison.horizon)) {
            return;
        }
        comparison.found.push(format!("order {id} is open at the venue and not here: it is cancelled"));
        self.orphan(id, Some(open.symbol), out);
    }

    /// Orders of people and other programs are told of once, and left alone.
    fn tell_of_others(&mut self, open: &VenueOrder, out: &mut Actions<Action>) {
        if self.inquiry.told.is_new(&format!("{} {}", open.symbol, open.name)) {
            let VenueOrder { name, side, qty, .. } = open;
            let text =
                format!("an order that is not ours is open at the venue ({name}, {side:?} {qty}): it is left alone");
            out.push(Action::Alert(Alert::info(Topic::Venue, open.symbol, text)));
        }
    }

    /// What is open here and not in the venue's list.
    fn compare_missing(&mut self, comparison: &mut Comparison<'_>, now: Ts, out: &mut Actions<Action>) {
        let venue = comparison.venue;
        let is_there = |id: OrderId| venue.orders.iter().any(|open| open.id == Some(id));
        // One with fills that are new is known: they are booked next.
        let listed = |id: &OrderId| {
            is_there(*id) || venue.fills.iter().any(|fill| fill.order == *id && !self.state.is_booked(fill))
        };
        let grace = if comparison.cause == ReconcileCause::Start { Span::ZERO } else { GRACE };
        let (asked, horizon) = (comparison.asked, comparison.horizon);
        let inquiry = &self.inquiry;
        let settled = |touch: Touch| !touch.is_after(horizon) && touch.ts.saturating_add(grace) <= asked;
        // What is held back here until the venue has answered is not at the venue either.
        let lost = |o: &OrderState| o.stage != OrderStage::Unsent || inquiry.may_be_lost(o.touched, asked);
        let missing = self.state.orders.values().filter(|o| !listed(&o.order.id) && settled(o.touched) && lost(o));
        let missing: Vec<_> =
            missing.map(|o| (o.order.id, o.stage, o.remaining().is_zero(), o.order.created)).collect();
        for (id, stage, whole, created) in missing {
            match stage {
                OrderStage::Live if whole => self.complete(id, now, out),
                OrderStage::Live => {
                    comparison.found.push(format!("order {id} is open here and not at the venue: it is asked about"));
                    out.push(Action::Query(id));
                }
                OrderStage::Unsent => {
                    comparison.found.push(format!("order {id} was on its way and is not at the venue"));
                    let text = "it is on record, nothing was heard of it, and the venue does not list it";
                    self.on_unknown(id, created.saturating_add(ACCEPTABLE), text, now, out);
                }
                OrderStage::Unknown(_) | OrderStage::Done => {}
            }
        }
    }

    fn take_fills(&mut self, comparison: &mut Comparison<'_>, now: Ts, out: &mut Actions<Action>) {
        let venue = comparison.venue;
        for fill in &venue.fills {
            if self.on_fill(fill, now, out) {
                comparison.found.push(format!("trade {} of order {} was not booked yet", fill.trade_id, fill.order));
            }
        }
        for (fill, name) in &venue.foreign {
            self.on_foreign(fill, name, now, out);
        }
        for transfer in &venue.transfers {
            self.on_transfer(transfer, now, out);
        }
        for open in &venue.orders {
            let behind = |id: &OrderId| self.state.orders.get(id).is_some_and(|ours| open.filled > ours.filled);
            if let Some(id) = open.id.filter(behind) {
                comparison.found.push(format!("order {id} is filled further at the venue: it is asked about"));
                out.push(Action::Query(id));
            }
        }
    }

    fn compare_figures(&mut self, comparison: &mut Comparison<'_>, now: Ts, out: &mut Actions<Action>) {
        let mut findings: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
        if self.state.setup.kind == AccountKind::Linear {
            for at in 0..self.state.books.len() {
                let finding = self.compare_position(comparison, at);
                findings.entry(at).or_default().push(finding);
            }
            self.tell_of_untraded(comparison, out);
        }
        for asset in self.state.assets() {
            let touched = self.books_of(asset);
            let finding = self.compare_balance(comparison, asset, &touched);
            for at in touched {
                findings.entry(at).or_default().push(finding.clone());
            }
        }
        for (at, findings) in findings {
            self.conclude(at, findings, now, out);
        }
    }

    /// The books whose entries an asset's balance concerns: all for the currency.
    fn books_of(&self, asset: Asset) -> Vec<usize> {
        let all = asset.as_str() == self.state.setup.currency;
        let books = self.state.books.iter().enumerate();
        books.filter(|(_, book)| all || book.instrument().base() == asset.as_str()).map(|(at, _)| at).collect()
    }

    fn compare_position(&mut self, comparison: &mut Comparison<'_>, at: usize) -> Finding {
        let Some(book) = self.state.books.get(at) else { return Finding::Open };
        let (symbol, ours) = (book.symbol(), book.net());
        let theirs = comparison.venue.positions.iter().find(|(name, _)| *name == symbol).map(|(_, net)| *net);
        let moving = Self::is_moving(book, comparison.horizon);
        let words = format!("position of {symbol}");
        self.compare(comparison, words, ours, theirs, moving)
    }

    fn compare_balance(&mut self, comparison: &mut Comparison<'_>, asset: Asset, touched: &[usize]) -> Finding {
        let Some(ours) = self.state.expected_balance(asset) else { return Finding::Open };
        let theirs = comparison.venue.balances.iter().find(|(name, _)| *name == asset).map(|(_, amount)| *amount);
        let books = touched.iter().filter_map(|at| self.state.books.get(*at));
        let moving = books.into_iter().any(|book| Self::is_moving(book, comparison.horizon));
        self.compare(comparison, format!("balance of {asset}"), ours, theirs, moving)
    }

    /// Whether something of this symbol can have happened that only one of the two knows.
    fn is_moving(book: &Book, horizon: Touch) -> bool {
        !book.live().is_empty() || book.touched.is_after(horizon)
    }

    fn compare(
        &mut self,
        comparison: &mut Comparison<'_>,
        what: String,
        ours: Decimal,
        theirs: Option<Decimal>,
        moving: bool,
    ) -> Finding {
        if theirs.is_none() && comparison.venue.gap {
            return Finding::Open;
        }
        let theirs = theirs.unwrap_or_default();
        if ours == theirs {
            self.inquiry.differed.remove(&what);
            return Finding::Equal;
        }
        let words = format!("{what}: {} at the venue, {} here", theirs.normalize(), ours.normalize());
        comparison.found.push(words.clone());
        if self.inquiry.differed.insert(what) && moving {
            comparison.again = true;
            return Finding::Open;
        }
        Finding::Differs(words)
    }

    /// A symbol is free of the venue's freeze when all that concerns it is equal, and frozen when anything differs.
    fn conclude(&mut self, at: usize, findings: Vec<Finding>, now: Ts, out: &mut Actions<Action>) {
        let Some(symbol) = self.state.books.get(at).map(Book::symbol) else { return };
        if findings.iter().all(|finding| *finding == Finding::Equal) {
            self.free_by_venue(symbol, now, out);
        }
        let differing =
            findings.into_iter().find_map(|f| if let Finding::Differs(words) = f { Some(words) } else { None });
        let Some(words) = differing else { return };
        let unheard = self.inquiry.told.is_new(&format!("{symbol} {words}"));
        if self.freeze_by_venue(symbol, &words, now, out) || unheard {
            let text = format!(
                "{DIFFERS} ({words}): entries of {symbol} are refused, exits go on; compare the venue's list of trades and \
                 transfers with the journal and put right at the venue what is not ours. The refusal ends by itself at the \
                 next comparison that is equal"
            );
            out.push(Action::Alert(Alert::critical(Topic::Venue, symbol, text)));
        }
    }

    /// Puts on record that a symbol's entries are refused because ledger and venue differ; `true` when that is new. What
    /// somebody else has frozen for the venue's sake stays as it is.
    pub(super) fn freeze_by_venue(&mut self, symbol: Symbol, words: &str, now: Ts, out: &mut Actions<Action>) -> bool {
        let Some(book) = self.ix(symbol).and_then(|ix| self.state.book(ix)) else { return false };
        let (cause, reason) = (FreezeCause::Venue, format!("{DIFFERS}: {words}"));
        let is_ours = |now: &String| now.starts_with(DIFFERS) && *now != reason;
        if !book.frozen().get(&cause).is_none_or(is_ours) {
            return false;
        }
        self.commit(Record::Freeze { symbol, cause, reason: Some(reason) }, now, out)
    }

    fn free_by_venue(&mut self, symbol: Symbol, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.ix(symbol).and_then(|ix| self.state.book(ix)) else { return };
        let cause = FreezeCause::Venue;
        if book.frozen().get(&cause).is_some_and(|reason| reason.starts_with(DIFFERS)) {
            self.commit(Record::Freeze { symbol, cause, reason: None }, now, out);
            let text = format!("ledger and venue agree again: entries of {symbol} are free");
            out.push(Action::Alert(Alert::info(Topic::Venue, symbol, text)));
            // What others have left unguarded meanwhile stays frozen, for that reason.
            if let Some(ix) = self.ix(symbol) {
                self.freeze_unguarded(ix, now, out);
            }
        }
    }

    /// Positions in what is not traded here.
    fn tell_of_untraded(&mut self, comparison: &mut Comparison<'_>, out: &mut Actions<Action>) {
        for (symbol, net) in comparison.venue.positions.iter().filter(|(_, net)| !net.is_zero()) {
            if self.ix(*symbol).is_some() {
                continue;
            }
            if self.inquiry.told.is_new(&format!("untraded {symbol}")) {
                let words = format!("the venue holds {net} of {symbol}, which is not traded here: nothing protects it");
                out.push(Action::Alert(Alert::warning(Topic::Venue, *symbol, words.clone())));
                comparison.found.push(words);
            }
        }
    }
}
