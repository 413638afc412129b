//! Reloads that are not carried to an end, with a real market and a real supervisor; only the account is a double.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::app::Purpose;
use crate::app::data::Source;
use crate::config::MarketSource;
use crate::control::{Board, Order, samples};
use crate::engine_host::ThreadHost;
use crate::house_link::HouseLink;
use crate::market::Speed;
use crate::registry::Registry;
use crate::risk_manager::Tell;
use crate::supervisor::{self, AlertChannels, StopAll, Supervisor};

const PATIENCE: Duration = Duration::from_secs(30);

/// Takes everything and shows nothing.
struct Account(Arc<Mutex<Vec<String>>>);

impl Actor for Account {
    type Context = Context<Self>;
}

impl Handler<Tell> for Account {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        self.0.lock().unwrap().push(match tell {
            Tell::Input(Input::Control(Event::Freeze { instrument, reason, .. })) => {
                format!("freeze {} {}", instrument.0, reason.unwrap_or_default())
            }
            Tell::Input(Input::Grow { setup, .. }) => format!("grow {}", setup.instruments.len()),
            _ => "other".to_owned(),
        });
    }
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// The shipped configuration over these symbols, with little of a past.
fn config(symbols: &[&str]) -> Config {
    let mut config = Config::load_default(&Overrides::default(), &BTreeMap::new()).unwrap();
    let symbols: Vec<Symbol> = symbols.iter().map(|name| symbol(name)).collect();
    let MarketSource::Simulator { history, prices, .. } = &mut config.market.source else { panic!("not simulated") };
    *history = levibot_core::domain::Span::ZERO;
    prices.retain(|symbol, _| symbols.contains(symbol));
    config.market.instruments.retain(|symbol, _| symbols.contains(symbol));
    config.symbols = Some(symbols);
    config
}

fn feed(config: &Config, table: &[Symbol]) -> Box<dyn Feed> {
    let setup = config.account_setup_in(table).unwrap();
    Source::live_feed(config, &setup, Ts::from_secs(1_735_689_600), &[]).unwrap()
}

struct Scene {
    clerk: Clerk,
    heard: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Scene {
    /// Trades BTCUSDT and ETHUSDT; the account is halted, so that there are no engines.
    fn new() -> Self {
        let (dir, link, heard) = (tempfile::tempdir().unwrap(), HouseLink::default(), Arc::<Mutex<Vec<_>>>::default());
        link.bind(Account(Arc::clone(&heard)).start().recipient());
        let board = Board::new(samples::info(), samples::account());
        let (live, metrics) = (config(&["BTCUSDT", "ETHUSDT"]), Arc::new(Metrics::new().unwrap()));
        let table = live.symbols.clone().unwrap();
        let parts = supervisor::Parts {
            retired: Default::default(),
            symbols: table.clone(),
            timeframe: live.market.timeframe,
            setup: live.supervision,
            quarantines_max: 3,
            house: link.clone(),
            board: board.clone(),
            registry: Registry::new(dir.path().join("registry.json")),
            metrics: Arc::clone(&metrics),
            alerts: AlertChannels::default(),
            halted: true,
        };
        let house = link.clone();
        let supervisor = Supervisor::create(move |ctx| {
            let host = ThreadHost::new(Arc::new(|_, _| Err("none".to_owned())), house, ctx.address().recipient());
            Supervisor::new(parts, Box::new(host))
        });
        let market = Market::new(feed(&live, &table), Ts::EPOCH, Speed::Unbounded, link.clone()).start();
        let standing = Standing { traded: table.iter().copied().collect(), ..Standing::default() };
        let reloads = Reloads {
            live: Arc::new(ArcSwap::from_pointee(live)),
            overrides: Overrides::default(),
            named: false,
            table: Arc::new(ArcSwap::from_pointee(table)),
            standing: RefCell::new(standing),
            market,
            began: Ts::EPOCH,
            metrics,
            sight: Arc::default(),
            alerts: AlertChannels::default(),
        };
        Self {
            clerk: Clerk { board, house: link, supervisor, model: None, reloads, purpose: Purpose::Trade },
            heard,
            _dir: dir,
        }
    }

    fn plan(&self, symbols: &[&str]) -> Plan {
        self.clerk.reader().compare(&config(symbols)).unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.clerk.board.engines(), self.heard.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn is_retired(&self, name: &str) -> bool {
        let engines = self.clerk.board.engines();
        let row = engines.engines.iter().find(|row| row.symbol == symbol(name));
        row.is_some_and(|row| row.last_error.as_deref() == Some(NOT_CONFIGURED))
    }
}

#[actix_rt::test]
async fn what_was_not_carried_to_an_end_is_met_by_the_next_reload() {
    let scene = Scene::new();
    scene.clerk.supervisor.send(StopAll).await.unwrap();
    let outcome = scene.clerk.apply(scene.plan(&["BTCUSDT"])).await.unwrap_err();
    assert!(outcome.contains("the daemon is ending") && outcome.ends_with("reload again"), "{outcome}");
    assert_eq!(scene.plan(&["BTCUSDT"]).fates, [(symbol("ETHUSDT"), Fate::Removed)], "though no file has changed");
    // Put back, it is brought back, and made anew because it may never have been stopped.
    let eth = |fate| (symbol("ETHUSDT"), fate);
    let again = scene.plan(&["BTCUSDT", "ETHUSDT"]);
    assert_eq!(again.fates, [eth(Fate::Returned), eth(Fate::Renewed)]);
    scene.clerk.apply(again).await.unwrap_err();
    assert_eq!(scene.plan(&["BTCUSDT", "ETHUSDT"]).fates, [eth(Fate::Returned), eth(Fate::Renewed)]);
}

#[actix_rt::test]
async fn what_was_met_is_not_met_again() {
    let scene = Scene::new();
    let told = scene.clerk.apply(scene.plan(&["BTCUSDT"])).await.unwrap();
    assert!(told.contains("ETHUSDT: removed"), "{told}");
    scene.until("retired", |s| s.is_retired("ETHUSDT")).await;
    scene.until("frozen", |s| s.heard.lock().unwrap().contains(&format!("freeze 1 {NOT_CONFIGURED}"))).await;
    assert!(scene.plan(&["BTCUSDT"]).fates.is_empty());
}

#[actix_rt::test]
async fn the_supervisor_is_told_also_where_the_account_is_not() {
    let mut scene = Scene::new();
    // As good as one whose mailbox is full.
    scene.clerk.house = HouseLink::default();
    let plan = scene.plan(&["BTCUSDT"]);
    let outcome = scene.clerk.meet(symbol("ETHUSDT"), Fate::Removed, &plan).await;
    assert!(outcome.unwrap_err().contains("the account does not answer"));
    scene.until("retired", |s| s.is_retired("ETHUSDT")).await;
}

#[actix_rt::test]
async fn a_place_keeps_its_meaning_once_the_market_has_gone_over() {
    let scene = Scene::new();
    let plan = scene.plan(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]);
    assert_eq!(plan.fates, [(symbol("SOLUSDT"), Fate::Added)]);
    let feed = feed(&plan.next, &plan.table);
    // The account is slow to show it: the reload ends here.
    scene.clerk.grow(feed, &plan).await.unwrap();
    scene.until("told", |s| s.heard.lock().unwrap().contains(&"grow 3".to_owned())).await;
    let other = scene.plan(&["ADAUSDT", "BTCUSDT", "ETHUSDT"]);
    assert_eq!(other.fates, [(symbol("ADAUSDT"), Fate::Added)]);
    assert_eq!(other.table, ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT"].map(symbol));
    // The next reload goes on with it: nobody has to grow again.
    let again = scene.plan(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]);
    assert_eq!((again.fates.as_slice(), again.table.len()), ([(symbol("SOLUSDT"), Fate::Returned)].as_slice(), 3));
    scene.clerk.apply(again).await.unwrap();
    let traded: BTreeSet<Symbol> = ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(symbol).into();
    assert_eq!(scene.clerk.reloads.standing.borrow().traded, traded);
    scene.until("there is an engine", |s| s.clerk.board.engines().engines.len() == 3).await;
}

#[actix_rt::test]
async fn others_are_carried_out_while_a_reload_is_under_way() {
    let scene = Scene::new();
    let (desk, mut orders) = mpsc::channel(4);
    let (told, outcome) = oneshot::channel();
    let order = |command, outcome| Order { command, by: "test".to_owned(), outcome };
    desk.send(order(Command::Reload, oneshot::channel().0)).await.unwrap();
    desk.send(order(Command::Stop(Scope::All), told)).await.unwrap();
    let mut later = VecDeque::new();
    // It ends when the other order has its outcome, and not before.
    let done = scene.clerk.beside(outcome, &mut orders, &mut later).await;
    assert!(done.unwrap().is_ok());
    assert_eq!(later.iter().map(|order| &order.command).collect::<Vec<_>>(), [&Command::Reload]);
}

#[test]
fn a_renewed_strategy_that_never_ends_what_is_held_is_told_with_symbol_side_and_remedy() {
    let account = samples::account();
    let held = account.symbols.iter().find_map(|one| one.position.clone()).unwrap();
    let bare = OpenPosition { stop: None, expires: None, ..held };
    let read = |keys: &str| StrategyPolicy::from_yaml(&format!("policy:\n  name: next\n  {keys}\n")).unwrap();
    let told = |position: &OpenPosition, keys: &str| stranded(symbol("BTCUSDT"), position, &read(keys));
    let (long, short) = ("entry: {long: close > open}", "entry: {short: close > open}");
    let stopped = "bracket: {stop: 1}";
    // A stop of the new strategy is one of its own entries.
    let why = told(&bare, &format!("{long}\n  {stopped}")).unwrap();
    for part in ["long position of BTCUSDT", "`exit.long`", "levibot close BTCUSDT", "strategy next"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(told(&bare, &format!("{long}\n  exit: {{long: close < open}}")), None);
    assert_eq!(told(&bare, &format!("{short}\n  {stopped}")), None, "it turns it");
    let sold = OpenPosition { direction: Direction::Short, ..bare.clone() };
    assert!(told(&sold, &format!("{short}\n  {stopped}")).unwrap().contains("`exit.short`"));
    let expires = Some(Ts::from_secs(1_735_689_600));
    for position in [
        OpenPosition { stop: Some(1.0), ..bare.clone() },
        OpenPosition { expires, ..bare.clone() },
        OpenPosition { closing: true, ..bare },
    ] {
        assert_eq!(told(&position, &format!("{long}\n  {stopped}")), None, "{position:?}");
    }
}
