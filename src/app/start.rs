//! Starting: what everybody shares, then the actors, then the faces, then the first words to the account.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use actix::prelude::*;
use arc_swap::ArcSwap;
use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Event, Feed, Frame, HaltLevel, Ix, Symbol, Ts};
use levibot_core::driver::{Input, Pace};
use levibot_core::engine::{Core, EngineSetup, EngineStep, Snapshot};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use super::data::Source;
use super::house::{House, pace};
use super::latch_watch::{self, LatchGuard};
use super::orders::Clerk;
use super::plan::Standing;
use super::projection::{self, Projection};
use super::reload::{Reloads, SymbolTable};
use super::watch::{self, SharedSight};
use super::{AppError, RunRequest};
use crate::config::{Config, Isolation, MarketSource};
use crate::control::board::{RunInfo, Stamp};
use crate::control::{Audit, Board, Desk, server};
use crate::engine_host::{EngineFactory, EngineHost, EngineSetups, ProcessHost, ThreadHost};
use crate::forecaster::Forecaster;
use crate::house_link::HouseLink;
use crate::journal::JournalWatch;
use crate::latch::LatchFile;
use crate::market::{Market, Speed};
use crate::model_versions::Metadata;
use crate::nights::Nights;
use crate::registry::Registry;
use crate::risk_manager::{self, HouseEvent, RiskManager, Tell};
use crate::supervisor::{self, AlertChannels, Supervisor};
use crate::telemetry::alerts::{AlertChannel, CountChannel, LogChannel, SlowGuard};
use crate::telemetry::chain;
use crate::telemetry::clock::wall_now;
use crate::telemetry::metrics::Metrics;
use crate::venue::{Broker, Venue};

/// What everybody who is started gets a part of.
pub(super) struct Shared<'a> {
    request: &'a RunRequest,
    symbols: Vec<Symbol>,
    pub(super) board: Board,
    metrics: Arc<Metrics>,
    alerts: Vec<Arc<dyn AlertChannel>>,
    /// Keeps the channels beyond the log running.
    pub(super) slack: Option<SlowGuard>,
    link: HouseLink,
    /// The configuration in force.
    live: Arc<ArcSwap<Config>>,
    /// Every symbol of this life of the daemon.
    table: SymbolTable,
}

/// The actors that are spoken to from outside.
pub(super) struct Actors {
    pub(super) house: Addr<RiskManager>,
    pub(super) market: Addr<Market>,
    /// Trading time at which market data begin.
    pub(super) began: Ts,
    pub(super) supervisor: Addr<Supervisor>,
    /// None where no strategy asks the model.
    pub(super) model: Option<Addr<Forecaster>>,
    pub(super) events: mpsc::UnboundedReceiver<HouseEvent>,
}

/// Those who look at the daemon, and speak to it.
pub(super) struct Faces {
    pub(super) projection: Projection,
    pub(super) control: server::ServerHandle,
    pub(super) http: Option<crate::http::ServerHandle>,
}

/// What the account is told before anything else: what became of orders on their way, and the halt that the latch file or
/// the journal remembers. Where they disagree, halt wins: one that only the journal remembers is written to the file. One
/// that stands already is told again, so that entries are cancelled whose cancels were lost.
pub(super) fn first_words(house: &House, latch: &LatchFile, notes: Vec<Tell>) -> Vec<Tell> {
    let mut first = notes;
    if !house.settled.is_empty() {
        first.push(Tell::Input(Input::Venue { reports: house.settled.clone() }));
    }
    let remembered = house.sequencer.account().state().halt().map(|halt| (halt.level, halt.reason.clone()));
    // The higher one stands; of two alike the record's words do.
    let stands = match (latch.get(), remembered) {
        (Some(file), Some(record)) => Some(if file.0 > record.0 { file } else { record }),
        (file, record) => file.or(record),
    };
    if let Some((level, reason)) = stands {
        if let Err(error) = latch.keep(level, &reason) {
            // The halt is told all the same, and the account's thread tries again.
            tracing::error!(error = chain(&error), "the latch file of the halt in force cannot be written");
        }
        first.push(Tell::Input(Input::Control(Event::Halt { level, reason })));
    }
    first.push(Tell::Begin);
    first
}

/// The halt level that holds once the first words are said.
fn halted(house: &House, first: &[Tell]) -> HaltLevel {
    let told = first.iter().filter_map(|tell| match tell {
        Tell::Input(Input::Control(Event::Halt { level, .. })) => Some(*level),
        _ => None,
    });
    told.max().unwrap_or_default().max(house.sequencer.account().halt_level())
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        request: &'a RunRequest,
        source: &Source,
        house: &House,
        link: &HouseLink,
    ) -> Result<Self, AppError> {
        let metrics = Arc::new(Metrics::new()?);
        let mut alerts: Vec<Arc<dyn AlertChannel>> =
            vec![Arc::new(LogChannel), Arc::new(CountChannel(Arc::clone(&metrics)))];
        let slack = super::channels::slack(&request.config, &metrics, &mut alerts)?;
        let symbols = source.symbols();
        symbols.iter().for_each(|symbol| metrics.register_symbol(symbol));
        Ok(Self {
            request,
            table: Arc::new(ArcSwap::from_pointee(symbols.clone())),
            symbols,
            board: Board::new(run_info(&request.config, house), house.sequencer.account().view()),
            metrics,
            alerts,
            slack,
            link: link.clone(),
            live: Arc::new(ArcSwap::from_pointee(request.config.clone())),
        })
    }

    /// Starts everybody who trades. Nothing moves before the account is told to begin.
    pub(super) fn actors(
        &self,
        house: House,
        history: &[Frame],
        feed: Box<dyn Feed>,
        latch: LatchFile,
        first: &[Tell],
        found: Option<Metadata>,
    ) -> Result<Actors, AppError> {
        let config = &self.request.config;
        let keeps_down = self.request.purpose.is_closing() || halted(&house, first) >= HaltLevel::ReduceOnly;
        let supervisor = self.supervisor(keeps_down);
        let House { mut sequencer, opening, journal, tape, venue, counts, known, .. } = house;
        let shared = super::model::Shared {
            pace: pace(config),
            found,
            symbols: self.symbols.clone(),
            known,
            house: self.link.clone(),
            board: self.board.clone(),
            metrics: Arc::clone(&self.metrics),
            alerts: AlertChannels(self.alerts.clone()),
        };
        // Where no engine runs nobody asks it.
        let asked = if self.request.purpose.is_closing() { None } else { super::model::forecaster(config, shared)? };
        let model = asked.map(on_own_thread);
        sequencer.remember(history);
        let venue = on_own_thread(Venue::new(venue, self.link.clone()));
        let began = sequencer.now();
        let market = on_own_thread(Market::new(feed, began, speed(config), self.link.clone()));
        let (events_in, events) = mpsc::unbounded_channel();
        let house = on_own_thread(RiskManager::new(risk_manager::Parts {
            sequencer,
            opening,
            journal,
            tape,
            pace: pace(config),
            venue: venue.recipient(),
            market: market.clone().recipient(),
            model: model.clone().map(Addr::recipient),
            supervisor: supervisor.clone().recipient(),
            board: self.board.clone(),
            metrics: Arc::clone(&self.metrics),
            alerts: self.alerts.clone(),
            latch,
            events: events_in,
            counts,
        }));
        self.link.bind(house.clone().recipient());
        Ok(Actors { house, market, began, supervisor, model, events })
    }

    /// Symbols that are not configured any more and have a position or order.
    fn carried(&self) -> impl Iterator<Item = Symbol> {
        self.symbols.iter().copied().filter(|symbol| !self.request.config.trades(*symbol))
    }

    /// Says of each symbol that is carried on how that ends.
    pub(super) fn tell_carried(&self) {
        let alerts = AlertChannels(self.alerts.clone());
        for symbol in self.carried() {
            let text = format!(
                "{symbol} is not configured any more and has an open position or order: its stop and target stay in force, \
                 its engine is stopped and nothing is entered until it is put back into `market.symbols`; once closed, it is \
                 gone at the next start (`levibot halt --level flatten` closes everything)"
            );
            alerts.send(&Alert::warning(Topic::Configuration, symbol, text));
        }
    }

    fn supervisor(&self, halted: bool) -> Addr<Supervisor> {
        let config = &self.request.config;
        let parts = supervisor::Parts {
            retired: self.carried().collect(),
            symbols: self.symbols.clone(),
            timeframe: config.market.timeframe,
            setup: config.supervision,
            quarantines_max: config.quarantines_max,
            house: self.link.clone(),
            board: self.board.clone(),
            registry: Registry::new(&config.registry.path),
            metrics: Arc::clone(&self.metrics),
            alerts: AlertChannels(self.alerts.clone()),
            halted,
        };
        let (setups, link) = (engine_setups(&self.live, &self.table), self.link.clone());
        let isolation = config.isolation;
        // This thread lives as long as the daemon, and so do the processes that it makes.
        Supervisor::create(move |ctx| {
            let to = ctx.address().recipient();
            let host: Box<dyn EngineHost> = match isolation {
                Isolation::Process => Box::new(ProcessHost::new(setups, link, to)),
                Isolation::Thread => Box::new(ThreadHost::new(engine_factory(setups), link, to)),
            };
            Supervisor::new(parts, host)
        })
    }

    /// Starts the tables' projection, the control socket with its clerk, and HTTP.
    pub(super) async fn faces(
        &self,
        actors: &Actors,
        watch: JournalWatch,
        dir: &Path,
        (sight, hang_ups, halts): (SharedSight, Signal, Signal),
    ) -> Result<Faces, AppError> {
        let config = &self.request.config;
        let parts = projection::Parts {
            watch,
            board: self.board.clone(),
            metrics: Arc::clone(&self.metrics),
            alerts: self.alerts.clone(),
            house: self.link.clone(),
        };
        let projection = Projection::start(&config.store.path(dir), dir, parts).await?;
        let audit = Audit::open(dir, wall_now).map_err(|source| AppError::Audit { dir: dir.to_owned(), source })?;
        let (desk, orders) = Desk::new(self.board.clone(), audit);
        let control = server::serve(&server::socket_path(dir), desk.clone())?;
        let http = start_http(config, desk.clone(), &self.metrics)?;
        actix_rt::spawn(self.clerk(actors, Arc::clone(&sight)).serve(orders));
        let alerts = AlertChannels(self.alerts.clone());
        if pace(config) == Pace::Realtime {
            actix_rt::spawn(watch::files(sight, Arc::clone(&self.live), desk.clone(), alerts.clone()));
        }
        actix_rt::spawn(watch::halts(halts, LatchFile::new(dir), desk.clone()));
        actix_rt::spawn(watch::hang_ups(hang_ups, desk, alerts));
        if let Some(model) = config.model.as_ref().filter(|_| actors.model.is_some()) {
            let nights = Nights::begin(&model.dir, Arc::clone(&self.metrics), self.alerts.clone());
            actix_rt::spawn(nights.follow());
        }
        Ok(Faces { projection, control, http })
    }
}

impl Shared<'_> {
    fn clerk(&self, actors: &Actors, sight: SharedSight) -> Clerk {
        let reloads = Reloads {
            live: Arc::clone(&self.live),
            overrides: self.request.overrides.clone(),
            named: self.request.named,
            table: Arc::clone(&self.table),
            standing: RefCell::new(Standing {
                traded: self.symbols.iter().copied().filter(|symbol| self.request.config.trades(*symbol)).collect(),
                ..Standing::default()
            }),
            market: actors.market.clone(),
            began: actors.began,
            metrics: Arc::clone(&self.metrics),
            sight,
            alerts: AlertChannels(self.alerts.clone()),
        };
        Clerk {
            board: self.board.clone(),
            house: self.link.clone(),
            supervisor: actors.supervisor.clone(),
            model: actors.model.clone(),
            reloads,
            purpose: self.request.purpose.clone(),
        }
    }

    /// Halts when the latch file says so. Not in a replay, whose latch follows its own stops alone.
    pub(super) fn latch_watch(&self, dir: &Path) -> Result<Option<LatchGuard>, AppError> {
        if pace(&self.request.config) == Pace::Lockstep {
            return Ok(None);
        }
        let (board, house, alerts) = (self.board.clone(), self.link.clone(), AlertChannels(self.alerts.clone()));
        let guard = latch_watch::watch(LatchFile::new(dir), board, house, alerts);
        guard.map(Some).map_err(AppError::LatchThread)
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
        venue: house.venue.name().to_owned(),
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
fn engine_setups(live: &Arc<ArcSwap<Config>>, table: &SymbolTable) -> EngineSetups {
    let (live, table) = (Arc::clone(live), Arc::clone(table));
    Arc::new(move |ix: Ix| {
        let symbol = *table.load().get(ix.at()).ok_or_else(|| format!("there is no engine at {}", ix.0))?;
        let config = live.load();
        Ok(EngineSetup::new(ix, config.market.timeframe, config.strategies.of(symbol).clone()))
    })
}

fn engine_factory(setups: EngineSetups) -> EngineFactory {
    Arc::new(move |ix: Ix, snapshot: Option<&Snapshot>| {
        let setup = setups(ix)?;
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
) -> Result<Option<crate::http::ServerHandle>, AppError> {
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
