//! A venue made of models, whose state is a fold of the journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::book::{Book, Market, Resting};
use super::setup::PaperSetup;
use crate::account::Approved;
use crate::domain::{Actions, DoneReason, Event, Instrument, Ix, Order, OrderId, Qty, Report, Symbol, Ts, VenueState};
use crate::record::Record;

/// How many finished orders are remembered, so that none of them is taken a second time.
const FINISHED_MAX: usize = 10_000;

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
    /// Orders on record that are not known to have reached the venue. Recovery alone fills this.
    intended: BTreeMap<OrderId, Order>,
}

/// The ids of the orders that ended last.
#[derive(Debug, Default)]
struct Finished {
    known: BTreeSet<OrderId>,
    oldest_first: VecDeque<OrderId>,
}

impl Finished {
    fn insert(&mut self, id: OrderId) {
        if !self.known.insert(id) {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > FINISHED_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
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
    pub fn new(setup: PaperSetup, instruments: &[Instrument]) -> Self {
        let mut venue = Self {
            setup,
            books: Vec::with_capacity(instruments.len()),
            by_symbol: BTreeMap::new(),
            live: BTreeMap::new(),
            finished: Finished::default(),
            intended: BTreeMap::new(),
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
        if self.finished.known.contains(&id) {
            return;
        }
        self.intended.remove(&id);
        let at = match self.admit(&order) {
            Ok(at) => at,
            Err(text) => {
                self.finished.insert(id);
                out.push(Report::Done { order: id, reason: DoneReason::Rejected, text: Some(text) });
                return;
            }
        };
        out.push(Report::Accepted { order: id });
        let mut resting = Resting::new(Order::clone(&order), now, &self.setup);
        let Some(book) = self.books.get_mut(at) else { return };
        if let Some(fill) = book.fill_at_trigger(&mut resting, &self.setup) {
            out.push(Report::Fill(fill));
        }
        if resting.is_complete() {
            self.finished.insert(id);
            out.push(Report::Done { order: id, reason: DoneReason::Filled, text: None });
        } else {
            book.resting.push(resting);
            self.live.insert(id, at);
        }
    }

    /// The book of an order that can be taken, or why it cannot.
    fn admit(&self, order: &Order) -> Result<usize, String> {
        let at = self.by_symbol.get(&order.symbol).copied();
        let book = at.and_then(|at| Some((at, self.books.get(at)?)));
        let (at, book) = book.ok_or_else(|| format!("the symbol {} is not traded here", order.symbol))?;
        book.refusal(order).map_or(Ok(at), Err)
    }

    /// Cancels what is left of an order, at once. An order that is not live is passed over in silence. The instant is
    /// part of every venue's call; here nothing depends on it.
    pub fn cancel(&mut self, id: OrderId, _now: Ts, out: &mut Actions<Report>) {
        if self.remove(id).is_some() {
            self.finished.insert(id);
            out.push(Report::Done { order: id, reason: DoneReason::Cancelled, text: None });
        }
    }

    /// Lets market data fill orders, at the instant `now` at which it is known: the close of a bar, the time of a quote
    /// or later. Events that are no market data do nothing.
    pub fn on_event(&mut self, event: &Event, now: Ts, out: &mut Actions<Report>) {
        let Self { setup, books, live, finished, .. } = self;
        let Some((ix, market)) = market_of(event) else { return };
        let Some(book) = books.get_mut(ix.at()) else { return };
        book.observe(market);
        if book.resting.is_empty() || !book.fills_from(market) {
            return;
        }
        let mut resting = std::mem::take(&mut book.resting);
        let rules = book.rules();
        resting.retain_mut(|order| {
            // A recovered order can be wholly filled already: then only the end of it is still to be told.
            if !order.is_complete()
                && let Some(fill) = order.meet(market, now, rules, setup)
            {
                out.push(Report::Fill(fill));
            }
            let id = order.id();
            if order.is_complete() {
                live.remove(&id);
                finished.insert(id);
                out.push(Report::Done { order: id, reason: DoneReason::Filled, text: None });
            }
            !order.is_complete()
        });
        book.resting = resting;
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

    /// Reports what the venue knows of an order.
    pub fn tell_of(&self, id: OrderId, now: Ts, out: &mut Actions<Report>) {
        out.push(match self.query(id) {
            VenueAnswer::Live { .. } => Report::Accepted { order: id },
            VenueAnswer::Unknown => Report::Absent { order: id, asked: now, gap: false },
        });
    }

    /// Reports all that the venue knows.
    pub fn tell_all(&self, now: Ts, out: &mut Actions<Report>) {
        let orders = self.books.iter().flat_map(|book| book.resting.iter().map(Resting::shown));
        out.push(Report::State(Box::new(VenueState {
            asked: now,
            gap: false,
            orders: orders.collect(),
            fills: Vec::new(),
            foreign: Vec::new(),
            transfers: Vec::new(),
            positions: Vec::new(),
            balances: Vec::new(),
        })));
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
            Record::Fill { fill } => {
                let book = self.live.get(&fill.order).and_then(|at| self.books.get_mut(*at));
                if let Some(resting) = book.and_then(|b| b.resting.iter_mut().find(|r| r.id() == fill.order)) {
                    resting.restore(fill);
                }
            }
            Record::Done { order, .. } => {
                self.intended.remove(order);
                self.remove(*order);
                self.finished.insert(*order);
            }
            _ => {}
        }
    }

    fn is_known(&self, id: OrderId) -> bool {
        self.live.contains_key(&id) || self.finished.known.contains(&id)
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
