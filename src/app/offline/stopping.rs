//! Halting, resuming and closing where no daemon runs, or where it does not answer.
//!
//! The latch file comes first: whatever else fails, no daemon trades on over it. Then, if nobody holds the folder, the
//! record: by the account's own code, as a short life of a daemon that puts its start, the halt, what became of the orders
//! and its end on the journal. If somebody holds it, the latch file is all that can be done from outside.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use levibot_core::account::orders::OrderStage;
use levibot_core::account::{Account, AccountView, Action, ApplyError, State};
use levibot_core::domain::{Actions, DoneReason, Event, HaltLevel, Leg, OrderId, Reason, Report, Ts};
use levibot_core::record::{Envelope, JournalReader, Record};

use crate::app::projection::compare;
use crate::app::{AppError, Purpose, RunRequest, Summary, run};
use crate::config::{Config, Overrides, PaceKey, StoreConfig};
use crate::control::Wish;
use crate::journal::{JOURNAL_FILE, Journal, JournalError, Options, Recovery};
use crate::latch::LatchFile;

/// How the names of replays begin.
const REPLAY: &str = "replay-";

/// What is wanted of an account whose daemon does not answer.
#[derive(Debug, Clone)]
pub struct StopRequest {
    /// The data folder.
    pub dir: PathBuf,
    /// What.
    pub wish: Wish,
    /// By whom and why.
    pub reason: Reason,
    /// The account's SQL tables, where they are not in its folder.
    pub database: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub enum Stopped {
    /// It is done, in words.
    Done(String),
    /// There was nothing to close; the account as its record has it.
    Flat(Box<AccountView>),
    /// Something is open: [`close`] closes it. Entries are cancelled and refused meanwhile, where everything is to be closed.
    Open {
        /// Hashes of the configurations with which the account was run.
        configurations: BTreeSet<String>,
    },
    /// Somebody holds the folder.
    Stuck(Stuck),
}

/// A daemon that holds its folder and does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.words())]
pub struct Stuck {
    /// Its process, as far as that can be known.
    pub pid: String,
    /// What the latch file holds by now; `None` where nothing was written to it.
    pub latched: Option<HaltLevel>,
}

impl Stuck {
    fn words(&self) -> String {
        let pid = &self.pid;
        match self.latched {
            Some(level) => format!(
                "the daemon (process {pid}) holds the folder and does not answer, or does not follow; the latch file is written ({level}): the \
                 daemon halts by itself as soon as its account runs, and every later start is halted. Nothing else was \
                 done: orders and positions live in that process, and nothing was sent to the venue. If `levibot status` \
                 does not show the halt in a moment: `kill -9 {pid}`, then `levibot flatten`"
            ),
            None => format!(
                "the daemon (process {pid}) holds the folder and does not answer: a halt is not lifted over its head; look at \
                 its log, or `kill -9 {pid}` and ask again"
            ),
        }
    }

    /// For `--json`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({"stuck": {"pid": self.pid, "latched": self.latched, "outcome": self.words()}})
    }
}

/// Does what can be done without the daemon.
///
/// # Errors
/// [`AppError`]: no account in the folder, a replay, a latch file or a journal that cannot be written, a damaged or cut
/// record, which is left as it is. The
/// latch file, where one is wanted, is written before the record is looked at.
pub fn stop(request: &StopRequest) -> Result<Stopped, AppError> {
    let StopRequest { dir, wish, reason, database } = request;
    if !dir.join(JOURNAL_FILE).is_file() {
        return Err(AppError::NoRun { dir: dir.clone() });
    }
    refuse_replay(dir)?;
    let latch = LatchFile::new(dir);
    let level = match wish {
        Wish::Halt(level) => Some(*level),
        Wish::Flatten => Some(HaltLevel::Flatten),
        Wish::Resume | Wish::Close(_) => None,
    };
    if let Some(level) = level {
        latch.raise(level, reason)?;
    }
    let database = database.clone().unwrap_or_else(|| StoreConfig::InDataDir.path(dir));
    let mut alone = match Alone::open(dir, &database) {
        Err(AppError::Journal(JournalError::Locked { pid, .. })) => return stuck(&latch, pid, *wish, reason),
        opened => opened?,
    };
    match wish {
        Wish::Halt(level) => alone.halt(*level, reason).map(Stopped::Done),
        Wish::Resume => alone.resume(&latch, reason).map(Stopped::Done),
        Wish::Flatten => {
            alone.halt(HaltLevel::Flatten, reason)?;
            Ok(alone.left(|_| true))
        }
        Wish::Close(symbol) => {
            let books = alone.state().books();
            if !books.iter().any(|book| book.symbol() == *symbol) {
                let known = books.iter().map(|book| book.symbol().to_string()).collect::<Vec<_>>().join(", ");
                return Err(AppError::UnknownSymbol { symbol: *symbol, known, dir: dir.clone() });
            }
            Ok(alone.left(|book| book.symbol() == *symbol))
        }
    }
}

/// A daemon that does not answer is to increase nothing, also where one symbol is meant.
fn stuck(latch: &LatchFile, pid: String, wish: Wish, reason: &Reason) -> Result<Stopped, AppError> {
    let latched = match wish {
        Wish::Halt(level) => Some(latch.raise(level, reason)?),
        Wish::Flatten => Some(latch.raise(HaltLevel::Flatten, reason)?),
        Wish::Close(_) => Some(latch.raise(HaltLevel::ReduceOnly, reason)?),
        Wish::Resume => None,
    };
    Ok(Stopped::Stuck(Stuck { pid, latched }))
}

/// A replay is compared with its journal line by line when it is done again: nothing may be added to that.
fn refuse_replay(dir: &Path) -> Result<(), AppError> {
    // What cannot be read is told when the whole of it is.
    let Ok(file) = File::open(dir.join(JOURNAL_FILE)) else { return Ok(()) };
    match JournalReader::new(BufReader::new(file)).next() {
        Some(Ok((Envelope { record: Record::Started { run, .. }, .. }, _))) if run.as_str().starts_with(REPLAY) => {
            Err(AppError::OfReplay { dir: dir.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The account of a folder that this process holds.
struct Alone {
    journal: Journal,
    account: Account,
    now: Ts,
    /// What is to be put on record.
    batch: Vec<(Ts, Record)>,
    configurations: BTreeSet<String>,
}

/// What a journal says.
#[derive(Default)]
struct Past {
    state: Option<State>,
    /// The configuration of the last start.
    config_hash: String,
    configurations: BTreeSet<String>,
    fault: Option<(u64, ApplyError)>,
}

impl Past {
    fn take(&mut self, envelope: &Envelope) {
        if self.fault.is_some() {
            return;
        }
        if let Record::Started { config_hash, .. } = &envelope.record {
            self.config_hash.clone_from(config_hash);
            self.configurations.insert(config_hash.clone());
        }
        let result = match &mut self.state {
            Some(state) => state.apply(envelope.ts, &envelope.record),
            None => State::open(envelope.ts, &envelope.record).map(|state| self.state = Some(state)),
        };
        self.fault = result.err().map(|error| (envelope.seq, error));
    }
}

impl Alone {
    /// Takes the folder and folds its journal, whose torn tail is set aside as at a start: not before the tables have
    /// said that nothing durable is missing.
    fn open(dir: &Path, database: &Path) -> Result<Self, AppError> {
        let mut past = Past::default();
        let nobody = Arc::new(|_| {});
        let agrees = |found: &Recovery| compare(database, dir, found.head);
        let mut take = |envelope| past.take(&envelope);
        let (journal, _) = Journal::open_if(dir, Options::default(), nobody, &mut take, agrees)?;
        let fold = |(seq, source)| AppError::Fold { seq, dir: dir.to_owned(), source };
        if let Some(fault) = past.fault {
            return Err(fold(fault));
        }
        let state = past.state.ok_or_else(|| AppError::NoRun { dir: dir.to_owned() })?;
        let (now, mut actions) = (state.ts(), Actions::new());
        let started = Record::Started {
            run: state.run(),
            timeframe: state.timeframe(),
            config_hash: past.config_hash,
            setup: Box::new(state.setup().clone()),
        };
        let seq = state.seq() + 1;
        let account = Account::restart(state, now, started, &mut actions).map_err(|error| fold((seq, error)))?;
        let mut alone = Self { journal, account, now, batch: Vec::new(), configurations: past.configurations };
        alone.collect(&mut actions);
        Ok(alone)
    }

    const fn state(&self) -> &State {
        self.account.state()
    }

    /// Keeps the records; gives the orders that are to be cancelled.
    fn collect(&mut self, actions: &mut Actions<Action>) -> Vec<OrderId> {
        let mut cancels = Vec::new();
        for action in actions.drain() {
            match action {
                Action::Record(record) => self.batch.push((self.now, *record)),
                Action::Cancel(order) => cancels.push(order),
                // Orders that leave nowhere are settled by the next start, and there is nobody to tell.
                _ => {}
            }
        }
        cancels
    }

    /// Tells the account, and what the venue says of its cancels.
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Actions::new();
            self.account.step(&event, self.now, &mut actions);
            let cancels = self.collect(&mut actions);
            events.extend(cancels.into_iter().filter_map(|order| self.cancelled(order)).map(Event::Report));
        }
    }

    /// The paper venue's answer to a cancel. Its books are what the record says: it never had an order that it did not
    /// accept, and one that is wholly filled is over.
    fn cancelled(&self, id: OrderId) -> Option<Report> {
        let order = self.state().orders().find(|order| order.order.id == id)?;
        let reason = match (order.stage == OrderStage::Live, order.filled == order.order.qty) {
            (_, true) => DoneReason::Filled,
            (true, false) => DoneReason::Cancelled,
            (false, false) => DoneReason::NotSent,
        };
        Some(Report::Done { order: id, reason, text: Some("no daemon was running".to_owned()) })
    }

    fn has_entries(&self) -> bool {
        self.state().orders().any(|order| order.order.leg == Leg::Entry)
    }

    fn has_positions(&self) -> bool {
        self.state().books().iter().any(|book| book.direction().is_some())
    }

    /// Halts on record. Positions are closed by a run alone, which has prices: until then the record holds what can be kept.
    fn halt(&mut self, level: HaltLevel, reason: &Reason) -> Result<String, AppError> {
        let waits = level == HaltLevel::Flatten && self.has_positions();
        let kept = if waits { HaltLevel::ReduceOnly } else { level };
        let before = self.account.halt_level();
        let orders = self.state().orders().count();
        if before >= kept && !self.has_entries() {
            return Ok(format!("already halted at {}; no daemon runs", before.max(level)));
        }
        self.tell(Event::Halt { level: kept, reason: reason.clone() });
        let cancelled = orders - self.state().orders().count();
        let rest = if waits { "; positions are open, which `levibot flatten` or the next start closes" } else { "" };
        let outcome = format!(
            "halted at {level} without a daemon: record and latch file hold it, {cancelled} order(s) cancelled{rest}; \
             `levibot resume` lifts it"
        );
        self.end(format!("halt {level}: {}", reason.text), &outcome, reason)?;
        Ok(outcome)
    }

    /// Lifts the halt; the latch file last, so that a crash in between leaves it in force.
    fn resume(&mut self, latch: &LatchFile, reason: &Reason) -> Result<String, AppError> {
        let is_halted = self.account.halt_level() > HaltLevel::None || self.account.view().drill.is_some();
        let latched = latch.look();
        if !is_halted && latched.is_none() {
            return Ok("nothing was halted; no daemon runs".to_owned());
        }
        self.tell(Event::Resume { reason: reason.clone() });
        let outcome = format!(
            "resumed without a daemon; the day's loss counts from the equity at the last prices on record, {} at {}, on",
            self.account.view().equity.rounded(2),
            self.now
        );
        self.end(format!("resume: {}", reason.text), &outcome, reason)?;
        // A halt that somebody has asked for meanwhile stands.
        match latch.lift(latched.as_ref().map(|latched| &latched.mark))? {
            Some(stands) => Ok(format!("{outcome}; but the latch file holds a newer halt ({})", stands.level)),
            None => Ok(outcome),
        }
    }

    /// Puts on record what was gathered, with the command itself, durably.
    fn end(&mut self, command: String, outcome: &str, reason: &Reason) -> Result<(), AppError> {
        let mut actions = Actions::new();
        let note = Record::Command { by: reason.by.clone(), command, outcome: outcome.to_owned() };
        self.account.note(note, self.now, &mut actions);
        let ended = Record::Ended { reason: "a command without a daemon is done".to_owned() };
        self.account.note(ended, self.now, &mut actions);
        self.collect(&mut actions);
        self.journal.append(&std::mem::take(&mut self.batch))?;
        self.journal.flush()?;
        Ok(())
    }

    /// What is left of these symbols.
    fn left(self, is_meant: impl Fn(&levibot_core::account::book::Book) -> bool) -> Stopped {
        let mut meant = self.state().books().iter().filter(|book| is_meant(book));
        if meant.all(|book| book.direction().is_none() && book.live().is_empty()) {
            Stopped::Flat(Box::new(self.account.view()))
        } else {
            Stopped::Open { configurations: self.configurations }
        }
    }
}

/// A run that closes what is open.
#[derive(Debug)]
pub struct CloseRequest {
    /// The checked configuration, whose market gives the prices.
    pub config: Config,
    /// What it was made with.
    pub overrides: Overrides,
    /// Whether its file was named.
    pub named: bool,
    /// Hashes of the configurations with which the account was run.
    pub configurations: BTreeSet<String>,
    /// Which symbol; `None`: everything.
    pub only: Option<levibot_core::domain::Symbol>,
    /// By whom and why.
    pub reason: Reason,
    /// How long it may take, real time.
    pub limit: Duration,
}

/// Runs the daemon without engines until everything that is meant is closed, or the time is over.
///
/// # Errors
/// [`AppError`] where the configuration is not one of this account, or the run cannot begin or go on.
pub fn close(request: CloseRequest) -> Result<Summary, AppError> {
    let CloseRequest { config, overrides, named, configurations, only, reason, limit } = request;
    if config.run.pace == PaceKey::Lockstep {
        return Err(AppError::OfReplay { dir: config.run.data_dir });
    }
    // One that is named may have changed since.
    if !named && !configurations.contains(&config.hash()) {
        return Err(AppError::NotItsConfiguration { dir: config.run.data_dir, file: config.file });
    }
    run(RunRequest { config, overrides, named, limit: Some(limit), purpose: Purpose::Close { only, reason } })
}
