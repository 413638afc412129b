//! The keeper of the registry: a thread that measures the engines and writes the file.
//!
//! The disk may take its time and the supervisor may not. What is handed over waits in a place for one, and the latest
//! replaces what waits: nobody wants to read an older state.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use levibot_core::domain::Symbol;

use crate::engine_host::usage::{Meter, Running, Usage};
use crate::registry::{Isolation, Registry, RegistryEntry};
use crate::telemetry::clock::monotonic_now;
use crate::telemetry::metrics::Metrics;

/// How long the end waits for the last write.
const END_WAIT: Duration = Duration::from_secs(3);

/// What is to be measured and written.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// The engines that run now.
    pub(super) running: Vec<Running>,
    /// All engines, but for what is measured.
    pub(super) entries: BTreeMap<Symbol, RegistryEntry>,
}

/// What engines take, as the keeper last measured it.
pub(super) type Usages = Arc<BTreeMap<Symbol, Usage>>;

/// See the module. When it is dropped, what waits is written first.
#[derive(Debug)]
pub(super) struct Keeper {
    desk: Arc<Desk>,
    usages: Arc<ArcSwap<BTreeMap<Symbol, Usage>>>,
    /// Ends when the thread does.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Desk {
    place: Mutex<Place>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Place {
    waiting: Option<Sheet>,
    is_over: bool,
}

impl Keeper {
    /// A keeper of this file.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub(super) fn new(registry: Registry, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (desk, usages) = (Arc::<Desk>::default(), Arc::<ArcSwap<_>>::default());
        let mut clerk = Clerk { registry, metrics, meter: Meter::default(), is_failing: false };
        let (own_desk, own_usages) = (Arc::clone(&desk), Arc::clone(&usages));
        let (end, ended) = channel();
        let work = move || {
            let _end: Sender<()> = end;
            while let Some(sheet) = own_desk.next() {
                own_usages.store(Arc::new(clerk.keep(sheet)));
            }
        };
        std::thread::Builder::new().name("registry".to_owned()).spawn(work)?;
        Ok(Self { desk, usages, ended })
    }

    /// Has this measured and written, in place of what still waits.
    pub(super) fn hand_over(&self, sheet: Sheet) {
        self.desk.lock().waiting = Some(sheet);
        self.desk.moved.notify_one();
    }

    /// What engines took when they were last looked at.
    pub(super) fn usages(&self) -> Usages {
        self.usages.load_full()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.desk.lock().is_over = true;
        self.desk.moved.notify_one();
        // A disk that hangs must not keep the daemon from ending.
        if self.ended.recv_timeout(END_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the engine registry is not written to the end: its disk does not answer");
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; `None` when it is over and nothing waits.
    fn next(&self) -> Option<Sheet> {
        let mut place = self.lock();
        loop {
            if place.waiting.is_some() || place.is_over {
                return place.waiting.take();
            }
            place = self.moved.wait(place).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Who sits in the thread.
#[derive(Debug)]
struct Clerk {
    registry: Registry,
    metrics: Arc<Metrics>,
    meter: Meter,
    is_failing: bool,
}

impl Clerk {
    fn keep(&mut self, mut sheet: Sheet) -> BTreeMap<Symbol, Usage> {
        let metrics = self.metrics.engines();
        self.meter.look(&sheet.running, monotonic_now(), |symbol, seconds| metrics.cpu_spent(&symbol, seconds));
        let usages = self.meter.usage();
        for (symbol, entry) in &mut sheet.entries {
            let usage = usages.get(symbol).filter(|usage| usage.generation == entry.generation);
            // A thread's memory is that of the daemon.
            if entry.isolation == Isolation::Process {
                metrics.set_memory(symbol, usage.and_then(|usage| usage.memory_bytes));
            }
            if let Some(usage) = usage {
                entry.measured(usage);
            }
        }
        self.write(&sheet.entries);
        usages
    }

    /// A disk that is full stays so for a while: only a change is worth a word.
    fn write(&mut self, entries: &BTreeMap<Symbol, RegistryEntry>) {
        match self.registry.write(entries) {
            Ok(()) if std::mem::take(&mut self.is_failing) => {
                tracing::info!("the engine registry is written again");
            }
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                tracing::warn!(error = crate::telemetry::chain(&error), "the engine registry could not be written");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::samples::entry;

    fn sheet(restarts: u64) -> Sheet {
        let entry = RegistryEntry { restarts, ..entry() };
        Sheet { running: Vec::new(), entries: BTreeMap::from([("BTCUSDT".parse().unwrap(), entry)]) }
    }

    #[test]
    fn what_was_handed_over_last_is_written_before_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.json");
        let keeper = Keeper::new(Registry::new(&path), Arc::new(Metrics::new().unwrap())).unwrap();
        for n in 0..200 {
            keeper.hand_over(sheet(n));
        }
        drop(keeper);
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(written["BTCUSDT"]["restarts"], 199);
    }

    #[test]
    fn the_latest_replaces_what_waits() {
        let desk = Desk::default();
        for n in 0..3 {
            desk.lock().waiting = Some(sheet(n));
        }
        assert!(desk.next().unwrap().entries.values().all(|entry| entry.restarts == 2));
        desk.lock().is_over = true;
        assert!(desk.next().is_none());
    }

    #[test]
    fn what_runs_is_measured_and_a_disk_that_fails_ends_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let keeper =
            Keeper::new(Registry::new(file.path().join("no/folder")), Arc::new(Metrics::new().unwrap())).unwrap();
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let thread = u32::try_from(nix::unistd::gettid().as_raw()).unwrap();
        let place = crate::engine_host::usage::Place::Thread(thread);
        for _ in 0..2 {
            keeper.hand_over(Sheet { running: vec![Running { symbol, generation: 1, place }], ..sheet(0) });
        }
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while keeper.usages().get(&symbol).is_none() {
            assert!(std::time::Instant::now() < end, "nothing was measured");
            std::thread::yield_now();
        }
    }
}
