//! The daemon: actors, venues, stores and faces around the cores of `levibot-core`.

pub mod cli;
pub mod control;
pub mod http;
