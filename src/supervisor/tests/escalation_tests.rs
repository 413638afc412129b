use super::*;

#[actix_rt::test]
async fn three_engines_in_quarantine_halt_the_account_and_one_more_halts_it_again() {
    let scene = Scene::new(Faults::default()).await;
    let halts = |scene: &Scene| {
        let heard = scene.heard.lock().unwrap();
        heard.words.iter().filter(|word| word.starts_with("halt")).cloned().collect::<Vec<_>>()
    };
    let in_quarantine = |s: &Scene| (0..3).filter(|at| s.status(*at) == "quarantined").count();
    scene.faults.all_unmakeable.store(true, Ordering::Release);
    for symbol in &SYMBOLS[1..] {
        let command = EngineCommand { wish: Wish::Restart, scope: Scope::One(symbol.parse().unwrap()) };
        scene.supervisor.send(command).await.unwrap().unwrap();
    }
    scene.until("two are in quarantine", |s| in_quarantine(s) == 2).await;
    assert_eq!(halts(&scene), [""; 0]);
    scene.wish(Wish::Restart).await.unwrap();
    scene.until("all are", |s| in_quarantine(s) == 3 && !halts(s).is_empty()).await;
    let text = "halt by supervisor: 3 engines are in quarantine at once: AAA, BBB, CCC";
    assert_eq!(halts(&scene), [text]);

    // A halt of entries and its end start nothing and leave the quarantines; one that comes again is one more.
    scene.halt(HaltLevel::EntryHalt).await;
    scene.halt(HaltLevel::None).await;
    assert_eq!((in_quarantine(&scene), halts(&scene).len()), (3, 1));
    scene.wish(Wish::Stop).await.unwrap();
    scene.until("two again", |s| in_quarantine(s) == 2).await;
    scene.wish(Wish::Start).await.unwrap();
    scene.until("all again", |s| in_quarantine(s) == 3 && halts(s).len() == 2).await;
    // Before the house goes on without the last of them, it knows of the halt.
    let heard = scene.heard.lock().unwrap();
    let at = |word: &str| heard.words.iter().rposition(|w| w.starts_with(word));
    assert!(at("halt by") < at("detach for good 0"), "{:?}", heard.words);
}
