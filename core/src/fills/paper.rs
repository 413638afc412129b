//! A venue made of models, whose state is a fold of the journal.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::book::{Book, Desk, Market, Resting};
use super::finished::{FINISHED_MAX, Finished, Outcome, RECENT_MAX, Recent};
use super::setup::PaperSetup;
use super::wallet::{PaperAccount, Wallet, cost};
use crate::account::Approved;
use crate::domain::{
    Actions, Bar, DoneReason, Event, Fill, Funding, FundingRates, Instrument, Ix, Money, Order, OrderId, Qty, Report,
    Side, Symbol, Ts, VenueState,
};
use crate::record::Record;

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
    finished: Finished,
    wallet: Wallet,
    recent: Recent,
    /// Whether what is over is remembered.
    remembers: bool,
    /// Whether nothing is said that a fill tells by itself.
    is_terse: bool,
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
            finished: Finished::new(FINISHED_MAX),
            wallet: Wallet::new(account),
            recent: Recent::new(RECENT_MAX),
            remembers: true,
            is_terse: false,
            intended: BTreeMap::new(),
            opened: false,
        };
        venue.set_instruments(instruments);
        venue
    }

    /// A venue that forgets what is over: for a driver that sends every order once, asks about none, and starts anew instead
    /// of recovering one. The same is said at the same time, but that trades are counted instead of named after their
    /// orders. An order that is over is taken again, and what it knows of an order or of everything leaves out all fills.
    #[must_use]
    pub fn without_memory(self) -> Self {
        Self { finished: Finished::new(0), recent: Recent::new(0), remembers: false, ..self }
    }

    /// A venue of few words that [forgets](Self::without_memory) what is over: nothing is said that a fill tells by itself,
    /// that its order was accepted or is wholly filled. The same orders are filled at the same prices and times. But who
    /// names orders after the number of what was heard before names them otherwise: not for him.
    #[must_use]
    pub fn terse(self) -> Self {
        Self { finished: Finished::terse(), is_terse: true, ..self.without_memory() }
    }

    /// Follows a change of the account's table of instruments, which only ever grows. Orders stay as they are.
    pub fn set_instruments(&mut self, instruments: &[Instrument]) {
        let funding = if self.wallet.is_spot() { 0.0 } else { self.setup.funding() };
        for (at, rules) in instruments.iter().enumerate() {
            match self.books.get_mut(at) {
                Some(book) => book.set_rules(rules),
                None => self.books.push(Book::new(rules, funding)),
            }
            self.by_symbol.insert(rules.id().symbol, at);
            self.wallet.learn(rules);
        }
    }

    /// Puts rates of the past in place of the constant one. A spot account has no funding, whatever they are.
    pub fn set_funding(&mut self, ix: Ix, rates: FundingRates) {
        if let Some(book) = self.books.get_mut(ix.at())
            && !self.wallet.is_spot()
        {
            book.funding.follow(rates);
        }
    }

    /// Takes an order. Reports its acceptance or refusal, and the fill at its trigger if it has one.
    ///
    /// An id that is live is accepted again and changes nothing; an id that is over is passed over in silence.
    pub fn submit(&mut self, order: Approved<Order>, now: Ts, out: &mut Actions<Report>) {
        let id = order.id;
        let at = self.by_symbol.get(&order.symbol).copied();
        if at.is_some_and(|at| self.resting_in(at, id).is_some()) {
            out.push(Report::Accepted { order: id });
            return;
        }
        if self.finished.contains(id) {
            return;
        }
        self.intended.remove(&id);
        if let Err(text) = self.admit(at, &order) {
            let outcome = Outcome { fills: Vec::new(), reason: DoneReason::Rejected, text: Some(text) };
            return self.finished.end(id, outcome, out);
        }
        if !self.is_terse {
            out.push(Report::Accepted { order: id });
        }
        let Self { setup, books, finished, wallet, recent, remembers, .. } = self;
        let Some(book) = at.and_then(|at| books.get_mut(at)) else { return };
        let mut resting = Resting::new(Order::clone(&order), now, setup, *remembers);
        match book.meet_trigger(&mut resting, &mut Desk { setup, wallet, recent, out }) {
            Some((reason, text)) => finished.end(id, Outcome { fills: resting.take_fills(), reason, text }, out),
            None => book.resting.push(resting),
        }
    }

    /// Whether an order can be taken into the book at this place, or why not.
    fn admit(&self, at: Option<usize>, order: &Order) -> Result<(), String> {
        let book = at.and_then(|at| self.books.get(at));
        let book = book.ok_or_else(|| format!("the symbol {} is not traded here", order.symbol))?;
        let refusal = book.refusal(order).or_else(|| {
            // A linear account has no balances that an order could be too much for.
            let price = self.wallet.is_spot().then(|| book.price_near(order.trigger))?;
            self.wallet.refusal(order, price, self.setup.fee(), self.locked(order))
        });
        refusal.map_or(Ok(()), Err)
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
        if let Some(mut resting) = self.remove(id) {
            let outcome = Outcome { fills: resting.take_fills(), reason: DoneReason::Cancelled, text: None };
            self.finished.end(id, outcome, out);
        }
    }

    /// Lets market data fill orders, at the instant `now` at which it is known: the close of a bar, the time of a quote
    /// or later. Events that are no market data do nothing.
    pub fn on_event(&mut self, event: &Event, now: Ts, out: &mut Actions<Report>) {
        if let Some((ix, market)) = market_of(event) {
            self.on_market(ix, market, now, out);
        }
    }

    /// Lets a bar fill orders, as [`Self::on_event`] does with the bar in an event.
    pub fn bar(&mut self, ix: Ix, bar: &Bar, now: Ts, out: &mut Actions<Report>) {
        self.on_market(ix, Market::Bar(bar), now, out);
    }

    /// Before when bars of an instrument fill nothing and no funding falls due; `None` while an order rests.
    pub fn rests_until(&self, ix: Ix) -> Option<Ts> {
        let book = self.books.get(ix.at())?;
        book.resting.is_empty().then(|| book.funding.due())
    }

    /// Takes note of the last of some bars that all lie before [`Self::rests_until`].
    pub fn pass(&mut self, ix: Ix, last: &Bar) {
        if let Some(book) = self.books.get_mut(ix.at()) {
            book.observe(Market::Bar(last));
        }
    }

    fn on_market(&mut self, ix: Ix, market: Market<'_>, now: Ts, out: &mut Actions<Report>) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        if book.funding.is_due(now) {
            return self.fund_around(ix, market, now, out);
        }
        book.observe(market);
        if !book.resting.is_empty() && book.fills_from(market) {
            self.meet(ix, market, now, out);
        }
    }

    /// What fell due before a bar opened is paid by what was held then, at the last price known; what fell due since is paid by
    /// what its open has left, at its close. A quote is younger than all that it fills.
    #[cold]
    fn fund_around(&mut self, ix: Ix, market: Market<'_>, now: Ts, out: &mut Actions<Report>) {
        let before = match market {
            Market::Bar(bar) => bar.open_ts,
            Market::Quote(quote) => quote.ts,
        };
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        book.funding.begin(before);
        if matches!(market, Market::Bar(_)) {
            self.fund(ix, before.min(now), out);
        }
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        book.observe(market);
        let fills = !book.resting.is_empty() && book.fills_from(market);
        if matches!(market, Market::Quote(_)) {
            self.fund(ix, before.min(now), out);
        }
        if fills {
            self.meet(ix, market, now, out);
        }
        self.fund(ix, now, out);
    }

    /// Pays what fell due up to `until`. Without a price it stays due.
    fn fund(&mut self, ix: Ix, until: Ts, out: &mut Actions<Report>) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        let symbol = book.rules().id().symbol;
        while book.funding.is_due(until) {
            let Some(mark) = book.price_near(None) else { return };
            let Some((ts, rate)) = book.funding.next(until) else { return };
            let amount = Funding::payment(self.wallet.net(symbol), mark, rate).filter(|amount| *amount != Money::ZERO);
            if let Some(amount) = amount {
                let funding = Funding { symbol, ts, rate, mark, amount };
                self.wallet.fund(&funding);
                out.push(Report::Funding(funding));
            }
        }
    }

    /// Lets the orders of an instrument meet the market.
    fn meet(&mut self, ix: Ix, market: Market<'_>, now: Ts, out: &mut Actions<Report>) {
        let Self { setup, books, finished, wallet, recent, .. } = self;
        let Some((rules, resting)) = books.get_mut(ix.at()).map(Book::parts) else { return };
        resting.retain_mut(|order| {
            let end = order.meet(market, now, rules, &mut Desk { setup, wallet, recent, out });
            let Some((reason, text)) = end else { return true };
            finished.end(order.id(), Outcome { fills: order.take_fills(), reason, text }, out);
            false
        });
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
        self.resting(id).map_or(VenueAnswer::Unknown, |r| VenueAnswer::Live { filled: r.filled() })
    }

    /// Reports what the venue knows of an order: all of it from its acceptance on, also of one that is over. One that it has
    /// never seen is absent, and nothing was lost on the way here.
    pub fn tell_of(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>) {
        self.end_complete(id);
        if let Some(resting) = self.resting(id) {
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
        if self.resting(id).is_some_and(Resting::is_complete)
            && let Some(mut resting) = self.remove(id)
        {
            self.finished.insert(id, Outcome { fills: resting.take_fills(), reason: DoneReason::Filled, text: None });
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
            Record::Foreign { fill, .. } => self.recover_trade(fill),
            Record::Funding { funding } => {
                self.wallet.fund(funding);
                self.pass_funding(funding.symbol, funding.ts);
            }
            Record::Transfer { transfer } => self.wallet.pay(transfer),
            Record::Done { order, reason, text } => {
                self.intended.remove(order);
                let fills = self.remove(*order).map(|mut resting| resting.take_fills()).unwrap_or_default();
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
        self.recover_trade(fill);
        let resting = self.books.iter_mut().flat_map(|book| &mut book.resting);
        match resting.into_iter().find(|r| r.id() == fill.order) {
            Some(resting) => resting.restore(fill),
            None => self.finished.add(fill),
        }
    }

    fn recover_trade(&mut self, fill: &Fill) {
        self.wallet.book(fill);
        self.pass_funding(fill.symbol, fill.ts);
    }

    /// What is on record at `ts` came after all funding due up to then.
    fn pass_funding(&mut self, symbol: Symbol, ts: Ts) {
        let book = self.by_symbol.get(&symbol).and_then(|at| self.books.get_mut(*at));
        if let Some(book) = book {
            book.funding.pass(ts);
        }
    }

    /// A live order.
    fn resting(&self, id: OrderId) -> Option<&Resting> {
        self.books.iter().flat_map(|book| &book.resting).find(|resting| resting.id() == id)
    }

    /// The same in one book.
    fn resting_in(&self, at: usize, id: OrderId) -> Option<&Resting> {
        self.books.get(at)?.resting.iter().find(|resting| resting.id() == id)
    }

    fn is_known(&self, id: OrderId) -> bool {
        self.resting(id).is_some() || self.finished.contains(id)
    }

    /// Makes an order of the record live. One whose symbol is no longer in the table stays unknown.
    fn restore(&mut self, order: Order, ts: Ts) {
        let Some(at) = self.by_symbol.get(&order.symbol).copied() else { return };
        let Some(book) = self.books.get_mut(at) else { return };
        book.resting.push(Resting::new(order, ts, &self.setup, self.remembers));
    }

    /// Takes an order out of its book.
    fn remove(&mut self, id: OrderId) -> Option<Resting> {
        let resting = self.books.iter_mut().map(|book| &mut book.resting);
        let (resting, place) = resting.into_iter().find_map(|resting| {
            let place = resting.iter().position(|r| r.id() == id)?;
            Some((resting, place))
        })?;
        Some(resting.remove(place))
    }
}
