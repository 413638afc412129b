//! Keeps the SQL tables after the journal. Nothing waits for them; when they fall far behind, people are told, and in the
//! end entries pause until they are back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Event, FreezeCause, Ix};
use levibot_core::driver::Input;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::AppError;
use crate::control::Board;
use crate::house_link::HouseLink;
use crate::journal::{JOURNAL_FILE, JournalWatch};
use crate::risk_manager::Tell;
use crate::store::{Projector, Store, StoreError};
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::metrics::Metrics;

/// How often the tables are brought up to date.
const EVERY: Duration = Duration::from_millis(250);
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
    pub(super) async fn start(database: &Path, dir: &Path, parts: Parts) -> Result<Self, AppError> {
        let store = Store::open(&format!("sqlite://{}", database.display())).await?;
        let projector = Projector::new(store, &dir.join(JOURNAL_FILE));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Follower { projector, parts, behind: None, told: false, frozen: 0 }.run(stopped));
        Ok(Self { stop, task })
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

struct Follower {
    projector: Projector,
    parts: Parts,
    /// Since when the tables lack durable records that they could not take.
    behind: Option<Instant>,
    told: bool,
    /// Symbols whose entries are frozen for it, in instrument order.
    frozen: usize,
}

impl Follower {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<u64, StoreError> {
        loop {
            let last = tokio::time::timeout(EVERY, stopped.changed()).await.is_ok();
            let durable = self.parts.watch.durable();
            let result = self.projector.catch_up_to(durable.offset).await;
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
