//! The sequencer with its hosts played in one thread: what a backtest is held to.

use std::collections::VecDeque;

use crate::account::Account;
use crate::backtest::{Forecasts, Job};
use crate::domain::hash::unit_draw;
use crate::domain::{Actions, Event, Feed as _, Forecast, Frame, HaltLevel, Ix, MarketEvent, Question, Ts, Vote};
use crate::driver::{EngineInput, Input, Output, Pace, Sequencer, VenueCommand, WARM_UP_BARS};
use crate::engine::{Core, EngineAction, EngineSetup};
use crate::features::FeatureId;
use crate::files::{FileFeed, Series};
use crate::fills::{PaperAccount, PaperVenue};
use crate::record::Record;

/// What a run of the sequencer left.
pub(super) struct Left {
    pub(super) records: Vec<(Ts, Record)>,
    /// What the model was made to say.
    pub(super) forecasts: Forecasts,
    pub(super) halts: Vec<HaltLevel>,
    /// How often an engine began without a snapshot.
    pub(super) cold: usize,
}

/// The frames before the start of a job, and its events.
pub(super) fn market_of(job: &Job<'_>) -> (Vec<Frame>, Vec<MarketEvent>) {
    let timeframe = job.market.timeframe;
    let series = job.market.symbols.iter().enumerate().map(|(at, one)| {
        (Ix::from_usize(at).unwrap(), Series { symbol: one.symbol, timeframe, bars: one.bars.clone() })
    });
    let mut feed = FileFeed::new(series.collect(), timeframe, job.from, job.to).unwrap();
    (feed.history(WARM_UP_BARS), std::iter::from_fn(|| feed.next_event()).collect())
}

/// Plays the hosts.
pub(super) struct House<'a> {
    job: Job<'a>,
    features: &'a [FeatureId],
    sequencer: Sequencer,
    venue: PaperVenue,
    seats: Vec<(u64, Option<Core>)>,
    inputs: VecDeque<Input>,
    /// Whether a halt has stopped the engines.
    stopped: bool,
    left: Left,
}

impl<'a> House<'a> {
    /// A run of these events, with an account opened at `start`.
    pub(super) fn run(
        job: &Job<'a>,
        features: &'a [FeatureId],
        start: Ts,
        history: &[Frame],
        events: Vec<MarketEvent>,
    ) -> Left {
        let setup = job.setup;
        let started = Record::Started {
            run: "backtest".parse().unwrap(),
            timeframe: job.market.timeframe,
            config_hash: String::new(),
            setup: Box::new(setup.clone()),
        };
        let account = Account::open(start, started.clone(), &mut Actions::new()).unwrap();
        let mut sequencer = Sequencer::new(Pace::Lockstep, account, start);
        sequencer.remember(history);
        let symbols = setup.instruments.len();
        let mut venue = PaperVenue::new(*job.paper, &PaperAccount::from(setup), &setup.instruments);
        for (at, rates) in job.market.funding.iter().enumerate() {
            venue.set_funding(Ix::from_usize(at).unwrap(), rates.clone());
        }
        let mut house = Self {
            job: *job,
            features,
            sequencer,
            venue,
            seats: (0..symbols).map(|_| (0, None)).collect(),
            inputs: VecDeque::new(),
            stopped: false,
            left: Left {
                records: vec![(start, started)],
                forecasts: Forecasts { symbols: vec![Vec::new(); symbols], start: Some(start) },
                halts: Vec::new(),
                cold: 0,
            },
        };
        house.attach();
        let (mut out, mut events) = (Actions::new(), VecDeque::from(events));
        while let Some(input) = house.inputs.pop_front() {
            house.sequencer.step(input, &mut out);
        }
        house.sequencer.begin(&mut out);
        loop {
            let outputs: Vec<Output> = out.drain().collect();
            for output in outputs {
                match output {
                    Output::Finished => return house.left,
                    Output::WantMarket => {
                        house.inputs.push_back(events.pop_front().map_or(Input::MarketEnded, Input::Market));
                    }
                    other => house.carry_out(other),
                }
            }
            let input = house.inputs.pop_front().expect("somebody is waited for");
            house.sequencer.step(input, &mut out);
        }
    }

    fn attach(&mut self) {
        for (at, (generation, core)) in self.seats.iter_mut().enumerate() {
            *generation += 1;
            *core = None;
            let instrument = Ix::from_usize(at).unwrap();
            self.inputs.push_back(Input::Attach { instrument, generation: *generation });
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Record(ts, record) => self.left.records.push((ts, record)),
            Output::Venue(now, command) => self.command(now, command),
            Output::Engine(ix, input) => self.engine(ix, input),
            Output::Ask { question, .. } => self.ask(&question),
            Output::Halt(level, _) => {
                self.left.halts.push(level);
                match level {
                    HaltLevel::None if std::mem::take(&mut self.stopped) => self.attach(),
                    HaltLevel::None | HaltLevel::EntryHalt => {}
                    HaltLevel::ReduceOnly | HaltLevel::Flatten => self.stopped = true,
                }
            }
            Output::Alert(alert) => assert!(!alert.text.contains("ledger refused"), "{}", alert.text),
            Output::Tape(..) | Output::WantMarket | Output::Finished => {}
        }
    }

    fn command(&mut self, now: Ts, command: VenueCommand) {
        let mut reports = Actions::new();
        match command {
            VenueCommand::Market(events) => events.iter().for_each(|e| self.venue.on_event(e, now, &mut reports)),
            VenueCommand::Submit(order) => self.venue.submit(order, now, &mut reports),
            VenueCommand::Cancel(id) => self.venue.cancel(id, now, &mut reports),
            VenueCommand::Query(id) => self.venue.tell_of(id, now, &mut reports),
            VenueCommand::Reconcile => self.venue.tell_all(now, &mut reports),
            VenueCommand::Instruments(table) => self.venue.set_instruments(&table),
        }
        self.inputs.push_back(Input::Venue { reports: reports.drain().collect() });
    }

    fn setup(&self, instrument: Ix) -> EngineSetup {
        EngineSetup {
            instrument,
            timeframe: self.job.market.timeframe,
            policy: self.job.policies[instrument.at()].clone(),
            features: self.features.to_vec(),
        }
    }

    fn engine(&mut self, instrument: Ix, input: EngineInput) {
        let setup = self.setup(instrument);
        let (_, seat) = &mut self.seats[instrument.at()];
        if let EngineInput::Restore(snapshot) = &input {
            *seat = Some(Core::restore(setup, snapshot).unwrap());
            return;
        }
        let cold = &mut self.left.cold;
        let core = seat.get_or_insert_with(|| {
            *cold += 1;
            Core::new(setup)
        });
        let mut actions = Actions::new();
        let close = match input {
            EngineInput::Restore(_) => return,
            EngineInput::Prime(bars) => return bars.iter().for_each(|(bar, context)| core.prime(bar, context)),
            EngineInput::Position(view) => return core.step(&Event::Position(view), Ts::EPOCH, &mut actions),
            EngineInput::Bar(bar, context) => {
                let close = bar.close_ts(self.job.market.timeframe);
                core.step(&Event::Bar { instrument, bar, context }, close, &mut actions);
                close
            }
            EngineInput::Forecast(bar, forecast) => {
                core.step(&Event::Forecast { instrument, bar, forecast }, bar, &mut actions);
                bar
            }
        };
        self.answer(instrument, close, actions.drain().next_back());
    }

    fn answer(&mut self, instrument: Ix, bar: Ts, action: Option<EngineAction>) {
        let (generation, core) = &self.seats[instrument.at()];
        let generation = *generation;
        let decision = match action {
            Some(EngineAction::Ask(question)) => {
                return self.inputs.push_back(Input::Asked { generation, question });
            }
            Some(EngineAction::Decide(decision)) => Some(decision),
            None => None,
        };
        let snapshot = core.as_ref().map(Core::snapshot);
        self.inputs.push_back(Input::Answer { instrument, generation, bar, decision, snapshot });
    }

    /// What the model says is drawn from what it was shown; of every seventh bar it says nothing.
    fn ask(&mut self, question: &Question) {
        let prob_up = unit_draw(question.features, 1);
        let vote = Vote { probability: prob_up, weight: 1.0 };
        let forecast = Forecast {
            version: "20220601_030000".parse().unwrap(),
            features: question.features,
            votes: [Some(vote), None, None],
            prob_up,
            quantiles: None,
        };
        let forecast = (!question.features.is_multiple_of(7)).then_some(forecast);
        if let Some(forecast) = forecast {
            self.left.forecasts.symbols[question.instrument.at()].push((question.bar, forecast));
        }
        self.inputs.push_back(Input::Forecasts(vec![(question.instrument, question.bar, forecast)]));
    }
}
