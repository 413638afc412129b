//! `fusion-test`: the last decisions of a version against what happened.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use levibot_core::domain::{Direction, ModelVersion, Symbol};
use serde::Serialize;

use super::judge::{Row, Summary, judge};
use super::out::{json, pairs, percent, say, table, time};
use super::predict::configuration_note;
use super::{CliError, Which, data};

/// Rows that are shown.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(super) struct FusionTestArgs {
    /// Of which symbol
    #[arg(long, value_name = "SYMBOL")]
    symbol: Symbol,
    /// How many of the last bars that have an outcome
    #[arg(long, value_name = "BARS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    lookback: u32,
    /// A price file or a folder of them; without it what `levibot collect` wrote for the default run
    #[arg(long, value_name = "FILE|DIR", default_value = "data/default/history")]
    data: PathBuf,
    #[command(flatten)]
    which: Which,
    /// The ensemble's configuration, for the threshold
    #[arg(long, value_name = "FILE")]
    ensemble: Option<PathBuf>,
    /// Judge also bars whose outcome the version has learnt from; they are marked
    #[arg(long)]
    in_sample: bool,
    /// JSON instead of tables, with every row
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    version: ModelVersion,
    symbol: Symbol,
    trained_through: String,
    horizon_bars: u32,
    round_trip_cost: f64,
    summary: Summary,
    notes: Vec<String>,
    rows: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    bar: String,
    prob_up: f64,
    confidence: f64,
    side: &'static str,
    speaks: bool,
    log_return: f64,
    /// Null for a move within the costs.
    hit: Option<bool>,
    in_sample: bool,
}

impl FusionTestArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let ensemble = super::ensemble(self.ensemble.as_deref())?;
        let loaded = self.which.load()?;
        let metadata = loaded.metadata();
        let (table, mut notes) = data::build(&loaded, &self.data, Some(self.symbol), None)?;
        let samples = data::samples(&table, Some(self.symbol));
        let fair = |close| self.in_sample || close > metadata.trained_through;
        let mut samples: Vec<_> = samples
            .into_iter()
            .filter(|sample| table.outcome(*sample).is_some() && fair(table.close_ts(*sample)))
            .collect();
        let wanted = self.lookback as usize;
        samples.drain(..samples.len().saturating_sub(wanted));
        if samples.is_empty() {
            let (version, through) = (metadata.version, metadata.trained_through);
            let (symbol, forced) = (Some(self.symbol), self.in_sample);
            return Err(CliError::NothingToJudge { symbol, version, through, forced });
        }
        if samples.len() < wanted {
            let which = if self.in_sample { "no others have an outcome" } else { "no others come after its training" };
            notes.push(format!("{} of {wanted} bars: {which}", samples.len()));
        }
        let rows = judge(&loaded, &table, &samples)?;
        if rows.iter().any(|row| row.in_sample) {
            notes.push("some bars are in sample: the version has learnt from what came after them".to_owned());
        }
        notes.extend(configuration_note(metadata, &ensemble));
        let (horizon_bars, round_trip_cost) = (metadata.horizon_bars, metadata.round_trip_cost);
        let threshold = ensemble.threshold;
        let report = Report {
            version: metadata.version,
            symbol: self.symbol,
            trained_through: metadata.trained_through.to_string(),
            horizon_bars,
            round_trip_cost,
            summary: Summary::of(&rows, 1, horizon_bars, round_trip_cost, threshold),
            notes,
            rows: rows.iter().map(|row| Line::of(row, threshold)).collect(),
        };
        if self.json { json(out, &report) } else { report.show(&rows, out) }
    }
}

impl Line {
    fn of(row: &Row, threshold: f64) -> Self {
        Self {
            bar: row.bar.to_string(),
            prob_up: row.forecast.prob_up,
            confidence: row.forecast.confidence(),
            side: if row.forecast.side() == Direction::Long { "long" } else { "short" },
            speaks: row.forecast.confidence() >= threshold,
            log_return: row.outcome.log_return,
            hit: row.is_hit(),
            in_sample: row.in_sample,
        }
    }
}

impl Report {
    fn show(&self, rows: &[Row], out: &mut dyn Write) -> Result<(), CliError> {
        let mut last = table(&["bar closed (UTC)", "side", "confidence", "speaks", "moved", "outcome"]);
        let from = rows.len().saturating_sub(SHOWN);
        for (line, row) in self.rows.iter().zip(rows).skip(from) {
            let outcome = match line.hit {
                Some(true) => "right",
                Some(false) => "wrong",
                None => "within the costs",
            };
            let mark = if line.in_sample { " (in sample)" } else { "" };
            last.add_row([
                time(row.bar),
                line.side.to_owned(),
                percent(line.confidence),
                if line.speaks { "yes" } else { "no" }.to_owned(),
                percent(line.log_return),
                format!("{outcome}{mark}"),
            ]);
        }
        let Self { symbol, version, horizon_bars, .. } = self;
        say(
            out,
            &format!("{symbol}, version {version}, {horizon_bars} bars ahead, the last {SHOWN} of {}:", rows.len()),
        )?;
        say(out, &last)?;
        say(out, &pairs(&self.summary.pairs()))?;
        self.notes.iter().try_for_each(|note| say(out, &format!("note: {note}")))
    }
}
