//! Frames between processes: length, version, hello.
