//! `forecasts`: what a version says of every bar of a range, into a file.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use levibot_core::domain::{ModelVersion, Symbol, Timeframe, Ts};
use serde::Serialize;

use super::out::{json, say};
use super::{CliError, Which};
use crate::forecasts::{self, Done, Wanted};
use crate::tft::fix_threads;
use crate::training::{Show, die_with_parent, line};

#[derive(Debug, Args)]
pub(super) struct ForecastsArgs {
    /// A price file (CSV, plain or gzip) or a folder of them
    #[arg(long, value_name = "FILE|DIR")]
    data: PathBuf,
    /// The symbols of the market; without it all that are found
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    symbols: Option<Vec<Symbol>>,
    /// Ask about these of them only; without it about all
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    ask: Option<Vec<Symbol>>,
    /// Length of the bars, a multiple of that of the files; without it that of the version
    #[arg(long, value_name = "LENGTH")]
    timeframe: Option<Timeframe>,
    /// Ask about bars that open at or after this time (UTC); earlier ones warm up
    #[arg(long, value_name = "TIME")]
    from: Option<Ts>,
    /// Ask about bars that close at or before this time (UTC); a date alone means the end of that day
    #[arg(long, value_name = "TIME", value_parser = Ts::parse_end)]
    to: Option<Ts>,
    #[command(flatten)]
    which: Which,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Threads that ask at once; the file is the same with any number [default: as many as the machine has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,
    /// End when the process that started this one ends
    #[arg(long)]
    dies_with_parent: bool,
    /// Say nothing but the outcome
    #[arg(long)]
    quiet: bool,
    /// JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    version: ModelVersion,
    forecasts: u64,
    symbols: Vec<Symbol>,
    timeframe: Timeframe,
    start: String,
    end: String,
    file: PathBuf,
}

impl ForecastsArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        if self.dies_with_parent {
            die_with_parent();
        }
        // Questions are answered side by side, each by one thread.
        fix_threads(1);
        let versions = self.which.folder.versions();
        let metadata = match &self.which.version {
            Some(version) => versions.open(version)?,
            None => versions.open_current()?,
        }
        .metadata;
        let threads = self
            .threads
            .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
        let wanted = Wanted {
            data: &self.data,
            symbols: self.symbols.as_deref(),
            asked: self.ask.as_deref(),
            timeframe: self.timeframe,
            from: self.from,
            to: self.to,
            out: &self.out,
            threads,
        };
        let show = if self.quiet { Show::silent() } else { Show::on_stderr() };
        let Done { key, forecasts, reports } = forecasts::make(&versions, &metadata, &wanted, &show)?;
        for report in reports.iter().filter(|report| !self.quiet && !report.faults.is_empty()) {
            line(&format!("levibot-model: warning: {report}"));
        }
        let report = Report {
            version: key.version,
            forecasts,
            symbols: key.asked,
            timeframe: key.timeframe,
            start: key.start.to_string(),
            end: key.end.to_string(),
            file: self.out.clone(),
        };
        if self.json {
            return json(out, &report);
        }
        let Report { version, start, end, file, .. } = report;
        say(out, &format!("{forecasts} forecasts of version {version} from {start} to {end} in {}", file.display()))
    }
}
