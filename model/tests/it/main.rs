//! Tests of the whole program `levibot-model`: real versions, real processes.

mod child;
mod cli;
mod home;
mod nights;
mod server;
mod swap;
