//! What the account measures with is on the tape: a replay knows what the daemon knew.

use super::rig::{HISTORY, RISK, SYMBOLS, account_setup, frames};
use crate::account::fixtures::setup;
use crate::account::{Account, AccountSetup};
use crate::domain::*;
use crate::driver::{Input, Output, Pace, Sequencer};
use crate::record::{Record, TapeTarget};

const WINDOW: usize = 100;

fn measuring() -> AccountSetup {
    let risk = format!("{RISK}  correlation: {{window_bars: {WINDOW}}}\n");
    setup(&SYMBOLS, AccountKind::Linear, &risk)
}

fn account(setup: AccountSetup, now: Ts) -> Account {
    let (run, timeframe, config_hash) = ("run-1".parse().unwrap(), Timeframe::HOUR, String::new());
    let started = Record::Started { run, timeframe, config_hash, setup: Box::new(setup) };
    Account::open(now, started, &mut Actions::new()).unwrap()
}

fn sequencer(setup: AccountSetup) -> Sequencer {
    let history = frames(HISTORY);
    let now = history.last().unwrap().ts;
    let mut sequencer = Sequencer::new(Pace::Lockstep, account(setup, now), now);
    sequencer.remember(&history);
    sequencer
}

fn tape(out: &mut Actions<Output>) -> Vec<(TapeTarget, Event)> {
    out.drain().filter_map(|o| if let Output::Tape(_, _, to, event) = o { Some((to, event)) } else { None }).collect()
}

fn remind(account: &mut Account, tape: &[(TapeTarget, Event)]) -> usize {
    let mut count = 0;
    for (to, event) in tape {
        if let (TapeTarget::Remembered, Event::Bar { instrument, bar, .. }) = (to, event) {
            assert!(account.remember(*instrument, bar));
            count += 1;
        }
    }
    count
}

#[test]
fn the_history_is_given_to_the_account_and_put_on_the_tape_after_the_start() {
    let mut out = Actions::new();
    let mut sequencer = sequencer(measuring());
    sequencer.begin(&mut out);
    let tape = tape(&mut out);
    assert!(matches!(tape[0].0, TapeTarget::Start(_)));
    let mut again = account(measuring(), sequencer.now());
    let cold = format!("{again:?}");
    assert_eq!(remind(&mut again, &tape), 3 * (WINDOW + 1));
    assert_ne!(format!("{again:?}"), cold);
    assert_eq!(format!("{again:?}"), format!("{:?}", sequencer.account()));
}

#[test]
fn an_account_that_begins_to_measure_is_told_too_and_one_that_does_not_is_told_nothing() {
    let mut out = Actions::new();
    let mut sequencer = sequencer(account_setup());
    sequencer.begin(&mut out);
    assert!(tape(&mut out).iter().all(|(to, _)| *to != TapeTarget::Remembered));
    sequencer.step(Input::Setup(Box::new(measuring())), &mut out);
    let changed = tape(&mut out);
    let mark = changed.iter().position(|(to, _)| *to == TapeTarget::Setup).unwrap();
    let mut again = account(account_setup(), sequencer.now());
    again.reconfigure(measuring(), sequencer.now(), &mut Actions::new()).unwrap();
    assert_eq!(remind(&mut again, &changed[mark..]), 3 * (WINDOW + 1));
    assert_eq!(format!("{again:?}"), format!("{:?}", sequencer.account()));
    sequencer.step(Input::Setup(Box::new(measuring())), &mut out);
    assert!(tape(&mut out).iter().all(|(to, _)| *to != TapeTarget::Remembered), "it knows all of it");
}
