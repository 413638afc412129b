//! Engines as processes: whatever happens in one, a crash of native code and a kill among it, happens to it alone.
//!
//! The process is made by the thread that calls [`ProcessHost::start`], which must live as long as the daemon: the kernel
//! ends an engine with the *thread* that made it. Sockets are read by one thread for all engines.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use levibot_core::driver::EngineInput;
use levibot_core::engine::EngineSetup;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::child::SELF;
use super::reading::{Ear, Mouth};
use super::sending::{Rests, Sending};
use super::wire::{self, Begin};
use super::{
    EngineHandle, EngineHost, EngineLink, EngineSetups, EngineSpec, Offer, Progress, SpawnError, StartedEngine,
    error_stream,
};
use crate::child_process::ChildProcess;
use crate::house_link::{HouseLink, Outgoing};
use crate::last_words::LastWords;
use crate::supervisor::EngineSays;

/// How long a process whose socket is closed may take to end before it is ended by force.
const END_DEADLINE: Duration = Duration::from_secs(1);
/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long its last words are waited for once it has ended.
const WORDS_DEADLINE: Duration = Duration::from_millis(100);

/// See the module.
pub struct ProcessHost {
    program: PathBuf,
    setups: EngineSetups,
    house: HouseLink,
    supervisor: Recipient<EngineSays>,
    io: Arbiter,
}

impl fmt::Debug for ProcessHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHost").field("program", &self.program).finish_non_exhaustive()
    }
}

impl ProcessHost {
    /// Open files of the daemon for each engine: its socket twice, for writing and for reading, and its standard error.
    pub const OPEN_FILES: u64 = 3;

    /// A host whose engines are this program again, answer to `house` and report to `supervisor`.
    pub fn new(setups: EngineSetups, house: HouseLink, supervisor: Recipient<EngineSays>) -> Self {
        Self::of(PathBuf::from(SELF), setups, house, supervisor)
    }

    /// The same with another program.
    pub fn of(program: PathBuf, setups: EngineSetups, house: HouseLink, supervisor: Recipient<EngineSays>) -> Self {
        Self { program, setups, house, supervisor, io: Arbiter::new() }
    }

    /// The process and our end of its socket. It inherits nothing: no variable, no file, no folder.
    fn spawn(&self, spec: EngineSpec) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.arg0(format!("engine-{}", spec.symbol)).arg("engine").arg("--symbol").arg(spec.symbol.as_str());
        command.arg("--generation").arg(spec.generation.to_string());
        command.arg("--daemon").arg(std::process::id().to_string());
        // A process group of its own: Ctrl-C on the terminal is the daemon's, which ends its engines in order.
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok((command.spawn()?, ours))
    }

    fn run(&self, spec: EngineSpec, setup: EngineSetup) -> io::Result<StartedEngine> {
        let hello = wire::hello("daemon", wire::build(&self.program)?);
        let (mut child, socket) = self.spawn(spec)?;
        let stderr = child.stderr.take();
        let running = Arc::new(ChildProcess::new(child));
        let progress = Arc::new(Progress::default());
        let reading = socket.try_clone()?;
        let (sending, rests) = Sending::new(socket, Arc::clone(&progress));
        let sending = Arc::new(sending);
        let setup_hash = wire::setup_hash(&setup);
        let (symbol, generation) = (spec.symbol, spec.generation);
        // Where it does not get through, the engine is gone already, which is heard of.
        let _ = sending.begin(Begin { hello: hello.clone(), symbol, generation, setup, setup_hash });
        let (house, mouth) = (Outgoing::new(self.house.clone()), Mouth(self.supervisor.clone()));
        let ear = Ear { spec, hello, setup_hash, progress: Arc::clone(&progress), house, mouth };
        let (attended, sender) = (Arc::clone(&running), Arc::clone(&sending));
        if !self.io.spawn(attend(ear, Streams { socket: reading, stderr, rests }, attended, sender)) {
            running.kill();
            return Err(io::Error::other("the thread that hears engines has ended; restart the daemon"));
        }
        let link = ProcessLink { sending: Arc::clone(&sending) };
        Ok((Box::new(ProcessHandle { generation, progress, sending, running }), Box::new(link)))
    }
}

impl Drop for ProcessHost {
    fn drop(&mut self) {
        self.io.stop();
    }
}

impl EngineHost for ProcessHost {
    fn isolation(&self) -> &'static str {
        "process"
    }

    fn start(&self, spec: EngineSpec) -> Result<StartedEngine, SpawnError> {
        let failed = |reason| SpawnError { symbol: spec.symbol, reason };
        let setup = (self.setups)(spec.instrument).map_err(failed)?;
        self.run(spec, setup).map_err(|error| failed(format!("{}: {error}", self.program.display())))
    }
}

#[derive(Debug)]
struct ProcessHandle {
    generation: u64,
    progress: Arc<Progress>,
    sending: Arc<Sending>,
    running: Arc<ChildProcess>,
}

impl EngineHandle for ProcessHandle {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn pid(&self) -> Option<u32> {
        Some(self.running.pid())
    }

    fn beat(&self) {
        self.sending.beat();
    }

    fn stop(&self) -> bool {
        self.sending.close();
        false
    }

    fn abandon(self: Box<Self>) {
        self.running.kill();
    }

    #[cfg(feature = "fault-injection")]
    fn inject(&self, fault: crate::control::Fault) -> Result<(), String> {
        if self.sending.inject(fault) { Ok(()) } else { Err("the engine takes nothing now: try again".to_owned()) }
    }
}

#[derive(Debug)]
struct ProcessLink {
    sending: Arc<Sending>,
}

impl EngineLink for ProcessLink {
    fn offer(&self, input: EngineInput) -> Offer {
        self.sending.offer(input)
    }
}

/// What is read from and written to a process, besides what [`Sending`] writes itself.
struct Streams {
    socket: UnixStream,
    stderr: Option<ChildStderr>,
    rests: Rests,
}

/// Stays with a process from its first word until it has ended, and says how.
async fn attend(mut ear: Ear, streams: Streams, process: Arc<ChildProcess>, sending: Arc<Sending>) {
    let words = LastWords::default();
    let symbol = ear.spec.symbol;
    let stderr = streams.stderr.and_then(|stderr| pipe::Receiver::from_owned_fd(stderr.into()).ok());
    let log = stderr.map(|stderr| actix_rt::spawn(error_stream::forward(stderr, symbol, words.clone())));
    let fault = match tokio::net::UnixStream::from_std(streams.socket) {
        Ok(socket) => {
            let (reading, writing) = socket.into_split();
            let writer = actix_rt::spawn(write_rests(writing, streams.rests, sending));
            let fault = ear.listen(reading).await;
            writer.abort();
            fault
        }
        Err(error) => Some(format!("its socket cannot be read: {error}")),
    };
    if fault.is_some() {
        process.kill();
    }
    let status = wait(&process).await;
    if let Some(log) = log {
        // Whoever holds its standard error open after its end is not waited for.
        let _ = tokio::time::timeout(WORDS_DEADLINE, log).await;
    }
    let cause = fault.unwrap_or_else(|| match status {
        Ok(status) => words.how(status),
        Err(error) => format!("it cannot be waited for: {error}"),
    });
    let EngineSpec { instrument, generation, .. } = ear.spec;
    ear.mouth.say(EngineSays::Gone { instrument, generation, cause }).await;
}

/// Writes what did not fit, in the order in which it comes.
async fn write_rests(mut socket: tokio::net::unix::OwnedWriteHalf, mut rests: Rests, sending: Arc<Sending>) {
    while let Some(rest) = rests.recv().await {
        // One that cannot be written is the end of the process, which is heard of.
        if socket.write_all(&rest).await.is_err() {
            break;
        }
        sending.rested();
    }
    // Dropping it would end what is said to the engine.
    socket.forget();
}

/// Waits until the process has ended; by force when it does not by itself.
async fn wait(process: &ChildProcess) -> io::Result<ExitStatus> {
    let begin = tokio::time::Instant::now();
    loop {
        if let Some(ended) = process.ended() {
            return ended;
        }
        if begin.elapsed() >= END_DEADLINE {
            process.kill();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
