use super::*;
use crate::chaos::watch::Quarantine;

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn outcome() -> Outcome {
    Outcome {
        symbol: symbol(),
        blow: "spin",
        hangs: true,
        in_burst: false,
        was_healthy: false,
        at: 1.0,
        seen: Some(3.0),
        ready: Some(3.5),
        failures: 1,
        generations: 1,
        cause: None,
        cut_short: false,
    }
}

/// A storm in which everything holds.
fn good() -> Evidence {
    let quarantine =
        Quarantine { symbol: symbol(), planned: true, failures: 5, frozen: true, others_live: true, restarted: true };
    let usage = Usage { memory_mb: 50.0, descriptors: 100, threads: 20, cpu_seconds: 1.0 };
    Evidence {
        seen: Seen {
            outcomes: vec![outcome(), Outcome { blow: "kill", ..outcome() }],
            quarantines: vec![quarantine],
            looks: 10,
            ..Seen::default()
        },
        due: 10,
        struck: 8,
        wanted: Wanted { bursts: 1, model_kills: 1, daemon_kills: 1 },
        bursts: 1,
        told: Some(Told { crashes: [(symbol(), 2)].into(), quarantines: [(symbol(), 1)].into() }),
        record: Some(RecordFacts {
            audit: Some(Ok("clean".into())),
            replay: Some(Ok("0 differ".into())),
            bars: Some(Bars { judged: 40, excused: 60, ..Bars::default() }),
            ..RecordFacts::default()
        }),
        lives: vec![Life { first: usage, last: usage, seconds: 60.0 }],
        daemon_kills: vec![Some(2.0)],
        model_kills: vec![Some(1.0)],
        ..Evidence::default()
    }
}

/// The checks that do not hold after `spoil`.
fn broken(spoil: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
    let mut evidence = good();
    spoil(&mut evidence);
    checks(&evidence).into_iter().filter(|c| c.verdict == Verdict::Broken).map(|c| c.name).collect()
}

#[test]
fn a_good_storm_holds_everywhere() {
    let all = checks(&good());
    assert!(all.iter().all(|c| c.verdict == Verdict::Held), "{all:?}");
    assert_eq!(all.len(), 20);
}

#[test]
fn each_check_fails_on_what_it_is_there_for() {
    let words = || vec!["x".to_owned()];
    let one = |o: Outcome| move |e: &mut Evidence| e.seen.outcomes[0] = o;
    let failure = "every fault is one failure";
    for failures in [0, 2] {
        let mut seen = broken(one(Outcome { failures, ..outcome() }));
        // Of two failures one was not told.
        seen.retain(|name| *name != "every crash is told");
        assert_eq!(seen, [failure]);
    }
    let back = "every engine that is hit comes back";
    assert_eq!(broken(one(Outcome { ready: None, ..outcome() })), [back]);
    let generation = "every recovery is one generation more";
    assert_eq!(broken(one(Outcome { generations: 2, ..outcome() })), [generation]);
    assert_eq!(broken(|e| e.seen.unasked = words()), ["no engine fails unasked"]);
    assert_eq!(broken(|e| e.seen.bad_totals = words()), ["running, stopped and crashed add up"]);
    assert_eq!(broken(|e| e.struck = 7), ["the storm took place"]);
    assert_eq!(broken(|e| (e.due, e.struck) = (0, 0)), ["the storm took place"]);
    assert_eq!(broken(|e| e.silent = words()), ["the daemon answers at all times"]);
    assert_eq!(broken(|e| e.zombies = words()), ["the dead are taken leave of"]);
    assert_eq!(broken(|e| e.unprotected = words()), ["every open position keeps its stop"]);
    let killed = "a killed daemon comes back as it was";
    assert_eq!(broken(|e| e.orphans = words()), [killed]);
    assert_eq!(broken(|e| e.moved = words()), [killed]);
    assert_eq!(broken(|e| e.daemon_kills = vec![None]), [killed]);
    assert_eq!(broken(|e| e.model_kills = vec![None]), ["a killed model answers again"]);
    assert_eq!(
        broken(|e| e.told = Some(Told { crashes: BTreeMap::new(), ..e.told.clone().unwrap() })),
        ["every crash is told"]
    );
}

#[test]
fn quarantines_are_judged_by_what_was_meant() {
    let burst = "a burst is one quarantine, and others live";
    for spoil in [
        |q: &mut Quarantine| q.frozen = false,
        |q: &mut Quarantine| q.others_live = false,
        |q: &mut Quarantine| q.restarted = false,
    ] {
        assert_eq!(broken(|e| spoil(&mut e.seen.quarantines[0])), [burst]);
    }
    assert_eq!(broken(|e| e.seen.quarantines.clear()), [burst]);
    assert_eq!(broken(|e| e.told.as_mut().unwrap().quarantines = [(symbol(), 2)].into()), [burst]);
    assert_eq!(broken(|e| e.told.as_mut().unwrap().quarantines.clear()), [burst]);
    assert_eq!(broken(|e| e.seen.quarantines[0].planned = false), ["no quarantine but by a burst", burst]);
}

#[test]
fn the_record_is_judged_by_each_of_its_facts() {
    let spoiled = |spoil: fn(&mut RecordFacts)| broken(|e| spoil(e.record.as_mut().unwrap()));
    assert_eq!(spoiled(|r| r.doubled = vec!["lb-a".into()]), ["no order and no fill is there twice"]);
    assert_eq!(spoiled(|r| r.audit = Some(Err("FAULT".into()))), ["the record is whole"]);
    assert_eq!(spoiled(|r| r.replay = Some(Err("1".into()))), ["the record runs again to the same decisions"]);
    let answered = "engines that are not hit answer every bar";
    assert_eq!(spoiled(|r| r.bars.as_mut().unwrap().lost = vec!["x".into()]), [answered]);
    assert_eq!(spoiled(|r| r.bars.as_mut().unwrap().judged = 29), [answered], "under a third");
    assert_eq!(spoiled(|r| r.bars.as_mut().unwrap().judged = 0), [answered]);
    assert_eq!(spoiled(|r| r.bars = Some(Bars::default())), [answered], "no bar is no proof");
    assert!(spoiled(|r| r.bars.as_mut().unwrap().judged = 30).is_empty());
    let said = checks(&good()).into_iter().find(|c| c.name == answered).unwrap();
    assert_eq!(said.evidence, "40 bars judged, 60 excused");
}

#[test]
fn what_was_planned_and_did_not_happen_is_broken() {
    let [burst, daemon, model] = [
        "a burst is one quarantine, and others live",
        "a killed daemon comes back as it was",
        "a killed model answers again",
    ];
    let no_burst = |e: &mut Evidence| {
        e.bursts = 0;
        e.seen.quarantines.clear();
        e.told.as_mut().unwrap().quarantines.clear();
    };
    assert_eq!(broken(no_burst), [burst]);
    assert_eq!(broken(|e| e.daemon_kills.clear()), [daemon]);
    assert_eq!(broken(|e| e.model_kills.clear()), [model]);
    assert_eq!(broken(|e| e.wanted.daemon_kills = 2), [daemon], "one of two");
    assert_eq!(broken(|e| e.wanted.model_kills = 0), [model], "one that nobody planned");
    let nothing = |e: &mut Evidence| {
        no_burst(e);
        e.daemon_kills.clear();
        e.model_kills.clear();
        e.wanted = Wanted::default();
    };
    assert!(broken(nothing).is_empty(), "what was not planned need not happen");
}

#[test]
fn what_grows_is_named() {
    let level = "what the daemon holds stays level";
    let grown = |spoil: fn(&mut Usage)| broken(|e| spoil(&mut e.lives[0].last));
    assert_eq!(grown(|u| u.descriptors += 17), [level]);
    assert_eq!(grown(|u| u.threads += 17), [level]);
    assert_eq!(grown(|u| u.memory_mb += 49.0), [level]);
    assert_eq!(grown(|u| u.cpu_seconds += 59.0), ["the daemon's own work stays small"]);
    assert!(grown(|u| (u.descriptors, u.threads) = (u.descriptors + 16, u.threads - 5)).is_empty());
}

#[test]
fn what_was_not_looked_at_is_neither_held_nor_broken() {
    let all = checks(&Evidence::default());
    let unseen: Vec<_> = all.iter().filter(|c| c.verdict == Verdict::Unseen).map(|c| c.name).collect();
    assert_eq!(unseen.len(), 9, "{unseen:?}");
    let others = all.iter().filter(|c| c.name != "the storm took place");
    assert!(others.clone().all(|c| c.verdict != Verdict::Broken && !c.evidence.contains('\n')));
    let cut = broken(|e| e.seen.outcomes[0] = Outcome { cut_short: true, failures: 0, ready: None, ..outcome() });
    assert!(cut.is_empty(), "what the daemon's end cut short is not judged: {cut:?}");
}

#[test]
fn many_complaints_are_counted() {
    let evidence = Evidence { silent: (1..=5).map(|n| n.to_string()).collect(), ..good() };
    let check = checks(&evidence).into_iter().find(|c| c.verdict == Verdict::Broken).unwrap();
    assert_eq!(check.evidence, "1; 2; 3; and 2 more");
}
