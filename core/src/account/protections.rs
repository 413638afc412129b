//! Pauses of entries after bad times, folded from the record: what has closed, how equity went, and what is paused.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::book::{Book, OrderState};
use super::policy::{LowProfit, MaxDrawdown, RawProtections, StopLossGuard};
use crate::domain::{Cause, Direction, ExitReason, Money, OrderId, Span, Symbol, Ts};
use crate::record::Record;

/// The most closed positions that are remembered.
const TRIPS_MAX: usize = 4_096;
/// The window of the drawdown is kept in so many steps.
const STEPS: i64 = 256;

/// A rule that pauses entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// A position has closed.
    Cooldown,
    /// Many stops.
    StopLossGuard,
    /// A fall of equity.
    MaxDrawdown,
    /// A symbol that earns too little.
    LowProfit,
}

impl Protection {
    /// All of them, in the order of their checks.
    pub const ALL: [Self; 4] = [Self::Cooldown, Self::StopLossGuard, Self::MaxDrawdown, Self::LowProfit];

    /// As the policy and checks name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::StopLossGuard => "stop_loss_guard",
            Self::MaxDrawdown => "max_drawdown",
            Self::LowProfit => "low_profit",
        }
    }

    pub(super) const fn is_on(self, keys: &RawProtections) -> bool {
        match self {
            Self::Cooldown => keys.cooldown.is_some(),
            Self::StopLossGuard => keys.stop_loss_guard.is_some(),
            Self::MaxDrawdown => keys.max_drawdown.is_some(),
            Self::LowProfit => keys.low_profit.is_some(),
        }
    }
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveProtection {
    /// Which rule.
    pub name: Protection,
    /// Whose entries; `None` for all.
    pub symbol: Option<Symbol>,
    /// When it ends.
    pub until: Ts,
    /// What began it, in words.
    pub reason: String,
}

/// A position from its opening to its end.
#[derive(Debug, Clone, PartialEq)]
struct Trip {
    symbol: Symbol,
    closed: Ts,
    /// Realised PnL less fees and funding, those of the entry included.
    profit: Money,
    /// The most that it cost at a time.
    cost: Money,
    /// What closed the last of it; `None` for others' trades and what was written off.
    exit: Option<ExitReason>,
}

/// What is known of one symbol while and between positions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Course {
    /// Realised PnL less fees and funding when the last position had closed.
    settled: Money,
    open: Option<(Direction, Money)>,
}

/// The fold.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Protections {
    trips: VecDeque<Trip>,
    courses: BTreeMap<Symbol, Course>,
    curve: Curve,
    active: Vec<ActiveProtection>,
    /// When each began the last time: what it has counted then is not counted again.
    counted: BTreeMap<(Protection, Option<Symbol>), Ts>,
    /// Pauses begun so far.
    begun: u64,
    /// What had been paid in when the last transfer was seen.
    contributed: Money,
}

impl Protections {
    /// Sees a record after it was folded into `books`.
    pub(super) fn follow(
        &mut self,
        ts: Ts,
        record: &Record,
        keys: &RawProtections,
        books: &[Book],
        orders: &BTreeMap<OrderId, OrderState>,
        contributed: Money,
    ) {
        match record {
            Record::Fill { fill } => {
                let exit = orders.get(&fill.order).and_then(|o| exit_of(o.order.cause));
                self.on_change(ts, fill.symbol, exit, keys, books);
            }
            Record::Foreign { fill, .. } => self.on_change(ts, fill.symbol, None, keys, books),
            Record::Dust { symbol, .. } => self.on_change(ts, *symbol, None, keys, books),
            Record::Transfer { .. } => {
                let moved = contributed - std::mem::replace(&mut self.contributed, contributed);
                self.curve.shift(moved.to_f64());
            }
            Record::Mark { equity, .. } => self.on_mark(ts, equity.to_f64(), keys),
            Record::Started { .. } | Record::Setup { .. } => self.adopt(keys, books),
            _ => {}
        }
    }

    /// A changed policy ends the pauses of rules that it no longer has; a symbol that was given up is forgotten.
    fn adopt(&mut self, keys: &RawProtections, books: &[Book]) {
        self.active.retain(|pause| pause.name.is_on(keys));
        self.courses.retain(|symbol, _| books.iter().any(|book| book.symbol() == *symbol));
        if keys.max_drawdown.is_none() {
            self.curve = Curve::default();
        }
    }

    fn on_change(&mut self, ts: Ts, symbol: Symbol, exit: Option<ExitReason>, keys: &RawProtections, books: &[Book]) {
        let Some(book) = books.iter().find(|book| book.symbol() == symbol) else { return };
        let course = self.courses.entry(symbol).or_default();
        let net = book.net_realised();
        let held = book.direction();
        if let Some((direction, cost)) = course.open
            && held != Some(direction)
        {
            let trip = Trip { symbol, closed: ts, profit: net - course.settled, cost, exit };
            *course = Course { settled: net, open: None };
            self.on_closed(trip, keys);
        }
        if let Some(direction) = held {
            let course = self.courses.entry(symbol).or_default();
            let cost = course.open.map_or(Money::ZERO, |(_, cost)| cost).max(book.cost().abs());
            course.open = Some((direction, cost));
        }
    }

    fn on_closed(&mut self, trip: Trip, keys: &RawProtections) {
        let (now, symbol) = (trip.closed, trip.symbol);
        self.trips.push_back(trip);
        let window = keys.longest_window();
        while self.trips.len() > TRIPS_MAX || self.trips.front().is_some_and(|first| now - first.closed > window) {
            self.trips.pop_front();
        }
        if let Some(cooldown) = keys.cooldown {
            let reason = format!("its position closed at {now}");
            self.begin(Protection::Cooldown, Some(symbol), now, cooldown.after_exit.span(), reason);
        }
        if let Some(guard) = keys.stop_loss_guard {
            self.guard_stops(guard, symbol, now);
        }
        if let Some(low) = keys.low_profit {
            self.guard_profit(low, symbol, now);
        }
    }

    /// Closed positions within a window that this rule has not counted before.
    fn fresh(&self, name: Protection, scope: Option<Symbol>, within: Span, now: Ts) -> impl Iterator<Item = &Trip> {
        let counted = self.counted.get(&(name, scope)).copied();
        let recent = self.trips.iter().rev().take_while(move |trip| now - trip.closed <= within);
        let recent = recent.take_while(move |trip| counted.is_none_or(|at| trip.closed > at));
        recent.filter(move |trip| scope.is_none_or(|symbol| trip.symbol == symbol))
    }

    fn guard_stops(&mut self, guard: StopLossGuard, symbol: Symbol, now: Ts) {
        let scope = guard.per_symbol.then_some(symbol);
        let stopped = |trip: &&Trip| {
            matches!(trip.exit, Some(ExitReason::Stop | ExitReason::Trailing)) && trip.profit.is_negative()
        };
        let within = guard.within.span();
        let stops = self.fresh(Protection::StopLossGuard, scope, within, now).filter(stopped).count();
        if stops >= guard.stops as usize {
            let reason = format!("{stops} positions were stopped at a loss within {}", guard.within);
            self.begin(Protection::StopLossGuard, scope, now, guard.pause.span(), reason);
        }
    }

    fn guard_profit(&mut self, low: LowProfit, symbol: Symbol, now: Ts) {
        let scope = Some(symbol);
        let (mut count, mut profit, mut cost) = (0_usize, 0.0, 0.0);
        for trip in self.fresh(Protection::LowProfit, scope, low.within.span(), now) {
            (count, profit, cost) = (count + 1, profit + trip.profit.to_f64(), cost + trip.cost.to_f64());
        }
        if count < low.trades as usize || cost <= 0.0 || 100.0 * profit >= low.profit_pct * cost {
            return;
        }
        let (pct, within) = (100.0 * profit / cost, low.within);
        let reason = format!("{count} closed positions within {within} made {pct:.2} % of their cost together");
        self.begin(Protection::LowProfit, scope, now, low.pause.span(), reason);
    }

    /// Whether a mark would change anything.
    pub(super) fn mind_marks(&self, keys: &RawProtections) -> bool {
        keys.max_drawdown.is_some() || !self.active.is_empty()
    }

    pub(super) fn on_mark(&mut self, ts: Ts, equity: f64, keys: &RawProtections) {
        self.active.retain(|pause| pause.until > ts);
        let Some(MaxDrawdown { drawdown_pct, within, pause }) = keys.max_drawdown else { return };
        let Some(peak) = self.curve.mark(ts, equity, within.span()) else { return };
        if 100.0 * (peak - equity) < drawdown_pct * peak {
            return;
        }
        let fall = 100.0 * (peak - equity) / peak;
        let reason = format!("equity fell by {fall:.2} % from {peak:.2} within {within}, {drawdown_pct} % are allowed");
        self.curve.rest_until(ts + pause.span());
        self.begin(Protection::MaxDrawdown, None, ts, pause.span(), reason);
    }

    fn begin(&mut self, name: Protection, symbol: Option<Symbol>, now: Ts, pause: Span, reason: String) {
        self.active.retain(|old| old.until > now && (old.name, old.symbol) != (name, symbol));
        self.active.push(ActiveProtection { name, symbol, until: now + pause, reason });
        self.counted.insert((name, symbol), now);
        self.begun += 1;
    }

    /// Pauses in force at `now`, oldest first.
    pub(super) fn active(&self, now: Ts) -> impl Iterator<Item = &ActiveProtection> {
        self.active.iter().filter(move |pause| pause.until > now)
    }

    /// Whether any pause keeps a symbol's positions from becoming larger.
    pub(super) fn holds_up(&self, symbol: Symbol, now: Ts) -> bool {
        self.active(now).any(|pause| pause.symbol.is_none_or(|paused| paused == symbol))
    }

    /// Pauses begun so far.
    pub(super) const fn begun(&self) -> u64 {
        self.begun
    }

    /// The last `count` that have begun.
    pub(super) fn newest(&self, count: u64) -> &[ActiveProtection] {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.active.len());
        self.active.get(self.active.len() - count..).unwrap_or_default()
    }
}

/// Which rule an order of this cause closes by.
const fn exit_of(cause: Cause) -> Option<ExitReason> {
    match cause {
        Cause::Bracket { rule, .. } => Some(rule),
        Cause::Decision { .. } | Cause::Rebalance { .. } => Some(ExitReason::Signal),
        Cause::Command { .. } => Some(ExitReason::Flatten),
    }
}

/// The highest equity of a window, by marks. Of marks that a later one reaches, none is kept, and of falling ones the
/// first of each step of the window: what is called the peak was always a mark within the window, and is at most one
/// step of the window late to rise or fall.
#[derive(Debug, Clone, PartialEq, Default)]
struct Curve {
    /// Falling, oldest first.
    peaks: VecDeque<(Ts, f64)>,
    /// While a fall that was found is paused for, nothing is counted.
    resting: Option<Ts>,
}

impl Curve {
    /// One more mark; the peak of the window, or `None` while it rests.
    fn mark(&mut self, ts: Ts, equity: f64, window: Span) -> Option<f64> {
        if let Some(until) = self.resting {
            if ts < until {
                return None;
            }
            *self = Self::default();
        }
        while self.peaks.front().is_some_and(|(at, _)| ts - *at > window) {
            self.peaks.pop_front();
        }
        while self.peaks.back().is_some_and(|(_, peak)| *peak <= equity) {
            self.peaks.pop_back();
        }
        let step = (window.nanos() / STEPS).max(1);
        let same_step = |at: Ts| at.nanos().div_euclid(step) == ts.nanos().div_euclid(step);
        if self.peaks.back().is_none_or(|(at, _)| !same_step(*at)) {
            self.peaks.push_back((ts, equity));
        }
        self.peaks.front().map(|(_, peak)| *peak).filter(|peak| *peak > 0.0)
    }

    fn rest_until(&mut self, until: Ts) {
        *self = Self { peaks: VecDeque::new(), resting: Some(until) };
    }

    /// Money that came or went is no profit and no loss.
    fn shift(&mut self, value: f64) {
        for (_, peak) in &mut self.peaks {
            *peak += value;
        }
    }
}
