//! How long a stop takes: from the input that makes the account halt until every engine has ended and the last cancel was
//! handed to the venue. The account, the supervisor and the clerk each tell their part of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use levibot_core::domain::{HaltLevel, Reason, Symbol};
use serde::{Deserialize, Serialize};

/// The last stop of the engines. Times are real milliseconds from the input that made the account halt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopView {
    /// Counts the stops since the daemon started, from 1.
    pub number: u64,
    /// To which level.
    pub level: HaltLevel,
    /// By whom and why.
    pub reason: String,
    /// From a drill being asked for until that input; `null` when there was none.
    pub drill_ms: Option<f64>,
    /// Until the halt was latched in the account and told to the supervisor.
    pub halted_ms: f64,
    /// Cancels that the halt asked for.
    pub cancels: u32,
    /// Until the last of them was handed to the venue; `null` as long as one waits.
    pub cancelled_ms: Option<f64>,
    /// Every engine that ran.
    pub engines: Vec<EngineStop>,
    /// Until everything was done; `null` as long as it is not.
    pub took_ms: Option<f64>,
}

/// One engine of a stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineStop {
    /// Whose.
    pub symbol: Symbol,
    /// Until it had ended; `null` as long as it has not.
    pub stopped_ms: Option<f64>,
}

/// See the module. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct StopWatch(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    drilled: Option<Instant>,
    last: Option<Stop>,
}

#[derive(Debug)]
struct Stop {
    number: u64,
    level: HaltLevel,
    reason: Reason,
    drilled: Option<Instant>,
    since: Instant,
    halted: Instant,
    cancels: u32,
    cancelled: Option<Instant>,
    /// `None` until the supervisor has said which engines ran.
    engines: Option<BTreeMap<Symbol, Option<Instant>>>,
    is_told: bool,
}

impl Stop {
    /// When the last part of it was done.
    fn done(&self) -> Option<Instant> {
        let mut last = self.cancelled?.max(self.halted);
        for ended in self.engines.as_ref()?.values() {
            last = last.max((*ended)?);
        }
        Some(last)
    }

    fn view(&self) -> StopView {
        let ms = |at: Instant| millis(at.saturating_duration_since(self.since));
        let engines = self.engines.iter().flatten();
        StopView {
            number: self.number,
            level: self.level,
            reason: format!("{}: {}", self.reason.by, self.reason.text),
            drill_ms: self.drilled.map(|drilled| millis(self.since.saturating_duration_since(drilled))),
            halted_ms: ms(self.halted),
            cancels: self.cancels,
            cancelled_ms: self.cancelled.map(ms),
            engines: engines.map(|(symbol, at)| EngineStop { symbol: *symbol, stopped_ms: at.map(ms) }).collect(),
            took_ms: self.done().map(ms),
        }
    }
}

/// To a microsecond.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

impl StopWatch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Plain values: a panic elsewhere cannot leave them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A drill was taken: the next stop is its.
    pub fn drilled(&self) {
        self.inner().drilled = Some(Instant::now());
    }

    /// The account has halted so far that engines stop, on an input that came at `since`.
    pub fn halted(&self, since: Instant, level: HaltLevel, reason: &Reason) {
        let mut inner = self.inner();
        inner.count += 1;
        let (number, drilled) = (inner.count, inner.drilled.take());
        inner.last = Some(Stop {
            number,
            level,
            reason: reason.clone(),
            drilled,
            since,
            halted: Instant::now(),
            cancels: 0,
            cancelled: None,
            engines: None,
            is_told: false,
        });
    }

    /// So many cancels wait for the venue because of it.
    pub fn cancels(&self, count: u32) {
        if let Some(stop) = &mut self.inner().last {
            stop.cancels = count;
        }
    }

    /// None of them waits any more.
    pub fn cancelled(&self) -> Option<Duration> {
        self.change(|stop| stop.cancelled = Some(Instant::now()))
    }

    /// These engines run and are told to end. Only the first word of a stop counts.
    pub fn stopping(&self, engines: impl IntoIterator<Item = Symbol>) -> Option<Duration> {
        self.change(|stop| {
            stop.engines.get_or_insert_with(|| engines.into_iter().map(|symbol| (symbol, None)).collect());
        })
    }

    /// One of them has ended.
    pub fn stopped(&self, symbol: Symbol) -> Option<Duration> {
        self.change(|stop| {
            if let Some(at) = stop.engines.as_mut().and_then(|engines| engines.get_mut(&symbol)) {
                at.get_or_insert_with(Instant::now);
            }
        })
    }

    /// The whole time, told once: to whoever does the last part.
    fn change(&self, change: impl FnOnce(&mut Stop)) -> Option<Duration> {
        let mut inner = self.inner();
        let stop = inner.last.as_mut().filter(|stop| !stop.is_told)?;
        change(stop);
        let took = stop.done()?.saturating_duration_since(stop.since);
        stop.is_told = true;
        Some(took)
    }

    /// The last stop since the daemon started.
    pub fn view(&self) -> Option<StopView> {
        self.inner().last.as_ref().map(Stop::view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_over_when_every_part_is_and_told_once() {
        let symbols: [Symbol; 2] = ["BTCUSDT", "ETHUSDT"].map(|symbol| symbol.parse().unwrap());
        let reason = Reason { by: "risk".into(), text: "the day's loss".into() };
        let watch = StopWatch::default();
        assert_eq!((watch.view(), watch.cancelled(), watch.stopped(symbols[0])), (None, None, None));
        watch.drilled();
        watch.halted(Instant::now(), HaltLevel::ReduceOnly, &reason);
        watch.cancels(3);
        assert_eq!(watch.stopping(symbols), None);
        assert_eq!(watch.stopped(symbols[1]), None);
        assert_eq!(watch.cancelled(), None);
        let view = watch.view().unwrap();
        assert_eq!((view.number, view.cancels, view.took_ms), (1, 3, None));
        assert!(view.drill_ms.is_some() && view.cancelled_ms.is_some());
        let waiting: Vec<Symbol> = view.engines.iter().filter(|e| e.stopped_ms.is_none()).map(|e| e.symbol).collect();
        assert_eq!(waiting, [symbols[0]]);
        assert!(watch.stopped(symbols[0]).is_some());
        assert_eq!(watch.stopped(symbols[0]), None, "told once");
        assert!(watch.view().unwrap().took_ms.is_some());

        // The next one is another, with no drill of its own.
        watch.halted(Instant::now(), HaltLevel::Flatten, &reason);
        assert_eq!(watch.stopping([]), None);
        assert!(watch.cancelled().is_some());
        let view = watch.view().unwrap();
        assert_eq!((view.number, view.drill_ms, view.engines.len()), (2, None, 0));
    }
}
