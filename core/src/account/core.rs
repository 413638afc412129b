//! The account core: one step an event, records first.

use rust_decimal::Decimal;

use super::approved::Approved;
use super::frames::Closing;
use super::inquiry::Inquiry;
use super::live::Live;
use super::recording::{Recording, Refusals};
use super::returns::Returns;
use super::state::{ApplyError, State};
use super::{Action, Alert, Protection, Severity};
use crate::alerts::Topic;
use crate::domain::{
    Actions, BracketSpec, Cause, Decision, Event, Fill, FreezeCause, HaltLevel, Ix, Leg, Money, Order, OrderId,
    PositionView, Price, Qty, Reason, Report, Side, Symbol, Ts, order::OrderKey,
};
use crate::record::Record;

/// The account. Its truth is [`State`]; beside it stand only things that market data brings back by itself.
#[derive(Debug, Clone)]
pub struct Account {
    pub(super) state: State,
    pub(super) live: Vec<Live>,
    /// What the last bars say of symbols together, where the policy measures.
    pub(super) returns: Option<Returns>,
    /// When the first position runs out of time: the least of what stands in `live`.
    pub(super) due: Ts,
    /// The rebalancing whose additions were tried.
    pub(super) added: Option<Ts>,
    /// Equity at the end of the last frame: where the next day's loss is counted from.
    pub(super) last_equity: Money,
    /// Since when prices that nothing confirms put the day's loss over its limit, and whether people were told.
    pub(super) unconfirmed: Option<(Ts, bool)>,
    /// When the loss of a drill was first seen.
    pub(super) drilled: Option<Ts>,
    /// Shares of the daily loss that have been warned of today: 0, 1 (50 %) or 2 (80 %).
    pub(super) warned: u8,
    /// A record that could not be folded. Nothing new is entered from then on.
    pub(super) fault: Option<ApplyError>,
    /// What the venue was asked and has not answered yet.
    pub(super) inquiry: Inquiry,
    /// Whether nothing waits for time to go on, as far as that was looked for.
    pub(super) resting: bool,
    /// Up to when ends of frames are nothing but that.
    pub(super) quiet_until: Ts,
    pub(super) closing: Closing,
    pub(super) recording: Recording,
    pub(super) refusals: Refusals,
}

/// What a step was about, for what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// A bar or a quote.
    Market,
    /// The end of a frame.
    Frame,
    /// All that the venue knows.
    State,
    /// Another word of the venue, or a comparison with it.
    Report,
    /// Nothing that moves time.
    Nothing,
}

impl Account {
    /// Opens a new account with its first record, which must be [`Record::Started`].
    ///
    /// # Errors
    /// [`ApplyError::NotStarted`] for any other record.
    pub fn open(now: Ts, started: Record, out: &mut Actions<Action>) -> Result<Self, ApplyError> {
        let state = State::open(now, &started)?;
        out.push(Action::Record(Box::new(started)));
        Ok(Self::from_state(state))
    }

    /// Continues from a state folded out of the journal, beginning with a new [`Record::Started`] that may bring changed
    /// limits.
    ///
    /// # Errors
    /// [`ApplyError::OtherAccount`] when the setup describes another account.
    pub fn restart(state: State, now: Ts, started: Record, out: &mut Actions<Action>) -> Result<Self, ApplyError> {
        let mut state = state;
        state.apply(now, &started)?;
        out.push(Action::Record(Box::new(started)));
        Ok(Self::from_state(state))
    }

    fn from_state(state: State) -> Self {
        let mut account = Self {
            live: Self::derive_live(&state),
            returns: Self::returns_of(&state, None),
            inquiry: Inquiry::new(&state),
            state,
            due: Ts::MAX,
            added: None,
            last_equity: Money::ZERO,
            unconfirmed: None,
            drilled: None,
            warned: 0,
            fault: None,
            resting: false,
            quiet_until: Ts::EPOCH,
            closing: Closing::default(),
            recording: Recording::On,
            refusals: Refusals::default(),
        };
        account.last_equity = Money::approx(account.equity()).unwrap_or(Money::ZERO);
        account.refresh_due();
        account
    }

    /// Takes one event at trading time `now`.
    pub fn step(&mut self, event: &Event, now: Ts, out: &mut Actions<Action>) {
        match event {
            Event::Bar { instrument, bar, .. } => return self.bar(*instrument, bar, now, out),
            Event::FrameEnd => return self.frame_end(now, out),
            Event::Decision(decision) => return self.decide(decision, now, out),
            Event::Report(report) => return self.report(report, now, out),
            _ => {}
        }
        let begun = self.state.protections.begun();
        let follow = match event {
            Event::Quote { instrument, quote } => {
                self.on_quote(*instrument, quote, now, out);
                Follow::Market
            }
            Event::Reconcile { cause } => {
                self.on_reconcile(*cause, now, out);
                Follow::Report
            }
            other => {
                self.on_command(other, now, out);
                Follow::Nothing
            }
        };
        self.finish(follow, begun, now, out);
    }

    /// What people and supervisors ask for.
    fn on_command(&mut self, event: &Event, now: Ts, out: &mut Actions<Action>) {
        match event {
            Event::Freeze { instrument, cause, reason } => {
                self.on_freeze(*instrument, *cause, reason.as_deref(), now, out);
            }
            Event::Halt { level, reason } => self.halt(*level, reason.clone(), now, out),
            Event::Resume { reason } => self.resume(reason.clone(), now, out),
            Event::Rebalance { reason } => self.rebalance_now(reason.clone(), now, out),
            Event::Close { instrument, reason } => self.on_close(*instrument, reason, now, out),
            Event::Drill { loss, reason } => self.on_drill(*loss, reason, now, out),
            _ => {}
        }
    }

    /// Takes an engine's decision: [`Event::Decision`] without the event.
    pub fn decide(&mut self, decision: &Decision, now: Ts, out: &mut Actions<Action>) {
        let begun = self.state.protections.begun();
        self.on_decision(decision, now, out);
        self.finish(Follow::Nothing, begun, now, out);
    }

    /// Takes a fill, as [`Report::Fill`]: an order that is filled was accepted, and one that is wholly filled is done, whether
    /// or not the venue says so. A host that fills orders itself need say no more than this.
    pub fn fill(&mut self, fill: &Fill, now: Ts, out: &mut Actions<Action>) {
        let begun = self.state.protections.begun();
        self.take_fill(fill, now, out);
        self.finish(Follow::Report, begun, now, out);
    }

    /// Takes a venue's report: [`Event::Report`] without the event.
    pub fn report(&mut self, report: &Report, now: Ts, out: &mut Actions<Action>) {
        let begun = self.state.protections.begun();
        self.on_report(report, now, out);
        let follow = if matches!(report, Report::State(_)) { Follow::State } else { Follow::Report };
        self.finish(follow, begun, now, out);
    }

    /// What every step ends with; `begun` pauses of entries there were before it.
    pub(super) fn finish(&mut self, follow: Follow, begun: u64, now: Ts, out: &mut Actions<Action>) {
        (self.resting, self.quiet_until) = (false, Ts::EPOCH);
        self.follow_up(follow, now, out);
        self.tell_of_pauses(begun, out);
        self.watch_rate(now, out);
    }

    /// Takes changed limits or instruments.
    ///
    /// # Errors
    /// [`ApplyError::OtherAccount`] when the setup describes another account; nothing has changed then.
    pub fn reconfigure(
        &mut self,
        setup: super::AccountSetup,
        now: Ts,
        out: &mut Actions<Action>,
    ) -> Result<(), ApplyError> {
        let record = Record::Setup { setup: Box::new(setup) };
        let marks: Vec<(Symbol, Live)> =
            self.state.books.iter().zip(&self.live).map(|(book, live)| (book.symbol(), *live)).collect();
        self.settle_frame();
        let (risk, cost) = (self.state.setup.risk.clone(), self.state.setup.cost_per_side);
        self.state.apply(now, &record)?;
        out.push(Action::Record(Box::new(record)));
        (self.resting, self.quiet_until) = (false, Ts::EPOCH);
        self.live = Self::derive_live(&self.state);
        let symbols: Vec<Symbol> = marks.iter().map(|(symbol, _)| *symbol).collect();
        self.returns = Self::returns_of(&self.state, self.returns.as_ref().map(|old| (old, symbols.as_slice())));
        for (book, live) in self.state.books.iter().zip(&mut self.live) {
            if let Some((_, old)) = marks.iter().find(|(symbol, _)| *symbol == book.symbol()) {
                let instrument = live.view.instrument;
                *live = *old;
                live.view.instrument = instrument;
            }
        }
        if self.state.setup.risk != risk {
            self.cancel_what_does_not_fit(cost, out);
        }
        self.refresh_due();
        Ok(())
    }

    /// Puts something on record that changes nothing: a command, a forecast, the end of a run.
    pub fn note(&mut self, record: Record, now: Ts, out: &mut Actions<Action>) {
        debug_assert!(record.is_note(), "only notes");
        self.commit(record, now, out);
    }

    /// The state that the records give.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Equity at the last marks, as `f64`: what limits reckon with. The ledger itself is exact.
    pub fn equity(&self) -> f64 {
        let positions: f64 = self.live.iter().map(|l| l.net * l.mark).sum();
        self.state.flow.to_f64() + self.state.stocks.value_f64() + positions
    }

    /// Equity without losses that only one tick has shown: what the stop reckons with.
    pub(super) fn confirmed_equity(&self) -> f64 {
        let price = |live: &Live| if live.quoted { live.witness.price_for(live.net) } else { live.mark };
        let positions: f64 = self.live.iter().map(|live| live.net * price(live)).sum();
        self.state.flow.to_f64() + self.state.stocks.value_f64() + positions
    }

    /// Says once of every pause of entries that it has begun.
    fn tell_of_pauses(&self, begun: u64, out: &mut Actions<Action>) {
        if !self.is_recording() {
            return;
        }
        let count = self.state.protections.begun() - begun;
        for pause in self.state.protections.newest(count) {
            let text = format!("{}: entries are paused until {}: {}", pause.name.as_str(), pause.until, pause.reason);
            // A cooldown follows every exit.
            let severity = if pause.name == Protection::Cooldown { Severity::Info } else { Severity::Warning };
            out.push(Action::Alert(Alert::new(severity, Topic::Account, pause.symbol, text)));
        }
    }

    /// A record that could not be folded, which is a defect of the account itself: entries are refused from then on.
    pub const fn fault(&self) -> Option<&ApplyError> {
        self.fault.as_ref()
    }

    /// Sum of the positions' absolute values at the last marks.
    pub(super) fn gross(&self) -> f64 {
        self.live.iter().map(|l| (l.net * l.mark).abs()).sum()
    }

    /// Capital held for orders on their way, summed by symbol and in the order in which they were sent.
    pub(super) fn reserved(&self) -> f64 {
        let live = self.state.books.iter().flat_map(super::book::Book::live);
        live.filter_map(|id| self.state.orders.get(id)).map(super::book::OrderState::reserved_now).sum()
    }

    /// Folds and asks for a record. A record that does not fold is a defect of the account itself: it is not written,
    /// entries stop, and people are told.
    pub(super) fn commit(&mut self, record: Record, now: Ts, out: &mut Actions<Action>) -> bool {
        if !self.is_recording()
            && matches!(
                record,
                Record::Fill { .. } | Record::Foreign { .. } | Record::Transfer { .. } | Record::Funding { .. }
            )
        {
            self.keep_holdings();
        }
        match self.state.apply(now, &record) {
            Ok(()) => {
                if self.is_recording() {
                    out.push(Action::Record(Box::new(record)));
                }
                true
            }
            Err(error) => {
                let text = || format!("the ledger refused a record, entries stop: {error}");
                self.tell(|| Alert::critical(Topic::Account, record.symbol(), text()), out);
                self.fault = Some(error);
                false
            }
        }
    }

    /// Records an order and asks for its sending: check and reserve are behind us, this is the third part of one step.
    pub(super) fn submit(&mut self, draft: Draft, now: Ts, out: &mut Actions<Action>) {
        let Some(symbol) = self.state.book(draft.ix).map(super::book::Book::symbol) else { return };
        let Some(id) = draft.id.or_else(|| self.order_id(&draft, symbol)) else { return };
        let Draft { cause, leg, attempt, .. } = draft;
        // The journal wins: what is known by this id is that order, whatever is wanted now.
        if self.names_orders() && self.state.is_known(id) {
            return;
        }
        let Draft { side, qty, trigger, reserved, bracket, .. } = draft;
        let order = Order { id, symbol, side, leg, qty, cause, attempt, trigger, created: now };
        if self.note_order(&order, reserved, bracket, now, out) {
            out.push(Action::Submit(Approved::new(order)));
        }
    }

    fn order_id(&self, draft: &Draft, symbol: Symbol) -> Option<OrderId> {
        if !self.names_orders() {
            return Some(self.counted_id());
        }
        let Draft { policy, cause, leg, attempt, .. } = *draft;
        let (account, run) = (self.state.setup.name.as_str(), self.state.run);
        OrderKey { account, run, symbol, policy, cause, leg, attempt }.id().ok()
    }

    /// Cancels our entries of one symbol.
    pub(super) fn cancel_entries(&self, ix: Ix, out: &mut Actions<Action>) {
        self.cancel_entries_of(ix, None, out);
    }

    /// Cancels our entries of one symbol and, where one is named, of one side.
    pub(super) fn cancel_entries_of(&self, ix: Ix, side: Option<Side>, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let is_meant = |order: &Order| order.leg == Leg::Entry && side.is_none_or(|side| order.side == side);
        for id in &book.live {
            if self.state.orders.get(id).is_some_and(|open| is_meant(&open.order)) {
                out.push(Action::Cancel(*id));
            }
        }
    }

    /// What an engine that has just started must be told.
    pub fn position_view(&self, ix: Ix) -> PositionView {
        self.live.get(ix.at()).map_or(PositionView::flat(ix), |live| live.view)
    }

    /// What has left the configuration is not entered any more, also where an order was on its way; one that was frozen
    /// already is cancelled again, because the cancel may have been lost.
    fn on_freeze(&mut self, ix: Ix, cause: FreezeCause, reason: Option<&str>, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        if book.frozen().get(&cause).map(String::as_str) != reason {
            let record = Record::Freeze { symbol: book.symbol(), cause, reason: reason.map(ToOwned::to_owned) };
            self.commit(record, now, out);
        }
        if cause == FreezeCause::Configuration && reason.is_some() {
            self.cancel_entries(ix, out);
        }
    }

    /// Name of the run's account with the halts in force, for the log.
    pub fn halt_level(&self) -> HaltLevel {
        self.state.halt.as_ref().map_or(HaltLevel::None, |h| h.level)
    }
}

/// An order before it has an id.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) ix: Ix,
    /// Its id, where that is known already.
    pub(super) id: Option<OrderId>,
    pub(super) side: Side,
    pub(super) leg: Leg,
    pub(super) qty: Qty,
    pub(super) cause: Cause,
    pub(super) policy: u64,
    pub(super) attempt: u32,
    pub(super) trigger: Option<Price>,
    pub(super) reserved: Money,
    pub(super) bracket: Option<BracketSpec>,
}

impl Draft {
    /// An order that closes `size` of a position held in direction `side.opposite()`.
    pub(super) const fn exit(ix: Ix, side: Side, qty: Qty, cause: Cause, attempt: u32) -> Self {
        Self {
            ix,
            id: None,
            side,
            leg: Leg::Exit,
            qty,
            cause,
            policy: 0,
            attempt,
            trigger: None,
            reserved: Money::ZERO,
            bracket: None,
        }
    }
}

/// Who speaks when the account halts itself.
pub(super) const RISK: &str = "risk";

pub(super) fn by_risk(text: String) -> Reason {
    Reason { by: RISK.to_owned(), text }
}

/// A decimal for a record, from a limit reckoned in `f64`.
pub(super) fn reserve(notional: f64, cost_per_side: f64) -> Money {
    Money::approx(notional * (1.0 + 2.0 * cost_per_side)).unwrap_or(Money::ZERO)
}

/// The quantity as a plain decimal, for text.
pub(super) fn plain(qty: Qty) -> Decimal {
    qty.get().normalize()
}
