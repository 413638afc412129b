//! Kill before and after every effect: a daemon that dies at any moment, beside a venue that goes on and does not always
//! behave, loses nothing and does nothing twice.

mod check;
mod daemon;
mod exchange;
mod plan;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::hash::unit_draw;
use crate::domain::{Cause, DoneReason, Event, ExitReason, Fill, MarketEvent, Order};
use crate::record::Record;
use daemon::Daemon;
use plan::{Plan, drawn_night, fixed};
use world::{Edge, World};

/// The events of one piece of market.
fn market_events(event: &MarketEvent) -> Vec<Event> {
    match event {
        MarketEvent::Quotes { quotes, .. } => {
            quotes.iter().map(|(instrument, quote)| Event::Quote { instrument: *instrument, quote: *quote }).collect()
        }
        MarketEvent::Frame(frame) => {
            let bar =
                |(instrument, bar): &(_, _)| Event::Bar { instrument: *instrument, bar: *bar, context: frame.context };
            frame.bars.iter().map(bar).collect()
        }
    }
}

/// A whole night, with every life that is needed. Returns the world as it is in the end.
fn night(plan: Plan, is_paper: bool, kills: &[(usize, Edge)], name: &str) -> World {
    let mut world = World::new(plan, is_paper, kills);
    let lived = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    let wrong = match lived {
        Ok(Ok(())) => return world,
        Ok(Err(wrong)) => wrong,
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into()),
    };
    panic!("{name}, kills at {kills:?}: {wrong}\n{}\n{name}, kills at {kills:?}: {wrong}", world.told());
}

fn live(world: &mut World) -> Result<(), String> {
    loop {
        let lived = Daemon::start(world).and_then(|mut daemon| {
            while daemon.turn(world)? {}
            Ok(daemon)
        });
        match lived {
            Ok(daemon) => return check::check(world, daemon.sequencer.account().state()),
            Err(world::Killed) => world.go_on_alone(),
        }
    }
}

const EDGES: [Edge; 2] = [Edge::Before, Edge::After];
/// How many nights by chance each of the tests of them lives through. More, of other seeds, are had by raising it.
const NIGHTS: u64 = 250;

/// The fixed night, in which whoever is killed misses so much of the market.
fn fixed_away(away: usize) -> Plan {
    Plan { away, ..fixed() }
}

/// Kills the daemon of the fixed night once at each effect.
fn every_effect(is_paper: bool, away: usize) {
    let effects = night(fixed_away(away), is_paper, &[], "fixed").effects;
    let mut runs = 0;
    for at in 1..=effects {
        for edge in EDGES {
            let world = night(fixed_away(away), is_paper, &[(at, edge)], "fixed");
            assert_eq!(world.lives, 1, "the effect {at} never came");
            runs += 1;
        }
    }
    println!("{effects} effects, {runs} nights with a kill, {away} pieces of market missed each time");
}

/// Kills it a second time, at each of the first effects of its second life.
fn every_effect_of_recoveries(is_paper: bool) {
    let effects = night(fixed(), is_paper, &[], "fixed").effects;
    let mut runs = 0;
    for first in (1..=effects).step_by(9) {
        for (second, edge) in (1..=8).flat_map(|second| EDGES.map(|edge| (second, edge))) {
            night(fixed_away(1), is_paper, &[(first, Edge::After), (first + second, edge)], "fixed, twice");
            runs += 1;
        }
    }
    println!("{effects} effects, {runs} nights with two kills");
}

/// Nights in which everything is left to chance: decisions, prices, faults of the venue, kills, and what is done first.
fn by_chance(is_paper: bool, seeds: std::ops::Range<u64>) {
    let (mut effects, mut lives, nights) = (0, 0, seeds.end - seeds.start);
    for seed in seeds {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
        let draw = |n: u64, count: f64| (unit_draw(seed, 7_000_000 + n) * count) as usize;
        let mut kills: Vec<(usize, Edge)> =
            (0..draw(0, 4.0) as u64).map(|n| (1 + draw(2 * n + 1, 300.0), EDGES[draw(2 * n + 2, 2.0)])).collect();
        kills.sort_unstable_by_key(|(at, _)| *at);
        let world = night(drawn_night(seed), is_paper, &kills, &format!("seed {seed}"));
        effects += world.effects;
        lives += world.lives + 1;
    }
    println!("{nights} nights, {lives} lives, {effects} effects");
}

#[test]
fn the_fixed_night_has_everything_in_it() {
    let world = night(fixed(), false, &[], "fixed");
    let (envelopes, ..) = daemon::read(&world.disk);
    let count = |of: &dyn Fn(&Record) -> bool| envelopes.iter().filter(|envelope| of(&envelope.record)).count();
    for rule in [ExitReason::Stop, ExitReason::Target, ExitReason::Trailing, ExitReason::TimeExit] {
        assert_eq!(count(&|r| r.bracket_rule() == Some(rule)), 1, "{rule}");
    }
    let ended = |wanted: DoneReason| count(&|r| matches!(r, Record::Done { reason, .. } if *reason == wanted));
    assert_eq!(ended(DoneReason::Rejected), 1);
    assert_eq!(ended(DoneReason::Cancelled), 2, "one by a decision and one by the halt, both partly filled");
    assert_eq!(ended(DoneReason::NotSent), 2, "one was recalled by the halt, one never came to the venue");
    assert_eq!(count(&|r| matches!(r, Record::Unknown { .. })), 2);
    let partly = |fill: &Fill| world.exchange.accepted.get(&fill.order).is_some_and(|order| fill.qty < order.qty);
    assert_eq!(count(&|r| matches!(r, Record::Fill { fill } if partly(fill))), 2);
    assert_eq!(count(&|r| matches!(r, Record::Halt { .. })), 2);
    assert_eq!(count(&|r| matches!(r, Record::Resume { .. })), 1);
    let by_command = |r: &Record| matches!(r, Record::Intent { order: Order { cause: Cause::Command { .. }, .. }, .. });
    assert!(count(&by_command) >= 3);
}

#[test]
fn a_daemon_killed_at_any_effect_loses_nothing_and_does_nothing_twice() {
    every_effect(false, 0);
}

#[test]
fn nor_does_it_when_the_market_goes_on_without_it() {
    every_effect(false, 2);
}

#[test]
fn nor_does_one_whose_venue_dies_with_it() {
    every_effect(true, 0);
}

#[test]
fn killed_again_while_it_recovers_it_recovers_again() {
    every_effect_of_recoveries(false);
    every_effect_of_recoveries(true);
}

#[test]
fn nights_by_chance() {
    by_chance(false, 0..NIGHTS);
}

#[test]
fn more_nights_by_chance() {
    by_chance(false, NIGHTS..2 * NIGHTS);
}

#[test]
fn still_more_nights_by_chance() {
    by_chance(false, 2 * NIGHTS..4 * NIGHTS);
}

#[test]
fn nights_by_chance_with_the_venue_in_the_daemon() {
    by_chance(true, 0..NIGHTS);
}
