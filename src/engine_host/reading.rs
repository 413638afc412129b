//! The daemon's ear at an engine process: every message is one that was asked for, or the engine is ended.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use levibot_core::frames::{Decoder, Hello};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::wire::{self, Did, FromEngine};
use super::work::Said;
use super::{EngineSpec, Progress};
use crate::house_link::Outgoing;
use crate::supervisor::EngineSays;
use crate::telemetry::chain;

/// Bytes that are read at a time.
const READ: usize = 64 << 10;
/// How long to wait before a full mailbox is tried again. Meanwhile nothing more is read.
const RETRY: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) spec: EngineSpec,
    /// What the engine must be.
    pub(super) hello: Hello,
    pub(super) setup_hash: u64,
    pub(super) progress: Arc<Progress>,
    pub(super) house: Outgoing,
    pub(super) mouth: Mouth,
}

impl Ear {
    /// Listens until the stream ends; `Some` is what the engine did that ends it.
    pub(super) async fn listen(&mut self, mut socket: impl AsyncRead + Unpin) -> Option<String> {
        let (mut bytes, mut decoder, mut greeted) = (vec![0; READ], Decoder::new(), false);
        loop {
            loop {
                let message = match decoder.next_frame() {
                    Ok(Some(frame)) => wire::message(frame),
                    Ok(None) => break,
                    Err(error) => Err(chain(&error)),
                };
                let heard = match message {
                    Ok(message) if greeted => self.hear(message).await,
                    Ok(message) => self.greeted(message),
                    Err(error) => Err(error),
                };
                if let Err(fault) = heard {
                    return Some(format!("it does not speak the protocol: {fault}"));
                }
                greeted = true;
            }
            match socket.read(&mut bytes).await {
                // How the process ended says more than how its stream did.
                Ok(0) | Err(_) => return None,
                Ok(read) => decoder.push(&bytes[..read]),
            }
        }
    }

    fn greeted(&self, message: FromEngine) -> Result<(), String> {
        let FromEngine::Hello { hello, generation, setup_hash } = message else {
            return Err("it begins without a hello".to_owned());
        };
        wire::check(&self.hello, &hello)?;
        self.is_mine(generation)?;
        if setup_hash != self.setup_hash {
            return Err("it has understood another configuration".to_owned());
        }
        Ok(())
    }

    fn is_mine(&self, generation: u64) -> Result<(), String> {
        let wanted = self.spec.generation;
        if generation == wanted {
            Ok(())
        } else {
            Err(format!("it speaks for generation {generation}, and is {wanted}"))
        }
    }

    async fn hear(&mut self, message: FromEngine) -> Result<(), String> {
        let FromEngine::Did { generation, number, what } = message else {
            return Err("it says hello twice".to_owned());
        };
        self.is_mine(generation)?;
        let next = self.progress.done() + 1;
        if number != next || number > self.progress.offered() {
            return Err(format!("it answers message {number}, and {next} of {} is due", self.progress.offered()));
        }
        let EngineSpec { instrument, generation, .. } = self.spec;
        match what {
            Did::Nothing => self.progress.finish(None),
            Did::Ready => {
                self.progress.finish(None);
                self.mouth.say(EngineSays::Ready { instrument, generation }).await;
            }
            Did::Said(said) => {
                let bar = self.about(&said)?;
                self.progress.finish(Some(bar));
                let mut sent = self.house.send(self.spec.tell(said));
                while !sent {
                    tokio::time::sleep(RETRY).await;
                    sent = self.house.flush();
                }
            }
        }
        Ok(())
    }

    /// The bar that was answered; of another instrument it may say nothing.
    fn about(&self, said: &Said) -> Result<levibot_core::domain::Ts, String> {
        let (instrument, bar) = match said {
            Said::Asked(question) => (Some(question.instrument), question.bar),
            Said::Answer { bar, decision, .. } => {
                if decision.is_some_and(|decision| decision.bar != *bar) {
                    return Err("it decides another bar than it answers".to_owned());
                }
                (decision.map(|decision| decision.instrument), *bar)
            }
        };
        match instrument {
            Some(other) if other != self.spec.instrument => Err(format!("it speaks for instrument {}", other.0)),
            _ => Ok(bar),
        }
    }
}

/// The way to the supervisor: nothing is dropped, a full mailbox is waited for.
#[derive(Clone)]
pub(super) struct Mouth(pub(super) Recipient<EngineSays>);

impl std::fmt::Debug for Mouth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mouth").finish_non_exhaustive()
    }
}

impl Mouth {
    pub(super) async fn say(&self, mut says: EngineSays) {
        while let Err(SendError::Full(back)) = self.0.try_send(says) {
            says = back;
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
