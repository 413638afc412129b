//! Where engines run: one trait, so that a thread and a process look the same to the supervisor and to the risk manager.

pub mod child;
mod error_stream;
#[cfg(feature = "fault-injection")]
mod faults;
mod limits;
pub mod process;
mod reading;
mod sending;
pub mod thread;
pub mod usage;
mod wire;
mod work;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use levibot_core::domain::{Ix, Symbol, Timeframe, Ts};
use levibot_core::driver::{EngineInput, Input};
use levibot_core::engine::{EngineSetup, EngineStep, Snapshot};

use crate::risk_manager::Tell;
use crate::telemetry::clock::monotonic_now;

pub use process::ProcessHost;
pub use thread::ThreadHost;
use work::Said;

/// Makes an engine, from nothing or from a snapshot. A crashed engine is never mended, it is made anew.
pub type EngineFactory = Arc<dyn Fn(Ix, Option<&Snapshot>) -> Result<Box<dyn EngineStep>, String> + Send + Sync>;

/// Of what an engine is made by the configuration in force.
pub type EngineSetups = Arc<dyn Fn(Ix) -> Result<EngineSetup, String> + Send + Sync>;

/// Which engine to start.
#[derive(Debug, Clone, Copy)]
pub struct EngineSpec {
    /// Its place in the table.
    pub instrument: Ix,
    /// Its symbol.
    pub symbol: Symbol,
    /// Bar length.
    pub timeframe: Timeframe,
    /// Its generation: every answer carries it, and only the latest counts.
    pub generation: u64,
}

impl EngineSpec {
    /// What the house is told of what an engine said.
    fn tell(self, said: Said) -> Tell {
        let Self { instrument, generation, .. } = self;
        Tell::Input(match said {
            Said::Asked(question) => Input::Asked { generation, question },
            Said::Answer { bar, decision, snapshot } => {
                Input::Answer { instrument, generation, bar, decision, snapshot }
            }
        })
    }
}

/// Why an engine could not be started.
#[derive(Debug, thiserror::Error)]
#[error("engine {symbol} cannot be started: {reason}")]
pub struct SpawnError {
    /// Which engine.
    pub symbol: Symbol,
    /// Why.
    pub reason: String,
}

/// What became of an offer.
#[derive(Debug, PartialEq)]
pub enum Offer {
    /// It is in the engine's mailbox.
    Accepted,
    /// The mailbox is full; here is the input again. It has to be offered later, before anything else: an engine that
    /// misses a bar answers for another history, and one that is waited for would be waited for for ever.
    Full(EngineInput),
    /// Nobody is there any more.
    Dead,
}

/// The risk manager's end of an engine.
pub trait EngineLink: fmt::Debug + Send {
    /// Gives the engine something, without waiting.
    fn offer(&self, input: EngineInput) -> Offer;
}

/// The supervisor's end of an engine.
pub trait EngineHandle: fmt::Debug + Send {
    /// Which generation this is.
    fn generation(&self) -> u64;
    /// What it was given and what it has done.
    fn progress(&self) -> &Progress;
    /// Its process; `None` for a thread, so that nobody kills the daemon by it.
    fn pid(&self) -> Option<u32> {
        None
    }
    /// Its thread in this process; `None` where it has none of its own, or has not begun yet.
    fn thread(&self) -> Option<u32> {
        None
    }
    /// Gives it something to do that is nothing, so that its progress shows while there is no work.
    fn beat(&self);
    /// Asks it to end in order: `true` when it counts as gone at once, `false` when its end will be heard of.
    fn stop(&self) -> bool;
    /// Ends it as far as the host can, without waiting; nothing it still says counts. A process is killed. A thread ends
    /// after what it is doing now; one that hangs is left behind.
    fn abandon(self: Box<Self>);
    /// Makes its work loop commit a fault, as the next thing it does.
    ///
    /// # Errors
    /// Why it cannot be asked to, in words.
    #[cfg(feature = "fault-injection")]
    fn inject(&self, fault: crate::control::Fault) -> Result<(), String>;
}

/// The two ends of an engine that was started: the supervisor's and the risk manager's.
pub type StartedEngine = (Box<dyn EngineHandle>, Box<dyn EngineLink>);

/// Starts engines.
pub trait EngineHost: fmt::Debug {
    /// `thread` or `process`, for the registry.
    fn isolation(&self) -> &'static str;

    /// Starts one generation of an engine.
    ///
    /// # Errors
    /// [`SpawnError`] when the host cannot make it.
    fn start(&self, spec: EngineSpec) -> Result<StartedEngine, SpawnError>;
}

/// What an engine was given and what it has done: progress of its work loop, not liveness of its mailbox.
#[derive(Debug, Default)]
pub struct Progress {
    offered: AtomicU64,
    done: AtomicU64,
    last: AtomicU64,
    last_bar: AtomicU64,
}

impl Progress {
    pub(crate) fn offer(&self) {
        self.offered.fetch_add(1, Ordering::Release);
    }

    /// What was counted as given was not.
    fn take_back(&self) {
        self.offered.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn finish(&self, bar: Option<Ts>) {
        if let Some(bar) = bar {
            self.last_bar.store(u64::try_from(bar.nanos()).unwrap_or(0), Ordering::Release);
        }
        self.last.store(u64::try_from(monotonic_now().nanos()).unwrap_or(0), Ordering::Release);
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Pieces of work given.
    pub fn offered(&self) -> u64 {
        self.offered.load(Ordering::Acquire)
    }

    /// Pieces of work done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Pieces of work given and not done.
    pub fn waiting(&self) -> u64 {
        self.offered().saturating_sub(self.done())
    }

    /// Monotonic time of the last piece done; `None` before the first.
    pub fn last(&self) -> Option<Ts> {
        nanos(self.last.load(Ordering::Acquire))
    }

    /// Close of the last bar answered, trading time.
    pub fn last_bar(&self) -> Option<Ts> {
        nanos(self.last_bar.load(Ordering::Acquire))
    }
}

fn nanos(value: u64) -> Option<Ts> {
    i64::try_from(value).ok().filter(|n| *n > 0).map(Ts::from_nanos)
}
