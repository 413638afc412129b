//! The model server as a process: `levibot-model serve` with a socket as its standard input.
//!
//! It ends when the socket is closed, so that a daemon that is killed leaves none behind.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use levibot_core::domain::ModelVersion;

use super::server::{ModelHost, ServerProcess};
use crate::child_process::ChildProcess;
use crate::config::SLACK_WEBHOOK;
use crate::last_words::{LINE_BYTES_MAX, LastWords};

/// The log's target of what the server writes to standard error.
const TARGET: &str = "levibot::model";
/// What the dynamic linker ends with when a library is missing, as shells do for a missing program.
const NO_LIBRARY: i32 = 127;

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
        let words = LastWords::default();
        if let Some(stderr) = child.stderr.take() {
            let words = words.clone();
            let forward = move || forward(stderr, &words);
            if let Err(error) = std::thread::Builder::new().name("model-log".to_owned()).spawn(forward) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("cannot start a thread: {error}"));
            }
        }
        Ok(Arc::new(Running { child: ChildProcess::new(child), words }))
    }
}

#[derive(Debug)]
struct Running {
    child: ChildProcess,
    words: LastWords,
}

impl ServerProcess for Running {
    fn pid(&self) -> Option<u32> {
        Some(self.child.pid())
    }

    fn kill(&self) {
        self.child.kill();
    }

    fn ended(&self) -> Option<String> {
        Some(match self.child.ended()? {
            Ok(status) => how(status, &self.words),
            Err(error) => format!("it cannot be waited for: {error}"),
        })
    }
}

/// How a process ended, in words, with the remedy where one is known.
fn how(status: ExitStatus, words: &LastWords) -> String {
    let missing = words.find("error while loading shared libraries");
    if missing.is_none() && status.code() != Some(NO_LIBRARY) {
        return words.how(status);
    }
    let ended = LastWords::default().how(status);
    let line = missing.map(|line| format!(" ({line})")).unwrap_or_default();
    format!(
        "{ended}: a native library is missing{line}: run scripts/setup.sh, which brings libtorch, and start levibot with \
         scripts/run.sh"
    )
}

/// Lines of standard error to the log; the last are kept.
fn forward(stderr: impl Read, words: &LastWords) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        tracing::info!(target: TARGET, "{text}");
        words.push(text);
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
