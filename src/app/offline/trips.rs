//! Round trips as the ledger makes them: what each record did to a position, and what a position came to from its first
//! fill to its last. Money is never reckoned here: every figure is a difference of the account's own books.

use std::collections::BTreeMap;

use levibot_core::account::holding::Holding;
use levibot_core::account::{ApplyError, State};
use levibot_core::domain::{Cause, Direction, ExitReason, Intent, OrderId, Symbol, Ts};
use levibot_core::record::{Envelope, Record};
use rust_decimal::Decimal;

/// Decimals that a mean price or a share of a fee is kept with.
const DIGITS: u32 = 12;

/// One position from its first fill to its last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trip {
    pub(super) symbol: Symbol,
    pub(super) direction: Direction,
    pub(super) opened: Ts,
    /// When it was closed; `None` while it is open.
    pub(super) closed: Option<Ts>,
    /// Base units entered.
    pub(super) entered: Decimal,
    /// What they cost, quote currency.
    pub(super) cost: Decimal,
    /// Base units closed.
    pub(super) exited: Decimal,
    /// What they brought, quote currency.
    pub(super) proceeds: Decimal,
    /// Realised before fees.
    pub(super) gross: Decimal,
    /// Fees, with commissions as the ledger values them.
    pub(super) fees: Decimal,
    /// Funding paid while it was open; under zero more was received.
    pub(super) funding: Decimal,
    /// Its orders, in the order of their first fills.
    pub(super) orders: Vec<OrderId>,
    /// Why the last part was closed.
    pub(super) reason: Option<&'static str>,
    /// Executions.
    pub(super) parts: u64,
}

impl Trip {
    const fn new(symbol: Symbol, direction: Direction, opened: Ts) -> Self {
        Self {
            symbol,
            direction,
            opened,
            closed: None,
            entered: Decimal::ZERO,
            cost: Decimal::ZERO,
            exited: Decimal::ZERO,
            proceeds: Decimal::ZERO,
            gross: Decimal::ZERO,
            fees: Decimal::ZERO,
            funding: Decimal::ZERO,
            orders: Vec::new(),
            reason: None,
            parts: 0,
        }
    }

    /// Realised less fees and funding.
    pub(super) fn net(&self) -> Decimal {
        self.gross.saturating_sub(self.fees).saturating_sub(self.funding)
    }

    /// Mean price of the entries.
    pub(super) fn entry_price(&self) -> Option<Decimal> {
        mean(self.cost, self.entered)
    }

    /// Mean price of what was closed.
    pub(super) fn exit_price(&self) -> Option<Decimal> {
        mean(self.proceeds, self.exited)
    }

    /// Net result in percent of what the entries cost; `None` while it is open.
    pub(super) fn return_pct(&self) -> Option<Decimal> {
        self.closed?;
        let share = self.net().checked_mul(Decimal::ONE_HUNDRED)?.checked_div(self.cost)?;
        Some(share.round_dp(4).normalize())
    }

    fn part(&mut self, order: Option<OrderId>) {
        self.parts += 1;
        self.orders.extend(order.filter(|id| !self.orders.contains(id)));
    }
}

fn mean(value: Decimal, qty: Decimal) -> Option<Decimal> {
    Some(value.checked_div(qty)?.round_dp(DIGITS).normalize())
}

/// What a record did to one symbol's position.
#[derive(Debug, Clone, Copy)]
struct Moved {
    symbol: Symbol,
    before: Holding,
    after: Holding,
}

/// What one record did to a trip.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A position was closed.
    Closed(Trip),
    /// Money moved that belongs to no position.
    Apart {
        /// Realised before fees.
        gross: Decimal,
        /// Fees.
        fees: Decimal,
        /// Funding, such as of a position too small to count as one.
        funding: Decimal,
    },
}

/// The account's fold, and the trips that are open. Give it every record in order.
#[derive(Debug, Default)]
pub(super) struct Trips {
    state: Option<State>,
    open: BTreeMap<Symbol, Trip>,
    /// What a person or the account itself asked for, by the number of its record: causes of orders.
    asked: BTreeMap<u64, &'static str>,
    /// The last decision of each symbol: its bar, and whether it wanted to enter.
    decided: BTreeMap<Symbol, (Ts, bool)>,
}

impl Trips {
    /// The account after the last record; `None` before the first.
    pub(super) const fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Positions that are open.
    pub(super) const fn open(&self) -> &BTreeMap<Symbol, Trip> {
        &self.open
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`ApplyError`] when it cannot follow the ones before it.
    pub(super) fn take(&mut self, envelope: &Envelope) -> Result<Vec<Step>, ApplyError> {
        let Envelope { seq, ts, record, .. } = envelope;
        match record {
            Record::Halt { .. } => drop(self.asked.insert(*seq, "halt")),
            Record::Close { .. } => drop(self.asked.insert(*seq, "close")),
            Record::Decision { symbol, decision, .. } => {
                let enters = matches!(decision.intent, Some(Intent::Enter { .. }));
                self.decided.insert(*symbol, (decision.bar, enters));
            }
            _ => {}
        }
        let Some(state) = &mut self.state else {
            self.state = Some(State::open(*ts, record)?);
            return Ok(Vec::new());
        };
        if !moves_money(record) {
            state.apply(*ts, record)?;
            return Ok(self.dusted(*ts, record).map(Step::Closed).into_iter().collect());
        }
        let before: Vec<_> =
            state.books().iter().filter_map(|b| Some((b.symbol(), holding(state, b.symbol())?))).collect();
        let cause = order_of(record).and_then(|id| cause_of(state, id));
        let sums = [state.realised().get(), state.fees().get()];
        state.apply(*ts, record)?;
        let mut steps = Vec::new();
        // What no book knows of is what remains.
        let mut apart = [state.realised().get().saturating_sub(sums[0]), state.fees().get().saturating_sub(sums[1])];
        for (symbol, before) in before {
            let after = holding(state, symbol).unwrap_or(before);
            if after != before {
                let by_order = |cause| reason(&self.asked, &self.decided, symbol, cause);
                let reason = cause.filter(|_| trades(record, symbol)).map_or_else(|| unordered(record), by_order);
                apart[0] = apart[0].saturating_sub(after.realised.saturating_sub(before.realised));
                apart[1] = apart[1].saturating_sub(after.fees.saturating_sub(before.fees));
                let moved = Moved { symbol, before, after };
                move_trip(&mut self.open, &moved, record, happened(record, *ts), reason, &mut steps);
            }
        }
        let [gross, fees] = apart;
        if !(gross.is_zero() && fees.is_zero()) {
            steps.push(Step::Apart { gross, fees, funding: Decimal::ZERO });
        }
        Ok(steps)
    }

    /// The trip whose rest counts as no position any more.
    fn dusted(&mut self, ts: Ts, record: &Record) -> Option<Trip> {
        let Record::Dust { symbol, .. } = record else { return None };
        self.open.remove(symbol).map(|trip| Trip { closed: Some(ts), ..trip })
    }
}

/// Whether a record may change what is held, of any symbol: a commission may come out of another position.
const fn moves_money(record: &Record) -> bool {
    matches!(record, Record::Fill { .. } | Record::Foreign { .. } | Record::Transfer { .. } | Record::Funding { .. })
}

/// Whether a record is a trade of this symbol.
fn trades(record: &Record, symbol: Symbol) -> bool {
    matches!(record, Record::Fill { fill } | Record::Foreign { fill, .. } if fill.symbol == symbol)
}

/// Why an order of ours existed, one that is over too: a fill may come late.
fn cause_of(state: &State, id: OrderId) -> Option<Cause> {
    let open = state.orders().find(|open| open.order.id == id).map(|open| open.order.cause);
    open.or_else(|| state.finished().get(id).map(|over| over.cause))
}

fn holding(state: &State, symbol: Symbol) -> Option<Holding> {
    let book = state.books().iter().find(|book| book.symbol() == symbol)?;
    let (cost, realised, fees) = (book.cost().get(), book.realised().get(), book.fees().get());
    Some(Holding { net: book.net(), cost, realised, fees, funding: book.funding().get() })
}

const fn order_of(record: &Record) -> Option<OrderId> {
    match record {
        Record::Fill { fill } => Some(fill.order),
        _ => None,
    }
}

/// When it happened; `ts` is when it was put on record.
const fn happened(record: &Record, ts: Ts) -> Ts {
    match record {
        Record::Fill { fill } | Record::Foreign { fill, .. } => fill.ts,
        Record::Funding { funding } => funding.ts,
        _ => ts,
    }
}

/// Why a position changes without an order of ours.
const fn unordered(record: &Record) -> &'static str {
    match record {
        Record::Transfer { .. } => "transfer",
        Record::Funding { .. } => "funding",
        Record::Fill { .. } => "commission",
        _ => "manual",
    }
}

/// Why an order reduces a position, in one word.
fn reason(
    asked: &BTreeMap<u64, &'static str>,
    decided: &BTreeMap<Symbol, (Ts, bool)>,
    symbol: Symbol,
    cause: Cause,
) -> &'static str {
    match cause {
        Cause::Bracket { rule, .. } => match rule {
            ExitReason::Stop => "stop",
            ExitReason::Target => "target",
            ExitReason::TimeExit => "time_exit",
            ExitReason::Trailing => "trailing",
            ExitReason::Signal => "signal",
            ExitReason::Reverse => "reverse",
            ExitReason::Flatten => "halt",
            ExitReason::RangeEnd => "range_end",
        },
        Cause::Decision { bar } if decided.get(&symbol) == Some(&(bar, true)) => "reverse",
        Cause::Decision { .. } => "signal",
        Cause::Command { seq } => asked.get(&seq).copied().unwrap_or("command"),
        Cause::Rebalance { .. } => "rebalance",
    }
}

/// How a change divides: what it closes, what it opens, and the fees of both, which add up to all of them.
struct Split {
    closing: Decimal,
    opening: Decimal,
    closing_fees: Decimal,
    opening_fees: Decimal,
}

impl Split {
    fn of(before: &Holding, change: Decimal, fees: Decimal) -> Self {
        let against = !before.net.is_zero() && before.net.is_sign_negative() != change.is_sign_negative();
        let closing = if against { change.abs().min(before.net.abs()) } else { Decimal::ZERO };
        let opening = change.abs().saturating_sub(closing);
        let share = || fees.checked_mul(closing).and_then(|part| part.checked_div(change.abs())).unwrap_or_default();
        let closing_fees = if opening.is_zero() { fees } else { share().round_dp(DIGITS) };
        Self { closing, opening, closing_fees, opening_fees: fees.saturating_sub(closing_fees) }
    }
}

/// Books what a record did to a position on its trip: first what it closes, then what it opens.
fn move_trip(
    open: &mut BTreeMap<Symbol, Trip>,
    moved: &Moved,
    record: &Record,
    ts: Ts,
    reason: &'static str,
    steps: &mut Vec<Step>,
) {
    let Moved { symbol, before, after } = *moved;
    let change = after.net.saturating_sub(before.net);
    let split = Split::of(&before, change, after.fees.saturating_sub(before.fees));
    let gross = after.realised.saturating_sub(before.realised);
    let funding = after.funding.saturating_sub(before.funding);
    let (price, order) = (price_of(record, moved, change), order_of(record).filter(|_| trades(record, symbol)));
    match open.get_mut(&symbol) {
        Some(trip) => {
            trip.gross = trip.gross.saturating_add(gross);
            trip.fees = trip.fees.saturating_add(split.closing_fees);
            trip.funding = trip.funding.saturating_add(funding);
            if !split.closing.is_zero() {
                trip.part(order);
                trip.exited = trip.exited.saturating_add(split.closing);
                trip.proceeds = trip.proceeds.saturating_add(split.closing.saturating_mul(price));
                trip.reason = Some(reason);
            }
        }
        None if gross.is_zero() && split.closing_fees.is_zero() && funding.is_zero() => {}
        None => steps.push(Step::Apart { gross, fees: split.closing_fees, funding }),
    }
    if !split.closing.is_zero() && split.closing == before.net.abs() {
        steps.extend(open.remove(&symbol).map(|trip| Step::Closed(Trip { closed: Some(ts), ..trip })));
    }
    if !split.opening.is_zero() {
        let direction = if change.is_sign_negative() { Direction::Short } else { Direction::Long };
        let trip = open.entry(symbol).or_insert_with(|| Trip::new(symbol, direction, ts));
        trip.part(order);
        trip.entered = trip.entered.saturating_add(split.opening);
        trip.cost = trip.cost.saturating_add(split.opening.saturating_mul(price));
        trip.fees = trip.fees.saturating_add(split.opening_fees);
    }
}

/// What a base unit was paid with; for what came by no trade of the symbol, what the ledger took it for.
fn price_of(record: &Record, moved: &Moved, change: Decimal) -> Decimal {
    match record {
        Record::Fill { fill } | Record::Foreign { fill, .. } if trades(record, moved.symbol) => fill.price.get(),
        _ => {
            let cost = moved.after.cost.saturating_sub(moved.before.cost);
            let paid = cost.saturating_sub(moved.after.realised.saturating_sub(moved.before.realised));
            paid.checked_div(change).unwrap_or_default().abs()
        }
    }
}

#[cfg(test)]
#[path = "trips_tests.rs"]
mod tests;
