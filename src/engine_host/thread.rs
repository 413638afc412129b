//! Engines as actors, each on an arbiter (an OS thread) of its own.
//!
//! A panic is caught at the handler, reported, and the whole state dropped: actix's own supervisor would not notice it.
//! A thread that hangs cannot be ended from outside; it is fenced off by its generation and left behind.

#[cfg(feature = "fault-injection")]
mod faults;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use levibot_core::driver::EngineInput;

use super::work::Work;
use super::{
    EngineFactory, EngineHandle, EngineHost, EngineLink, EngineSpec, Offer, Progress, SpawnError, StartedEngine,
};
use crate::house_link::{HouseLink, Outgoing};
use crate::risk_manager::Tell;
use crate::supervisor::EngineSays;

/// Bars and position changes that may wait. A healthy engine has one or two.
const MAILBOX: usize = 64;
/// How long an engine waits before it offers an answer again to a full mailbox.
const RETRY: Duration = Duration::from_millis(1);

/// See the module.
pub struct ThreadHost {
    factory: EngineFactory,
    house: HouseLink,
    supervisor: Recipient<EngineSays>,
}

impl fmt::Debug for ThreadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadHost").finish_non_exhaustive()
    }
}

impl ThreadHost {
    /// What an engine has open: the queues, the waker and the socket of its arbiter.
    pub const OPEN_FILES: u64 = 4;

    /// A host whose engines answer to `house` and report to `supervisor`.
    pub fn new(factory: EngineFactory, house: HouseLink, supervisor: Recipient<EngineSays>) -> Self {
        Self { factory, house, supervisor }
    }
}

impl EngineHost for ThreadHost {
    fn isolation(&self) -> &'static str {
        "thread"
    }

    fn start(&self, spec: EngineSpec) -> Result<StartedEngine, SpawnError> {
        let progress = Arc::new(Progress::default());
        let engine = Engine {
            spec,
            factory: Arc::clone(&self.factory),
            work: Work::new(spec.instrument, spec.timeframe),
            outgoing: Outgoing::new(self.house.clone()),
            supervisor: self.supervisor.clone(),
            progress: Arc::clone(&progress),
            ready: false,
        };
        // Making an arbiter panics when the thread or its descriptors cannot be had.
        let arbiter =
            catch_unwind(Arbiter::new).map_err(|panic| SpawnError { symbol: spec.symbol, reason: words(&*panic) })?;
        let thread = Arc::new(AtomicU32::new(0));
        let own = Arc::clone(&thread);
        let address = Engine::start_in_arbiter(&arbiter.handle(), move |_| {
            own.store(u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0), Ordering::Release);
            engine
        });
        let link = ThreadLink { address: address.downgrade(), progress: Arc::clone(&progress) };
        let handle = ThreadHandle { arbiter, address, generation: spec.generation, progress, thread };
        Ok((Box::new(handle), Box::new(link)))
    }
}

#[derive(Debug)]
struct ThreadHandle {
    arbiter: Arbiter,
    address: Addr<Engine>,
    generation: u64,
    progress: Arc<Progress>,
    /// The kernel's number of the arbiter's thread; 0 before it has begun.
    thread: Arc<AtomicU32>,
}

impl EngineHandle for ThreadHandle {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn thread(&self) -> Option<u32> {
        Some(self.thread.load(Ordering::Acquire)).filter(|thread| *thread > 0)
    }

    fn beat(&self) {
        // One that is busy needs no sign of life: what it has is watched. One that is gone, and could not say so, is given
        // work that it will not do.
        if !matches!(self.address.try_send(Beat), Err(SendError::Full(_))) {
            self.progress.offer();
        }
    }

    fn stop(&self) -> bool {
        // A thread hosts nothing that could refuse: once asked, it counts as gone.
        true
    }

    fn abandon(self: Box<Self>) {
        self.arbiter.stop();
    }

    #[cfg(feature = "fault-injection")]
    fn inject(&self, fault: crate::control::Fault) -> Result<(), String> {
        faults::inject(self, fault)
    }
}

struct ThreadLink {
    address: WeakAddr<Engine>,
    progress: Arc<Progress>,
}

impl fmt::Debug for ThreadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadLink").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl EngineLink for ThreadLink {
    fn offer(&self, input: EngineInput) -> Offer {
        let Some(engine) = self.address.upgrade() else { return Offer::Dead };
        // The mailbox alone is no bound: it takes one message of every new address, however many wait.
        if self.progress.waiting() >= MAILBOX as u64 {
            return Offer::Full(input);
        }
        match engine.try_send(Give(input)) {
            Ok(()) => {
                self.progress.offer();
                Offer::Accepted
            }
            Err(SendError::Full(Give(input))) => Offer::Full(input),
            Err(SendError::Closed(_)) => Offer::Dead,
        }
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Give(EngineInput);

/// A piece of work that is none: its being done shows that the loop turns.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Beat;

/// The actor around an engine's core.
struct Engine {
    spec: EngineSpec,
    factory: EngineFactory,
    work: Work,
    outgoing: Outgoing,
    supervisor: Recipient<EngineSays>,
    progress: Arc<Progress>,
    ready: bool,
}

impl Actor for Engine {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Give> for Engine {
    type Result = ();

    fn handle(&mut self, Give(input): Give, ctx: &mut Self::Context) {
        let bar = self.work.bar(&input);
        let is_position = matches!(input, EngineInput::Position(_));
        match catch_unwind(AssertUnwindSafe(|| self.take(input))) {
            Ok(Ok(answer)) => {
                self.progress.finish(bar);
                if let Some(answer) = answer
                    && !self.outgoing.send(answer)
                {
                    ctx.run_later(RETRY, Self::retry);
                }
                // A position is the last thing a beginning engine is told.
                if is_position && !std::mem::replace(&mut self.ready, true) {
                    self.say(EngineSays::Ready { instrument: self.spec.instrument, generation: self.spec.generation });
                }
            }
            Ok(Err(reason)) => self.end(reason, ctx),
            Err(panic) => self.end(format!("panic: {}", words(&*panic)), ctx),
        }
    }
}

impl Handler<Beat> for Engine {
    type Result = ();

    fn handle(&mut self, _: Beat, _: &mut Self::Context) {
        self.progress.finish(None);
    }
}

impl Engine {
    fn take(&mut self, input: EngineInput) -> Result<Option<Tell>, String> {
        let (spec, factory) = (self.spec, &self.factory);
        let said = self.work.take(input, &|snapshot| factory(spec.instrument, snapshot))?;
        Ok(said.map(|said| spec.tell(said)))
    }

    /// An answer is never dropped, because the house may be waiting for it.
    fn retry(&mut self, ctx: &mut Context<Self>) {
        if !self.outgoing.flush() {
            ctx.run_later(RETRY, Self::retry);
        }
    }

    fn say(&self, words: EngineSays) {
        if let Err(error) = self.supervisor.try_send(words) {
            tracing::warn!(symbol = %self.spec.symbol, %error, "the supervisor could not be told");
        }
    }

    /// Drops the state, tells why, and ends the thread. The drop may panic too and must not abort the process.
    fn end(&mut self, cause: String, ctx: &mut Context<Self>) {
        let core = self.work.end();
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(core)));
        let cause = if dropped.is_err() { format!("{cause}; it panicked again while it was dropped") } else { cause };
        let EngineSpec { instrument, generation, .. } = self.spec;
        self.say(EngineSays::Gone { instrument, generation, cause });
        ctx.stop();
        Arbiter::current().stop();
    }
}

/// A panic that no handler caught, such as one in a future: the runtime drops the actor, and the supervisor would learn
/// of it only by the want of progress.
impl Drop for Engine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let core = self.work.end();
        // A second panic in the middle of the first would end the process.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(core)));
        let EngineSpec { instrument, generation, .. } = self.spec;
        self.say(EngineSays::Gone { instrument, generation, cause: "panic outside of its work".to_owned() });
        if let Some(arbiter) = Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
