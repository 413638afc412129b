//! Training in a child: capped, limited in time, and heard.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::training::line;

/// How much nicer than others a training is.
const NICE: &str = "10";
/// Lines of the child that are kept for telling why it failed.
const TAIL_LINES: usize = 8;
/// How long a child may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What runtimes say when they are refused memory.
const OUT_OF_MEMORY: [&str; 5] =
    ["memory allocation of", "bad_alloc", "not enough memory", "llocate memory", "Thread creation failed"];

/// Why a training in a child gave no version.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The program cannot be started.
    #[error("{}: cannot be started; build it with `cargo build --release`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took longer than it may.
    #[error("training took longer than {} and was ended; raise --time-max, or train on fewer days", minutes(*.limit))]
    Time {
        /// How long it might have taken.
        limit: Duration,
    },
    /// It wanted more memory than it may have.
    #[error("training wanted more memory than its limit ({said}); raise --memory-max, or train on fewer days")]
    Memory {
        /// The words of the runtime.
        said: String,
    },
    /// It was ended by a signal.
    #[error("training was ended by {signal}{}", tail(.last))]
    Signal {
        /// Its name.
        signal: String,
        /// Its last lines.
        last: Vec<String>,
    },
    /// It failed.
    #[error("training failed with code {code}{}", tail(.last))]
    Code {
        /// Its exit code.
        code: i32,
        /// Its last lines.
        last: Vec<String>,
    },
    /// It says that it is done, but not which version it made.
    #[error("training ended without naming a version; its program must be of the same build")]
    Mute,
}

fn minutes(limit: Duration) -> String {
    if limit.as_secs() >= 120 {
        format!("{} min", limit.as_secs() / 60)
    } else {
        format!("{:.1} s", limit.as_secs_f64())
    }
}

fn tail(last: &[String]) -> String {
    if last.is_empty() { String::new() } else { format!(": {}", last.join(" | ")) }
}

/// A child that is to be run.
#[derive(Debug, Clone)]
pub struct ChildPlan {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub time_max: Duration,
}

impl ChildPlan {
    /// Runs it to its end in a process group of its own, nicer than others where the system has `nice`. Its standard error
    /// passes through line by line; its standard output is returned. At the limit the whole group is asked to end, and
    /// ended by force if it does not.
    ///
    /// # Errors
    /// [`ChildError`].
    pub fn run(&self) -> Result<String, ChildError> {
        let mut child = self.spawn()?;
        let (said, heard) = (read_all(child.stdout.take()), listen(child.stderr.take()));
        let ended = wait(&mut child, self.time_max);
        let output = said.join().unwrap_or_default();
        let last = heard.join().unwrap_or_default();
        match ended {
            None => Err(ChildError::Time { limit: self.time_max }),
            Some(status) if status.success() => Ok(output),
            Some(status) => Err(told(status, last)),
        }
    }

    fn spawn(&self) -> Result<Child, ChildError> {
        let start = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
        };
        let nice = start(Command::new("nice").args(["-n", NICE]).arg(&self.program).args(&self.arguments));
        let child = match nice {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                start(Command::new(&self.program).args(&self.arguments))
            }
            other => other,
        };
        child.map_err(|source| ChildError::Start { program: self.program.clone(), source })
    }
}

/// How it ended; `None` when it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(LOOK_EVERY),
            Err(_) => break,
        }
    }
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let _ = killpg(group, Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(LOOK_EVERY);
    }
    // Whoever of the group is left; the group is gone when nobody is.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    None
}

fn told(status: ExitStatus, last: Vec<String>) -> ChildError {
    let refused = last.iter().find(|line| OUT_OF_MEMORY.iter().any(|words| line.contains(words)));
    if let Some(said) = refused {
        return ChildError::Memory { said: said.clone() };
    }
    match (status.code(), status.signal()) {
        (Some(code), _) => ChildError::Code { code, last },
        (None, number) => {
            let signal = number.and_then(|number| Signal::try_from(number).ok());
            let signal = signal.map_or_else(|| "a signal".to_owned(), |signal| signal.to_string());
            ChildError::Signal { signal, last }
        }
    }
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Passes lines on and keeps the last ones.
fn listen(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut last = VecDeque::new();
        let Some(pipe) = pipe else { return Vec::new() };
        for text in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text).into_owned();
            line(&format!("  {text}"));
            if last.len() == TAIL_LINES {
                last.pop_front();
            }
            last.push_back(text);
        }
        last.into()
    })
}
