//! Carries out what people ask for over the control vocabulary, and puts each command on record with who asked.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use actix::Addr;
use levibot_core::domain::{Event, HaltLevel, Reason};
use levibot_core::driver::Input;
use levibot_core::record::Record;
use tokio::sync::mpsc;

use super::reload::Reloads;
use crate::control::{Board, Command, Order, Scope};
use crate::forecaster::{Forecaster, RestartModel};
use crate::house_link::HouseLink;
use crate::risk_manager::Tell;
use crate::supervisor::{EngineCommand, Supervisor, Wish};

/// How long the account may take to show what was asked for.
const SETTLE: Duration = Duration::from_secs(3);

#[cfg(feature = "fault-injection")]
#[path = "faults.rs"]
mod faults;
#[cfg(feature = "fault-injection")]
pub(crate) use faults::faults_permitted;

/// Reloads that wait while one is under way; others stay in the queue of orders.
const LATER_MAX: usize = 16;

const fn is_reload(order: &Order) -> bool {
    matches!(order.command, Command::Reload | Command::ReloadDryRun)
}

/// Where commands are carried out.
pub(super) struct Clerk {
    pub(super) board: Board,
    pub(super) house: HouseLink,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) model: Option<Addr<Forecaster>>,
    pub(super) reloads: Reloads,
}

impl Clerk {
    /// One after the other; but while a reload is under way, which may take long, others are carried out: a halt waits neither
    /// for files nor for the account to take new symbols.
    pub(super) async fn serve(self, mut orders: mpsc::Receiver<Order>) {
        let mut later = VecDeque::new();
        loop {
            let next = match later.pop_front() {
                Some(order) => Some(order),
                None => orders.recv().await,
            };
            let Some(order) = next else { return };
            if !is_reload(&order) {
                self.answer(order).await;
                continue;
            }
            let outcome = self.beside(self.read_again(&order.command), &mut orders, &mut later).await;
            if order.command == Command::ReloadDryRun {
                // It changes nothing, and so it does not go on record.
                let _ = order.outcome.send(outcome);
            } else {
                self.told(order, outcome);
            }
        }
    }

    /// Carries out what comes while `reload` is under way; other reloads are kept for `later`.
    pub(super) async fn beside<T>(
        &self,
        reload: impl Future<Output = T>,
        orders: &mut mpsc::Receiver<Order>,
        later: &mut VecDeque<Order>,
    ) -> T {
        let mut reload = pin!(reload);
        loop {
            let order = tokio::select! {
                outcome = &mut reload => return outcome,
                Some(order) = orders.recv(), if later.len() < LATER_MAX => order,
            };
            if is_reload(&order) {
                later.push_back(order);
            } else {
                self.answer(order).await;
            }
        }
    }

    async fn answer(&self, order: Order) {
        let outcome = self.carry_out(&order.command, &order.by).await;
        self.told(order, outcome);
    }

    /// Puts a command on record with what came of it, and tells who asked.
    fn told(&self, order: Order, outcome: Result<String, String>) {
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

    async fn carry_out(&self, command: &Command, by: &str) -> Result<String, String> {
        match command {
            Command::Start(scope) => self.start(Wish::Start, *scope).await,
            Command::Stop(scope) => self.engines(Wish::Stop, *scope).await,
            Command::Restart(scope) => self.start(Wish::Restart, *scope).await,
            Command::Pause(scope) => self.engines(Wish::Pause, *scope).await,
            Command::Unpause(scope) => self.engines(Wish::Unpause, *scope).await,
            Command::Halt { level, reason } => self.halt(*level, by, reason).await,
            Command::Resume { reason } => self.resume(by, reason).await,
            #[cfg(feature = "fault-injection")]
            Command::Inject { symbol, fault } => self.inject(*symbol, *fault).await,
            Command::Reload | Command::ReloadDryRun => Err("a reload is carried out elsewhere".to_owned()),
        }
    }

    pub(super) async fn engines(&self, wish: Wish, scope: Scope) -> Result<String, String> {
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

    pub(super) fn tell(&self, input: Input) -> Result<(), String> {
        self.send(Tell::Input(input))
    }

    pub(super) fn send(&self, tell: Tell) -> Result<(), String> {
        self.house.try_send(tell).map_err(|_| "the account does not answer: try again".to_owned())
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
}
