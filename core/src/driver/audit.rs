//! Recomputes an account from its journal, twice: by the account's own fold, and by sums that know nothing of it.

mod sums;

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use self::sums::Sums;
use crate::account::{ApplyError, State};
use crate::domain::order::OrderKey;
use crate::domain::{
    AccountKind, Cause, DoneReason, Fill, Funding, Leg, Money, Order, OrderId, Price, Qty, Symbol, Ts,
};
use crate::record::{Envelope, MarkedPosition, MarkedStock, Record};

/// Something in a journal that cannot be true. Its place is the envelope's sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A record that cannot follow the ones before it.
    #[error("record {seq}: {error}")]
    Apply {
        /// Where.
        seq: u64,
        /// Why not.
        error: ApplyError,
    },
    /// A figure on record is not what the fills give.
    #[error("record {seq}: {what} is {recorded} on record and {computed} from the fills")]
    Figure {
        /// Where.
        seq: u64,
        /// Which figure.
        what: &'static str,
        /// As written.
        recorded: String,
        /// As computed.
        computed: String,
    },
    /// An order's id is not that of its cause.
    #[error("record {seq}: order {order} does not have the id of its cause ({expected})")]
    Id {
        /// Where.
        seq: u64,
        /// As written.
        order: OrderId,
        /// As computed.
        expected: String,
    },
    /// A trade, a transfer or a payment of funding is booked a second time.
    #[error("record {seq}: {what} is booked a second time")]
    Twice {
        /// Where.
        seq: u64,
        /// What.
        what: String,
    },
    /// Records are missing, doubled or out of order.
    #[error("record {seq} stands where record {expected} belongs: records are missing or moved")]
    Gap {
        /// Where.
        seq: u64,
        /// What belongs there.
        expected: u64,
    },
    /// Time runs backwards.
    #[error("record {seq}: its time {ts} is before the one before it")]
    Backwards {
        /// Where.
        seq: u64,
        /// As written.
        ts: Ts,
    },
}

/// What became of an order.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    ordered: Qty,
    filled: Qty,
    is_over: bool,
}

/// See the module. Give it every envelope in order.
#[derive(Debug, Default)]
pub struct Audit {
    state: Option<State>,
    initial: Decimal,
    sums: Sums,
    orders: BTreeMap<OrderId, Course>,
    policies: BTreeMap<Symbol, u64>,
    /// The last price of each symbol on record, of a mark or a fill.
    prices: BTreeMap<Symbol, Price>,
    report: AuditReport,
    last: Ts,
}

/// What an audit found.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// Records read.
    pub records: u64,
    /// Counts by symbol: decisions, orders, fills.
    pub symbols: BTreeMap<Symbol, [u64; 3]>,
    /// Marks compared.
    pub marks: u64,
    /// Cash at the end.
    pub cash: Money,
    /// Value of the open positions at their last prices on record: what equity holds besides cash.
    pub positions_value: Money,
    /// What is held besides currency and positions at the end.
    pub stocks: Vec<MarkedStock>,
    /// Equity at the end: cash, the value of the open positions, and what the stocks were booked at.
    pub equity: Money,
    /// What was paid in after the initial cash less what was paid out.
    pub contributed: Money,
    /// Realised PnL before fees.
    pub realised: Money,
    /// Fees.
    pub fees: Money,
    /// Funding paid; under zero more was received.
    pub funding: Money,
    /// Orders that are not done.
    pub open_orders: u64,
    /// Fills that were reported after their order was over.
    pub late_fills: u64,
    /// Positions at the end, with their last prices on record.
    pub positions: Vec<MarkedPosition>,
    /// Why the record ended, when it ended in order.
    pub ended: Option<String>,
}

impl AuditReport {
    /// What all stocks were booked at.
    pub fn stocks_value(&self) -> Money {
        self.stocks.iter().map(|stock| stock.value).sum()
    }
}

impl Audit {
    /// Takes the next record.
    ///
    /// # Errors
    /// [`AuditFault`]: the journal says something that cannot be true.
    pub fn take(&mut self, envelope: &Envelope) -> Result<(), AuditFault> {
        let Envelope { seq, ts, record, .. } = envelope;
        let (seq, ts) = (*seq, *ts);
        let expected = self.report.records + 1;
        if seq != expected {
            return Err(AuditFault::Gap { seq, expected });
        }
        if ts < self.last {
            return Err(AuditFault::Backwards { seq, ts });
        }
        self.last = ts;
        self.check_before(seq, record)?;
        match &mut self.state {
            Some(state) => state.apply(ts, record).map_err(|error| AuditFault::Apply { seq, error })?,
            None => {
                let state = State::open(ts, record).map_err(|error| AuditFault::Apply { seq, error })?;
                self.initial = state.setup().initial_cash.get();
                self.sums = Sums::open(state.setup());
                self.state = Some(state);
            }
        }
        self.report.records += 1;
        self.count(record);
        if let Record::Mark { cash, equity, positions, stocks } = record {
            self.check_money(seq)?;
            self.check_mark(seq, *cash, *equity, positions, stocks)?;
        }
        Ok(())
    }

    /// What does not follow from the state after the record.
    fn check_before(&mut self, seq: u64, record: &Record) -> Result<(), AuditFault> {
        match record {
            Record::Decision { symbol, decision, .. } => {
                self.policies.insert(*symbol, decision.policy);
            }
            Record::Started { setup, .. } | Record::Setup { setup } => self.sums.adopt(setup),
            Record::Intent { order, .. } => {
                self.check_id(seq, order)?;
                self.orders.insert(order.id, Course { ordered: order.qty, ..Course::default() });
            }
            Record::Fill { fill } => {
                self.check_trade(seq, fill, true)?;
                self.check_course(seq, fill)?;
            }
            Record::Foreign { fill, .. } => self.check_trade(seq, fill, false)?,
            Record::Transfer { transfer } if !self.sums.transfer(transfer) => {
                return Err(AuditFault::Twice { seq, what: format!("transfer {}", transfer.id) });
            }
            Record::Funding { funding } => self.check_funding(seq, funding)?,
            Record::Done { order, reason, .. } => {
                let course = self.orders.entry(*order).or_default();
                course.is_over = true;
                let Course { ordered, filled, .. } = *course;
                if (*reason == DoneReason::Filled) != (ordered == filled) {
                    let (recorded, computed) = (format!("{reason:?} of {ordered}"), filled.to_string());
                    return Err(AuditFault::Figure { seq, what: "the quantity of a done order", recorded, computed });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// No order is filled beyond its quantity, before or after its end.
    fn check_course(&mut self, seq: u64, fill: &Fill) -> Result<(), AuditFault> {
        let course = self.orders.entry(fill.order).or_default();
        course.filled = course.filled + fill.qty;
        self.report.late_fills += u64::from(course.is_over);
        if course.filled > course.ordered {
            let (recorded, computed) = (course.ordered.to_string(), course.filled.to_string());
            return Err(AuditFault::Figure { seq, what: "the quantity of an order", recorded, computed });
        }
        Ok(())
    }

    fn check_trade(&mut self, seq: u64, fill: &Fill, is_ours: bool) -> Result<(), AuditFault> {
        let books = self.state.as_ref().map_or(&[][..], State::books);
        let is_traded = books.iter().any(|book| book.symbol() == fill.symbol);
        if !self.sums.trade(fill, is_ours, is_traded) {
            return Err(AuditFault::Twice { seq, what: format!("trade {} of {}", fill.trade_id, fill.symbol) });
        }
        self.prices.insert(fill.symbol, fill.price);
        Ok(())
    }

    fn check_funding(&mut self, seq: u64, funding: &Funding) -> Result<(), AuditFault> {
        let Funding { symbol, ts, rate, mark, amount } = *funding;
        let computed = Funding::payment(self.sums.net(symbol), mark, rate);
        let computed = computed.map_or_else(|| "beyond what is exact".to_owned(), |amount| amount.to_string());
        figure(seq, "a payment of funding", amount.to_string(), computed)?;
        if !self.sums.funding(funding) {
            return Err(AuditFault::Twice { seq, what: format!("funding of {symbol} for {ts}") });
        }
        Ok(())
    }

    fn check_id(&self, seq: u64, order: &Order) -> Result<(), AuditFault> {
        let Some(state) = &self.state else { return Ok(()) };
        let policy = match (order.leg, order.cause) {
            (Leg::Entry, Cause::Decision { .. }) => self.policies.get(&order.symbol).copied().unwrap_or_default(),
            _ => 0,
        };
        let Order { symbol, cause, leg, attempt, .. } = *order;
        let key = OrderKey { account: &state.setup().name, run: state.run(), symbol, policy, cause, leg, attempt };
        match key.id() {
            Ok(id) if id == order.id => Ok(()),
            other => {
                let expected = other.map_or_else(|e| e.to_string(), |id| id.to_string());
                Err(AuditFault::Id { seq, order: order.id, expected })
            }
        }
    }

    fn count(&mut self, record: &Record) {
        if let Record::Ended { reason } = record {
            self.report.ended = Some(reason.clone());
        } else {
            self.report.ended = None;
        }
        let Some(symbol) = record.symbol() else { return };
        let counts = self.report.symbols.entry(symbol).or_default();
        match record {
            Record::Decision { .. } => counts[0] += 1,
            Record::Intent { .. } => counts[1] += 1,
            Record::Fill { .. } | Record::Foreign { .. } => counts[2] += 1,
            _ => {}
        }
    }

    /// What the fold has and what it earned, against what was paid in.
    fn check_money(&self, seq: u64) -> Result<(), AuditFault> {
        let Some(state) = &self.state else { return Ok(()) };
        for book in state.books() {
            figure(seq, "a position", book.net().to_string(), self.sums.net(book.symbol()).to_string())?;
        }
        let cost: Money = state.books().iter().map(|book| book.cost()).sum();
        let held = self.sums.flow + cost.get() + state.stocks_value().get();
        let earned = state.realised() - state.fees() - state.funding();
        let computed = held - self.initial - self.sums.contributed;
        figure(seq, "what was earned", earned.to_string(), computed.normalize().to_string())
    }

    /// Compares a mark with the fold and with the sums: cash, each position and stock, and equity = cash + positions +
    /// stocks.
    fn check_mark(
        &mut self,
        seq: u64,
        cash: Money,
        equity: Money,
        positions: &[MarkedPosition],
        stocks: &[MarkedStock],
    ) -> Result<(), AuditFault> {
        let Some(state) = &self.state else { return Ok(()) };
        figure(seq, "cash", cash.to_string(), state.cash().to_string())?;
        let mut listed: Vec<Symbol> = positions.iter().map(|p| p.symbol).collect();
        listed.sort();
        let open: Vec<Symbol> = self.sums.open_symbols().into_iter().collect();
        figure(seq, "the list of positions", format!("{listed:?}"), format!("{open:?}"))?;
        figure(seq, "the list of stocks", format!("{stocks:?}"), format!("{:?}", self.sums.stocks()))?;
        let booked: Decimal = stocks.iter().map(|stock| stock.value.get()).sum();
        let (mut value, mut worth) = (booked, self.sums.flow + booked);
        for position in positions {
            let net = self.sums.net(position.symbol);
            figure(seq, "a position", position.net.normalize().to_string(), net.to_string())?;
            worth += net * position.mark.get();
            value += value_of(state.setup().kind, position);
            self.prices.insert(position.symbol, position.mark);
        }
        figure(seq, "equity", equity.to_string(), worth.normalize().to_string())?;
        figure(seq, "cash, positions and stocks", equity.to_string(), (cash.get() + value).normalize().to_string())?;
        self.report.marks += 1;
        Ok(())
    }

    /// What was found, all records having been true. The figures are those after the last record: a crash, and an end too,
    /// may come between the fills of an instant and its mark.
    pub fn finish(mut self) -> AuditReport {
        let Some(state) = &self.state else { return self.report };
        self.report.realised = state.realised();
        self.report.fees = state.fees();
        self.report.funding = state.funding();
        self.report.open_orders = state.orders().count() as u64;
        let mut value = Decimal::ZERO;
        for book in state.books().iter().filter(|book| !book.is_flat()) {
            // What is open was bought at a price.
            let Some(mark) = self.prices.get(&book.symbol()) else { continue };
            let position = MarkedPosition { symbol: book.symbol(), net: book.net(), cost: book.cost(), mark: *mark };
            value += value_of(state.setup().kind, &position);
            self.report.positions.push(position);
        }
        self.report.cash = state.cash();
        self.report.positions_value = Money::new(value).unwrap_or(Money::ZERO);
        self.report.stocks = self.sums.stocks();
        self.report.contributed = state.contributed();
        self.report.equity = self.report.cash + self.report.positions_value + self.report.stocks_value();
        self.report
    }
}

fn figure(seq: u64, what: &'static str, recorded: String, computed: String) -> Result<(), AuditFault> {
    if recorded == computed { Ok(()) } else { Err(AuditFault::Figure { seq, what, recorded, computed }) }
}

/// What equity holds besides cash for a position.
fn value_of(kind: AccountKind, position: &MarkedPosition) -> Decimal {
    let worth = position.net * position.mark.get();
    match kind {
        AccountKind::Spot => worth,
        AccountKind::Linear => worth - position.cost.get(),
    }
}
