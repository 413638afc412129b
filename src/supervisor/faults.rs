//! Faults on request.

use actix::prelude::*;
use levibot_core::domain::Symbol;
use levibot_core::supervision::EngineStatus;

use super::Supervisor;
use crate::control::Fault;

/// Make an engine commit a fault; the answer says that it was told to, or why not.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, String>")]
pub struct Inject {
    /// Whose engine.
    pub symbol: Symbol,
    /// Which fault.
    pub fault: Fault,
}

impl Handler<Inject> for Supervisor {
    type Result = Result<String, String>;

    fn handle(&mut self, Inject { symbol, fault }: Inject, _: &mut Self::Context) -> Self::Result {
        let slot = self.slots.values().find(|slot| slot.symbol == symbol);
        let slot = slot.ok_or_else(|| format!("no engine {symbol}"))?;
        let status = slot.policy.status();
        let handle = slot.handle.as_ref().filter(|_| matches!(status, EngineStatus::Running | EngineStatus::Paused));
        let handle = handle.ok_or_else(|| format!("{symbol} is {status}: a fault needs an engine that runs"))?;
        handle.inject(fault)?;
        Ok(format!("{symbol}, generation {}, was told: {fault}", handle.generation()))
    }
}
