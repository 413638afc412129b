//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use levibot_core::domain::ModelVersion;

use crate::nightly::RetrainArgs;
use crate::server::{Choice, ServeError, ServeOptions, end_on_sigterm, serve, socket_on_stdin};
use crate::training::TrainArgs;

/// The fusion model of levibot.
#[derive(Debug, Parser)]
#[command(name = "levibot-model", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the daemon's questions over the socket on standard input
    Serve(ServeArgs),
    Train(TrainArgs),
    Retrain(RetrainArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The folder of versions
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// Answer with this version for ever; without it with the one in use, also when that changes
    #[arg(long, value_name = "VERSION")]
    version: Option<ModelVersion>,
    /// Threads of native code
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
}

impl Cli {
    /// Does what was asked and gives the exit code.
    pub fn run(&self) -> u8 {
        match &self.command {
            Command::Train(args) => args.run(),
            Command::Retrain(args) => args.run(),
            Command::Serve(args) => match args.run() {
                Ok(()) => 0,
                Err(error) => {
                    complain(&error);
                    error.exit_code()
                }
            },
        }
    }
}

impl ServeArgs {
    fn run(&self) -> Result<(), ServeError> {
        let socket = socket_on_stdin()?;
        end_on_sigterm(&socket)?;
        crate::tft::fix_threads(self.threads);
        let choice = self.version.map_or(Choice::Follow, Choice::Pinned);
        let options = ServeOptions { models: self.models.clone(), choice, poll: Duration::from_millis(500) };
        serve(&options, socket)
    }
}

fn complain(error: &dyn std::error::Error) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "levibot-model: {}", crate::server::chain(error));
}
