//! The control vocabulary: everything people can ask of a running daemon, the same behind every face.
//!
//! Faces (socket, HTTP, later Telegram) know this room and no other. Questions are answered from the [`Board`] without
//! asking any actor; commands go through one bounded queue to the daemon, which puts each on record with who asked.

pub mod audit;
pub mod board;
mod caller;
pub mod client;
#[cfg(feature = "fault-injection")]
mod fault;
pub mod flat;
mod once;
#[cfg(test)]
pub(crate) mod samples;
pub mod server;
pub mod stops;
mod wire;
pub mod words;

pub use audit::Audit;
pub use board::{Board, EngineRow, EnginesView, ModelView, RunInfo, Stamp, StatusView};
pub use caller::{Caller, Face, NotARole, Role};
pub use client::{Client, ClientError};
#[cfg(feature = "fault-injection")]
pub use fault::Fault;
pub use flat::{FlatView, Left};
pub use levibot_core::account::view::{AccountView, OpenPosition, StockView, SymbolView};
pub use server::{ControlError, ServerHandle, serve, socket_path, user_of};
pub use stops::{EngineStop, StopView, StopWatch};
pub use words::{Answer, Command, Question, Request, Scope, Wish};

/// The refusal of a command whose daemon has ended before it could be carried out, as far as is known.
pub const ENDED: &str = "the daemon ended before it answered";

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use audit::Came;
use once::{KEY_BYTES_MAX, Once, Turn};

/// Commands that may wait; a face is told to try again beyond that.
const QUEUE_MAX: usize = 64;
/// How long a face waits for the outcome of a command.
const OUTCOME_SECONDS_MAX: u64 = 10;
/// The same for a reload: the past of a new symbol is read, or walked by the simulator.
const RELOADED_SECONDS_MAX: u64 = 60;

/// A command on its way into the daemon.
#[derive(Debug)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Who asked, for the record.
    pub by: String,
    /// Where the outcome goes: `Ok` with what was done, `Err` with why not.
    pub outcome: oneshot::Sender<Result<String, String>>,
}

/// Where faces come to.
#[derive(Debug, Clone)]
pub struct Desk {
    board: Board,
    orders: mpsc::Sender<Order>,
    once: Once,
    audit: Audit,
}

impl Desk {
    /// A desk over `board`, and the end at which the daemon takes the orders.
    pub fn new(board: Board, audit: Audit) -> (Self, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(QUEUE_MAX);
        (Self { board, orders, once: Once::default(), audit }, taken)
    }

    /// What the daemon looks like now.
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// Answers a request. Commands, and what was denied, stand in the audit.
    pub async fn handle(&self, request: Request, caller: &Caller) -> Answer {
        if let Err(why) = caller.may(&request) {
            self.audit.note(caller, &request, Came::Denied, &why);
            return Answer::Denied(why);
        }
        let answer = match &request {
            Request::Ask(question) => return self.answer(question),
            Request::Do(command) => self.carry_out(command.clone(), caller).await,
            Request::Once { key, command } => self.carry_out_once(command.clone(), caller, key).await,
        };
        let (came, told) = audit::came(&answer);
        self.audit.note(caller, &request, came, told);
        answer
    }

    async fn carry_out_once(&self, command: Command, caller: &Caller, key: &str) -> Answer {
        match self.once.begin(caller, key, &command) {
            Turn::First(tell) => {
                let answer = self.carry_out(command, caller).await;
                tell.send_replace(Some(answer.clone()));
                answer
            }
            Turn::Again(first) => match once::heard(first).await {
                Some(answer) => answer,
                None => Answer::UnderWay("its first asker has gone: the daemon's log tells what came of it".to_owned()),
            },
            Turn::Taken => Answer::Refused("this key was given to another command: use a new one".to_owned()),
            Turn::TooLong => Answer::Refused(format!("a key has at most {KEY_BYTES_MAX} bytes")),
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Status => Answer::Status(Box::new(self.board.status())),
            Question::Engines => Answer::Engines(self.board.engines().as_ref().clone()),
            Question::Stop => Answer::Stop(self.board.stops().view()),
            Question::Positions | Question::Pnl => Answer::Account(Box::new(self.board.account().as_ref().clone())),
        }
    }

    async fn carry_out(&self, command: Command, caller: &Caller) -> Answer {
        let seconds_max = match command {
            Command::Reload | Command::ReloadDryRun => RELOADED_SECONDS_MAX,
            _ => OUTCOME_SECONDS_MAX,
        };
        self.carry_out_within(Duration::from_secs(seconds_max), command, &caller.to_string()).await
    }

    async fn carry_out_within(&self, limit: Duration, command: Command, by: &str) -> Answer {
        match tokio::time::timeout(limit, self.see_through(command, by)).await {
            Ok(Ok(done)) => Answer::Done(done),
            Ok(Err(why)) => Answer::Refused(why),
            Err(_) => Answer::UnderWay(format!(
                "no outcome within {} s; the daemon goes on with it: its log will tell, and the status",
                limit.as_secs()
            )),
        }
    }

    /// Has a command of `by` carried out and waits for its outcome, however long that takes.
    ///
    /// # Errors
    /// In words, why it was not carried out.
    pub async fn see_through(&self, command: Command, by: &str) -> Result<String, String> {
        let (outcome, waiting) = oneshot::channel();
        if self.orders.try_send(Order { command, by: by.to_owned(), outcome }).is_err() {
            return Err("the daemon is busy or about to end: try again".to_owned());
        }
        waiting.await.unwrap_or_else(|_| Err(ENDED.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_done_in_time_is_under_way_and_neither_refused_nor_asked_again() {
        let (desk, mut orders) = Desk::new(samples::board(), Audit::default());
        let answer = desk.carry_out_within(Duration::ZERO, Command::Reload, "test").await;
        assert!(matches!(&answer, Answer::UnderWay(words) if words.contains("goes on with it")), "{answer:?}");
        let order = orders.recv().await.unwrap();
        assert_eq!(order.command, Command::Reload);
        // Whoever sees it through is told however late it is.
        let (outcome, ()) = tokio::join!(desk.see_through(Command::Reload, "test"), async {
            let order = orders.recv().await.unwrap();
            assert!(orders.try_recv().is_err(), "asked once");
            order.outcome.send(Err("not good".to_owned())).unwrap();
        });
        assert_eq!(outcome, Err("not good".to_owned()));
    }
}
