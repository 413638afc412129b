//! Keeps the SQL tables after the journal. Nothing waits for them; when they fall far behind, people are told, and in the
//! end entries pause until they are back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Event, FreezeCause, Ix};
use levibot_core::driver::Input;
use levibot_core::record::Chain;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::AppError;
use crate::control::Board;
use crate::house_link::HouseLink;
use crate::journal::{JOURNAL_FILE, JournalWatch};
use crate::risk_manager::Tell;
use crate::store::{Progress, Projector, Store, StoreError};
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

/// How often the tables are brought up to date.
const EVERY: Duration = Duration::from_millis(250);
/// How long a start waits for a database that somebody holds; after that it is opened later.
const OPEN_WITHIN: Duration = Duration::from_secs(1);
/// Tables this old are worth an alert.
const ALERT_AFTER: Duration = Duration::from_secs(60);
/// Tables this old pause entries.
const PAUSE_AFTER: Duration = Duration::from_secs(300);

/// What the task needs.
pub(super) struct Parts {
    pub(super) watch: JournalWatch,
    pub(super) board: Board,
    pub(super) metrics: Arc<Metrics>,
    pub(super) alerts: Vec<Arc<dyn AlertChannel>>,
    pub(super) house: HouseLink,
}

/// The running task.
#[derive(Debug)]
pub(super) struct Projection {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<u64, StoreError>>,
}

impl Projection {
    /// # Errors
    /// [`AppError::Store`] for a database that cannot be used and will not be by itself: of a newer levibot, or in a folder
    /// that may not be written. One that somebody holds is waited for; a damaged one is set aside and made anew.
    pub(super) async fn start(database: &Path, dir: &Path, parts: Parts) -> Result<Self, AppError> {
        let tables =
            Tables { database: database.to_owned(), journal: dir.join(JOURNAL_FILE), alerts: parts.alerts.clone() };
        let projector = match tokio::time::timeout(OPEN_WITHIN, tables.open()).await {
            Ok(Ok(projector)) => Some(projector),
            Ok(Err(error)) if !error.is_busy() => return Err(error.into()),
            Ok(Err(_)) | Err(_) => None,
        };
        let (stop, stopped) = watch::channel(false);
        let follower = Follower { tables, projector, parts, behind: None, told: false, replaced: false, frozen: 0 };
        Ok(Self { stop, task: tokio::spawn(follower.run(stopped)) })
    }

    /// Takes what is left and ends; the last record in the tables.
    pub(super) async fn finish(self) -> Result<u64, AppError> {
        let _ = self.stop.send(true);
        match self.task.await {
            Ok(result) => Ok(result?),
            Err(error) => Err(AppError::Fatal(format!("the projection ended badly: {error}"))),
        }
    }
}

/// Where the tables are and what they are made from.
struct Tables {
    database: PathBuf,
    journal: PathBuf,
    alerts: Vec<Arc<dyn AlertChannel>>,
}

impl Tables {
    /// Opens the database; a damaged one is put out of the way.
    async fn open(&self) -> Result<Projector, StoreError> {
        match Store::open(&address(&self.database)).await {
            Ok(store) => Ok(Projector::new(store, &self.journal)),
            Err(error) if error.is_damage() => self.replace(&error).await,
            Err(error) => Err(error),
        }
    }

    /// Makes new tables in the place of damaged ones, and tells people.
    async fn replace(&self, error: &StoreError) -> Result<Projector, StoreError> {
        let (store, aside) = Store::replace(&self.database).await?;
        let text = format!(
            "the SQL tables in {} were damaged and are rebuilt from the journal, trading goes on: {}; the old file is kept as \
             {}, look at the disk (until they are rebuilt, `levibot audit` cannot compare the journal's end with them)",
            self.database.display(),
            chain(error),
            aside.display()
        );
        let alert = Alert::warning(Topic::Store, None, text);
        self.alerts.iter().for_each(|channel| channel.send(&alert));
        Ok(Projector::new(store, &self.journal))
    }
}

fn address(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

/// Compares the journal, whose last whole record is `head`, with its mirror in the tables: before anything of it is
/// changed, its torn tail too, so that what was found stays as it is. Where there are no tables, or none
/// that can be read now, there is nothing to compare with; whoever opens them says what is wrong.
///
/// # Errors
/// [`AppError::Cut`] when the journal ends before what was durable, [`AppError::Store`] when it is another one.
pub(super) fn compare(database: &Path, dir: &Path, head: Chain) -> Result<(), AppError> {
    if !database.is_file() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AppError::Fatal(format!("the SQL tables cannot be asked: {error}")))?;
    runtime.block_on(compare_open(database, dir, head))
}

async fn compare_open(database: &Path, dir: &Path, head: Chain) -> Result<(), AppError> {
    let Ok(Ok(store)) = tokio::time::timeout(OPEN_WITHIN, Store::open(&address(database))).await else { return Ok(()) };
    let known = store.head().await;
    let projector = Projector::new(store, &dir.join(JOURNAL_FILE));
    let compared = projector.check().await;
    projector.close().await;
    match (known, compared) {
        (Ok(Some((known, _))), _) if known > head.seq => {
            let (dir, database) = (dir.to_owned(), database.to_owned());
            Err(AppError::Cut { dir, database, last: head.seq, known, missing: known - head.seq })
        }
        (_, Err(error @ StoreError::Mismatch { .. })) => Err(error.into()),
        _ => Ok(()),
    }
}

struct Follower {
    tables: Tables,
    /// None while somebody else holds the database.
    projector: Option<Projector>,
    parts: Parts,
    /// Since when the tables lack durable records that they could not take.
    behind: Option<Instant>,
    told: bool,
    /// Whether tables that were damaged while they were in use have been made anew: once, for a disk that damages them
    /// again needs a person.
    replaced: bool,
    /// Symbols whose entries are frozen for it, in instrument order.
    frozen: usize,
}

impl Follower {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<u64, StoreError> {
        loop {
            let last = tokio::time::timeout(EVERY, stopped.changed()).await.is_ok();
            let durable = self.parts.watch.durable();
            let result = self.catch_up_to(durable.offset).await;
            if last {
                return result.map(|progress| progress.seq);
            }
            match result {
                Ok(progress) => {
                    self.parts.board.beat(|pulse| pulse.store_seq = progress.seq);
                    self.parts.metrics.set_store_lag(durable.head.seq.saturating_sub(progress.seq));
                    self.caught_up();
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    /// Brings the tables up to a byte of the journal, and opens them first where that was not possible before.
    async fn catch_up_to(&mut self, offset: u64) -> Result<Progress, StoreError> {
        let mut projector = match self.projector.take() {
            Some(projector) => projector,
            None => self.tables.open().await?,
        };
        let result = projector.catch_up_to(offset).await;
        match result {
            Err(error) if error.is_damage() && !std::mem::replace(&mut self.replaced, true) => {
                projector.close().await;
                let mut fresh = self.tables.replace(&error).await?;
                let result = fresh.catch_up_to(offset).await;
                self.projector = Some(fresh);
                result
            }
            result => {
                self.projector = Some(projector);
                result
            }
        }
    }

    fn caught_up(&mut self) {
        (self.behind, self.told) = (None, false);
        let frozen = std::mem::take(&mut self.frozen);
        self.freeze(0..frozen, None);
    }

    fn failed(&mut self, error: &StoreError) {
        let since = *self.behind.get_or_insert_with(Instant::now);
        if since.elapsed() > ALERT_AFTER && !std::mem::replace(&mut self.told, true) {
            let text = format!("the SQL tables fall behind, trading goes on: {error}");
            let alert = Alert::warning(Topic::Store, None, text);
            self.parts.alerts.iter().for_each(|channel| channel.send(&alert));
        }
        if since.elapsed() > PAUSE_AFTER {
            // Symbols that come while it lasts are frozen too.
            let all = self.parts.board.account().symbols.len();
            let new = std::mem::replace(&mut self.frozen, all)..all;
            self.freeze(new, Some("the SQL tables are more than 5 minutes behind"));
        }
    }

    fn freeze(&self, which: std::ops::Range<usize>, reason: Option<&str>) {
        for ix in which.filter_map(Ix::from_usize) {
            let event =
                Event::Freeze { instrument: ix, cause: FreezeCause::Store, reason: reason.map(ToOwned::to_owned) };
            if self.parts.house.try_send(Tell::Input(Input::Control(event))).is_err() {
                tracing::warn!("the house could not be told about the state of the tables");
            }
        }
    }
}
