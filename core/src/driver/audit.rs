//! Recomputes an account from its journal, twice: by the account's own fold, and by sums that know nothing of it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::account::{ApplyError, State};
use crate::domain::order::OrderKey;
use crate::domain::{AccountKind, DoneReason, Fill, Leg, Money, Order, OrderId, Price, Qty, Side, Symbol, Ts};
use crate::record::{Envelope, MarkedPosition, Record};

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

/// One symbol, summed from raw fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    net: Decimal,
    paid: Decimal,
    fees: Decimal,
}

/// See the module. Give it every envelope in order.
#[derive(Debug, Default)]
pub struct Audit {
    state: Option<State>,
    initial: Decimal,
    sums: BTreeMap<Symbol, Sums>,
    filled: BTreeMap<OrderId, (Qty, Qty)>,
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
    /// Equity at the end: cash and the value of the open positions.
    pub equity: Money,
    /// Realised PnL before fees.
    pub realised: Money,
    /// Fees.
    pub fees: Money,
    /// Orders that are not done.
    pub open_orders: u64,
    /// Positions at the end, with their last prices on record.
    pub positions: Vec<MarkedPosition>,
    /// Why the record ended, when it ended in order.
    pub ended: Option<String>,
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
                self.state = Some(state);
            }
        }
        self.report.records += 1;
        self.count(record);
        if let Record::Mark { cash, equity, positions, .. } = record {
            self.check_mark(seq, *cash, *equity, positions)?;
        }
        Ok(())
    }

    /// What does not follow from the state after the record.
    fn check_before(&mut self, seq: u64, record: &Record) -> Result<(), AuditFault> {
        match record {
            Record::Decision { symbol, decision, .. } => {
                self.policies.insert(*symbol, decision.policy);
            }
            Record::Intent { order, .. } => {
                self.check_id(seq, order)?;
                self.filled.insert(order.id, (order.qty, Qty::ZERO));
            }
            Record::Fill { fill } => self.sum(fill),
            Record::Done { order, reason, .. } => {
                let (ordered, filled) = self.filled.remove(order).unwrap_or_default();
                if (*reason == DoneReason::Filled) != (ordered == filled) {
                    let (recorded, computed) = (format!("{reason:?} of {ordered}"), filled.to_string());
                    return Err(AuditFault::Figure { seq, what: "the quantity of a done order", recorded, computed });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_id(&self, seq: u64, order: &Order) -> Result<(), AuditFault> {
        let Some(state) = &self.state else { return Ok(()) };
        let policy = match order.leg {
            Leg::Entry => self.policies.get(&order.symbol).copied().unwrap_or_default(),
            Leg::Exit => 0,
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

    fn sum(&mut self, fill: &Fill) {
        let sums = self.sums.entry(fill.symbol).or_default();
        let sign = if fill.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        sums.net += sign * fill.qty.get();
        sums.paid += sign * fill.qty.get() * fill.price.get();
        sums.fees += fill.fee.get();
        self.prices.insert(fill.symbol, fill.price);
        if let Some((_, filled)) = self.filled.get_mut(&fill.order) {
            *filled = *filled + fill.qty;
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
            Record::Fill { .. } => counts[2] += 1,
            _ => {}
        }
    }

    /// Compares a mark with the fold and with the sums: cash, each position, and equity = cash + positions.
    fn check_mark(
        &mut self,
        seq: u64,
        cash: Money,
        equity: Money,
        positions: &[MarkedPosition],
    ) -> Result<(), AuditFault> {
        let Some(state) = &self.state else { return Ok(()) };
        let figure = |what, recorded: String, computed: String| {
            if recorded == computed { Ok(()) } else { Err(AuditFault::Figure { seq, what, recorded, computed }) }
        };
        figure("cash", cash.to_string(), state.cash().to_string())?;
        let open: Vec<Symbol> = state.books().iter().filter(|b| !b.is_flat()).map(|b| b.symbol()).collect();
        let listed: Vec<Symbol> = positions.iter().map(|p| p.symbol).collect();
        figure("the list of positions", format!("{listed:?}"), format!("{open:?}"))?;
        let (mut value, mut worth) = (Decimal::ZERO, self.initial);
        for sums in self.sums.values() {
            worth -= sums.paid + sums.fees;
        }
        for position in positions {
            let sums = self.sums.get(&position.symbol).copied().unwrap_or_default();
            figure("a position", position.net.normalize().to_string(), sums.net.normalize().to_string())?;
            worth += sums.net * position.mark.get();
            value += value_of(state.setup().kind, position);
            self.prices.insert(position.symbol, position.mark);
        }
        figure("equity", equity.to_string(), worth.normalize().to_string())?;
        figure("cash plus positions", equity.to_string(), (cash.get() + value).normalize().to_string())?;
        self.report.marks += 1;
        Ok(())
    }

    /// What was found, all records having been true. The figures are those after the last record: a crash, and an end too,
    /// may come between the fills of an instant and its mark.
    pub fn finish(mut self) -> AuditReport {
        let Some(state) = &self.state else { return self.report };
        self.report.realised = state.realised();
        self.report.fees = state.fees();
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
        self.report.equity = self.report.cash + self.report.positions_value;
        self.report
    }
}

/// What equity holds besides cash for a position.
fn value_of(kind: AccountKind, position: &MarkedPosition) -> Decimal {
    let worth = position.net * position.mark.get();
    match kind {
        AccountKind::Spot => worth,
        AccountKind::Linear => worth - position.cost.get(),
    }
}
