//! Ctrl-C while much is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// What a shell gives for a program that Ctrl-C ended: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C (or SIGTERM) sets from now on; a second one ends the program. To be called before other threads
/// start. Where the system refuses, Ctrl-C ends the program at once, as it does without this.
pub(super) fn flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if signals.thread_block().is_err() {
        return stop;
    }
    let set = Arc::clone(&stop);
    let wait = move || {
        while signals.wait().is_ok() {
            if set.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
        }
    };
    let started = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    if started.is_err() {
        // Nobody would see them any more.
        let _ = signals.thread_unblock();
    }
    stop
}
