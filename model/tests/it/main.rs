//! Tests of the whole program `levibot-model`: real versions, real processes.

mod cli;
mod child;
mod home;
mod server;
mod swap;
