//! What a storm does and when: a function of its seed and its wishes alone.

use std::fmt;

use levibot_core::domain::hash::{hash64, unit_draw};

use crate::control::Fault;

/// What an engine is hit with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// A fault that it commits itself.
    Fault(Fault),
    /// SIGKILL from outside.
    Kill,
}

impl Blow {
    /// Its name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.name(),
            Self::Kill => "kill",
        }
    }

    /// Whether it shows by a lack of progress alone.
    pub const fn hangs(self) -> bool {
        match self {
            Self::Fault(fault) => fault.hangs(),
            Self::Kill => false,
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// An engine, by its place, which must come back.
    Engine(usize, Blow),
    /// An engine, by its place, again and again until it is quarantined.
    Burst(usize),
    /// SIGKILL of the model server.
    Model,
    /// SIGKILL of the daemon, and a new start.
    Daemon,
}

/// A strike and its time, milliseconds from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at_ms: u64,
    /// What.
    pub strike: Strike,
}

/// What a storm is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// Chooses the storm.
    pub seed: u64,
    /// Its length, milliseconds.
    pub length_ms: u64,
    /// How many engines there are.
    pub engines: usize,
    /// What they are hit with, each as often as any other.
    pub blows: Vec<Blow>,
    /// How often each engine is hit in a minute, on average and at most: a quarantine is never provoked by it.
    pub per_minute: f64,
    /// Failures within the window that mean quarantine.
    pub failures_max: u32,
    /// The window, milliseconds.
    pub window_ms: u64,
    /// How long after a strike its failure can be seen at the latest, milliseconds.
    pub seen_ms: u64,
    /// How many bursts.
    pub bursts: u32,
    /// How often the model server is killed.
    pub model_kills: u32,
    /// How often the daemon is killed.
    pub daemon_kills: u32,
}

/// Nothing is hit for this part of the whole, and at most for this long: what is measured then is compared with the storm.
const CALM_PART: u64 = 5;
const CALM_MS_MAX: u64 = 30_000;
/// Nothing is hit in the last part, so that what was hit can come back.
const END_PART: u64 = 5;
const END_MS_MAX: u64 = 15_000;
/// Nothing else is hit around a kill of the daemon for this part of the whole, and at most for this long.
const DAEMON_QUIET_PART: u64 = 20;
const DAEMON_QUIET_MS_MAX: u64 = 20_000;
/// What a benchmark of kills waits longer than an engine needs to be healthy, and least between two kills.
const KILLS_MARGIN_MS: u64 = 3_000;
const KILLS_APART_MS: u64 = 500;

impl Wishes {
    /// How long nothing is hit at first, milliseconds.
    pub fn calm_ms(&self) -> u64 {
        (self.length_ms / CALM_PART).min(CALM_MS_MAX)
    }

    fn last_ms(&self) -> u64 {
        self.length_ms - (self.length_ms / END_PART).min(END_MS_MAX)
    }

    /// `n` instants spread evenly between the calm and the end.
    fn spread(&self, n: u32) -> impl Iterator<Item = u64> {
        let (from, span) = (self.calm_ms(), self.last_ms() - self.calm_ms());
        (0..u64::from(n)).map(move |k| from + span * (2 * k + 1) / (2 * u64::from(n)))
    }
}

/// Numbers that a seed decides.
struct Draws {
    key: u64,
    n: u64,
}

impl Draws {
    fn unit(&mut self) -> f64 {
        self.n += 1;
        unit_draw(self.key, self.n)
    }

    /// A whole number under `n`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and n")]
    fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    fn shuffled<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut all = of.to_vec();
        for at in (1..all.len()).rev() {
            let other = self.below(at + 1);
            all.swap(at, other);
        }
        all
    }
}

/// The storm of these wishes, in the order of time.
pub fn plan(wishes: &Wishes) -> Vec<Planned> {
    let mut draws = Draws { key: hash64(&[b"storm", &wishes.seed.to_le_bytes()]), n: 0 };
    let mut planned = Vec::new();
    let daemon: Vec<u64> = wishes.spread(wishes.daemon_kills).collect();
    let quiet_ms = (wishes.length_ms / DAEMON_QUIET_PART).min(DAEMON_QUIET_MS_MAX);
    let quiet = |at: u64| daemon.iter().any(|kill| kill.abs_diff(at) < quiet_ms);
    planned.extend(daemon.iter().map(|at| Planned { at_ms: *at, strike: Strike::Daemon }));
    // What falls together with one comes after it.
    let after = |at: u64| daemon.iter().find(|kill| kill.abs_diff(at) < quiet_ms).map_or(at, |kill| kill + quiet_ms);
    planned.extend(wishes.spread(wishes.model_kills).map(|at| Planned { at_ms: after(at), strike: Strike::Model }));
    let places: Vec<usize> = (0..wishes.engines).collect();
    let mut bursts = Vec::new();
    let mut victims = Vec::new();
    for at in wishes.spread(wishes.bursts).map(after) {
        if victims.is_empty() {
            victims = draws.shuffled(&places);
        }
        bursts.extend(victims.pop().map(|place| (at, place)));
    }
    planned.extend(bursts.iter().map(|(at, place)| Planned { at_ms: *at, strike: Strike::Burst(*place) }));
    let mut hits: Vec<(u64, usize)> = Vec::new();
    for place in places {
        let spared = |at: u64| {
            let near = |(burst, of): &(u64, usize)| {
                *of == place && at + wishes.seen_ms >= *burst && at < burst + wishes.window_ms
            };
            bursts.iter().any(near) || quiet(at)
        };
        hits.extend(hits_of(wishes, &mut draws).into_iter().filter(|at| !spared(*at)).map(|at| (at, place)));
    }
    hits.sort_unstable();
    let mut deck = Vec::new();
    for (at_ms, place) in hits {
        if deck.is_empty() {
            deck = draws.shuffled(&wishes.blows);
        }
        planned.extend(deck.pop().map(|blow| Planned { at_ms, strike: Strike::Engine(place, blow) }));
    }
    planned.sort_by_key(|p| p.at_ms);
    planned
}

/// So many kills of engines in turn, each after its engine was healthy for `healthy_ms`.
pub fn kills(count: u32, engines: usize, healthy_ms: u64) -> Vec<Planned> {
    let engines = engines.max(1);
    let first = healthy_ms + KILLS_MARGIN_MS;
    let apart = (first / engines as u64).max(KILLS_APART_MS);
    let kill = |n: u32| {
        let n = n as usize;
        Planned { at_ms: first + apart * n as u64, strike: Strike::Engine(n % engines, Blow::Kill) }
    };
    (0..count).map(kill).collect()
}

/// When one engine is hit: about evenly, and so that a window never holds as many failures as a quarantine needs.
fn hits_of(wishes: &Wishes, draws: &mut Draws) -> Vec<u64> {
    if wishes.per_minute <= 0.0 || wishes.failures_max < 2 {
        return Vec::new();
    }
    let mean_ms = 60_000.0 / wishes.per_minute;
    let apart = (wishes.failures_max - 1) as usize;
    let window = wishes.window_ms + wishes.seen_ms;
    let mut hits: Vec<u64> = Vec::new();
    let mut at_ms = wishes.calm_ms() as f64 + mean_ms * draws.unit();
    loop {
        if let Some(first) = hits.len().checked_sub(apart).and_then(|at| hits.get(at)) {
            at_ms = at_ms.max((first + window) as f64);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds of a storm")]
        let at = at_ms as u64;
        if at >= wishes.last_ms() {
            return hits;
        }
        hits.push(at);
        at_ms += mean_ms * (0.8 + 0.4 * draws.unit());
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
