//! The sequencer as a whole: the same records whatever the threads do, and nothing lost where something breaks.

mod audits;
mod effects;
mod growth;
mod measures;
mod model;
mod outages;
mod rig;

use proptest::prelude::*;

use super::lane::WARM_UP_BARS;
use super::{EngineInput, Input, Pace};
use crate::account::{Account, State};
use crate::domain::hash::unit_draw;
use crate::domain::*;
use crate::record::Record;
use rig::{HISTORY, LIVE, Rig, calm, calm_with, started};

/// Which of `count` is next, by a seed and a running number.
fn draw(seed: u64, n: &mut u64, count: usize) -> usize {
    *n += 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index under a small count")]
    let at = (unit_draw(seed, *n) * count as f64) as usize;
    at.min(count - 1)
}

/// Whose words they are.
fn of(input: &Input) -> Ix {
    match input {
        Input::Answer { instrument, .. } => *instrument,
        Input::Asked { question, .. } => question.instrument,
        other => panic!("{other:?}"),
    }
}

/// A run in which answers come in any order, and engines come late, crash at any place and come back.
fn stormy(seed: u64, asks_model: bool) -> Rig {
    let mut rig = Rig::with(Pace::Lockstep, asks_model);
    let mut n = 0;
    let mut away: Vec<usize> = (0..rig.seats.len()).collect();
    while draw(seed, &mut n, 2) == 0 && !away.is_empty() {
        let at = draw(seed, &mut n, away.len());
        rig.attach(away.remove(at));
    }
    rig.begin();
    while !rig.finished {
        let quiet = rig.answers.is_empty() && rig.venue_answers.is_empty() && rig.questions.is_empty();
        let stuck = quiet && !rig.wanted;
        match draw(seed, &mut n, 13) {
            0 if away.len() < rig.seats.len() => {
                let present: Vec<usize> = (0..rig.seats.len()).filter(|at| !away.contains(at)).collect();
                let at = present[draw(seed, &mut n, present.len())];
                // Half of the time its last words are still on their way, and come when another generation is there.
                if draw(seed, &mut n, 2) == 0 {
                    rig.answers.retain(|a| of(a).at() != at);
                }
                rig.detach(at, true);
                away.push(at);
            }
            1 | 2 if !away.is_empty() => rig.attach(away.remove(0)),
            3..=6 if !rig.answers.is_empty() => {
                let at = draw(seed, &mut n, rig.answers.len());
                // What one engine says stays in its order.
                let whose = of(&rig.answers[at]);
                let first = rig.answers.iter().position(|a| of(a) == whose).unwrap();
                rig.answer(first);
            }
            7..=9 if !rig.venue_answers.is_empty() => rig.venue_answer(),
            10 if rig.wanted => rig.give(),
            11 if !rig.questions.is_empty() => {
                let at = draw(seed, &mut n, rig.questions.len());
                rig.model_answer(at);
            }
            _ if stuck => {
                assert!(!away.is_empty(), "nobody is away, and yet it does not go on");
                rig.attach(away.remove(0));
            }
            _ => {}
        }
    }
    rig
}

fn assert_same(calm: &Rig, rig: &Rig, seed: u64) {
    for (at, (ours, theirs)) in calm.records.iter().zip(&rig.records).enumerate() {
        assert_eq!(ours, theirs, "record {at}, seed {seed}");
    }
    assert_eq!(calm.records.len(), rig.records.len(), "seed {seed}");
}

#[test]
fn the_calm_run_trades() {
    let rig = calm();
    assert!(rig.count(|r| matches!(r, Record::Fill { .. })) > 40);
    assert!(rig.count(|r| matches!(r, Record::Intent { order, .. } if order.leg == Leg::Exit)) > 15);
    assert_eq!(rig.count(|r| matches!(r, Record::Mark { .. })), LIVE);
    assert_eq!(rig.decided.len(), 3 * LIVE);
    assert!(rig.count(|r| r.bracket_rule().is_some()) > 5, "brackets act");
}

#[test]
fn lockstep_gives_the_same_records_whatever_the_threads_do() {
    let calm = calm();
    for seed in 1..25 {
        assert_same(&calm, &stormy(seed, false), seed);
    }
}

#[test]
fn lockstep_gives_the_same_records_whatever_engines_and_model_do() {
    let calm = calm_with(true);
    for seed in 1..25 {
        assert_same(&calm, &stormy(seed, true), seed);
    }
}

#[test]
fn an_order_is_on_record_before_it_is_sent() {
    for rig in [calm(), stormy(3, false), stormy(3, true)] {
        assert!(rig.submits.len() > 40);
        for (records, id) in &rig.submits {
            let known = |(_, r): &(Ts, Record)| matches!(r, Record::Intent { order, .. } if order.id == *id);
            assert!(rig.records[..*records].iter().any(known), "{id}");
        }
    }
}

#[test]
fn control_in_the_middle_of_an_instant_waits_for_its_end() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    rig.run_to(3);
    rig.give();
    let reason = Reason { by: "test".into(), text: "now".into() };
    rig.control(Event::Halt { level: HaltLevel::EntryHalt, reason });
    assert!(rig.halts.is_empty());
    let marks = |rig: &Rig| rig.count(|r| matches!(r, Record::Mark { .. }));
    while rig.halts.is_empty() {
        assert!(rig.settle_one());
    }
    assert_eq!(marks(&rig), 4, "the instant was marked before the halt");
    assert!(rig.answers.is_empty(), "all answers were taken before the halt");
    let free = Event::Freeze { instrument: Ix(0), cause: FreezeCause::Person, reason: Some("between".into()) };
    let before = rig.records.len();
    rig.control(free);
    assert_eq!(rig.records.len(), before + 1, "between instants nothing waits");
}

#[test]
fn a_cold_start_primes_a_whole_warm_up_before_the_first_bar_that_is_owed() {
    let primed = |rig: &Rig| -> Vec<Ts> {
        let bars = rig.seats[0].told.iter().find_map(|i| if let EngineInput::Prime(b) = i { Some(b) } else { None });
        bars.unwrap().iter().map(|(bar, _)| bar.close_ts(Timeframe::HOUR)).collect()
    };
    let mut early = Rig::new(Pace::Lockstep);
    early.attach_all();
    early.begin();
    let mut late = Rig::new(Pace::Lockstep);
    late.begin();
    late.give();
    late.settle();
    assert!(!late.wanted, "everybody waits for the engines");
    late.attach_all();
    let last = rig::frames(HISTORY).last().unwrap().ts;
    for rig in [&early, &late] {
        let primed = primed(rig);
        assert_eq!((primed.len(), *primed.last().unwrap()), (WARM_UP_BARS, last));
    }
    assert_eq!(primed(&early), primed(&late));

    // Forgotten: the next generation begins cold, on as many bars.
    early.run_to(10);
    early.detach(0, true);
    early.tell(Input::Forget { instrument: Ix(0) });
    early.seats[0].told.clear();
    early.attach(0);
    assert!(!early.seats[0].told.iter().any(|i| matches!(i, EngineInput::Restore(_))));
    assert_eq!(primed(&early).len(), WARM_UP_BARS);
    early.run();
    let calm = calm();
    assert_eq!(early.decided.len(), calm.decided.len());
}

#[test]
fn every_cut_of_a_record_is_an_account() {
    let rig = calm();
    let mut state = State::open(rig.records[0].0, &rig.records[0].1).unwrap();
    for (n, (ts, record)) in rig.records.iter().enumerate().skip(1) {
        state.apply(*ts, record).unwrap_or_else(|e| panic!("record {n}: {e}"));
        if n % 7 != 0 {
            continue;
        }
        let mut out = Actions::new();
        let account = Account::restart(state.clone(), *ts, started(), &mut out).unwrap();
        for (ours, theirs) in state.books().iter().zip(account.state().books()) {
            assert_eq!((ours.net(), ours.cost(), ours.live()), (theirs.net(), theirs.cost(), theirs.live()));
        }
        assert_eq!(state.cash(), account.state().cash());
    }
    assert_eq!(&state, rig.sequencer.account().state());
}

#[test]
fn an_engine_of_a_restarted_account_is_told_the_position_that_is_there() {
    let rig = calm();
    let mut state = State::open(rig.records[0].0, &rig.records[0].1).unwrap();
    let mut tried = 0;
    for (ts, record) in &rig.records[1..] {
        state.apply(*ts, record).unwrap();
        let Some(at) = state.books().iter().position(|b| b.direction().is_some()) else { continue };
        let direction = state.books()[at].direction();
        let mut out = Actions::new();
        let account = Account::restart(state.clone(), *ts, started(), &mut out).unwrap();
        let mut sequencer = super::Sequencer::new(Pace::Lockstep, account, *ts);
        let (mut out, instrument) = (Actions::new(), Ix::from_usize(at).unwrap());
        sequencer.begin(&mut out);
        sequencer.step(Input::Attach { instrument, generation: 1 }, &mut out);
        let told = out.drain().find_map(|o| match o {
            super::Output::Engine(ix, EngineInput::Position(view)) if ix == instrument => Some(view),
            _ => None,
        });
        assert_eq!(told.unwrap().direction, direction);
        tried += 1;
        if tried == 20 {
            return;
        }
    }
    panic!("no position in the whole run");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_storm_ends_with_the_same_account(seed in 100_u64..) {
        assert_same(&calm(), &stormy(seed, false), seed);
    }
}
