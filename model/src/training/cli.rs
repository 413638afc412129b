//! `levibot-model train`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use levibot_core::domain::{ModelVersion, Symbol, Timeframe, Ts};
use serde::Serialize;

use super::error::{TrainError, complain, exit};
use super::evaluation::{Evaluation, time_text};
use super::limits::{Interrupt, cap_memory, die_with_parent, parse_size};
use super::pipeline::{Promote, TrainPlan, Trained, read_ensemble, train};
use super::report::{REPORT_HTML, Report};
use super::show::{Show, StageTime, line};
use crate::clock::wall_now;
use crate::settings::Settings;

/// What `--help` says after the options.
const AFTER_HELP: &str = "\
Exit codes:
  0    a version was trained and stands whole in the folder of versions
  2    the command line or a file of settings cannot be used
  3    there is not enough data to learn from
  4    training failed
  5    the version cannot be written: no space, no permission
  130  interrupted
Nothing half is left behind, and the version in use stays what it was unless the new one is put into use.";

/// Train a version of the fusion model on price files
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TrainArgs {
    /// A folder of price files, or one of them
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only these symbols, such as BTCUSDT,ETHUSDT; without it, all
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// Bar length, such as 15m; without it, as the files have it
    #[arg(long, value_name = "T")]
    timeframe: Option<Timeframe>,
    /// Learn from bars that close at or after this, such as 2020-01-01
    #[arg(long, value_name = "TIME")]
    from: Option<Ts>,
    /// Look at nothing after this; a date alone means the end of that day
    #[arg(long, value_name = "TIME", value_parser = Ts::parse_end)]
    to: Option<Ts>,
    /// How a version is trained
    #[arg(long, value_name = "FILE", default_value = "config/training.toml")]
    config: PathBuf,
    /// Who votes
    #[arg(long, value_name = "FILE", default_value = "config/ensemble.yaml")]
    ensemble: PathBuf,
    /// The folder of versions
    #[arg(long, value_name = "DIR", default_value = "models/default")]
    models: PathBuf,
    /// Put the version into use, whatever is in use; without it, only if nothing is
    #[arg(long)]
    promote: bool,
    /// Put the version into use in no case
    #[arg(long, conflicts_with = "promote")]
    no_promote: bool,
    /// Most memory that may be allocated, such as 6GiB
    #[arg(long, value_name = "SIZE")]
    memory_max: Option<String>,
    /// End when the process that started this one ends
    #[arg(long)]
    dies_with_parent: bool,
    /// Write a summary to standard output as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` tells; the whole report is in the version's folder.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    version: ModelVersion,
    folder: &'a std::path::Path,
    promoted: bool,
    #[serde(with = "time_text")]
    trained_through: Ts,
    backtest_sharpe: Option<f64>,
    backtest_win_rate: Option<f64>,
    warnings: Vec<&'a String>,
    test: &'a Evaluation,
    stages: Vec<StageTime>,
    memory_peak_bytes: u64,
}

impl TrainArgs {
    /// Trains, writes a summary to `out` and what went wrong to standard error, and gives the exit code, as in the help.
    pub fn run(&self, out: &mut dyn Write) -> u8 {
        match self.train(out) {
            Ok(()) => exit::DONE,
            Err(error) => complain(&error, error.exit_code()),
        }
    }

    fn train(&self, out: &mut dyn Write) -> Result<(), TrainError> {
        if self.dies_with_parent {
            die_with_parent();
        }
        // Before the first thread, which native code starts.
        let interrupt = Interrupt::listen()?;
        if let Some(text) = &self.memory_max {
            cap_memory(parse_size(text)?)?;
        }
        let plan = self.plan()?;
        let show = Show::on_stderr();
        let trained = train(&plan, &show, &interrupt, &wall_now)?;
        self.tell(&trained, show.times(), out);
        Ok(())
    }

    fn plan(&self) -> Result<TrainPlan, TrainError> {
        Ok(TrainPlan {
            data: self.data.clone(),
            symbols: self.symbols.clone(),
            timeframe: self.timeframe,
            from: self.from,
            to: self.to,
            settings: Settings::read(&self.config)?,
            ensemble: read_ensemble(&self.ensemble)?,
            models: self.models.clone(),
            promote: match (self.promote, self.no_promote) {
                (true, _) => Promote::Always,
                (false, true) => Promote::Never,
                (false, false) => Promote::First,
            },
        })
    }

    fn tell(&self, trained: &Trained, stages: Vec<StageTime>, out: &mut dyn Write) {
        let Trained { metadata, folder, report, promoted } = trained;
        if !self.json {
            tell_people(trained, out);
            return;
        }
        let summary = Summary {
            version: metadata.version,
            folder,
            promoted: *promoted,
            trained_through: metadata.trained_through,
            backtest_sharpe: metadata.backtest_sharpe,
            backtest_win_rate: metadata.backtest_win_rate,
            warnings: report.warnings.iter().chain(&report.test.warnings).collect(),
            test: &report.test,
            stages,
            memory_peak_bytes: report.memory_peak_bytes,
        };
        let text = serde_json::to_string(&summary).unwrap_or_default();
        // Nobody reading it is no reason to fail: the version is there.
        let _ = writeln!(out, "{text}");
    }
}

fn tell_people(trained: &Trained, out: &mut dyn Write) {
    let Trained { metadata, folder, report, promoted } = trained;
    let Report { test, warnings, .. } = report;
    warnings.iter().chain(&test.warnings).for_each(|warning| line(&format!("note: {warning}")));
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let mut text = format!("version {} trained through {}\n", metadata.version, metadata.trained_through);
    for skill in &test.skill {
        let [low, high] = skill.interval.map_or([None; 2], |ends| ends.map(Some));
        text += &format!(
            "  surest {:>3.0} %: accuracy {} ({} to {}), always up {}, EMA cross {}, Brier {:.4}, ECE {}\n",
            skill.coverage * 100.0,
            percent(skill.accuracy),
            percent(low),
            percent(high),
            percent(skill.always_up),
            percent(skill.ema_cross),
            skill.brier.unwrap_or(f64::NAN),
            percent(skill.ece),
        );
    }
    text += &format!(
        "  net of costs at {}: {} a call, Sharpe {:.2}\n",
        test.at_coverage.rule,
        percent(test.at_coverage.mean_call),
        test.at_coverage.sharpe.unwrap_or(f64::NAN)
    );
    text +=
        &format!("  {}; {}", if *promoted { "in use now" } else { "not in use" }, folder.join(REPORT_HTML).display());
    let _ = writeln!(out, "{text}");
}
