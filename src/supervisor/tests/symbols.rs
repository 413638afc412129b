//! Symbols that come and go, under what a person has said and under a halt.

use super::*;
use crate::supervisor::symbols::SymbolChange;

fn first() -> Symbol {
    SYMBOLS[0].parse().unwrap()
}

async fn change(scene: &Scene, change: SymbolChange) -> Result<(), String> {
    scene.supervisor.send(change).await.unwrap()
}

async fn remove(scene: &Scene) {
    change(scene, SymbolChange::Removed(first())).await.unwrap();
    scene.until("stopped", |s| s.status(0) == "stopped").await;
}

async fn bring_back(scene: &Scene) {
    change(scene, SymbolChange::Returned(Ix(0), first())).await.unwrap();
}

#[actix_rt::test]
async fn one_that_comes_is_started_behind_the_others() {
    let scene = Scene::new(Faults::default()).await;
    let added = SymbolChange::Added(Ix(3), "0FIRST".parse().unwrap());
    change(&scene, added).await.unwrap();
    scene.until("it runs", |s| s.status(3) == "running").await;
    assert_eq!(scene.heard.lock().unwrap().links[&Ix(3)].0, 1);
    scene.bar_of_the_others().await;
    scene.until("it answers", |s| s.answers(3) == [(1, 1)]).await;
    for again in [added, SymbolChange::Returned(Ix(3), "0FIRST".parse().unwrap())] {
        assert_eq!(change(&scene, again).await, Ok(()), "it is there");
    }
    let other = change(&scene, SymbolChange::Added(Ix(3), "OTHER".parse().unwrap())).await;
    assert!(other.unwrap_err().contains("the engine of 0FIRST is at the place of OTHER"));
    let links = |at| scene.heard.lock().unwrap().links[&Ix(at)].0;
    assert_eq!((links(1), links(3)), (1, 1), "nobody was touched");
    // One whose coming was not carried to an end.
    change(&scene, SymbolChange::Returned(Ix(4), "LATE".parse().unwrap())).await.unwrap();
    scene.until("it runs", |s| s.status(4) == "running").await;
}

#[actix_rt::test]
async fn one_that_goes_is_stopped_and_comes_back_cold() {
    let scene = Scene::new(Faults::default()).await;
    scene.bar_of_the_others().await;
    scene.told();
    remove(&scene).await;
    scene.until("told", |s| !s.heard.lock().unwrap().words.is_empty()).await;
    assert_eq!(scene.told(), ["detach for good 0"]);
    for wish in [Wish::Start, Wish::Restart, Wish::Pause, Wish::Renew] {
        let refused = scene.wish(wish).await.unwrap_err();
        assert!(refused.contains("not configured any more") && refused.contains("market.symbols"), "{refused}");
    }
    let all = EngineCommand { wish: Wish::Restart, scope: Scope::All };
    assert_eq!(scene.supervisor.send(all).await.unwrap(), Ok("restarted 2 engine(s)".to_owned()));
    let row = scene.board.engines().engines[0].clone();
    assert_eq!((row.status.as_str(), row.last_error.as_deref()), ("stopped", Some("not configured any more")));
    scene.told();
    bring_back(&scene).await;
    scene.generation(2).await;
    assert_eq!(scene.told(), ["forget 0", "detach 0", "link 0 2"]);
}

#[actix_rt::test]
async fn one_that_was_gone_before_the_start_is_down_until_it_comes_back() {
    let scene = Scene::over(SETUP, Faults::default(), [first()].into()).await;
    scene.until("ready", |s| s.board.pulse().ready).await;
    scene.until("told", |s| s.heard.lock().unwrap().words.contains(&"detach for good 0".to_owned())).await;
    let row = scene.board.engines().engines[0].clone();
    assert_eq!((row.status.as_str(), row.last_error.as_deref()), ("stopped", Some("not configured any more")));
    assert!(scene.wish(Wish::Start).await.unwrap_err().contains("market.symbols"));
    // Nor does a resume start it.
    scene.halt(HaltLevel::ReduceOnly).await;
    scene.until("stopped", |s| (0..3).all(|at| s.status(at) == "stopped")).await;
    scene.halt(HaltLevel::None).await;
    scene.until("the others run", |s| (1..3).all(|at| s.status(at) == "running")).await;
    assert_eq!((scene.status(0).as_str(), row.generation), ("stopped", 0));
    bring_back(&scene).await;
    scene.generation(1).await;
    scene.until("it runs", |s| s.status(0) == "running").await;
}

#[actix_rt::test]
async fn what_a_person_has_said_stands_when_it_comes_back() {
    for (wish, status) in [(Wish::Pause, "paused"), (Wish::Stop, "stopped")] {
        let scene = Scene::new(Faults::default()).await;
        scene.wish(wish).await.unwrap();
        scene.until("it is so", |s| s.status(0) == status).await;
        remove(&scene).await;
        bring_back(&scene).await;
        scene.until(status, |s| s.status(0) == status).await;
        scene.bar_of_the_others().await;
        assert_eq!(scene.status(0), status);
        assert!(!scene.told().contains(&"free 0".to_owned()), "its entries are frozen all the while");
    }
}

#[actix_rt::test]
async fn a_resume_starts_what_is_configured_by_then() {
    let scene = Scene::new(Faults::default()).await;
    scene.halt(HaltLevel::ReduceOnly).await;
    scene.until("stopped", |s| (0..3).all(|at| s.status(at) == "stopped")).await;
    remove(&scene).await;
    change(&scene, SymbolChange::Added(Ix(3), "DDD".parse().unwrap())).await.unwrap();
    scene.until("shown", |s| s.status(3) == "stopped").await;
    scene.halt(HaltLevel::None).await;
    scene.until("the others run", |s| (1..4).all(|at| s.status(at) == "running")).await;
    assert_eq!(scene.status(0), "stopped");
    scene.halt(HaltLevel::ReduceOnly).await;
    bring_back(&scene).await;
    scene.halt(HaltLevel::None).await;
    scene.until("all run", |s| (0..4).all(|at| s.status(at) == "running")).await;
}
