//! The sequencer: one order of all inputs, and the phases of an instant.
//!
//! In **lockstep** instant t+1 begins when every answer for t is in, and the decisions of one instant are taken in
//! instrument order: the same inputs give the same outputs whatever threads there are. In **realtime** everything is
//! taken as it arrives, and the tape keeps the order in which it did.
//!
//! An instant with bars runs through four phases, each of which ends when the venue has answered everything it was given:
//! the venue sees the bars (orders of earlier instants fill), the account sees them (protection triggers, equity is
//! marked), the engines answer, the account takes their decisions.

use std::collections::VecDeque;

use super::lane::{EngineInput, Lane, LaneState};
use super::words::{Input, Output, Pace, VenueCommand};
use crate::account::{Account, Action};
use crate::domain::{
    Actions, Decision, Event, Frame, FreezeCause, HaltLevel, Ix, MarketEvent, Reason, ReconcileCause, Report, Ts,
};
use crate::engine::Snapshot;
use crate::record::TapeTarget;

/// Where an instant stands.
#[derive(Debug)]
enum Phase {
    Idle,
    /// The venue has the quotes, then the account gets them.
    Quotes(Vec<Event>),
    /// The venue has the bars, then the account gets them.
    Bars(Frame),
    /// The account has the bars; its exits are being worked off.
    Protection(Frame),
    /// The day has been looked at; its cancels are being worked off.
    Offer(Frame),
    /// The engines think.
    Engines,
    /// Their orders are being worked off.
    Orders,
}

/// See the module.
#[derive(Debug)]
pub struct Sequencer {
    pub(super) pace: Pace,
    pub(super) account: Account,
    pub(super) lanes: Vec<Lane>,
    pub(super) now: Ts,
    seq: u64,
    phase: Phase,
    /// Venue commands without an answer.
    pending: u32,
    /// Whether market data was asked for and has not come.
    asked: bool,
    ended: bool,
    finished: bool,
    begun: bool,
    /// Whether ledger and venue were compared since the start. Lockstep needs no comparison: venue and account begin
    /// together.
    compared: bool,
    early: Vec<Input>,
    /// Control that came in the middle of an instant, in lockstep.
    backlog: VecDeque<Event>,
    pub(super) actions: Actions<Action>,
}

impl Sequencer {
    /// A sequencer over an account, standing at trading time `now`. Every instrument's engine is expected, unless the
    /// account is halted.
    pub fn new(pace: Pace, account: Account, now: Ts) -> Self {
        let timeframe = account.state().timeframe();
        let halted = account.halt_level() >= HaltLevel::ReduceOnly;
        let state = if halted { LaneState::Halted } else { LaneState::Expected };
        let lanes = account.state().books().iter().map(|_| Lane::new(timeframe, state)).collect();
        Self {
            pace,
            account,
            lanes,
            now,
            seq: 0,
            phase: Phase::Idle,
            pending: 0,
            asked: false,
            ended: false,
            finished: false,
            begun: false,
            compared: pace == Pace::Lockstep,
            early: Vec::new(),
            backlog: VecDeque::new(),
            actions: Actions::new(),
        }
    }

    /// Frames from before the start, oldest first: what engines warm up on.
    pub fn remember(&mut self, frames: &[Frame]) {
        for frame in frames {
            for (ix, bar) in &frame.bars {
                if let Some(lane) = self.lanes.get_mut(ix.at()) {
                    lane.remember(*bar, frame.context);
                }
            }
        }
    }

    /// The account, to look at.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Trading time of the last market data.
    pub const fn now(&self) -> Ts {
        self.now
    }

    /// Starts: in realtime ledger and venue are compared; then every engine begins anew, and the first market data are asked
    /// for.
    pub fn begin(&mut self, out: &mut Actions<Output>) {
        // Its time alone does not tell: a daemon may be killed before its records move on, and the next starts where it did.
        self.tape(TapeTarget::Start(self.account.state().seq()), Event::FrameEnd, out);
        self.begun = true;
        self.remind_account(out);
        for input in std::mem::take(&mut self.early) {
            self.step(input, out);
        }
        if !self.compared {
            let before = self.pending;
            self.tell_account(Event::Reconcile { cause: ReconcileCause::Start }, out);
            if self.pending == before {
                // The account has nothing to compare.
                self.open(out);
            }
        }
        self.advance(out);
    }

    /// Ledger and venue are compared: what has waited for it goes on.
    fn open(&mut self, out: &mut Actions<Output>) {
        self.compared = true;
        for input in std::mem::take(&mut self.early) {
            self.step(input, out);
        }
    }

    /// Whether an input has to wait. Before the comparison only the venue's words, control and notes are taken: a halt waits
    /// for nobody.
    const fn is_early(&self, input: &Input) -> bool {
        !self.begun || !self.compared && !matches!(input, Input::Venue { .. } | Input::Control(_) | Input::Note(_))
    }

    /// Takes one input. What comes before the beginning waits for it.
    pub fn step(&mut self, input: Input, out: &mut Actions<Output>) {
        if self.is_early(&input) {
            self.early.push(input);
            return;
        }
        match input {
            Input::Market(event) => self.on_market(event, out),
            Input::MarketEnded => (self.asked, self.ended) = (false, true),
            Input::Answer { instrument, generation, bar, decision, snapshot } => {
                self.on_answer(instrument, generation, bar, decision, snapshot, out);
            }
            Input::Asked { generation, question } => self.on_question(generation, question, out),
            Input::Forecasts(answers) => self.on_forecasts(answers, out),
            Input::Venue { reports } => {
                self.pending = self.pending.saturating_sub(1);
                let says_all = reports.iter().any(|report| matches!(report, Report::State(_)));
                for report in reports {
                    self.tell_account(Event::Report(report), out);
                }
                if says_all && !self.compared {
                    self.open(out);
                }
            }
            Input::Attach { instrument, generation } => self.on_attach(instrument, generation, out),
            Input::Detach { instrument, returns, reason } => self.on_detach(instrument, returns, reason, out),
            Input::Forget { instrument } => {
                if let Some(lane) = self.lanes.get_mut(instrument.at()) {
                    lane.forget();
                }
            }
            Input::Control(event) => self.on_control(event, out),
            Input::Note(record) => {
                self.account.note(record, self.now, &mut self.actions);
                self.carry_out(out);
            }
            Input::Setup(setup) => self.on_setup(*setup, &[], out),
            Input::Grow { setup, history } => self.on_setup(*setup, &history, out),
        }
        self.advance(out);
    }

    fn on_market(&mut self, event: MarketEvent, out: &mut Actions<Output>) {
        self.asked = false;
        self.now = event.ts();
        match event {
            MarketEvent::Quotes { quotes, .. } => {
                let events: Vec<Event> =
                    quotes.into_iter().map(|(instrument, quote)| Event::Quote { instrument, quote }).collect();
                self.tell_venue(VenueCommand::Market(events.clone()), out);
                self.phase = Phase::Quotes(events);
            }
            MarketEvent::Frame(frame) => {
                self.tell_venue(VenueCommand::Market(bar_events(&frame).collect()), out);
                self.phase = Phase::Bars(frame);
            }
        }
    }

    /// Goes on as far as it can without waiting.
    fn advance(&mut self, out: &mut Actions<Output>) {
        loop {
            if self.pace == Pace::Lockstep && self.pending > 0 {
                return;
            }
            match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Idle => return self.idle(out),
                Phase::Quotes(events) => {
                    for event in events {
                        self.tell_account(event, out);
                    }
                    self.phase = Phase::Orders;
                }
                Phase::Bars(frame) => {
                    for event in bar_events(&frame) {
                        self.tell_account(event, out);
                    }
                    self.phase = Phase::Protection(frame);
                }
                Phase::Protection(frame) => {
                    self.tell_account(Event::FrameEnd, out);
                    self.phase = Phase::Offer(frame);
                }
                Phase::Offer(frame) => {
                    self.offer(&frame, out);
                    self.phase = Phase::Engines;
                }
                Phase::Engines => {
                    if self.pace == Pace::Lockstep {
                        self.put_questions(out);
                        if self.lanes.iter().any(Lane::is_awaited) {
                            self.phase = Phase::Engines;
                            return;
                        }
                        self.take_answers(out);
                    }
                    self.phase = Phase::Orders;
                }
                Phase::Orders => self.phase = Phase::Idle,
            }
        }
    }

    fn idle(&mut self, out: &mut Actions<Output>) {
        while let Some(event) = self.backlog.pop_front() {
            self.tell_account(event, out);
            if self.pending > 0 && self.pace == Pace::Lockstep {
                return;
            }
        }
        if self.ended {
            if !self.finished {
                self.finished = true;
                out.push(Output::Finished);
            }
        } else if !self.asked && self.compared {
            self.asked = true;
            out.push(Output::WantMarket);
        }
    }

    fn offer(&mut self, frame: &Frame, out: &mut Actions<Output>) {
        for (ix, bar) in &frame.bars {
            let Some(lane) = self.lanes.get_mut(ix.at()) else { continue };
            if lane.offer(*bar, frame.context) {
                self.tell_engine(*ix, EngineInput::Bar(*bar, frame.context), out);
            }
        }
    }

    fn take_answers(&mut self, out: &mut Actions<Output>) {
        for at in 0..self.lanes.len() {
            if let Some(Some(decision)) = self.lanes.get_mut(at).and_then(|lane| lane.answer.take()) {
                self.tell_account(Event::Decision(decision), out);
            }
        }
    }

    fn on_answer(
        &mut self,
        ix: Ix,
        generation: u64,
        bar: Ts,
        decision: Option<Decision>,
        snapshot: Option<Snapshot>,
        out: &mut Actions<Output>,
    ) {
        let Some(lane) = self.lanes.get_mut(ix.at()) else { return };
        if lane.generation != generation || lane.state != LaneState::Up || !lane.answered(bar, snapshot) {
            return;
        }
        match self.pace {
            Pace::Lockstep => lane.answer = Some(decision),
            Pace::Realtime => {
                if let Some(decision) = decision {
                    self.tell_account(Event::Decision(decision), out);
                }
            }
        }
    }

    fn on_attach(&mut self, ix: Ix, generation: u64, out: &mut Actions<Output>) {
        let view = self.account.position_view(ix);
        let latest_only = self.pace == Pace::Realtime;
        let Some(lane) = self.lanes.get_mut(ix.at()) else { return };
        if generation <= lane.generation || lane.state != LaneState::Expected {
            return;
        }
        lane.generation = generation;
        lane.state = LaneState::Up;
        let start = lane.start(view, latest_only);
        let mut first = start.cold;
        for input in start.inputs {
            if let EngineInput::Prime(bars) = &input {
                for (bar, context) in bars {
                    let event = Event::Bar { instrument: ix, bar: *bar, context: *context };
                    let target =
                        if std::mem::take(&mut first) { TapeTarget::Cold(ix) } else { TapeTarget::History(ix) };
                    self.tape(target, event, out);
                }
            }
            self.tell_engine(ix, input, out);
        }
        for (bar, context) in start.owed {
            self.tell_engine(ix, EngineInput::Bar(bar, context), out);
        }
        if self.pace == Pace::Realtime {
            self.tell_account(Event::Freeze { instrument: ix, cause: FreezeCause::Engine, reason: None }, out);
        }
    }

    /// In lockstep an engine that comes back by itself is waited for, so that nothing of its absence is to be seen; in
    /// realtime its entries are frozen until it is back.
    fn on_detach(&mut self, ix: Ix, returns: bool, reason: String, out: &mut Actions<Output>) {
        let absent = self.absent();
        let Some(lane) = self.lanes.get_mut(ix.at()) else { return };
        match (returns, lane.state) {
            (true, LaneState::Halted) => return,
            // Nobody waits for it before the resume.
            (true, _) if absent == LaneState::Halted => {
                lane.stop();
                lane.state = absent;
            }
            // What it has said stays said: it would not be asked again.
            (true, _) => lane.state = absent,
            (false, _) => lane.stop(),
        }
        if self.pace == Pace::Realtime {
            self.tell_account(Event::Freeze { instrument: ix, cause: FreezeCause::Engine, reason: Some(reason) }, out);
        }
    }

    fn on_control(&mut self, event: Event, out: &mut Actions<Output>) {
        let between = matches!(self.phase, Phase::Idle) && self.pending == 0;
        if self.pace == Pace::Lockstep && !between {
            self.backlog.push_back(event);
        } else {
            self.tell_account(event, out);
        }
    }

    /// An engine that should be there and is not.
    pub(super) fn absent(&self) -> LaneState {
        if self.account.halt_level() >= HaltLevel::ReduceOnly { LaneState::Halted } else { LaneState::Expected }
    }

    fn tell_account(&mut self, event: Event, out: &mut Actions<Output>) {
        self.account.step(&event, self.now, &mut self.actions);
        self.tape(TapeTarget::Account, event, out);
        self.carry_out(out);
    }

    pub(super) fn carry_out(&mut self, out: &mut Actions<Output>) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain() {
            match action {
                Action::Record(record) => out.push(Output::Record(self.now, *record)),
                Action::Submit(order) => self.tell_venue(VenueCommand::Submit(order), out),
                Action::Cancel(id) => self.tell_venue(VenueCommand::Cancel(id), out),
                Action::Query(id) => self.tell_venue(VenueCommand::Query(id), out),
                Action::Reconcile => self.tell_venue(VenueCommand::Reconcile, out),
                Action::Position(view) => {
                    if self.lanes.get(view.instrument.at()).is_some_and(|l| l.state == LaneState::Up) {
                        self.tell_engine(view.instrument, EngineInput::Position(view), out);
                    }
                }
                Action::Halt(level, reason) => self.on_halt(level, reason, out),
                Action::Alert(alert) => out.push(Output::Alert(alert)),
            }
        }
        self.actions = actions;
    }

    /// From `ReduceOnly` on every engine is stopped, at this very place in the order of things; after a resume each is
    /// expected again.
    fn on_halt(&mut self, level: HaltLevel, reason: Reason, out: &mut Actions<Output>) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.state != LaneState::Stopped) {
            if level >= HaltLevel::ReduceOnly {
                lane.stop();
                lane.state = LaneState::Halted;
            } else if level == HaltLevel::None && lane.state == LaneState::Halted {
                lane.state = LaneState::Expected;
            }
        }
        out.push(Output::Halt(level, reason));
    }

    pub(super) fn tell_venue(&mut self, command: VenueCommand, out: &mut Actions<Output>) {
        self.pending += 1;
        out.push(Output::Venue(self.now, command));
    }

    pub(super) fn tell_engine(&mut self, ix: Ix, input: EngineInput, out: &mut Actions<Output>) {
        match &input {
            EngineInput::Bar(bar, context) => {
                let event = Event::Bar { instrument: ix, bar: *bar, context: *context };
                self.tape(TapeTarget::Engine(ix), event, out);
            }
            EngineInput::Position(view) => self.tape(TapeTarget::Engine(ix), Event::Position(*view), out),
            EngineInput::Forecast(bar, forecast) => {
                let event = Event::Forecast { instrument: ix, bar: *bar, forecast: *forecast };
                self.tape(TapeTarget::Engine(ix), event, out);
            }
            EngineInput::Restore(_) | EngineInput::Prime(_) => {}
        }
        out.push(Output::Engine(ix, input));
    }

    pub(super) fn tape(&mut self, target: TapeTarget, event: Event, out: &mut Actions<Output>) {
        self.seq += 1;
        out.push(Output::Tape(self.seq, self.now, target, event));
    }
}

fn bar_events(frame: &Frame) -> impl Iterator<Item = Event> {
    let context = frame.context;
    frame.bars.iter().map(move |(instrument, bar)| Event::Bar { instrument: *instrument, bar: *bar, context })
}
