//! Frames between processes.
//!
//! A frame is its length (u32, little-endian, at most [`FRAME_BYTES_MAX`]) and as many bytes of payload. The first frame
//! each way is a [`Hello`]. The control socket carries JSON ([`encode`], [`decode`]); the codec itself looks at no
//! payload. It works on buffers: [`Decoder`] for whoever reads in pieces, [`read_frame`] and [`write_frame`] for whoever
//! may block.

pub mod codec;
pub mod hello;
#[cfg(test)]
mod tests;

pub use codec::{Decoder, FRAME_BYTES_MAX, FrameError, decode, encode, encode_bytes, read_frame, write_frame};
pub use hello::{Hello, HelloError, PROTOCOL, check_hello};
