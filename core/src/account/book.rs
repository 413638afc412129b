//! One symbol's part of the ledger, and the state of an order.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::exits::FailedExit;
use super::holding::{Change, Holding};
use super::open_orders::OpenOrders;
use super::orders::{OrderStage, Touch};
use super::wanted::Wanted;
use crate::domain::decimals::quotient_to_f64;
use crate::domain::{
    BracketSpec, Cause, Decision, Direction, FreezeCause, Instrument, Intent, Ix, Leg, Money, Order, OrderId,
    PositionView, Price, Qty, Side, Size, Symbol, Ts,
};
use crate::record::{Bracket, Verdict};

/// An order that is not done.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderState {
    /// The order, as journaled.
    pub order: Order,
    /// Capital held for the whole of it, quote currency.
    pub reserved: Money,
    /// The protection it will carry.
    pub bracket: Option<BracketSpec>,
    /// Where it stands; never `Done`.
    pub stage: OrderStage,
    /// Its last record.
    pub touched: Touch,
    /// Base units filled so far.
    pub filled: Qty,
    /// Why an entry is not wanted any more: what it fills from then on is closed.
    pub(super) given_up: Option<Cause>,
}

impl OrderState {
    pub(super) const fn new(order: Order, reserved: Money, bracket: Option<BracketSpec>, touched: Touch) -> Self {
        let (stage, filled) = (OrderStage::Unsent, Qty::ZERO);
        Self { order, reserved, bracket, stage, touched, filled, given_up: None }
    }

    /// The side that it brings a strategy into, where it is an entry that is still wanted.
    pub(super) fn enters(&self) -> Option<Direction> {
        let Order { leg, side, cause, .. } = self.order;
        let is_wanted = leg == Leg::Entry && self.given_up.is_none() && !cause.is_rebalance();
        is_wanted.then_some(if side == Side::Buy { Direction::Long } else { Direction::Short })
    }

    /// Base units not filled yet.
    #[inline]
    pub fn remaining(&self) -> Qty {
        self.order.qty.less(self.filled)
    }

    /// Capital still held: the reserve's share of what is not filled yet.
    pub fn reserved_now(&self) -> f64 {
        let qty = self.order.qty.to_f64();
        if qty > 0.0 { self.reserved.to_f64() * self.remaining().to_f64() / qty } else { 0.0 }
    }
}

/// One symbol's position, result and orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    instrument: Instrument,
    holding: Holding,
    /// Mean entry price; 0 when flat.
    entry_price: f64,
    /// Round trips closed.
    trades: u64,
    last_trade: Option<Ts>,
    pub(super) bracket: Option<Bracket>,
    /// Whether what is held is too small to be closed.
    dust: bool,
    pub(super) frozen: BTreeMap<FreezeCause, String>,
    /// Orders that are not done, oldest first.
    pub(super) live: Vec<OrderId>,
    /// Close of the bar of the last recorded decision: the same decision is never taken twice.
    pub(super) last_decision: Ts,
    /// Cause and attempt of the last exit.
    pub(super) last_exit: Option<(Cause, u32)>,
    /// Exits that failed since one was filled, while there is a position.
    pub(super) failed: Option<FailedExit>,
    /// Why the position is to be closed, until it is.
    pub(super) wanted: Option<Wanted>,
    /// The last record of an order or a fill.
    pub(super) touched: Touch,
    /// The same of the last exit of a rebalancing, which must not hide what was tried before to protect.
    pub(super) last_rebalance: Option<(Cause, u32)>,
    /// Price of the last mark on record.
    pub(super) marked: Option<Price>,
    /// When that was.
    pub(super) marked_at: Ts,
    /// When the protection was last set or moved.
    pub(super) bracket_at: Ts,
    /// Usual move of the price, a fraction, as the last approved entry reckoned with it.
    pub(super) volatility: Option<f64>,
    /// Whether that entry stated its size: then it is not the account's to change.
    pub(super) is_size_stated: bool,
    /// Total PnL when the trading day began.
    pub(super) day_base: Money,
}

impl Book {
    pub(super) fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            holding: Holding::default(),
            entry_price: 0.0,
            trades: 0,
            last_trade: None,
            bracket: None,
            dust: false,
            frozen: BTreeMap::new(),
            live: Vec::new(),
            last_decision: Ts::EPOCH,
            last_exit: None,
            failed: None,
            wanted: None,
            touched: Touch::default(),
            last_rebalance: None,
            marked: None,
            marked_at: Ts::EPOCH,
            bracket_at: Ts::EPOCH,
            volatility: None,
            is_size_stated: false,
            day_base: Money::ZERO,
        }
    }

    pub(super) fn with_instrument(self, instrument: Instrument) -> Self {
        Self { instrument, ..self }
    }

    /// Books what a posting has made of the position; `traded` is when, where a trade of this symbol did it.
    pub(super) fn rebook(&mut self, change: &Change, traded: Option<Ts>) {
        let Holding { net, cost, .. } = change.after;
        self.holding = change.after;
        self.entry_price = if net.is_zero() { 0.0 } else { quotient_to_f64(cost, net) };
        self.last_trade = traded.or(self.last_trade);
        self.dust = self.dust && traded.is_none() && !change.after.net.is_zero();
        if change.closed {
            // The old position's protection does not fit a new one, if the fill has turned it over; nor does what was
            // wanted of it.
            (self.bracket, self.failed, self.wanted) = (None, None, None);
            self.trades += 1;
        }
    }

    /// What is left cannot be closed: the round trip is over as far as it goes, and nothing protects what stays.
    pub(super) fn set_dust(&mut self) {
        self.trades += u64::from(!self.dust);
        self.dust = true;
        (self.bracket, self.failed, self.wanted) = (None, None, None);
    }

    #[inline]
    pub(super) const fn holding(&self) -> Holding {
        self.holding
    }

    /// The instrument.
    #[inline]
    pub const fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The symbol.
    #[inline]
    pub const fn symbol(&self) -> Symbol {
        self.instrument.id().symbol
    }

    /// Base units, negative when short.
    #[inline]
    pub const fn net(&self) -> Decimal {
        self.holding.net
    }

    /// What the open position cost, negative when short.
    pub fn cost(&self) -> Money {
        money(self.holding.cost)
    }

    /// Realised PnL before fees.
    pub fn realised(&self) -> Money {
        money(self.holding.realised)
    }

    /// Fees paid.
    pub fn fees(&self) -> Money {
        money(self.holding.fees)
    }

    /// Funding paid; under zero more was received.
    pub fn funding(&self) -> Money {
        money(self.holding.funding)
    }

    /// Realised PnL less fees and funding.
    pub fn net_realised(&self) -> Money {
        self.realised() - self.fees() - self.funding()
    }

    /// Realised PnL, less fees and funding, plus what the position gains at the price of the last mark on record.
    pub fn total_at_mark(&self) -> Money {
        let open = self.marked.filter(|_| !self.is_flat()).and_then(|mark| self.holding.unrealised(mark.get()));
        self.net_realised() + money(open.unwrap_or_default())
    }

    /// Round trips closed.
    pub const fn trades(&self) -> u64 {
        self.trades
    }

    /// When the last fill happened.
    pub const fn last_trade(&self) -> Option<Ts> {
        self.last_trade
    }

    /// The protection in force.
    #[inline]
    pub const fn bracket(&self) -> Option<&Bracket> {
        self.bracket.as_ref()
    }

    /// Why entries are frozen, by cause; empty when they are not.
    pub const fn frozen(&self) -> &BTreeMap<FreezeCause, String> {
        &self.frozen
    }

    /// Orders that are not done.
    #[inline]
    pub fn live(&self) -> &[OrderId] {
        &self.live
    }

    /// Whether nothing at all is held: no dust either.
    #[inline]
    pub const fn is_flat(&self) -> bool {
        self.holding.net.is_zero()
    }

    /// Whether what is held is too small to be closed: it counts as no position, and is valued like one.
    #[inline]
    pub const fn is_dust(&self) -> bool {
        self.dust
    }

    /// The position's direction; `None` for dust too.
    #[inline]
    pub const fn direction(&self) -> Option<Direction> {
        if self.dust { None } else { self.held() }
    }

    /// The direction of what is held, dust too.
    #[inline]
    pub const fn held(&self) -> Option<Direction> {
        if self.holding.net.is_zero() {
            None
        } else if self.holding.net.is_sign_negative() {
            Some(Direction::Short)
        } else {
            Some(Direction::Long)
        }
    }

    /// Size of the position without its sign.
    #[inline]
    pub fn size(&self) -> Qty {
        Qty::of_holding(self.holding.net).unwrap_or(Qty::ZERO)
    }

    /// What can be closed of it: the size in whole steps of an order. What is under a step stays.
    pub fn closable(&self) -> Qty {
        self.instrument.whole_steps(self.size())
    }

    /// Mean entry price; 0 when flat.
    #[inline]
    pub const fn entry_price(&self) -> f64 {
        self.entry_price
    }

    /// Attempt number of an exit for `cause`: one more than the last one for the same cause.
    pub(super) fn next_exit_attempt(&self, cause: Cause) -> u32 {
        match if cause.is_rebalance() { self.last_rebalance } else { self.last_exit } {
            Some((last, attempt)) if last == cause => attempt.saturating_add(1),
            _ => 1,
        }
    }

    /// Takes note of an exit that is going to be sent.
    pub(super) const fn note_exit(&mut self, cause: Cause, attempt: u32) {
        let last = if cause.is_rebalance() { &mut self.last_rebalance } else { &mut self.last_exit };
        *last = Some((cause, attempt));
    }

    /// Takes note of what an approved entry reckoned with.
    pub(super) fn note_decision(&mut self, decision: &Decision, verdict: &Verdict, ts: Ts) {
        self.last_decision = decision.bar.min(ts);
        if let (Some(Intent::Enter { volatility, size, .. }), Verdict::Approved { .. }) = (&decision.intent, verdict) {
            (self.volatility, self.is_size_stated) = (Some(*volatility), *size != Size::Account);
        }
    }

    /// When the position runs out of time, while its bracket guards it; else the end of time.
    pub(super) fn due(&self, is_closing: bool) -> Ts {
        self.guarding(is_closing).and_then(|(_, bracket)| bracket.expires).unwrap_or(Ts::MAX)
    }

    /// The bracket that guards what is held, unless that is to be closed already.
    #[inline]
    pub(super) fn guarding(&self, is_closing: bool) -> Option<(Direction, &Bracket)> {
        let guarded = self.direction().zip(self.bracket())?;
        (!is_closing && self.wanted().is_none()).then_some(guarded)
    }

    /// Whether a strategy's position has neither a stop nor a trailing distance: nothing but that strategy's own exits, a
    /// target or its time ends a loss.
    pub(super) fn is_stopless(&self) -> bool {
        let bare = |bracket: &Bracket| bracket.stop.is_none() && bracket.trailing.is_none();
        self.direction().is_some() && self.bracket().is_some_and(bare)
    }

    /// Whether what is held is going to be closed whatever prices do.
    pub(super) fn is_leaving(&self, orders: &OpenOrders) -> bool {
        self.wanted().is_some() || self.is_closing(orders)
    }

    /// Whether an exit is on its way that is meant to close the position, and not only to make it smaller. One of which
    /// nobody knows whether it is on its way does not count.
    #[inline]
    pub(super) fn is_closing(&self, orders: &OpenOrders) -> bool {
        let closing_side = self.closing_side();
        let mut live = self.live.iter().filter_map(|id| orders.get(id));
        live.any(|open| open.order.leg == Leg::Exit && Self::closes(open, closing_side))
    }

    /// The side of the last entry of a strategy that is on its way and wanted, and whether an exit is on its way that
    /// [closes](Self::is_closing).
    pub(super) fn under_way(&self, orders: &OpenOrders) -> (Option<Direction>, bool) {
        let closing_side = self.closing_side();
        let live = self.live.iter().filter_map(|id| orders.get(id));
        live.fold((None, false), |(enters, closes), open| match open.order.leg {
            Leg::Entry => (open.enters().or(enters), closes),
            Leg::Exit => (enters, closes || Self::closes(open, closing_side)),
        })
    }

    fn closes(exit: &OrderState, closing_side: Option<Side>) -> bool {
        Some(exit.order.side) == closing_side && !exit.order.cause.is_rebalance() && !exit.stage.is_unknown()
    }

    /// What the engine at `ix` may know.
    pub(super) fn view(&self, ix: Ix, entry_pending: Option<Direction>) -> PositionView {
        PositionView {
            instrument: ix,
            direction: self.direction(),
            entry_price: self.direction().map_or(0.0, |_| self.entry_price()),
            stop: self.bracket().and_then(|b| b.stop).unwrap_or(0.0),
            entry_pending,
        }
    }

    /// Whether an order of this leg is live.
    #[inline]
    pub(super) fn has_live(&self, leg: Leg, orders: &OpenOrders) -> bool {
        self.live.iter().filter_map(|id| orders.get(id)).any(|o| o.order.leg == leg)
    }
}

/// A sum of the ledger as money. The ledger refuses fills long before a sum leaves money's range.
fn money(value: Decimal) -> Money {
    Money::new(value).unwrap_or(Money::ZERO)
}
