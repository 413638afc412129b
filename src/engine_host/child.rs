//! The engine process: the daemon's binary under another name, with a socket as its standard input.
//!
//! It has no configuration, no key, no file and no clock of its own: it is told everything, answers every message once and
//! in order, and ends with the daemon or when the daemon closes the socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use levibot_core::domain::Symbol;
use levibot_core::driver::EngineInput;
use levibot_core::engine::{Core, EngineStep};
use levibot_core::frames::{Decoder, FrameError};

use super::limits::{self, LimitError};
use super::wire::{self, Begin, Did, FromEngine, ToEngine};
use super::work::Work;

/// This process's own program, also when the file was replaced.
pub(super) const SELF: &str = "/proc/self/exe";
/// Bytes that are read at a time.
const READ: usize = 64 << 10;

/// Why an engine process ended otherwise than it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Its limits do not hold.
    #[error("the limits of the engine process do not hold")]
    Limits(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Standard input is no socket, or broke.
    #[error("standard input: this command is for the daemon, which gives a socket there")]
    Socket(#[source] io::Error),
    /// The stream is out of step.
    #[error("the daemon does not speak the protocol")]
    Frames(#[source] FrameError),
    /// A message cannot be read, or comes at the wrong time.
    #[error("the daemon does not speak the protocol: {0}")]
    Message(String),
    /// Another build, schema or configuration.
    #[error("this engine does not fit the daemon: {0}")]
    Other(String),
    /// The engine cannot be made.
    #[error("the engine cannot be made: {0}")]
    Make(String),
}

impl From<LimitError> for ChildError {
    fn from(error: LimitError) -> Self {
        Self::Limits(Box::new(error))
    }
}

/// Runs until the daemon closes the socket.
///
/// # Errors
/// [`ChildError`].
pub fn run(symbol: Symbol, generation: u64, daemon: u32) -> Result<(), ChildError> {
    // Before the limits, under which not even an error could be written to a file.
    UnixStream::from(standard_input()?).peer_addr().map_err(ChildError::Socket)?;
    limits::apply(symbol, daemon)?;
    let mut line = Line::new(UnixStream::from(standard_input()?));
    let Some(ToEngine::Begin(begin)) = line.next()? else {
        return Err(ChildError::Message("it begins with something else".to_owned()));
    };
    let begin = *begin;
    if (begin.symbol, begin.generation) != (symbol, generation) {
        return Err(ChildError::Message("it means another engine".to_owned()));
    }
    line.greet(&begin)?;
    line.work(&begin)
}

fn standard_input() -> Result<OwnedFd, ChildError> {
    io::stdin().as_fd().try_clone_to_owned().map_err(ChildError::Socket)
}

/// The connection to the daemon.
struct Line {
    socket: UnixStream,
    decoder: Decoder,
    /// Kept for their memory.
    bytes: Box<[u8]>,
    frame: Vec<u8>,
}

impl Line {
    fn new(socket: UnixStream) -> Self {
        Self { socket, decoder: Decoder::new(), bytes: vec![0; READ].into(), frame: Vec::new() }
    }

    /// Checks that both sides are of one build and mean one configuration, and says what this one is.
    fn greet(&mut self, begin: &Begin) -> Result<(), ChildError> {
        let build = wire::build(Path::new(SELF)).map_err(ChildError::Socket)?;
        let hello = wire::hello("engine", build);
        wire::check(&hello, &begin.hello).map_err(ChildError::Other)?;
        let setup_hash = wire::setup_hash(&begin.setup);
        if setup_hash != begin.setup_hash {
            return Err(ChildError::Other("it understands another configuration than it was sent".to_owned()));
        }
        self.say(&FromEngine::Hello { hello, generation: begin.generation, setup_hash })
    }

    fn work(&mut self, begin: &Begin) -> Result<(), ChildError> {
        let Begin { generation, setup, .. } = begin;
        let mut work = Work::new(setup.instrument, setup.timeframe);
        let make = |snapshot: Option<&_>| {
            let core = match snapshot {
                Some(snapshot) => Core::restore(setup.clone(), snapshot).map_err(|error| error.to_string())?,
                None => Core::new(setup.clone()),
            };
            Ok(Box::new(core) as Box<dyn EngineStep>)
        };
        let (mut number, mut ready) = (0, false);
        while let Some(message) = self.next()? {
            number += 1;
            let what = match message {
                ToEngine::Begin(_) => return Err(ChildError::Message("it begins twice".to_owned())),
                ToEngine::Beat => Did::Nothing,
                #[cfg(feature = "fault-injection")]
                ToEngine::Fault(fault) => {
                    super::faults::commit(fault, *generation, number, &mut self.socket);
                    Did::Nothing
                }
                ToEngine::Work(input) => {
                    let is_position = matches!(input, EngineInput::Position(_));
                    let said = work.take(input, &make).map_err(ChildError::Make)?;
                    let is_first = is_position && !std::mem::replace(&mut ready, true);
                    said.map_or(if is_first { Did::Ready } else { Did::Nothing }, Did::Said)
                }
            };
            self.say(&FromEngine::Did { generation: *generation, number, what })?;
        }
        Ok(())
    }

    /// The next message, waiting for it; `None` when the daemon has closed.
    fn next(&mut self) -> Result<Option<ToEngine<EngineInput>>, ChildError> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(ChildError::Frames)? {
                return wire::message(frame).map(Some).map_err(ChildError::Message);
            }
            match self.socket.read(&mut self.bytes) {
                Ok(0) => return self.decoder.finish().map(|()| None).map_err(ChildError::Frames),
                Ok(read) => self.decoder.push(&self.bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ChildError::Socket(error)),
            }
        }
    }

    fn say(&mut self, message: &FromEngine) -> Result<(), ChildError> {
        self.frame.clear();
        wire::append(message, &mut self.frame).map_err(ChildError::Frames)?;
        self.socket.write_all(&self.frame).map_err(ChildError::Socket)
    }
}
