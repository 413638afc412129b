//! A run from its first to its last moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use arc_swap::ArcSwap;
use levibot_core::domain::Ts;
use levibot_core::driver::{Input, Pace, WARM_UP_BARS};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::data::{Source, progress};
use super::house::{House, pace};
use super::latch_watch::LatchGuard;
use super::open_files::Need;
use super::projection::Projection;
use super::start::{Actors, Faces, Shared, first_words};
use super::watch::Sight;
use super::{AppError, Purpose, RunRequest, Summary, first_model, model, strategies};
use crate::control::{Board, server};
use crate::forecaster::{Forecaster, StopModel};
use crate::house_link::HouseLink;
use crate::latch::LatchFile;
use crate::model_versions::Metadata;
use crate::risk_manager::{HouseEvent, RiskManager, Tell};
use crate::supervisor::{Begun, StopAll, Supervisor};
use crate::telemetry::alerts::SlowGuard;

/// Runs until the market ends, the time is over, or somebody says stop.
///
/// # Errors
/// [`AppError`] when it could not begin, or could not go on.
pub fn run(mut request: RunRequest) -> Result<Summary, AppError> {
    // Before anything else: from here on it halts the account, once there is one, and ends the program no more.
    let system = System::new();
    let halts = system.block_on(async { signal(SignalKind::user_defined1()) }).map_err(AppError::Signals)?;
    request.purpose.narrow(&mut request.config);
    // What changes while a first model is trained counts too.
    let sight = Sight::of(request.config.watched_files());
    let open = if request.purpose.is_closing() { Source::open_priced } else { Source::open };
    let mut source = open(&request.config)?;
    Need::of(&request.config, source.setup.instruments.len()).ensure()?;
    let metadata = if request.purpose.is_closing() { None } else { first_model::ensure(&request.config, &source)? };
    let link = HouseLink::default();
    let house = House::open(&request, &mut source, metadata.as_ref(), &link)?;
    // Also what a symbol that is not configured any more goes by is in force.
    let carried = source.carried(&request.config);
    request.config.market.take_rules(&carried);
    if let Some(metadata) = &metadata {
        let first = house.resume_at.unwrap_or(source.start);
        first_model::check_in_sample(&request.config, &source, metadata, first)?;
    }
    system.block_on(Daemon::start_and_serve(request, source, house, link, metadata, (sight, halts)))
}

/// Everything that runs.
struct Daemon {
    board: Board,
    house: Addr<RiskManager>,
    supervisor: Addr<Supervisor>,
    model: Option<Addr<Forecaster>>,
    projection: Projection,
    control: server::ServerHandle,
    http: Option<crate::http::ServerHandle>,
    events: mpsc::UnboundedReceiver<HouseEvent>,
    slack: Option<SlowGuard>,
    pace: Pace,
    dir: std::path::PathBuf,
    data: (Ts, Option<Ts>),
    began: Instant,
    purpose: Purpose,
    latch: Option<LatchGuard>,
}

/// Why a run ends.
enum End {
    Finished,
    TimeOver,
    Flat,
    Signal(&'static str),
    Fatal(String),
}

impl Daemon {
    async fn start_and_serve(
        request: RunRequest,
        source: Source,
        house: House,
        link: HouseLink,
        found: Option<Metadata>,
        watched: (Sight, Signal),
    ) -> Result<Summary, AppError> {
        let mut daemon = Self::start(&request, source, house, &link, found, watched).await?;
        let end = daemon.serve(request.limit).await?;
        daemon.end(end).await
    }

    async fn start(
        request: &RunRequest,
        source: Source,
        house: House,
        link: &HouseLink,
        found: Option<Metadata>,
        (sight, halts): (Sight, Signal),
    ) -> Result<Self, AppError> {
        // From here on it asks for a reload and ends the program no more.
        let hang_ups = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
        let latch = LatchFile::new(&house.dir);
        strategies::tell_unwarmed(&request.config, source.traded(&request.config));
        let mut notes = vec![strategies::note(&request.config, source.traded(&request.config))];
        notes.extend(model::thawed(&request.config, house.sequencer.account().state()));
        notes.extend(model::first_note(&request.config, found.as_ref()));
        notes.extend(request.purpose.first_words(house.sequencer.account().state()));
        let first = first_words(&house, &latch, notes);
        let mut shared = Shared::new(request, &source, &house, link)?;
        let data = (source.start, source.end());
        let mut feed = source.feed(house.resume_at)?;
        let (dir, watch) = (house.dir.clone(), house.journal.watch());
        if let Some(found) = &house.found {
            tracing::info!("{found}");
        }
        shared.tell_carried();
        let history = feed.history(WARM_UP_BARS);
        let actors = shared.actors(house, &history, feed, latch, &first, found)?;
        let Faces { projection, control, http } =
            shared.faces(&actors, watch, &dir, (Arc::new(ArcSwap::from_pointee(sight)), hang_ups, halts)).await?;
        let Actors { house, supervisor, model, events, .. } = actors;
        for tell in first {
            house.send(tell).await.map_err(|e| AppError::Fatal(format!("the account did not start: {e}")))?;
        }
        supervisor.send(Begun).await.map_err(|e| AppError::Fatal(format!("the supervisor did not start: {e}")))?;
        let latch = shared.latch_watch(&dir)?;
        let (board, slack) = (shared.board, shared.slack.take());
        tracing::info!(run = board.info().run, data_dir = %dir.display(), "levibot is up");
        let (pace, began, purpose) = (pace(&request.config), Instant::now(), request.purpose.clone());
        Ok(Self {
            board,
            house,
            supervisor,
            model,
            projection,
            control,
            http,
            events,
            slack,
            pace,
            dir,
            data,
            began,
            purpose,
            latch,
        })
    }

    async fn serve(&mut self, limit: Option<Duration>) -> Result<End, AppError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
        let board = self.board.clone();
        let is_closing = self.purpose.is_closing();
        let over = async move {
            match limit {
                Some(limit) => {
                    while !is_closing && !board.pulse().ready {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    tokio::time::sleep(limit).await;
                }
                None => std::future::pending().await,
            }
        };
        let show = show_progress(self.board.clone(), self.data, self.pace);
        let (shown, purpose) = (self.board.clone(), self.purpose.clone());
        tokio::select! {
            event = self.events.recv() => Ok(match event {
                Some(HouseEvent::Finished) => End::Finished,
                Some(HouseEvent::Fatal(why)) => End::Fatal(why),
                None => End::Fatal("the account's thread has ended".to_owned()),
            }),
            () = over => Ok(End::TimeOver),
            () = purpose.done(&shown) => Ok(End::Flat),
            _ = interrupt.recv() => Ok(End::Signal("interrupt")),
            _ = terminate.recv() => Ok(End::Signal("terminate")),
            () = show => Ok(End::Fatal("the progress display has ended".to_owned())),
        }
    }

    /// Ends in order: no new market data and no new entries, everything durable, engines stopped, tables filled.
    async fn end(self, end: End) -> Result<Summary, AppError> {
        let took = self.began.elapsed();
        // An account that is about to close follows nobody any more.
        drop(self.latch);
        actix_rt::spawn(end_at_once_when_told_again());
        let reason = match &end {
            End::Finished => "end of data".to_owned(),
            End::TimeOver => "the time is over".to_owned(),
            End::Flat => "what was to be closed is closed".to_owned(),
            End::Signal(name) => format!("{name} signal"),
            End::Fatal(why) => format!("cannot go on: {why}"),
        };
        // An interrupted replay leaves its record open: the same command goes on where it ended.
        let on_record = matches!(end, End::Finished) || (self.pace == Pace::Realtime && !matches!(end, End::Fatal(_)));
        if let Some(record) = self.purpose.record(&self.board, took) {
            // An account that does not take it says so at its close.
            let _ = self.house.send(Tell::Input(Input::Note(record))).await;
        }
        let (done, last_word) = oneshot::channel();
        let close = Tell::Close { ended: on_record.then(|| reason.clone()), done };
        let gone = |what: &str| AppError::Fatal(format!("{what}; the record is whole up to its last flush"));
        self.house.send(close).await.map_err(|_| gone("the account's thread has ended"))?;
        let closed = last_word.await.map_err(|_| gone("the account did not close"))?;
        // Each ends by its deadline, by force if need be; a supervisor that does not answer is left.
        while self.supervisor.send(StopAll).await.is_ok_and(|left| left > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(model) = self.model {
            let _ = model.send(StopModel).await;
        }
        let store_seq = match self.projection.finish().await {
            Ok(seq) => Some(seq),
            Err(error) => {
                tracing::warn!(error = crate::telemetry::chain(&error), "the SQL tables are behind");
                None
            }
        };
        if let Some(http) = self.http {
            http.stop(false).await;
        }
        self.control.stop().await;
        // The last alerts have a moment to go out; whoever waits for it is not this thread.
        let slack = self.slack;
        let _ = tokio::task::spawn_blocking(move || drop(slack)).await;
        let account = (*self.board.account()).clone();
        let summary = Summary { reason, dir: self.dir, account, closed, took, store_seq };
        match end {
            End::Fatal(why) => Err(AppError::Fatal(format!("{why}\n{summary}"))),
            _ => Ok(summary),
        }
    }
}

/// Who says stop twice does not want to wait. Engines end with the daemon.
async fn end_at_once_when_told_again() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::warn!("told to end a second time: ending at once; the record is whole up to its last flush");
    std::process::exit(130);
}

/// A progress bar over the trading time of a replay. Never ends by itself.
async fn show_progress(board: Board, (start, end): (Ts, Option<Ts>), pace: Pace) {
    let (Some(end), Pace::Lockstep) = (end, pace) else { return std::future::pending().await };
    let seconds = |span: levibot_core::domain::Span| u64::try_from(span.nanos() / 1_000_000_000).unwrap_or(0);
    let bar = progress(seconds(end - start), "replaying");
    loop {
        bar.set_position(seconds(board.pulse().now - start));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
