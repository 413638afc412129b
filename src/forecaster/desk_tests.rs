use std::sync::Arc;

use levibot_core::domain::{Member, Vote};

use super::*;

const WAIT: Span = Span::from_millis(2);
const DEADLINE: Span = Span::from_millis(250);

fn at(millis: i64) -> Ts {
    Ts::from_nanos(millis * 1_000_000)
}

fn version(name: &str) -> ModelVersion {
    name.parse().unwrap()
}

fn symbols(count: usize) -> Vec<Symbol> {
    (0..count).map(|n| format!("S{n:03}").parse().unwrap()).collect()
}

fn question(ix: u16, bar: i64) -> Question {
    Question {
        instrument: Ix(ix),
        bar: Ts::from_secs(bar),
        features: u64::from(ix) + 100,
        window: Arc::from([0.5_f32]),
    }
}

fn forecast(features: u64) -> Forecast {
    let mut votes = [None; Member::ALL.len()];
    votes[0] = Some(Vote { probability: 0.7, weight: 1.0 });
    Forecast { version: version("v1"), features, votes, prob_up: 0.7, quantiles: None }
}

fn answer_to(batch: &Batch) -> Answer {
    Answer { id: batch.id, forecasts: batch.questions.iter().map(|q| Ok(forecast(q.features))).collect(), took_us: 5 }
}

fn desk_of(pace: Pace, known: Known) -> Desk {
    let timeframe = Timeframe::HOUR;
    Desk::new(DeskSetup { pace, symbols: symbols(200), timeframe, batch_wait: WAIT, deadline: DEADLINE }, known)
}

/// A desk, with what it has wanted done since the last look.
struct Scene {
    desk: Desk,
    tasks: Vec<Task>,
}

impl Scene {
    fn new(pace: Pace) -> Self {
        Self { desk: desk_of(pace, Known::default()), tasks: Vec::new() }
    }

    fn up(pace: Pace) -> Self {
        let mut scene = Self::new(pace);
        scene.desk.up(version("v1"), at(0), &mut scene.tasks);
        scene
    }

    fn ask(&mut self, ix: u16, bar: i64, last: bool, now: i64) {
        self.desk.ask(question(ix, bar), last, at(now), &mut self.tasks);
    }

    fn tick(&mut self, now: i64) {
        self.desk.tick(at(now), &mut self.tasks);
    }

    fn answer(&mut self, answer: Answer, now: i64) -> Result<(), String> {
        self.desk.answered(answer, at(now), &mut self.tasks)
    }

    fn down(&mut self, now: i64) {
        self.desk.down(at(now), &mut self.tasks);
    }

    /// What went to the server.
    fn sent(&mut self) -> Vec<Batch> {
        let (sent, rest) = std::mem::take(&mut self.tasks).into_iter().partition(|task| matches!(task, Task::Send(_)));
        self.tasks = rest;
        let batch = |task| if let Task::Send(batch) = task { batch } else { unreachable!() };
        Vec::into_iter(sent).map(batch).collect()
    }

    /// What the house was told: of whom, and whether there is a forecast.
    fn told(&mut self) -> Vec<(u16, bool)> {
        let (told, rest) =
            std::mem::take(&mut self.tasks).into_iter().partition(|task| matches!(task, Task::Tell { .. }));
        self.tasks = rest;
        let answers = |task| if let Task::Tell { answers, .. } = task { answers.answers } else { unreachable!() };
        Vec::into_iter(told).flat_map(answers).map(|(ix, _, forecast)| (ix.0, forecast.is_some())).collect()
    }
}

fn names(batch: &Batch) -> Vec<&str> {
    batch.questions.iter().map(|q| q.symbol.as_str()).collect()
}

#[test]
fn questions_of_an_instant_go_together_when_the_last_is_there() {
    for pace in [Pace::Realtime, Pace::Lockstep] {
        let mut scene = Scene::up(pace);
        scene.ask(2, 60, false, 0);
        scene.ask(0, 60, false, 1);
        assert!(scene.sent().is_empty() && !scene.desk.is_waiting());
        scene.ask(1, 60, true, 1);
        let batch = scene.sent().pop().unwrap();
        assert_eq!(names(&batch), ["S000", "S001", "S002"], "in one order whoever was first");
        assert_eq!((batch.timeframe, batch.questions[1].features), (Timeframe::HOUR, 101));
        assert_eq!(batch.questions[1].window, [0.5]);
        assert!(scene.desk.is_waiting() && scene.told().is_empty());
        scene.answer(answer_to(&batch), 9).unwrap();
        assert_eq!(scene.told(), [(0, true), (1, true), (2, true)]);
        assert!(!scene.desk.is_waiting());
    }
}

#[test]
fn realtime_waits_for_the_others_no_longer_than_it_may() {
    let mut scene = Scene::up(Pace::Realtime);
    scene.ask(0, 60, false, 10);
    assert_eq!(scene.desk.wait(), Some(Duration::from_millis(2)));
    scene.ask(1, 60, false, 11);
    assert_eq!(scene.desk.wait(), None, "the first has said so");
    scene.tick(11);
    assert!(scene.sent().is_empty());
    scene.tick(12);
    assert_eq!(names(&scene.sent()[0]), ["S000", "S001"]);
    // Lockstep does not look at the time.
    let mut scene = Scene::up(Pace::Lockstep);
    scene.ask(0, 60, false, 10);
    scene.tick(500);
    assert!(scene.sent().is_empty() && scene.desk.wait().is_none());
    scene.tick(1_010);
    assert_eq!(scene.sent().len(), 1, "unless the last never comes");
}

#[test]
fn a_batch_holds_so_many_and_so_many_are_under_way() {
    let mut scene = Scene::up(Pace::Realtime);
    (0..64).for_each(|ix| scene.ask(ix, 60, false, 0));
    assert_eq!(scene.sent()[0].questions.len(), QUESTIONS_MAX, "a full batch waits for nobody");

    let mut scene = Scene::up(Pace::Lockstep);
    (0..150).rev().for_each(|ix| scene.ask(ix, 60, ix == 0, 0));
    let sizes: Vec<usize> = scene.sent().iter().map(|batch| batch.questions.len()).collect();
    assert_eq!(sizes, [64, 64, 22], "in lockstep the instant is cut, not the stream of questions");

    let mut scene = Scene::up(Pace::Realtime);
    (0..10).for_each(|n| scene.ask(n, 60, true, 0));
    let sent = scene.sent();
    assert_eq!(sent.len(), UNDER_WAY_MAX);
    scene.answer(answer_to(&sent[0]), 1).unwrap();
    assert_eq!(names(&scene.sent()[0]), ["S004"], "one is back, the next goes");
}

#[test]
fn realtime_answers_with_none_after_the_deadline_and_drops_what_is_late() {
    let mut scene = Scene::up(Pace::Realtime);
    (0..5).for_each(|ix| scene.ask(ix, 60, true, 0));
    let sent = scene.sent();
    scene.tick(249);
    assert!(scene.told().is_empty());
    scene.tick(250);
    let mut told = scene.told();
    told.sort_unstable();
    assert_eq!(told, (0..5).map(|ix| (ix, false)).collect::<Vec<_>>(), "the one that waits for its turn too");
    scene.tick(400);
    assert!(scene.told().is_empty(), "once");
    assert!(scene.desk.is_waiting(), "the server still owes it, so that it is seen to be stuck");
    scene.answer(answer_to(&sent[0]), 500).unwrap();
    assert_eq!((std::mem::take(&mut scene.tasks), scene.told()), (vec![Task::Late(1)], vec![]));
}

#[test]
fn while_the_server_is_away_realtime_is_answered_at_once_and_lockstep_waits() {
    let mut scene = Scene::new(Pace::Realtime);
    scene.ask(0, 60, true, 0);
    assert_eq!((scene.told(), scene.sent().len()), (vec![(0, false)], 0));

    let mut scene = Scene::new(Pace::Lockstep);
    scene.ask(0, 60, true, 0);
    scene.tick(3_600_000);
    assert!(scene.told().is_empty());
    scene.desk.up(version("v1"), at(3_700_000), &mut scene.tasks);
    let batch = scene.sent().pop().unwrap();
    scene.answer(answer_to(&batch), 3_700_001).unwrap();
    assert_eq!(scene.told(), [(0, true)]);
}

#[test]
fn lockstep_asks_again_just_as_it_asked_before() {
    let mut scene = Scene::up(Pace::Lockstep);
    (0..100).for_each(|ix| scene.ask(ix, 60, ix == 99, 0));
    let first = scene.sent();
    scene.down(1);
    scene.ask(7, 120, true, 2);
    assert!(scene.told().is_empty() && scene.sent().is_empty());
    scene.desk.up(version("v1"), at(3), &mut scene.tasks);
    let again = scene.sent();
    assert_eq!(again[..2], first, "the same batches, and before anything newer");
    assert_eq!(names(&again[2]), ["S007"]);
    // What was answered before a crash is not asked again.
    scene.answer(answer_to(&again[0]), 4).unwrap();
    assert_eq!(scene.told().len(), 64);
    scene.down(5);
    scene.desk.up(version("v1"), at(6), &mut scene.tasks);
    assert_eq!(scene.sent(), again[1..]);
    again[1..].iter().for_each(|batch| scene.answer(answer_to(batch), 7).unwrap());
    assert_eq!(scene.told().len(), 37);
}

#[test]
fn lockstep_gives_up_a_batch_that_brings_the_model_down_every_time() {
    let mut scene = Scene::up(Pace::Lockstep);
    scene.ask(3, 60, true, 0);
    for crash in 1..=LOST_MAX {
        assert_eq!(scene.sent().len(), 1);
        scene.down(i64::from(crash));
        let fatal = scene
            .tasks
            .iter()
            .any(|t| matches!(t, Task::Fatal(why) if why.contains("5 times") && why.contains("S003")));
        assert_eq!(fatal, crash == LOST_MAX);
        scene.desk.up(version("v1"), at(i64::from(crash)), &mut scene.tasks);
    }
    assert!(scene.told().is_empty());
}

#[test]
fn realtime_finds_the_symbol_that_brings_the_model_down_and_keeps_it_away() {
    let mut scene = Scene::up(Pace::Realtime);
    (0..4).for_each(|ix| scene.ask(ix, 60, ix == 3, 0));
    scene.sent();
    scene.down(1);
    assert_eq!(scene.told().len(), 4);
    assert!(scene.tasks.is_empty(), "one crash blames nobody: {:?}", scene.tasks);

    // Each suspect is asked for alone, one after the other.
    scene.desk.up(version("v1"), at(10), &mut scene.tasks);
    (0..5).for_each(|ix| scene.ask(ix, 120, ix == 4, 20));
    for name in ["S004", "S000", "S001"] {
        let sent = scene.sent();
        assert_eq!((sent.len(), names(&sent[0])), (1, vec![name]));
        scene.answer(answer_to(&sent[0]), 21).unwrap();
    }
    assert_eq!(names(&scene.sent()[0]), ["S002"]);
    scene.down(22);
    assert_eq!(std::mem::take(&mut scene.tasks).iter().filter(|task| matches!(task, Task::Kept(_))).count(), 1);

    scene.desk.up(version("v1"), at(30), &mut scene.tasks);
    scene.tasks.clear();
    (0..5).for_each(|ix| scene.ask(ix, 180, ix == 4, 40));
    while let Some(batch) = scene.sent().pop() {
        assert!(!names(&batch).contains(&"S002"), "{batch:?}");
        scene.answer(answer_to(&batch), 41).unwrap();
    }
    let mut told = scene.told();
    told.sort_unstable();
    assert_eq!(told, [(0, true), (1, true), (2, false), (3, true), (4, true)]);

    // Another version is another chance.
    scene.desk.up(version("v2"), at(50), &mut scene.tasks);
    scene.ask(2, 240, true, 60);
    assert_eq!(names(&scene.sent()[0]), ["S002"]);
}

#[test]
fn one_crash_with_several_bars_under_way_is_one_crash() {
    let mut scene = Scene::up(Pace::Realtime);
    for bar in [3_600, 7_200, 10_800] {
        scene.ask(0, bar, false, bar);
        scene.ask(1, bar, true, bar);
    }
    assert_eq!(scene.sent().len(), 3, "all are under way");
    scene.down(20_000);
    assert!(!scene.tasks.iter().any(|task| matches!(task, Task::Kept(_))), "{:?}", scene.tasks);
}

#[test]
fn a_refusal_and_a_forecast_that_cannot_be_meant_are_none() {
    let other = |change: fn(&mut Forecast)| {
        let mut forecast = forecast(102);
        change(&mut forecast);
        Ok(forecast)
    };
    let cases = [
        Err(Refusal::Hash),
        other(|f| f.prob_up = f64::NAN),
        other(|f| f.features = 7),
        other(|f| f.version = version("v0")),
    ];
    for pace in [Pace::Realtime, Pace::Lockstep] {
        for case in &cases {
            let mut scene = Scene::up(pace);
            scene.ask(1, 60, false, 0);
            scene.ask(2, 60, true, 0);
            let batch = scene.sent().pop().unwrap();
            let mut answer = answer_to(&batch);
            answer.forecasts[1] = case.clone();
            scene.answer(answer, 1).unwrap();
            assert_eq!(scene.told(), [(1, true), (2, false)], "{case:?}");
            assert!(matches!(scene.tasks[..], [Task::Refused(symbol, _)] if symbol.as_str() == "S002"));
        }
    }
}

#[test]
fn an_answer_that_belongs_to_nothing_is_a_breach() {
    let mut scene = Scene::up(Pace::Lockstep);
    scene.ask(1, 60, true, 0);
    let batch = scene.sent().pop().unwrap();
    let wrong = Answer { id: batch.id + 7, ..answer_to(&batch) };
    assert!(scene.answer(wrong, 1).unwrap_err().contains("was not asked"));
    let short = Answer { forecasts: vec![], ..answer_to(&batch) };
    assert!(scene.answer(short, 1).unwrap_err().contains("1 questions with 0 forecasts"));
    scene.answer(answer_to(&batch), 2).unwrap();
    assert!(scene.answer(answer_to(&batch), 2).is_err(), "twice");
}

#[test]
fn what_is_known_is_not_asked_again_and_is_told_as_it_was_then() {
    let known = |of: &[u16]| of.iter().map(|ix| (Ix(*ix), Ts::from_secs(60), forecast(u64::from(*ix) + 100))).collect();
    let run = |known: Known| {
        let mut scene = Scene { desk: desk_of(Pace::Lockstep, known), tasks: Vec::new() };
        scene.desk.up(version("v1"), at(0), &mut scene.tasks);
        (0..4).for_each(|ix| scene.ask(ix, 60, ix == 3, 0));
        let mut asked = 0;
        while let Some(batch) = scene.sent().pop() {
            asked += batch.questions.len();
            scene.answer(answer_to(&batch), 1).unwrap();
        }
        let Some(Task::Tell { answers, .. }) = scene.tasks.pop() else { panic!("{:?}", scene.tasks) };
        assert!(scene.tasks.is_empty(), "one answer");
        (asked, answers)
    };
    let (asked, first) = run(Known::default());
    assert_eq!(asked, 4);
    assert_eq!(run(known(&[0, 2])), (2, first.clone()));
    assert_eq!(run(known(&[0, 1, 2, 3])), (0, first.clone()));

    // Without a server, and of other features.
    let mut scene = Scene { desk: desk_of(Pace::Lockstep, known(&[0, 1])), tasks: Vec::new() };
    scene.ask(0, 60, true, 0);
    assert_eq!(scene.told(), [(0, true)]);
    let other = Question { features: 9, ..question(1, 60) };
    scene.desk.ask(other, true, at(1), &mut scene.tasks);
    assert!(scene.told().is_empty());
}

#[test]
fn a_symbol_that_comes_is_asked_about_by_its_name() {
    let mut scene = Scene::up(Pace::Realtime);
    let mut all = symbols(200);
    all.push("NEW".parse().unwrap());
    scene.desk.follow(all);
    scene.desk.ask(question(200, 3_600), true, at(0), &mut scene.tasks);
    let Some(Task::Send(batch)) = scene.tasks.pop() else { panic!("{:?}", scene.tasks) };
    assert_eq!(batch.questions.iter().map(|asked| asked.symbol.as_str()).collect::<Vec<_>>(), ["NEW"]);
}
