//! Length, payload and their limits.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest payload: 1 MiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes of the length before each payload.
const HEAD: usize = 4;

/// A frame that cannot be written or read. After an error while reading, the stream is out of step and must be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A payload, or the length that announces one, is over [`FRAME_BYTES_MAX`].
    #[error(
        "a frame of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}: \
         the other side does not speak this protocol, or asks for too much at a time"
    )]
    TooLarge {
        /// How long it is at least.
        bytes: u64,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, after {bytes} of its bytes: the other side went away")]
    Truncated {
        /// How many bytes of the frame came, its length included.
        bytes: usize,
    },
    /// A value could not be written as JSON.
    #[error("cannot write the message as JSON")]
    Encode(#[source] serde_json::Error),
    /// A payload is not the JSON that was expected.
    #[error("the frame of {bytes} bytes is not the message that was expected")]
    Decode {
        /// How long the payload is.
        bytes: usize,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The stream could not be read or written.
    #[error("cannot {doing} a frame")]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The length that a head announces.
///
/// # Errors
/// [`FrameError::TooLarge`] over the limit.
fn announced(head: [u8; HEAD]) -> Result<usize, FrameError> {
    let bytes = u32::from_le_bytes(head);
    match usize::try_from(bytes) {
        Ok(len) if len <= FRAME_BYTES_MAX => Ok(len),
        _ => Err(FrameError::TooLarge { bytes: u64::from(bytes) }),
    }
}

/// Writes into a vector until the payload would be over the limit.
struct Capped<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes of payload that were asked for.
    bytes: usize,
}

impl Write for Capped<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(part.len());
        if self.bytes > FRAME_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends a frame whose payload `fill` writes. On an error `out` is as it was before.
fn append(out: &mut Vec<u8>, fill: impl FnOnce(&mut Capped<'_>) -> Result<(), FrameError>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let mut payload = Capped { out, bytes: 0 };
    let filled = fill(&mut payload);
    let bytes = payload.bytes;
    let head = match u32::try_from(bytes) {
        Ok(head) if bytes <= FRAME_BYTES_MAX => filled.map(|()| head),
        _ => Err(FrameError::TooLarge { bytes: bytes as u64 }),
    };
    match head {
        Ok(head) => {
            out[start..start + HEAD].copy_from_slice(&head.to_le_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Appends a frame with `value` as JSON.
///
/// # Errors
/// [`FrameError::TooLarge`] over the limit, [`FrameError::Encode`] when the value has no JSON; `out` is then as before.
pub fn encode(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    append(out, |payload| serde_json::to_writer(payload, value).map_err(FrameError::Encode))
}

/// Appends a frame with these bytes as they are.
///
/// # Errors
/// [`FrameError::TooLarge`] over the limit; `out` is then as before.
pub fn encode_bytes(payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    append(out, |frame| frame.write_all(payload).map_err(|source| FrameError::Io { doing: "write", source }))
}

/// Reads a payload as JSON.
///
/// # Errors
/// [`FrameError::Decode`] when it is something else.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(payload).map_err(|source| FrameError::Decode { bytes: payload.len(), source })
}

/// Takes bytes as they come and gives frames. Take frames out until there are none after every piece: the decoder then
/// holds at most one unfinished frame.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front that were given out.
    used: usize,
    /// What an oversized length said: nothing after it can be told apart.
    broken: Option<u64>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream, however it was cut. After an error they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The payload of the next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as a length over the limit is seen, before any of its payload is kept; it stays
    /// so from then on.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if let Some(bytes) = self.broken {
            return Err(FrameError::TooLarge { bytes });
        }
        let Some((head, rest)) = self.buffer[self.used..].split_first_chunk::<HEAD>() else { return Ok(None) };
        match announced(*head) {
            Ok(len) if rest.len() < len => Ok(None),
            Ok(len) => {
                let start = self.used + HEAD;
                self.used = start + len;
                Ok(Some(&self.buffer[start..self.used]))
            }
            Err(error) => {
                self.broken = Some(u64::from(u32::from_le_bytes(*head)));
                self.buffer = Vec::new();
                self.used = 0;
                Err(error)
            }
        }
    }

    /// Bytes that are held and not given out yet.
    pub const fn pending(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] inside a frame.
    pub const fn finish(&self) -> Result<(), FrameError> {
        match self.pending() {
            0 => Ok(()),
            bytes => Err(FrameError::Truncated { bytes }),
        }
    }
}

/// Writes `value` as one JSON frame, in one piece, and flushes.
///
/// # Errors
/// Those of [`encode`], and [`FrameError::Io`].
pub fn write_frame(writer: &mut impl Write, value: &impl Serialize) -> Result<(), FrameError> {
    let mut frame = Vec::new();
    encode(value, &mut frame)?;
    let written = writer.write_all(&frame).and_then(|()| writer.flush());
    written.map_err(|source| FrameError::Io { doing: "write", source })
}

/// Reads the payload of one frame, waiting for it; `None` when the stream has ended between frames.
///
/// # Errors
/// [`FrameError::TooLarge`] before any payload is read, [`FrameError::Truncated`] when the stream ends inside the frame,
/// [`FrameError::Io`].
pub fn read_frame(reader: &mut impl Read) -> Result<Option<Vec<u8>>, FrameError> {
    let head = read_up_to(reader, HEAD)?;
    if head.is_empty() {
        return Ok(None);
    }
    let Some(head) = head.first_chunk::<HEAD>() else {
        return Err(FrameError::Truncated { bytes: head.len() });
    };
    let len = announced(*head)?;
    let payload = read_up_to(reader, len)?;
    if payload.len() < len {
        return Err(FrameError::Truncated { bytes: HEAD + payload.len() });
    }
    Ok(Some(payload))
}

/// Reads `len` bytes, or fewer when the stream ends. The vector grows with what comes, not with what was announced.
fn read_up_to(reader: &mut impl Read, len: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    let read = reader.by_ref().take(len as u64).read_to_end(&mut bytes);
    read.map_err(|source| FrameError::Io { doing: "read", source })?;
    Ok(bytes)
}
