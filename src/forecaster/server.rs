//! One generation of the model server: its socket, and the threads that read and write it.

use std::fmt;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::prelude::*;
use levibot_core::forecast::{FromModel, decode};
use levibot_core::frames::{encode_bytes, read_frame};

use crate::telemetry::chain;

/// Frames that may wait to be written: more than are ever under way.
const FRAMES_MAX: usize = 16;
/// How long a server that was left may take to end before it is ended by force.
const END_DEADLINE: Duration = Duration::from_secs(2);
/// Between two looks at something that has no other sign.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Starts servers.
pub trait ModelHost: fmt::Debug + Send {
    /// A server that speaks over `socket`.
    ///
    /// # Errors
    /// Why there is none, with the remedy.
    fn start(&self, socket: UnixStream) -> Result<Arc<dyn ServerProcess>, String>;
}

/// Where a server runs.
pub trait ServerProcess: fmt::Debug + Send + Sync {
    /// Its process.
    fn pid(&self) -> Option<u32>;

    /// Ends it by force. One that has ended stays so.
    fn kill(&self);

    /// How it has ended, if it has. Never waits.
    fn ended(&self) -> Option<String>;
}

/// What is heard of a server.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ServerSays {
    /// It says something.
    Word {
        /// Which generation.
        generation: u64,
        /// What.
        word: Box<FromModel>,
    },
    /// It is gone.
    Gone {
        /// Which generation.
        generation: u64,
        /// How it ended.
        cause: String,
    },
}

impl ServerSays {
    /// Of which generation.
    pub const fn generation(&self) -> u64 {
        match self {
            Self::Word { generation, .. } | Self::Gone { generation, .. } => *generation,
        }
    }
}

/// The way to a server. Dropping it ends the server.
#[derive(Debug)]
pub struct ServerLink {
    process: Arc<dyn ServerProcess>,
    socket: UnixStream,
    frames: SyncSender<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    /// Nobody listens to it any more.
    left: Arc<AtomicBool>,
}

impl ServerLink {
    /// Starts a server; what is heard of it goes to `to`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn open(host: &dyn ModelHost, generation: u64, to: Recipient<ServerSays>) -> Result<Self, String> {
        let system = |what: &'static str| move |error: std::io::Error| format!("cannot {what}: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(system("make a pair of sockets"))?;
        let (reading, writing) = (ours.try_clone(), ours.try_clone());
        let (mut reading, writing) =
            (reading.map_err(system("copy a socket"))?, writing.map_err(system("copy a socket"))?);
        let process = host.start(theirs)?;
        let (frames, waiting) = sync_channel(FRAMES_MAX);
        let left = Arc::<AtomicBool>::default();
        let threads = || {
            Builder::new().name("model-writer".to_owned()).spawn(move || write(writing, &waiting))?;
            let (process, mouth) = (Arc::clone(&process), Mouth { to, left: Arc::clone(&left) });
            let read = move || {
                let cause = hear(&mut reading, generation, &mouth);
                let _ = reading.shutdown(Shutdown::Both);
                let ended = wait_for_end(&*process);
                mouth.say(ServerSays::Gone { generation, cause: cause.unwrap_or(ended) });
            };
            Builder::new().name("model-reader".to_owned()).spawn(read)
        };
        match threads() {
            Ok(reader) => Ok(Self { process, socket: ours, frames, reader: Some(reader), left }),
            Err(error) => {
                process.kill();
                wait_for_end(&*process);
                Err(format!("cannot start a thread: {error}"))
            }
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Hands over a payload; `false` when the server is not taking any.
    pub(super) fn send(&self, payload: &[u8]) -> bool {
        let mut frame = Vec::with_capacity(payload.len() + 4);
        encode_bytes(payload, &mut frame).is_ok() && self.frames.try_send(frame).is_ok()
    }

    pub(super) fn kill(&self) {
        self.process.kill();
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Closes the connection, upon which the server ends by itself, or by force after two seconds. Waits for that.
    pub(super) fn close(mut self) {
        self.left.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for ServerLink {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn write(mut socket: UnixStream, frames: &Receiver<Vec<u8>>) {
    while let Ok(frame) = frames.recv() {
        if socket.write_all(&frame).is_err() {
            // The reader sees the end of the stream and says so.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Passes on what the server says until there is no more; gives what is wrong with the stream itself.
fn hear(socket: &mut UnixStream, generation: u64, mouth: &Mouth) -> Option<String> {
    loop {
        let payload = match read_frame(socket) {
            Ok(Some(payload)) => payload,
            // The end of the process says more than the end of its stream.
            Ok(None)
            | Err(levibot_core::frames::FrameError::Io { .. } | levibot_core::frames::FrameError::Truncated { .. }) => {
                return None;
            }
            Err(error) => return Some(format!("the model server does not speak the protocol: {}", chain(&error))),
        };
        match decode(&payload) {
            Ok(word) => {
                if !mouth.say(ServerSays::Word { generation, word: Box::new(word) }) {
                    return None;
                }
            }
            Err(error) => return Some(format!("the model server said what is no word of the protocol: {error}")),
        }
    }
}

/// Waits for the process; by force when it does not end by itself.
fn wait_for_end(process: &dyn ServerProcess) -> String {
    let (begin, mut forced) = (Instant::now(), false);
    loop {
        if let Some(cause) = process.ended() {
            return cause;
        }
        if !forced && begin.elapsed() >= END_DEADLINE {
            process.kill();
            forced = true;
        }
        if begin.elapsed() >= 2 * END_DEADLINE {
            return "it cannot be ended".to_owned();
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The reader's way to whoever listens.
struct Mouth {
    to: Recipient<ServerSays>,
    left: Arc<AtomicBool>,
}

impl Mouth {
    /// Nothing is dropped: a full mailbox is waited for. `false` when nobody listens any more.
    fn say(&self, mut says: ServerSays) -> bool {
        while !self.left.load(Ordering::Acquire) {
            match self.to.try_send(says) {
                Ok(()) => return true,
                Err(SendError::Closed(_)) => return false,
                Err(SendError::Full(back)) => says = back,
            }
            std::thread::sleep(LOOK_EVERY);
        }
        false
    }
}
