//! `levibot replay-record`: gives the tape to fresh cores and compares every decision and every record with what was
//! done then.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use levibot_core::account::{Account, Action, State};
use levibot_core::domain::{Actions, Decision, Event, Ix, Ts};
use levibot_core::engine::{Core, EngineAction, EngineSetup};
use levibot_core::record::{Record, TapeEntry, TapeItem, TapeTarget};
use serde::Serialize;

use super::run_folder;
use crate::app::AppError;
use crate::config::Config;
use crate::journal::{JOURNAL_FILE, TapeReader, scan};

/// What running a record again gave.
#[derive(Debug, Default, Serialize)]
pub struct ReplayOutcome {
    /// The data folder.
    pub dir: PathBuf,
    /// Inputs read from the tape.
    pub inputs: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// Records compared.
    pub records: u64,
    /// Records that no tape reaches: a crash may lose the tail of its tape.
    pub beyond: u64,
    /// What differs, the first few.
    pub differences: Vec<String>,
    /// How many differ.
    pub different: u64,
    /// Inputs that the tape says it has lost.
    pub lost: u64,
}

/// Differences that are kept in words.
const SHOWN_MAX: usize = 20;

impl ReplayOutcome {
    fn differs(&mut self, text: String) {
        self.different += 1;
        if self.differences.len() < SHOWN_MAX {
            self.differences.push(text);
        }
    }
}

impl fmt::Display for ReplayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        write!(
            f,
            "{} inputs, {} decisions and {} records run again in {}: {} differ",
            self.inputs,
            self.decisions,
            self.records,
            self.dir.display(),
            self.different
        )?;
        if self.beyond > 0 {
            write!(f, "; {} records lie beyond the end of a tape", self.beyond)?;
        }
        if self.lost > 0 {
            write!(f, "; the tape lost {} inputs to a slow disk", self.lost)?;
        }
        Ok(())
    }
}

/// Runs the record of a data folder again with the strategies of `config`.
///
/// # Errors
/// [`AppError`] when journal or tape cannot be read, or belong to another configuration.
pub fn replay_record(config: &Config, dir: &Path) -> Result<ReplayOutcome, AppError> {
    let dir = run_folder(dir)?;
    let mut journal = VecDeque::new();
    scan(&dir.join(JOURNAL_FILE), &mut |envelope| journal.push_back((envelope.ts, envelope.record)))?;
    if let Some((_, Record::Started { config_hash, .. })) = journal.front()
        && *config_hash != config.hash()
    {
        return Err(AppError::OtherConfiguration { dir, file: config.file.clone() });
    }
    let mut again = Again { config, journal, account: None, engines: BTreeMap::new(), answers: BTreeMap::new() };
    let mut outcome = ReplayOutcome { dir: dir.clone(), ..ReplayOutcome::default() };
    for item in TapeReader::open(&dir.join("tape"))? {
        match item? {
            TapeItem::Entry(entry) => again.take(entry, &mut outcome),
            TapeItem::Gap { entries, .. } => outcome.lost += entries,
        }
    }
    again.notes(&mut outcome);
    outcome.beyond += again.journal.len() as u64;
    Ok(outcome)
}

/// The cores, made anew.
struct Again<'a> {
    config: &'a Config,
    /// What was put on record and has not been met yet.
    journal: VecDeque<(Ts, Record)>,
    account: Option<Account>,
    engines: BTreeMap<Ix, Core>,
    /// Decisions of the fresh engines that wait for the recorded ones.
    answers: BTreeMap<Ix, VecDeque<Decision>>,
}

impl Again<'_> {
    fn take(&mut self, entry: TapeEntry, outcome: &mut ReplayOutcome) {
        outcome.inputs += 1;
        let first = self.account.is_none();
        if first {
            self.notes(outcome);
        }
        let TapeEntry { ts, to, event, .. } = entry;
        match to {
            TapeTarget::Account => self.account(ts, &event, outcome),
            TapeTarget::Engine(ix) => self.engine(ix, ts, &event),
            TapeTarget::History(ix) | TapeTarget::Cold(ix) => {
                if matches!(to, TapeTarget::Cold(_)) {
                    // What the one before had said and nobody took is not said by this one.
                    self.engines.remove(&ix);
                    self.answers.remove(&ix);
                }
                if let (Event::Bar { bar, context, .. }, Some(core)) = (&event, self.core(ix)) {
                    core.prime(bar, context);
                }
            }
            TapeTarget::Session if first => {}
            TapeTarget::Session => self.session(outcome),
        }
    }

    /// A daemon has started. What the one before it put on record after the end of its tape (a crash may lose the tail)
    /// is taken as it stands, up to the new start.
    fn session(&mut self, outcome: &mut ReplayOutcome) {
        self.engines.clear();
        self.answers.clear();
        let Some(account) = &self.account else { return };
        let mut state: State = account.state().clone();
        while let Some((ts, record)) = self.journal.pop_front() {
            let taken = if matches!(record, Record::Started { .. }) {
                outcome.records += 1;
                let restarted = Account::restart(state.clone(), ts, record, &mut Actions::new());
                let done = restarted.map(|account| self.account = Some(account));
                if done.is_ok() {
                    return;
                }
                done
            } else {
                outcome.beyond += u64::from(!record.is_note());
                state.apply(ts, &record)
            };
            if let Err(error) = taken {
                outcome.differs(format!("record at {ts}: it cannot follow: {error}"));
            }
        }
    }

    fn core(&mut self, ix: Ix) -> Option<&mut Core> {
        if !self.engines.contains_key(&ix) {
            let symbol = self.account.as_ref()?.state().book(ix)?.symbol();
            let policy = self.config.strategies.of(symbol).clone();
            self.engines.insert(ix, Core::new(EngineSetup::new(ix, self.config.market.timeframe, policy)));
        }
        self.engines.get_mut(&ix)
    }

    fn engine(&mut self, ix: Ix, ts: Ts, event: &Event) {
        let mut actions = Actions::new();
        let Some(core) = self.core(ix) else { return };
        core.step(event, ts, &mut actions);
        let decisions = actions.drain().filter_map(|action| match action {
            EngineAction::Decide(decision) => Some(decision),
            EngineAction::Ask(_) => None,
        });
        self.answers.entry(ix).or_default().extend(decisions);
    }

    fn account(&mut self, ts: Ts, event: &Event, outcome: &mut ReplayOutcome) {
        self.notes(outcome);
        if let Event::Decision(recorded) = event {
            self.compare_decision(recorded, outcome);
        }
        let mut actions = Actions::new();
        if let Some(account) = &mut self.account {
            account.step(event, ts, &mut actions);
        }
        for action in actions.drain() {
            if let Action::Record(record) = action {
                self.compare_record(ts, record, outcome);
            }
        }
    }

    fn compare_decision(&mut self, recorded: &Decision, outcome: &mut ReplayOutcome) {
        outcome.decisions += 1;
        let answers = self.answers.entry(recorded.instrument).or_default();
        // An engine that was replaced may have left an answer that nobody took.
        while answers.front().is_some_and(|d| d.bar < recorded.bar) {
            answers.pop_front();
        }
        match answers.pop_front() {
            Some(again) if again == *recorded => {}
            again => outcome.differs(format!("decision at {}: {recorded:?} then, {again:?} now", recorded.bar)),
        }
    }

    fn compare_record(&mut self, ts: Ts, record: Record, outcome: &mut ReplayOutcome) {
        outcome.records += 1;
        self.notes(outcome);
        match self.journal.pop_front() {
            Some((then, recorded)) if then == ts && recorded == record => {}
            Some((then, recorded)) => {
                outcome.differs(format!("record at {ts}: {recorded:?} ({then}) then, {record:?} now"))
            }
            None => outcome.differs(format!("record at {ts}: the journal has ended, {record:?} now")),
        }
    }

    /// Takes what stands on record and came by no event: starts, changed setups, commands, ends.
    fn notes(&mut self, outcome: &mut ReplayOutcome) {
        while let Some((ts, record)) = self.journal.front() {
            let (ts, record) = (*ts, record.clone());
            let mut quiet = Actions::new();
            let taken = match (&mut self.account, &record) {
                (None, Record::Started { .. }) => Account::open(ts, record, &mut quiet).map(|a| self.account = Some(a)),
                (Some(account), Record::Started { .. }) => {
                    let state: State = account.state().clone();
                    Account::restart(state, ts, record, &mut quiet).map(|a| self.account = Some(a))
                }
                (Some(account), Record::Setup { setup }) => account.reconfigure((**setup).clone(), ts, &mut quiet),
                (Some(account), note) if note.is_note() => {
                    account.note(record, ts, &mut quiet);
                    Ok(())
                }
                _ => return,
            };
            self.journal.pop_front();
            outcome.records += 1;
            if let Err(error) = taken {
                outcome.differs(format!("record at {ts}: it cannot follow: {error}"));
            }
        }
    }
}
