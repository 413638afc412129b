//! Engines that go and come back, halts, and realtime.

use super::rig::{LIVE, Rig, calm};
use crate::domain::*;
use crate::driver::{EngineInput, Input, Pace};
use crate::engine::EngineStep;
use crate::record::Record;

fn reason() -> Reason {
    Reason { by: "test".into(), text: "on purpose".into() }
}

fn bars_told(rig: &Rig, at: usize) -> usize {
    rig.seats[at].told.iter().filter(|i| matches!(i, EngineInput::Bar(..))).count()
}

fn frozen(rig: &Rig) -> Vec<bool> {
    let books = rig.sequencer.account().state().books().iter();
    books.map(|b| b.frozen().contains_key(&FreezeCause::Engine)).collect()
}

#[test]
fn an_engine_that_crashes_with_a_bar_outstanding_is_asked_again() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    for frame in 0..LIVE {
        while rig.given <= frame {
            rig.settle();
            rig.give();
        }
        // All three are asked. One dies with its words on the way, and another one after it was heard.
        while !rig.venue_answers.is_empty() {
            rig.venue_answer();
        }
        assert_eq!(rig.answers.len(), 3, "frame {frame}");
        let stale = rig.answers.remove(0);
        rig.answer(0);
        rig.detach(0, true);
        rig.detach(1, true);
        rig.tell(stale);
        rig.attach(0);
        rig.attach(1);
        assert!(rig.answers.iter().any(|a| matches!(a, Input::Answer { instrument: Ix(0), .. })), "asked again");
    }
    rig.run();
    super::assert_same(&calm(), &rig, 0);
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    for frame in 0..LIVE {
        while rig.given <= frame {
            rig.settle();
            rig.give();
        }
        let (generation, bar) = (rig.seats[0].generation, Ts::MAX);
        let snapshot = rig.seats[0].core.as_ref().map(EngineStep::snapshot);
        rig.tell(Input::Answer { instrument: Ix(0), generation, bar, decision: None, snapshot });
        if frame % 5 == 0 {
            rig.detach(0, true);
            rig.attach(0);
        }
    }
    rig.run();
    super::assert_same(&calm(), &rig, 0);
}

#[test]
fn nobody_waits_for_an_engine_that_does_not_come_back() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    rig.run_to(5);
    rig.give();
    rig.detach(2, false);
    rig.answers.retain(|a| !matches!(a, Input::Answer { instrument: Ix(2), .. }));
    rig.run();
    assert!(rig.finished);
    rig.attach(2);
    assert_eq!(rig.seats[2].core.as_ref().map(|_| ()), None, "not wanted: it is told nothing");
}

#[test]
fn a_halt_stops_engines_and_not_brackets_and_after_the_resume_they_have_missed_nothing() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    let mut held = 0;
    while held == 0 || rig.given < 20 {
        rig.run_to(rig.given + 1);
        held = rig.sequencer.account().state().books().iter().filter(|b| !b.is_flat()).count();
    }
    let halted_at = rig.given;
    rig.control(Event::Halt { level: HaltLevel::ReduceOnly, reason: reason() });
    let told: Vec<usize> = rig.seats.iter().map(|s| s.told.len()).collect();
    let (records, asked) = (rig.records.len(), (0..3).map(|at| bars_told(&rig, at)).collect::<Vec<_>>());
    rig.run_to(halted_at + 30);
    assert_eq!(told, rig.seats.iter().map(|s| s.told.len()).collect::<Vec<_>>(), "engines are told nothing");
    assert_eq!(asked, (0..3).map(|at| bars_told(&rig, at)).collect::<Vec<_>>());
    let during = &rig.records[records..];
    assert!(!during.iter().any(|(_, r)| matches!(r, Record::Decision { .. })));
    assert!(during.iter().any(|(_, r)| r.bracket_rule().is_some()), "protection goes on");
    assert!(rig.sequencer.account().state().books().iter().all(|b| b.is_flat()), "all was closed within 20 bars");

    rig.attach(0);
    assert_eq!(told[0], rig.seats[0].told.len(), "halted: it does not begin");
    rig.control(Event::Resume { reason: reason() });
    assert_eq!(rig.halts, [HaltLevel::ReduceOnly, HaltLevel::None]);
    rig.attach_all();
    rig.run();
    let calm = calm();
    let after = |rig: &Rig| {
        let from = calm.decided[3 * (halted_at + 30)].1;
        let mut list: Vec<_> = rig.decided.iter().filter(|(_, ts, _)| *ts >= from).copied().collect();
        list.sort_by_key(|(ix, ts, _)| (*ts, *ix));
        list
    };
    assert_eq!(after(&calm), after(&rig), "the same features as if they had never been stopped");
    assert_eq!(after(&rig).len(), 3 * (LIVE - halted_at - 30));
}

#[test]
fn an_engine_that_is_to_return_under_a_halt_is_waited_for_after_the_resume() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    rig.run_to(3);
    rig.detach(2, false);
    rig.control(Event::Halt { level: HaltLevel::ReduceOnly, reason: reason() });
    rig.detach(2, true);
    rig.run_to(6);
    rig.attach(2);
    let told = rig.seats[2].told.len();
    rig.run_to(7);
    assert_eq!(rig.seats[2].told.len(), told, "halted: it does not begin");
    rig.control(Event::Resume { reason: reason() });
    rig.give();
    rig.settle();
    assert!(!rig.wanted, "now it is waited for");
    rig.attach_all();
    rig.run();
    assert!(rig.seats[2].told.len() > told);
}

#[test]
fn a_halt_while_engines_think_takes_none_of_their_answers() {
    let mut rig = Rig::new(Pace::Realtime);
    rig.attach_all();
    rig.begin();
    rig.run_to(3);
    rig.give();
    while !rig.venue_answers.is_empty() {
        rig.venue_answer();
    }
    rig.control(Event::Halt { level: HaltLevel::ReduceOnly, reason: reason() });
    let before = rig.records.len();
    while !rig.answers.is_empty() {
        rig.answer(0);
    }
    assert_eq!(rig.records.len(), before);
}

#[test]
fn in_realtime_only_the_entries_of_the_absent_engine_are_frozen_and_only_its_last_bar_is_asked() {
    let mut rig = Rig::new(Pace::Realtime);
    rig.attach_all();
    rig.begin();
    rig.run_to(10);
    assert_eq!(frozen(&rig), [false; 3]);
    rig.detach(1, true);
    assert_eq!(frozen(&rig), [false, true, false]);
    let answered = rig.decided.len();
    rig.run_to(15);
    assert_eq!(rig.decided.len(), answered + 10, "the others go on");
    assert_eq!(frozen(&rig), [false, true, false]);

    rig.seats[1].told.clear();
    rig.attach(1);
    assert_eq!(frozen(&rig), [false; 3]);
    let told = &rig.seats[1].told;
    assert!(matches!(&told[0], EngineInput::Restore(_)));
    assert!(matches!(&told[1], EngineInput::Prime(bars) if bars.len() == 4), "four were missed, the fifth is owed");
    assert!(matches!(&told[2], EngineInput::Position(_)));
    assert!(matches!(&told[3..], [EngineInput::Bar(..)]));
    rig.run();

    let calm = calm();
    let features = |rig: &Rig| {
        let mut list: Vec<_> = rig.decided.iter().filter(|(ix, ..)| *ix == Ix(1)).copied().collect();
        list.sort_by_key(|(_, ts, _)| *ts);
        list
    };
    let (ours, theirs) = (features(&rig), features(&calm));
    assert!(ours.iter().all(|d| theirs.contains(d)), "what it sees is what it would have seen");
    assert_eq!(theirs.len() - ours.len(), 4);
}

#[test]
fn an_engine_that_is_away_for_longer_than_its_memory_begins_cold() {
    let mut rig = Rig::new(Pace::Lockstep);
    rig.attach_all();
    rig.begin();
    rig.run_to(1);
    rig.control(Event::Halt { level: HaltLevel::ReduceOnly, reason: reason() });
    let frames = super::rig::frames(super::HISTORY + 1_200);
    rig.market = frames.into_iter().skip(super::HISTORY + 1).map(MarketEvent::Frame).collect();
    rig.run_to(1_100);
    rig.control(Event::Resume { reason: reason() });
    rig.seats[0].told.clear();
    rig.attach(0);
    assert!(matches!(&rig.seats[0].told[0], EngineInput::Prime(bars) if bars.len() == super::WARM_UP_BARS));
}
