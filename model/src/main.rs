//! The program of the fusion model; `levibot` hands its model commands over to it.

use std::process::ExitCode;

use clap::Parser;
use levibot_model::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run(&mut std::io::stdout()))
}
