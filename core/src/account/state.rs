//! The account's truth: a fold of the journal's records and of nothing else.

use super::AccountSetup;
use super::assets::{Stock, Stocks};
use super::book::{Book, OrderState};
use super::funding::{FUNDINGS_MAX, Funded};
use super::ledger;
use super::open_orders::OpenOrders;
use super::order_limits::Sent;
use super::orders::Finished;
use super::protections::Protections;
use super::rebalance::Rebalancing;
use super::trade_ids::{Recent, TRANSFERS_MAX, TradeIds};
use crate::domain::{
    AccountKind, Asset, DoneReason, Fill, FreezeCause, HaltLevel, Ix, Money, OrderId, Qty, Reason, RunId, Symbol,
    Timeframe, Ts,
};
use crate::record::Record;

/// What the records say. Two equal lists of records give two equal states.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) setup: AccountSetup,
    pub(super) run: RunId,
    pub(super) timeframe: Timeframe,
    /// Initial cash less everything paid plus everything received, fees, deposits and withdrawals included.
    pub(super) flow: Money,
    pub(super) books: Vec<Book>,
    /// What is held besides currency and positions.
    pub(super) stocks: Stocks,
    /// What others have brought in less what they have taken out.
    pub(super) contributed: Money,
    /// What others have earned and paid outside of all books, and what symbols did that are no longer in the setup.
    pub(super) past: Past,
    /// The trades that were booked.
    pub(super) trades: TradeIds,
    /// The transfers that were booked.
    pub(super) transfers: Recent<String>,
    /// The funding that was booked.
    pub(super) funded: Funded,
    /// Orders that are not done.
    pub(super) orders: OpenOrders,
    /// The orders that ended last.
    pub(super) finished: Finished,
    pub(super) day: Option<Day>,
    pub(super) halt: Option<Halt>,
    /// Orders of the last while.
    pub(super) sent: Sent,
    /// Pauses of entries, and what they are made of.
    pub(super) protections: Protections,
    /// The loss that a drill reckons with, a fraction of the day's starting equity.
    pub(super) drill: Option<f64>,
    /// The last rebalancing, and what of it is still to be done.
    pub(super) rebalancing: Rebalancing,
    /// Records folded so far: the journal's sequence number of the last one.
    pub(super) seq: u64,
    /// Trading time of the last record.
    pub(super) ts: Ts,
}

/// The sums of what belongs to no book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// Before fees.
    pub(super) realised: Money,
    pub(super) fees: Money,
    pub(super) funding: Money,
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
    /// A transfer that was booked before.
    #[error("transfer {id} is booked twice")]
    RepeatedTransfer {
        /// The venue's name of it.
        id: String,
    },
    /// A transfer whose sums are beyond what is kept exact.
    #[error("transfer {id} makes sums that are too large to be kept exact")]
    TransferOverflow {
        /// The venue's name of it.
        id: String,
    },
    /// Funding that was booked before.
    #[error("funding of {symbol} for {ts} is booked twice")]
    RepeatedFunding {
        /// Whose.
        symbol: Symbol,
        /// For which instant.
        ts: Ts,
    },
    /// Funding of a symbol that can have none here, or whose sums are beyond what is kept exact.
    #[error(
        "funding of {symbol} for {ts} cannot be booked: no such linear position, or sums too large to be kept exact"
    )]
    FundingImpossible {
        /// Whose.
        symbol: Symbol,
        /// For which instant.
        ts: Ts,
    },
    /// Something that cannot happen to an order where it stands.
    #[error("order {order} is {stage}: `{step}` cannot follow")]
    Impossible {
        /// The order.
        order: OrderId,
        /// Where it stands.
        stage: &'static str,
        /// What is said of it.
        step: &'static str,
    },
    /// The end of an order that does not fit what was filled of it.
    #[error("order {order} ends as {reason:?} with {remaining} not filled")]
    Ended {
        /// The order.
        order: OrderId,
        /// How it is said to have ended.
        reason: DoneReason,
        /// Base units not filled.
        remaining: Qty,
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
            stocks: Stocks::default(),
            contributed: Money::ZERO,
            past: Past::default(),
            trades: TradeIds::default(),
            transfers: Recent::new(TRANSFERS_MAX),
            funded: Funded::new(FUNDINGS_MAX),
            setup: (**setup).clone(),
            orders: OpenOrders::default(),
            finished: Finished::default(),
            day: None,
            halt: None,
            sent: Sent::default(),
            protections: Protections::default(),
            drill: None,
            rebalancing: Rebalancing::since(ts),
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
                self.adopt(ts, setup)?;
                (self.run, self.timeframe) = (*run, *timeframe);
            }
            Record::Setup { setup } => self.adopt(ts, setup)?,
            Record::Day { day, start_equity } => {
                self.day = Some(Day { day: *day, start_equity: *start_equity });
                for book in &mut self.books {
                    book.day_base = book.total_at_mark();
                }
            }
            Record::Decision { symbol, decision, verdict } => {
                return self.take_decision(ts, *symbol, decision, verdict);
            }
            Record::Intent { order, reserved, bracket } => return self.take_intent(ts, order, *reserved, *bracket),
            Record::Accepted { order } => return self.take_accepted(ts, *order),
            Record::Unknown { order, acceptable_until, .. } => self.apply_unknown(ts, *order, *acceptable_until)?,
            Record::Absent { order, asked } => self.apply_absent(ts, *order, *asked)?,
            Record::Fill { fill } => return self.take_fill(ts, fill),
            Record::Done { order, reason, .. } => return self.take_done(ts, *order, *reason),
            Record::Bracket { symbol, bracket } => return self.take_bracket(ts, *symbol, bracket.clone()),
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
                    let book = self.book_mut(position.symbol)?;
                    (book.marked, book.marked_at) = (Some(position.mark), ts);
                }
            }
            Record::Foreign { fill, .. } => self.apply_foreign(fill)?,
            Record::Transfer { transfer } => self.apply_transfer(transfer)?,
            Record::Funding { funding } => self.apply_funding(funding)?,
            Record::Dust { symbol, .. } => self.book_mut(*symbol)?.set_dust(),
            Record::Rebalance { at, rows, .. } => self.rebalancing = Rebalancing::of(ts, *at, rows),
            Record::Close { symbol, .. } => self.apply_close(*symbol)?,
            Record::Wanted { symbol, cause, trigger } => self.apply_wanted(*symbol, *cause, *trigger)?,
            Record::Command { .. }
            | Record::Reconciled { .. }
            | Record::Ended { .. }
            | Record::Model { .. }
            | Record::Forecasts { .. }
            | Record::Strategies { .. } => {}
        }
        // Nothing of the facts of every trade comes here: what is to follow from one of them stands in `facts`, where it
        // is folded without a record too.
        if !self.setup.unlimited {
            self.sent.follow(record);
            self.protections.follow(ts, record, self.setup.risk.protections(), &self.books, self.contributed);
        }
        self.count(ts);
        Ok(())
    }

    /// One more record was folded.
    #[inline]
    pub(super) const fn count(&mut self, ts: Ts) {
        self.seq += 1;
        self.ts = ts;
    }

    /// So many more were, each like the next.
    pub(super) const fn pass(&mut self, records: u64) {
        self.seq += records;
    }

    pub(super) fn apply_fill(&mut self, ts: Ts, fill: &Fill) -> Result<(), ApplyError> {
        // What has left the setup with an order on its way still has its book.
        self.book_mut(fill.symbol)?;
        let posting = ledger::fill(self, fill);
        self.post(posting, Some(fill)).ok_or(ApplyError::Overflow { order: fill.order })?;
        self.count_fill(ts, fill)
    }

    /// Takes a new setup: books move by symbol; a symbol that is gone stays at the end, its entries frozen, as long as
    /// it holds a position or an order.
    fn adopt(&mut self, ts: Ts, setup: &AccountSetup) -> Result<(), ApplyError> {
        let face = |s: &AccountSetup| format!("{:?} {} {}", s.kind, s.currency, s.name);
        if face(&self.setup) != face(setup) {
            return Err(ApplyError::OtherAccount { was: face(&self.setup), is: face(setup) });
        }
        if setup.risk.is_rebalanced() && !self.setup.risk.is_rebalanced() {
            // What was due before it was wanted is not made up for.
            self.rebalancing = Rebalancing::since(ts);
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
        // What the journal began with stays what it was, whatever the configuration says now.
        let mut next = AccountSetup { initial_cash: self.setup.initial_cash, ..setup.clone() };
        for book in old.extract_if(.., |book| book.is_flat() && book.live.is_empty()) {
            self.past.realised += book.realised();
            self.past.fees += book.fees();
            self.past.funding += book.funding();
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

    #[inline]
    pub(super) fn book_mut(&mut self, symbol: Symbol) -> Result<&mut Book, ApplyError> {
        self.books.iter_mut().find(|b| b.symbol() == symbol).ok_or(ApplyError::UnknownSymbol(symbol))
    }

    /// Cash: for a spot account the quote balance; for a linear one initial cash plus realised PnL less fees and
    /// funding.
    pub fn cash(&self) -> Money {
        match self.setup.kind {
            AccountKind::Spot => self.flow,
            AccountKind::Linear => self.flow + self.books.iter().map(Book::cost).sum(),
        }
    }

    /// What is held besides currency and positions, by asset.
    pub fn stocks(&self) -> impl Iterator<Item = (Asset, Stock)> {
        self.stocks.iter()
    }

    /// What all stocks were booked at.
    pub const fn stocks_value(&self) -> Money {
        self.stocks.value()
    }

    /// What was paid into the account less what was paid out, valued as it was booked. The initial cash is no part of it.
    pub const fn contributed(&self) -> Money {
        self.contributed
    }

    /// Each trade is told once from here on, and of orders that are over not much is said any more.
    pub(super) fn trust_venue(&mut self) {
        self.trades.trust();
        self.finished = Finished::few();
    }

    /// Whether a trade was booked.
    pub fn knows_trade(&self, symbol: Symbol, trade_id: u64) -> bool {
        self.trades.contains(symbol, trade_id)
    }

    /// Whether a transfer was booked.
    pub fn knows_transfer(&self, id: &String) -> bool {
        self.transfers.contains(id)
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
    #[inline]
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

    /// Sum of all fees paid, others' too.
    pub fn fees(&self) -> Money {
        self.books.iter().map(Book::fees).sum::<Money>() + self.past.fees
    }

    /// Sum of realised PnL before fees, others' too.
    pub fn realised(&self) -> Money {
        self.books.iter().map(Book::realised).sum::<Money>() + self.past.realised
    }
}
