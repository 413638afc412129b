//! Bars and ends of frames, and the many of them in which nothing can happen.
//!
//! A bar changes nothing but prices while the account *rests* (no exit is waited for, nothing was asked of the venue, nothing
//! is flattened or rebalanced) and the bar stays inside the band of the position's bracket, before its time is over.
//! That takes a few comparisons, whatever else the account knows.
//!
//! With records the end of each frame puts a mark on record, exact to the last decimal. Without them nobody reads it, and
//! it is reckoned only when a day begins, of what stood at the end of the last frame: prices and holdings that have
//! changed since are kept aside as they were.

use rust_decimal::Decimal;

use super::Action;
use super::book::Book;
use super::core::{Account, Follow};
use super::live::Live;
use super::state::State;
use crate::domain::instrument::Rounding;
use crate::domain::{Actions, Bar, Direction, HaltLevel, Ix, Money, Price, Span, Timeframe, Ts};
use crate::record::{MarkedPosition, MarkedStock, Record};

/// Prices between which a position's bracket does nothing: neither stop nor target is reached, and no best price moves a
/// trailing stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    low: f64,
    high: f64,
}

impl Band {
    /// Nothing is watched.
    const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    #[inline]
    fn holds(&self, bar: &Bar) -> bool {
        self.low < bar.low && bar.high < self.high
    }
}

impl Book {
    /// What a bar must leave before the bracket has anything to do with it.
    pub(super) fn band(&self, is_closing: bool) -> Band {
        let Some((direction, bracket)) = self.guarding(is_closing) else { return Band::ALL };
        let best = bracket.trailing.map(|_| bracket.best);
        match direction {
            Direction::Long => Band {
                low: bracket.stop.unwrap_or(f64::NEG_INFINITY),
                high: bracket.target.unwrap_or(f64::INFINITY).min(best.unwrap_or(f64::INFINITY)),
            },
            Direction::Short => Band {
                low: bracket.target.unwrap_or(f64::NEG_INFINITY).max(best.unwrap_or(f64::NEG_INFINITY)),
                high: bracket.stop.unwrap_or(f64::INFINITY),
            },
        }
    }
}

/// The end of the last frame, where it was not put on record.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing {
    /// How many frames have ended so.
    frame: u64,
    /// When the last one ended.
    at: Ts,
    /// Whether its mark has not been reckoned yet.
    pending: bool,
    /// The frame whose holdings are kept aside, and what was neither in positions then.
    kept: Option<(u64, Decimal)>,
}

impl Closing {
    /// A frame has ended. Its mark counts as a record all the same: what is numbered is numbered alike.
    #[inline]
    const fn end(&mut self, state: &mut State, now: Ts) {
        (self.frame, self.at, self.pending) = (self.frame + 1, now, true);
        state.count(now);
    }
}

/// What of a symbol stood at the end of the last frame, kept aside when it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// The frame whose last price is kept.
    frame: u64,
    mark: f64,
    net: Decimal,
    /// Price and time of the last end of a frame with a position, where one was closed since.
    held: Option<(f64, Ts)>,
}

impl Kept {
    pub(super) const NOTHING: Self = Self { frame: u64::MAX, mark: 0.0, net: Decimal::ZERO, held: None };
}

impl Live {
    /// To be called before a price is taken.
    #[inline]
    pub(super) const fn keep(&mut self, closing: &Closing) {
        if self.kept.frame != closing.frame {
            (self.kept.frame, self.kept.mark) = (closing.frame, self.mark);
        }
    }

    /// The price at the end of the last frame.
    #[inline]
    const fn closing_mark(&self, closing: &Closing) -> f64 {
        if self.kept.frame == closing.frame { self.kept.mark } else { self.mark }
    }
}

impl Account {
    /// Takes a closed bar: [`crate::domain::Event::Bar`] without the event.
    #[inline]
    pub fn bar(&mut self, ix: Ix, bar: &Bar, now: Ts, out: &mut Actions<Action>) {
        if self.rests() && self.hear_quietly(ix, bar, now) {
            return;
        }
        self.take_bar(ix, bar, now, out);
    }

    /// How many of these bars, each of them sound and a frame of its own, close before `until` and would change nothing but the price,
    /// their ends of frames included. None with records, and none where the day's loss is watched.
    pub fn quiet_bars(&mut self, ix: Ix, bars: &[Bar], until: Ts, timeframe: Timeframe) -> usize {
        if self.returns.is_some() || !self.rests() {
            return 0;
        }
        let Some(live) = self.live.get(ix.at()).filter(|live| !live.quoted) else { return 0 };
        let (band, until) = match live.net == 0.0 {
            true => (Band::ALL, self.quiet_until.min(until)),
            false => (live.band, self.quiet_until.min(until).min(live.expires)),
        };
        let is_quiet = |bar: &&Bar| band.holds(bar) && bar.close_ts(timeframe) < until;
        bars.iter().take_while(is_quiet).count()
    }

    /// Takes bars that [`Self::quiet_bars`] has counted.
    pub fn pass(&mut self, ix: Ix, bars: &[Bar], timeframe: Timeframe) {
        let Self { live, closing, state, .. } = self;
        let Some(live) = live.get_mut(ix.at()) else { return };
        // Of all but the last two only how many there were is left.
        let (passed, last) = bars.split_at(bars.len().saturating_sub(2));
        closing.frame += passed.len() as u64;
        state.pass(passed.len() as u64);
        for bar in last {
            let now = bar.close_ts(timeframe);
            live.keep(closing);
            live.hear_bar(bar, now);
            closing.end(state, now);
        }
    }

    fn take_bar(&mut self, ix: Ix, bar: &Bar, now: Ts, out: &mut Actions<Action>) {
        let begun = self.state.protections.begun();
        self.on_bar(ix, bar, now, out);
        self.finish(Follow::Market, begun, now, out);
    }

    /// All bars of an instant have been given: [`crate::domain::Event::FrameEnd`] without the event.
    #[inline]
    pub fn frame_end(&mut self, now: Ts, out: &mut Actions<Action>) {
        if now < self.quiet_until {
            self.closing.end(&mut self.state, now);
        } else {
            self.end_frame(now, out);
        }
    }

    fn end_frame(&mut self, now: Ts, out: &mut Actions<Action>) {
        let begun = self.state.protections.begun();
        if self.is_quiet_frame(now) {
            let seq = self.state.seq;
            self.watch_day(now, out);
            self.close_frame(now);
            if self.state.seq == seq + 1 {
                return;
            }
        } else {
            self.expire(now, out);
            self.tell_unprotected(out);
            self.on_frame_end(now, out);
            self.rebalance_if_due(now, out);
        }
        self.finish(Follow::Frame, begun, now, out);
    }

    /// Whether no order, question, halt or plan waits for time to go on. Found once, until something happens.
    #[inline]
    fn rests(&mut self) -> bool {
        self.resting = self.resting || self.is_at_rest();
        self.resting
    }

    fn is_at_rest(&self) -> bool {
        let state = &self.state;
        !state.books.iter().any(Book::waits)
            && self.inquiry.is_idle()
            && state.rebalancing.is_done()
            && self.halt_level() < HaltLevel::Flatten
            && !self.runs_away()
    }

    /// Takes a bar that changes nothing but the price; `false` where it may be more than that, and nothing was taken.
    #[inline]
    fn hear_quietly(&mut self, ix: Ix, bar: &Bar, now: Ts) -> bool {
        let Some(live) = self.live.get_mut(ix.at()) else { return false };
        let is_quiet = live.net == 0.0 || (live.band.holds(bar) && now < live.expires);
        if !is_quiet || !bar.is_sound() || bar.open_ts > now {
            return false;
        }
        if let Some(returns) = &mut self.returns {
            returns.take(ix, bar);
        }
        live.keep(&self.closing);
        live.hear_bar(bar, now);
        true
    }

    /// Whether the end of a frame is nothing but that. Never so with records: then a mark is made.
    fn is_quiet_frame(&mut self, now: Ts) -> bool {
        let setup = &self.state.setup;
        let Some(day) = self.state.day.filter(|_| !self.is_recording()) else { return false };
        let until = self.due.min(Ts::EPOCH.saturating_add(Span::DAY.times(day.day + 1)));
        let unlimited = setup.unlimited;
        let is_quiet = now < until && (unlimited || !setup.risk.is_rebalanced()) && self.rests();
        if is_quiet && unlimited {
            // There is no loss of the day to be watched: so are all until then.
            self.quiet_until = until;
        }
        is_quiet
    }

    /// Ends a frame without a mark on record.
    pub(super) fn close_frame(&mut self, now: Ts) {
        self.closing.end(&mut self.state, now);
        let setup = &self.state.setup;
        if !setup.unlimited && self.state.protections.mind_marks(setup.risk.protections()) {
            let equity = self.equity_at_marks();
            let State { protections, setup, .. } = &mut self.state;
            protections.on_mark(now, equity.to_f64(), setup.risk.protections());
        }
    }

    /// To be called before a trade or transfer is booked without a record: what stood at the end of the last frame is
    /// kept aside.
    pub(super) fn keep_holdings(&mut self) {
        let Self { state, live, closing, .. } = self;
        if !closing.pending || closing.kept.is_some_and(|(frame, _)| frame == closing.frame) {
            return;
        }
        closing.kept = Some((closing.frame, state.flow.get() + state.stocks_value().get()));
        for (book, live) in state.books.iter().zip(live) {
            live.kept.net = book.net();
            if !book.is_flat() {
                live.kept.held = Some((live.closing_mark(closing), closing.at));
            }
        }
    }

    /// Reckons the mark of the last frame that was ended without one: `last_equity`, and the prices of the books.
    pub(super) fn settle_frame(&mut self) {
        let Self { state, live, closing, last_equity, .. } = self;
        if !std::mem::take(&mut closing.pending) {
            return;
        }
        let kept = closing.kept.filter(|(frame, _)| *frame == closing.frame).map(|(_, rest)| rest);
        let mut equity = kept.unwrap_or_else(|| state.flow.get() + state.stocks_value().get());
        for (book, live) in state.books.iter_mut().zip(live) {
            let net = if kept.is_some() { live.kept.net } else { book.net() };
            let held = live.kept.held.take();
            let at_end = (!net.is_zero()).then(|| (live.closing_mark(closing), closing.at));
            let Some((price, at)) = at_end.or(held) else { continue };
            let Ok(mark) = book.instrument().price(price, Rounding::Nearest) else { continue };
            equity += net * mark.get();
            (book.marked, book.marked_at) = (Some(mark), at);
        }
        *last_equity = Money::new(equity).unwrap_or(state.flow);
    }

    /// The account at the end of an instant, exact at the marks it names.
    pub(super) fn mark_record(&self) -> Record {
        let marked = |(book, mark): (&Book, Price)| MarkedPosition {
            symbol: book.symbol(),
            net: book.net(),
            cost: book.cost(),
            mark,
        };
        let positions = self.marks().map(marked).collect();
        let stocks = self.state.stocks().map(|(asset, stock)| MarkedStock::of(asset, &stock)).collect();
        Record::Mark { cash: self.state.cash(), equity: self.equity_at_marks(), positions, stocks }
    }

    /// Equity at the last marks, each in whole ticks.
    pub(super) fn equity_at_marks(&self) -> Money {
        let cash = self.state.flow.get() + self.state.stocks_value().get();
        let equity = self.marks().fold(cash, |sum, (book, mark)| sum + book.net() * mark.get());
        Money::new(equity).unwrap_or(self.state.flow)
    }

    /// Books that hold something, each with its last price in whole ticks.
    fn marks(&self) -> impl Iterator<Item = (&Book, Price)> {
        let held = self.state.books.iter().zip(&self.live).filter(|(book, _)| !book.is_flat());
        held.filter_map(|(book, live)| Some((book, book.instrument().price(live.mark, Rounding::Nearest).ok()?)))
    }
}
