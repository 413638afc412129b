use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{Span, Ts};

const QUIET: Span = Span::from_secs(30);

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn crash(name: &str, attempt: u32) -> Alert {
    Alert::warning(Topic::EngineCrash, symbol(name), format!("engine {name} crashed; failure {attempt}"))
}

/// Takes alerts, each at its second, and what is told until the end.
fn told(coalescer: &mut Coalescer, alerts: Vec<(i64, Alert)>, end: i64) -> Vec<(i64, Told)> {
    let mut all = Vec::new();
    let mut out = Vec::new();
    for (at, alert) in alerts {
        run_to(coalescer, at, &mut all);
        coalescer.take(alert, Ts::from_secs(at), &mut out);
        all.extend(out.drain(..).map(|told| (at, told)));
    }
    run_to(coalescer, end, &mut all);
    all
}

/// As a host does: ticks when it is asked to.
fn run_to(coalescer: &mut Coalescer, end: i64, all: &mut Vec<(i64, Told)>) {
    while let Some(next) = coalescer.next_tick().filter(|next| *next <= Ts::from_secs(end)) {
        let mut out = Vec::new();
        coalescer.tick(next, &mut out);
        assert!(coalescer.next_tick().is_none_or(|later| later > next), "it asks for the same instant again");
        all.extend(out.into_iter().map(|told| (next.secs(), told)));
    }
}

fn texts(all: &[(i64, Told)]) -> Vec<(i64, u64, &str)> {
    all.iter().map(|(at, told)| (*at, told.count, told.alert.text.as_str())).collect()
}

#[test]
fn the_first_goes_at_once_and_the_rest_together() {
    let mut coalescer = Coalescer::new(QUIET);
    let alerts = (0..5).map(|n| (i64::from(n) * 2, crash("BTCUSDT", n + 1))).collect();
    let all = told(&mut coalescer, alerts, 200);
    let together = "4 alerts of BTCUSDT (engine crashed) in the last 28 s; first: engine BTCUSDT crashed; failure 2; \
                    last: engine BTCUSDT crashed; failure 5";
    assert_eq!(texts(&all), [(0, 1, "engine BTCUSDT crashed; failure 1"), (30, 4, together)]);
    assert_eq!((all[1].1.alert.symbol, coalescer.waiting()), (Some(symbol("BTCUSDT")), 0));
    assert_eq!(coalescer.next_tick(), None, "it has forgotten what is over");
}

#[test]
fn one_that_waited_is_told_in_its_own_words_and_a_later_one_goes_at_once() {
    let alerts = vec![(0, crash("BTCUSDT", 1)), (10, crash("BTCUSDT", 2)), (61, crash("BTCUSDT", 1))];
    let all = told(&mut Coalescer::new(QUIET), alerts, 200);
    let at: Vec<_> = all.iter().map(|(at, told)| (*at, told.count)).collect();
    assert_eq!(at, [(0, 1), (30, 1), (61, 1)]);
    assert_eq!(all[1].1.alert, crash("BTCUSDT", 2));
}

#[test]
fn a_storm_over_many_symbols_is_one_message() {
    let mut alerts = Vec::new();
    for round in 0..3 {
        for n in 0..9 {
            alerts.push((round, crash(&format!("S{n}"), u32::try_from(round).unwrap() + 1)));
        }
    }
    let all = told(&mut Coalescer::new(QUIET), alerts, 200);
    assert_eq!(all.iter().map(|(at, told)| (*at, told.count)).collect::<Vec<_>>(), [(0, 1), (0, 1), (0, 1), (30, 24)]);
    let storm = &all[3].1.alert;
    assert_eq!((storm.symbol, storm.severity, storm.topic), (None, Severity::Warning, Topic::EngineCrash));
    let wanted = "engines of 9 symbols crashed 24 times in the last 30 s: S3 3, S4 3, S5 3, S6 3, S7 3, S8 3, S0 2, S1 2, \
                  S2 2; first: engine S3 crashed; failure 1; last: engine S8 crashed; failure 3";
    assert_eq!(storm.text, wanted);
}

#[test]
fn topics_do_not_wait_for_each_other() {
    let venue = Alert::warning(Topic::Venue, symbol("BTCUSDT"), "refused");
    let all = told(&mut Coalescer::new(QUIET), vec![(0, crash("BTCUSDT", 1)), (1, venue)], 200);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].0, 1);
}

#[test]
fn what_is_more_urgent_is_not_held_back() {
    let of = |severity, text: &str| Alert::new(severity, Topic::Account, None, text);
    let alerts = vec![
        (0, of(Severity::Info, "a")),
        (1, of(Severity::Warning, "b")),
        (2, of(Severity::Warning, "c")),
        (3, of(Severity::Critical, "d")),
        (4, of(Severity::Critical, "e")),
        (5, of(Severity::Info, "f")),
    ];
    let all = told(&mut Coalescer::new(QUIET), alerts, 200);
    let at: Vec<_> = all.iter().map(|(at, told)| (*at, told.count, told.alert.severity)).collect();
    let (info, warning, critical) = (Severity::Info, Severity::Warning, Severity::Critical);
    assert_eq!(at, [(0, 1, info), (1, 1, warning), (3, 1, critical), (4, 1, critical), (30, 2, warning)]);
}

#[test]
fn more_symbols_than_are_kept_are_counted_together() {
    let mut coalescer = Coalescer::new(QUIET);
    let alerts = (0..2_000).map(|n| (0, crash(&format!("S{n}"), 1))).collect();
    let all = told(&mut coalescer, alerts, 100);
    let storm = &all.last().unwrap().1;
    assert_eq!((all.len(), storm.count), (4, 1_997));
    assert!(
        storm.alert.text.starts_with("engines of more than 509 symbols crashed 1997 times"),
        "{}",
        storm.alert.text
    );
    assert!(storm.alert.text.contains(", others 1985;"), "{}", storm.alert.text);
}

#[test]
fn long_text_is_cut_and_no_quiet_time_gathers_nothing() {
    let alert = Alert::info(Topic::Store, None, "ğ".repeat(5_000));
    let all = told(&mut Coalescer::new(Span::ZERO), vec![(0, alert.clone()), (0, alert)], 1);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(_, told)| told.alert.text.len() == 2_000));
}

fn any_alert() -> impl Strategy<Value = Alert> {
    let topic = prop::sample::select(&Topic::ALL[..4]);
    let severity = prop::sample::select(&Severity::ALL[..]);
    (severity, topic, 0_u32..8).prop_map(|(severity, topic, n)| {
        let symbol = (n > 0).then(|| format!("S{n}").parse().unwrap());
        Alert::new(severity, topic, symbol, format!("{topic:?} {n}"))
    })
}

proptest! {
    /// Nothing is lost, nothing waits for longer than the quiet time, nothing urgent waits, and what is told is bounded.
    #[test]
    fn the_counts_told_add_up_to_the_alerts_taken(
        alerts in prop::collection::vec((0_i64..20, any_alert()), 0..200),
        flushed in any::<bool>(),
    ) {
        let mut coalescer = Coalescer::new(QUIET);
        let (mut now, mut taken, mut all) = (0, BTreeMap::<_, u64>::new(), Vec::new());
        for (pause, alert) in alerts {
            now += pause;
            run_to(&mut coalescer, now, &mut all);
            *taken.entry(alert.topic).or_default() += 1;
            let (before, mut out) = (coalescer.waiting(), Vec::new());
            coalescer.take(alert.clone(), Ts::from_secs(now), &mut out);
            if alert.severity == Severity::Critical {
                prop_assert_eq!((out.len(), &out[0].alert), (1, &alert));
                prop_assert_eq!(coalescer.waiting(), before);
            }
            prop_assert_eq!(out.iter().map(|told| told.count).sum::<u64>() + coalescer.waiting(), before + 1);
            all.extend(out.into_iter().map(|told| (now, told)));
        }
        if flushed {
            let mut out = Vec::new();
            coalescer.flush(Ts::from_secs(now), &mut out);
            all.extend(out.into_iter().map(|told| (now, told)));
        } else {
            run_to(&mut coalescer, now + 30, &mut all);
        }
        prop_assert_eq!(coalescer.waiting(), 0, "an alert waited for longer than the quiet time");
        let mut told = BTreeMap::<_, u64>::new();
        for (_, Told { alert, count }) in &all {
            prop_assert!(*count > 0);
            *told.entry(alert.topic).or_default() += count;
        }
        prop_assert_eq!(told, taken);
        // A minute holds no more than the first ones, two digests and the urgent ones of each topic.
        for (at, _) in &all {
            let calm = |(t, told): &&(i64, Told)| (*at..at + 60).contains(t) && told.alert.severity == Severity::Info;
            prop_assert!(all.iter().filter(calm).count() <= 4 * (3 * 8), "too many messages from {at}");
        }
    }
}
