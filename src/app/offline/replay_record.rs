//! `levibot replay-record`: gives the tape to fresh cores and compares every decision and every record with what was
//! done then.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use levibot_core::account::book::Book;
use levibot_core::account::{Account, Action, State};
use levibot_core::domain::{Actions, Decision, Event, Symbol, Ts};
use levibot_core::engine::StrategyPolicy;
use levibot_core::record::{Record, TapeEntry, TapeItem, TapeTarget};
use serde::Serialize;

use super::run_folder;
use super::seats::Seats;
use crate::app::{AppError, strategies};
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
    /// Records before the first start that the tape holds: days are deleted after `journal.tape_keep_days`.
    pub unrepeatable: u64,
    /// Records that no tape reaches: a crash may lose the tail of its tape.
    pub beyond: u64,
    /// Records that follow from a tape and that no journal reaches: a crash may lose the tail of that, too.
    pub ahead: u64,
    /// What differs, the first few.
    pub differences: Vec<String>,
    /// How many differ.
    pub different: u64,
    /// Inputs that the tape says it has lost.
    pub lost: u64,
    /// Decisions of an older version of levibot, which did not put its strategies on record, that another strategy made
    /// than the one configured now: they cannot be compared.
    pub of_unknown_strategies: u64,
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
        if self.unrepeatable > 0 {
            write!(f, "; {} records before the first start on the tape cannot be run again", self.unrepeatable)?;
        }
        if self.beyond > 0 {
            write!(f, "; {} records lie beyond the end of a tape", self.beyond)?;
        }
        if self.ahead > 0 {
            write!(f, "; {} records follow from a tape beyond the end of its journal", self.ahead)?;
        }
        if self.of_unknown_strategies > 0 {
            let count = self.of_unknown_strategies;
            write!(
                f,
                "; {count} decisions of an older version, whose strategy is not on record, could not be compared"
            )?;
        }
        if self.lost > 0 {
            write!(f, "; the tape lost {} inputs to a slow disk", self.lost)?;
        }
        Ok(())
    }
}

/// Runs the record of a data folder again with the strategies of `config`, from the first start of a daemon that the tape holds.
///
/// # Errors
/// [`AppError`] when journal or tape cannot be read, belong to another configuration, or the tape holds no start.
pub fn replay_record(config: &Config, dir: &Path) -> Result<ReplayOutcome, AppError> {
    let dir = run_folder(dir)?;
    let mut journal = VecDeque::new();
    scan(&dir.join(JOURNAL_FILE), &mut |envelope| journal.push_back((envelope.ts, envelope.record)))?;
    // A record that holds its strategies needs no configuration of that time.
    let holds_strategies = journal.iter().any(|(_, record)| matches!(record, Record::Strategies { .. }));
    if let Some((_, Record::Started { config_hash, .. })) = journal.front()
        && !holds_strategies
        && *config_hash != config.hash()
    {
        return Err(AppError::OtherConfiguration { dir, file: config.file.clone() });
    }
    let mut again = Again::new(config, journal);
    let mut outcome = ReplayOutcome { dir: dir.clone(), ..ReplayOutcome::default() };
    for item in TapeReader::open(&dir.join("tape"))? {
        match item? {
            TapeItem::Entry(entry) if again.truth.is_none() => again.begin(&entry, &mut outcome),
            TapeItem::Entry(entry) => again.take(entry, &mut outcome),
            TapeItem::Gap { entries, .. } => outcome.lost += entries,
        }
    }
    if again.truth.is_none() {
        return Err(AppError::NothingToRepeat { dir });
    }
    again.end(&mut outcome);
    Ok(outcome)
}

/// The cores, made anew.
pub(super) struct Again<'a> {
    config: &'a Config,
    /// What was put on record and has not been met yet.
    journal: VecDeque<(Ts, Record)>,
    account: Option<Account>,
    /// How many records were read.
    read: u64,
    /// What the journal says, as far as it was read: after a crash the next daemon begins with that.
    truth: Option<State>,
    /// Whether the last record that was read says that the daemon ended in order.
    ended: bool,
    /// Whether the life of the daemon that is read has put its strategies on record, which older versions did not.
    holds_strategies: bool,
    /// The strategies of each symbol on record by their hashes, as far as it was read.
    strategies: BTreeMap<Symbol, BTreeMap<u64, StrategyPolicy>>,
    /// Which of them was put on record last.
    latest: BTreeMap<Symbol, u64>,
    seats: Seats,
    /// The records that were read, until somebody takes them; `None` where nobody wants them.
    passed: Option<Vec<(Ts, Record)>>,
}

impl<'a> Again<'a> {
    /// The same, and what is read of the journal is kept for [`Self::passed`].
    pub(super) fn keeping(config: &'a Config, journal: VecDeque<(Ts, Record)>) -> Self {
        Self { passed: Some(Vec::new()), ..Self::new(config, journal) }
    }

    /// The records that were read since it was asked last.
    pub(super) fn passed(&mut self) -> Vec<(Ts, Record)> {
        self.passed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The account as the daemon had it, once a start was met.
    pub(super) const fn account_now(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// What stands on record and has not been met.
    pub(super) const fn ahead(&self) -> &VecDeque<(Ts, Record)> {
        &self.journal
    }

    /// The number of the last record before those that the next input makes. What came by no input stands before them.
    pub(super) fn number(&self) -> u64 {
        let is_before = |record: &Record| record.is_note() && !matches!(record, Record::Reconciled { .. });
        let notes = self.journal.iter().take_while(|(_, record)| is_before(record)).count() as u64;
        self.account.as_ref().map_or(0, |account| account.state().seq()) + notes
    }

    /// The engines.
    pub(super) const fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The strategy of a symbol with this hash, as far as the record was read; the one that was put on record last where no
    /// hash is known; the configured one where the record has none.
    pub(super) fn strategy(&self, symbol: Symbol, hash: Option<u64>) -> &StrategyPolicy {
        let on_record = self.strategies.get(&symbol);
        let found = on_record.and_then(|all| match hash {
            Some(hash) => all.get(&hash),
            None => self.latest.get(&symbol).and_then(|hash| all.get(hash)),
        });
        found.unwrap_or_else(|| self.config.strategies.of(symbol))
    }

    fn new(config: &'a Config, journal: VecDeque<(Ts, Record)>) -> Self {
        Self {
            config,
            journal,
            account: None,
            read: 0,
            truth: None,
            ended: false,
            holds_strategies: false,
            strategies: BTreeMap::new(),
            latest: BTreeMap::new(),
            seats: Seats::default(),
            passed: None,
        }
    }

    /// Looks for the first start of a daemon. What the tape holds before it belongs to a life whose beginning is gone: nobody
    /// knows what its engines remembered, nor the prices that the account had seen. What was put on record before is taken as
    /// it stands.
    pub(super) fn begin(&mut self, entry: &TapeEntry, outcome: &mut ReplayOutcome) {
        let is_started = |record: &Record| matches!(record, Record::Started { .. });
        let mut records = (1..).zip(&self.journal);
        let place = match entry.to {
            TapeTarget::Start(number) => records.position(|(seq, (_, record))| seq == number && is_started(record)),
            TapeTarget::Session => records.position(|(_, (ts, record))| *ts == entry.ts && is_started(record)),
            _ => None,
        };
        let Some(place) = place else { return };
        outcome.inputs += 1;
        for _ in 0..place {
            outcome.unrepeatable += u64::from(self.next(outcome).is_some());
        }
        self.start(outcome);
    }

    /// Takes the start that comes next on record.
    fn start(&mut self, outcome: &mut ReplayOutcome) {
        let before = self.truth.clone();
        let Some((ts, started)) = self.next(outcome) else { return };
        outcome.records += 1;
        let mut quiet = Actions::new();
        let account = match before {
            Some(state) => Account::restart(state, ts, started, &mut quiet),
            None => Account::open(ts, started, &mut quiet),
        };
        // What cannot follow was told when it was folded.
        self.account = account.ok();
    }

    /// The tape has ended.
    pub(super) fn end(&mut self, outcome: &mut ReplayOutcome) {
        self.notes(outcome);
        while self.is_setup_next() {
            self.setup(outcome);
        }
        outcome.beyond += self.journal.len() as u64;
    }

    pub(super) fn take(&mut self, entry: TapeEntry, outcome: &mut ReplayOutcome) {
        outcome.inputs += 1;
        let TapeEntry { ts, to, event, .. } = entry;
        match to {
            TapeTarget::Account => self.account(ts, &event, outcome),
            TapeTarget::Engine(_) | TapeTarget::History(_) | TapeTarget::Cold(_) => self.seats.take(ts, to, event),
            TapeTarget::Remembered => {
                if let (Some(account), Event::Bar { instrument, bar, .. }) = (&mut self.account, &event) {
                    account.remember(*instrument, bar);
                }
            }
            // What stands on record before it has been met by then; older versions left no such mark.
            TapeTarget::Setup => self.setup(outcome),
            TapeTarget::Session => self.session(|_, started| started >= ts, outcome),
            TapeTarget::Start(number) => self.session(|seq, _| seq >= number, outcome),
        }
    }

    /// A daemon has started; `is_its` knows its start by number and time. What those before it put on record after the end
    /// of their tapes (a crash may lose the tail, and a short life leaves none at all) is taken as it stands, up to there.
    fn session(&mut self, is_its: impl Fn(u64, Ts) -> bool, outcome: &mut ReplayOutcome) {
        self.seats.clear();
        self.notes(outcome);
        while let Some((ts, record)) = self.journal.front() {
            if matches!(record, Record::Started { .. }) {
                let is_this = is_its(self.read + 1, *ts);
                self.start(outcome);
                if is_this {
                    return;
                }
            } else {
                outcome.beyond += u64::from(self.next(outcome).is_some());
            }
        }
    }

    /// The next record of the journal, folded into the truth.
    fn next(&mut self, outcome: &mut ReplayOutcome) -> Option<(Ts, Record)> {
        let (ts, record) = self.journal.pop_front()?;
        self.read += 1;
        let folded = match &mut self.truth {
            Some(state) => state.apply(ts, &record),
            None => State::open(ts, &record).map(|state| self.truth = Some(state)),
        };
        if let Err(error) = folded {
            outcome.differs(format!("record at {ts}: it cannot follow: {error}"));
        }
        self.learn(ts, &record, outcome);
        if matches!(record, Record::Started { .. }) {
            self.holds_strategies = false;
        }
        self.ended = matches!(record, Record::Ended { .. });
        if let Some(passed) = &mut self.passed {
            passed.push((ts, record.clone()));
        }
        Some((ts, record))
    }

    fn account(&mut self, ts: Ts, event: &Event, outcome: &mut ReplayOutcome) {
        self.notes(outcome);
        if self.is_setup_overdue(ts, event) {
            self.setup(outcome);
        }
        if let Event::Decision(recorded) = event {
            self.compare_decision(recorded, outcome);
        }
        let mut actions = Actions::new();
        if let Some(account) = &mut self.account {
            account.step(event, ts, &mut actions);
        }
        for action in actions.drain() {
            if let Action::Record(record) = action {
                self.compare_record(ts, *record, outcome);
            }
        }
    }

    fn compare_decision(&mut self, recorded: &Decision, outcome: &mut ReplayOutcome) {
        outcome.decisions += 1;
        let Some(account) = &self.account else { return };
        let symbol = account.state().book(recorded.instrument).map(Book::symbol);
        let strategy = symbol.and_then(|symbol| {
            let configured = || Some(self.config.strategies.of(symbol)).filter(|one| one.hash() == recorded.policy);
            match self.strategies.get(&symbol) {
                Some(on_record) if self.holds_strategies => on_record.get(&recorded.policy),
                Some(on_record) => on_record.get(&recorded.policy).or_else(configured),
                None => configured(),
            }
        });
        if strategy.is_none() && !self.holds_strategies {
            outcome.of_unknown_strategies += 1;
            return;
        }
        match self.seats.answer(recorded, account.state().timeframe(), strategy) {
            Some(again) if again == *recorded => {}
            again => outcome.differs(format!("decision at {}: {recorded:?} then, {again:?} now", recorded.bar)),
        }
    }

    fn compare_record(&mut self, ts: Ts, record: Record, outcome: &mut ReplayOutcome) {
        outcome.records += 1;
        self.notes(outcome);
        if self.is_setup_next() {
            self.setup(outcome);
        }
        if !self.ended && matches!(self.journal.front(), None | Some((_, Record::Started { .. }))) {
            // The journal of a daemon that was killed may end before its tape does: nothing had been done on that.
            outcome.ahead += 1;
            return;
        }
        match self.next(outcome) {
            Some((then, recorded)) if then == ts && recorded == record => {}
            Some((then, recorded)) => {
                outcome.differs(format!("record at {ts}: {recorded:?} ({then}) then, {record:?} now"))
            }
            None => outcome.differs(format!("record at {ts}: the journal has ended, {record:?} now")),
        }
    }

    fn learn(&mut self, ts: Ts, record: &Record, outcome: &mut ReplayOutcome) {
        let Record::Strategies { strategies } = record else { return };
        self.holds_strategies = true;
        match strategies::of_record(strategies) {
            Ok(found) => {
                for (symbol, strategy) in found {
                    self.latest.insert(symbol, strategy.hash());
                    self.strategies.entry(symbol).or_default().insert(strategy.hash(), strategy);
                }
            }
            Err(error) => outcome.differs(format!("record at {ts}: its strategies cannot be read: {error}")),
        }
    }

    fn is_setup_next(&self) -> bool {
        self.account.is_some() && matches!(self.journal.front(), Some((_, Record::Setup { .. })))
    }

    /// Whether a changed setup comes next that left no mark on the tape, and was taken before this event: an older version
    /// wrote the tape, or the piece with the mark is lost. It stands on record with the time of the market data before it;
    /// of what has the same time, market data mostly came before it, and everything else after.
    fn is_setup_overdue(&self, ts: Ts, event: &Event) -> bool {
        let Some((taken, Record::Setup { .. })) = self.journal.front() else { return false };
        let is_market = matches!(event, Event::Bar { .. } | Event::Quote { .. } | Event::FrameEnd);
        self.is_setup_next() && (ts > *taken || (ts == *taken && !is_market))
    }

    /// Takes the changed setup that stands on record next, and what follows it.
    fn setup(&mut self, outcome: &mut ReplayOutcome) {
        self.notes(outcome);
        if !self.is_setup_next() {
            // The tape goes on where the journal of a daemon that was killed ends, or the setup was refused.
            return;
        }
        let Some((ts, Record::Setup { setup })) = self.next(outcome) else { return };
        outcome.records += 1;
        // What cannot follow was told when it was folded.
        drop(self.account.as_mut().map(|account| account.reconfigure(*setup, ts, &mut Actions::new())));
        self.notes(outcome);
    }

    /// Takes what stands on record and came by no event: commands, ends.
    fn notes(&mut self, outcome: &mut ReplayOutcome) {
        while let Some((_, record)) = self.journal.front() {
            // A comparison changes nothing either, but comes by an event: the venue's word.
            if !record.is_note() || matches!(record, Record::Reconciled { .. }) {
                return;
            }
            let Some((ts, record)) = self.next(outcome) else { return };
            outcome.records += 1;
            let mut quiet = Actions::new();
            match (&mut self.account, record) {
                (None, _) => {}
                (Some(account), note) => account.note(note, ts, &mut quiet),
            }
        }
    }
}

#[cfg(test)]
#[path = "replay_record_tests.rs"]
mod tests;
