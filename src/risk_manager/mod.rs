//! The risk manager: the account on a thread of its own, and the one place through which every input goes.
//!
//! It hosts the sequencer, makes records durable before the venue commands that follow them leave, gives engines their
//! inputs, and publishes the account for the faces. It decides nothing itself.

mod answers;
mod comparisons;
mod counts;
mod halts;
mod links;
mod measures;
mod questions;
mod trading_log;
mod venue_lost;
mod venue_watch;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use levibot_core::account::Action;
use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Actions, Cause, HaltLevel, MarketEvent, Span, Ts};
use levibot_core::driver::{Input, Outbox, Output, Pace, Sequencer, VenueCommand};
use levibot_core::record::{Record, TapeEntry};
use tokio::sync::mpsc;

use crate::control::Board;
use crate::forecaster::Ask;
use crate::journal::{Journal, JournalWatch, TapeWriter};
use crate::market::Pull;
use crate::supervisor::AccountSays;
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;
use crate::venue::VenueTell;

use answers::Answers;
use comparisons::Comparisons;
pub use counts::{Counts, Latency};
use halts::Halts;
use links::Links;
use measures::Measures;
use questions::Questions;
pub use trading_log::TARGET as TRADING_TARGET;
use venue_watch::VenueWatch;
pub use words::{Closed, HouseEvent, Stand, Tell};

/// Inputs that may wait.
const MAILBOX: usize = 16_384;
/// The account is published for faces at most this often.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// Venue commands that may wait before no more market data are asked for.
const OUTBOX_MAX: usize = 4_096;
/// How often waiting venue commands and the tape are looked at besides the events that move them.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A venue that owes an answer for so long (real time) is lost.
const VENUE_PATIENCE: Span = Span::from_secs(10);
/// How often the tape hands over what it holds.
const TAPE_EVERY: Duration = Duration::from_secs(1);

/// What a risk manager is made of.
pub struct Parts {
    /// The sequencer with its account.
    pub sequencer: Sequencer,
    /// Records of the opening that are not yet in the journal.
    pub opening: Vec<(Ts, Record)>,
    /// The journal, open.
    pub journal: Journal,
    /// The tape, if one is kept, and the number of its last entry.
    pub tape: Option<(TapeWriter, u64)>,
    /// How time passes.
    pub pace: Pace,
    /// The venue.
    pub venue: Recipient<VenueTell>,
    /// The market.
    pub market: Recipient<Pull>,
    /// The model; `None` where no strategy asks one.
    pub model: Option<Recipient<Ask>>,
    /// The supervisor.
    pub supervisor: Recipient<AccountSays>,
    /// Where faces look.
    pub board: Board,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Where alerts go.
    pub alerts: Vec<Arc<dyn AlertChannel>>,
    /// The latch file that mirrors a halt.
    pub latch: crate::latch::LatchFile,
    /// Where the daemon hears from here.
    pub events: mpsc::UnboundedSender<HouseEvent>,
    /// What the journal held before.
    pub counts: Counts,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("pace", &self.pace).field("board", &self.board).finish_non_exhaustive()
    }
}

/// See the module.
pub struct RiskManager {
    parts: Parts,
    watch: JournalWatch,
    links: Links,
    outbox: Outbox,
    /// Answers to commands that a halt has taken back.
    recalled: Vec<Input>,
    outputs: Actions<Output>,
    records: Vec<(Ts, Record)>,
    published: Option<Instant>,
    frame_since: Option<Instant>,
    latency: Latency,
    measures: Measures,
    questions: Questions,
    answers: Answers,
    venue: VenueWatch,
    comparisons: Comparisons,
    /// Why nothing new is sent any more: the journal or the venue is lost.
    sealed: Option<String>,
    begun: bool,
    closed: bool,
    /// Market data are wanted and have not been asked for.
    market_waits: bool,
    halts: Halts,
}

impl fmt::Debug for RiskManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RiskManager").field("parts", &self.parts).field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

impl RiskManager {
    /// A risk manager, not yet begun.
    pub fn new(parts: Parts) -> Self {
        let watch = parts.journal.watch();
        Self {
            watch,
            links: Links::default(),
            outbox: Outbox::default(),
            recalled: Vec::new(),
            outputs: Actions::new(),
            records: parts.opening.clone(),
            published: None,
            frame_since: None,
            latency: Latency::default(),
            measures: Measures::new(Arc::clone(&parts.metrics), parts.sequencer.account().state()),
            questions: Questions::default(),
            answers: Answers::new(parts.sequencer.account().state()),
            venue: VenueWatch::new(VENUE_PATIENCE),
            comparisons: Comparisons::default(),
            sealed: None,
            begun: false,
            closed: false,
            market_waits: false,
            halts: Halts::new(parts.sequencer.account().halt_level()),
            parts,
        }
    }

    fn input(&mut self, input: Input) {
        self.halts.begin_input();
        if let Input::Market(event) = &input {
            self.count_market(event);
        }
        if let Input::Answer { instrument, generation, bar, .. } = &input {
            self.answers.answered(*instrument, *generation, *bar, self.measures.metrics());
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        self.parts.sequencer.step(input, &mut outputs);
        self.carry_out(&mut outputs);
        loop {
            let mut more = std::mem::take(&mut self.recalled);
            let lost = self.questions.take_lost();
            if !lost.is_empty() {
                more.push(Input::Forecasts(lost));
            }
            if more.is_empty() {
                break;
            }
            for input in more {
                self.parts.sequencer.step(input, &mut outputs);
                self.carry_out(&mut outputs);
            }
        }
        self.outputs = outputs;
    }

    fn count_market(&mut self, event: &MarketEvent) {
        let now = event.ts();
        self.parts.board.beat(|pulse| pulse.now = now);
        if let MarketEvent::Frame(frame) = event {
            self.frame_since = Some(Instant::now());
            let bars = frame.bars.len() as u64;
            self.parts.counts.bars += bars;
            self.measures.metrics().bars_taken(bars);
            self.parts.board.beat(|pulse| pulse.bars += bars);
        }
    }

    /// Does what the sequencer asks, in its order: records are handed to the journal together, and each venue command
    /// waits for the records before it.
    fn carry_out(&mut self, outputs: &mut Actions<Output>) {
        let mut halts = false;
        for output in outputs.drain() {
            match output {
                Output::Record(ts, record) => self.records.push((ts, record)),
                Output::Tape(seq, ts, to, event) => self.tape(TapeEntry { seq, ts, to, event }),
                Output::Venue(ts, command) => {
                    let after = self.parts.journal.head().seq + self.records.len() as u64;
                    self.outbox.push(after, ts, command);
                }
                Output::Engine(ix, input) => {
                    self.answers.offered(ix, &input);
                    if !self.links.tell(ix, input) {
                        self.measures.metrics().mailbox_full("engine");
                    }
                }
                Output::Ask { question, last } => self.questions.push(question, last),
                Output::WantMarket => self.want_market(),
                Output::Finished => self.say(HouseEvent::Finished),
                Output::Halt(level, reason) => {
                    halts |= level > HaltLevel::None;
                    self.on_halt(level, reason);
                }
                Output::Alert(alert) => self.alert(&alert),
            }
        }
        if halts && self.parts.pace == Pace::Realtime {
            self.recalled.extend(self.outbox.recall_entries());
        }
        self.write();
        self.keep_latch();
        self.release();
        self.ask();
        self.publish(false);
    }

    /// Asks for more market data, unless too many commands wait for the journal or the venue: then later.
    fn want_market(&mut self) {
        self.market_waits = self.outbox.len() >= OUTBOX_MAX;
        if !self.market_waits && !self.closed && self.parts.market.try_send(Pull).is_err() {
            self.say(HouseEvent::Fatal("the market is gone".to_owned()));
        }
    }

    fn ask(&mut self) {
        if !self.questions.send(self.parts.model.as_ref()) {
            self.measures.metrics().mailbox_full("model");
        }
    }

    fn say(&self, event: HouseEvent) {
        // The daemon listens until the very end; afterwards nobody needs to know.
        let _ = self.parts.events.send(event);
    }

    fn alert(&self, alert: &Alert) {
        for channel in &self.parts.alerts {
            channel.send(alert);
        }
    }

    fn tape(&mut self, entry: TapeEntry) {
        let Some((tape, base)) = &mut self.parts.tape else { return };
        if let Err(error) = tape.push(TapeEntry { seq: entry.seq + *base, ..entry }) {
            self.seal(format!("the tape cannot be written: {error}"));
        }
    }

    /// Hands the gathered records to the journal.
    fn write(&mut self) {
        if self.sealed.is_some() {
            self.records.clear();
        }
        if self.records.is_empty() {
            return;
        }
        for (ts, record) in &self.records {
            trading_log::log(*ts, record);
            self.parts.counts.take(record);
            self.measures.record(record);
        }
        match self.parts.journal.append(&self.records) {
            Ok(seqs) => {
                self.measures.appended(seqs.end.saturating_sub(1));
                for ((_, record), seq) in self.records.iter().zip(seqs) {
                    // Exits of brackets answer to quotes and not to a frame.
                    if let (Record::Intent { order, .. }, Some(since)) = (record, self.frame_since)
                        && matches!(order.cause, Cause::Decision { .. })
                    {
                        self.latency.wait(seq, since);
                    }
                }
            }
            Err(error) => self.seal(format!("the journal cannot be written: {}", chain(&error))),
        }
        self.records.clear();
    }

    /// Lets venue commands go whose records are durable. When the journal is lost, orders stay and cancels go.
    fn release(&mut self) {
        let durable = self.watch.durable().head.seq;
        self.latency.durable(durable, self.measures.metrics());
        self.measures.durable(durable);
        if self.sealed.is_none()
            && let Some(failure) = self.watch.failure()
        {
            self.seal(format!("the journal is lost: {}", chain(failure.as_ref())));
        }
        self.send_waiting(durable);
        self.time_cancels();
        if self.market_waits && self.outbox.len() < OUTBOX_MAX {
            self.want_market();
        }
    }

    fn send_waiting(&mut self, durable: u64) {
        self.hold_after_gap();
        let sealed = self.sealed.is_some();
        if self.venue.is_lost() {
            return;
        }
        while let Some((ts, command)) = self.outbox.next(durable, sealed) {
            let compares = matches!(command, VenueCommand::Reconcile);
            match self.parts.venue.try_send(VenueTell(ts, command)) {
                Ok(()) => {
                    self.venue.asked();
                    if compares {
                        self.comparisons.sent();
                    }
                }
                Err(SendError::Full(VenueTell(ts, command))) => {
                    self.measures.metrics().mailbox_full("venue");
                    self.outbox.put_back(ts, command);
                    return;
                }
                Err(SendError::Closed(_)) => {
                    self.venue.lose("it does not take commands any more".to_owned());
                    return;
                }
            }
        }
    }

    /// From here on no order is sent. In lockstep that is the end of the run; in realtime protection at the venue and
    /// cancels live on, and people are told.
    fn seal(&mut self, why: String) {
        if self.sealed.is_some() {
            return;
        }
        self.alert(&Alert::critical(Topic::Journal, None, format!("no order is sent any more: {why}")));
        self.parts.board.beat(|pulse| pulse.journal_failed = true);
        if self.parts.pace == Pace::Lockstep {
            self.say(HouseEvent::Fatal(why.clone()));
        }
        self.sealed = Some(why);
    }

    fn publish(&mut self, now: bool) {
        if !now && self.published.is_some_and(|at| at.elapsed() < PUBLISH_EVERY) {
            return;
        }
        self.published = Some(Instant::now());
        let view = self.parts.sequencer.account().view();
        let seq = self.watch.durable().head.seq;
        self.measures.account(&view, seq);
        self.parts.board.beat(|pulse| pulse.journal_seq = seq);
        self.parts.board.show_account(view);
    }

    fn close(&mut self, ended: Option<String>) -> Closed {
        let is_end = ended.is_some();
        if let Some(reason) = ended {
            self.input(Input::Note(Record::Ended { reason }));
        }
        self.closed = true;
        self.write();
        let mut failure = self.sealed.clone();
        if is_end && let Err(error) = self.parts.journal.check_end() {
            failure.get_or_insert_with(|| chain(&error));
        }
        if let Err(error) = self.parts.journal.flush() {
            failure.get_or_insert_with(|| format!("the journal is not whole: {}", chain(&error)));
        }
        self.release();
        if let Some((tape, _)) = self.parts.tape.take()
            && let Err(error) = tape.close()
        {
            failure.get_or_insert_with(|| format!("the tape is not whole: {error}"));
        }
        self.publish(true);
        Closed {
            head: self.parts.journal.head(),
            counts: self.parts.counts.clone(),
            latency: self.latency.clone(),
            failure,
        }
    }
}

impl Actor for RiskManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(LOOK_EVERY, |house, _| {
            if !house.closed {
                house.links.flush_all();
                house.release();
                house.ask();
                house.compare();
                house.publish(false);
                house.look_at_venue();
            }
        });
        ctx.run_interval(TAPE_EVERY, |house, _| {
            let Some((tape, _)) = &mut house.parts.tape else { return };
            let flushed = tape.flush();
            house.measures.tape(tape.status().dropped);
            if let Err(error) = flushed {
                house.seal(format!("the tape cannot be written: {error}"));
            }
        });
    }
}

impl Handler<Tell> for RiskManager {
    type Result = ();

    fn handle(&mut self, tell: Tell, _ctx: &mut Self::Context) {
        if self.closed {
            return;
        }
        match tell {
            Tell::Input(input) => {
                if let Input::Venue { reports } = &input {
                    self.venue_answered(reports);
                }
                self.input(input);
            }
            Tell::Link { instrument, generation, link } => {
                self.links.put(instrument, link);
                self.answers.grow(self.parts.sequencer.account().state());
                self.answers.attached(instrument, generation);
                self.input(Input::Attach { instrument, generation });
            }
            Tell::JournalMoved => self.release(),
            Tell::LookAtLatch => self.look_at_latch(),
            // The asker may have given up waiting.
            Tell::Stand { done } => drop(done.send(self.stand())),
            Tell::Begin => {
                self.write();
                let mut outputs = std::mem::take(&mut self.outputs);
                self.parts.sequencer.begin(&mut outputs);
                self.carry_out(&mut outputs);
                self.outputs = outputs;
                self.begun = true;
            }
            Tell::VenueLost(why) => self.venue.lose(why),
            Tell::Fatal(why) => {
                self.seal(why.clone());
                self.say(HouseEvent::Fatal(why));
            }
            Tell::Close { ended, done } => {
                // The asker may have given up waiting; everything is on disk all the same.
                let _ = done.send(self.close(ended));
            }
        }
        self.bury_venue();
    }
}

/// The records among the actions of an opening account.
pub fn opening_records(now: Ts, actions: &mut Actions<Action>) -> Vec<(Ts, Record)> {
    let records = actions.drain().filter_map(|action| match action {
        Action::Record(record) => Some((now, *record)),
        _ => None,
    });
    records.collect()
}
