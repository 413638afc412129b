//! The other end of the socket: a blocking client for the command line.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use levibot_core::frames::{FrameError, Hello, HelloError, check_hello, decode, read_frame, write_frame};

use super::{Answer, Command, Request, wire};

/// For connecting and saying hello.
const HELLO_SECONDS_MAX: u64 = 5;
/// For an answer; longer than the daemon waits for the outcome of a command.
const ANSWER_SECONDS_MAX: u64 = 15;
/// The same for a reload.
const RELOADED_SECONDS_MAX: u64 = 65;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon runs on {}: start it with scripts/run.sh or `levibot run`, or name its folder with --data-dir",
        folder(path).display()
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// How it showed.
        #[source]
        source: io::Error,
    },
    /// The socket is another user's.
    #[error(
        "{} may not be opened: only the user who runs the daemon, and root, may speak to it (try `sudo -u USER`)",
        path.display()
    )]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// How it showed.
        #[source]
        source: io::Error,
    },
    /// Client and daemon are of different versions.
    #[error("client and daemon do not understand each other")]
    Version(#[source] HelloError),
    /// The daemon closed without an answer.
    #[error(
        "the daemon at {} closed the connection: it is ending, talks to too many at once, or does not accept this \
         user; its log says which",
        path.display()
    )]
    Closed {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon is there and says nothing.
    #[error("the daemon at {} did not answer in time: look at its log, and try again", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// What came is no answer.
    #[error("what answers at {} does not speak as a levibot daemon of this version does", path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: FrameError,
    },
    /// The socket failed in another way.
    #[error("cannot {doing} the daemon at {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
}

impl Client {
    /// Connects to the daemon whose socket is `path` (see [`super::server::socket_path`]).
    ///
    /// # Errors
    /// [`ClientError`], each with a remedy.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        Self::connect_within(path, Duration::from_secs(HELLO_SECONDS_MAX))
    }

    /// The same for somebody who does not wait as long: each step of it may take `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect_within(path: &Path, limit: Duration) -> Result<Self, ClientError> {
        let stream = wire::connect_within(path, limit).map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                    ClientError::NoDaemon { path, source }
                }
                io::ErrorKind::PermissionDenied => ClientError::Forbidden { path, source },
                io::ErrorKind::WouldBlock => ClientError::Silent { path },
                _ => ClientError::Io { doing: "connect to", path, source },
            }
        })?;
        let mut client = Self { stream, path: path.to_owned() };
        client.patience(limit)?;
        let ours = wire::hello("cli");
        // A daemon that will not talk may be gone before our hello arrives; what it said, or did not say, tells more.
        let sent = client.send(&ours);
        let mut theirs: Hello = client.receive()?;
        for text in [&mut theirs.build, &mut theirs.role] {
            text.retain(|c| !c.is_control());
        }
        check_hello(&ours, &theirs).map_err(ClientError::Version)?;
        sent?;
        Ok(client)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError`] when no answer came. A command may have been carried out nevertheless.
    pub fn request(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let is_reload = matches!(request, Request::Do(Command::Reload | Command::ReloadDryRun));
        let limit = Duration::from_secs(if is_reload { RELOADED_SECONDS_MAX } else { ANSWER_SECONDS_MAX });
        self.request_within(request, limit)
    }

    /// The same for somebody who does not wait as long.
    ///
    /// # Errors
    /// [`ClientError`], as above.
    pub fn request_within(&mut self, request: &Request, limit: Duration) -> Result<Answer, ClientError> {
        self.patience(limit)?;
        self.send(request)?;
        self.receive()
    }

    /// The process at the other end.
    #[cfg(feature = "fault-injection")]
    pub fn daemon_pid(&self) -> Option<u32> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let peer = getsockopt(&self.stream, PeerCredentials).ok()?;
        u32::try_from(peer.pid()).ok()
    }

    fn patience(&self, limit: Duration) -> Result<(), ClientError> {
        let set = self.stream.set_read_timeout(Some(limit)).and_then(|()| self.stream.set_write_timeout(Some(limit)));
        set.map_err(|source| ClientError::Io { doing: "set limits for", path: self.path.clone(), source })
    }

    fn send(&mut self, message: &impl serde::Serialize) -> Result<(), ClientError> {
        write_frame(&mut self.stream, message).map_err(|e| self.error("write to", e))
    }

    fn receive<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let payload = read_frame(&mut self.stream).map_err(|e| self.error("read from", e))?;
        let payload = payload.ok_or_else(|| ClientError::Closed { path: self.path.clone() })?;
        decode(&payload).map_err(|e| self.error("read from", e))
    }

    fn error(&self, doing: &'static str, error: FrameError) -> ClientError {
        let path = self.path.clone();
        match error {
            FrameError::Io { source, .. } => match source.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent { path },
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Closed { path },
                _ => ClientError::Io { doing, path, source },
            },
            source => ClientError::Garbled { path, source },
        }
    }
}
