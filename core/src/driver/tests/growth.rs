//! Instruments that come while a run lasts, and what is left of those that go.

use super::rig::{HISTORY, RISK, Rig, SYMBOLS, Seat, account_setup, frames, started};
use crate::account::fixtures::setup;
use crate::account::{AccountSetup, State};
use crate::domain::*;
use crate::driver::lane::WARM_UP_BARS;
use crate::driver::{EngineInput, Input, Output, Pace};
use crate::record::{Record, TapeTarget};

const NEW: Ix = Ix(3);

fn grown_setup() -> AccountSetup {
    let [a, b, c] = SYMBOLS;
    setup(&[a, b, c, "0FIRST"], AccountKind::Linear, RISK)
}

/// The new instrument's bars are those of the first.
fn with_new(mut frame: Frame) -> Frame {
    let bar = frame.bars[0].1;
    frame.bars.push((NEW, bar));
    frame
}

/// A realtime run in which an instrument comes after the tenth frame.
fn grown() -> Rig {
    let mut rig = Rig::new(Pace::Realtime);
    rig.attach_all();
    rig.begin();
    rig.run_to(10);
    let history = frames(HISTORY + 10).into_iter().map(with_new).collect();
    rig.tell(Input::Grow { setup: Box::new(grown_setup()), history });
    rig.seats.push(Seat::default());
    rig.attach(NEW.at());
    for event in &mut rig.market {
        if let MarketEvent::Frame(frame) = event {
            *frame = with_new(frame.clone());
        }
    }
    rig
}

#[test]
fn a_new_instrument_is_warm_trades_and_leaves_the_others_alone() {
    let mut rig = grown();
    let EngineInput::Prime(bars) = &rig.seats[NEW.at()].told[0] else { panic!("not warmed up first") };
    assert_eq!(bars.len(), WARM_UP_BARS);
    let last = frames(HISTORY + 10).pop().unwrap();
    assert_eq!(bars.last().unwrap().0, last.bars[0].1, "up to the bar that closed last");
    let primed =
        |rig: &Rig, at: usize| rig.seats[at].told.iter().filter(|input| matches!(input, EngineInput::Prime(_))).count();
    rig.run();
    assert!((0..3).all(|at| primed(&rig, at) == 1), "nobody else began anew");
    let name: Symbol = "0FIRST".parse().unwrap();
    assert!(rig.count(|r| matches!(r, Record::Fill { fill } if fill.symbol == name)) > 0, "the venue knows it");
    // The records alone give the same account, places included.
    let mut state = State::open(rig.records[0].0, &rig.records[0].1).unwrap();
    rig.records[1..].iter().for_each(|(ts, record)| state.apply(*ts, record).unwrap());
    assert_eq!(&state, rig.sequencer.account().state());
    assert_eq!(state.book(NEW).unwrap().symbol(), name);
}

#[test]
fn a_changed_setup_leaves_its_mark_on_the_tape_and_a_refused_one_none() {
    let mut rig = Rig::new(Pace::Realtime);
    rig.begin();
    rig.settle();
    let mut marks = |setup| {
        let mut out = Actions::new();
        rig.sequencer.step(Input::Setup(Box::new(setup)), &mut out);
        let mark = |output: &Output| matches!(output, Output::Tape(_, _, TapeTarget::Setup, _));
        out.drain().filter(mark).count()
    };
    assert_eq!(marks(account_setup()), 1);
    let mut other = account_setup();
    other.name.push('x');
    assert_eq!(marks(other), 0);
}

#[test]
fn a_place_that_another_instrument_takes_begins_anew_and_the_venue_knows_it() {
    let mut rig = grown();
    rig.settle();
    let book = |rig: &Rig| rig.sequencer.account().state().book(NEW).unwrap().clone();
    assert!(book(&rig).is_flat() && book(&rig).live().is_empty(), "or it would not go");
    // As many as before, and another one in the last place.
    let [a, b, c] = SYMBOLS;
    let exchanged = setup(&[a, b, c, "1OTHER"], AccountKind::Linear, RISK);
    let history = frames(HISTORY + 10).into_iter().map(with_new).collect();
    rig.tell(Input::Grow { setup: Box::new(exchanged), history });
    let other: Symbol = "1OTHER".parse().unwrap();
    assert_eq!((book(&rig).symbol(), rig.sequencer.account().state().books().len()), (other, 4));
    rig.seats[NEW.at()].told.clear();
    rig.attach(NEW.at());
    let EngineInput::Prime(bars) = &rig.seats[NEW.at()].told[0] else { panic!("not cold") };
    assert_eq!(bars.len(), WARM_UP_BARS);
    rig.run();
    assert!(rig.count(|r| matches!(r, Record::Fill { fill } if fill.symbol == other)) > 0, "the venue knows it");
}

#[test]
fn under_a_halt_nobody_waits_for_the_new_engine() {
    let mut rig = Rig::new(Pace::Realtime);
    rig.attach_all();
    rig.begin();
    rig.run_to(3);
    let reason = Reason { by: "test".into(), text: "on purpose".into() };
    rig.control(Event::Halt { level: HaltLevel::ReduceOnly, reason: reason.clone() });
    rig.tell(Input::Grow { setup: Box::new(grown_setup()), history: Vec::new() });
    rig.seats.push(Seat::default());
    rig.attach(NEW.at());
    assert!(rig.seats[NEW.at()].told.is_empty());
    rig.control(Event::Resume { reason });
    rig.attach(NEW.at());
    assert!(!rig.seats[NEW.at()].told.is_empty());
}

#[test]
fn what_a_symbol_earned_and_paid_outlasts_it() {
    let rig = super::calm();
    let mut state = State::open(rig.records[0].0, &rig.records[0].1).unwrap();
    let mut gone = None;
    for (ts, record) in &rig.records[1..] {
        state.apply(*ts, record).unwrap();
        gone = state.books().iter().find(|b| b.trades() > 2 && b.is_flat() && b.live().is_empty()).map(|b| b.symbol());
        if gone.is_some() {
            break;
        }
    }
    let gone = gone.unwrap();
    let sums = (state.realised(), state.fees(), state.cash());
    let mut smaller = account_setup();
    smaller.instruments.retain(|instrument| instrument.id().symbol != gone);
    let Record::Started { run, timeframe, config_hash, .. } = started() else { panic!("not a start") };
    let started = Record::Started { run, timeframe, config_hash, setup: Box::new(smaller) };
    state.apply(state.ts(), &started).unwrap();
    assert!(state.books().iter().all(|book| book.symbol() != gone));
    assert_eq!((state.realised(), state.fees(), state.cash()), sums);
    assert!(!state.fees().get().is_zero());
}
