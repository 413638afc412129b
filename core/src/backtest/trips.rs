//! Positions from their first fill to their last.

use rust_decimal::Decimal;

use super::{FillRow, Trip};
use crate::domain::{Bar, Direction, ExitReason, Side};
use crate::regime::Regime;

/// The position that is open in one symbol, in the making.
#[derive(Debug, Clone)]
pub(super) struct OpenTrip {
    /// Its place in the list of all.
    at: usize,
    /// Bars of the symbol before its first fill.
    since: u64,
    /// Most base units held.
    peak: f64,
    entered_qty: f64,
    entered_value: f64,
    left_qty: f64,
    left_value: f64,
    fees: f64,
    funding: f64,
    /// Lowest and highest price since the first fill.
    low: f64,
    high: f64,
}

/// An execution as a trip sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) row: FillRow,
    /// Base units held after it, exact.
    pub(super) after: Decimal,
    /// Bars of the symbol so far.
    pub(super) bars: u64,
    /// What the market was like when it was decided.
    pub(super) regime: Regime,
}

impl OpenTrip {
    fn begin(part: &Part, qty: f64, trips: &mut Vec<Trip>) -> Self {
        let FillRow { ts, symbol, side, price, .. } = part.row;
        trips.push(Trip {
            symbol,
            direction: if side == Side::Buy { Direction::Long } else { Direction::Short },
            entered: ts,
            left: None,
            bars: 0,
            qty,
            entry_price: price,
            exit_price: price,
            gross: 0.0,
            fees: 0.0,
            funding: 0.0,
            net: 0.0,
            adverse: 0.0,
            favourable: 0.0,
            exit: None,
            regime: part.regime,
        });
        Self {
            at: trips.len() - 1,
            since: part.bars,
            peak: 0.0,
            entered_qty: 0.0,
            entered_value: 0.0,
            left_qty: 0.0,
            left_value: 0.0,
            fees: 0.0,
            funding: 0.0,
            low: price,
            high: price,
        }
    }

    fn enter(&mut self, qty: f64, price: f64, fee: f64) {
        self.entered_qty += qty;
        self.peak = self.peak.max(self.entered_qty - self.left_qty);
        self.entered_value += qty * price;
        self.fees += fee;
        self.reach(price, price);
    }

    fn leave(&mut self, qty: f64, price: f64, fee: f64) {
        self.left_qty += qty;
        self.left_value += qty * price;
        self.fees += fee;
        self.reach(price, price);
    }

    /// Funding that was paid; negative when it was received.
    pub(super) const fn fund(&mut self, paid: f64) {
        self.funding += paid;
    }

    const fn reach(&mut self, low: f64, high: f64) {
        self.low = self.low.min(low);
        self.high = self.high.max(high);
    }

    /// A bar at whose end the position was held.
    pub(super) const fn see(&mut self, bar: &Bar) {
        self.reach(bar.low, bar.high);
    }

    /// Writes what has come of it so far; what is still held is worth `mark`.
    pub(super) fn write(
        &self,
        trips: &mut [Trip],
        held: f64,
        mark: f64,
        bars: u64,
        end: Option<(FillRow, ExitReason)>,
    ) {
        let Some(trip) = trips.get_mut(self.at) else { return };
        let (left_qty, left_value) = (self.left_qty + held, self.left_value + held * mark);
        trip.entry_price = self.entered_value / self.entered_qty;
        trip.exit_price = if end.is_some() && self.left_qty > 0.0 { self.left_value / self.left_qty } else { mark };
        trip.qty = self.peak;
        trip.gross = trip.direction.sign() * (left_value - trip.entry_price * left_qty);
        (trip.fees, trip.funding) = (self.fees, self.funding);
        trip.net = trip.gross - trip.fees - trip.funding;
        let (down, up) =
            ((trip.entry_price - self.low) / trip.entry_price, (self.high - trip.entry_price) / trip.entry_price);
        let (adverse, favourable) = if trip.direction == Direction::Long { (down, up) } else { (up, down) };
        (trip.adverse, trip.favourable) = (adverse.max(0.0), favourable.max(0.0));
        trip.bars = u32::try_from(bars.saturating_sub(self.since)).unwrap_or(u32::MAX);
        trip.left = end.map(|(row, _)| row.ts);
        trip.exit = end.map(|(_, reason)| reason);
    }
}

/// Follows an execution: a position begins, grows, becomes smaller, ends, or ends and another one begins.
pub(super) fn follow(open: &mut Option<OpenTrip>, before: Decimal, part: &Part, trips: &mut Vec<Trip>) {
    let FillRow { side, qty, price, fee, .. } = part.row;
    let reduces = !before.is_zero() && before.is_sign_negative() == (side == Side::Buy);
    if !reduces {
        open.get_or_insert_with(|| OpenTrip::begin(part, qty, trips)).enter(qty, price, fee);
        return;
    }
    let turned = !part.after.is_zero() && part.after.is_sign_negative() != before.is_sign_negative();
    if !turned && !part.after.is_zero() {
        if let Some(trip) = open {
            trip.leave(qty, price, fee);
        }
        return;
    }
    let closed = crate::domain::decimals::decimal_to_f64(before.abs()).min(qty);
    let share = if turned { fee * closed / qty } else { fee };
    if let Some(mut trip) = open.take() {
        trip.leave(closed, price, share);
        let reason = part.row.exit.unwrap_or(ExitReason::Reverse);
        trip.write(trips, 0.0, price, part.bars, Some((part.row, reason)));
    }
    if turned {
        let rest = qty - closed;
        let mut next = OpenTrip::begin(part, rest, trips);
        next.enter(rest, price, fee - share);
        *open = Some(next);
    }
}
