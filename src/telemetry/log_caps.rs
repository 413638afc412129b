//! How much each symbol may log, so that one that floods neither fills the disk nor crowds out the others.
//!
//! A bucket a symbol, and one for lines of no symbol. Lines are logged from many threads: a bucket is one atomic number
//! in a table that never moves, and nobody waits for a lock. Who writes lines looks once a second at what was left out.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use levibot_core::domain::{Span, Symbol, Ts};

/// Symbols with a bucket of their own; further ones share that of no symbol.
const SLOTS: usize = 4_096;
/// Places of the table that are looked at for a symbol.
const PROBES: usize = 64;
/// So many seconds' worth of lines may come at once.
const BURST_SECONDS: i64 = 10;
/// How often what was left out is told.
const TELL_EVERY: Span = Span::SECOND;

/// See the module.
pub(super) struct Caps {
    /// What a line takes from its bucket, nanoseconds.
    interval: i64,
    /// How far a bucket may be ahead of the clock, nanoseconds.
    ahead: i64,
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    symbol: OnceLock<Symbol>,
    /// The instant at which the bucket is full again, nanoseconds of the monotonic clock.
    full_at: AtomicI64,
    /// Lines that were left out since the start.
    left_out: AtomicU64,
}

impl fmt::Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caps").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Caps {
    /// So many lines a second and symbol, at least 1, and ten times as many at once.
    pub(super) fn new(lines_per_second: u32) -> Self {
        let rate = i64::from(lines_per_second.max(1));
        let interval = (Span::SECOND.nanos() / rate).max(1);
        let ahead = interval * (rate * BURST_SECONDS - 1);
        Self { interval, ahead, slots: (0..SLOTS).map(|_| Slot::default()).collect() }
    }

    /// Whether a line of this symbol goes through now. If not it is counted.
    pub(super) fn let_through(&self, symbol: Option<Symbol>, now: Ts) -> bool {
        let slot = self.slot(symbol);
        let now = now.nanos();
        let taken = slot.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let full_at = full_at.max(now);
            (full_at - now <= self.ahead).then_some(full_at + self.interval)
        });
        if taken.is_err() {
            slot.left_out.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// The first place is that of no symbol.
    fn slot(&self, symbol: Option<Symbol>) -> &Slot {
        let Some(symbol) = symbol else { return &self.slots[0] };
        let start = place(symbol);
        for probe in 0..PROBES {
            let slot = &self.slots[1 + (start + probe) % (SLOTS - 1)];
            if *slot.symbol.get_or_init(|| symbol) == symbol {
                return slot;
            }
        }
        &self.slots[0]
    }
}

/// FNV-1a, folded to a place in the table.
fn place(symbol: Symbol) -> usize {
    let hash =
        symbol.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize
}

/// One writer's view of what was left out: each tells it in its own place.
#[derive(Debug)]
pub(super) struct LeftOut {
    caps: Arc<Caps>,
    told: Vec<u64>,
    looked: Ts,
}

impl LeftOut {
    pub(super) fn new(caps: Arc<Caps>, now: Ts) -> Self {
        Self { caps, told: vec![0; SLOTS], looked: now }
    }

    /// What is new, once a second; at the end regardless of the time.
    pub(super) fn look(&mut self, now: Ts, is_end: bool) -> Vec<(Option<Symbol>, u64)> {
        if now - self.looked < TELL_EVERY && !is_end {
            return Vec::new();
        }
        self.looked = now;
        let slots = self.caps.slots.iter().zip(&mut self.told);
        slots
            .filter_map(|(slot, told)| {
                let all = slot.left_out.load(Ordering::Relaxed);
                let new = all - std::mem::replace(told, all);
                (new > 0).then(|| (slot.symbol.get().copied(), new))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(n: usize) -> Option<Symbol> {
        format!("S{n}").parse().ok()
    }

    #[test]
    fn a_bucket_holds_ten_seconds_and_fills_at_its_rate() {
        let caps = Caps::new(200);
        let through = |symbol, at: i64, tries: usize| {
            (0..tries).filter(|_| caps.let_through(symbol, Ts::from_millis(at))).count()
        };
        assert_eq!(through(symbol(1), 5_000, 3_000), 2_000);
        assert_eq!(through(symbol(2), 5_000, 1_500), 1_500, "another symbol has its own");
        assert_eq!(through(None, 5_000, 3_000), 2_000);
        assert_eq!(through(symbol(1), 5_100, 3_000), 20);
        assert_eq!(through(symbol(1), 6_100, 3_000), 200);
        assert_eq!(through(symbol(1), 60_000, 3_000), 2_000, "it holds no more than that");
        let mut view = LeftOut::new(Arc::new(caps), Ts::EPOCH);
        let mut left: Vec<_> = view.look(Ts::from_secs(1), false);
        left.sort_unstable();
        assert_eq!(left, [(None, 1_000), (symbol(1), 1_000 + 2_980 + 2_800 + 1_000)]);
    }

    #[test]
    fn what_is_left_out_is_told_once_a_second_and_to_everybody() {
        let caps = Arc::new(Caps::new(1));
        let flood = || (0..15).filter(|_| caps.let_through(symbol(1), Ts::EPOCH)).count();
        let mut views = [0, 1].map(|_| LeftOut::new(Arc::clone(&caps), Ts::EPOCH));
        flood();
        for view in &mut views {
            assert_eq!(view.look(Ts::from_millis(999), false), []);
            assert_eq!(view.look(Ts::from_secs(1), false), [(symbol(1), 5)]);
            assert_eq!(view.look(Ts::from_secs(3), false), []);
        }
        flood();
        assert_eq!(views[0].look(Ts::from_secs(3), true), [(symbol(1), 15)]);
    }

    #[test]
    fn more_symbols_than_places_share_one_and_lose_nothing_but_their_own() {
        let caps = Caps::new(1);
        for n in 0..2 * SLOTS {
            caps.let_through(symbol(n), Ts::EPOCH);
        }
        let own = caps.slots.iter().filter(|slot| slot.symbol.get().is_some()).count();
        assert!(own > SLOTS / 2, "{own}");
        assert!(caps.slots[0].left_out.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let caps = Caps::new(100);
        let through = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2_000 {
                        if caps.let_through(symbol(n % 2), Ts::EPOCH) {
                            through.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(through.load(Ordering::Relaxed), 2_000);
    }
}
