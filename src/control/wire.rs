//! Control in frames over a Unix socket: hello in both directions, then a request and its answer, any number of times.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use levibot_core::frames::{Decoder, FrameError, Hello, PROTOCOL, decode, encode};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Raised by any change of [`super::Request`] or [`super::Answer`] that the other side would misread.
const SCHEMA: u64 = 2;
/// Bytes taken from the socket at a time.
const PIECE_BYTES: usize = 4096;

/// What we say first, as `daemon` or `cli`.
pub(super) fn hello(role: &str) -> Hello {
    Hello { protocol: PROTOCOL, build: env!("CARGO_PKG_VERSION").to_owned(), schema: SCHEMA, role: role.to_owned() }
}

/// The daemon's end of a connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: tokio::net::UnixStream,
    decoder: Decoder,
}

impl Line {
    pub(super) fn new(stream: tokio::net::UnixStream) -> Self {
        Self { stream, decoder: Decoder::new() }
    }

    /// The next message; `None` when the other side has closed between two frames.
    pub(super) async fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            if let Some(payload) = self.decoder.next_frame()? {
                return decode(payload).map(Some);
            }
            let read = self.stream.read(&mut piece).await;
            match read.map_err(|source| FrameError::Io { doing: "read", source })? {
                0 => return self.decoder.finish().map(|()| None),
                bytes => self.decoder.push(&piece[..bytes]),
            }
        }
    }

    /// Sends one message.
    pub(super) async fn write(&mut self, message: &impl Serialize) -> Result<(), FrameError> {
        let mut frame = Vec::new();
        encode(message, &mut frame)?;
        self.stream.write_all(&frame).await.map_err(|source| FrameError::Io { doing: "write", source })
    }
}

/// Connects to the socket at `path`. A listener whose queue stays full for `limit` gives [`io::ErrorKind::WouldBlock`],
/// where the standard library would wait for ever.
pub(super) fn connect_within(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let limit = TimeVal::new(limit.as_secs().cast_signed(), limit.subsec_micros().into());
    setsockopt(&fd, sockopt::SendTimeout, &limit)?;
    connect(fd.as_raw_fd(), &address)?;
    Ok(UnixStream::from(fd))
}
