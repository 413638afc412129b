//! Faults that an engine can be made to commit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long a `sleep` without a length is, milliseconds: longer than an engine may be without progress.
const SLEEP_MS: u64 = 6_000;
/// The longest sleep, milliseconds.
const SLEEP_MS_MAX: u64 = 600_000;

/// What an engine can be made to do wrong. It commits the fault in the loop that does its work, and not beside it: a spin
/// is one that nothing else of the engine gets past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Panics while it handles a piece of work.
    Panic,
    /// Panics in a future.
    PanicAsync,
    /// Panics, and again while its state is dropped for it.
    PanicInDrop,
    /// Computes and never comes back.
    Spin,
    /// Blocks for a while.
    Sleep {
        /// How long, 1 to 600,000.
        ms: u64,
    },
    /// Takes what it is given and does nothing with it.
    Freeze,
    /// Dies of SIGSEGV.
    Segfault,
    /// Dies of SIGABRT.
    Abort,
    /// Takes memory until there is none for it.
    OutOfMemory,
    /// Calls itself until its stack is used up.
    StackOverflow,
    /// Ends with exit code 0 and says nothing.
    Exit,
    /// Is stopped by SIGSTOP and stays so.
    Sigstop,
    /// Answers what is no message.
    GarbageFrame,
    /// Answers more than a message may hold.
    OversizedFrame,
    /// Answers what nobody asked, and writes to standard error, as fast as it can.
    Flood,
    /// Answers in the name of the generation before it.
    StaleGeneration,
}

impl Fault {
    /// One of each.
    pub const ALL: [Self; 16] = [
        Self::Panic,
        Self::PanicAsync,
        Self::PanicInDrop,
        Self::Spin,
        Self::Sleep { ms: SLEEP_MS },
        Self::Freeze,
        Self::Segfault,
        Self::Abort,
        Self::OutOfMemory,
        Self::StackOverflow,
        Self::Exit,
        Self::Sigstop,
        Self::GarbageFrame,
        Self::OversizedFrame,
        Self::Flood,
        Self::StaleGeneration,
    ];

    /// Its name, without a length.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::PanicAsync => "panic_async",
            Self::PanicInDrop => "panic_in_drop",
            Self::Spin => "spin",
            Self::Sleep { .. } => "sleep",
            Self::Freeze => "freeze",
            Self::Segfault => "segfault",
            Self::Abort => "abort",
            Self::OutOfMemory => "out_of_memory",
            Self::StackOverflow => "stack_overflow",
            Self::Exit => "exit",
            Self::Sigstop => "sigstop",
            Self::GarbageFrame => "garbage_frame",
            Self::OversizedFrame => "oversized_frame",
            Self::Flood => "flood",
            Self::StaleGeneration => "stale_generation",
        }
    }

    /// Why only an engine that is a process may commit it; `None` when a thread may too.
    pub const fn needs_process(self) -> Option<&'static str> {
        match self {
            Self::Panic | Self::PanicAsync | Self::Spin | Self::Sleep { .. } | Self::Freeze => None,
            Self::PanicInDrop | Self::Segfault | Self::Abort | Self::Exit => Some("it would end the daemon with it"),
            Self::OutOfMemory | Self::StackOverflow => Some("it would take the daemon's memory and end it"),
            Self::Sigstop => Some("it would stop the whole daemon"),
            Self::GarbageFrame | Self::OversizedFrame | Self::Flood | Self::StaleGeneration => {
                Some("a thread sends values, not frames")
            }
        }
    }

    /// Whether the engine is still there afterwards and shows by its lack of progress alone that something is wrong.
    pub const fn hangs(self) -> bool {
        matches!(self, Self::Spin | Self::Sleep { .. } | Self::Freeze | Self::Sigstop)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sleep { ms } => write!(f, "sleep:{ms}"),
            _ => f.write_str(self.name()),
        }
    }
}

/// Text that names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no fault: write one of {known}; a sleep may have a length, such as sleep:5000 (1 to {SLEEP_MS_MAX} ms)"
)]
pub struct FaultError {
    text: String,
    known: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let length = |rest: &str| rest.parse().ok().filter(|ms| (1..=SLEEP_MS_MAX).contains(ms));
        let found = match text.strip_prefix("sleep:") {
            Some(rest) => length(rest).map(|ms| Self::Sleep { ms }),
            None => Self::ALL.into_iter().find(|fault| fault.name() == text),
        };
        found.ok_or_else(|| FaultError {
            text: text.chars().take(64).collect(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(fault.name().parse(), Ok(fault));
            let json = serde_json::to_string(&fault).unwrap();
            assert!(json.contains(fault.name()), "{json} and {fault} have one name");
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault);
        }
        assert_eq!("sleep:1".parse(), Ok(Fault::Sleep { ms: 1 }));
        for wrong in ["", "Panic", "sleep:", "sleep:0", "sleep:600001", "sleep:x", "nap"] {
            let error = wrong.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("stale_generation"), "{error}");
        }
    }
}
