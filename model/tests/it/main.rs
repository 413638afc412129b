//! Tests of the whole program `levibot-model`: real versions, real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod cli;
mod home;
mod nights;
mod server;
mod swap;
