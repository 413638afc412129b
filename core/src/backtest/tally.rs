//! The books of a backtest: what is counted while it runs.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::seat::turns;
use super::trips::{self, OpenTrip, Part};
use super::{FillRow, Keep, Outcome, Point, SymbolSums, Trip};
use crate::account::{Account, Action, Book, State};
use crate::domain::decimals::decimal_to_f64;
use crate::domain::{
    AccountKind, Bar, Cause, Decision, ExitReason, Fill, Funding, HaltLevel, Instrument, Ix, Leg, Money, Order,
    OrderId, Price, Qty, Reason, Side, Symbol, Timeframe, Ts,
};
use crate::fills::PaperSetup;
use crate::regime::Regime;

/// Digits that an `f64` keeps of what was written.
const PRICE_DIGITS: u32 = 15;

/// What is known of an order on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: OrderId,
    at: usize,
    /// Base units that are not filled yet.
    left: Qty,
    reference: f64,
    exit: Option<ExitReason>,
    regime: Regime,
}

/// One symbol.
#[derive(Debug)]
struct Row {
    symbol: Symbol,
    /// Base units, negative when short.
    exact: Decimal,
    net: f64,
    /// Last price.
    mark: f64,
    bars: u64,
    held: u64,
    fills: u64,
    turnover: f64,
    trip: Option<OpenTrip>,
    /// Close of the bar of the last decision, and whether it turned the position over.
    decided: (Ts, bool),
    /// What the ledger said in the beginning.
    realised: Money,
    fees: Money,
    funding: Money,
    /// Price and fee at which what was held at the end was left, where it was: the ledger does not know of it.
    left: Option<(Price, Money)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tally {
    keep: Keep,
    timeframe: Timeframe,
    rows: Vec<Row>,
    sent: Vec<Sent>,
    /// Cash without what positions cost: what was there in the beginning, less what was paid, plus what was received.
    flow: f64,
    initial: Money,
    from: Option<Ts>,
    to: Option<Ts>,
    frames: u64,
    orders: u64,
    fills: u64,
    decisions: u64,
    unanswered: u64,
    slippage: f64,
    leverage_max: f64,
    halts: Vec<(Ts, String)>,
    curve: Vec<Point>,
    trips: Vec<Trip>,
    executions: Vec<FillRow>,
}

impl Tally {
    /// Begins with what the account holds.
    pub(super) fn new(account: &Account, keep: Keep) -> Self {
        let state = account.state();
        let row = |book: &Book| Row {
            symbol: book.symbol(),
            exact: book.net(),
            net: decimal_to_f64(book.net()),
            mark: book.entry_price(),
            bars: 0,
            held: 0,
            fills: 0,
            turnover: 0.0,
            trip: None,
            decided: (Ts::EPOCH, false),
            realised: book.realised(),
            fees: book.fees(),
            funding: book.funding(),
            left: None,
        };
        let rows: Vec<Row> = state.books().iter().map(row).collect();
        Self {
            keep,
            timeframe: state.timeframe(),
            rows,
            sent: Vec::new(),
            flow: paid(state).to_f64(),
            initial: paid(state) + state.books().iter().map(Book::cost).sum(),
            from: None,
            to: None,
            frames: 0,
            orders: 0,
            fills: 0,
            decisions: 0,
            unanswered: 0,
            slippage: 0.0,
            leverage_max: 0.0,
            halts: Vec::new(),
            curve: Vec::new(),
            trips: Vec::new(),
            executions: Vec::new(),
        }
    }

    /// Makes room for so many frames.
    pub(super) fn expect(&mut self, frames: usize) {
        if self.keep.curve {
            self.curve.reserve_exact(frames);
        }
    }

    /// What is kept.
    pub(super) const fn keep(&self) -> Keep {
        self.keep
    }

    /// Whether this symbol stands at this place.
    pub(super) fn is(&self, ix: Ix, symbol: Symbol) -> bool {
        self.rows.get(ix.at()).is_some_and(|row| row.symbol == symbol)
    }

    /// Takes note of new prices.
    pub(super) fn see_price(&mut self, ix: Ix, price: f64) {
        if let Some(row) = self.rows.get_mut(ix.at()) {
            row.mark = price;
        }
    }

    /// The bars of a frame are over.
    pub(super) fn see_bars(&mut self, bars: &[(Ix, &Bar)]) {
        for (ix, bar) in bars {
            if let Some(row) = self.rows.get_mut(ix.at()) {
                (row.mark, row.bars) = (bar.close, row.bars + 1);
            }
        }
    }

    /// Bars of the only symbol, each a frame of its own, in which nothing happened.
    pub(super) fn pass(&mut self, bars: &[Bar], timeframe: Timeframe) {
        let ([row], Some(first), Some(last)) = (self.rows.as_mut_slice(), bars.first(), bars.last()) else { return };
        let count = bars.len() as u64;
        self.frames += count;
        self.from = self.from.or(Some(first.close_ts(timeframe)));
        row.bars += count;
        row.held += if row.net == 0.0 { 0 } else { count };
        let (held, flow) = (row.net, self.flow);
        let point = |bar: &Bar| {
            let net = held * bar.close;
            Point { ts: bar.close_ts(timeframe), equity: flow + net, gross: net.abs(), net }
        };
        if held != 0.0 {
            for Point { equity, gross, .. } in bars.iter().map(point) {
                if gross > self.leverage_max * equity {
                    self.leverage_max = if equity > 0.0 { gross / equity } else { f64::INFINITY };
                }
            }
        }
        if self.keep.curve {
            self.curve.extend(bars.iter().map(point));
        }
        (row.mark, self.to) = (last.close, Some(last.close_ts(timeframe)));
        if let Some(trip) = row.trip.as_mut().filter(|_| row.net != 0.0) {
            bars.iter().for_each(|bar| trip.see(bar));
        }
    }

    /// An engine has asked the model.
    pub(super) const fn on_question(&mut self, is_answered: bool) {
        if !is_answered {
            self.unanswered += 1;
        }
    }

    /// A decision that wants something.
    pub(super) fn on_decision(&mut self, decision: &Decision) {
        self.decisions += 1;
        if let (Some(row), Some(intent)) = (self.rows.get_mut(decision.instrument.at()), &decision.intent) {
            row.decided = (decision.bar, turns(intent));
        }
    }

    /// What the account asks for; `regime` tells what the market is like for an instrument.
    pub(super) fn on_action(&mut self, action: &Action, now: Ts, regime: impl FnOnce(usize) -> Regime) {
        match action {
            Action::Submit(order) => self.on_order(order, regime),
            Action::Halt(level, Reason { text, .. }) if *level > HaltLevel::None => {
                self.halts.push((now, text.clone()));
            }
            _ => {}
        }
    }

    fn on_order(&mut self, order: &Order, regime: impl FnOnce(usize) -> Regime) {
        self.orders += 1;
        let Some((at, row)) = self.rows.iter().enumerate().find(|(_, row)| row.symbol == order.symbol) else { return };
        let reference = order.trigger.map_or(row.mark, |price| price.to_f64());
        let exit = (order.leg == Leg::Exit).then(|| row.reason(order.cause));
        self.sent.push(Sent { id: order.id, at, left: order.qty, reference, exit, regime: regime(at) });
    }

    /// An order is over before it was wholly filled.
    pub(super) fn on_done(&mut self, id: OrderId) {
        if let Some(place) = self.sent.iter().position(|sent| sent.id == id) {
            self.sent.remove(place);
        }
    }

    /// An execution; `met` is when the order met the market.
    pub(super) fn on_fill(&mut self, fill: &Fill, met: Ts) {
        let Some(place) = self.sent.iter().position(|sent| sent.id == fill.order) else { return };
        let Some(sent) = self.sent.get_mut(place) else { return };
        sent.left = sent.left.less(fill.qty);
        let sent = *sent;
        if sent.left.is_zero() {
            self.sent.remove(place);
        }
        let (qty, price, fee) = (fill.qty.to_f64(), fill.price.to_f64(), fill.fee.to_f64());
        let Sent { at, reference, exit, regime, .. } = sent;
        let done = FillRow { ts: met, symbol: fill.symbol, side: fill.side, qty, price, fee, reference, exit };
        self.book(at, fill.qty.get(), done, regime);
    }

    /// Books an execution of `exact` base units.
    fn book(&mut self, at: usize, exact: Decimal, done: FillRow, regime: Regime) {
        let Some(row) = self.rows.get_mut(at) else { return };
        let FillRow { side, qty, price, fee, reference, .. } = done;
        let (sign, signed) = match side {
            Side::Buy => (1.0, exact),
            Side::Sell => (-1.0, -exact),
        };
        let before = row.exact;
        row.exact += signed;
        row.net = decimal_to_f64(row.exact);
        row.fills += 1;
        row.turnover += qty * price;
        self.fills += 1;
        self.flow -= sign * qty * price + fee;
        self.slippage += sign * (price - reference) * qty;
        if self.keep.trips {
            let part = Part { row: done, after: row.exact, bars: row.bars, regime };
            trips::follow(&mut row.trip, before, &part, &mut self.trips);
        }
        if self.keep.executions {
            self.executions.push(done);
        }
    }

    /// Funding that a position has paid or was paid.
    pub(super) fn on_funding(&mut self, funding: &Funding) {
        let came = funding.amount.to_f64();
        self.flow += came;
        if let Some(trip) =
            self.rows.iter_mut().find(|row| row.symbol == funding.symbol).and_then(|row| row.trip.as_mut())
        {
            trip.fund(-came);
        }
    }

    /// A frame is worked off.
    pub(super) fn end_frame(&mut self, ts: Ts, bars: &[(Ix, &Bar)]) {
        self.frames += 1;
        self.from = self.from.or(Some(ts));
        self.to = Some(ts);
        let (mut gross, mut net) = (0.0, 0.0);
        for row in &mut self.rows {
            let value = row.net * row.mark;
            gross += value.abs();
            net += value;
            row.held += u64::from(row.net != 0.0);
        }
        let equity = self.flow + net;
        if gross > 0.0 {
            if equity <= 0.0 {
                self.leverage_max = f64::INFINITY;
            } else if gross > self.leverage_max * equity {
                self.leverage_max = gross / equity;
            }
            for (ix, bar) in bars {
                if let Some(trip) = self.rows.get_mut(ix.at()).and_then(|row| row.trip.as_mut()) {
                    trip.see(bar);
                }
            }
        }
        if self.keep.curve {
            self.curve.push(Point { ts, equity, gross, net });
        }
    }

    /// Leaves all that is held at the last prices. The ledger is not told: [`finish`](Self::finish) reckons with it. `regime` as
    /// in [`on_action`](Self::on_action).
    pub(super) fn leave_all(&mut self, rules: &[Instrument], paper: &PaperSetup, regime: impl Fn(usize) -> Regime) {
        let Some(ts) = self.to else { return };
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get_mut(at).filter(|row| !row.exact.is_zero()) else { continue };
            let Some(rules) = rules.iter().find(|one| one.id().symbol == row.symbol) else { continue };
            let side = if row.exact.is_sign_negative() { Side::Buy } else { Side::Sell };
            let Ok(qty) = Qty::new(row.exact.abs()) else { continue };
            let Some((price, fee)) = paper.at_close(rules, side, qty, row.mark) else { continue };
            row.left = Some((price, fee));
            let (symbol, reference, exit) = (row.symbol, row.mark, Some(ExitReason::RangeEnd));
            let (qty, price, fee, exact) = (qty.to_f64(), price.to_f64(), fee.to_f64(), qty.get());
            self.orders += 1;
            self.book(at, exact, FillRow { ts, symbol, side, qty, price, fee, reference, exit }, regime(at));
        }
        if let Some(last) = self.curve.last_mut() {
            let values = || self.rows.iter().map(|row| row.net * row.mark);
            (last.gross, last.net) = (values().map(f64::abs).sum(), values().sum());
            last.equity = self.flow + last.net;
        }
    }

    /// What it came to, with the ledger's own sums.
    pub(super) fn finish(mut self, account: &Account) -> Outcome {
        let state = account.state();
        let mut symbols = BTreeMap::new();
        let (mut fees, mut funding, mut positions) = (Money::ZERO, Money::ZERO, Decimal::ZERO);
        for (row, book) in self.rows.iter().zip(state.books()) {
            if let Some(trip) = &row.trip {
                trip.write(&mut self.trips, row.net.abs(), row.mark, row.bars, None);
            }
            let mark = row.left.map_or_else(|| exact(row.mark), |left| left.0.get());
            let value = if book.is_flat() { Decimal::ZERO } else { book.net() * mark };
            let gain = Money::new(value - book.cost().get()).unwrap_or(Money::ZERO);
            let (fee, realised, unrealised) = match row.left {
                Some((_, fee)) => (fee, gain, Money::ZERO),
                None => (Money::ZERO, Money::ZERO, gain),
            };
            positions += value - fee.get();
            let sums = SymbolSums {
                bars: row.bars,
                fills: row.fills,
                turnover: row.turnover,
                realised: book.realised() - row.realised + realised,
                fees: book.fees() - row.fees + fee,
                funding: book.funding() - row.funding,
                unrealised,
                held: row.held,
            };
            fees += sums.fees;
            funding += sums.funding;
            symbols.insert(row.symbol, sums);
        }
        let final_equity = Money::new(paid(state).get() + positions).unwrap_or(Money::ZERO);
        Outcome {
            timeframe: self.timeframe,
            from: self.from,
            to: self.to,
            bars: self.rows.iter().map(|row| row.bars).sum(),
            frames: self.frames,
            orders: self.orders,
            fills: self.fills,
            decisions: self.decisions,
            unanswered: self.unanswered,
            refused: account.refusals().map(|(check, count)| (check.to_owned(), count)).collect(),
            turnover: self.rows.iter().map(|row| row.turnover).sum(),
            slippage: self.slippage,
            fees,
            funding,
            net_pnl: final_equity - self.initial,
            initial_equity: self.initial,
            final_equity,
            leverage_max: self.leverage_max,
            halts: self.halts,
            curve: self.curve,
            trips: self.trips,
            executions: self.executions,
            symbols,
        }
    }
}

/// Everything but positions: what was there in the beginning, less all that was paid, plus all that was received.
fn paid(state: &State) -> Money {
    let costs = match state.setup().kind {
        AccountKind::Linear => state.books().iter().map(Book::cost).sum(),
        AccountKind::Spot => Money::ZERO,
    };
    state.cash() - costs + state.stocks_value()
}

/// A price as a decimal: to as many digits as were written, however small it is.
fn exact(price: f64) -> Decimal {
    Decimal::from_f64_retain(price).and_then(|price| price.round_sf(PRICE_DIGITS)).unwrap_or_default()
}

impl Row {
    /// Why an exit goes.
    fn reason(&self, cause: Cause) -> ExitReason {
        match cause {
            Cause::Decision { bar } if self.decided == (bar, true) => ExitReason::Reverse,
            Cause::Decision { .. } | Cause::Rebalance { .. } => ExitReason::Signal,
            Cause::Bracket { rule, .. } => rule,
            Cause::Command { .. } => ExitReason::Flatten,
        }
    }
}
