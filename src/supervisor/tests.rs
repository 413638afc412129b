//! The supervisor over real threads and engines that misbehave on demand; only the house is a double.

mod symbols;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use levibot_core::alerts::Severity;
use levibot_core::domain::{Bar, Context, Decision, PositionView, Ts};
use levibot_core::driver::EngineInput;
use levibot_core::engine::{EngineAction, EngineStep, Snapshot};

use super::*;
use crate::control::{Scope, samples};
use crate::engine_host::{EngineFactory, EngineLink, Offer, ThreadHost};
use crate::telemetry::alerts::samples::Alarms;

mod escalation_tests;

const SYMBOLS: [&str; 3] = ["AAA", "BBB", "CCC"];
const PATIENCE: Duration = Duration::from_secs(20);

const BAR: Bar = Bar { open_ts: Ts::EPOCH, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };

/// How the first engine misbehaves; the others never do.
#[derive(Debug, Default)]
struct Faults {
    /// Panic at the bar with this number, once.
    panic_at: AtomicU64,
    /// Panic at every bar.
    panic_always: AtomicBool,
    /// Panic once more when dropped.
    panic_in_drop: AtomicBool,
    /// Cannot be made.
    unmakeable: AtomicBool,
    /// Nor can the others.
    all_unmakeable: AtomicBool,
    /// Spins while set.
    spin: AtomicBool,
    spinning: AtomicBool,
}

/// Counts bars; that is all its state.
#[derive(Debug)]
struct Counting {
    ix: Ix,
    bars: u64,
    faults: Arc<Faults>,
}

impl EngineStep for Counting {
    fn step(&mut self, event: &Event, now: Ts, actions: &mut Actions<EngineAction>) {
        if !matches!(event, Event::Bar { .. }) {
            return;
        }
        self.bars += 1;
        if self.ix == Ix(0) {
            let faults = &self.faults;
            while faults.spin.load(Ordering::Acquire) {
                faults.spinning.store(true, Ordering::Release);
                std::thread::yield_now();
            }
            let once = faults.panic_at.compare_exchange(self.bars, 0, Ordering::AcqRel, Ordering::Acquire).is_ok();
            assert!(!once && !faults.panic_always.load(Ordering::Acquire), "on purpose");
        }
        let (instrument, features) = (self.ix, self.bars);
        let decision = Decision { instrument, bar: now, policy: 0, features, forecast: None, intent: None };
        actions.push(EngineAction::Decide(decision));
    }

    fn prime(&mut self, _: &Bar, _: &Context) {
        self.bars += 1;
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { version: 1, schema: 0, policy: 0, bytes: self.bars.to_le_bytes().to_vec() }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let on_purpose = self.ix == Ix(0) && self.faults.panic_in_drop.load(Ordering::Acquire);
        assert!(!on_purpose, "on purpose, in drop");
    }
}

fn factory(faults: Arc<Faults>) -> EngineFactory {
    Arc::new(move |ix, snapshot| {
        let is_first_only = ix == Ix(0) && faults.unmakeable.load(Ordering::Acquire);
        if is_first_only || faults.all_unmakeable.load(Ordering::Acquire) {
            return Err("no model".to_owned());
        }
        let bars = snapshot.map_or(0, |s| u64::from_le_bytes(s.bytes.as_slice().try_into().unwrap()));
        Ok(Box::new(Counting { ix, bars, faults: Arc::clone(&faults) }) as Box<dyn EngineStep>)
    })
}

/// What the house was told, and by which ways it can tell engines.
#[derive(Debug, Default)]
struct Heard {
    words: Vec<String>,
    /// Instrument, generation, number of the bar by the engine's own count.
    answers: Vec<(Ix, u64, u64)>,
    snapshots: BTreeMap<Ix, Snapshot>,
    /// Answers since the snapshot.
    since: BTreeMap<Ix, usize>,
    links: BTreeMap<Ix, (u64, Box<dyn EngineLink>)>,
}

/// Stands where the risk manager would.
struct House(Arc<Mutex<Heard>>);

impl Actor for House {
    type Context = actix::Context<Self>;
}

impl Handler<Tell> for House {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        let mut heard = self.0.lock().unwrap();
        match tell {
            Tell::Link { instrument, generation, link } => {
                heard.words.push(format!("link {} {generation}", instrument.0));
                if let Some(input) = heard.snapshots.get(&instrument).cloned().map(EngineInput::Restore) {
                    assert_eq!(link.offer(input), Offer::Accepted);
                }
                if let Some(missed) = heard.since.get(&instrument).copied().filter(|missed| *missed > 0) {
                    let bars = vec![(BAR, Context::default()); missed];
                    assert_eq!(link.offer(EngineInput::Prime(bars)), Offer::Accepted);
                }
                assert_eq!(link.offer(EngineInput::Position(PositionView::flat(instrument))), Offer::Accepted);
                heard.links.insert(instrument, (generation, link));
            }
            Tell::Input(Input::Answer { instrument, generation, decision, snapshot, .. }) => {
                heard.answers.push((instrument, generation, decision.unwrap().features));
                *heard.since.entry(instrument).or_default() += 1;
                if let Some(snapshot) = snapshot {
                    heard.snapshots.insert(instrument, snapshot);
                    heard.since.insert(instrument, 0);
                }
            }
            Tell::Input(Input::Detach { instrument, returns, .. }) => {
                let word = if returns { "detach" } else { "detach for good" };
                heard.words.push(format!("{word} {}", instrument.0));
            }
            Tell::Input(Input::Forget { instrument }) => {
                heard.snapshots.remove(&instrument);
                heard.since.remove(&instrument);
                heard.words.push(format!("forget {}", instrument.0));
            }
            Tell::Input(Input::Control(Event::Freeze { instrument, cause: FreezeCause::Person, reason })) => {
                let word = if reason.is_some() { "freeze" } else { "free" };
                heard.words.push(format!("{word} {}", instrument.0));
            }
            Tell::Input(Input::Control(Event::Halt { level: HaltLevel::EntryHalt, reason })) => {
                heard.words.push(format!("halt by {}: {}", reason.by, reason.text));
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Scene {
    supervisor: Addr<Supervisor>,
    heard: Arc<Mutex<Heard>>,
    faults: Arc<Faults>,
    alarms: Arc<Alarms>,
    board: Board,
    _dir: tempfile::TempDir,
}

/// Windows are long and delays short, so that a slow machine changes nothing.
const SETUP: SupervisionSetup = SupervisionSetup {
    failures_max: 5,
    window: Span::from_secs(600),
    backoff_first: Span::from_millis(5),
    backoff_max: Span::from_millis(20),
    healthy_after: Span::HOUR,
    progress_deadline: Span::HOUR,
    starting_deadline: Span::HOUR,
    stop_deadline: Span::HOUR,
};

impl Scene {
    /// All engines are running, unless the first cannot.
    async fn with(setup: SupervisionSetup, faults: Faults) -> Self {
        Self::over(setup, faults, BTreeSet::new()).await
    }

    async fn over(setup: SupervisionSetup, faults: Faults, retired: BTreeSet<Symbol>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (heard, faults) = (Arc::<Mutex<Heard>>::default(), Arc::new(faults));
        let (link, alarms) = (HouseLink::default(), Arc::<Alarms>::default());
        let board = Board::new(samples::info(), samples::account());
        let parts = Parts {
            symbols: SYMBOLS.iter().map(|s| s.parse().unwrap()).collect(),
            retired,
            timeframe: Timeframe::HOUR,
            setup,
            quarantines_max: 3,
            house: link.clone(),
            board: board.clone(),
            registry: Registry::new(dir.path().join("registry.json")),
            metrics: Arc::new(Metrics::new().unwrap()),
            alerts: AlertChannels(vec![Arc::clone(&alarms) as Arc<dyn AlertChannel>]),
            halted: false,
        };
        let (made, to_house) = (factory(Arc::clone(&faults)), link.clone());
        let supervisor = Supervisor::create(move |ctx| {
            let host = ThreadHost::new(made, to_house, ctx.address().recipient());
            Supervisor::new(parts, Box::new(host))
        });
        // The house comes after the engines, as in the daemon: what is told before waits.
        let house = House(Arc::clone(&heard)).start();
        link.bind(house.recipient());
        supervisor.send(Begun).await.unwrap();
        let scene = Self { supervisor, heard, faults, alarms, board, _dir: dir };
        scene.until("the others run", |s| s.status(1) == "running" && s.status(2) == "running").await;
        scene
    }

    async fn new(faults: Faults) -> Self {
        let scene = Self::with(SETUP, faults).await;
        scene.until("the first runs", |s| s.status(0) == "running").await;
        scene
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.board.engines(), self.heard.lock().unwrap().words);
            actix_rt::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn status(&self, at: usize) -> String {
        self.board.engines().engines.get(at).map(|row| row.status.clone()).unwrap_or_default()
    }

    /// Gives each engine that is there a bar.
    fn bar(&self) {
        for (_, link) in self.heard.lock().unwrap().links.values() {
            let _ = link.offer(EngineInput::Bar(BAR, Context::default()));
        }
    }

    fn answers(&self, at: u16) -> Vec<(u64, u64)> {
        let heard = self.heard.lock().unwrap();
        heard.answers.iter().filter(|(ix, ..)| *ix == Ix(at)).map(|(_, g, n)| (*g, *n)).collect()
    }

    /// A bar that the others answer.
    async fn bar_of_the_others(&self) {
        let before = [self.answers(1).len(), self.answers(2).len()];
        self.bar();
        self.until("the others answer", |s| s.answers(1).len() > before[0] && s.answers(2).len() > before[1]).await;
    }

    /// What the house was told of the first engine since the last call.
    fn told(&self) -> Vec<String> {
        let words = std::mem::take(&mut self.heard.lock().unwrap().words);
        words.into_iter().filter(|w| w.contains(" 0")).collect()
    }

    async fn generation(&self, generation: u64) {
        self.until(&format!("generation {generation}"), |s| {
            s.heard.lock().unwrap().links.get(&Ix(0)).is_some_and(|(g, _)| *g == generation) && s.status(0) == "running"
        })
        .await;
    }

    async fn wish(&self, wish: Wish) -> Result<String, String> {
        let scope = Scope::One(SYMBOLS[0].parse().unwrap());
        self.supervisor.send(EngineCommand { wish, scope }).await.unwrap()
    }

    async fn halt(&self, level: HaltLevel) {
        self.supervisor.send(AccountSays::Halt(level)).await.unwrap();
    }

    fn criticals(&self) -> usize {
        self.alarms.0.lock().unwrap().iter().filter(|a| a.severity == Severity::Critical).count()
    }
}

#[actix_rt::test]
async fn a_panic_ends_one_engine_which_comes_back_with_its_memory() {
    let scene = Scene::new(Faults { panic_at: 3.into(), ..Faults::default() }).await;
    assert_eq!(scene.told(), ["link 0 1"]);
    for _ in 0..3 {
        scene.bar_of_the_others().await;
    }
    scene.generation(2).await;
    assert_eq!(scene.told(), ["detach 0", "link 0 2"]);
    scene.bar_of_the_others().await;
    scene.until("it answers", |s| s.answers(0).len() == 3).await;
    assert_eq!(scene.answers(0), [(1, 1), (1, 2), (2, 3)], "it goes on where its last answer was");
    assert_eq!(scene.answers(1).last(), Some(&(1, 4)));
    let alarms = scene.alarms.0.lock().unwrap();
    assert!(alarms[0].text.contains("panic: on purpose"), "{alarms:?}");
    assert_eq!((alarms.len(), alarms[0].severity), (1, Severity::Warning));
}

#[actix_rt::test]
async fn a_panic_while_it_is_dropped_ends_nobody_else() {
    let faults = Faults { panic_at: 1.into(), panic_in_drop: true.into(), ..Faults::default() };
    let scene = Scene::new(faults).await;
    scene.bar_of_the_others().await;
    scene.generation(2).await;
    assert!(scene.alarms.0.lock().unwrap()[0].text.contains("panicked again while it was dropped"));
    // Nor does it when it is restarted: then the thread drops it.
    scene.wish(Wish::Restart).await.unwrap();
    scene.generation(3).await;
    scene.bar_of_the_others().await;
    scene.until("it answers", |s| !s.answers(0).is_empty()).await;
    scene.faults.panic_in_drop.store(false, Ordering::Release);
}

#[actix_rt::test]
async fn the_fifth_failure_is_a_quarantine_told_once_and_lifted_by_hand() {
    let scene = Scene::new(Faults { panic_always: true.into(), ..Faults::default() }).await;
    for failure in 1..=5 {
        scene.bar_of_the_others().await;
        if failure < 5 {
            scene.generation(failure + 1).await;
        }
    }
    scene.until("quarantine", |s| s.status(0) == "quarantined").await;
    scene.until("the house is told", |s| s.heard.lock().unwrap().words.iter().any(|w| w == "detach for good 0")).await;
    assert_eq!(scene.told().last().unwrap(), "detach for good 0");
    assert_eq!((scene.criticals(), scene.alarms.0.lock().unwrap().len()), (1, 5));
    scene.bar_of_the_others().await;

    // A halt and a resume are not a person who has looked at it.
    scene.halt(HaltLevel::ReduceOnly).await;
    assert_eq!(
        scene.wish(Wish::Restart).await.unwrap_err(),
        "AAA: the account is halted; `levibot resume` lifts the halt"
    );
    scene.halt(HaltLevel::None).await;
    scene.until("the others run", |s| s.status(1) == "running" && s.status(2) == "running").await;
    assert_eq!((scene.status(0).as_str(), scene.told()), ("quarantined", Vec::new()));

    scene.faults.panic_always.store(false, Ordering::Release);
    scene.wish(Wish::Restart).await.unwrap();
    scene.generation(6).await;
    scene.until("all is told", |s| s.heard.lock().unwrap().words.iter().any(|w| w == "free 0")).await;
    assert_eq!(
        scene.told(),
        ["forget 0", "detach 0", "link 0 6", "free 0"],
        "what it failed of may be what it remembered"
    );
    assert_eq!(scene.criticals(), 1);
}

#[actix_rt::test]
async fn an_engine_that_cannot_be_made_is_quarantined_and_started_again_when_it_can() {
    let faults = Faults { unmakeable: true.into(), ..Faults::default() };
    let scene = Scene::with(SETUP, faults).await;
    scene.until("quarantine", |s| s.status(0) == "quarantined").await;
    let texts: Vec<String> = scene.alarms.0.lock().unwrap().iter().map(|alert| alert.text.clone()).collect();
    assert!(texts.iter().all(|text| text.contains("no model")), "{texts:?}");
    assert!(texts[1].starts_with("engine AAA ") && texts[1].contains("; failure 2 of 5 within 600 s, next retry in "));
    assert!(texts[4].ends_with("; failure 5 of 5 within 600 s, no retry"), "{texts:?}");
    scene.bar_of_the_others().await;
    scene.faults.unmakeable.store(false, Ordering::Release);
    scene.wish(Wish::Start).await.unwrap();
    scene.generation(6).await;
}

#[actix_rt::test]
async fn a_stuck_engine_is_replaced_and_what_it_says_later_is_of_an_old_generation() {
    let setup = SupervisionSetup { progress_deadline: Span::from_millis(300), ..SETUP };
    let scene = Scene::with(setup, Faults { spin: true.into(), ..Faults::default() }).await;
    scene.generation(1).await;
    scene.bar_of_the_others().await;
    scene.until("it spins", |s| s.faults.spinning.load(Ordering::Acquire)).await;
    scene.bar_of_the_others().await;
    scene.generation(2).await;
    assert_eq!(scene.told(), ["link 0 1", "detach 0", "link 0 2"]);
    assert!(scene.alarms.0.lock().unwrap()[0].text.contains("stuck"));
    scene.faults.spin.store(false, Ordering::Release);
    scene.until("its late words", |s| !s.answers(0).is_empty()).await;
    assert_eq!(scene.answers(0)[0], (1, 1), "fenced by its number");
    scene.bar_of_the_others().await;
    scene.until("the new one answers", |s| s.answers(0).iter().any(|(g, _)| *g == 2)).await;
    assert_eq!(scene.status(0), "running");
}

#[actix_rt::test]
async fn restarts_detach_first_and_starting_what_runs_takes_nothing_away() {
    let scene = Scene::new(Faults::default()).await;
    scene.told();
    scene.wish(Wish::Start).await.unwrap();
    scene.until("told", |s| s.heard.lock().unwrap().words.iter().any(|w| w == "free 0")).await;
    assert_eq!(scene.told(), ["free 0"], "a running engine is neither detached nor started twice");
    for (wish, told) in [
        (Wish::Restart, vec!["detach 0", "link 0 2", "free 0"]),
        (Wish::Renew, vec!["detach 0", "forget 0", "link 0 3"]),
        (Wish::Stop, vec!["detach for good 0", "freeze 0"]),
        (Wish::Start, vec!["detach 0", "link 0 4", "free 0"]),
    ] {
        scene.wish(wish).await.unwrap();
        scene.until("told", |s| s.heard.lock().unwrap().words.len() >= told.len()).await;
        assert_eq!(scene.told(), told, "{wish:?}");
    }
    scene.generation(4).await;
}

#[actix_rt::test]
async fn a_pause_outlasts_a_crash_and_a_halt() {
    let scene = Scene::new(Faults { panic_at: 1.into(), ..Faults::default() }).await;
    scene.wish(Wish::Pause).await.unwrap();
    scene.until("paused", |s| s.status(0) == "paused").await;
    assert_eq!(scene.wish(Wish::Start).await.unwrap_err(), "AAA is paused");
    scene.bar_of_the_others().await;
    let second = |s: &Scene| s.heard.lock().unwrap().words.iter().any(|w| w == "link 0 2") && s.status(0) == "paused";
    scene.until("paused after the crash", second).await;
    scene.halt(HaltLevel::ReduceOnly).await;
    scene.until("stopped", |s| s.status(0) == "stopped").await;
    scene.halt(HaltLevel::None).await;
    scene.until("paused after the halt", |s| s.status(0) == "paused").await;
    assert!(!scene.told().contains(&"free 0".to_owned()), "its entries are frozen all the while");
    scene.wish(Wish::Unpause).await.unwrap();
    scene.until("running", |s| s.status(0) == "running").await;
    scene.until("free", |s| s.heard.lock().unwrap().words.iter().any(|w| w == "free 0")).await;
}

#[actix_rt::test]
async fn a_halt_stops_all_and_a_resume_starts_what_ran() {
    let scene = Scene::new(Faults::default()).await;
    scene.wish(Wish::Stop).await.unwrap();
    scene.halt(HaltLevel::ReduceOnly).await;
    scene.halt(HaltLevel::Flatten).await;
    scene.until("stopped", |s| (0..3).all(|at| s.status(at) == "stopped")).await;
    assert!(scene.wish(Wish::Start).await.unwrap_err().contains("halted"));
    scene.halt(HaltLevel::None).await;
    scene.until("back", |s| s.status(1) == "running" && s.status(2) == "running").await;
    assert_eq!(scene.status(0), "stopped", "a person stopped it");
}

#[actix_rt::test]
async fn stop_all_ends_all_for_good() {
    let scene = Scene::new(Faults::default()).await;
    scene.supervisor.send(StopAll).await.unwrap();
    scene.until("stopped", |s| (0..3).all(|at| s.status(at) == "stopped")).await;
    scene.halt(HaltLevel::ReduceOnly).await;
    scene.halt(HaltLevel::None).await;
    assert_eq!(scene.wish(Wish::Start).await.unwrap_err(), "the daemon is ending");
    let dead = |s: &Scene| {
        let bar = || EngineInput::Position(PositionView::flat(Ix(0)));
        s.heard.lock().unwrap().links.values().all(|(_, link)| link.offer(bar()) == Offer::Dead)
    };
    scene.until("their threads are gone", dead).await;
    assert!((0..3).all(|at| scene.status(at) == "stopped"));
}

#[actix_rt::test]
async fn the_mailbox_of_an_engine_that_hangs_is_bounded_and_gives_back_what_it_cannot_take() {
    let scene = Scene::new(Faults { spin: true.into(), ..Faults::default() }).await;
    scene.bar();
    scene.until("it spins", |s| s.faults.spinning.load(Ordering::Acquire)).await;
    let view = |stop: f64| EngineInput::Position(PositionView { stop, ..PositionView::flat(Ix(0)) });
    {
        let heard = scene.heard.lock().unwrap();
        let link = &heard.links[&Ix(0)].1;
        let taken = (0..1_000).take_while(|_| link.offer(view(1.0)) == Offer::Accepted).count();
        assert!((32..=64).contains(&taken), "{taken}");
        assert_eq!(link.offer(view(2.0)), Offer::Full(view(2.0)));
    }
    scene.faults.spin.store(false, Ordering::Release);
    let room = |s: &Scene| s.heard.lock().unwrap().links[&Ix(0)].1.offer(view(3.0)) == Offer::Accepted;
    scene.until("there is room again", room).await;
}
