//! What is seen of the engines while they are hit: looks in, outcomes out. Knows no socket and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use levibot_core::domain::{Symbol, Ts};
use serde::Serialize;

use super::plan::Blow;

/// One engine in a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose.
    pub symbol: Symbol,
    /// Its status, as the daemon shows it.
    pub status: String,
    /// Failures since the daemon started.
    pub errors: u64,
    /// Counts its starts.
    pub generation: u64,
    /// Its process, if it is one.
    pub pid: Option<u32>,
    /// Seconds since it was ready; 0 when it is not.
    pub uptime: f64,
    /// What ended it last.
    pub last_error: Option<String>,
    /// Close of the last bar it answered.
    pub last_bar: Option<Ts>,
}

impl Row {
    /// Whether it takes bars.
    pub fn is_up(&self) -> bool {
        matches!(self.status.as_str(), "running" | "paused")
    }
}

/// All engines at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Since the storm began.
    pub at: Duration,
    /// Total, running, stopped, crashed.
    pub totals: [u32; 4],
    /// The engines.
    pub rows: Vec<Row>,
}

/// What became of one strike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Whose engine.
    pub symbol: Symbol,
    /// With what it was hit.
    pub blow: &'static str,
    /// Whether it shows by a lack of progress alone.
    pub hangs: bool,
    /// Whether it was hit again before it came back, on purpose, until it was quarantined.
    pub in_burst: bool,
    /// Whether its restart was at once, because it had been healthy before.
    pub was_healthy: bool,
    /// When, since the storm began, seconds.
    pub at: f64,
    /// Seconds until the failure was counted.
    pub seen: Option<f64>,
    /// Seconds until the engine was ready again.
    pub ready: Option<f64>,
    /// Failures that were counted up to the next strike.
    pub failures: u64,
    /// New generations up to the next strike.
    pub generations: u64,
    /// What the daemon named as the cause.
    pub cause: Option<String>,
    /// The daemon was killed before it was over: then it says nothing.
    pub cut_short: bool,
}

/// A quarantine, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantine {
    /// Whose engine.
    pub symbol: Symbol,
    /// Whether a burst was meant to bring it about.
    pub planned: bool,
    /// How many failures it took.
    pub failures: u64,
    /// Whether the account showed its entries as frozen.
    pub frozen: bool,
    /// Whether every other engine went on answering bars.
    pub others_live: bool,
    /// Whether an explicit restart brought it back.
    pub restarted: bool,
}

#[derive(Debug, Default)]
struct Track {
    last: Option<Row>,
    /// The open strike: its place among the outcomes, and errors and generation before it.
    open: Option<(usize, u64, u64)>,
    quarantined: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Tracker {
    engines: BTreeMap<Symbol, Track>,
    outcomes: Vec<Outcome>,
    /// Failures that nobody asked for.
    unasked: Vec<String>,
    /// Quarantines that nobody asked for.
    quarantines: Vec<Quarantine>,
    bad_totals: Vec<String>,
    looks: u64,
}

/// Words kept of each kind of complaint.
const WORDS_MAX: usize = 50;

fn complain(list: &mut Vec<String>, text: impl FnOnce() -> String) {
    if list.len() < WORDS_MAX {
        list.push(text());
    }
}

impl Tracker {
    /// An engine is hit now. The strike before it is over: what it did counts as it stands.
    pub fn begin(&mut self, symbol: Symbol, blow: Blow, at: Duration, in_burst: bool, healthy_after: f64) {
        let track = self.engines.entry(symbol).or_default();
        let (errors, generation, uptime) =
            track.last.as_ref().map_or((0, 0, 0.0), |r| (r.errors, r.generation, r.uptime));
        track.open = Some((self.outcomes.len(), errors, generation));
        self.outcomes.push(Outcome {
            symbol,
            blow: blow.name(),
            hangs: blow.hangs(),
            in_burst,
            was_healthy: uptime >= healthy_after,
            at: at.as_secs_f64(),
            seen: None,
            ready: None,
            failures: 0,
            generations: 0,
            cause: None,
            cut_short: false,
        });
    }

    /// The strike could not be carried out: nothing was done to the engine.
    pub fn never_mind(&mut self, symbol: Symbol) {
        if let Some((at, ..)) = self.engines.get_mut(&symbol).and_then(|track| track.open.take())
            && at + 1 == self.outcomes.len()
        {
            self.outcomes.pop();
        }
    }

    /// All engines are looked at.
    pub fn look(&mut self, look: &Look) {
        self.looks += 1;
        let [total, running, stopped, crashed] = look.totals;
        if total != running + stopped + crashed || total as usize != look.rows.len() {
            complain(&mut self.bad_totals, || {
                format!(
                    "{total} engines, {running} running, {stopped} stopped, {crashed} crashed, {} rows",
                    look.rows.len()
                )
            });
        }
        for row in &look.rows {
            self.look_at(row, look.at);
        }
    }

    fn look_at(&mut self, row: &Row, now: Duration) {
        let track = self.engines.entry(row.symbol).or_default();
        let now = now.as_secs_f64();
        match track.open.and_then(|(at, errors, generation)| Some((self.outcomes.get_mut(at)?, errors, generation))) {
            Some((outcome, errors, generation)) => {
                let failures = row.errors.saturating_sub(errors);
                if failures > outcome.failures && outcome.failures > 0 {
                    let more = row.last_error.as_deref().unwrap_or_default();
                    let first = outcome.cause.take().unwrap_or_default();
                    outcome.cause = Some(format!("{first}; and at {now:.1} s: {more}"));
                }
                outcome.failures = failures;
                outcome.generations = row.generation.saturating_sub(generation);
                if outcome.failures > 0 && outcome.seen.is_none() {
                    outcome.seen = Some(now - outcome.at);
                    outcome.cause.clone_from(&row.last_error);
                }
                if outcome.seen.is_some() && outcome.generations > 0 && outcome.ready.is_none() && row.is_up() {
                    outcome.ready = Some(now - outcome.at);
                }
            }
            None => {
                if track.last.as_ref().is_some_and(|last| row.errors > last.errors) {
                    let cause = row.last_error.clone().unwrap_or_default();
                    complain(&mut self.unasked, || format!("{} failed at {now:.1} s: {cause}", row.symbol));
                }
            }
        }
        let is = row.status == "quarantined";
        if is && !std::mem::replace(&mut track.quarantined, is) {
            let open = track.open.and_then(|(at, ..)| self.outcomes.get(at));
            let planned = open.is_some_and(|outcome| outcome.in_burst);
            let symbol = row.symbol;
            let failures = self.outcomes.iter().filter(|o| o.symbol == symbol && o.in_burst).map(|o| o.failures).sum();
            self.quarantines.push(Quarantine {
                symbol,
                planned,
                failures,
                frozen: false,
                others_live: false,
                restarted: false,
            });
        }
        track.quarantined = is;
        track.last = Some(row.clone());
    }

    /// The daemon is gone: what is still open says nothing, and its counts begin anew.
    pub fn daemon_gone(&mut self) {
        for track in self.engines.values_mut() {
            if let Some((at, ..)) = track.open.take()
                && let Some(outcome) = self.outcomes.get_mut(at)
                && outcome.ready.is_none()
            {
                outcome.cut_short = true;
            }
            *track = Track::default();
        }
    }

    /// Whether a strike on this engine is not over: it is not ready again.
    pub fn is_open(&self, symbol: Symbol) -> bool {
        self.open(symbol).is_some_and(|outcome| outcome.ready.is_none())
    }

    fn open(&self, symbol: Symbol) -> Option<&Outcome> {
        let (at, ..) = self.engines.get(&symbol)?.open?;
        self.outcomes.get(at)
    }

    /// Whether any strike is not over.
    pub fn any_open(&self) -> bool {
        self.engines.keys().any(|symbol| self.is_open(*symbol))
    }

    /// What was last seen of an engine.
    pub fn row(&self, symbol: Symbol) -> Option<&Row> {
        self.engines.get(&symbol)?.last.as_ref()
    }

    /// All engines as last seen.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.engines.values().filter_map(|track| track.last.as_ref())
    }

    /// How many failures of an engine were struck within the last `window` seconds before `now`.
    pub fn recent(&self, symbol: Symbol, now: Duration, window: f64) -> usize {
        let now = now.as_secs_f64();
        let failed = |o: &&Outcome| o.symbol == symbol && o.at + o.seen.unwrap_or(0.0) > now - window;
        self.outcomes.iter().rev().take(2_000).filter(failed).count()
    }

    /// The last quarantine of an engine.
    pub fn quarantine(&mut self, symbol: Symbol) -> Option<&mut Quarantine> {
        self.quarantines.iter_mut().rev().find(|q| q.symbol == symbol)
    }

    /// What was seen so far.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The end: everything that was seen.
    pub fn finish(self) -> Seen {
        let Self { outcomes, unasked, quarantines, bad_totals, looks, .. } = self;
        Seen { outcomes, unasked, quarantines, bad_totals, looks }
    }
}

/// What a tracker has seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seen {
    /// What became of each strike, in its order.
    pub outcomes: Vec<Outcome>,
    /// Failures that nobody asked for, the first few.
    pub unasked: Vec<String>,
    /// Quarantines.
    pub quarantines: Vec<Quarantine>,
    /// Looks at which the counts did not add up, the first few.
    pub bad_totals: Vec<String>,
    /// How often was looked.
    pub looks: u64,
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
