//! What people wish of engines.

use actix::prelude::*;
use levibot_core::domain::Ix;
use levibot_core::driver::Input;
use levibot_core::supervision::{EngineStatus, SupervisionInput};

use super::slot::Slot;
use super::{Supervisor, symbols};
use crate::control::Scope;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Start stopped or quarantined engines.
    Start,
    /// Stop them.
    Stop,
    /// Stop and start again.
    Restart,
    /// The same with nothing remembered: its strategy has changed.
    Renew,
    /// Take no entries.
    Pause,
    /// Take entries again.
    Unpause,
}

/// A wish for some engines; the answer says what was done or why not.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, String>")]
pub struct EngineCommand {
    /// What.
    pub wish: Wish,
    /// Which engines.
    pub scope: Scope,
}

impl Wish {
    /// What was done when it was granted.
    const fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::Renew => "renewed",
            Self::Pause => "paused",
            Self::Unpause => "resumed",
        }
    }
}

impl Supervisor {
    fn wish(&mut self, ix: Ix, wish: Wish) -> Result<(), String> {
        let Some(slot) = self.slots.get_mut(&ix) else { return Err("no such engine".to_owned()) };
        let (symbol, status) = (slot.symbol, slot.policy.status());
        if slot.retired.is_some() {
            return Err(symbols::gone(symbol));
        }
        match wish {
            Wish::Renew => self.renew(ix),
            Wish::Start | Wish::Restart if self.halted => {
                return Err(format!("{symbol}: the account is halted; `levibot resume` lifts the halt"));
            }
            // What stood against entries from an earlier session is lifted too.
            Wish::Start if matches!(status, EngineStatus::Starting | EngineStatus::Running) => self.freeze(ix, None),
            Wish::Unpause if matches!(status, EngineStatus::Starting | EngineStatus::Running) => self.freeze(ix, None),
            Wish::Start if status == EngineStatus::Paused => return Err(format!("{symbol} is {status}")),
            Wish::Start | Wish::Restart => {
                slot.paused = false;
                // What it remembered may be what it failed of.
                if status == EngineStatus::Quarantined {
                    self.tell_house(Input::Forget { instrument: ix });
                }
                let input = if wish == Wish::Start { SupervisionInput::Start } else { SupervisionInput::Restart };
                let reason = format!("{} by hand", wish.done());
                self.tell_house(Input::Detach { instrument: ix, returns: true, reason });
                self.policy(ix, &input);
                self.freeze(ix, None);
            }
            Wish::Stop => {
                (slot.resume_after_halt, slot.paused) = (false, false);
                self.policy(ix, &SupervisionInput::Stop);
                self.tell_house(Input::Detach { instrument: ix, returns: false, reason: "stopped by hand".to_owned() });
                self.freeze(ix, Some("engine stopped by hand".to_owned()));
            }
            Wish::Pause if status == EngineStatus::Running => {
                slot.paused = true;
                self.policy(ix, &SupervisionInput::Pause);
                self.freeze(ix, Some("paused by hand".to_owned()));
            }
            Wish::Unpause if status == EngineStatus::Paused => {
                slot.paused = false;
                self.policy(ix, &SupervisionInput::Resume);
                self.freeze(ix, None);
            }
            Wish::Pause | Wish::Unpause => return Err(format!("{symbol} is {status}")),
        }
        Ok(())
    }

    /// Its strategy has changed: what it remembers is dropped, and one that runs is made anew. A pause stays.
    fn renew(&mut self, ix: Ix) {
        let runs = !self.halted && self.slots.get(&ix).is_some_and(Slot::is_to_run);
        if runs {
            let reason = "its strategy has changed".to_owned();
            self.tell_house(Input::Detach { instrument: ix, returns: true, reason });
        }
        self.tell_house(Input::Forget { instrument: ix });
        if runs {
            self.policy(ix, &SupervisionInput::Restart);
        }
    }
}

impl Handler<EngineCommand> for Supervisor {
    type Result = Result<String, String>;

    fn handle(&mut self, command: EngineCommand, _: &mut Self::Context) -> Self::Result {
        if self.ending {
            return Err("the daemon is ending".to_owned());
        }
        let chosen: Vec<Ix> = match command.scope {
            Scope::All => self.slots.iter().filter(|(_, slot)| slot.retired.is_none()).map(|(ix, _)| *ix).collect(),
            Scope::One(symbol) => {
                let found = self.slots.iter().find(|(_, slot)| slot.symbol == symbol).map(|(ix, _)| *ix);
                let known = || self.slots.values().map(|s| s.symbol.to_string()).collect::<Vec<_>>().join(", ");
                vec![found.ok_or_else(|| format!("no engine {symbol}; there are {}", known()))?]
            }
        };
        let outcomes: Vec<Result<(), String>> = chosen.iter().map(|ix| self.wish(*ix, command.wish)).collect();
        self.shown.now();
        self.shown.renew(&self.slots, self.host.isolation());
        let done = outcomes.iter().filter(|o| o.is_ok()).count();
        let refused: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
        if done == 0 && !refused.is_empty() {
            return Err(refused.join("; "));
        }
        let left = if refused.is_empty() { String::new() } else { format!(" (left out: {})", refused.join("; ")) };
        Ok(format!("{} {done} engine(s){left}", command.wish.done()))
    }
}
