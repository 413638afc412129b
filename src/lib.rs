//! The daemon's rooms: everything around the pure cores of `levibot-core` that touches clocks, files, sockets and threads.

pub mod registry;
pub mod telemetry;
