//! How a child process ended, and what it said last.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last lines of standard error that are kept to say how a process ended.
const LINES_MAX: usize = 3;
/// The longest line that is taken whole, bytes.
pub const LINE_BYTES_MAX: usize = 4_096;
/// The signal that nobody can hear.
const KILL: i32 = 9;

/// Its last words, oldest first; shared between who hears them and who asks for them.
#[derive(Debug, Clone, Default)]
pub struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    /// Takes a line, without its end; the oldest is forgotten.
    pub fn push(&self, line: String) {
        let mut words = self.lines();
        if words.len() == LINES_MAX {
            words.pop_front();
        }
        words.push_back(line);
    }

    /// The line that holds `part`.
    pub fn find(&self, part: &str) -> Option<String> {
        self.lines().iter().find(|line| line.contains(part)).cloned()
    }

    /// How a process with this status ended, in words, with what it said last.
    pub fn how(&self, status: ExitStatus) -> String {
        let ended = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}{}", name(signal)),
            (None, None) => "ended".to_owned(),
        };
        // Who was killed has said nothing about it.
        if status.signal() == Some(KILL) {
            return ended;
        }
        match self.lines().iter().map(String::as_str).collect::<Vec<_>>().join("; ") {
            said if said.is_empty() => ended,
            said => format!("{ended}: {said}"),
        }
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| String::new(), |signal| format!(" ({signal})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_with_its_last_lines() {
        let words = LastWords::default();
        assert_eq!(words.how(ExitStatus::from_raw(7 << 8)), "exit code 7");
        (1..=4).for_each(|n| words.push(format!("line {n}")));
        assert_eq!(words.how(ExitStatus::from_raw(7 << 8)), "exit code 7: line 2; line 3; line 4");
        assert_eq!(words.how(ExitStatus::from_raw(6)), "killed by signal 6 (SIGABRT): line 2; line 3; line 4");
        assert_eq!(words.how(ExitStatus::from_raw(9)), "killed by signal 9 (SIGKILL)");
        assert_eq!(words.find("3").as_deref(), Some("line 3"));
    }
}
