//! What the risk manager is told, and what it tells the daemon.

use std::fmt;

use actix::prelude::*;
use levibot_core::domain::{HaltLevel, Ix};
use levibot_core::driver::Input;
use levibot_core::record::Chain;
use tokio::sync::oneshot;

use super::{Counts, Latency};
use crate::engine_host::EngineLink;

/// What the risk manager is told.
#[derive(Message)]
#[rtype(result = "()")]
#[expect(clippy::large_enum_variant, reason = "inputs are the traffic, the others are rare")]
pub enum Tell {
    /// An input of the sequencer.
    Input(Input),
    /// A new generation of an engine and the way to it.
    Link {
        /// Which engine.
        instrument: Ix,
        /// Which generation.
        generation: u64,
        /// The way to it.
        link: Box<dyn EngineLink>,
    },
    /// The journal has moved: look.
    JournalMoved,
    /// The latch file does not hold the halt in force: look.
    LookAtLatch,
    /// Say how the account stands, when all that was told before is worked off.
    Stand {
        /// Where the answer goes.
        done: oneshot::Sender<Stand>,
    },
    /// Ask for the first market data.
    Begin,
    /// The venue cannot be trusted any more.
    VenueLost(String),
    /// Something cannot go on; nothing more is sent.
    Fatal(String),
    /// Take nothing more, put the end on record, make everything durable, and say how it stands.
    Close {
        /// Put on record as the reason; `None` leaves the record open, so that the same run can be continued.
        ended: Option<String>,
        /// Where the last word goes.
        done: oneshot::Sender<Closed>,
    },
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(input) => f.debug_tuple("Input").field(input).finish(),
            Self::Link { instrument, generation, .. } => {
                f.debug_struct("Link").field("instrument", instrument).field("generation", generation).finish()
            }
            Self::JournalMoved => f.write_str("JournalMoved"),
            Self::LookAtLatch => f.write_str("LookAtLatch"),
            Self::Stand { .. } => f.write_str("Stand"),
            Self::Begin => f.write_str("Begin"),
            Self::VenueLost(text) => f.debug_tuple("VenueLost").field(text).finish(),
            Self::Fatal(text) => f.debug_tuple("Fatal").field(text).finish(),
            Self::Close { ended, .. } => f.debug_struct("Close").field("ended", ended).finish(),
        }
    }
}

/// How the account stands.
#[derive(Debug)]
pub struct Stand {
    /// Its halt.
    pub halt: HaltLevel,
    /// Halts that were lifted since the daemon started.
    pub lifted: u64,
    /// Why the latch file of the halt that was lifted last is still there, if so.
    pub latch_stays: Option<String>,
}

/// What the risk manager tells the daemon.
#[derive(Debug)]
pub enum HouseEvent {
    /// Everything the market source gave is worked off.
    Finished,
    /// Something cannot go on.
    Fatal(String),
}

/// The last word of a risk manager.
#[derive(Debug)]
pub struct Closed {
    /// The journal's last record and its hash.
    pub head: Chain,
    /// What was put on record.
    pub counts: Counts,
    /// Bar close to durable intent.
    pub latency: Latency,
    /// Why the journal or the tape is not whole, if so.
    pub failure: Option<String>,
}
