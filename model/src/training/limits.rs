//! What a training may take, and how it ends early.

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::show;

/// Why a limit could not be set.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Text that is not a size.
    #[error("`{text}` is not a size of memory: write a whole number and a unit, such as 6GiB or 800MiB")]
    Size {
        /// What was given.
        text: String,
    },
    /// Text that is not a length of time.
    #[error("`{text}` is not a length of time: write a whole number and a unit, such as 30m, 90s or 2h")]
    Time {
        /// What was given.
        text: String,
    },
    /// The system refused.
    #[error("the memory limit of {bytes} bytes cannot be set: choose one under the limit in force (`ulimit -d`)")]
    Memory {
        /// What was asked for.
        bytes: u64,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for")]
    Signals(#[source] Errno),
    /// The thread that waits cannot be made.
    #[error("a thread cannot be made: end other programs of this user")]
    Thread(#[source] std::io::Error),
}

/// Reads `6GiB`, `800MiB`, `512KiB`: bytes.
///
/// # Errors
/// [`LimitError::Size`] for anything else, zero included.
pub fn parse_size(text: &str) -> Result<u64, LimitError> {
    let fail = || LimitError::Size { text: text.to_owned() };
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let parts = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = parts.ok_or_else(fail)?;
    let number: u64 = number.trim().parse().map_err(|_| fail())?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(fail)
}

/// Caps the memory that this process may allocate (`RLIMIT_DATA`: heap and private mappings). What wants more fails.
///
/// # Errors
/// [`LimitError::Memory`] when the system refuses.
pub fn cap_memory(bytes: u64) -> Result<(), LimitError> {
    let refused = |source| LimitError::Memory { bytes, source };
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA).map_err(refused)?;
    setrlimit(Resource::RLIMIT_DATA, bytes, hard.min(bytes)).map_err(refused)
}

/// Asks the system to end this process when the one that started it ends, however that ends.
pub fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        // Refused only for an invalid signal.
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    }
}

/// Reads `30m`, `90s`, `2h`.
///
/// # Errors
/// [`LimitError::Time`] for anything else, zero included.
pub fn parse_time_max(text: &str) -> Result<Duration, LimitError> {
    let fail = || LimitError::Time { text: text.to_owned() };
    let units = [('h', 3_600), ('m', 60), ('s', 1)];
    let parts = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = parts.ok_or_else(fail)?;
    let number: u64 = number.trim().parse().map_err(|_| fail())?;
    number.checked_mul(factor).filter(|secs| *secs > 0).map(Duration::from_secs).ok_or_else(fail)
}

/// Ends the process with exit code 130 on SIGINT or SIGTERM: at once, or as soon as what is being written stands whole.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    writing: Arc<Mutex<()>>,
}

impl Interrupt {
    /// The exit code of an interrupted process.
    pub const EXIT: i32 = 130;

    /// Begins to wait. Call it before any other thread is made: threads inherit that the signals are left to the one that waits.
    ///
    /// # Errors
    /// [`LimitError::Signals`] or [`LimitError::Thread`].
    pub fn listen() -> Result<Self, LimitError> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.thread_block().map_err(LimitError::Signals)?;
        let interrupt = Self::default();
        let writing = interrupt.writing.clone();
        let wait = move || {
            let Ok(signal) = signals.wait() else { return };
            show::line(&format!("{signal}: ends; nothing half is left behind"));
            let _whole = writing.lock().unwrap_or_else(PoisonError::into_inner);
            process::exit(Self::EXIT);
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(LimitError::Thread)?;
        Ok(interrupt)
    }

    /// Until the guard is dropped, an interruption waits.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [("6GiB", 6 << 30), ("800MiB", 800 << 20), ("1 KiB", 1 << 10)] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for (text, secs) in [("30m", 1_800), ("90s", 90), ("2h", 7_200)] {
            assert_eq!(parse_time_max(text).unwrap().as_secs(), secs, "{text}");
        }
        for text in ["", "30", "0m", "m", "-1s", "1d", "30mm"] {
            assert!(parse_time_max(text).is_err(), "{text}");
        }
        for text in ["", "6", "6GB", "0GiB", "-1MiB", "1.5GiB", "99999999999GiB"] {
            let error = parse_size(text).unwrap_err().to_string();
            assert!(error.contains("6GiB or 800MiB"), "{text}: {error}");
        }
    }
}
