//! Symbols that come and go while the daemon runs.
//!
//! A place in the table never changes its meaning: a new symbol is put behind the others, and one that left the configuration keeps
//! its place, so that its position stays protected. Only its engine is stopped. So it is after a start that found such a
//! position.

use actix::prelude::*;
use levibot_core::domain::{Ix, Symbol};
use levibot_core::driver::Input;
use levibot_core::supervision::SupervisionInput;

use super::Supervisor;
use super::slot::Slot;

/// How an engine is shown whose symbol left the configuration, and why its entries are frozen.
pub const NOT_CONFIGURED: &str = "not configured any more";

/// A change of the symbols that are traded. The answer says why it could not be done. The same again changes nothing.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), String>")]
pub enum SymbolChange {
    /// A symbol that was never there: the account has it at this place, behind all others.
    Added(Ix, Symbol),
    /// It is not traded any more.
    Removed(Symbol),
    /// It was removed, and is traded again at its place. Where nobody has heard of it, because its coming was not carried to
    /// an end, it comes now.
    Returned(Ix, Symbol),
}

/// Why nothing can be wished of the engine of such a symbol.
pub(super) fn gone(symbol: Symbol) -> String {
    format!("{symbol} is {NOT_CONFIGURED}: put it back into `market.symbols`")
}

impl Supervisor {
    fn add(&mut self, ix: Ix, symbol: Symbol) -> Result<(), String> {
        match self.slots.get(&ix) {
            Some(slot) if slot.symbol == symbol => return self.bring_back(ix, symbol),
            Some(slot) => return Err(format!("the engine of {} is at the place of {symbol}", slot.symbol)),
            None => {}
        }
        let mut slot = Slot::new(symbol, self.setup);
        slot.resume_after_halt = self.halted;
        self.slots.insert(ix, slot);
        if !self.halted {
            self.policy(ix, &SupervisionInput::Start);
        }
        Ok(())
    }

    /// What a person has said of it (a pause, a stop) stays said.
    fn retire(&mut self, symbol: Symbol) -> Result<(), String> {
        let (ix, slot) = self.slot_of(symbol)?;
        if slot.retired.is_none() {
            let runs = slot.is_to_run();
            slot.retired = Some(std::mem::take(&mut slot.resume_after_halt) || runs);
            self.policy(ix, &SupervisionInput::Stop);
            self.detach_retired(ix);
        }
        Ok(())
    }

    pub(super) fn detach_retired(&mut self, ix: Ix) {
        let reason = NOT_CONFIGURED.to_owned();
        self.tell_house(Input::Detach { instrument: ix, returns: false, reason });
    }

    /// It begins cold: its bars went on, and its strategy may be another one by now.
    fn bring_back(&mut self, ix: Ix, symbol: Symbol) -> Result<(), String> {
        let halted = self.halted;
        if !self.slots.contains_key(&ix) {
            return self.add(ix, symbol);
        }
        let (ix, slot) = self.slot_of(symbol)?;
        let Some(runs) = slot.retired.take() else { return Ok(()) };
        slot.resume_after_halt = runs && halted;
        self.tell_house(Input::Forget { instrument: ix });
        if runs {
            let reason = "configured again".to_owned();
            self.tell_house(Input::Detach { instrument: ix, returns: true, reason });
            if !halted {
                self.policy(ix, &SupervisionInput::Start);
            }
        } else {
            let reason = "it was down when its symbol left the configuration".to_owned();
            self.tell_house(Input::Detach { instrument: ix, returns: false, reason });
        }
        Ok(())
    }

    fn slot_of(&mut self, symbol: Symbol) -> Result<(Ix, &mut Slot), String> {
        let found = self.slots.iter_mut().find(|(_, slot)| slot.symbol == symbol);
        found.map(|(ix, slot)| (*ix, slot)).ok_or_else(|| format!("no engine {symbol}"))
    }
}

impl Handler<SymbolChange> for Supervisor {
    type Result = Result<(), String>;

    fn handle(&mut self, change: SymbolChange, _: &mut Self::Context) -> Self::Result {
        if self.ending {
            return Err("the daemon is ending".to_owned());
        }
        let done = match change {
            SymbolChange::Added(ix, symbol) => self.add(ix, symbol),
            SymbolChange::Removed(symbol) => self.retire(symbol),
            SymbolChange::Returned(ix, symbol) => self.bring_back(ix, symbol),
        };
        self.shown.soon();
        self.shown.renew(&self.slots, self.host.isolation());
        done
    }
}
