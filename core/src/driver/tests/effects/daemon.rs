//! The daemon as its host makes it, with all that dies with it: sequencer, account, outbox and engines.

use std::collections::VecDeque;

use super::plan::{START, decision, under};
use super::world::{Live, World};
use crate::account::{Account, Action};
use crate::domain::hash::unit_draw;
use crate::domain::*;
use crate::driver::recovery::{Fold, never_sent};
use crate::driver::{EngineInput, Input, Outbox, Output, Pace, Sequencer, VenueCommand};
use crate::record::{Chain, Envelope, JournalReader, Record};

/// So many turns without a piece of market say that somebody waits for somebody.
const TURNS_MAX: usize = 2_000;

/// See the module.
pub(super) struct Daemon {
    pub(super) sequencer: Sequencer,
    outbox: Outbox,
    /// The end of the journal as written, and how far it is durable.
    chain: Chain,
    durable: u64,
    /// What engines have said and nobody has taken.
    answers: VecDeque<Input>,
    generation: u64,
    wanted: bool,
    /// Controls that were told in this life.
    told: Vec<usize>,
    /// Why ledger and venue are to be compared now.
    compare: Option<ReconcileCause>,
    recalled: Vec<Input>,
    turns: usize,
}

/// What can be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Answer,
    Control(usize),
    Sync,
    Command,
    Reply(usize),
    Compare,
    Market,
}

/// The records on disk, an incomplete last line set aside.
pub(super) fn read(disk: &[u8]) -> (Vec<Envelope>, Chain, usize) {
    let mut reader = JournalReader::new(disk);
    let mut envelopes = Vec::new();
    for item in reader.by_ref() {
        match item {
            Ok((envelope, _)) => envelopes.push(envelope),
            Err(fault) if fault.is_torn_tail() => break,
            Err(fault) => panic!("{fault}: {:?}", std::error::Error::source(&fault)),
        }
    }
    (envelopes, reader.head(), usize::try_from(reader.offset()).unwrap())
}

impl Daemon {
    /// Starts as a daemon does: reads the journal, folds it, goes on after it, and says the first words.
    pub(super) fn start(world: &mut World) -> Live<Self> {
        let (envelopes, chain, whole) = read(&world.disk);
        world.disk.truncate(whole);
        let mut fold = Fold::default();
        envelopes.iter().for_each(|envelope| fold.take(envelope));
        let past = fold.finish().unwrap_or_else(|(seq, error)| panic!("record {seq}: {error}\n{}", world.told()));
        let mut actions = Actions::new();
        let now = past.as_ref().map_or(START, |state| state.ts());
        let account = match past {
            None => Account::open(now, started(world), &mut actions).unwrap(),
            Some(state) => Account::restart(state, now, started(world), &mut actions).unwrap(),
        };
        let mut daemon = Self {
            sequencer: Sequencer::new(Pace::Realtime, account, now),
            outbox: Outbox::default(),
            durable: chain.seq,
            chain,
            answers: VecDeque::new(),
            generation: 0,
            wanted: false,
            told: Vec::new(),
            compare: None,
            recalled: Vec::new(),
            turns: 0,
        };
        let (life, durable) = (world.lives, daemon.durable);
        world.note(|| format!("life {life}: goes on after record {durable}"));
        for action in actions.drain() {
            if let Action::Record(record) = action {
                daemon.write(now, &record, world);
            }
        }
        daemon.first_words(&envelopes, world);
        Ok(daemon)
    }

    fn first_words(&mut self, envelopes: &[Envelope], world: &mut World) {
        let state = self.sequencer.account().state();
        if world.is_paper {
            let now = state.ts();
            world.exchange = super::exchange::Exchange::new(&world.plan);
            envelopes.iter().for_each(|e| world.exchange.venue.recover(&e.record, e.ts));
            world.given = world.plan.market.iter().take_while(|event| event.ts() <= now).count();
            let reports = never_sent(state, &world.exchange.venue);
            self.step(Input::Venue { reports }, world);
        }
        let halt = self.sequencer.account().state().halt().map(|halt| (halt.level, halt.reason.clone()));
        world.latch = world.latch.take().or(halt);
        if let Some((level, reason)) = world.latch.clone() {
            self.step(Input::Control(Event::Halt { level, reason }), world);
        }
        let mut out = Actions::new();
        self.sequencer.begin(&mut out);
        self.carry_out(&mut out, world);
        if world.latch.as_ref().is_none_or(|(level, _)| *level < HaltLevel::ReduceOnly) {
            self.attach(world);
        }
    }

    fn attach(&mut self, world: &mut World) {
        self.generation += 1;
        for at in 0..world.plan.setup.instruments.len() {
            let instrument = Ix::from_usize(at).unwrap();
            self.step(Input::Attach { instrument, generation: self.generation }, world);
        }
    }

    fn write(&mut self, ts: Ts, record: &Record, world: &mut World) {
        let seq = self.chain.seq + 1;
        world.note(|| format!("          {seq} {}", brief(record)));
        self.chain.encode(ts, record, &mut world.written).unwrap();
    }

    fn step(&mut self, input: Input, world: &mut World) {
        let mut out = Actions::new();
        self.sequencer.step(input, &mut out);
        self.carry_out(&mut out, world);
        for answer in std::mem::take(&mut self.recalled) {
            world.note(|| "          recalled".into());
            self.step(answer, world);
        }
    }

    fn carry_out(&mut self, out: &mut Actions<Output>, world: &mut World) {
        let (mut halted, mut resumed) = (false, false);
        for output in out.drain() {
            match output {
                Output::Record(ts, record) => self.write(ts, &record, world),
                Output::Venue(ts, command) => self.outbox.push(self.chain.seq, ts, command),
                Output::Engine(instrument, EngineInput::Bar(bar, _)) => {
                    let close = bar.close_ts(Timeframe::MINUTE);
                    let decision = Some(decision(&world.plan, instrument, close));
                    let generation = self.generation;
                    self.answers.push_back(Input::Answer {
                        instrument,
                        generation,
                        bar: close,
                        decision,
                        snapshot: None,
                    });
                }
                Output::WantMarket => self.wanted = true,
                Output::Halt(level, reason) => {
                    (halted, resumed) = (level > HaltLevel::None, level == HaltLevel::None);
                    world.latch = halted.then_some((level, reason));
                }
                Output::Alert(alert) => {
                    assert!(!alert.text.contains("ledger refused"), "{}\n{}", alert.text, world.told());
                    world.note(|| format!("          alert: {}", alert.text));
                }
                Output::Engine(..) | Output::Ask { .. } | Output::Finished | Output::Tape(..) => {}
            }
        }
        if halted {
            self.recalled.extend(self.outbox.recall_entries());
        }
        if resumed {
            self.attach(world);
        }
    }

    /// What can be done, the most urgent first.
    fn turns(&mut self, world: &World) -> Vec<Turn> {
        let mut turns = Vec::new();
        if !self.answers.is_empty() {
            turns.push(Turn::Answer);
        }
        let due =
            |at: &usize| world.plan.controls[*at].0 <= world.given && !world.obeyed[*at] && !self.told.contains(at);
        // A person waits for the one before.
        if let Some(at) = (0..world.plan.controls.len()).find(|at| !world.obeyed[*at]).filter(due) {
            turns.push(Turn::Control(at));
        }
        if !world.written.is_empty() {
            turns.push(Turn::Sync);
        }
        if let Some((ts, command)) = self.outbox.next(self.durable, false) {
            self.outbox.put_back(ts, command);
            turns.push(Turn::Command);
        }
        if let Some(at) = world.exchange.under_way.iter().position(|reply| reply.due <= world.given) {
            turns.push(Turn::Reply(at));
        }
        if self.compare.is_some() {
            turns.push(Turn::Compare);
        }
        if self.wanted && world.given < world.plan.market.len() {
            turns.push(Turn::Market);
        }
        turns
    }

    /// Does one thing; `false` when there is nothing left to do in the whole night.
    pub(super) fn turn(&mut self, world: &mut World) -> Live<bool> {
        let turns = self.turns(world);
        self.turns += 1;
        assert!(self.turns < TURNS_MAX, "nothing moves any more: {turns:?}\n{}", world.told());
        let next = match world.plan.chance {
            _ if turns.is_empty() => None,
            None => turns.first().copied(),
            // In the end nobody is kept waiting.
            Some(_) if world.plan.is_quiet(world.given) => turns.first().copied(),
            Some(seed) => {
                // The urgent mostly comes first; anything may.
                let draw = unit_draw(seed ^ 0x7ac7, (world.effects * 64 + self.turns) as u64);
                turns.get(under(turns.len(), draw * draw)).copied()
            }
        };
        let Some(next) = next else { return Ok(self.is_waiting(world)) };
        match next {
            Turn::Answer => self.answers.pop_front().into_iter().for_each(|answer| self.step(answer, world)),
            Turn::Control(at) => {
                self.told.push(at);
                let event = world.plan.controls[at].1.clone();
                world.note(|| format!("          {event:?}"));
                self.step(Input::Control(event), world);
            }
            Turn::Sync => self.sync(world)?,
            Turn::Command => self.command(world)?,
            Turn::Reply(at) => self.reply(at, world)?,
            Turn::Compare => self.compare(world),
            Turn::Market => self.market(world),
        }
        Ok(true)
    }

    /// Nothing can be done: whoever waits for the venue's word asks again. Otherwise all is over.
    fn is_waiting(&mut self, world: &World) -> bool {
        let late = world.given < world.plan.market.len();
        if late {
            self.compare = Some(ReconcileCause::Periodic);
        }
        late
    }

    fn sync(&mut self, world: &mut World) -> Live {
        world.before(|| "sync".into())?;
        let written = std::mem::take(&mut world.written);
        world.disk.extend(written);
        self.durable = self.chain.seq;
        self.told.iter().for_each(|at| world.obeyed[*at] = true);
        world.after()
    }

    fn command(&mut self, world: &mut World) -> Live {
        let Some((ts, command)) = self.outbox.next(self.durable, false) else { return Ok(()) };
        if world.is_paper {
            world.before(|| format!("venue: {}", words(&command)))?;
            let reports = world.exchange.take_paper(command, ts);
            world.exchange.under_way.push_back(super::exchange::Reply { due: 0, reports });
        } else if matches!(command, VenueCommand::Market(_) | VenueCommand::Instruments(_)) {
            // No venue elsewhere is told of its own market.
            self.step(Input::Venue { reports: Vec::new() }, world);
            return Ok(());
        } else {
            world.before(|| format!("venue: {}", words(&command)))?;
            let halted = world.latch.is_some();
            let World { exchange, plan, given, .. } = world;
            exchange.take(command, halted, plan, *given);
        }
        world.after()
    }

    fn reply(&mut self, at: usize, world: &mut World) -> Live {
        let Some(reply) = world.exchange.under_way.get(at).cloned() else { return Ok(()) };
        world.before(|| format!("heard: {}", reply.reports.iter().map(said).collect::<Vec<_>>().join(", ")))?;
        world.exchange.under_way.remove(at);
        self.step(Input::Venue { reports: reply.reports }, world);
        world.after()
    }

    fn compare(&mut self, world: &mut World) {
        let Some(cause) = self.compare.take() else { return };
        self.step(Input::Control(Event::Reconcile { cause }), world);
    }

    fn market(&mut self, world: &mut World) {
        let Some(event) = world.move_market() else { return };
        (self.wanted, self.turns) = (false, 0);
        let given = world.given;
        world.note(|| format!("          market {given}"));
        self.step(Input::Market(event), world);
        // A minute has passed: longer than the venue is left unasked.
        let cause = if world.exchange.gap { ReconcileCause::Reconnect } else { ReconcileCause::Periodic };
        self.compare = Some(cause);
    }
}

fn started(world: &World) -> Record {
    Record::Started {
        run: "run-1".parse().unwrap(),
        timeframe: Timeframe::MINUTE,
        config_hash: String::new(),
        setup: Box::new(world.plan.setup.clone()),
    }
}

fn words(command: &VenueCommand) -> String {
    match command {
        VenueCommand::Submit(order) => format!("submit {} {:?} {:?} {}", order.id, order.side, order.leg, order.qty),
        VenueCommand::Market(_) => "market".into(),
        other => format!("{other:?}"),
    }
}

fn said(report: &Report) -> String {
    match report {
        Report::Fill(fill) => format!("fill of {} {}", fill.order, fill.qty),
        Report::State(state) => format!("all: {} open, gap {}", state.orders.len(), state.gap),
        other => format!("{other:?}"),
    }
}

fn brief(record: &Record) -> String {
    match record {
        Record::Started { .. } => "started".into(),
        Record::Decision { symbol, verdict, .. } => format!("decision {symbol} {}", verdict_of(verdict)),
        Record::Intent { order, .. } => format!("intent {} {} {:?} {}", order.id, order.symbol, order.leg, order.cause),
        Record::Mark { equity, .. } => format!("mark {equity}"),
        Record::Fill { fill } => format!("fill {} {} {}", fill.order, fill.qty, fill.price),
        other => format!("{other:?}").chars().take(240).collect(),
    }
}

fn verdict_of(verdict: &crate::record::Verdict) -> String {
    match verdict {
        crate::record::Verdict::Approved { .. } => "approved".into(),
        crate::record::Verdict::Refused { check, reason, .. } => format!("refused: {check}: {reason}"),
        crate::record::Verdict::Unchanged => "unchanged".into(),
    }
}
