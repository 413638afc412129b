//! The forecaster: the client of the model server, and its supervisor.
//!
//! It gathers the questions of an instant, has the server answer them together, and tells the house; each question is
//! answered exactly once. In realtime a question that is not answered in time, and every one while the server is away,
//! is answered with none. In lockstep it waits for the server and asks again, so that a crash changes nothing.
//!
//! The server is a process of its own: what native code does to its memory is not ours.

mod desk;
mod known;
mod process;
#[cfg(test)]
mod samples;
mod server;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use levibot_core::alerts::{Alert, Severity, Topic};
use levibot_core::domain::{Forecast, Ix, ModelVersion, Question, Span, Symbol, Timeframe, Ts};
use levibot_core::driver::Pace;
use levibot_core::forecast::{FromModel, Ready, ToModel, encode};
use levibot_core::supervision::SupervisionInput;

use crate::control::Board;
use crate::house_link::{HouseLink, Outgoing};
use crate::risk_manager::Tell;
use crate::supervisor::AlertChannels;
use crate::telemetry::ForecastOutcome;
use crate::telemetry::clock::monotonic_now;
use crate::telemetry::metrics::Metrics;

pub use known::Known;
pub use process::ModelProcess;
pub use server::{ModelHost, ServerLink, ServerSays};

use desk::{Desk, DeskSetup, Task};
use watch::Watch;

/// Questions and words of the server that may wait.
const MAILBOX: usize = 4_096;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(10);
/// Alerts about refusals come at most this often, with how many there were.
const REFUSED_EVERY: Span = Span::MINUTE;

/// A question for the model.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// Whether no other engine owes a question for this instant, so that there is nothing to wait for.
    pub last: bool,
}

/// What is answered together.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The version that answers; `None` when there is none.
    pub version: Option<ModelVersion>,
    /// Of whom, the close of the bar, and the forecast; `None` where there is none.
    pub answers: Vec<(Ix, Ts, Option<Forecast>)>,
}

/// A person wants the model server started anew; lifts its quarantine.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct RestartModel;

/// From now on the strategies of these symbols ask the model, and no others.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Asking {
    /// Every symbol, in instrument order: the ones that were there, and new ones behind them.
    pub symbols: Vec<Symbol>,
    /// Those that ask.
    pub asking: Vec<Ix>,
}

/// End the model server; answered when it is gone.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopModel;

/// What the house is told of a version that answers from now on; `None` where it need not be.
pub type Swapped = dyn Fn(&Ready) -> Option<Tell> + Send + Sync;

/// How the house is told.
#[derive(Clone)]
pub struct Words {
    /// What questions are answered with.
    pub answers: Arc<dyn Fn(Answers) -> Tell + Send + Sync>,
    /// Realtime: the model is away for this reason, or back, for the entries of a symbol whose strategy asks it.
    pub away: Arc<dyn Fn(Ix, Option<String>) -> Tell + Send + Sync>,
    /// Another version answers from now on.
    pub swapped: Arc<Swapped>,
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

/// What a forecaster is made of.
#[derive(Debug)]
pub struct Parts {
    /// How time passes.
    pub pace: Pace,
    /// The symbols, in instrument order.
    pub symbols: Vec<Symbol>,
    /// Those whose strategies ask the model.
    pub asking: Vec<Ix>,
    /// Bar length.
    pub timeframe: Timeframe,
    /// How long the first question of an instant waits for the others in realtime.
    pub batch_wait: Span,
    /// How long a question may go unanswered in realtime.
    pub deadline: Span,
    /// The version and digest that alone may answer; `None`: whichever is in use.
    pub pinned: Option<Pinned>,
    /// Forecasts that need not be asked for again.
    pub known: Known,
    /// The way to the risk manager, and what is said there.
    pub house: HouseLink,
    /// See [`Words`].
    pub words: Words,
    /// Where faces look.
    pub board: Board,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Where alerts go.
    pub alerts: AlertChannels,
    /// When the server is restarted.
    pub supervision: levibot_core::supervision::SupervisionSetup,
}

/// A version that is named before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Which.
    pub version: ModelVersion,
    /// SHA-256 over its files, hexadecimal; `None` where it is not known beforehand.
    pub digest: Option<String>,
}

/// When the model server is restarted: it takes longer than an engine to load and to answer, so that failures count
/// together over ten minutes and delays are longer (0.2 s to 0.8 s; 0.8 s to 5 s for one that never became ready).
pub const SUPERVISION: levibot_core::supervision::SupervisionSetup = levibot_core::supervision::SupervisionSetup {
    failures_max: 5,
    window: Span::MINUTE.times(10),
    backoff_first: Span::from_millis(200),
    backoff_max: Span::from_secs(5),
    healthy_after: Span::MINUTE,
    progress_deadline: Span::from_secs(10),
    starting_deadline: Span::MINUTE,
    stop_deadline: Span::from_secs(2),
};

/// See the module.
#[derive(Debug)]
pub struct Forecaster {
    pace: Pace,
    asking: Vec<Ix>,
    desk: Desk,
    watch: Watch,
    outgoing: Outgoing,
    words: Words,
    metrics: Arc<Metrics>,
    alerts: AlertChannels,
    /// What the house was last told: `None` nothing yet.
    away: Option<bool>,
    /// The version that the house was last told of, by its digest.
    told: Option<String>,
    /// Refusals that no alert has told of, and when the last one did.
    refused: u64,
    refused_told: Option<Ts>,
    over: bool,
}

impl Forecaster {
    /// A forecaster whose server is started by `host` when it is.
    pub fn new(parts: Parts, host: Box<dyn ModelHost>) -> Self {
        let desk = DeskSetup {
            pace: parts.pace,
            symbols: parts.symbols,
            timeframe: parts.timeframe,
            batch_wait: parts.batch_wait,
            deadline: parts.deadline,
        };
        let expected = watch::Expected { timeframe: parts.timeframe, pinned: parts.pinned };
        Self {
            pace: parts.pace,
            asking: parts.asking,
            desk: Desk::new(desk, parts.known),
            watch: Watch::new(host, parts.supervision, expected, parts.board, Arc::clone(&parts.metrics)),
            outgoing: Outgoing::new(parts.house),
            words: parts.words,
            metrics: parts.metrics,
            alerts: parts.alerts,
            away: None,
            told: None,
            refused: 0,
            refused_told: None,
            over: false,
        }
    }

    /// Lets the desk do something and carries out what it wants.
    fn desk(&mut self, act: impl FnOnce(&mut Desk, Ts, &mut Vec<Task>)) {
        let mut tasks = Vec::new();
        act(&mut self.desk, monotonic_now(), &mut tasks);
        for task in tasks {
            self.carry_out(task);
        }
    }

    fn carry_out(&mut self, task: Task) {
        match task {
            Task::Send(batch) => {
                self.metrics.model().asked(batch.questions.len());
                match encode(&ToModel::Forecast(batch)) {
                    Ok(payload) => self.watch.send(payload),
                    Err(error) => self.fatal(format!("questions cannot be written: {error}")),
                }
            }
            Task::Tell { answers, outcomes } => {
                for (outcome, took) in outcomes {
                    self.metrics.model().forecast(outcome);
                    if outcome == ForecastOutcome::Answered {
                        self.metrics.model().inference_took(took);
                    }
                }
                let tell = (self.words.answers)(answers);
                self.say(tell);
            }
            Task::Late(count) => self.metrics.model().late(count),
            Task::Refused(symbol, refusal) => {
                tracing::warn!(%symbol, ?refusal, "the model would not answer");
                self.refused += 1;
            }
            Task::Kept(symbol) => {
                let text = format!(
                    "{symbol} is kept from the model: two crashes of it had a question of {symbol} under way; \
                     another version, or a restart of the daemon, lifts this"
                );
                self.alert(Severity::Critical, Some(symbol), text);
            }
            Task::Fatal(why) => self.fatal(why),
        }
    }

    fn say(&mut self, tell: Tell) {
        // What finds the mailbox full goes at the next tick.
        let _ = self.outgoing.send(tell);
    }

    fn alert(&self, severity: Severity, symbol: Option<Symbol>, text: String) {
        self.alerts.send(&Alert::new(severity, Topic::Model, symbol, text));
    }

    fn fatal(&mut self, why: String) {
        if !std::mem::replace(&mut self.over, true) {
            self.say(Tell::Fatal(why));
        }
    }

    /// Tells the policy what was seen and does what follows.
    fn watch(&mut self, input: &SupervisionInput) {
        for event in self.watch.step(input) {
            match event {
                watch::Happened::Lost => self.desk(Desk::down),
                watch::Happened::Alert { text, quarantined } => {
                    let severity = if quarantined { Severity::Critical } else { Severity::Warning };
                    if quarantined && self.pace == Pace::Lockstep {
                        self.fatal(text.clone());
                    }
                    self.alert(severity, None, text);
                }
            }
        }
        self.tell_presence();
    }

    /// Realtime: entries of those who ask wait while the model is away.
    fn tell_presence(&mut self) {
        let away = !self.watch.is_up();
        if self.over || self.pace == Pace::Lockstep || self.away == Some(away) {
            return;
        }
        self.away = Some(away);
        let reason = away.then(|| self.watch.why_away());
        for ix in self.asking.clone() {
            let tell = (self.words.away)(ix, reason.clone());
            self.say(tell);
        }
    }

    fn hear(&mut self, word: FromModel) {
        match word {
            FromModel::Ready(ready) => self.ready(ready),
            FromModel::Answer(answer) => {
                let mut breach = None;
                self.desk(|desk, now, tasks| breach = desk.answered(answer, now, tasks).err());
                match breach {
                    Some(why) => self.refuse(&why),
                    None => self.moved_on(),
                }
            }
            FromModel::Failed { reason } => {
                self.watch.note(&reason);
                self.alert(Severity::Warning, None, format!("a version of the model cannot be used: {reason}"));
            }
        }
    }

    fn ready(&mut self, ready: Ready) {
        if let Err(why) = self.watch.check(&ready) {
            self.refuse(&why);
            return;
        }
        tracing::info!(version = %ready.version, trained_through = %ready.trained_through, "the model answers");
        self.watch.accept(&ready);
        if self.told.as_ref() != Some(&ready.digest) {
            self.told = Some(ready.digest.clone());
            if let Some(tell) = (self.words.swapped)(&ready) {
                self.say(tell);
            }
        }
        let generation = self.watch.generation();
        self.watch(&SupervisionInput::Ready { generation });
        self.desk(|desk, now, tasks| desk.up(ready.version, now, tasks));
        self.working();
    }

    /// The server breaks the protocol, or is not the one that is wanted: it goes, which counts as a failure.
    fn refuse(&mut self, why: &str) {
        self.watch.kill();
        let generation = self.watch.generation();
        self.watch(&SupervisionInput::Exited { generation, cause: why.to_owned() });
    }

    fn moved_on(&mut self) {
        let generation = self.watch.generation();
        self.watch(&SupervisionInput::Progress { generation });
        self.working();
    }

    fn working(&mut self) {
        let generation = self.watch.generation();
        let input = if self.desk.is_waiting() { SupervisionInput::Work { generation } } else { SupervisionInput::Idle };
        self.watch(&input);
    }

    fn tick(&mut self) {
        let _ = self.outgoing.flush();
        self.desk(Desk::tick);
        self.working();
        self.watch(&SupervisionInput::Tick);
        let now = monotonic_now();
        if self.refused > 0 && self.refused_told.is_none_or(|last| now - last >= REFUSED_EVERY) {
            self.refused_told = Some(now);
            let count = std::mem::take(&mut self.refused);
            let text = format!("the model would not answer {count} questions; the log says why");
            self.alert(Severity::Warning, None, text);
        }
    }
}

impl Actor for Forecaster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(TICK, |forecaster, _| forecaster.tick());
        self.watch.speaks_to(ctx.address().recipient());
        self.watch(&SupervisionInput::Start);
    }
}

impl Handler<Ask> for Forecaster {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        self.desk(|desk, now, tasks| desk.ask(ask.question, ask.last, now, tasks));
        self.working();
        if let Some(wait) = self.desk.wait() {
            ctx.run_later(wait, |forecaster, _| {
                forecaster.desk(Desk::tick);
                forecaster.working();
            });
        }
    }
}

impl Handler<ServerSays> for Forecaster {
    type Result = ();

    fn handle(&mut self, says: ServerSays, _: &mut Self::Context) {
        if says.generation() != self.watch.generation() || !self.watch.is_linked() {
            return;
        }
        match says {
            ServerSays::Word { word, .. } => self.hear(*word),
            ServerSays::Gone { generation, cause } => {
                self.watch(&SupervisionInput::Exited { generation, cause });
            }
        }
    }
}

impl Handler<Asking> for Forecaster {
    type Result = ();

    /// Entries of those who ask no more are free; those who begin to ask while the model is away are frozen.
    fn handle(&mut self, Asking { symbols, asking }: Asking, _: &mut Self::Context) {
        self.desk.follow(symbols);
        let before = std::mem::replace(&mut self.asking, asking);
        if self.away != Some(true) {
            return;
        }
        let why = self.watch.why_away();
        let gone = before.iter().filter(|ix| !self.asking.contains(ix)).map(|ix| (*ix, None));
        let new = self.asking.iter().filter(|ix| !before.contains(ix)).map(|ix| (*ix, Some(why.clone())));
        for (ix, reason) in gone.chain(new).collect::<Vec<_>>() {
            let tell = (self.words.away)(ix, reason);
            self.say(tell);
        }
    }
}

impl Handler<RestartModel> for Forecaster {
    type Result = ();

    fn handle(&mut self, _: RestartModel, _: &mut Self::Context) {
        self.watch(&SupervisionInput::Restart);
    }
}

impl Handler<StopModel> for Forecaster {
    type Result = ();

    fn handle(&mut self, _: StopModel, _: &mut Self::Context) {
        self.over = true;
        self.watch(&SupervisionInput::Stop);
    }
}
