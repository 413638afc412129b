//! The model server as a process: `levibot-model serve` with a socket as its standard input.
//!
//! It ends when the socket is closed, so that a daemon that is killed leaves none behind.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use levibot_core::domain::ModelVersion;

use super::server::{ModelHost, ServerProcess};
use crate::config::SLACK_WEBHOOK;

/// The log's target of what the server writes to standard error.
const TARGET: &str = "levibot::model";
/// The last lines of standard error that are kept to say how it ended.
const LINES_MAX: usize = 3;
/// The longest line that is taken whole.
const LINE_BYTES_MAX: u64 = 4_096;
/// What the dynamic linker ends with when a library is missing, as shells do for a missing program.
const NO_LIBRARY: i32 = 127;
/// The signal that nobody can hear.
const KILL: i32 = 9;

/// How the server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelProcess {
    /// The program.
    pub binary: PathBuf,
    /// The folder of versions.
    pub models: PathBuf,
    /// The version that is to answer; `None`: the one in use, also when that changes.
    pub version: Option<ModelVersion>,
    /// Threads of native code.
    pub threads: u32,
}

impl ModelHost for ModelProcess {
    fn start(&self, socket: UnixStream) -> Result<Arc<dyn ServerProcess>, String> {
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--models").arg(&self.models).arg("--threads").arg(self.threads.to_string());
        if let Some(version) = self.version {
            command.arg("--version").arg(version.to_string());
        }
        // What it does not need to know it is not told.
        command.env_remove(SLACK_WEBHOOK);
        // A process group of its own: Ctrl-C on the terminal is the daemon's, which ends the server in its turn.
        command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let failed = |error| {
            format!("{} cannot be started: {error}; build it with `cargo build --workspace`", self.binary.display())
        };
        let mut child = command.spawn().map_err(failed)?;
        let words = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&words);
            let forward = move || forward(stderr, &words);
            if let Err(error) = std::thread::Builder::new().name("model-log".to_owned()).spawn(forward) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("cannot start a thread: {error}"));
            }
        }
        Ok(Arc::new(Running { pid: child.id(), child: Mutex::new(child), words }))
    }
}

/// Its last words, oldest first.
type LastWords = Arc<Mutex<VecDeque<String>>>;

#[derive(Debug)]
struct Running {
    pid: u32,
    child: Mutex<Child>,
    words: LastWords,
}

impl ServerProcess for Running {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn kill(&self) {
        // One that has been waited for is left alone: its number may be another's by now.
        let _ = lock(&self.child).kill();
    }

    fn ended(&self) -> Option<String> {
        match lock(&self.child).try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(how(status, &lock(&self.words))),
            Err(error) => Some(format!("it cannot be waited for: {error}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a process ended, in words, with the remedy where one is known.
fn how(status: ExitStatus, words: &VecDeque<String>) -> String {
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let missing = words.iter().find(|line| line.contains("error while loading shared libraries"));
    if missing.is_some() || status.code() == Some(NO_LIBRARY) {
        let line = missing.map(|line| format!(" ({line})")).unwrap_or_default();
        return format!(
            "{ended}: a native library is missing{line}: run scripts/setup.sh, which brings libtorch, and start levibot \
             with scripts/run.sh"
        );
    }
    // Who was killed has said nothing about it.
    if status.signal() == Some(KILL) {
        return ended;
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>().join("; ") {
        said if said.is_empty() => ended,
        said => format!("{ended}: {said}"),
    }
}

/// Lines of standard error to the log; the last are kept.
fn forward(stderr: impl Read, words: &LastWords) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        tracing::info!(target: TARGET, "{text}");
        let mut words = lock(words);
        if words.len() == LINES_MAX {
            words.pop_front();
        }
        words.push_back(text);
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
