//! The account's truth: a fold of the journal's records and of nothing else.

use std::collections::BTreeMap;

use super::AccountSetup;
use super::book::{Book, OrderState};
use super::order_limits::Sent;
use super::protections::Protections;
use crate::domain::{
    DoneReason, Fill, FreezeCause, HaltLevel, Ix, Leg, Money, OrderId, Qty, Reason, RunId, Side, Symbol, Timeframe, Ts,
};
use crate::record::Record;

/// What the records say. Two equal lists of records give two equal states.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) setup: AccountSetup,
    pub(super) run: RunId,
    pub(super) timeframe: Timeframe,
    /// Initial cash less everything paid plus everything received, fees included.
    pub(super) flow: Money,
    pub(super) books: Vec<Book>,
    /// What symbols earned and paid that are no longer in the setup.
    past: Past,
    /// Orders that are not done.
    pub(super) orders: BTreeMap<OrderId, OrderState>,
    pub(super) day: Option<Day>,
    pub(super) halt: Option<Halt>,
    /// Orders of the last while.
    pub(super) sent: Sent,
    /// Pauses of entries, and what they are made of.
    pub(super) protections: Protections,
    /// The loss that a drill reckons with, a fraction of the day's starting equity.
    pub(super) drill: Option<f64>,
    /// Records folded so far: the journal's sequence number of the last one.
    pub(super) seq: u64,
    /// Trading time of the last record.
    pub(super) ts: Ts,
}

/// The sums of books that were given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Past {
    /// Before fees.
    realised: Money,
    fees: Money,
}

/// The trading day and where its loss is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Whole days since the epoch.
    pub day: i64,
    /// Equity from which the loss is counted.
    pub start_equity: Money,
}

/// A halt in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// How much is forbidden.
    pub level: HaltLevel,
    /// By whom and why.
    pub reason: Reason,
    /// Sequence number of the record that latched it.
    pub seq: u64,
}

/// A record that cannot follow the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The first record must be `started`.
    #[error("the record does not begin with `started`")]
    NotStarted,
    /// Something is said of an order that is not live.
    #[error("order {0} is not live here")]
    UnknownOrder(OrderId),
    /// An order is announced twice.
    #[error("order {0} is announced twice")]
    RepeatedOrder(OrderId),
    /// A symbol that the setup does not hold.
    #[error("symbol {0} is not in the account's setup")]
    UnknownSymbol(Symbol),
    /// A trade that was booked before.
    #[error("trade {trade_id} of {order} is booked twice")]
    RepeatedTrade {
        /// The order.
        order: OrderId,
        /// The venue's number.
        trade_id: u64,
    },
    /// More was filled than ordered.
    #[error("order {order} of {ordered} is filled with {filled}")]
    Overfilled {
        /// The order.
        order: OrderId,
        /// Its quantity.
        ordered: Qty,
        /// The sum of its fills.
        filled: Qty,
    },
    /// A fill whose sums are beyond what is kept exact.
    #[error("a fill of order {order} makes sums that are too large to be kept exact")]
    Overflow {
        /// The order.
        order: OrderId,
    },
    /// The setup belongs to another account.
    #[error(
        "the journal belongs to a {was} account and the configuration describes a {is} account: use another data folder"
    )]
    OtherAccount {
        /// Name, kind and currency in the journal.
        was: String,
        /// Name, kind and currency configured.
        is: String,
    },
}

impl State {
    /// Opens the account from the first record.
    ///
    /// # Errors
    /// [`ApplyError::NotStarted`] when `record` is not [`Record::Started`].
    pub fn open(ts: Ts, record: &Record) -> Result<Self, ApplyError> {
        let Record::Started { run, timeframe, setup, .. } = record else { return Err(ApplyError::NotStarted) };
        let books = setup.instruments.iter().map(|i| Book::new(i.clone())).collect();
        Ok(Self {
            run: *run,
            timeframe: *timeframe,
            flow: setup.initial_cash,
            books,
            past: Past::default(),
            setup: (**setup).clone(),
            orders: BTreeMap::new(),
            day: None,
            halt: None,
            sent: Sent::default(),
            protections: Protections::default(),
            drill: None,
            seq: 1,
            ts,
        })
    }

    /// Folds one more record.
    ///
    /// # Errors
    /// [`ApplyError`] when the record cannot follow; its sequence number is then not counted.
    pub fn apply(&mut self, ts: Ts, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::Started { run, timeframe, setup, .. } => {
                self.adopt(setup)?;
                (self.run, self.timeframe) = (*run, *timeframe);
            }
            Record::Setup { setup } => self.adopt(setup)?,
            Record::Day { day, start_equity } => {
                self.day = Some(Day { day: *day, start_equity: *start_equity });
                for book in &mut self.books {
                    book.day_base = book.total_at_mark();
                }
            }
            // A bar that has not closed yet is none: it must not keep the decisions of real bars from being taken.
            Record::Decision { symbol, decision, .. } => self.book_mut(*symbol)?.last_decision = decision.bar.min(ts),
            Record::Intent { .. } => self.apply_intent(record)?,
            Record::Accepted { order } => self.order_mut(*order)?.accepted = true,
            Record::Fill { fill } => self.apply_fill(fill)?,
            Record::Done { order, reason, .. } => self.apply_done(*order, *reason)?,
            Record::Bracket { symbol, bracket } => self.book_mut(*symbol)?.bracket = Some(bracket.clone()),
            Record::Halt { level, reason } => {
                self.halt = Some(Halt { level: *level, reason: reason.clone(), seq: self.seq + 1 });
            }
            Record::Resume { start_equity, .. } => {
                (self.halt, self.drill) = (None, None);
                self.day = self.day.map(|day| Day { start_equity: *start_equity, ..day });
            }
            Record::Drill { loss, .. } => self.drill = Some(*loss),
            Record::Freeze { symbol, cause, reason } => {
                let frozen = &mut self.book_mut(*symbol)?.frozen;
                match reason {
                    Some(reason) => frozen.insert(*cause, reason.clone()),
                    None => frozen.remove(cause),
                };
            }
            Record::Mark { positions, .. } => {
                for position in positions {
                    self.book_mut(position.symbol)?.marked = Some(position.mark);
                }
            }
            Record::Unknown { .. }
            | Record::Absent { .. }
            | Record::Foreign { .. }
            | Record::Transfer { .. }
            | Record::Dust { .. }
            | Record::Close { .. }
            | Record::Rebalance { .. } => {}
            Record::Command { .. }
            | Record::Reconciled { .. }
            | Record::Ended { .. }
            | Record::Model { .. }
            | Record::Forecasts { .. }
            | Record::Strategies { .. } => {}
        }
        let risk = &self.setup.risk;
        self.sent.follow(ts, record, risk);
        self.protections.follow(ts, record, risk.protections(), &self.books, &self.orders);
        self.seq += 1;
        self.ts = ts;
        Ok(())
    }

    fn apply_intent(&mut self, record: &Record) -> Result<(), ApplyError> {
        let Record::Intent { order, reserved, bracket } = record else { return Ok(()) };
        if self.orders.contains_key(&order.id) {
            return Err(ApplyError::RepeatedOrder(order.id));
        }
        let book = self.book_mut(order.symbol)?;
        if order.leg == Leg::Exit {
            book.last_exit = Some((order.cause, order.attempt));
        }
        book.live.push(order.id);
        self.orders.insert(order.id, OrderState::new(order.clone(), *reserved, *bracket));
        Ok(())
    }

    fn apply_fill(&mut self, fill: &Fill) -> Result<(), ApplyError> {
        let order = self.order_mut(fill.order)?;
        let filled = order.filled + fill.qty;
        if filled > order.order.qty {
            return Err(ApplyError::Overfilled { order: fill.order, ordered: order.order.qty, filled });
        }
        if order.trades.contains(&fill.trade_id) {
            return Err(ApplyError::RepeatedTrade { order: fill.order, trade_id: fill.trade_id });
        }
        let overflow = ApplyError::Overflow { order: fill.order };
        let notional = fill.price.notional(fill.qty).get();
        let paid = if fill.side == Side::Buy { -notional } else { notional };
        let flow = self.flow.get().checked_add(paid).and_then(|f| f.checked_sub(fill.fee.get()));
        let flow = flow.and_then(|f| Money::new(f).ok()).ok_or_else(|| overflow.clone())?;
        if !self.book_mut(fill.symbol)?.book_fill(fill) {
            return Err(overflow);
        }
        self.flow = flow;
        let order = self.order_mut(fill.order)?;
        order.trades.push(fill.trade_id);
        order.filled = filled;
        Ok(())
    }

    fn apply_done(&mut self, id: OrderId, _reason: DoneReason) -> Result<(), ApplyError> {
        let order = self.orders.remove(&id).ok_or(ApplyError::UnknownOrder(id))?;
        let book = self.book_mut(order.order.symbol)?;
        book.live.retain(|live| *live != id);
        Ok(())
    }

    /// Takes a new setup: books move by symbol; a symbol that is gone stays at the end, its entries frozen, as long as
    /// it holds a position or an order.
    fn adopt(&mut self, setup: &AccountSetup) -> Result<(), ApplyError> {
        let face = |s: &AccountSetup| format!("{:?} {} {}", s.kind, s.currency, s.name);
        if face(&self.setup) != face(setup) {
            return Err(ApplyError::OtherAccount { was: face(&self.setup), is: face(setup) });
        }
        let mut old = std::mem::take(&mut self.books);
        for instrument in &setup.instruments {
            let symbol = instrument.id().symbol;
            let book = match old.iter().position(|b| b.symbol() == symbol) {
                Some(at) => old.swap_remove(at).with_instrument(instrument.clone()),
                None => Book::new(instrument.clone()),
            };
            self.books.push(book);
        }
        let mut next = setup.clone();
        for book in old.extract_if(.., |book| book.is_flat() && book.live.is_empty()) {
            self.past.realised += book.realised();
            self.past.fees += book.fees();
        }
        old.sort_by_key(Book::symbol);
        for mut book in old {
            book.frozen.insert(FreezeCause::Configuration, "no longer configured".to_owned());
            next.instruments.push(book.instrument().clone());
            self.books.push(book);
        }
        self.setup = next;
        Ok(())
    }

    fn order_mut(&mut self, id: OrderId) -> Result<&mut OrderState, ApplyError> {
        self.orders.get_mut(&id).ok_or(ApplyError::UnknownOrder(id))
    }

    fn book_mut(&mut self, symbol: Symbol) -> Result<&mut Book, ApplyError> {
        self.books.iter_mut().find(|b| b.symbol() == symbol).ok_or(ApplyError::UnknownSymbol(symbol))
    }

    /// Cash: for a spot account the quote balance; for a linear one initial cash plus realised PnL less fees.
    pub fn cash(&self) -> Money {
        match self.setup.kind {
            crate::domain::AccountKind::Spot => self.flow,
            crate::domain::AccountKind::Linear => self.flow + self.books.iter().map(Book::cost).sum(),
        }
    }

    /// The setup in force.
    pub const fn setup(&self) -> &AccountSetup {
        &self.setup
    }

    /// The run.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// Bar length of the run.
    pub const fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// The books, in [`Ix`] order.
    pub fn books(&self) -> &[Book] {
        &self.books
    }

    /// The book at a place of the table.
    pub fn book(&self, ix: Ix) -> Option<&Book> {
        self.books.get(ix.at())
    }

    /// Orders that are not done.
    pub fn orders(&self) -> impl Iterator<Item = &OrderState> {
        self.orders.values()
    }

    /// The halt in force.
    pub const fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    /// The trading day.
    pub const fn day(&self) -> Option<Day> {
        self.day
    }

    /// Sequence number of the last record folded.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Trading time of the last record folded.
    pub const fn ts(&self) -> Ts {
        self.ts
    }

    /// Sum of all fees paid.
    pub fn fees(&self) -> Money {
        self.books.iter().map(Book::fees).sum::<Money>() + self.past.fees
    }

    /// Sum of realised PnL before fees.
    pub fn realised(&self) -> Money {
        self.books.iter().map(Book::realised).sum::<Money>() + self.past.realised
    }
}
