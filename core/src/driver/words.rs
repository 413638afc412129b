//! What the sequencer is told and what it asks for.

use super::lane::EngineInput;
use crate::account::{AccountSetup, Alert, Approved};
use crate::domain::{
    Decision, Event, Forecast, Frame, HaltLevel, Instrument, Ix, MarketEvent, Order, OrderId, Question, Reason, Report,
    Ts,
};
use crate::engine::Snapshot;
use crate::record::{Record, TapeTarget};

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every answer is waited for.
    Lockstep,
    /// Everything is taken as it arrives.
    Realtime,
}

/// What the sequencer is told.
#[derive(Debug)]
pub enum Input {
    /// The next piece of market data, asked for by [`Output::WantMarket`].
    Market(MarketEvent),
    /// The market source has ended.
    MarketEnded,
    /// An engine has answered a bar.
    Answer {
        /// Which engine.
        instrument: Ix,
        /// Which generation of it: older ones are fenced off.
        generation: u64,
        /// Close of the bar.
        bar: Ts,
        /// The decision; `None` when the bar was not taken.
        decision: Option<Decision>,
        /// Its state after the bar: with the first answer of a generation, and now and then after that. Of a bar without one
        /// it is had again from the last and the bars since.
        snapshot: Option<Snapshot>,
    },
    /// An engine must know what the model says before it answers a bar.
    Asked {
        /// Which generation of the engine: older ones are fenced off.
        generation: u64,
        /// The question.
        question: Question,
    },
    /// What the model says to questions of [`Output::Ask`], each of which is answered exactly once.
    Forecasts(Vec<(Ix, Ts, Option<Forecast>)>),
    /// The venue has carried out a command.
    Venue {
        /// What came of it.
        reports: Vec<Report>,
    },
    /// A generation of an engine is there and waits to be told where to begin.
    Attach {
        /// Which engine.
        instrument: Ix,
        /// Its generation.
        generation: u64,
    },
    /// An engine is away.
    Detach {
        /// Which engine.
        instrument: Ix,
        /// Whether it will come back by itself.
        returns: bool,
        /// Why.
        reason: String,
    },
    /// What an engine remembers no longer fits it (its strategy has changed): its next generation begins cold.
    Forget {
        /// Which engine.
        instrument: Ix,
    },
    /// An event for the account from outside market and venue: halt, resume, freeze.
    Control(Event),
    /// A note for the record.
    Note(Record),
    /// A changed setup. Its instruments begin with those in force, in their order: a place in the table never changes its
    /// meaning while a run lasts.
    Setup(Box<AccountSetup>),
    /// The same with instruments behind the ones in force: their engines are expected from now on. Realtime alone; comes
    /// between two pieces of market data.
    Grow {
        /// The changed setup.
        setup: Box<AccountSetup>,
        /// The past up to now, oldest first: what the engines of the new instruments warm up on.
        history: Vec<Frame>,
    },
}

/// A command to the venue. Each is answered by exactly one [`Input::Venue`].
#[derive(Debug, Clone, PartialEq)]
pub enum VenueCommand {
    /// Market data of one instant (paper venues trade on it).
    Market(Vec<Event>),
    /// Send an order.
    Submit(Approved<Order>),
    /// Cancel an order.
    Cancel(OrderId),
    /// Ask about an order.
    Query(OrderId),
    /// Ask for everything: answered by a [`Report::State`].
    Reconcile,
    /// The table of instruments, which only ever grows.
    Instruments(Vec<Instrument>),
}

/// What the sequencer asks for, in order. A host makes records durable before it lets later venue commands go.
#[derive(Debug)]
pub enum Output {
    /// Write to the journal.
    Record(Ts, Record),
    /// Write to the tape.
    Tape(u64, Ts, TapeTarget, Event),
    /// Tell the venue, at this trading time.
    Venue(Ts, VenueCommand),
    /// Tell an engine.
    Engine(Ix, EngineInput),
    /// Ask the model.
    Ask {
        /// What.
        question: Question,
        /// Whether no other engine may still ask about this instant, as far as is known: the batch can go.
        last: bool,
    },
    /// Ready for more market data.
    WantMarket,
    /// Everything the market source gave is worked off.
    Finished,
    /// The halt level has changed.
    Halt(HaltLevel, Reason),
    /// Tell people.
    Alert(Alert),
}
