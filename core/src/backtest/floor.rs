//! The phases of an instant: who sees what, in which order.
//!
//! They are those of [`crate::driver::Sequencer`] in lockstep, with calls where it has messages. What a phase makes the
//! account ask of the venue is carried out when the phase is over, each command's reports are told to the account as one
//! batch, and what a batch makes it ask for comes after all that was asked before.

use std::collections::VecDeque;

use super::forecasts::Cursors;
use super::seat::{Answer, Seat};
use super::tally::Tally;
use super::{Keep, Opening};
use crate::account::{Account, AccountSetup, Action, ApplyError, Approved, Book};
use crate::domain::{
    Actions, Bar, Context, Decision, Event, Forecast, HaltLevel, Ix, MarketEvent, Order, OrderId, Quote, Report,
    Timeframe, Ts,
};
use crate::fills::{PaperSetup, PaperVenue};
use crate::record::{Record, SymbolForecast};

/// What becomes of records.
pub(super) trait Sink {
    /// Whether anybody wants them.
    const IS_ON: bool;
    /// Takes one.
    fn take(&mut self, ts: Ts, record: Record);
}

/// Nobody wants records.
#[derive(Debug)]
pub(super) struct Nobody;

impl Sink for Nobody {
    const IS_ON: bool = false;
    fn take(&mut self, _ts: Ts, _record: Record) {}
}

impl<F: FnMut(Ts, Record) + ?Sized> Sink for &mut F {
    const IS_ON: bool = true;
    fn take(&mut self, ts: Ts, record: Record) {
        self(ts, record);
    }
}

/// What the venue is asked.
#[derive(Debug)]
enum Command {
    Submit(Approved<Order>),
    Cancel(OrderId),
    Query(OrderId),
    Reconcile,
}

/// Where the orders met the market of which reports come.
#[derive(Debug, Clone, Copy)]
enum Met<'a> {
    /// At the open of these bars.
    Bars(&'a [(Ix, &'a Bar)]),
    /// When the report says.
    AsReported,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Floor<'a, S> {
    account: Account,
    venue: PaperVenue,
    seats: Vec<Seat>,
    forecasts: Cursors<'a>,
    tally: Tally,
    sink: S,
    now: Ts,
    needs_context: bool,
    actions: Actions<Action>,
    /// Reports that the account has not been told of, and where each batch of them ends.
    reports: Actions<Report>,
    ends: VecDeque<usize>,
    /// The memory of reports that were told.
    spare: Actions<Report>,
    commands: Vec<Command>,
    asked: Vec<(usize, Ts, Option<Forecast>)>,
    decisions: Vec<Decision>,
}

impl<'a, S: Sink> Floor<'a, S> {
    /// Everybody in place, at the trading time at which the account was opened.
    pub(super) fn new(opening: Opening, seats: Vec<Seat>, forecasts: Cursors<'a>, keep: Keep, sink: S) -> Self {
        let Opening { account, asked, venue } = opening;
        let (now, tally) = (account.state().ts(), Tally::new(&account, keep));
        let needs_context = seats.iter().any(Seat::needs_context);
        let mut floor = Self {
            account,
            venue,
            seats,
            forecasts,
            tally,
            sink,
            now,
            needs_context,
            actions: asked,
            reports: Actions::new(),
            ends: VecDeque::new(),
            spare: Actions::new(),
            commands: Vec::new(),
            asked: Vec::new(),
            decisions: Vec::new(),
        };
        floor.carry_out();
        floor
    }

    /// Whether the view across symbols is of any use.
    pub(super) const fn needs_context(&self) -> bool {
        self.needs_context
    }

    /// Makes room for so many frames.
    pub(super) fn expect(&mut self, frames: usize) {
        self.tally.expect(frames);
    }

    /// Begins: `history` is what engines and account know of the past, by instrument, oldest first.
    pub(super) fn begin(&mut self, history: &[Vec<(Bar, Context)>]) {
        let wanted = self.account.remembers();
        for (at, (bars, seat)) in history.iter().zip(&mut self.seats).enumerate() {
            bars.iter().for_each(|(bar, context)| seat.prime(bar, context));
            let Some(ix) = Ix::from_usize(at) else { break };
            for (bar, _) in bars.iter().skip(bars.len().saturating_sub(wanted)) {
                self.account.remember(ix, bar);
            }
        }
        self.carry_out();
        let halted = self.account.halt_level() >= HaltLevel::ReduceOnly;
        for (at, seat) in self.seats.iter_mut().enumerate() {
            let Some(ix) = Ix::from_usize(at) else { break };
            seat.tell_position(&self.account.position_view(ix));
            if halted {
                seat.stop();
            }
        }
    }

    /// One piece of market data from its arrival to the venue's last word on it.
    pub(super) fn market(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Quotes { ts, quotes } => self.quotes(*ts, quotes),
            MarketEvent::Frame(frame) => {
                let bars: Vec<(Ix, &Bar)> = frame.bars.iter().map(|(ix, bar)| (*ix, bar)).collect();
                self.frame(frame.ts, &bars, &frame.context);
            }
        }
    }

    fn quotes(&mut self, ts: Ts, quotes: &[(Ix, Quote)]) {
        self.now = ts;
        for (instrument, quote) in quotes {
            let event = Event::Quote { instrument: *instrument, quote: *quote };
            self.venue.on_event(&event, ts, &mut self.reports);
        }
        self.settle(Met::AsReported);
        for (instrument, quote) in quotes {
            if quote.is_sound() {
                self.tally.see_price(*instrument, quote.mid());
            }
            let event = Event::Quote { instrument: *instrument, quote: *quote };
            self.account.step(&event, ts, &mut self.actions);
            self.carry_out();
        }
        self.settle(Met::AsReported);
    }

    /// All bars that close at `ts`.
    pub(super) fn frame(&mut self, ts: Ts, bars: &[(Ix, &Bar)], context: &Context) {
        self.now = ts;
        for (instrument, bar) in bars {
            self.venue.bar(*instrument, bar, ts, &mut self.reports);
        }
        self.settle(Met::Bars(bars));
        self.tally.see_bars(bars);
        for (instrument, bar) in bars {
            self.account.bar(*instrument, bar, ts, &mut self.actions);
            self.carry_out();
        }
        self.settle(Met::AsReported);
        self.account.frame_end(ts, &mut self.actions);
        self.carry_out();
        self.settle(Met::AsReported);
        self.engines(bars, context);
        self.settle(Met::AsReported);
        self.tally.end_frame(ts, bars);
    }

    /// Passes over bars of the only symbol while nothing happens, up to and with the first on which its engine wants
    /// something; tells how many. Each core takes each of them as it takes them one by one, only not in turns.
    pub(super) fn skim(&mut self, bars: &[Bar], timeframe: Timeframe) -> usize {
        const ONLY: Ix = Ix(0);
        let Some(until) = self.venue.rests_until(ONLY).filter(|_| !S::IS_ON) else { return 0 };
        let quiet = self.account.quiet_bars(ONLY, bars, until, timeframe);
        let Some(seat) = self.seats.first_mut() else { return 0 };
        let (count, decision) = seat.skim(bars.get(..quiet).unwrap_or_default());
        let bars = bars.get(..count).unwrap_or_default();
        let Some((last, before)) = bars.split_last() else { return 0 };
        self.account.pass(ONLY, bars, timeframe);
        self.venue.pass(ONLY, last);
        self.tally.pass(before, timeframe);
        self.now = last.close_ts(timeframe);
        let last = [(ONLY, last)];
        self.tally.see_bars(&last);
        if let Some(decision) = decision {
            self.tally.on_decision(&decision);
            self.account.decide(&decision, self.now, &mut self.actions);
            self.carry_out();
            self.settle(Met::AsReported);
        }
        self.tally.end_frame(self.now, &last);
        count
    }

    /// The engines answer, and the account takes what they want in instrument order.
    fn engines(&mut self, bars: &[(Ix, &Bar)], context: &Context) {
        for (ix, bar) in bars {
            let Some(seat) = self.seats.get_mut(ix.at()) else { continue };
            match seat.take(bar, context, || self.account.position_view(*ix)) {
                Answer::Nothing => {}
                Answer::Decision(decision) => self.decisions.push(decision),
                Answer::Ask(bar, features) => {
                    let forecast = self.forecasts.find(ix.at(), bar, features);
                    self.tally.on_question(forecast.is_some());
                    self.asked.push((ix.at(), bar, forecast));
                }
            }
        }
        if !self.asked.is_empty() {
            self.tell_forecasts();
        }
        let mut decisions = std::mem::take(&mut self.decisions);
        for decision in decisions.drain(..) {
            // An engine that was stopped meanwhile has said nothing.
            if self.seats.get(decision.instrument.at()).is_some_and(Seat::is_up) {
                self.tally.on_decision(&decision);
                self.account.decide(&decision, self.now, &mut self.actions);
                self.carry_out();
            }
        }
        self.decisions = decisions;
    }

    /// What the model said stands on record before an engine is told.
    fn tell_forecasts(&mut self) {
        let books = self.account.state().books();
        let named = |(at, _, forecast): &(usize, Ts, Option<Forecast>)| {
            books.get(*at).map(|book| SymbolForecast { symbol: book.symbol(), forecast: *forecast })
        };
        // Without a sink the record counts all the same: a command's order is named after its number.
        let forecasts = if S::IS_ON { self.asked.iter().filter_map(named).collect() } else { Vec::new() };
        self.account.note(Record::Forecasts { bar: self.now, forecasts }, self.now, &mut self.actions);
        self.carry_out();
        for (at, bar, forecast) in self.asked.drain(..) {
            let Some(seat) = self.seats.get_mut(at) else { continue };
            if let Some(decision) = seat.tell_forecast(bar, forecast) {
                self.decisions.push(decision);
            }
        }
        self.decisions.sort_by_key(|decision| decision.instrument);
    }

    #[inline]
    fn carry_out(&mut self) {
        if !self.actions.is_empty() {
            self.act();
        }
    }

    fn act(&mut self) {
        for action in self.actions.drain() {
            self.tally.on_action(&action, self.now, |at| self.seats.get(at).map(Seat::regime).unwrap_or_default());
            match action {
                Action::Record(record) => self.sink.take(self.now, *record),
                Action::Submit(order) => self.commands.push(Command::Submit(order)),
                Action::Cancel(id) => self.commands.push(Command::Cancel(id)),
                Action::Query(id) => self.commands.push(Command::Query(id)),
                Action::Reconcile => self.commands.push(Command::Reconcile),
                Action::Position(view) => {
                    if let Some(seat) = self.seats.get_mut(view.instrument.at()) {
                        seat.tell_position(&view);
                    }
                }
                Action::Halt(level, _) if level >= HaltLevel::ReduceOnly => self.seats.iter_mut().for_each(Seat::stop),
                Action::Halt(HaltLevel::None, _) => self.seats.iter_mut().for_each(Seat::resume),
                Action::Halt(..) | Action::Alert(_) => {}
            }
        }
    }

    /// Until the venue has answered everything it was given. The first batch is what it has said by itself, of orders that
    /// have `met` the market so.
    #[inline]
    fn settle(&mut self, met: Met<'_>) {
        if !(self.reports.is_empty() && self.commands.is_empty()) {
            self.work_off(met);
        }
    }

    fn work_off(&mut self, mut met: Met<'_>) {
        self.end_batch();
        loop {
            self.carry_to_venue();
            if self.reports.is_empty() {
                return;
            }
            let told = std::mem::replace(&mut self.reports, std::mem::take(&mut self.spare));
            let told = self.tell(told, met);
            self.spare = told;
            met = Met::AsReported;
        }
    }

    /// Tells the account batch by batch. What a batch makes it ask for is carried out behind it, and answered after all that
    /// is here already.
    fn tell(&mut self, mut told: Actions<Report>, mut met: Met<'_>) -> Actions<Report> {
        let (mut at, mut left) = (0, self.ends.len());
        while let Some(end) = (left > 0).then(|| self.ends.pop_front()).flatten() {
            left -= 1;
            for report in told.as_slice().get(at..end).unwrap_or_default() {
                self.count(report, met);
                self.account.report(report, self.now, &mut self.actions);
                self.carry_out();
            }
            (at, met) = (end, Met::AsReported);
            self.carry_to_venue();
        }
        told.drain();
        told
    }

    /// Carries out what the account asks of the venue: the reports of each command are one batch.
    fn carry_to_venue(&mut self) {
        let Self { commands, venue, reports, ends, now, .. } = self;
        for command in commands.drain(..) {
            let before = reports.as_slice().len();
            match command {
                Command::Submit(order) => venue.submit(order, *now, reports),
                Command::Cancel(id) => venue.cancel(id, *now, reports),
                Command::Query(id) => venue.tell_of(id, *now, reports),
                Command::Reconcile => venue.tell_all(*now, reports),
            }
            let end = reports.as_slice().len();
            if end > before {
                ends.push_back(end);
            }
        }
    }

    /// What the venue has said by itself is one batch.
    fn end_batch(&mut self) {
        let end = self.reports.as_slice().len();
        if end > 0 {
            self.ends.push_back(end);
        }
    }

    fn count(&mut self, report: &Report, met: Met<'_>) {
        match report {
            Report::Fill(fill) => {
                let bar = match met {
                    Met::Bars(bars) => bars.iter().find(|(ix, _)| self.tally.is(*ix, fill.symbol)),
                    Met::AsReported => None,
                };
                self.tally.on_fill(fill, bar.map_or(fill.ts, |(_, bar)| bar.open_ts));
            }
            Report::Done { order, .. } => self.tally.on_done(*order),
            Report::Funding(funding) => self.tally.on_funding(funding),
            _ => {}
        }
    }

    /// The account.
    pub(super) const fn account(&self) -> &Account {
        &self.account
    }

    /// Who takes the records.
    pub(super) const fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// A bar of the past, which the account measures with.
    pub(super) fn remember(&mut self, ix: Ix, bar: &Bar) {
        self.account.remember(ix, bar);
    }

    /// Numbers records from there on.
    pub(super) const fn count_from(&mut self, seq: u64) {
        self.account.count_from(seq);
    }

    /// What people and supervisors ask of the account, between two instants.
    pub(super) fn control(&mut self, ts: Ts, event: &Event) {
        self.now = ts;
        self.account.step(event, ts, &mut self.actions);
        self.carry_out();
        self.settle(Met::AsReported);
    }

    /// Changed limits or instruments; `seat` makes a place for an instrument that has come.
    pub(super) fn reconfigure(
        &mut self,
        ts: Ts,
        setup: AccountSetup,
        seat: impl Fn(Ix) -> Seat,
    ) -> Result<(), ApplyError> {
        self.now = ts;
        let before: Vec<_> = self.account.state().books().iter().map(Book::symbol).collect();
        self.account.reconfigure(setup, ts, &mut self.actions)?;
        self.carry_out();
        self.venue.set_instruments(&self.account.state().setup().instruments);
        let after = self.account.state().books().iter().map(Book::symbol);
        for (at, symbol) in after.enumerate() {
            let Some(ix) = Ix::from_usize(at) else { break };
            match self.seats.get_mut(at) {
                Some(_) if before.get(at) == Some(&symbol) => {}
                Some(place) => *place = seat(ix),
                None => self.seats.push(seat(ix)),
            }
        }
        self.settle(Met::AsReported);
        Ok(())
    }

    /// An engine takes its place, and is told the position. Where the account is halted it is stopped.
    pub(super) fn place(&mut self, ix: Ix, mut seat: Seat) {
        seat.tell_position(&self.account.position_view(ix));
        if self.account.halt_level() >= HaltLevel::ReduceOnly {
            seat.stop();
        }
        if let Some(place) = self.seats.get_mut(ix.at()) {
            *place = seat;
        }
    }

    /// Everybody begins anew. `told` is what the venue says of orders that were on their way.
    pub(super) fn begin_anew(&mut self, opening: Opening, seats: Vec<Seat>, told: &[Report]) {
        let Opening { account, asked, venue } = opening;
        self.now = account.state().ts();
        self.tally = Tally::new(&account, self.tally.keep());
        (self.account, self.venue, self.seats, self.actions) = (account, venue, seats, asked);
        self.reports = Actions::new();
        self.commands.clear();
        self.spare = Actions::new();
        self.ends.clear();
        self.carry_out();
        for report in told {
            self.account.report(report, self.now, &mut self.actions);
            self.carry_out();
        }
        self.settle(Met::AsReported);
    }

    /// The time is over: what is held is left at the last closes, in the books of the backtest alone.
    pub(super) fn leave_all(&mut self, paper: &PaperSetup) {
        let Self { tally, account, seats, .. } = self;
        tally.leave_all(&account.state().setup().instruments, paper, |at| {
            seats.get(at).map(Seat::regime).unwrap_or_default()
        });
    }

    /// What it came to.
    pub(super) fn finish(self) -> super::Outcome {
        self.tally.finish(&self.account)
    }
}
