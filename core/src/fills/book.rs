//! One instrument of the paper venue: the market as last seen and the orders that rest in it.

use super::finished::Recent;
use super::funding::Schedule;
use super::models::{adverse, notional};
use super::setup::PaperSetup;
use super::wallet::Wallet;
use crate::domain::hash::hash64;
use crate::domain::instrument::Rounding;
use crate::domain::{
    Actions, Bar, DoneReason, Fill, Instrument, Leg, Order, OrderId, Price, Qty, Quote, Report, Side, Span, Ts,
    VenueOrder,
};

/// What a venue says of an order for which the account has nothing left: a position to reduce, an asset to sell, currency
/// to pay with.
const NO_ROOM: &str = "nothing is left that it could reduce, sell or be paid with";

/// How an order ended, and in which words.
pub(super) type Ended = (DoneReason, Option<String>);

/// Trade ids keep 63 bits, so that signed 64-bit columns hold them.
const TRADE_ID_MASK: u64 = u64::MAX >> 1;

/// A piece of market data that can fill orders.
#[derive(Debug, Clone, Copy)]
pub(super) enum Market<'a> {
    Bar(&'a Bar),
    Quote(&'a Quote),
}

/// What the market offers to one order.
#[derive(Debug, Clone, Copy)]
struct Offer {
    /// Price before spread and slippage, quote currency.
    reference: f64,
    /// What is added for the spread, a fraction of price.
    half_spread: f64,
    /// Base units on offer.
    size: f64,
    /// When the fill happens.
    ts: Ts,
}

/// A live order. It came in as an approved one, from the account or out of the account's own record.
#[derive(Debug)]
pub(super) struct Resting {
    order: Order,
    /// What its draws depend on besides their number.
    key: u64,
    submitted: Ts,
    /// From when on the venue has it.
    active: Ts,
    /// Only market data of this instant or later may fill it: none is used twice.
    not_before: Ts,
    filled: Qty,
    /// How many fills it has had.
    parts: u64,
    /// Price of the last of them.
    paid: Option<Price>,
    /// The fills themselves, where the venue keeps them.
    fills: Vec<Fill>,
    keeps: bool,
}

/// What a fill is reckoned with and written to.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) setup: &'a PaperSetup,
    pub(super) wallet: &'a mut Wallet,
    pub(super) recent: &'a mut Recent,
    pub(super) out: &'a mut Actions<Report>,
}

/// An order that the account has nothing left for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Resting {
    /// `keeps` says whether it remembers its fills for who asks.
    pub(super) fn new(order: Order, submitted: Ts, setup: &PaperSetup, keeps: bool) -> Self {
        // Where nothing is random every draw is nothing, whatever its key.
        let is_random = setup.latency().mean() != Span::ZERO || setup.slippage().mean() != 0.0;
        let key = if is_random { hash64(&[&setup.seed().to_le_bytes(), order.id.as_str().as_bytes()]) } else { 0 };
        let submitted = submitted.max(order.created);
        let active = submitted + setup.latency().draw(key);
        let (filled, paid, fills) = (Qty::ZERO, None, Vec::new());
        Self { order, key, submitted, active, not_before: submitted, filled, parts: 0, paid, fills, keeps }
    }

    pub(super) const fn id(&self) -> OrderId {
        self.order.id
    }

    /// As a venue shows it.
    pub(super) fn shown(&self) -> VenueOrder {
        let Order { id, symbol, side, qty, .. } = self.order;
        VenueOrder { id: Some(id), name: id.as_str().to_owned(), symbol, side, qty, filled: self.filled }
    }

    pub(super) const fn filled(&self) -> Qty {
        self.filled
    }

    pub(super) const fn order(&self) -> &Order {
        &self.order
    }

    /// Its fills, oldest first.
    pub(super) fn fills(&self) -> &[Fill] {
        &self.fills
    }

    pub(super) fn take_fills(&mut self) -> Vec<Fill> {
        std::mem::take(&mut self.fills)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.left().is_zero()
    }

    pub(super) fn left(&self) -> Qty {
        self.order.qty.less(self.filled)
    }

    /// What the market offers to this order now, if it may have it.
    fn offer(&self, market: Market<'_>, now: Ts, setup: &PaperSetup) -> Option<Offer> {
        match market {
            Market::Bar(bar) => (bar.open_ts >= self.not_before && now >= self.active).then(|| Offer {
                reference: bar.open,
                half_spread: setup.spread().half(),
                size: bar.volume,
                ts: bar.open_ts.max(self.active),
            }),
            Market::Quote(quote) => {
                let (reference, size) = match self.order.side {
                    Side::Buy => (quote.ask, quote.ask_size),
                    Side::Sell => (quote.bid, quote.bid_size),
                };
                let due = quote.ts >= self.active && quote.ts >= self.not_before;
                due.then_some(Offer { reference, half_spread: 0.0, size, ts: quote.ts })
            }
        }
    }

    /// Takes of an offer what may be taken, books and reports it. Nothing when that is less than one step, or when price,
    /// notional or a sum would lie beyond what is kept exact. Says whether there was a fill.
    fn take(&mut self, offer: &Offer, rules: &Instrument, desk: &mut Desk<'_>) -> Result<bool, NoRoom> {
        let setup = desk.setup;
        let rounding = match self.order.side {
            Side::Buy => Rounding::Up,
            Side::Sell => Rounding::Down,
        };
        let cost = offer.half_spread + setup.slippage().draw(self.key, self.parts);
        let Ok(price) = rules.price(adverse(self.order.side, offer.reference, cost), rounding) else {
            return Ok(false);
        };
        let left = self.left();
        let left = desk.wallet.room(&self.order, price, setup.fee(), rules).map_or(left, |room| left.min(room));
        if left.is_zero() {
            return Err(NoRoom);
        }
        let allowance = setup.participation().allowance(offer.size);
        let qty =
            if allowance >= left.to_f64() { Ok(left) } else { rules.qty_floor(allowance).map(|qty| qty.min(left)) };
        let Some(qty) = qty.ok().filter(|qty| !qty.is_zero()) else { return Ok(false) };
        let Some(fee) = setup.fee().fee(price, qty) else { return Ok(false) };
        let Order { id: order, symbol, side, .. } = self.order;
        let named = || hash64(&[b"trade", order.as_str().as_bytes(), &self.parts.to_le_bytes()]) & TRADE_ID_MASK;
        let trade_id = desk.recent.number().unwrap_or_else(named);
        let fill = Fill { order, trade_id, symbol, side, price, qty, fee, commission: None, ts: offer.ts };
        if !desk.wallet.book(&fill) {
            return Ok(false);
        }
        self.count(&fill);
        desk.recent.push(&fill);
        desk.out.push(Report::Fill(fill));
        Ok(true)
    }

    fn count(&mut self, fill: &Fill) {
        self.filled = self.filled + fill.qty;
        self.parts += 1;
        self.paid = Some(fill.price);
        if self.keeps {
            self.fills.push(fill.clone());
        }
    }

    /// Lets the market fill a part. Says how the order has ended, if it has.
    pub(super) fn meet(
        &mut self,
        market: Market<'_>,
        now: Ts,
        rules: &Instrument,
        desk: &mut Desk<'_>,
    ) -> Option<Ended> {
        // A recovered order can be wholly filled already: then only the end of it is still to be told.
        if !self.is_complete()
            && let Some(offer) = self.offer(market, now, desk.setup)
        {
            match self.take(&offer, rules, desk) {
                Ok(true) => self.not_before = after(offer.ts),
                Ok(false) => {}
                Err(NoRoom) => return Some(expired()),
            }
        }
        self.end(rules, desk)
    }

    /// How the order has ended, if it has.
    fn end(&self, rules: &Instrument, desk: &Desk<'_>) -> Option<Ended> {
        if self.is_complete() {
            return Some((DoneReason::Filled, None));
        }
        self.is_stuck(rules, desk.setup, desk.wallet).then(expired)
    }

    /// Whether a part is left and the account has nothing for it, at the price of the last fill.
    pub(super) fn is_stuck(&self, rules: &Instrument, setup: &PaperSetup, wallet: &Wallet) -> bool {
        let room = |paid| wallet.room(&self.order, paid, setup.fee(), rules);
        !self.is_complete() && self.paid.and_then(room).is_some_and(Qty::is_zero)
    }

    /// Counts a fill that is on record.
    pub(super) fn restore(&mut self, fill: &Fill) {
        // A fill at the trigger belongs to the closed bar and takes nothing from the one that opens now.
        let at_trigger = self.order.trigger.is_some() && self.parts == 0 && fill.ts == self.submitted;
        if !at_trigger {
            self.not_before = self.not_before.max(after(fill.ts));
        }
        self.count(fill);
    }
}

fn expired() -> Ended {
    (DoneReason::Expired, Some(NO_ROOM.to_owned()))
}

/// The first instant after `ts`.
const fn after(ts: Ts) -> Ts {
    ts.saturating_add(Span::from_nanos(1))
}

/// One instrument.
#[derive(Debug)]
pub(super) struct Book {
    rules: Instrument,
    min_qty: Qty,
    bar: Option<Bar>,
    quote: Option<Quote>,
    pub(super) funding: Schedule,
    /// In order of arrival.
    pub(super) resting: Vec<Resting>,
}

impl Book {
    /// `funding` is the constant rate of it.
    pub(super) fn new(rules: &Instrument, funding: f64) -> Self {
        let (rules, min_qty) = (rules.clone(), rules.min_qty());
        Self { rules, min_qty, bar: None, quote: None, funding: Schedule::constant(funding), resting: Vec::new() }
    }

    /// Puts other rules in force; orders stay.
    pub(super) fn set_rules(&mut self, rules: &Instrument) {
        self.min_qty = rules.min_qty();
        self.rules = rules.clone();
    }

    pub(super) const fn rules(&self) -> &Instrument {
        &self.rules
    }

    /// The rules, and the orders that rest.
    pub(super) const fn parts(&mut self) -> (&Instrument, &mut Vec<Resting>) {
        (&self.rules, &mut self.resting)
    }

    /// Takes note of the market.
    pub(super) const fn observe(&mut self, market: Market<'_>) {
        match market {
            Market::Bar(bar) => self.bar = Some(*bar),
            Market::Quote(quote) => self.quote = Some(*quote),
        }
    }

    /// Whether this market data fills orders here: sound, and the finest there is.
    pub(super) fn fills_from(&self, market: Market<'_>) -> bool {
        match market {
            Market::Bar(bar) => self.quote.is_none() && bar.check().is_ok(),
            Market::Quote(_) => true,
        }
    }

    /// Why the venue would not take this order, in words; `None` when it would.
    pub(super) fn refusal(&self, order: &Order) -> Option<String> {
        let qty = order.qty;
        if qty.is_zero() {
            return Some("the quantity is zero".to_owned());
        }
        if self.rules.whole_steps(qty) != qty {
            return Some(format!("the quantity {qty} is not a whole number of steps"));
        }
        // An exit only reduces: it is taken at any size, so that no position is too small to be closed.
        if order.leg == Leg::Exit {
            return None;
        }
        if qty < self.min_qty {
            return Some(format!("the quantity {qty} is under the least, {}", self.min_qty));
        }
        let price = self.price_near(order.trigger)?;
        let Some(notional) = notional(price, qty) else {
            return Some(format!("the notional of {qty} at {price} is beyond what is kept exact"));
        };
        let least = self.rules.min_notional();
        (notional < least).then(|| format!("the notional {notional} is under the least, {least}"))
    }

    /// A price near the market, where one is known.
    pub(super) fn price_near(&self, trigger: Option<Price>) -> Option<Price> {
        let seen = match (&self.quote, &self.bar) {
            (Some(quote), _) => quote.mid(),
            (None, Some(bar)) => bar.close,
            (None, None) => return trigger,
        };
        self.rules.price(seen, Rounding::Nearest).ok()
    }

    /// Fills a new order at its trigger, where it has one, out of the bar that has just closed, if bars are the finest there
    /// is. Says how the order has ended, if it has.
    pub(super) fn meet_trigger(&self, resting: &mut Resting, desk: &mut Desk<'_>) -> Option<Ended> {
        let bar = self.bar.as_ref().filter(|bar| self.fills_from(Market::Bar(bar)));
        if let (Some(trigger), Some(bar)) = (resting.order.trigger, bar) {
            let (reference, ts) = (trigger.to_f64(), resting.submitted);
            let offer = Offer { reference, half_spread: desk.setup.spread().half(), size: bar.volume, ts };
            if resting.take(&offer, &self.rules, desk).is_err() {
                return Some(expired());
            }
        }
        resting.end(&self.rules, desk)
    }
}
