//! The model server: answers batches of questions over one socket.
//!
//! ```text
//! socket ── reader ──┐
//! link ─── follower ─┼─ events ─> serve ── batch ──> worker (owns one loaded version)
//! new worker ────────┘              │ <── answers ─────┘
//!                                   └──> socket
//! ```
//!
//! Native models never leave the thread that loaded them: each version has a worker of its own. A new version loads in
//! its worker while the old one answers, and takes over between two batches. Batches are answered one at a time, as
//! they were asked: joining them would change the last bits of their answers.

mod follow;
mod reader;
mod signals;
mod worker;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use levibot_core::chain::chain;
use levibot_core::domain::ModelVersion;
use levibot_core::forecast::{Answer, Batch, FromModel, QUESTIONS_MAX, Ready, encode};
use levibot_core::frames::{FrameError, encode_bytes};

pub use signals::end_on_sigterm;
use worker::Worker;

use crate::ensemble::{LoadError, Loaded};
use crate::versions::Versions;

/// Events that wait; a reader that finds them full leaves its frames in the socket.
const EVENTS_MAX: usize = 8;
/// How long an answer may take to leave. A daemon that reads nothing for so long is lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which version answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that `current` names, also when it is another one later.
    Follow,
    /// This one, always.
    Pinned(ModelVersion),
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The folder of versions.
    pub models: PathBuf,
    /// Which version answers.
    pub choice: Choice,
    /// Between two looks at the link.
    pub poll: Duration,
}

/// Why the server ended before the daemon closed the connection.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The first version cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Loading it failed in native code.
    #[error("the version cannot be loaded: {0}")]
    Loading(String),
    /// The stream is out of step, or ended inside a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A whole frame whose payload is none of the words of this protocol.
    #[error("a frame of {bytes} bytes holds no question: the other side does not speak this protocol ({source})")]
    Words {
        /// How long it is.
        bytes: usize,
        /// Where it went wrong.
        source: postcard::Error,
    },
    /// More questions in a batch than the protocol has.
    #[error("a batch of {count} questions is over the limit of {QUESTIONS_MAX}: the other side breaks the protocol")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Standard input is no socket.
    #[error("standard input is not a socket: `serve` is started by the daemon, which gives it one end of a pair")]
    NoSocket(#[source] io::Error),
    /// The system refused a thread, a signal or an option of the socket.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ServeError {
    /// The exit code of the program: 2 for a start that cannot work, 1 for the rest.
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, Self::NoSocket(_)) { 2 } else { 1 }
    }
}

/// What happens around the server.
#[derive(Debug)]
enum Event {
    /// A batch, and when its last byte was there.
    Batch { batch: Batch, received: Instant },
    /// There will be no further one.
    Closed(Result<(), ServeError>),
    /// The link names another version.
    Link(ModelVersion),
    /// A worker has loaded its version, or could not.
    Loaded { generation: u64, outcome: Result<Ready, ServeError> },
}

/// How a version is loaded.
type LoadBy = fn(&Versions, ModelVersion) -> Result<Loaded, LoadError>;

/// Where versions are, and how one is loaded.
#[derive(Debug, Clone)]
struct Loading {
    versions: Versions,
    load_by: LoadBy,
}

/// Makes a line of the log: standard error, which the daemon reads.
fn log(text: &str) {
    let _ = writeln!(io::stderr(), "levibot-model: {text}");
}

/// Standard input as the socket that a daemon gave.
///
/// # Errors
/// [`ServeError::NoSocket`].
pub fn socket_on_stdin() -> Result<UnixStream, ServeError> {
    use std::os::fd::AsFd;
    let fd = io::stdin().as_fd().try_clone_to_owned().map_err(ServeError::NoSocket)?;
    let socket = UnixStream::from(fd);
    socket.peer_addr().map_err(ServeError::NoSocket)?;
    Ok(socket)
}

/// Serves until the other side closes the connection.
///
/// # Errors
/// [`ServeError`]; a version that cannot be used is told to the other side first.
pub fn serve(options: &ServeOptions, socket: UnixStream) -> Result<(), ServeError> {
    serve_by(options, socket, |versions, version| Loaded::load(versions.open(&version)?))
}

fn serve_by(options: &ServeOptions, socket: UnixStream, load_by: LoadBy) -> Result<(), ServeError> {
    let loading = Loading { versions: Versions::new(&options.models), load_by };
    Server::start(options, loading, socket)?.run()
}

/// The one thread that writes to the socket.
#[derive(Debug)]
struct Server {
    loading: Loading,
    socket: UnixStream,
    events: Receiver<Event>,
    /// For workers to come.
    sender: SyncSender<Event>,
    current: Worker,
    in_use: ModelVersion,
    /// The one that loads.
    next: Option<Worker>,
    /// Those that will not answer any more and may still be at work.
    retired: Vec<Worker>,
    generation: u64,
    /// Ends the follower when it is dropped.
    _follower: Option<SyncSender<()>>,
}

impl Server {
    /// Loads the first version and says that it answers.
    fn start(options: &ServeOptions, loading: Loading, socket: UnixStream) -> Result<Self, ServeError> {
        let timeout = socket.set_write_timeout(Some(WRITE_TIMEOUT));
        timeout.map_err(|source| ServeError::System { operation: "set a time limit on the socket", source })?;
        let mut writer = &socket;
        let (sender, events) = sync_channel(EVENTS_MAX);
        let started = Instant::now();
        let (current, ready) = match first_worker(options, &loading, &events, &sender) {
            Ok(first) => first,
            Err(error) => {
                // Whoever is not there any more need not be told.
                let _ = tell(&mut writer, &FromModel::Failed { reason: chain(&error) });
                return Err(error);
            }
        };
        log(&format!("version {} is ready after {} ms", ready.version, started.elapsed().as_millis()));
        let in_use = ready.version;
        tell(&mut writer, &FromModel::Ready(ready))?;
        let follower = match options.choice {
            Choice::Pinned(_) => None,
            Choice::Follow => Some(follow::spawn(loading.versions.clone(), in_use, options.poll, sender.clone())?),
        };
        reader::spawn(&socket, sender.clone())?;
        let (next, retired, generation) = (None, Vec::new(), 0);
        Ok(Self { loading, socket, events, sender, current, in_use, next, retired, generation, _follower: follower })
    }

    fn run(mut self) -> Result<(), ServeError> {
        loop {
            // The server itself holds a sender, so that the channel never ends.
            let Ok(event) = self.events.recv() else { return Ok(()) };
            match event {
                Event::Batch { batch, received } => self.answer(batch, received)?,
                Event::Closed(Ok(())) => {
                    log("the connection was closed; ending");
                    return Ok(());
                }
                Event::Closed(Err(error)) => return Err(error),
                Event::Link(version) => self.change_to(version)?,
                Event::Loaded { generation, outcome } => self.take_over(generation, outcome)?,
            }
        }
    }

    fn answer(&mut self, batch: Batch, received: Instant) -> Result<(), ServeError> {
        let id = batch.id;
        let forecasts = self.current.ask(batch);
        let took_us = u64::try_from(received.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.tell(&FromModel::Answer(Answer { id, forecasts, took_us }))
    }

    fn change_to(&mut self, version: ModelVersion) -> Result<(), ServeError> {
        self.retired.extend(self.next.take());
        // One that was overtaken while it loaded has nothing left to do.
        self.retired.iter_mut().for_each(Worker::end);
        self.retired.retain(|worker| !worker.is_finished());
        if version == self.in_use {
            return Ok(());
        }
        log(&format!("version {version} is to be used; loading it while {} answers", self.in_use));
        self.generation += 1;
        match Worker::spawn(self.generation, version, self.loading.clone(), self.sender.clone()) {
            Ok(worker) => self.next = Some(worker),
            Err(error) => return self.refuse(&error),
        }
        Ok(())
    }

    fn take_over(&mut self, generation: u64, outcome: Result<Ready, ServeError>) -> Result<(), ServeError> {
        // A version that was overtaken by another while it loaded.
        let Some(worker) = self.next.take_if(|next| next.generation == generation) else { return Ok(()) };
        match outcome {
            Ok(ready) => {
                log(&format!("version {} answers from now on", ready.version));
                self.in_use = ready.version;
                self.retired.push(std::mem::replace(&mut self.current, worker));
                self.retired.iter_mut().for_each(Worker::end);
                self.tell(&FromModel::Ready(ready))
            }
            Err(error) => {
                self.retired.push(worker);
                self.refuse(&error)
            }
        }
    }

    fn refuse(&mut self, error: &ServeError) -> Result<(), ServeError> {
        let reason = chain(error);
        log(&format!("version {} stays in use: {reason}", self.in_use));
        self.tell(&FromModel::Failed { reason })
    }

    fn tell(&self, message: &FromModel) -> Result<(), ServeError> {
        tell(&mut &self.socket, message)
    }
}

/// The worker of the version that the server begins with, when it has loaded it.
fn first_worker(
    options: &ServeOptions,
    loading: &Loading,
    events: &Receiver<Event>,
    sender: &SyncSender<Event>,
) -> Result<(Worker, Ready), ServeError> {
    let version = match options.choice {
        Choice::Pinned(version) => version,
        Choice::Follow => loading.versions.open_current().map_err(LoadError::from)?.metadata.version,
    };
    let worker = Worker::spawn(0, version, loading.clone(), sender.clone())?;
    match events.recv() {
        Ok(Event::Loaded { outcome: Ok(ready), .. }) => Ok((worker, ready)),
        Ok(Event::Loaded { outcome: Err(error), .. }) => Err(error),
        _ => Err(ServeError::Loading("its thread ended".to_owned())),
    }
}

fn tell(socket: &mut impl Write, message: &FromModel) -> Result<(), ServeError> {
    let words = |source| ServeError::Words { bytes: 0, source };
    let payload = encode(message).map_err(words)?;
    let mut frame = Vec::with_capacity(payload.len() + 4);
    encode_bytes(&payload, &mut frame)?;
    socket.write_all(&frame).map_err(|source| FrameError::Io { doing: "write", source })?;
    Ok(())
}
