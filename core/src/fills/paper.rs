//! A venue made of models, whose state is a fold of the journal.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::book::{Book, Market, NoRoom, Resting};
use super::finished::{Finished, Outcome, Recent};
use super::setup::PaperSetup;
use super::wallet::{PaperAccount, Wallet, cost};
use crate::account::Approved;
use crate::domain::{
    Actions, DoneReason, Event, Fill, Instrument, Ix, Order, OrderId, Qty, Report, Side, Symbol, Ts, VenueState,
};
use crate::record::Record;

/// What a venue says of an order for which the account has nothing left: a position to reduce, an asset to sell, currency
/// to pay with.
const NO_ROOM: &str = "nothing is left that it could reduce, sell or be paid with";

/// What the venue knows of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VenueAnswer {
    /// It is live.
    Live {
        /// Base units filled so far.
        filled: Qty,
    },
    /// There is no live order of this id: it never came, or it is over and the report of that was given.
    Unknown,
}

/// A paper venue: takes approved orders, fills them from market data, answers with reports.
///
/// What fills what:
///
/// * **Never the deciding bar.** While an instrument has only bars, an order fills at the *open* of the first bar with
///   `open_ts` at or after its submission, provided it is live before that bar is over. Latency shorter than a bar
///   does not cost a bar; what it costs in price belongs into the slippage.
/// * **Quotes are finer.** From the first quote of an instrument on, its bars fill nothing: an order fills at the first
///   quote at or after the instant it is live, at the ask (buy) or the bid (sell).
/// * **Triggers.** While there are only bars, an order with a `trigger` fills at once at that price, out of the volume
///   of the bar given last; the rest of it fills like any other order. It is as if it had rested at the venue: no latency.
///   With quotes a trigger means nothing.
/// * **Prices** are moved against us by half the spread (bars and triggers) and by the slippage drawn for that fill, then
///   rounded to a tick against us. They are not held inside the bar's range: a bar shows what others paid, not the
///   worst that one more order would have paid.
/// * **Parts.** One fill takes at most the participation's share of the bar's volume, or of the quote's size, in whole
///   steps; the rest waits for the next. A share of less than a step fills nothing this time. A bar or quote that is
///   not sound fills nothing, nor does a fill whose notional is beyond what is kept exact.
/// * **Draws** depend on the seed, the order's id and the fill's number alone. A trade id is 63 bits of a hash of the
///   order's id and fill number: a rebuilt venue gives the same, and two alike in a million trades are less likely than one in
///   ten million.
/// * **Bounds.** A wallet of the venue's own follows its fills. An exit of a linear account fills up to the position that is
///   there; on spot a sale fills up to the balance, a purchase up to the currency, and what is already too much when it
///   comes is refused. What is left of an order then expires.
///
/// Orders of one instrument are served in order of arrival. Each sees the whole volume.
#[derive(Debug)]
pub struct PaperVenue {
    setup: PaperSetup,
    /// By [`Ix`].
    books: Vec<Book>,
    by_symbol: BTreeMap<Symbol, usize>,
    /// Live orders and the book of each.
    live: BTreeMap<OrderId, usize>,
    finished: Finished,
    wallet: Wallet,
    recent: Recent,
    /// Orders on record that are not known to have reached the venue. Recovery alone fills this.
    intended: BTreeMap<OrderId, Order>,
    /// Whether a record has said what was there in the beginning.
    opened: bool,
}

/// The sound market data of an event and whose it is.
fn market_of(event: &Event) -> Option<(Ix, Market<'_>)> {
    match event {
        Event::Bar { instrument, bar, .. } => Some((*instrument, Market::Bar(bar))),
        Event::Quote { instrument, quote } if quote.is_sound() => Some((*instrument, Market::Quote(quote))),
        _ => None,
    }
}

impl PaperVenue {
    /// An empty venue for these instruments, in [`Ix`] order.
    pub fn new(setup: PaperSetup, account: &PaperAccount, instruments: &[Instrument]) -> Self {
        let mut venue = Self {
            setup,
            books: Vec::with_capacity(instruments.len()),
            by_symbol: BTreeMap::new(),
            live: BTreeMap::new(),
            finished: Finished::default(),
            wallet: Wallet::new(account),
            recent: Recent::default(),
            intended: BTreeMap::new(),
            opened: false,
        };
        venue.set_instruments(instruments);
        venue
    }

    /// Follows a change of the account's table of instruments, which only ever grows. Orders stay as they are.
    pub fn set_instruments(&mut self, instruments: &[Instrument]) {
        for (at, rules) in instruments.iter().enumerate() {
            match self.books.get_mut(at) {
                Some(book) => book.set_rules(rules),
                None => self.books.push(Book::new(rules)),
            }
            self.by_symbol.insert(rules.id().symbol, at);
            self.wallet.learn(rules);
        }
    }

    /// Takes an order. Reports its acceptance or refusal, and the fill at its trigger if it has one.
    ///
    /// An id that is live is accepted again and changes nothing; an id that is over is passed over in silence.
    pub fn submit(&mut self, order: Approved<Order>, now: Ts, out: &mut Actions<Report>) {
        let id = order.id;
        if self.live.contains_key(&id) {
            out.push(Report::Accepted { order: id });
            return;
        }
        if self.finished.contains(id) {
            return;
        }
        self.intended.remove(&id);
        let at = match self.admit(&order) {
            Ok(at) => at,
            Err(text) => {
                let outcome = Outcome { fills: Vec::new(), reason: DoneReason::Rejected, text: Some(text) };
                return self.finished.end(id, outcome, out);
            }
        };
        out.push(Report::Accepted { order: id });
        let Self { setup, books, live, finished, wallet, recent, .. } = self;
        let Some(book) = books.get_mut(at) else { return };
        let mut resting = Resting::new(Order::clone(&order), now, setup);
        let met = book.fill_at_trigger(&mut resting, setup, wallet);
        let end = after_meeting(met, &resting, book, (setup, wallet), recent, out);
        match end {
            Some((reason, text)) => finished.end(id, Outcome { fills: resting.into_fills(), reason, text }, out),
            None => {
                book.resting.push(resting);
                live.insert(id, at);
            }
        }
    }

    /// The book of an order that can be taken, or why it cannot.
    fn admit(&self, order: &Order) -> Result<usize, String> {
        let at = self.by_symbol.get(&order.symbol).copied();
        let book = at.and_then(|at| Some((at, self.books.get(at)?)));
        let (at, book) = book.ok_or_else(|| format!("the symbol {} is not traded here", order.symbol))?;
        let refusal = book.refusal(order).or_else(|| {
            let locked = self.locked(order);
            self.wallet.refusal(order, book.price_near(order.trigger), self.setup.fee(), locked)
        });
        refusal.map_or(Ok(at), Err)
    }

    /// What live orders hold of what this one needs: currency, or the asset.
    fn locked(&self, order: &Order) -> Decimal {
        let resting = self.books.iter().flat_map(|book| book.resting.iter().map(move |other| (book, other)));
        let same = resting.filter(|(_, other)| other.order().side == order.side);
        let amounts = same.filter_map(|(book, other)| match order.side {
            Side::Buy => book.price_near(other.order().trigger).and_then(|p| cost(p, other.left(), self.setup.fee())),
            Side::Sell => (other.order().symbol == order.symbol).then(|| other.left().get()),
        });
        amounts.sum()
    }

    /// Cancels what is left of an order, at once. An order that is not live is passed over in silence. The instant is
    /// part of every venue's call; here nothing depends on it.
    pub fn cancel(&mut self, id: OrderId, _now: Ts, out: &mut Actions<Report>) {
        if let Some(resting) = self.remove(id) {
            let outcome = Outcome { fills: resting.into_fills(), reason: DoneReason::Cancelled, text: None };
            self.finished.end(id, outcome, out);
        }
    }

    /// Lets market data fill orders, at the instant `now` at which it is known: the close of a bar, the time of a quote
    /// or later. Events that are no market data do nothing.
    pub fn on_event(&mut self, event: &Event, now: Ts, out: &mut Actions<Report>) {
        let Self { setup, books, live, finished, wallet, recent, .. } = self;
        let Some((ix, market)) = market_of(event) else { return };
        let Some(book) = books.get_mut(ix.at()) else { return };
        book.observe(market);
        if book.resting.is_empty() || !book.fills_from(market) {
            return;
        }
        for mut order in std::mem::take(&mut book.resting) {
            // A recovered order can be wholly filled already: then only the end of it is still to be told.
            let complete = order.is_complete();
            let met = if complete { Ok(None) } else { order.meet(market, now, book.rules(), setup, wallet) };
            let end = after_meeting(met, &order, book, (setup, wallet), recent, out);
            let Some((reason, text)) = end else {
                book.resting.push(order);
                continue;
            };
            live.remove(&order.id());
            finished.end(order.id(), Outcome { fills: order.into_fills(), reason, text }, out);
        }
    }

    /// Takes note of market data without filling anything: what came before a rebuilt venue goes on. Without it the
    /// venue takes an instrument for one without quotes until the first of them, and a trigger has no bar to fill from.
    pub fn observe(&mut self, event: &Event) {
        if let Some((ix, market)) = market_of(event)
            && let Some(book) = self.books.get_mut(ix.at())
        {
            book.observe(market);
        }
    }

    /// What the venue knows of an order.
    pub fn query(&self, id: OrderId) -> VenueAnswer {
        let book = self.live.get(&id).and_then(|at| self.books.get(*at));
        let resting = book.and_then(|book| book.resting.iter().find(|r| r.id() == id));
        resting.map_or(VenueAnswer::Unknown, |r| VenueAnswer::Live { filled: r.filled() })
    }

    /// Reports what the venue knows of an order: all of it from its acceptance on, also of one that is over. One that it has
    /// never seen is absent, and nothing was lost on the way here.
    pub fn tell_of(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>) {
        self.end_complete(id);
        let book = self.live.get(&id).and_then(|at| self.books.get(*at));
        if let Some(resting) = book.and_then(|book| book.resting.iter().find(|r| r.id() == id)) {
            out.push(Report::Accepted { order: id });
            resting.fills().iter().for_each(|fill| out.push(Report::Fill(fill.clone())));
        } else if !self.finished.tell(id, out) {
            out.push(Report::Absent { order: id, asked: now, gap: false });
        }
    }

    /// Reports all that the venue knows.
    pub fn tell_all(&mut self, now: Ts, out: &mut Actions<Report>) {
        let resting = self.books.iter().flat_map(|book| &book.resting).filter(|order| !order.is_complete());
        let orders = resting.map(Resting::shown).collect();
        out.push(Report::State(Box::new(VenueState {
            asked: now,
            gap: false,
            orders,
            fills: self.recent.tell(),
            foreign: Vec::new(),
            transfers: Vec::new(),
            positions: self.wallet.positions(),
            balances: self.wallet.balances(),
        })));
    }

    /// Ends an order that a recovered record has wholly filled and not ended.
    fn end_complete(&mut self, id: OrderId) {
        let book = self.live.get(&id).and_then(|at| self.books.get(*at));
        if book.is_some_and(|book| book.resting.iter().any(|r| r.id() == id && r.is_complete()))
            && let Some(resting) = self.remove(id)
        {
            self.finished.insert(id, Outcome { fills: resting.into_fills(), reason: DoneReason::Filled, text: None });
        }
    }

    /// Rebuilds the venue: give it every record of the journal in order, each with its time.
    ///
    /// An intent that was accepted is live; one that was not never came here. Fills count, ends end. A report that is
    /// not on record was never made: a cut between two reports leaves the order as the record has it, and a wholly
    /// filled order without its end tells that end at the next market data of its instrument.
    pub fn recover(&mut self, record: &Record, ts: Ts) {
        match record {
            Record::Intent { order, .. } if !self.is_known(order.id) => {
                self.intended.insert(order.id, order.clone());
            }
            Record::Accepted { order } => {
                if let Some(order) = self.intended.remove(order) {
                    self.restore(order, ts);
                }
            }
            Record::Fill { fill } => self.recover_fill(fill, ts),
            Record::Foreign { fill, .. } => {
                self.wallet.book(fill);
            }
            Record::Transfer { transfer } => self.wallet.pay(transfer),
            Record::Done { order, reason, text } => {
                self.intended.remove(order);
                let fills = self.remove(*order).map(Resting::into_fills).unwrap_or_default();
                self.finished.insert(*order, Outcome { fills, reason: *reason, text: text.clone() });
            }
            Record::Started { setup, .. } if !self.opened => {
                self.opened = true;
                self.wallet.reopen(&PaperAccount::from(&**setup));
            }
            _ => {}
        }
    }

    /// A trade speaks for its order, whether its acceptance was put on record or not.
    fn recover_fill(&mut self, fill: &Fill, ts: Ts) {
        if let Some(order) = self.intended.remove(&fill.order) {
            self.restore(order, ts);
        }
        self.wallet.book(fill);
        let book = self.live.get(&fill.order).and_then(|at| self.books.get_mut(*at));
        match book.and_then(|b| b.resting.iter_mut().find(|r| r.id() == fill.order)) {
            Some(resting) => resting.restore(fill),
            None => self.finished.add(fill),
        }
    }

    fn is_known(&self, id: OrderId) -> bool {
        self.live.contains_key(&id) || self.finished.contains(id)
    }

    /// Makes an order of the record live. One whose symbol is no longer in the table stays unknown.
    fn restore(&mut self, order: Order, ts: Ts) {
        let Some(at) = self.by_symbol.get(&order.symbol).copied() else { return };
        let Some(book) = self.books.get_mut(at) else { return };
        self.live.insert(order.id, at);
        book.resting.push(Resting::new(order, ts, &self.setup));
    }

    /// Takes an order out of its book.
    fn remove(&mut self, id: OrderId) -> Option<Resting> {
        let at = self.live.remove(&id)?;
        let resting = &mut self.books.get_mut(at)?.resting;
        let place = resting.iter().position(|r| r.id() == id)?;
        Some(resting.remove(place))
    }
}

/// Reports the fill of an order that has met the market, and says how the order has ended, if it has.
fn after_meeting(
    met: Result<Option<Fill>, NoRoom>,
    order: &Resting,
    book: &Book,
    (setup, wallet): (&PaperSetup, &Wallet),
    recent: &mut Recent,
    out: &mut Actions<Report>,
) -> Option<(DoneReason, Option<String>)> {
    let expired = (DoneReason::Expired, Some(NO_ROOM.to_owned()));
    let Ok(fill) = met else { return Some(expired) };
    if let Some(fill) = fill {
        recent.push(fill.clone());
        out.push(Report::Fill(fill));
    }
    if order.is_complete() {
        return Some((DoneReason::Filled, None));
    }
    order.is_stuck(book.rules(), setup, wallet).then_some(expired)
}
