//! A real risk manager with its journal, and venues that fail on demand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use levibot_core::account::{Account, Approved, Severity};
use levibot_core::domain::{Actions, Ix, MarketEvent, Order, OrderId, Quote, Report, Span, Ts, VenueState};
use levibot_core::driver::Sequencer;
use levibot_core::record::{Envelope, Record};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::config::{Config, Overrides};
use crate::control::{Board, samples};
use crate::house_link::HouseLink;
use crate::journal::{Journal, Options};
use crate::latch::LatchFile;
use crate::market::Pull;
use crate::risk_manager::venue_watch::VenueWatch;
use crate::risk_manager::{Counts, Parts, Stand, Tell, opening_records};
use crate::supervisor::AccountSays;
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::alerts::samples::Alarms;
use crate::telemetry::metrics::Metrics;
use crate::venue::{Broker, Venue};

const PATIENCE: Duration = Duration::from_secs(20);

/// How a venue fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Panics,
    Hangs,
    Ends,
}

/// A broker that fails at the first market data.
#[derive(Debug)]
struct Bad {
    fault: Fault,
    over: Arc<AtomicBool>,
}

impl Broker for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn set_instruments(&mut self, _: &[levibot_core::domain::Instrument]) {}

    fn submit(&mut self, _: Approved<Order>, _: Ts, _: &mut Actions<Report>) {}

    fn cancel(&mut self, _: OrderId, _: Ts, _: &mut Actions<Report>) {}

    fn query(&mut self, _: OrderId, _: Ts, _: &mut Actions<Report>) {}

    /// It knows what the account knows: otherwise nothing would ever begin.
    fn reconcile(&mut self, asked: Ts, out: &mut Actions<Report>) {
        let balances = vec![("USDT".parse().unwrap(), 10_000.into())];
        let (orders, fills, foreign, transfers, positions) = Default::default();
        let state = VenueState { asked, gap: false, orders, fills, foreign, transfers, positions, balances };
        out.push(Report::State(Box::new(state)));
    }

    fn on_market(&mut self, _: &Event, _: Ts, _: &mut Actions<Report>) {
        match self.fault {
            Fault::Panics => panic!("on purpose"),
            Fault::Hangs => {
                while !self.over.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Fault::Ends => assert!(Arbiter::current().stop()),
        }
    }
}

/// Stands for the market and the supervisor, whom these tests need not hear.
struct Deaf;

impl Actor for Deaf {
    type Context = actix::Context<Self>;
}

impl Handler<Pull> for Deaf {
    type Result = ();

    fn handle(&mut self, _: Pull, _: &mut Self::Context) {}
}

impl Handler<AccountSays> for Deaf {
    type Result = ();

    fn handle(&mut self, _: AccountSays, _: &mut Self::Context) {}
}

struct Scene {
    house: Addr<RiskManager>,
    events: mpsc::UnboundedReceiver<HouseEvent>,
    alarms: Arc<Alarms>,
    over: Arc<AtomicBool>,
    dir: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Scene {
    fn new(fault: Fault, pace: Pace) -> Self {
        let (house, link, scene) = Self::before(fault, pace);
        let house = house.start();
        link.bind(house.clone().recipient());
        scene(house)
    }

    /// A risk manager that is not started, the way to it, and what makes a scene of it.
    fn before(fault: Fault, pace: Pace) -> (RiskManager, HouseLink, impl FnOnce(Addr<RiskManager>) -> Self) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load_default(&Overrides::default(), &BTreeMap::new()).unwrap();
        let setup = Box::new(config.account_setup(&["BTCUSDT".parse().unwrap()]).unwrap());
        let (now, run) = (Ts::from_secs(1_760_445_000), "test".parse().unwrap());
        let started = Record::Started { run, timeframe: config.market.timeframe, config_hash: config.hash(), setup };
        let mut actions = Actions::new();
        let account = Account::open(now, started, &mut actions).unwrap();
        let board = Board::new(samples::info(), account.view());
        let (journal, _) = Journal::open(dir.path(), Options::default(), Arc::new(|_| ()), &mut |_| ()).unwrap();
        let (link, alarms, over) = (HouseLink::default(), Arc::<Alarms>::default(), Arc::<AtomicBool>::default());
        let venue = Venue::new(Bad { fault, over: Arc::clone(&over) }, link.clone());
        let venue = Venue::start_in_arbiter(&Arbiter::new().handle(), move |_| venue);
        let (deaf, (events_in, events)) = (Deaf.start(), mpsc::unbounded_channel());
        let mut house = RiskManager::new(Parts {
            sequencer: Sequencer::new(pace, account, now),
            opening: opening_records(now, &mut actions),
            journal,
            tape: None,
            pace,
            venue: venue.recipient(),
            market: deaf.clone().recipient(),
            model: None,
            supervisor: deaf.recipient(),
            board,
            metrics: Arc::new(Metrics::new().unwrap()),
            alerts: vec![Arc::clone(&alarms) as Arc<dyn AlertChannel>],
            latch: LatchFile::new(dir.path()),
            events: events_in,
            counts: Counts::default(),
        });
        house.venue = VenueWatch::new(Span::from_millis(500));
        (house, link, move |house| Self { house, events, alarms, over, dir })
    }

    /// Begins, and gives the venue something to fail at.
    async fn quote(&self) {
        self.house.send(Tell::Begin).await.unwrap();
        let ts = Ts::from_secs(1_760_445_005);
        let quote = Quote { ts, bid: 60_000.0, ask: 60_001.0, bid_size: 1.0, ask_size: 1.0 };
        let event = MarketEvent::Quotes { ts, quotes: vec![(Ix(0), quote)] };
        self.house.send(Tell::Input(Input::Market(event))).await.unwrap();
    }

    async fn fatal(&mut self) -> String {
        match tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap() {
            Some(HouseEvent::Fatal(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// What is on disk now, whatever may still come.
    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let path = self.dir.path().join(crate::journal::JOURNAL_FILE);
        crate::journal::scan(&path, &mut |envelope: Envelope| records.push(envelope.record)).unwrap();
        records
    }

    fn criticals(&self) -> Vec<String> {
        let alarms = self.alarms.0.lock().unwrap();
        alarms.iter().filter(|a| a.severity == Severity::Critical).map(|a| a.text.clone()).collect()
    }

    async fn control(&self, event: Event) {
        self.house.send(Tell::Input(Input::Control(event))).await.unwrap();
    }

    async fn stand(&self) -> Stand {
        let (done, stand) = oneshot::channel();
        self.house.send(Tell::Stand { done }).await.unwrap();
        stand.await.unwrap()
    }

    async fn closed_whole(&self) {
        let (done, last_word) = oneshot::channel();
        self.house.send(Tell::Close { ended: None, done }).await.unwrap();
        let closed = last_word.await.unwrap();
        assert_eq!(closed.head.seq, self.records().len() as u64, "all is on disk");
    }
}

#[actix_rt::test]
async fn a_lost_venue_halts_the_account_for_good_and_ends_the_daemon() {
    let cases = [
        (Fault::Panics, "panicked: on purpose"),
        (Fault::Ends, "its thread has ended"),
        (Fault::Hangs, "has given none for 0.5 s"),
    ];
    for (fault, why) in cases {
        let mut scene = Scene::new(fault, Pace::Realtime);
        scene.quote().await;
        let fatal = scene.fatal().await;
        assert!(fatal.starts_with("the venue is lost: ") && fatal.contains(why), "{fatal}");
        // By the time that the daemon hears of it, the halt is durable, in the journal and in the latch file.
        let Some(Record::Halt { level: HaltLevel::EntryHalt, reason }) = scene.records().pop() else {
            panic!("{:?}", scene.records());
        };
        assert_eq!((reason.by.as_str(), reason.text.as_str()), ("venue", fatal.as_str()));
        assert_eq!(LatchFile::new(scene.dir.path()).get(), Some((HaltLevel::EntryHalt, reason)));
        let criticals = scene.criticals();
        assert!(criticals[0].starts_with("halt (") && criticals[1].starts_with("no order is sent"), "{criticals:?}");
        assert_eq!(criticals.len(), 2);
        scene.closed_whole().await;
        assert!(scene.events.try_recv().is_err(), "told once");
    }
}

#[actix_rt::test]
async fn in_lockstep_a_lost_venue_ends_the_run_and_changes_no_record() {
    let mut scene = Scene::new(Fault::Panics, Pace::Lockstep);
    scene.quote().await;
    assert!(scene.fatal().await.contains("panicked: on purpose"));
    scene.closed_whole().await;
    assert!(scene.records().iter().all(|record| !matches!(record, Record::Halt { .. })));
    assert!(LatchFile::new(scene.dir.path()).get().is_none());

    // It waits for one that takes its time.
    let mut scene = Scene::new(Fault::Hangs, Pace::Lockstep);
    scene.quote().await;
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        actix_rt::time::sleep(Duration::from_millis(20)).await;
        assert!(scene.events.try_recv().is_err());
    }
}

fn by(text: &str) -> Reason {
    Reason { by: "somebody".into(), text: text.into() }
}

#[actix_rt::test]
async fn a_resume_lifts_no_halt_that_was_asked_for_since() {
    let scene = Scene::new(Fault::Hangs, Pace::Realtime);
    let latch = LatchFile::new(scene.dir.path());
    scene.house.send(Tell::Begin).await.unwrap();
    let halt = |text| Event::Halt { level: HaltLevel::ReduceOnly, reason: by(text) };
    scene.control(halt("first")).await;
    assert_eq!(
        (scene.stand().await.halt, latch.get()),
        (HaltLevel::ReduceOnly, Some((HaltLevel::ReduceOnly, by("first"))))
    );
    // Past the account, and at the same level: it has not heard of it when it is resumed.
    latch.raise(HaltLevel::ReduceOnly, &by("second")).unwrap();
    scene.control(Event::Resume { reason: by("seen") }).await;
    assert_eq!(scene.stand().await.halt, HaltLevel::ReduceOnly);
    assert_eq!(latch.get(), Some((HaltLevel::ReduceOnly, by("second"))));
    // A third one it hears of, and so it is lifted with the others.
    latch.raise(HaltLevel::ReduceOnly, &by("third")).unwrap();
    scene.house.send(Tell::LookAtLatch).await.unwrap();
    scene.control(Event::Resume { reason: by("seen") }).await;
    let stand = scene.stand().await;
    assert_eq!((stand.halt, stand.latch_stays, latch.get()), (HaltLevel::None, None, None));
    scene.closed_whole().await;
    let halts = scene.records().into_iter().filter_map(|record| match record {
        Record::Halt { reason, .. } => Some(reason.text),
        _ => None,
    });
    assert_eq!(halts.collect::<Vec<_>>(), ["first", "second"], "one that stands already is no second one");
}

#[actix_rt::test]
async fn a_latch_file_that_nobody_can_read_or_replace_halts_and_is_told_of_once() {
    let scene = Scene::new(Fault::Hangs, Pace::Realtime);
    scene.house.send(Tell::Begin).await.unwrap();
    let path = scene.dir.path().join(crate::latch::LATCH_FILE);
    std::fs::create_dir(&path).unwrap();
    scene.house.send(Tell::LookAtLatch).await.unwrap();
    assert_eq!(scene.stand().await.halt, HaltLevel::ReduceOnly);
    scene.control(Event::Resume { reason: by("seen") }).await;
    let stand = scene.stand().await;
    assert!(stand.latch_stays.is_some_and(|why| why.contains("cannot remove the latch file")));
    assert_eq!(stand.halt, HaltLevel::ReduceOnly, "it stands, and so does the halt");
    let of_latch = || scene.criticals().iter().filter(|text| text.contains("the latch file /")).count();
    assert_eq!(of_latch(), 1);
    scene.control(Event::Halt { level: HaltLevel::Flatten, reason: by("all") }).await;
    for _ in 0..20 {
        scene.house.send(Tell::LookAtLatch).await.unwrap();
    }
    assert_eq!(of_latch(), 2, "once more: that it cannot be written");
    std::fs::remove_dir(&path).unwrap();
    scene.control(Event::Resume { reason: by("seen") }).await;
    let stand = scene.stand().await;
    assert_eq!((stand.halt, stand.latch_stays), (HaltLevel::None, None));
}

#[actix_rt::test]
async fn what_waits_when_the_process_wakes_up_waits_for_a_comparison() {
    for (pace, holds) in [(Pace::Realtime, true), (Pace::Lockstep, false)] {
        let (mut house, _link, _scene) = Scene::before(Fault::Hangs, pace);
        house.begun = true;
        house.comparisons.look(crate::telemetry::clock::monotonic_now() - Span::from_secs(3));
        house.send_waiting(0);
        assert_eq!(house.comparisons.holds(), holds, "{pace:?}");
    }
}
