//! Carries out what people ask for over the control vocabulary, and puts each command on record with who asked.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use arc_swap::ArcSwap;
use levibot_core::domain::{Event, HaltLevel, Ix, Reason};
use levibot_core::driver::Input;
use levibot_core::record::Record;
use tokio::sync::mpsc;

use super::model;
use crate::config::{Config, Effect, Overrides, environment};
use crate::control::{Board, Command, Order, Scope};
use crate::forecaster::{Asking, Forecaster, RestartModel};
use crate::house_link::HouseLink;
use crate::risk_manager::Tell;
use crate::supervisor::{EngineCommand, Supervisor, Wish};
use crate::telemetry::chain;

/// How long the account may take to show what was asked for.
const SETTLE: Duration = Duration::from_secs(3);

#[cfg(feature = "fault-injection")]
#[path = "faults.rs"]
mod faults;

/// Where commands are carried out.
pub(super) struct Clerk {
    pub(super) board: Board,
    pub(super) house: HouseLink,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) model: Option<Addr<Forecaster>>,
    /// The configuration in force; engines look up their strategies here when they are made.
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) overrides: Overrides,
    pub(super) named: bool,
    pub(super) symbols: Vec<levibot_core::domain::Symbol>,
}

impl Clerk {
    pub(super) async fn serve(self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            let outcome = self.carry_out(&order.command, &order.by).await;
            let told = match &outcome {
                Ok(done) => done.clone(),
                Err(why) => format!("refused: {why}"),
            };
            tracing::info!(by = order.by, command = %order.command, outcome = told, "command");
            let record = Record::Command { by: order.by, command: order.command.to_string(), outcome: told };
            let noted = self.house.try_send(Tell::Input(Input::Note(record)));
            let outcome = match noted {
                Ok(()) => outcome,
                Err(_) => Err("the account does not answer; the command is not on record".to_owned()),
            };
            // The asker may have gone away: the command stands all the same.
            let _ = order.outcome.send(outcome);
        }
    }

    async fn carry_out(&self, command: &Command, by: &str) -> Result<String, String> {
        match command {
            Command::Start(scope) => self.start(Wish::Start, *scope).await,
            Command::Stop(scope) => self.engines(Wish::Stop, *scope).await,
            Command::Restart(scope) => self.start(Wish::Restart, *scope).await,
            Command::Pause(scope) => self.engines(Wish::Pause, *scope).await,
            Command::Unpause(scope) => self.engines(Wish::Unpause, *scope).await,
            Command::Halt { level, reason } => self.halt(*level, by, reason).await,
            Command::Resume { reason } => self.resume(by, reason).await,
            Command::Reload => self.reload().await,
            #[cfg(feature = "fault-injection")]
            Command::Inject { symbol, fault } => self.inject(*symbol, *fault).await,
        }
    }

    async fn engines(&self, wish: Wish, scope: Scope) -> Result<String, String> {
        let answer = self.supervisor.send(EngineCommand { wish, scope }).await;
        answer.unwrap_or_else(|error| Err(format!("the supervisor does not answer: {error}")))
    }

    /// Starting all engines, or starting them again, also starts a model server that was given up.
    async fn start(&self, wish: Wish, scope: Scope) -> Result<String, String> {
        let given_up = self.board.status().model.is_some_and(|model| model.state == "quarantined");
        if let (Some(model), Scope::All, true) = (&self.model, scope, given_up) {
            let sent = model.send(RestartModel).await;
            sent.map_err(|error| format!("the model's supervisor does not answer: {error}"))?;
        }
        self.engines(wish, scope).await
    }

    fn tell(&self, input: Input) -> Result<(), String> {
        self.house.try_send(Tell::Input(input)).map_err(|_| "the account does not answer: try again".to_owned())
    }

    async fn halt(&self, level: HaltLevel, by: &str, reason: &str) -> Result<String, String> {
        if level == HaltLevel::None {
            return Err("a halt needs a level; `resume` lifts one".to_owned());
        }
        let now = self.board.account().halt;
        if now >= level {
            return Ok(format!("already halted at {now}"));
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.tell(Input::Control(Event::Halt { level, reason }))?;
        self.settled(|halt| halt >= level).await?;
        Ok(format!("halted at {level}; `levibot resume` lifts it"))
    }

    async fn resume(&self, by: &str, reason: &str) -> Result<String, String> {
        if self.board.account().halt == HaltLevel::None {
            return Ok("nothing was halted".to_owned());
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.tell(Input::Control(Event::Resume { reason }))?;
        self.settled(|halt| halt == HaltLevel::None).await?;
        Ok("resumed; the day's loss counts from the present equity on".to_owned())
    }

    /// Waits until the account shows the level.
    async fn settled(&self, is: impl Fn(HaltLevel) -> bool) -> Result<(), String> {
        let look = async {
            while !is(self.board.account().halt) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SETTLE, look)
            .await
            .map_err(|_| "asked for, but not yet in force: look at the status".to_owned())
    }

    /// Reads everything again. An invalid file changes nothing; limits and strategies are taken over at once, the rest is
    /// named as needing a restart.
    async fn reload(&self) -> Result<String, String> {
        let old = self.config.load_full();
        let new = if self.named {
            Config::load(&old.file, &self.overrides, &environment())
        } else {
            Config::load_default(&self.overrides, &environment())
        };
        let new = new.map_err(|error| format!("nothing has changed: {}", chain(&error)))?;
        let changes = old.diff(&new);
        if changes.is_empty() {
            return Ok("nothing has changed".to_owned());
        }
        if self.model.is_none() && new.strategies.any_asks_model() {
            let why =
                "nothing has changed: a strategy asks the model, and this daemon was started without one; restart it";
            return Err(why.to_owned());
        }
        let setup =
            new.account_setup(&self.symbols).map_err(|error| format!("nothing has changed: {}", chain(&error)))?;
        // Only what can change live is taken over; the rest stays as it was until the restart.
        let mut merged = (*old).clone();
        merged.account.risk.clone_from(&new.account.risk);
        merged.strategies.clone_from(&new.strategies);
        if let (Some(merged), Some(new)) = (&mut merged.model, &new.model) {
            merged.ensemble.threshold = new.ensemble.threshold;
        }
        let live = merged.account_setup(&self.symbols).map_err(|error| chain(&error))?;
        let renewed: Vec<(Ix, levibot_core::domain::Symbol)> = setup
            .instruments
            .iter()
            .enumerate()
            .filter_map(|(at, i)| Ix::from_usize(at).map(|ix| (ix, i.id().symbol)))
            .filter(|(_, symbol)| old.strategies.of(*symbol).hash() != new.strategies.of(*symbol).hash())
            .collect();
        // What the account does not take is not in force: the next reload finds the difference again.
        if live.risk != old.account.risk {
            self.tell(Input::Setup(Box::new(live)))?;
        }
        let asking = model::asking(&merged, &self.symbols);
        self.config.store(Arc::new(merged));
        if let Some(model) = &self.model {
            let told = model.send(Asking(asking)).await;
            told.map_err(|error| format!("the model's supervisor does not answer: {error}"))?;
        }
        let mut failed = Vec::new();
        for (_, symbol) in &renewed {
            failed.extend(self.engines(Wish::Renew, Scope::One(*symbol)).await.err());
        }
        if !failed.is_empty() {
            return Err(format!("taken over, but not every engine is renewed: {}", failed.join("; ")));
        }
        let text = |effect| {
            let of = changes.iter().filter(|c| c.effect == effect);
            of.map(|c| format!("{}: {} -> {}", c.key, c.from, c.to)).collect::<Vec<_>>().join("; ")
        };
        let (taken, waiting) = (text(Effect::Live), text(Effect::NeedsRestart));
        Ok(match (taken.is_empty(), waiting.is_empty()) {
            (false, true) => format!("taken over: {taken}"),
            (true, _) => format!("nothing taken over; a restart is needed for {waiting}"),
            (false, false) => format!("taken over: {taken}; a restart is needed for {waiting}"),
        })
    }
}
