//! Many pieces of work on several threads, with an outcome that does not depend on how many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Does `work` for every number under `count` and gives what came of each, in their order. Once `stop` is set no further one is
/// begun; those that were not are `None`. Where the system refuses a thread, those that there are do the work.
pub(super) fn each<R: Send>(
    threads: usize,
    count: usize,
    stop: &AtomicBool,
    work: impl Fn(usize) -> R + Sync,
) -> Vec<Option<R>> {
    let cursor = AtomicUsize::new(0);
    let one = || {
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let at = cursor.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                break;
            }
            done.push((at, work(at)));
        }
        done
    };
    let mut all: Vec<Option<R>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut place = |done: Vec<(usize, R)>| {
        for (at, result) in done {
            if let Some(slot) = all.get_mut(at) {
                *slot = Some(result);
            }
        }
    };
    thread::scope(|scope| {
        // This thread is one of them.
        let start = |_| thread::Builder::new().spawn_scoped(scope, one).ok();
        let others: Vec<_> = (1..threads.clamp(1, count.max(1))).map_while(start).collect();
        place(one());
        for other in others {
            match other.join() {
                Ok(done) => place(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}

/// How many threads the machine runs at once.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_order_whatever_the_threads() {
        for threads in [0, 1, 2, 8, 100] {
            let squares = each(threads, 57, &AtomicBool::new(false), |n| n * n);
            assert_eq!(squares, (0..57).map(|n| Some(n * n)).collect::<Vec<_>>());
        }
        assert!(each(4, 0, &AtomicBool::new(false), |n| n).is_empty());
    }

    #[test]
    fn after_a_stop_nothing_is_begun() {
        let stop = AtomicBool::new(false);
        let done = each(1, 10, &stop, |n| stop.store(n == 3, Ordering::Relaxed));
        assert_eq!(done.iter().filter(|one| one.is_some()).count(), 4);
        assert!(done.iter().skip(4).all(Option::is_none));
    }
}
