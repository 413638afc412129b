//! Control over a Unix socket: only the user who runs the daemon (and root) may speak.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levibot_core::frames::{FrameError, Hello, HelloError, check_hello};
use nix::unistd::{Uid, User};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::wire::{self, Line};
use super::{Answer, Caller, Desk, Request};

/// Name of the socket inside the data folder.
pub const SOCKET_NAME: &str = "control.sock";
/// Linux keeps a socket's path in 108 bytes, the last one zero.
const PATH_BYTES_MAX: usize = 107;
/// How long [`ServerHandle::stop`] waits for answers on their way.
const STOP_SECONDS_MAX: u64 = 2;
/// Pause after an accept that failed, so that a lack of descriptors does not become a busy loop.
const ACCEPT_RETRY_MS: u64 = 100;

/// The socket of the daemon that keeps its things in `data_dir`.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Why control cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Called outside a runtime.
    #[error("control needs a running tokio runtime")]
    NoRuntime,
    /// Somebody answers on this socket.
    #[error(
        "another daemon answers at {}: stop it first, or give this one a folder of its own with --data-dir",
        path.display()
    )]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// Something that we did not make stands in the way.
    #[error("{} is in the way and is not a socket: move it away", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system limits the length of a socket's path.
    #[error(
        "{} has {} bytes and a socket's path may have {PATH_BYTES_MAX}: choose a shorter --data-dir",
        path.display(), path.as_os_str().len()
    )]
    PathTooLong {
        /// The socket.
        path: PathBuf,
    },
    /// The file system or the socket failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a server grants.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    idle: Duration,
    /// Whether a user id may speak.
    admits: fn(u32) -> bool,
}

impl Default for Limits {
    fn default() -> Self {
        let admits = |uid| uid == 0 || uid == Uid::effective().as_raw();
        Self { connections: 32, idle: Duration::from_secs(60), admits }
    }
}

/// A running server. Dropping it ends every connection and removes the socket.
#[derive(Debug)]
pub struct ServerHandle {
    socket: SocketFile,
    accepting: JoinHandle<()>,
    stopping: watch::Sender<bool>,
    refused: Arc<AtomicU64>,
}

impl ServerHandle {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.socket.path
    }

    /// Connections of users who may not speak, so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes no more requests, lets answers on their way be sent (2 s at most) and removes the socket.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        // Whatever is left after the limit ends with the drop.
        timeout(Duration::from_secs(STOP_SECONDS_MAX), &mut self.accepting).await.ok();
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves `desk` at `path` (see [`socket_path`]) until the handle is dropped. Call it inside a runtime, holding whatever
/// keeps a second daemon out of the folder.
///
/// # Errors
/// [`ControlError`] when somebody answers at `path` already, or the socket cannot be made.
pub fn serve(path: &Path, desk: Desk) -> Result<ServerHandle, ControlError> {
    serve_within(path, desk, Limits::default())
}

fn serve_within(path: &Path, desk: Desk, limits: Limits) -> Result<ServerHandle, ControlError> {
    tokio::runtime::Handle::try_current().map_err(|_| ControlError::NoRuntime)?;
    let (listener, socket) = bind(path)?;
    let failed = |source| ControlError::Io { doing: "listen at", path: path.to_owned(), source };
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = UnixListener::from_std(listener).map_err(failed)?;
    let (stopping, stop) = watch::channel(false);
    let refused = Arc::new(AtomicU64::new(0));
    let door = Door { listener, desk, limits, stop, refused: Arc::clone(&refused) };
    let accepting = tokio::spawn(door.keep());
    Ok(ServerHandle { socket, accepting, stopping, refused })
}

/// Binds so that the socket is at no time open to others: inside a folder that only we can enter, then moved in place.
fn bind(path: &Path) -> Result<(StdListener, SocketFile), ControlError> {
    let failed = |doing| move |source| ControlError::Io { doing, path: path.to_owned(), source };
    // The path in the private folder is as long as the final one or shorter.
    let private = path.with_file_name(format!(".c{}", std::process::id()));
    let hidden = private.join("s");
    if path.as_os_str().len().max(hidden.as_os_str().len()) > PATH_BYTES_MAX {
        return Err(ControlError::PathTooLong { path: path.to_owned() });
    }
    refuse_if_live(path)?;
    let cleanup = PrivateDir(private);
    cleanup.clear();
    DirBuilder::new().mode(0o700).create(&cleanup.0).map_err(failed("make a private folder beside"))?;
    let listener = StdListener::bind(&hidden).map_err(failed("bind"))?;
    fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(failed("set the mode of"))?;
    let made = fs::symlink_metadata(&hidden).map_err(failed("look at"))?;
    fs::rename(&hidden, path).map_err(failed("move the socket to"))?;
    Ok((listener, SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) }))
}

/// `Ok` when nothing is at `path`, or the socket of a daemon that is gone.
fn refuse_if_live(path: &Path) -> Result<(), ControlError> {
    let failed = |source| ControlError::Io { doing: "look at", path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ControlError::NotASocket { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    }
    match wire::connect_within(path, Duration::from_secs(1)) {
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            tracing::info!(path = %path.display(), "replacing the control socket of a daemon that is gone");
            Ok(())
        }
        // A full queue is a sign of life, too.
        Ok(_) => Err(ControlError::Live { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(ControlError::Live { path: path.to_owned() }),
        Err(e) => Err(failed(e)),
    }
}

/// Removed when dropped, together with the socket in it.
struct PrivateDir(PathBuf);

impl PrivateDir {
    fn clear(&self) {
        // Usually there is nothing; what really stands in the way shows when the folder is made.
        fs::remove_file(self.0.join("s")).ok();
        fs::remove_dir(&self.0).ok();
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The socket in the file system, removed when dropped unless it is another's by now.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the control socket");
        }
    }
}

/// Lets people in, or not.
struct Door {
    listener: UnixListener,
    desk: Desk,
    limits: Limits,
    stop: watch::Receiver<bool>,
    refused: Arc<AtomicU64>,
}

impl Door {
    async fn keep(mut self) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        // Dropping the set ends every conversation, so that nothing outlives the handle.
        let mut conversations = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = conversations.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream, &places, &mut conversations),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a control connection");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                }
            }
        }
        while conversations.join_next().await.is_some() {}
    }

    fn admit(&mut self, stream: UnixStream, places: &Arc<Semaphore>, conversations: &mut JoinSet<()>) {
        let uid = match stream.peer_cred() {
            Ok(peer) => peer.uid(),
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "closed a control connection: its user is unknown");
                return;
            }
        };
        if !(self.limits.admits)(uid) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(uid, "closed a control connection: this user may not speak");
            return;
        }
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            tracing::warn!(uid, limit = self.limits.connections, "closed a control connection: too many at once");
            return;
        };
        let talk = Conversation {
            line: Line::new(stream),
            desk: self.desk.clone(),
            idle: self.limits.idle,
            stop: self.stop.clone(),
            uid,
        };
        conversations.spawn(async move {
            match talk.hold().await {
                Ok(()) => {}
                Err(End::Frame(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(uid, %error, cause, "closed a control connection");
                }
                Err(End::Silence) => tracing::debug!(uid, "closed a control connection: idle for too long"),
                Err(End::Stranger(error)) => {
                    let error = error.to_string();
                    tracing::warn!(uid, error = %error.escape_debug(), "closed a control connection");
                }
            }
            drop(place);
        });
    }
}

/// Why a conversation was ended by us.
enum End {
    Frame(FrameError),
    Silence,
    Stranger(HelloError),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

struct Conversation {
    line: Line,
    desk: Desk,
    idle: Duration,
    stop: watch::Receiver<bool>,
    uid: u32,
}

impl Conversation {
    async fn hold(mut self) -> Result<(), End> {
        let ours = wire::hello("daemon");
        self.send(&ours).await?;
        // Nothing comes from somebody who only looks whether anybody is here.
        let Some(theirs) = self.receive::<Hello>().await? else { return Ok(()) };
        check_hello(&ours, &theirs).map_err(End::Stranger)?;
        let caller = Caller::socket(user_name(self.uid).await);
        while let Some(request) = self.receive::<Request>().await? {
            let answer = self.desk.handle(request, &caller).await;
            match self.send(&answer).await {
                Err(End::Frame(error @ FrameError::TooLarge { .. })) => {
                    self.send(&Answer::Refused(error.to_string())).await?;
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    /// The next message; `None` when the other side, or the server, is done.
    async fn receive<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, End> {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => Ok(None),
            read = timeout(self.idle, self.line.read()) => Ok(read.map_err(|_| End::Silence)??),
        }
    }

    async fn send(&mut self, message: &(impl serde::Serialize + Sync)) -> Result<(), End> {
        Ok(timeout(self.idle, self.line.write(message)).await.map_err(|_| End::Silence)??)
    }
}

/// A user's name for the record. User databases may be slow.
pub fn user_of(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// The same away from the runtime.
async fn user_name(uid: u32) -> String {
    tokio::task::spawn_blocking(move || user_of(uid)).await.unwrap_or_else(|_| format!("uid {uid}"))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
