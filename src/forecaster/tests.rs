//! The forecaster over real sockets and a server that misbehaves on demand; only the house is a double.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use levibot_core::supervision::SupervisionSetup;

use super::samples::{DIGEST, Faults, TestHost, ready, set};
use super::*;
use crate::control::samples;
use crate::telemetry::alerts::AlertChannel;
use crate::telemetry::alerts::samples::Alarms;

const PATIENCE: Duration = Duration::from_secs(20);
const SYMBOLS: [&str; 3] = ["AAA", "BBB", "CCC"];

/// What the house was told.
#[derive(Debug, Default)]
struct Heard {
    answers: Vec<Answers>,
    /// Instrument, and whether it is away.
    presence: Vec<(u16, bool)>,
    swapped: Vec<String>,
    fatal: Vec<String>,
}

struct House(Arc<Mutex<Heard>>);

impl Actor for House {
    type Context = actix::Context<Self>;
}

impl Handler<Tell> for House {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        match tell {
            Tell::Fatal(why) => self.0.lock().unwrap().fatal.push(why),
            // What the words of the test stand for.
            Tell::JournalMoved => {}
            other => panic!("{other:?}"),
        }
    }
}

struct Scene {
    forecaster: Addr<Forecaster>,
    heard: Arc<Mutex<Heard>>,
    faults: Arc<Faults>,
    alarms: Arc<Alarms>,
    board: Board,
    metrics: Arc<Metrics>,
}

/// Delays are short, and no deadline passes on a slow machine.
const SETUP: SupervisionSetup = SupervisionSetup {
    backoff_first: Span::from_millis(5),
    backoff_max: Span::from_millis(20),
    healthy_after: Span::HOUR,
    progress_deadline: Span::HOUR,
    starting_deadline: Span::HOUR,
    window: Span::HOUR,
    ..SUPERVISION
};

impl Scene {
    fn with(pace: Pace, faults: Faults, change: impl FnOnce(&mut Parts)) -> Self {
        let (heard, faults, alarms) = (Arc::<Mutex<Heard>>::default(), Arc::new(faults), Arc::<Alarms>::default());
        let (house, metrics) = (HouseLink::default(), Arc::new(Metrics::new().unwrap()));
        let board = Board::new(samples::info(), samples::account());
        let (a, b, c) = (Arc::clone(&heard), Arc::clone(&heard), Arc::clone(&heard));
        let words = Words {
            answers: Arc::new(move |answers| {
                a.lock().unwrap().answers.push(answers);
                Tell::JournalMoved
            }),
            away: Arc::new(move |ix, reason| {
                b.lock().unwrap().presence.push((ix.0, reason.is_some()));
                Tell::JournalMoved
            }),
            swapped: Arc::new(move |ready| {
                c.lock().unwrap().swapped.push(ready.digest.clone());
                Some(Tell::JournalMoved)
            }),
        };
        let mut parts = Parts {
            pace,
            symbols: SYMBOLS.iter().map(|s| s.parse().unwrap()).collect(),
            asking: vec![Ix(0), Ix(2)],
            timeframe: Timeframe::HOUR,
            batch_wait: Span::from_millis(2),
            deadline: Span::HOUR,
            pinned: None,
            known: Known::default(),
            house: house.clone(),
            words,
            board: board.clone(),
            metrics: Arc::clone(&metrics),
            alerts: AlertChannels(vec![Arc::clone(&alarms) as Arc<dyn AlertChannel>]),
            supervision: SETUP,
        };
        change(&mut parts);
        house.bind(House(Arc::clone(&heard)).start().recipient());
        let forecaster = Forecaster::new(parts, Box::new(TestHost(Arc::clone(&faults)))).start();
        Self { forecaster, heard, faults, alarms, board, metrics }
    }

    fn new(pace: Pace, faults: Faults) -> Self {
        Self::with(pace, faults, |_| ())
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < end, "waited in vain: {what}; {:?}", self.heard.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until_state(&self, state: &str) {
        self.until(state, |s| s.state() == state).await;
    }

    fn state(&self) -> String {
        self.board.status().model.map(|model| model.state).unwrap_or_default()
    }

    /// Asks for all symbols at once.
    fn ask_all(&self, bar: i64) {
        for ix in 0..3_u16 {
            let question = Question {
                instrument: Ix(ix),
                bar: Ts::from_secs(bar),
                features: u64::from(ix) * 100 + bar.unsigned_abs(),
                window: Arc::from([1.0_f32, 2.0]),
            };
            self.forecaster.try_send(Ask { question, last: ix == 2 }).unwrap();
        }
    }

    /// How often each bar was answered with how many forecasts.
    fn forecasts(&self, bar: i64) -> Vec<Option<u64>> {
        let heard = self.heard.lock().unwrap();
        let mut all: Vec<_> =
            heard.answers.iter().flat_map(|a| &a.answers).filter(|a| a.1 == Ts::from_secs(bar)).collect();
        all.sort_by_key(|answer| answer.0);
        all.into_iter().map(|(_, _, forecast)| forecast.map(|f| f.features)).collect()
    }

    async fn answered(&self, bar: i64) -> Vec<Option<u64>> {
        self.until("answers", |s| s.forecasts(bar).len() >= 3).await;
        self.forecasts(bar)
    }

    fn alarmed(&self, text: &str) -> bool {
        self.alarms.0.lock().unwrap().iter().any(|alert| alert.text.contains(text))
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().lines().any(|l| l == line)
    }
}

fn all(bar: u64) -> Vec<Option<u64>> {
    vec![Some(bar), Some(100 + bar), Some(200 + bar)]
}

const NONE: [Option<u64>; 3] = [None, None, None];

#[actix_rt::test]
async fn questions_are_answered_and_everything_is_shown() {
    for pace in [Pace::Realtime, Pace::Lockstep] {
        let scene = Scene::new(pace, Faults::default());
        scene.until_state("running").await;
        scene.ask_all(60);
        assert_eq!(scene.answered(60).await, all(60));
        assert_eq!(scene.faults.got.lock().unwrap().len(), 1, "together");
        let heard = scene.heard.lock().unwrap().answers[0].version;
        assert_eq!(heard, "v1".parse().ok());
        let model = scene.board.status().model.unwrap();
        assert_eq!((model.version.as_deref(), model.pid, model.last_error), (Some("v1"), Some(4_711), None));
        assert_eq!(scene.heard.lock().unwrap().swapped, [DIGEST]);
        for line in [
            "levibot_model_up 1",
            "levibot_model_info{version=\"v1\"} 1",
            "levibot_forecasts_total{outcome=\"answered\"} 3",
            "levibot_inference_seconds_count 3",
            "levibot_inference_batch_size_sum 3",
        ] {
            assert!(scene.metric(line), "{line}");
        }
    }
}

#[actix_rt::test]
async fn realtime_is_answered_with_none_while_the_model_is_away_and_entries_wait() {
    let faults = Faults::default();
    set(&faults.loading, true);
    let scene = Scene::new(Pace::Realtime, faults);
    scene.ask_all(60);
    assert_eq!(scene.answered(60).await, NONE);
    assert_eq!(scene.heard.lock().unwrap().presence, [(0, true), (2, true)], "of those who ask");
    set(&scene.faults.loading, false);
    scene.until_state("running").await;
    assert_eq!(scene.heard.lock().unwrap().presence[2..], [(0, false), (2, false)]);
    assert!(scene.metric("levibot_forecasts_total{outcome=\"absent\"} 3"));
}

#[actix_rt::test]
async fn a_crash_in_the_middle_changes_nothing_in_lockstep() {
    let faults = Faults { die_after: AtomicU64::new(2), ..Faults::default() };
    let scene = Scene::new(Pace::Lockstep, faults);
    for bar in [60, 120, 180] {
        scene.ask_all(bar);
        assert_eq!(scene.answered(bar).await, all(bar.unsigned_abs()));
    }
    let got = scene.faults.got.lock().unwrap().clone();
    assert_eq!(got.len(), 4);
    assert_eq!(got[1], got[2], "the same questions together");
    assert_eq!(scene.board.status().model.unwrap().restarts, 1);
    assert!(scene.alarmed("the model went away: the test's server has ended; failure 1"));
    assert!(scene.heard.lock().unwrap().presence.is_empty(), "entries wait in realtime alone");
    assert!(scene.metric("levibot_model_restarts_total 1"));
}

#[actix_rt::test]
async fn a_crash_in_realtime_costs_the_answers_under_way_and_no_more() {
    let faults = Faults { die_after: AtomicU64::new(2), ..Faults::default() };
    let scene = Scene::new(Pace::Realtime, faults);
    scene.until_state("running").await;
    scene.ask_all(60);
    assert_eq!(scene.answered(60).await, all(60));
    scene.ask_all(120);
    assert_eq!(scene.answered(120).await, NONE);
    scene.until("it is back", |s| s.heard.lock().unwrap().presence.len() == 8).await;
    scene.until_state("running").await;
    scene.ask_all(180);
    assert_eq!(scene.answered(180).await, all(180));
    assert_eq!(scene.heard.lock().unwrap().swapped.len(), 1, "the same version is no swap");
}

#[actix_rt::test]
async fn a_symbol_that_brings_the_model_down_is_kept_from_it() {
    let faults = Faults { poison: Mutex::new("BBB".parse().ok()), ..Faults::default() };
    let scene = Scene::with(Pace::Realtime, faults, |parts| parts.supervision.failures_max = 100);
    let mut bar = 0;
    while !scene.alarmed("BBB is kept from the model") {
        scene.until_state("running").await;
        bar += 60;
        scene.ask_all(bar);
        scene.answered(bar).await;
        assert!(bar < 6_000);
    }
    scene.until_state("running").await;
    scene.ask_all(9_000);
    assert_eq!(scene.answered(9_000).await, [Some(9_000), None, Some(9_200)]);
}

#[actix_rt::test]
async fn a_server_that_says_nothing_is_replaced() {
    let faults = Faults::default();
    set(&faults.mute, true);
    let scene = Scene::with(Pace::Lockstep, faults, |parts| {
        parts.supervision.progress_deadline = Span::from_millis(50);
    });
    scene.ask_all(60);
    assert_eq!(scene.answered(60).await, all(60), "by the one after it");
    assert!(scene.alarmed("the model was stuck and is replaced"));
    assert!(scene.board.status().model.unwrap().restarts >= 1);
}

#[actix_rt::test]
async fn realtime_does_not_wait_for_a_late_answer() {
    let faults = Faults::default();
    set(&faults.mute, true);
    let scene = Scene::with(Pace::Realtime, faults, |parts| parts.deadline = Span::from_millis(20));
    scene.until_state("running").await;
    scene.ask_all(60);
    assert_eq!(scene.answered(60).await, NONE);
    set(&scene.faults.mute, false);
    scene.until("the late answer", |s| s.metric("levibot_forecasts_late_total 3")).await;
    assert_eq!(scene.forecasts(60).len(), 3, "answered once");
    assert_eq!(scene.state(), "running");
}

#[actix_rt::test]
async fn refusals_are_none_and_one_alert() {
    for pace in [Pace::Realtime, Pace::Lockstep] {
        let faults = Faults::default();
        set(&faults.refuses, true);
        let scene = Scene::new(pace, faults);
        scene.until_state("running").await;
        for bar in [60, 120] {
            scene.ask_all(bar);
            assert_eq!(scene.answered(bar).await, NONE);
        }
        scene.until("an alert", |s| s.alarmed("would not answer")).await;
        assert_eq!(scene.alarms.0.lock().unwrap().len(), 1);
        assert!(scene.metric("levibot_forecasts_total{outcome=\"refused\"} 6"));
        assert_eq!(scene.state(), "running");
    }
}

#[actix_rt::test]
async fn a_server_that_cannot_be_asked_is_refused_with_the_reason() {
    let cases: [(Ready, &str); 5] = [
        (Ready { protocol: 99, ..ready() }, "speaks protocol 99"),
        (Ready { schema: 1, ..ready() }, "was trained on inputs 0000000000000001"),
        (Ready { timeframe: Timeframe::MINUTE, ..ready() }, "was trained on bars of 1m"),
        (Ready { version: "v2".parse().unwrap(), ..ready() }, "version v2 (d1) answers, and v1 was asked for"),
        (Ready { digest: "other".to_owned(), ..ready() }, "version v1 (other) answers"),
    ];
    for (word, wanted) in cases {
        let faults = Faults { ready: Mutex::new(Some(word)), ..Faults::default() };
        let scene = Scene::with(Pace::Lockstep, faults, |parts| {
            parts.pinned = Some(Pinned { version: "v1".parse().unwrap(), digest: Some(DIGEST.to_owned()) });
        });
        scene.until_state("quarantined").await;
        scene.until("the run ends", |s| !s.heard.lock().unwrap().fatal.is_empty()).await;
        let fatal = scene.heard.lock().unwrap().fatal.clone();
        assert!(fatal.len() == 1 && fatal[0].contains("model quarantined") && fatal[0].contains(wanted), "{fatal:?}");
        assert!(scene.heard.lock().unwrap().swapped.is_empty());
    }
}

#[actix_rt::test]
async fn a_server_that_never_comes_up_ends_a_replay_and_not_a_daemon() {
    type Fault = fn(&Faults) -> &AtomicBool;
    let cases: [(Fault, &str); 3] = [
        (|f| &f.missing, "there is no such program"),
        (|f| &f.dead, "the test's server has ended"),
        (|f| &f.garbage, "no word of the protocol"),
    ];
    for (fault, wanted) in cases {
        for pace in [Pace::Realtime, Pace::Lockstep] {
            let faults = Faults::default();
            set(fault(&faults), true);
            let scene = Scene::new(pace, faults);
            scene.until_state("quarantined").await;
            scene.until("an alert", |s| s.alarmed("model quarantined")).await;
            let error = scene.board.status().model.unwrap().last_error.unwrap();
            assert!(error.contains(wanted), "{error}");
            if pace == Pace::Lockstep {
                scene.until("the run ends", |s| !s.heard.lock().unwrap().fatal.is_empty()).await;
                continue;
            }
            assert!(scene.heard.lock().unwrap().fatal.is_empty());
            // A person has mended it.
            set(fault(&scene.faults), false);
            scene.forecaster.send(RestartModel).await.unwrap();
            scene.until_state("running").await;
        }
    }
}

#[actix_rt::test]
async fn a_server_that_answers_what_was_not_asked_goes() {
    let faults = Faults::default();
    set(&faults.confused, true);
    let scene = Scene::new(Pace::Lockstep, faults);
    scene.ask_all(60);
    scene.until("an alert", |s| s.alarmed("which was not asked")).await;
    set(&scene.faults.confused, false);
    assert_eq!(scene.answered(60).await, all(60));
}

#[actix_rt::test]
async fn it_is_gone_when_its_end_was_asked_for() {
    let scene = Scene::new(Pace::Realtime, Faults::default());
    scene.until_state("running").await;
    scene.forecaster.send(StopModel).await.unwrap();
    let model = scene.board.status().model.unwrap();
    assert_eq!((model.state.as_str(), model.pid), ("stopped", None));
    assert!(scene.alarms.0.lock().unwrap().is_empty());
    assert!(scene.metric("levibot_model_up 0"));
    scene.ask_all(60);
    assert_eq!(scene.answered(60).await, NONE);
}
