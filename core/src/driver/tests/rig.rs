//! A sequencer with a paper venue, engines and a made-up market, all in one thread and all in the test's hands.

use std::collections::VecDeque;

use crate::account::fixtures::setup;
use crate::account::{Account, AccountSetup, Action};
use crate::domain::hash::unit_draw;
use crate::domain::*;
use crate::driver::{EngineInput, Input, Output, Pace, Sequencer, VenueCommand};
use crate::engine::{Core, EngineAction, EngineSetup, EngineStep, StrategyPolicy};
use crate::fills::{PaperAccount, PaperSetup, PaperVenue, RawPaperSetup};
use crate::record::Record;

pub(super) const SYMBOLS: [&str; 3] = ["AAA", "BBB", "CCC"];
/// Frames before the run: more than a warm-up.
pub(super) const HISTORY: usize = 700;
/// Frames of the run.
pub(super) const LIVE: usize = 160;
const START: Ts = Ts::from_secs(1_654_041_600);

pub(super) const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 20.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 3
  rebalance_frequency: weekly
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 3000}
";

pub(super) fn account_setup() -> AccountSetup {
    setup(&SYMBOLS, AccountKind::Linear, RISK)
}

fn venue() -> PaperVenue {
    let raw = RawPaperSetup {
        seed: 7,
        fee: 0.0005,
        spread: 0.0002,
        slippage: 0.0001,
        latency: Span::from_millis(50),
        participation: 0.1,
        funding: 0.0001,
    };
    let setup = account_setup();
    PaperVenue::new(PaperSetup::try_from(raw).unwrap(), &PaperAccount::from(&setup), &setup.instruments)
}

/// Two averages that cross.
const CROSSES: &str = "
policy:
  name: test
  entry: {long: 'crosses_above(ema(close, 2), ema(close, 5))', short: 'crosses_below(ema(close, 2), ema(close, 5))'}
  bracket: {stop: 2 * atr(5), target: 4 * atr(5), trailing: 2.5 * atr(5), time: 20}
  volatility: atr(5) / close
";

/// The side that the model gives 80 %, until it gives it less than 40 %.
const BELIEVES: &str = "
policy:
  name: test
  entry: {long: model.prob_up >= 0.8, short: 1 - model.prob_up >= 0.8}
  exit: {long: model.prob_up < 0.4, short: 1 - model.prob_up < 0.4}
  bracket: {stop: 2 * atr(5), target: 4 * atr(5), trailing: 2.5 * atr(5), time: 20}
  volatility: atr(5) / close
";

pub(super) fn engine_setup(ix: Ix, asks_model: bool) -> EngineSetup {
    let policy = StrategyPolicy::from_yaml(if asks_model { BELIEVES } else { CROSSES }).unwrap();
    EngineSetup::new(ix, Timeframe::HOUR, policy)
}

/// `count` hourly frames of three random walks.
pub(super) fn frames(count: usize) -> Vec<Frame> {
    let mut price = [100.0_f64, 40.0, 900.0];
    let mut frame = |at: usize| {
        let open_ts = START + Span::HOUR.times(i64::try_from(at).unwrap());
        let mut bars = Vec::new();
        let before = price;
        for (ix, price) in price.iter_mut().enumerate() {
            let draw = |n: u64| unit_draw(ix as u64 + 1, at as u64 * 8 + n) - 0.5;
            let open = *price;
            let close = open * (1.0 + 0.02 * draw(0));
            let high = open.max(close) * (1.0 + 0.004 * draw(1).abs());
            let low = open.min(close) * (1.0 - 0.004 * draw(2).abs());
            *price = close;
            let ix = Ix::from_usize(ix).unwrap();
            bars.push((ix, Bar { open_ts, open, high, low, close, volume: 1_000.0 }));
        }
        let context = Context::of(before.into_iter().zip(price));
        Frame { ts: open_ts + Span::HOUR, bars, missing: Vec::new(), context }
    };
    (0..count).map(&mut frame).collect()
}

/// What follows the history, with some quotes of the last symbol between the bars.
pub(super) fn market() -> VecDeque<MarketEvent> {
    let mut events = VecDeque::new();
    for (at, frame) in frames(HISTORY + LIVE).into_iter().skip(HISTORY).enumerate() {
        if at > LIVE / 2 {
            let (ix, bar) = frame.bars[2];
            for part in 1..4 {
                let mid = bar.open + (bar.close - bar.open) * f64::from(part) / 4.0;
                let ts = bar.open_ts + Span::from_secs(900).times(i64::from(part));
                let quote = Quote { ts, bid: mid - 0.05, ask: mid + 0.05, bid_size: 50.0, ask_size: 50.0 };
                events.push_back(MarketEvent::Quotes { ts, quotes: vec![(ix, quote)] });
            }
        }
        events.push_back(MarketEvent::Frame(frame));
    }
    events
}

pub(super) fn started() -> Record {
    Record::Started {
        run: "run-1".parse().unwrap(),
        timeframe: Timeframe::HOUR,
        config_hash: String::new(),
        setup: Box::new(account_setup()),
    }
}

/// An engine where it runs.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) generation: u64,
    pub(super) core: Option<Core>,
    /// Answers of this generation.
    pub(super) answered: u32,
    /// What it was told, when the test wants to know.
    pub(super) told: Vec<EngineInput>,
}

/// See the module.
pub(super) struct Rig {
    pub(super) sequencer: Sequencer,
    pub(super) venue: PaperVenue,
    pub(super) market: VecDeque<MarketEvent>,
    pub(super) seats: Vec<Seat>,
    /// Answers that engines have given and nobody has taken.
    pub(super) answers: Vec<Input>,
    /// Questions that wait for the model, in the order in which they were sent.
    pub(super) questions: Vec<Question>,
    /// How often the model was asked to answer what it has.
    pub(super) batches: usize,
    asks_model: bool,
    pub(super) venue_answers: VecDeque<Input>,
    pub(super) wanted: bool,
    pub(super) finished: bool,
    pub(super) records: Vec<(Ts, Record)>,
    /// Every venue command that carries an order, with the number of records before it.
    pub(super) submits: Vec<(usize, OrderId)>,
    pub(super) halts: Vec<HaltLevel>,
    /// Every decision that an engine has made: instrument, close, hash of its features.
    pub(super) decided: Vec<(Ix, Ts, u64)>,
    /// Frames given so far.
    pub(super) given: usize,
}

impl Rig {
    pub(super) fn new(pace: Pace) -> Self {
        Self::with(pace, false)
    }

    /// Engines that follow a rule, or the model.
    pub(super) fn with(pace: Pace, asks_model: bool) -> Self {
        let mut actions = Actions::new();
        let history = frames(HISTORY);
        let now = history.last().unwrap().ts;
        let account = Account::open(now, started(), &mut actions).unwrap();
        let mut records = Vec::new();
        for action in actions.drain() {
            if let Action::Record(record) = action {
                records.push((now, *record));
            }
        }
        let mut sequencer = Sequencer::new(pace, account, now);
        sequencer.remember(&history);
        Self {
            sequencer,
            venue: venue(),
            market: market(),
            seats: SYMBOLS.iter().map(|_| Seat::default()).collect(),
            answers: Vec::new(),
            questions: Vec::new(),
            batches: 0,
            asks_model,
            venue_answers: VecDeque::new(),
            wanted: false,
            finished: false,
            records,
            submits: Vec::new(),
            halts: Vec::new(),
            decided: Vec::new(),
            given: 0,
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        let mut out = Actions::new();
        self.sequencer.step(input, &mut out);
        self.carry_out(&mut out);
    }

    pub(super) fn begin(&mut self) {
        let mut out = Actions::new();
        self.sequencer.begin(&mut out);
        self.carry_out(&mut out);
    }

    /// A fresh generation of an engine comes.
    pub(super) fn attach(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        seat.generation += 1;
        (seat.core, seat.answered) = (None, 0);
        let generation = seat.generation;
        self.tell(Input::Attach { instrument: Ix::from_usize(at).unwrap(), generation });
    }

    pub(super) fn attach_all(&mut self) {
        (0..self.seats.len()).for_each(|at| self.attach(at));
    }

    pub(super) fn detach(&mut self, at: usize, returns: bool) {
        self.seats[at].core = None;
        let instrument = Ix::from_usize(at).unwrap();
        self.tell(Input::Detach { instrument, returns, reason: "away".to_owned() });
    }

    pub(super) fn control(&mut self, event: Event) {
        self.tell(Input::Control(event));
    }

    fn carry_out(&mut self, out: &mut Actions<Output>) {
        for output in out.drain() {
            match output {
                Output::Record(ts, record) => self.records.push((ts, record)),
                Output::Venue(ts, command) => self.command(ts, command),
                Output::Engine(ix, input) => self.engine(ix, input),
                Output::Ask { question, last } => {
                    self.questions.push(question);
                    self.batches += usize::from(last);
                }
                Output::WantMarket => self.wanted = true,
                Output::Finished => self.finished = true,
                Output::Halt(level, _) => self.halts.push(level),
                Output::Alert(alert) => assert!(!alert.text.contains("ledger refused"), "{}", alert.text),
                Output::Tape(..) => {}
            }
        }
    }

    fn command(&mut self, now: Ts, command: VenueCommand) {
        let mut out = Actions::new();
        match command {
            VenueCommand::Market(events) => events.iter().for_each(|e| self.venue.on_event(e, now, &mut out)),
            VenueCommand::Submit(order) => {
                self.submits.push((self.records.len(), order.id));
                self.venue.submit(order, now, &mut out);
            }
            VenueCommand::Query(id) => self.venue.tell_of(id, now, &mut out),
            VenueCommand::Reconcile => self.venue.tell_all(now, &mut out),
            VenueCommand::Instruments(table) => self.venue.set_instruments(&table),
            VenueCommand::Cancel(id) => self.venue.cancel(id, now, &mut out),
        }
        self.venue_answers.push_back(Input::Venue { reports: out.drain().collect() });
    }

    fn engine(&mut self, ix: Ix, input: EngineInput) {
        let seat = &mut self.seats[ix.at()];
        seat.told.push(input.clone());
        if let EngineInput::Restore(snapshot) = &input {
            seat.core = Some(Core::restore(engine_setup(ix, self.asks_model), snapshot).unwrap());
            return;
        }
        let asks_model = self.asks_model;
        let core = seat.core.get_or_insert_with(|| Core::new(engine_setup(ix, asks_model)));
        let mut actions = Actions::new();
        match input {
            EngineInput::Restore(_) => {}
            EngineInput::Prime(bars) => bars.iter().for_each(|(bar, context)| core.prime(bar, context)),
            EngineInput::Position(view) => core.step(&Event::Position(view), Ts::EPOCH, &mut actions),
            EngineInput::Bar(bar, context) => {
                let close = bar.close_ts(Timeframe::HOUR);
                core.step(&Event::Bar { instrument: ix, bar, context }, close, &mut actions);
                let action = actions.drain().next_back();
                self.act(ix, close, action);
            }
            EngineInput::Forecast(bar, forecast) => {
                core.step(&Event::Forecast { instrument: ix, bar, forecast }, bar, &mut actions);
                if let Some(action) = actions.drain().next_back() {
                    self.act(ix, bar, Some(action));
                }
            }
        }
    }

    fn act(&mut self, instrument: Ix, bar: Ts, action: Option<EngineAction>) {
        let seat = &self.seats[instrument.at()];
        let generation = seat.generation;
        let decision = match action {
            Some(EngineAction::Ask(question)) => {
                self.answers.push(Input::Asked { generation, question });
                return;
            }
            Some(EngineAction::Decide(decision)) => Some(decision),
            None => None,
        };
        self.decided.extend(decision.map(|d| (instrument, d.bar, d.features)));
        // With the first answer and now and then, as hosts do.
        let seat = &mut self.seats[instrument.at()];
        let is_due = seat.answered.is_multiple_of(3);
        seat.answered += 1;
        let snapshot = is_due.then(|| EngineStep::snapshot(seat.core.as_ref().unwrap()));
        self.answers.push(Input::Answer { instrument, generation, bar, decision, snapshot });
    }

    /// The model answers the question at `at`; what it says is drawn from what it was shown.
    pub(super) fn model_answer(&mut self, at: usize) {
        let question = self.questions.remove(at);
        let prob_up = unit_draw(question.features, 1);
        self.tell(Input::Forecasts(vec![(
            question.instrument,
            question.bar,
            Some(forecast(question.features, prob_up)),
        )]));
    }

    pub(super) fn answer(&mut self, at: usize) {
        let answer = self.answers.remove(at);
        self.tell(answer);
    }

    pub(super) fn venue_answer(&mut self) {
        let answer = self.venue_answers.pop_front().unwrap();
        self.tell(answer);
    }

    pub(super) fn give(&mut self) {
        self.wanted = false;
        match self.market.pop_front() {
            Some(event) => {
                self.given += usize::from(matches!(event, MarketEvent::Frame(_)));
                self.tell(Input::Market(event));
            }
            None => self.tell(Input::MarketEnded),
        }
    }

    /// One thing that waits, the venue first; `false` when nothing does but market data.
    pub(super) fn settle_one(&mut self) -> bool {
        if !self.venue_answers.is_empty() {
            self.venue_answer();
        } else if !self.answers.is_empty() {
            self.answer(0);
        } else if !self.questions.is_empty() {
            self.model_answer(0);
        } else {
            return false;
        }
        true
    }

    pub(super) fn settle(&mut self) {
        while self.settle_one() {}
    }

    /// Goes on until `frames` frames are given and worked off.
    pub(super) fn run_to(&mut self, frames: usize) {
        self.settle();
        while self.given < frames && self.wanted {
            self.give();
            self.settle();
        }
        assert_eq!(self.given, frames, "somebody is waited for");
    }

    pub(super) fn run(&mut self) {
        self.settle();
        while !self.finished {
            assert!(self.wanted, "somebody is waited for");
            self.give();
            self.settle();
        }
    }

    pub(super) fn count(&self, of: impl Fn(&Record) -> bool) -> usize {
        self.records.iter().filter(|(_, record)| of(record)).count()
    }
}

pub(super) fn forecast(features: u64, prob_up: f64) -> Forecast {
    let vote = Vote { probability: prob_up, weight: 1.0 };
    let version = "20220601_030000".parse().unwrap();
    Forecast { version, features, votes: [Some(vote), None, None], prob_up, quantiles: None }
}

/// A run in which nothing goes wrong.
pub(super) fn calm() -> Rig {
    calm_with(false)
}

pub(super) fn calm_with(asks_model: bool) -> Rig {
    let mut rig = Rig::with(Pace::Lockstep, asks_model);
    rig.attach_all();
    rig.begin();
    rig.run();
    rig
}
