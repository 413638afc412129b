//! Carries out what people ask for over the control vocabulary, and puts each command on record with who asked.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use actix::Addr;
use levibot_core::domain::{Event, HaltLevel, Ix, Reason, Symbol};
use levibot_core::driver::Input;
use levibot_core::record::Record;
use tokio::sync::{mpsc, oneshot};

use super::Purpose;
use super::reload::Reloads;
use crate::control::{Board, Command, FlatView, Order, Scope};
use crate::forecaster::{Forecaster, RestartModel};
use crate::house_link::HouseLink;
use crate::risk_manager::{Stand, Tell};
use crate::supervisor::{EngineCommand, Supervisor, Wish};

/// How long the account may take to show what was asked for.
const SETTLE: Duration = Duration::from_secs(3);
/// The account takes nothing any more. In the words of a desk whose daemon is gone: whoever asks may ask the next one.
const CLOSED: &str = crate::control::ENDED;

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

/// A drill is for accounts that can lose nothing.
fn paper_alone(venue: &str) -> Result<(), String> {
    if venue == crate::venue::paper::NAME {
        return Ok(());
    }
    Err(format!("a drill is for paper accounts alone, and this one trades at {venue}"))
}

/// Where commands are carried out.
pub(super) struct Clerk {
    pub(super) board: Board,
    pub(super) house: HouseLink,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) model: Option<Addr<Forecaster>>,
    pub(super) reloads: Reloads,
    /// What the daemon runs for.
    pub(super) purpose: Purpose,
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
            if !is_reload(&order) || self.out_of_purpose(&order.command).is_some() {
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

    /// Why a daemon that only closes positions does not do this.
    fn out_of_purpose(&self, command: &Command) -> Option<String> {
        let fits = matches!(command, Command::Halt { .. } | Command::Close { .. });
        (self.purpose.is_closing() && !fits).then(|| {
            "this levibot only closes positions and ends then: wait for its end, and start the daemon again".to_owned()
        })
    }

    async fn carry_out(&self, command: &Command, by: &str) -> Result<String, String> {
        if let Some(why) = self.out_of_purpose(command) {
            return Err(why);
        }
        match command {
            Command::Start(scope) => self.start(Wish::Start, *scope).await,
            Command::Stop(scope) => self.engines(Wish::Stop, *scope).await,
            Command::Restart(scope) => self.start(Wish::Restart, *scope).await,
            Command::Pause(scope) => self.engines(Wish::Pause, *scope).await,
            Command::Unpause(scope) => self.engines(Wish::Unpause, *scope).await,
            Command::Halt { level, reason } => self.halt(*level, by, reason).await,
            Command::Resume { reason } => self.resume(by, reason).await,
            Command::Close { symbol, reason } => self.close(*symbol, by, reason),
            Command::Rebalance { reason } => self.rebalance(by, reason),
            Command::Drill { loss, reason } => self.drill(*loss, by, reason),
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
        let before = self.board.account().halt;
        // Told also where the account shows as much: a resume may be on its way to it, and something may be left open.
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.tell(Input::Control(Event::Halt { level, reason }))?;
        let now = match self.settled(|stand| stand.halt >= level).await {
            Ok(stand) => stand.halt,
            // What it showed last is on record, and nobody lifts it any more.
            Err(why) if why == CLOSED && self.board.account().halt >= level => self.board.account().halt,
            Err(why) => return Err(why),
        };
        if before >= level {
            return Ok(format!("already halted at {now}"));
        }
        Ok(format!("halted at {now}; `levibot resume` lifts it"))
    }

    /// The place of a symbol in the account's table.
    fn place(&self, symbol: Symbol) -> Result<Ix, String> {
        let account = self.board.account();
        let found = account.symbols.iter().position(|one| one.symbol == symbol);
        found.and_then(Ix::from_usize).ok_or_else(|| {
            let known = account.symbols.iter().map(|one| one.symbol.to_string()).collect::<Vec<_>>().join(", ");
            format!("the account does not trade {symbol}; it trades {known}")
        })
    }

    fn close(&self, symbol: Symbol, by: &str, reason: &str) -> Result<String, String> {
        let instrument = self.place(symbol)?;
        if FlatView::of(&self.board.account(), Some(symbol), Duration::ZERO).flat {
            return Ok(format!("{symbol} is flat: there is nothing to close"));
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.tell(Input::Control(Event::Close { instrument, reason }))?;
        Ok(format!("closing {symbol}"))
    }

    fn rebalance(&self, by: &str, reason: &str) -> Result<String, String> {
        let halt = self.board.account().halt;
        if halt > HaltLevel::None {
            return Err(format!("the account is halted ({halt}): `levibot resume` first"));
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.tell(Input::Control(Event::Rebalance { reason }))?;
        Ok("rebalancing; the journal and `levibot positions` show what came of it".to_owned())
    }

    fn drill(&self, loss: f64, by: &str, reason: &str) -> Result<String, String> {
        paper_alone(&self.board.info().venue)?;
        let limit = self.reloads.live.load().account.risk.daily_loss();
        if !loss.is_finite() || loss <= limit || loss > 1.0 {
            let (loss, limit) = (100.0 * loss, 100.0 * limit);
            return Err(format!(
                "a loss of {loss:.2} % stops nothing: give one beyond the limit of {limit:.2} % (`max_daily_loss_pct`), such \
                 as --daily-loss -{:.1}",
                limit + 1.0
            ));
        }
        let halt = self.board.account().halt;
        if halt > HaltLevel::None {
            return Err(format!("the account is halted ({halt}) already: `levibot resume` first"));
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        self.board.stops().drilled();
        self.tell(Input::Control(Event::Drill { loss, reason }))?;
        Ok(format!("reckoning with a loss of {:.2} % until the next resume", 100.0 * loss))
    }

    async fn resume(&self, by: &str, reason: &str) -> Result<String, String> {
        let account = self.board.account();
        if account.halt == HaltLevel::None && account.drill.is_none() {
            return Ok("nothing was halted".to_owned());
        }
        let reason = Reason { by: by.to_owned(), text: reason.to_owned() };
        let before = self.stand().await?.lifted;
        self.tell(Input::Control(Event::Resume { reason }))?;
        let stand = self.settled(|stand| stand.halt == HaltLevel::None || stand.lifted > before).await?;
        if stand.halt > HaltLevel::None {
            let why = stand.latch_stays.map_or_else(
                || "somebody has asked for a halt meanwhile; look at the status".to_owned(),
                |why| format!("{why}; remove the latch file by hand, and ask again"),
            );
            return Err(format!("resumed, and halted again at once ({}): {why}", stand.halt));
        }
        if let Some(why) = stand.latch_stays {
            return Err(format!("resumed, but the next start will be halted: {why}"));
        }
        Ok("resumed; the day's loss counts from the present equity on".to_owned())
    }

    /// Waits until the account stands so. In the middle of an instant, and before the first one, it keeps what it was told.
    async fn settled(&self, is: impl Fn(&Stand) -> bool) -> Result<Stand, String> {
        let look = async {
            loop {
                let stand = self.stand().await?;
                if is(&stand) {
                    return Ok(stand);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let late = |_| Err("asked for, but not yet in force: look at the status".to_owned());
        tokio::time::timeout(SETTLE, look).await.unwrap_or_else(late)
    }

    /// Waits until the account has taken what it was told; the board shows the same then.
    async fn stand(&self) -> Result<Stand, String> {
        let (done, stand) = oneshot::channel();
        self.send(Tell::Stand { done })?;
        let stand = tokio::time::timeout(SETTLE, stand).await;
        let stand = stand.map_err(|_| "asked for, but not yet in force: look at the status".to_owned())?;
        stand.map_err(|_| CLOSED.to_owned())
    }
}
