//! Streaming features of one symbol.
