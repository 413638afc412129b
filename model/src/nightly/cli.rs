//! `levibot-model retrain`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use levibot_core::domain::{Symbol, Timeframe, Ts};

use super::history::{self, Night, Outcome};
use super::lock::{LockError, NightLock};
use super::run::{NightPlan, Step, retrain};
use crate::clock::wall_now;
use crate::training::{Interrupt, Show, complain, exit, parse_size, parse_time_max, read_ensemble};

/// What `--help` says after the options.
const AFTER_HELP: &str = "\
Exit codes:
  0    a new version was put into use
  10   the new version was refused by the gate; the one in use stays (nothing is wrong)
  11   a retraining runs already; this one did nothing
  2    the command line, a file of settings or the folder of versions cannot be used
  20   collecting bars failed
  21   training failed, took too long or too much memory
  22   the new version cannot be used, or could not be judged
  23   it could not be put into use
  24   it was refused, and old versions could not be removed
  25   the night could not be noted in retrain_history.jsonl
  130  interrupted
Whatever fails, the version in use stays what it was.";

/// Collect what is new, train a version, and put it into use if it is better than the one in use
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RetrainArgs {
    /// A folder of price files that new bars come from
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The symbols, such as BTCUSDT,ETHUSDT
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    symbols: Vec<Symbol>,
    /// Bar length, such as 15m
    #[arg(long, value_name = "T", default_value = "15m")]
    timeframe: Timeframe,
    /// How a version is trained
    #[arg(long, value_name = "FILE", default_value = "config/training.toml")]
    config: PathBuf,
    /// Who votes
    #[arg(long, value_name = "FILE", default_value = "config/ensemble.yaml")]
    ensemble: PathBuf,
    /// The folder of versions
    #[arg(long, value_name = "DIR", default_value = "models/default")]
    models: PathBuf,
    /// Nothing after this is looked at; without it, now
    #[arg(long, value_name = "TIME", value_parser = Ts::parse_end)]
    as_of: Option<Ts>,
    /// The store that new bars are added to and that is trained on; without it, `history` in the folder of versions
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// Train on the last N days; without it, on all that is stored
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Most memory that training may take, such as 6GiB
    #[arg(long, value_name = "SIZE")]
    memory_max: Option<String>,
    /// Longest time that training may take, such as 30m
    #[arg(long, value_name = "TIME", default_value = "30m")]
    time_max: String,
    /// Versions that are kept; the one in use and the one before it always are
    #[arg(long, value_name = "N", default_value_t = 7)]
    keep: usize,
    /// Write what is noted of the night to standard output, as JSON, instead of the alert
    #[arg(long)]
    json: bool,
}

/// Exit codes besides those of steps and training.
const REFUSED: u8 = 10;
const RUNNING: u8 = 11;
const NOT_NOTED: u8 = 25;

impl RetrainArgs {
    /// Does a night, writes the alert to `out`, and gives the exit code, as in the help.
    pub fn run(&self, out: &mut dyn Write) -> u8 {
        match self.night(out) {
            Ok(code) | Err(code) => code,
        }
    }

    fn night(&self, out: &mut dyn Write) -> Result<u8, u8> {
        let interrupt = Interrupt::listen().map_err(|error| complain(&error, exit::FAILED))?;
        let plan = self.plan()?;
        let settings = crate::settings::Settings::read(&plan.config).map_err(|error| complain(&error, exit::USAGE))?;
        let ensemble = read_ensemble(&plan.ensemble).map_err(|error| complain(&error, exit::USAGE))?;
        let _lock = match NightLock::take(&plan.models, wall_now()) {
            Ok(lock) => lock,
            Err(error @ LockError::Held { .. }) => return Err(complain(&error, RUNNING)),
            Err(error) => return Err(complain(&error, exit::USAGE)),
        };
        let show = Show::on_stderr();
        let (night, failed) = retrain(&plan, &settings, &ensemble, &interrupt, &show, &wall_now);
        self.tell(&night, out);
        history::append(&plan.models, &night).map_err(|error| complain(&error, NOT_NOTED))?;
        Ok(match (night.outcome, failed) {
            (Outcome::Deployed, _) => 0,
            (_, Some(step)) => Step::exit_code(step),
            (_, None) => REFUSED,
        })
    }

    fn plan(&self) -> Result<NightPlan, u8> {
        let refuse = |error: &dyn std::error::Error| complain(error, exit::USAGE);
        let program = std::env::current_exe().map_err(|error| refuse(&error))?;
        if let Some(text) = &self.memory_max {
            parse_size(text).map_err(|error| refuse(&error))?;
        }
        let mut symbols = self.symbols.clone();
        symbols.sort_unstable();
        symbols.dedup();
        Ok(NightPlan {
            program,
            data: self.data.clone(),
            store: self.history.clone().unwrap_or_else(|| self.models.join("history")),
            symbols,
            timeframe: self.timeframe,
            config: self.config.clone(),
            ensemble: self.ensemble.clone(),
            models: self.models.clone(),
            as_of: self.as_of.unwrap_or_else(wall_now),
            days: self.days,
            memory_max: self.memory_max.clone(),
            time_max: parse_time_max(&self.time_max).map_err(|error| refuse(&error))?,
            keep: self.keep,
        })
    }

    /// The alert, or the whole night. Nobody reading it is no reason to fail.
    fn tell(&self, night: &Night, out: &mut dyn Write) {
        let text = if self.json { serde_json::to_string(night).unwrap_or_default() } else { night.text.clone() };
        let _ = writeln!(out, "{text}");
    }
}
