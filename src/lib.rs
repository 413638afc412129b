//! The daemon: actors, venues, stores and faces around the pure cores of `levibot-core`. Everything that touches a
//! clock, a file, a socket or a thread is here.

pub mod app;
pub mod backtest;
#[cfg(feature = "fault-injection")]
pub mod chaos;
pub mod child_process;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine_host;
pub mod forecaster;
pub mod house_link;
pub mod http;
pub mod journal;
pub mod last_words;
pub mod latch;
pub mod market;
pub mod model_versions;
pub mod nights;
pub mod registry;
pub mod reports;
pub mod risk_manager;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod venue;
