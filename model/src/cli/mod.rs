//! The command line.

mod data;
mod error;
mod forecasts;
mod fusion_test;
mod judge;
mod model;
mod out;
mod predict;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use levibot_core::chain::chain;
use levibot_core::domain::ModelVersion;

pub use error::CliError;

use crate::ensemble::Loaded;
use crate::nightly::RetrainArgs;
use crate::server::{Choice, ServeOptions, end_on_sigterm, serve, socket_on_stdin};
use crate::tft::fix_threads;
use crate::training::{TrainArgs, die_with_parent};
use crate::versions::Versions;

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 refused or failed; 2 the command line, the configuration or the data are wrong.";

/// The fusion model of levibot: its versions, what they say, and how good they are.
#[derive(Debug, Parser)]
#[command(name = "levibot-model", version, after_help = AFTER_HELP)]
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
    /// Say what a version thinks of one bar, and why
    Predict(predict::PredictArgs),
    /// Hold the last decisions of a version against what happened
    FusionTest(fusion_test::FusionTestArgs),
    /// Write what a version says of every bar of a range to a file, for backtests
    Forecasts(forecasts::ForecastsArgs),
    /// List, compare, check and choose versions
    #[command(subcommand)]
    Model(model::ModelCommand),
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    which: Which,
    /// Threads of native code
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
}

/// The folder of versions.
#[derive(Debug, Args)]
struct Folder {
    /// The folder of versions
    #[arg(long, value_name = "DIR", default_value = "models/default")]
    models: PathBuf,
}

/// Which version.
#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    folder: Folder,
    /// This version; without it the one in use
    #[arg(long, value_name = "VERSION")]
    version: Option<ModelVersion>,
}

impl Folder {
    fn versions(&self) -> Versions {
        Versions::new(&self.models)
    }
}

impl Which {
    fn load(&self) -> Result<Loaded, CliError> {
        // One thread: a single question gains nothing from more, and the last bits stay the same everywhere.
        fix_threads(1);
        let versions = self.folder.versions();
        let opened = match &self.version {
            Some(version) => versions.open(version)?,
            None => versions.open_current()?,
        };
        Ok(Loaded::load(opened)?)
    }
}

impl Cli {
    /// Does what was asked, writes the outcome to `out` and what went wrong to standard error, and gives the exit code.
    pub fn run(&self, out: &mut dyn Write) -> u8 {
        let done = match &self.command {
            // These have exit codes of their own.
            Command::Train(args) => return args.run(out),
            Command::Retrain(args) => return args.run(out),
            Command::Serve(args) => args.run().map_err(CliError::from),
            Command::Predict(args) => args.run(out),
            Command::FusionTest(args) => args.run(out),
            Command::Forecasts(args) => args.run(out),
            Command::Model(command) => command.run(out),
        };
        match done {
            Ok(()) => 0,
            Err(error) => {
                // Whoever reads may have gone away: that is no failure of ours.
                let _ = writeln!(std::io::stderr(), "levibot-model: {}", chain(&error));
                error.exit_code()
            }
        }
    }
}

impl ServeArgs {
    fn run(&self) -> Result<(), crate::server::ServeError> {
        let socket = socket_on_stdin()?;
        end_on_sigterm(&socket)?;
        fix_threads(self.threads);
        let choice = self.which.version.map_or(Choice::Follow, Choice::Pinned);
        let models = self.which.folder.models.clone();
        // The socket's end is heard between two batches; a server that stands still, or is deep in one, ends with the daemon too.
        die_with_parent();
        serve(&ServeOptions { models, choice, poll: Duration::from_millis(500) }, socket)
    }
}

/// The ensemble's configuration: the file that was named, else `config/ensemble.yaml`, else what ships with the program.
fn ensemble(file: Option<&Path>) -> Result<levibot_core::fusion::Ensemble, CliError> {
    const SHIPPED: &str = include_str!("../../../config/ensemble.yaml");
    let usual = Path::new("config/ensemble.yaml");
    let path = file.or_else(|| usual.exists().then_some(usual));
    let text = match path {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?
        }
        None => SHIPPED.to_owned(),
    };
    let path = path.unwrap_or(usual).to_owned();
    levibot_core::fusion::Ensemble::from_yaml(&text).map_err(|source| CliError::Ensemble { path, source })
}
