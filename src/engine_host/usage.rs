//! What engines take of the machine: processor time and memory, as the kernel counts them in `/proc`.
//!
//! An engine that is gone between two looks is no error: nothing is known of it then.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::domain::{Span, Symbol, Ts};
use procfs::ProcResult;
use procfs::process::{Process, Stat};

/// Processor time is looked at this often at most.
const TIMES_EVERY: Span = Span::SECOND;
/// Memory is looked at this often at most: for it the kernel walks through all pages of a process.
const MEMORY_EVERY: Span = Span::from_secs(5);
/// So many looks it takes until the memory of all is known.
const MEMORY_LOOKS: usize = 5;

/// Where an engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A process of its own.
    Process(u32),
    /// A thread of this process.
    Thread(u32),
}

/// An engine that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its symbol.
    pub symbol: Symbol,
    /// Which generation.
    pub generation: u64,
    /// Where.
    pub place: Place,
}

/// What a generation of an engine takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Which generation.
    pub generation: u64,
    /// Its process; `None` for a thread.
    pub pid: Option<u32>,
    /// When the process started, ticks since the machine did: with it the number names one process for ever. `None` for a
    /// thread.
    pub start_ticks: Option<u64>,
    /// Processor time since it started, seconds.
    pub cpu_seconds: f64,
    /// Share of one processor since the last look, percent: over 100 when it has several at work.
    pub cpu_percent: f64,
    /// Proportional set size, bytes: pages that are shared count in part. `None` for a thread, and before the first look.
    pub memory_bytes: Option<u64>,
}

/// Processor time of a process or thread, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    /// Ticks of processor time.
    spent: u64,
    /// Ticks from the start of the machine.
    started: u64,
}

/// `None` when nobody is there.
fn times(place: Place) -> Option<Times> {
    let read = || -> ProcResult<Option<Stat>> {
        Ok(match place {
            Place::Process(pid) => match i32::try_from(pid) {
                Ok(pid) => Some(Process::new(pid)?.stat()?),
                Err(_) => None,
            },
            Place::Thread(thread) => match i32::try_from(thread) {
                Ok(thread) => Some(Process::myself()?.task_from_tid(thread)?.stat()?),
                Err(_) => None,
            },
        })
    };
    let stat = read().ok()??;
    Some(Times { spent: stat.utime.saturating_add(stat.stime), started: stat.starttime })
}

/// Proportional set size of a process, bytes; `None` when nobody is there, or it may not be looked at.
fn memory(pid: u32) -> Option<u64> {
    let rollup = Process::new(i32::try_from(pid).ok()?).and_then(|process| process.smaps_rollup()).ok()?;
    rollup.memory_map_rollup.into_iter().find_map(|map| map.extension.map.get("Pss").copied())
}

/// Measures engines from look to look.
#[derive(Debug, Default)]
pub struct Meter {
    looked: Option<Ts>,
    engines: BTreeMap<Symbol, Measured>,
}

#[derive(Debug)]
struct Measured {
    place: Place,
    times: Times,
    at: Ts,
    usage: Usage,
    memory_at: Option<Ts>,
}

impl Meter {
    /// Forgets engines that run no more, and looks at these at `now` (monotonic), unless it did within the last second. They
    /// are all that run. `spent` is told what an engine
    /// took since the last look, seconds: its sum only grows, over all generations.
    ///
    /// Memory is looked at for a fifth of the engines a time, so that many of them are no burst of work.
    pub fn look(&mut self, engines: &[Running], now: Ts, mut spent: impl FnMut(Symbol, f64)) {
        let there: BTreeSet<(Symbol, u64)> = engines.iter().map(|engine| (engine.symbol, engine.generation)).collect();
        self.engines.retain(|symbol, one| there.contains(&(*symbol, one.usage.generation)));
        if self.looked.is_some_and(|looked| now - looked < TIMES_EVERY) {
            return;
        }
        self.looked = Some(now);
        let mut before = std::mem::take(&mut self.engines);
        for engine in engines {
            let Some(times) = times(engine.place) else { continue };
            let last = before.remove(&engine.symbol);
            if let Some((measured, seconds)) = Measured::next(engine, times, now, last) {
                spent(engine.symbol, seconds);
                self.engines.insert(engine.symbol, measured);
            }
        }
        self.look_at_memory(now);
    }

    /// Processes whose figures are the oldest, or that have none.
    fn look_at_memory(&mut self, now: Ts) {
        let at_once = self.engines.len().div_ceil(MEMORY_LOOKS);
        let is_due = |one: &Measured| one.memory_at.is_none_or(|at| now - at >= MEMORY_EVERY);
        let due = self.engines.values_mut().filter(|one| is_due(one));
        let mut due: Vec<_> = due.filter_map(|one| Some((one.usage.pid?, one))).collect();
        due.sort_by_key(|(_, one)| one.memory_at);
        for (pid, one) in due.into_iter().take(at_once) {
            one.usage.memory_bytes = memory(pid);
            one.memory_at = Some(now);
        }
    }

    /// What each engine took when it was last looked at. Those that are gone are not in it.
    pub fn usage(&self) -> BTreeMap<Symbol, Usage> {
        self.engines.iter().map(|(symbol, one)| (*symbol, one.usage)).collect()
    }
}

impl Measured {
    /// The next figures of an engine, and what it took since the last look; `None` when the number of its process belongs
    /// to another one by now.
    fn next(engine: &Running, times: Times, now: Ts, last: Option<Self>) -> Option<(Self, f64)> {
        let last = last.filter(|last| last.usage.generation == engine.generation && last.place == engine.place);
        if last.as_ref().is_some_and(|last| last.times.started != times.started) {
            return None;
        }
        let per_second = procfs::ticks_per_second().max(1) as f64;
        let seconds = |ticks: u64| ticks as f64 / per_second;
        let taken = seconds(times.spent.saturating_sub(last.as_ref().map_or(0, |last| last.times.spent)));
        let percent = last.as_ref().map_or(0.0, |last| {
            let passed = (now - last.at).secs_f64();
            if passed > 0.0 { taken / passed * 100.0 } else { 0.0 }
        });
        let pid = match engine.place {
            Place::Process(pid) => Some(pid),
            Place::Thread(_) => None,
        };
        let usage = Usage {
            generation: engine.generation,
            pid,
            start_ticks: pid.map(|_| times.started),
            cpu_seconds: seconds(times.spent),
            cpu_percent: (percent * 10.0).round() / 10.0,
            memory_bytes: last.as_ref().and_then(|last| last.usage.memory_bytes),
        };
        let memory_at = last.and_then(|last| last.memory_at);
        Some((Self { place: engine.place, times, at: now, usage, memory_at }, taken))
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
