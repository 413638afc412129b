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
use plan::{Plan, drawn_night, fixed, under};
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

/// A whole night, with every life that is needed.
struct Night {
    plan: fn(u64) -> Plan,
    seed: u64,
    is_paper: bool,
    kills: Vec<(usize, Edge)>,
}

impl Night {
    /// The world as it is in the end, or what was wrong.
    fn run(&self, tells: bool) -> (Option<String>, World) {
        let mut world = World::new((self.plan)(self.seed), self.is_paper, &self.kills);
        world.history = tells.then(Vec::new);
        match catch_unwind(AssertUnwindSafe(|| live(&mut world))) {
            Ok(lived) => (lived.err(), world),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                (Some(words.unwrap_or_else(|| "it panicked".into())), world)
            }
        }
    }

    fn name(&self) -> String {
        let venue = if self.is_paper { "in the daemon" } else { "elsewhere" };
        format!("seed {}, the venue {venue}, kills at {:?}", self.seed, self.kills)
    }
}

/// Lives through nights and remembers what was wrong with them.
#[derive(Default)]
struct Nights {
    count: usize,
    effects: usize,
    lives: usize,
    wrong: Vec<(Night, String)>,
}

impl Nights {
    fn live_through(&mut self, night: Night) -> usize {
        self.count += 1;
        let (wrong, world) = night.run(false);
        self.effects += world.effects;
        self.lives += world.lives + 1;
        self.wrong.extend(wrong.map(|wrong| (night, wrong)));
        world.effects
    }

    /// Says how many there were. The first that went wrong is lived through again, and told from its beginning.
    fn tell(self, what: &str) {
        println!("{what}: {} nights, {} lives, {} effects", self.count, self.lives, self.effects);
        let all: Vec<String> = self.wrong.iter().map(|(night, wrong)| format!("{}: {wrong}", night.name())).collect();
        if let Some((night, _)) = self.wrong.first() {
            let history = night.run(true).1.told();
            let first = all[..all.len().min(20)].join("\n");
            panic!("{history}\n{} of {} nights went wrong:\n{first}", all.len(), self.count);
        }
    }
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
fn fixed_away(away: u64) -> Plan {
    Plan { away: usize::try_from(away).unwrap(), ..fixed() }
}

fn fixed_night(away: u64, is_paper: bool, kills: &[(usize, Edge)]) -> Night {
    Night { plan: fixed_away, seed: away, is_paper, kills: kills.to_vec() }
}

/// Kills the daemon of the fixed night once at each effect.
fn every_effect(is_paper: bool, away: u64) {
    let mut nights = Nights::default();
    let effects = nights.live_through(fixed_night(away, is_paper, &[]));
    for (at, edge) in (1..=effects).flat_map(|at| EDGES.map(|edge| (at, edge))) {
        nights.live_through(fixed_night(away, is_paper, &[(at, edge)]));
    }
    nights.tell(&format!("killed before and after each of {effects} effects, {away} pieces of market missed"));
}

/// Kills it a second time, at each of the first effects of its second life.
fn every_effect_of_recoveries(is_paper: bool) {
    let mut nights = Nights::default();
    let effects = nights.live_through(fixed_night(1, is_paper, &[]));
    for first in (1..=effects).step_by(11) {
        for (second, edge) in (1..=7).flat_map(|second| EDGES.map(|edge| (second, edge))) {
            nights.live_through(fixed_night(1, is_paper, &[(first, Edge::After), (first + second, edge)]));
        }
    }
    nights.tell("killed, and killed again at each of the first effects of its recovery");
}

/// Nights in which everything is left to chance: decisions, prices, faults of the venue, kills, and what is done first.
fn by_chance(is_paper: bool, seeds: std::ops::Range<u64>) {
    let mut nights = Nights::default();
    for seed in seeds {
        let draw = |n: u64, count| under(count, unit_draw(seed, 7_000_000 + n));
        let mut kills: Vec<(usize, Edge)> =
            (0..draw(0, 4) as u64).map(|n| (1 + draw(2 * n + 1, 300), EDGES[draw(2 * n + 2, 2)])).collect();
        kills.sort_unstable_by_key(|(at, _)| *at);
        nights.live_through(Night { plan: drawn_night, seed, is_paper, kills });
    }
    nights.tell("by chance");
}

#[test]
fn the_fixed_night_has_everything_in_it() {
    let (wrong, world) = fixed_night(0, false, &[]).run(true);
    assert_eq!(wrong, None, "{}", world.told());
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
