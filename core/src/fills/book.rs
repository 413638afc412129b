//! One instrument of the paper venue: the market as last seen and the orders that rest in it.

use super::models::{adverse, notional};
use super::setup::PaperSetup;
use super::wallet::Wallet;
use crate::domain::hash::hash64;
use crate::domain::instrument::{RawInstrument, Rounding};
use crate::domain::{Bar, Fill, Instrument, Leg, Order, OrderId, Price, Qty, Quote, Side, Span, Ts, VenueOrder};

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
    fills: Vec<Fill>,
}

/// An order that the account has nothing left for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Resting {
    pub(super) fn new(order: Order, submitted: Ts, setup: &PaperSetup) -> Self {
        let key = hash64(&[&setup.seed().to_le_bytes(), order.id.as_str().as_bytes()]);
        let submitted = submitted.max(order.created);
        let active = submitted + setup.latency().draw(key);
        Self { order, key, submitted, active, not_before: submitted, filled: Qty::ZERO, fills: Vec::new() }
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

    pub(super) fn into_fills(self) -> Vec<Fill> {
        self.fills
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

    /// Takes of an offer what may be taken, and books it. Nothing when that is less than one step, or when price, notional
    /// or a sum would lie beyond what is kept exact.
    fn take(
        &mut self,
        offer: &Offer,
        rules: &Instrument,
        setup: &PaperSetup,
        wallet: &mut Wallet,
    ) -> Result<Option<Fill>, NoRoom> {
        let number = self.fills.len() as u64;
        let rounding = match self.order.side {
            Side::Buy => Rounding::Up,
            Side::Sell => Rounding::Down,
        };
        let cost = offer.half_spread + setup.slippage().draw(self.key, number);
        let Ok(price) = rules.price(adverse(self.order.side, offer.reference, cost), rounding) else { return Ok(None) };
        let left = self.left();
        let left = wallet.room(&self.order, price, setup.fee(), rules).map_or(left, |room| left.min(room));
        if left.is_zero() {
            return Err(NoRoom);
        }
        let allowance = setup.participation().allowance(offer.size);
        let qty =
            if allowance >= left.to_f64() { Ok(left) } else { rules.qty_floor(allowance).map(|qty| qty.min(left)) };
        let fill = qty.ok().filter(|qty| !qty.is_zero()).and_then(|qty| self.execute(price, qty, offer.ts, setup));
        let Some(fill) = fill.filter(|fill| wallet.book(fill)) else { return Ok(None) };
        self.filled = self.filled + fill.qty;
        self.fills.push(fill.clone());
        Ok(Some(fill))
    }

    /// The next fill of this order; `None` when its notional is beyond what is kept exact.
    fn execute(&self, price: Price, qty: Qty, ts: Ts, setup: &PaperSetup) -> Option<Fill> {
        let Order { id, symbol, side, .. } = self.order;
        let fee = setup.fee().fee(price, qty)?;
        let number = self.fills.len() as u64;
        let trade_id = hash64(&[b"trade", id.as_str().as_bytes(), &number.to_le_bytes()]) & TRADE_ID_MASK;
        Some(Fill { order: id, trade_id, symbol, side, price, qty, fee, commission: None, ts })
    }

    /// Lets the market fill a part.
    pub(super) fn meet(
        &mut self,
        market: Market<'_>,
        now: Ts,
        rules: &Instrument,
        setup: &PaperSetup,
        wallet: &mut Wallet,
    ) -> Result<Option<Fill>, NoRoom> {
        let Some(offer) = self.offer(market, now, setup) else { return Ok(None) };
        let fill = self.take(&offer, rules, setup, wallet)?;
        if let Some(fill) = &fill {
            self.not_before = after(fill.ts);
        }
        Ok(fill)
    }

    /// Fills protection that was triggered inside the bar that has just closed.
    fn meet_trigger(
        &mut self,
        bar: &Bar,
        rules: &Instrument,
        setup: &PaperSetup,
        wallet: &mut Wallet,
    ) -> Result<Option<Fill>, NoRoom> {
        let Some(reference) = self.order.trigger.map(Price::to_f64) else { return Ok(None) };
        let offer = Offer { reference, half_spread: setup.spread().half(), size: bar.volume, ts: self.submitted };
        self.take(&offer, rules, setup, wallet)
    }

    /// Whether a part is left and the account has nothing for it, at the price of the last fill.
    pub(super) fn is_stuck(&self, rules: &Instrument, setup: &PaperSetup, wallet: &Wallet) -> bool {
        let room = |fill: &Fill| wallet.room(&self.order, fill.price, setup.fee(), rules);
        !self.is_complete() && self.fills.last().and_then(room).is_some_and(Qty::is_zero)
    }

    /// Counts a fill that is on record.
    pub(super) fn restore(&mut self, fill: &Fill) {
        // A fill at the trigger belongs to the closed bar and takes nothing from the one that opens now.
        let at_trigger = self.order.trigger.is_some() && self.fills.is_empty() && fill.ts == self.submitted;
        if !at_trigger {
            self.not_before = self.not_before.max(after(fill.ts));
        }
        self.filled = self.filled + fill.qty;
        self.fills.push(fill.clone());
    }
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
    /// In order of arrival.
    pub(super) resting: Vec<Resting>,
}

impl Book {
    pub(super) fn new(rules: &Instrument) -> Self {
        let min_qty = RawInstrument::from(rules.clone()).min_qty;
        Self { rules: rules.clone(), min_qty, bar: None, quote: None, resting: Vec::new() }
    }

    /// Puts other rules in force; orders stay.
    pub(super) fn set_rules(&mut self, rules: &Instrument) {
        self.min_qty = RawInstrument::from(rules.clone()).min_qty;
        self.rules = rules.clone();
    }

    pub(super) const fn rules(&self) -> &Instrument {
        &self.rules
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
        if self.rules.qty_floor(qty.to_f64()) != Ok(qty) {
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

    /// Fills a new order at its trigger, where it has one and bars are the finest there is.
    pub(super) fn fill_at_trigger(
        &self,
        resting: &mut Resting,
        setup: &PaperSetup,
        wallet: &mut Wallet,
    ) -> Result<Option<Fill>, NoRoom> {
        match self.bar.as_ref().filter(|bar| self.fills_from(Market::Bar(bar))) {
            Some(bar) => resting.meet_trigger(bar, &self.rules, setup, wallet),
            None => Ok(None),
        }
    }
}
