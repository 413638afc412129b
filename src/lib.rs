//! The daemon's rooms: hosts, threads, stores and faces around the pure cores of `levibot-core`.

pub mod journal;
pub mod store;
