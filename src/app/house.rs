//! Opening the account: a new one, one that is recovered from its journal, or a replay that is done again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use levibot_core::account::{Account, State};
use levibot_core::domain::hash::{hex, sha256};
use levibot_core::domain::{Actions, Report, RunId, Ts};
use levibot_core::driver::recovery::{Fold, never_sent};
use levibot_core::driver::{Pace, Sequencer};
use levibot_core::fills::{PaperAccount, PaperVenue};
use levibot_core::record::{Envelope, Record};

use super::data::Source;
use super::{AppError, RunRequest, model, projection};
use crate::config::{Config, PaceKey};
use crate::forecaster::Known;
use crate::house_link::HouseLink;
use crate::journal::{
    Durability, JOURNAL_FILE, Journal, Notify, Options, Recovery, TapeOptions, TapeReader, TapeWriter, WhenFull, scan,
};
use crate::model_versions::Metadata;
use crate::risk_manager::{Counts, Tell, opening_records};
use crate::telemetry::chain;
use crate::telemetry::clock::wall_now;

/// An account with its journal, ready to be driven.
#[derive(Debug)]
pub(super) struct House {
    pub(super) sequencer: Sequencer,
    pub(super) opening: Vec<(Ts, Record)>,
    pub(super) journal: Journal,
    pub(super) tape: Option<(TapeWriter, u64)>,
    pub(super) venue: PaperVenue,
    pub(super) counts: Counts,
    pub(super) run: RunId,
    pub(super) dir: PathBuf,
    /// Where market data go on, when the journal has a past.
    pub(super) resume_at: Option<Ts>,
    /// What the venue says of orders that were on their way when the last session ended.
    pub(super) settled: Vec<Report>,
    /// Forecasts that an earlier run of this replay has on record.
    pub(super) known: Known,
    /// A sentence for people about what was found.
    pub(super) found: Option<String>,
}

pub(super) const fn pace(config: &Config) -> Pace {
    match config.run.pace {
        PaceKey::Lockstep => Pace::Lockstep,
        PaceKey::Realtime => Pace::Realtime,
    }
}

impl House {
    /// Opens the account. Symbols that are not configured any more and have a position or order are carried on in realtime:
    /// `source` takes them in.
    ///
    /// # Errors
    /// [`AppError`]; among them [`AppError::Abandoned`] where there are no prices of such a symbol.
    pub(super) fn open(
        request: &RunRequest,
        source: &mut Source,
        model: Option<&Metadata>,
        link: &HouseLink,
    ) -> Result<Self, AppError> {
        match pace(&request.config) {
            Pace::Lockstep => Self::replay(&request.config, source, model, link),
            Pace::Realtime => Self::recover(request, source, link),
        }
    }

    /// A replay is its own recovery: it is done again from its start, compared with what stands in its journal, and
    /// goes on where that ends. Its name is made of everything that decides its outcome.
    fn replay(config: &Config, source: &Source, model: Option<&Metadata>, link: &HouseLink) -> Result<Self, AppError> {
        let (hash, data) = (config.hash(), source.digest.to_le_bytes());
        let mut parts = vec![hash.as_bytes(), &data];
        parts.extend(model.map(|model| model.digest.as_bytes()));
        let name = sha256(&parts);
        let run: RunId = format!("replay-{}", hex(&name[..6])).parse().map_err(AppError::Name)?;
        let dir = config.run.data_dir.join(run.as_str());
        make_dir(&dir)?;
        let repeated = dir.join(JOURNAL_FILE).exists();
        let known = model::known(&dir, |symbol| source.setup.ix(symbol))?;
        let options = Options { durability: Durability::AtFlush, when_full: WhenFull::Block, ..Options::default() };
        let journal = Journal::open_verifying(&dir, options, notify(link))?;
        let mut actions = Actions::new();
        let started = started(config, source, run);
        let account = Account::open(source.start, started, &mut actions).map_err(|source| AppError::Fold {
            seq: 1,
            dir: dir.clone(),
            source,
        })?;
        let tape = open_tape(config, &dir, true)?;
        Ok(Self {
            sequencer: Sequencer::new(Pace::Lockstep, account, source.start),
            opening: opening_records(source.start, &mut actions),
            journal,
            tape,
            venue: PaperVenue::new(config.paper, &PaperAccount::from(&source.setup), &source.setup.instruments),
            counts: Counts::default(),
            run,
            dir,
            resume_at: None,
            settled: Vec::new(),
            known,
            found: repeated.then(|| "this replay has a journal already: it is verified and continued".to_owned()),
        })
    }

    /// Folds the journal, rebuilds the venue from it, and asks the venue for orders that were on their way.
    fn recover(request: &RunRequest, source: &mut Source, link: &HouseLink) -> Result<Self, AppError> {
        let config = &request.config;
        let dir = config.run.data_dir.clone();
        make_dir(&dir)?;
        let (mut fold, mut counts) = (Fold::default(), Counts::default());
        let mut take = |envelope: Envelope| {
            fold.take(&envelope);
            counts.take(&envelope.record);
        };
        // In realtime nothing is repeated: what the journal has lost, nobody would bring back.
        let agrees = |found: &Recovery| projection::compare(&config.store.path(&dir), &dir, found.head);
        let (journal, recovery) = Journal::open_if(&dir, Options::default(), notify(link), &mut take, agrees)?;
        let past = fold.finish().map_err(|(seq, source)| AppError::Fold { seq, dir: dir.clone(), source })?;
        let torn = recovery.torn.map(|t| format!("a line cut off by a crash ({} bytes) was set aside; ", t.bytes));
        let mut actions = Actions::new();
        let other = |source| AppError::OtherAccount { dir: dir.clone(), source };
        let (account, now, resume_at, found) = match past {
            None => {
                let started = started(config, source, new_run(config)?);
                (Account::open(source.start, started, &mut actions).map_err(other)?, source.start, None, None)
            }
            Some(state) => {
                let (now, seq) = (state.ts().max(source.start), state.seq());
                let started = started(config, source, state.run());
                let account = Account::restart(state, now, started, &mut actions).map_err(other)?;
                let text = format!("{}continuing after record {seq} at {now}", torn.unwrap_or_default());
                (account, now, Some(now), Some(text))
            }
        };
        carry(account.state(), request, source)?;
        let setup = account.state().setup();
        let mut venue = PaperVenue::new(config.paper, &PaperAccount::from(setup), &setup.instruments);
        scan(&dir.join(JOURNAL_FILE), &mut |e: Envelope| venue.recover(&e.record, e.ts))?;
        let settled = never_sent(account.state(), &venue);
        let tape = open_tape(config, &dir, false)?;
        Ok(Self {
            run: account.state().run(),
            sequencer: Sequencer::new(Pace::Realtime, account, now),
            opening: opening_records(now, &mut actions),
            journal,
            tape,
            venue,
            counts,
            dir,
            resume_at,
            settled,
            known: Known::default(),
            found,
        })
    }
}

/// A symbol that left the configuration while it has a position or an order goes on with prices: without them it would have
/// no protection. A run that only closes takes what has prices; the rest stays open, and is named at the end.
fn carry(state: &State, request: &RunRequest, source: &mut Source) -> Result<(), AppError> {
    let gone = state.books().iter().filter(|book| source.setup.ix(book.symbol()).is_none());
    let names: Vec<String> = gone.map(|book| book.symbol().to_string()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let refused = |error: AppError| AppError::Abandoned { symbols: names.join(", "), reason: chain(&error) };
    let unpriced =
        if request.purpose.is_closing() { source.unpriced(&request.config, state.setup()) } else { Vec::new() };
    source.carry(&request.config, state.setup(), &unpriced).map_err(refused)?;
    if !unpriced.is_empty() {
        let names = unpriced.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!("there are no prices of {names}: what is open of it stays open, the rest is closed");
    }
    Ok(())
}

fn started(config: &Config, source: &Source, run: RunId) -> Record {
    let setup = Box::new(source.setup.clone());
    Record::Started { run, timeframe: config.market.timeframe, config_hash: config.hash(), setup }
}

/// A name for a new account's life: the day, and enough of a hash to tell two of a day apart.
fn new_run(config: &Config) -> Result<RunId, AppError> {
    let now = wall_now();
    let salt = sha256(&[config.hash().as_bytes(), &now.nanos().to_le_bytes(), &std::process::id().to_le_bytes()]);
    format!("run-{}-{}", now.yyyymmdd(), hex(&salt[..4])).parse().map_err(AppError::Name)
}

fn notify(link: &HouseLink) -> Notify {
    let link = link.clone();
    // A full mailbox is no loss: the house looks at the journal by itself too.
    Arc::new(move |_| drop(link.try_send(Tell::JournalMoved)))
}

fn open_tape(config: &Config, dir: &Path, replay: bool) -> Result<Option<(TapeWriter, u64)>, AppError> {
    if !config.journal.tape {
        return Ok(None);
    }
    let dir = dir.join("tape");
    make_dir(&dir)?;
    let base = if replay { 0 } else { TapeReader::last_seq(&dir)? };
    // A replay's trading days pass in seconds: nothing of it is old.
    let keep_days = if replay { u32::MAX / 2 } else { config.journal.tape_keep_days };
    let options = TapeOptions { keep_days, wait: replay, fresh: replay, ..TapeOptions::default() };
    Ok(Some((TapeWriter::open(&dir, options)?, base)))
}

pub(super) fn make_dir(path: &Path) -> Result<(), AppError> {
    std::fs::create_dir_all(path).map_err(|source| AppError::Folder { path: path.to_owned(), source })
}
