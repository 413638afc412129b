//! Faults that an engine on a thread can commit without taking the daemon with it.

use std::hint::spin_loop;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::{Engine, ThreadHandle, words};
use crate::control::Fault;

/// How long a thread spins. One that hangs cannot be ended from outside, and must not burn a core for ever.
const SPIN: Duration = Duration::from_secs(60);

/// A fault to commit.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Commit(Fault);

pub(super) fn inject(handle: &ThreadHandle, fault: Fault) -> Result<(), String> {
    if let Some(why) = fault.needs_process() {
        return Err(format!("{fault} needs `supervisor.isolation` = \"process\": in a thread {why}"));
    }
    // A piece of work, so that its want of progress shows.
    handle.progress.offer();
    handle.address.try_send(Commit(fault)).map_err(|error| format!("the engine takes nothing: {error}"))
}

impl Handler<Commit> for Engine {
    type Result = ();

    fn handle(&mut self, Commit(fault): Commit, ctx: &mut Self::Context) {
        match fault {
            Fault::Panic => {
                if let Err(panic) = catch_unwind(panics) {
                    self.end(format!("panic: {}", words(&*panic)), ctx);
                }
            }
            Fault::PanicAsync => ctx.wait(async { panics() }.into_actor(self)),
            Fault::Freeze => ctx.wait(std::future::pending::<()>().into_actor(self)),
            Fault::Spin => {
                let began = Instant::now();
                while began.elapsed() < SPIN {
                    spin_loop();
                }
                self.progress.finish(None);
            }
            Fault::Sleep { ms } => {
                std::thread::sleep(Duration::from_millis(ms));
                self.progress.finish(None);
            }
            // Refused before they come here.
            _ => self.progress.finish(None),
        }
    }
}

#[expect(clippy::panic, reason = "it is what was asked for")]
fn panics() {
    panic!("on request");
}
