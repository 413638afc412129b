//! A run from its first to its last moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use arc_swap::ArcSwap;
use levibot_core::domain::{HaltLevel, Ix, Symbol, Ts};
use levibot_core::driver::sequencer::WARM_UP_BARS;
use levibot_core::driver::{Input, Pace};
use levibot_core::engine::{Core, EngineSetup, EngineStep, Snapshot};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::data::{Source, progress};
use super::house::{House, pace};
use super::orders::Clerk;
use super::projection::{self, Projection};
use super::{AppError, RunRequest, Summary};
use crate::config::{Config, MarketSource};
use crate::control::board::{RunInfo, Stamp};
use crate::control::{Board, Desk, server};
use crate::engine_host::{EngineFactory, ThreadHost};
use crate::house_link::HouseLink;
use crate::latch::LatchFile;
use crate::market::{Market, Speed};
use crate::registry::Registry;
use crate::risk_manager::{self, HouseEvent, RiskManager, Tell};
use crate::supervisor::{AlertChannels, StopAll, Supervisor};
use crate::telemetry::alerts::{AlertChannel, LogChannel};
use crate::telemetry::clock::wall_now;
use crate::telemetry::metrics::Metrics;
use crate::venue::Venue;

/// Runs until the market ends, the time is over, or somebody says stop.
///
/// # Errors
/// [`AppError`] when it could not begin, or could not go on.
pub fn run(request: RunRequest) -> Result<Summary, AppError> {
    let source = Source::open(&request.config)?;
    let link = HouseLink::default();
    let house = House::open(&request.config, &source, &link)?;
    System::new().block_on(Daemon::start_and_serve(request, source, house, link))
}

/// Everything that runs.
struct Daemon {
    board: Board,
    house: Addr<RiskManager>,
    supervisor: Addr<Supervisor>,
    projection: Projection,
    control: server::ServerHandle,
    http: Option<actix_web::dev::ServerHandle>,
    events: mpsc::UnboundedReceiver<HouseEvent>,
    pace: Pace,
    dir: std::path::PathBuf,
    data: (Ts, Option<Ts>),
    began: Instant,
}

/// Why a run ends.
enum End {
    Finished,
    TimeOver,
    Signal(&'static str),
    Fatal(String),
}

impl Daemon {
    async fn start_and_serve(
        request: RunRequest,
        source: Source,
        house: House,
        link: HouseLink,
    ) -> Result<Summary, AppError> {
        let mut daemon = Self::start(&request, source, house, &link).await?;
        let end = daemon.serve(request.limit).await?;
        daemon.end(end).await
    }

    async fn start(request: &RunRequest, source: Source, house: House, link: &HouseLink) -> Result<Self, AppError> {
        let config = &request.config;
        let metrics = Arc::new(Metrics::new()?);
        let symbols: Vec<Symbol> = source.setup.instruments.iter().map(|i| i.id().symbol).collect();
        symbols.iter().for_each(|symbol| metrics.register_symbol(symbol));
        let board = Board::new(run_info(config, &house), house.sequencer.account().view());
        let alerts: Vec<Arc<dyn AlertChannel>> = vec![Arc::new(LogChannel)];
        let latch = LatchFile::new(&house.dir);
        let latched = latch.get()?;
        let data = (source.start, source.end());
        let mut feed = source.feed(house.resume_at)?;
        let House { mut sequencer, opening, journal, tape, venue, counts, dir, settled, found, .. } = house;
        sequencer.remember(&feed.history(WARM_UP_BARS));
        if let Some(found) = found {
            tracing::info!("{found}");
        }
        let watch = journal.watch();
        let halted =
            sequencer.account().halt_level().max(latched.as_ref().map_or(HaltLevel::None, |(level, _)| *level));

        let venue = on_own_thread(Venue::new(venue, link.clone()));
        let market = on_own_thread(Market::new(feed, speed(config), link.clone()));
        let live = Arc::new(ArcSwap::from_pointee(config.clone()));
        let factory = engine_factory(&live, &symbols);
        let parts = crate::supervisor::Parts {
            symbols: symbols.clone(),
            timeframe: config.market.timeframe,
            setup: config.supervision,
            house: link.clone(),
            board: board.clone(),
            registry: Registry::new(&config.registry.path),
            metrics: Arc::clone(&metrics),
            alerts: AlertChannels(alerts.clone()),
            halted: halted >= HaltLevel::ReduceOnly,
        };
        let host_link = link.clone();
        let supervisor = Supervisor::create(move |ctx| {
            let host = ThreadHost::new(factory, host_link, ctx.address().recipient());
            Supervisor::new(parts, Box::new(host))
        });
        let (events_in, events) = mpsc::unbounded_channel();
        let house = on_own_thread(RiskManager::new(risk_manager::Parts {
            sequencer,
            opening,
            journal,
            tape,
            pace: pace(config),
            venue: venue.recipient(),
            market: market.recipient(),
            supervisor: supervisor.clone().recipient(),
            board: board.clone(),
            metrics: Arc::clone(&metrics),
            alerts: alerts.clone(),
            latch,
            events: events_in,
            counts,
        }));
        link.bind(house.clone().recipient());

        let parts = projection::Parts {
            watch,
            board: board.clone(),
            metrics: Arc::clone(&metrics),
            alerts,
            house: link.clone(),
            engines: symbols.len(),
        };
        let projection = Projection::start(&config.store.path(&dir), &dir, parts).await?;
        let (desk, orders) = Desk::new(board.clone());
        let control = server::serve(&server::socket_path(&dir), desk.clone())?;
        let http = start_http(config, desk, &metrics)?;
        let clerk = Clerk {
            board: board.clone(),
            house: link.clone(),
            supervisor: supervisor.clone(),
            config: live,
            overrides: request.overrides.clone(),
            named: request.named,
            symbols,
        };
        actix_rt::spawn(clerk.serve(orders));

        let mut first: Vec<Tell> = Vec::new();
        if !settled.is_empty() {
            first.push(Tell::Input(Input::Venue { reports: settled }));
        }
        if let Some((level, reason)) = latched {
            first.push(Tell::Input(Input::Control(levibot_core::domain::Event::Halt { level, reason })));
        }
        first.push(Tell::Begin);
        for tell in first {
            house.send(tell).await.map_err(|e| AppError::Fatal(format!("the account did not start: {e}")))?;
        }
        tracing::info!(run = board.info().run, data_dir = %dir.display(), "levibot is up");
        let (pace, began) = (pace(config), Instant::now());
        Ok(Self { board, house, supervisor, projection, control, http, events, pace, dir, data, began })
    }

    async fn serve(&mut self, limit: Option<Duration>) -> Result<End, AppError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
        let board = self.board.clone();
        let over = async move {
            match limit {
                Some(limit) => {
                    while !board.pulse().ready {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    tokio::time::sleep(limit).await;
                }
                None => std::future::pending().await,
            }
        };
        let show = show_progress(self.board.clone(), self.data, self.pace);
        tokio::select! {
            event = self.events.recv() => Ok(match event {
                Some(HouseEvent::Finished) => End::Finished,
                Some(HouseEvent::Fatal(why)) => End::Fatal(why),
                None => End::Fatal("the account's thread has ended".to_owned()),
            }),
            () = over => Ok(End::TimeOver),
            _ = interrupt.recv() => Ok(End::Signal("interrupt")),
            _ = terminate.recv() => Ok(End::Signal("terminate")),
            () = show => Ok(End::Fatal("the progress display has ended".to_owned())),
        }
    }

    /// Ends in order: no new market data and no new entries, everything durable, engines stopped, tables filled.
    async fn end(self, end: End) -> Result<Summary, AppError> {
        let took = self.began.elapsed();
        let reason = match &end {
            End::Finished => "end of data".to_owned(),
            End::TimeOver => "the time is over".to_owned(),
            End::Signal(name) => format!("{name} signal"),
            End::Fatal(why) => format!("cannot go on: {why}"),
        };
        // An interrupted replay leaves its record open: the same command goes on where it ended.
        let on_record = matches!(end, End::Finished) || (self.pace == Pace::Realtime && !matches!(end, End::Fatal(_)));
        let (done, last_word) = oneshot::channel();
        let close = Tell::Close { ended: on_record.then(|| reason.clone()), done };
        let gone = |what: &str| AppError::Fatal(format!("{what}; the record is whole up to its last flush"));
        self.house.send(close).await.map_err(|_| gone("the account's thread has ended"))?;
        let closed = last_word.await.map_err(|_| gone("the account did not close"))?;
        let _ = self.supervisor.send(StopAll).await;
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
        let account = (*self.board.account()).clone();
        let summary = Summary { reason, dir: self.dir, account, closed, took, store_seq };
        match end {
            End::Fatal(why) => Err(AppError::Fatal(format!("{why}\n{summary}"))),
            _ => Ok(summary),
        }
    }
}

fn run_info(config: &Config, house: &House) -> RunInfo {
    RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: house.run.as_str().to_owned(),
        pace: match pace(config) {
            Pace::Lockstep => "lockstep".to_owned(),
            Pace::Realtime => "realtime".to_owned(),
        },
        market: match config.market.source {
            MarketSource::Simulator { .. } => "simulator".to_owned(),
            MarketSource::Files { .. } => "files".to_owned(),
        },
        timeframe: config.market.timeframe,
        account: config.account.kind,
        currency: config.account.currency.clone(),
        data_dir: house.dir.display().to_string(),
        started: Stamp(wall_now()),
    }
}

fn speed(config: &Config) -> Speed {
    match (pace(config), &config.market.source) {
        (Pace::Realtime, MarketSource::Simulator { speed, .. }) => Speed::Times(*speed),
        (Pace::Realtime, MarketSource::Files { .. }) => Speed::Times(1.0),
        (Pace::Lockstep, _) => Speed::Unbounded,
    }
}

/// Engines are made from the configuration in force at that moment.
fn engine_factory(live: &Arc<ArcSwap<Config>>, symbols: &[Symbol]) -> EngineFactory {
    let (live, symbols) = (Arc::clone(live), symbols.to_vec());
    Arc::new(move |ix: Ix, snapshot: Option<&Snapshot>| {
        let symbol = *symbols.get(ix.at()).ok_or_else(|| format!("there is no engine at {}", ix.0))?;
        let config = live.load();
        let setup = EngineSetup::new(ix, config.market.timeframe, config.strategies.of(symbol).clone());
        let core = match snapshot {
            Some(snapshot) => Core::restore(setup, snapshot).map_err(|error| error.to_string())?,
            None => Core::new(setup),
        };
        Ok(Box::new(core) as Box<dyn EngineStep>)
    })
}

fn on_own_thread<A: Actor<Context = Context<A>> + Send>(actor: A) -> Addr<A> {
    A::start_in_arbiter(&Arbiter::new().handle(), move |_| actor)
}

fn start_http(
    config: &Config,
    desk: Desk,
    metrics: &Arc<Metrics>,
) -> Result<Option<actix_web::dev::ServerHandle>, AppError> {
    if !config.http.enabled {
        return Ok(None);
    }
    let metrics = Arc::clone(metrics);
    let encode = Arc::new(move || metrics.encode().unwrap_or_default());
    let (server, address) = crate::http::server(config.http.bind, config.http.allow_non_loopback, desk, encode)?;
    let handle = server.handle();
    actix_rt::spawn(server);
    tracing::info!("status at http://{address}/engines/status");
    Ok(Some(handle))
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
