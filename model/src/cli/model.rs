//! `model`: the folder of versions.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use levibot_core::chain::chain;
use levibot_core::domain::{ModelVersion, Symbol, Ts};
use serde::Serialize;
use serde_json::Value;

use super::judge::{Summary, judge};
use super::out::{NOTHING, json, number, pairs, percent, say, table, time};
use super::{CliError, Folder, data};
use crate::clock::wall_now;
use crate::ensemble::{LoadError, Loaded};
use crate::tft::fix_threads;
use crate::training::{Evaluation, Rules};
use crate::versions::{Change, Listed, Metadata};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Every version, and which one is in use
    List(ListArgs),
    /// All that is known of a version
    Show(ShowArgs),
    /// Two versions side by side
    Compare(CompareArgs),
    /// Put a version into use; a running daemon changes over within a second
    Promote(PromoteArgs),
    /// Put the version into use again that was in use before
    Rollback(RollbackArgs),
    /// Check files and answers of a version; with prices also how good it is on what it has not seen
    Validate(ValidateArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    folder: Folder,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Which; without it the one in use
    version: Option<ModelVersion>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// One
    a: ModelVersion,
    /// The other
    b: ModelVersion,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    /// Which
    version: ModelVersion,
    /// Why, for the history
    #[arg(long, default_value = "by hand")]
    reason: String,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Why, for the history
    #[arg(long, default_value = "by hand")]
    reason: String,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Which; without it the one in use
    version: Option<ModelVersion>,
    /// A price file or a folder of them: what comes after the version's training is judged
    #[arg(long, value_name = "FILE|DIR")]
    data: Option<PathBuf>,
    /// Judge bars that close at or after this; what the version has learnt from is left out all the same
    #[arg(long, value_name = "TIME")]
    from: Option<Ts>,
    /// Look at nothing after this; a date alone means the end of that day
    #[arg(long, value_name = "TIME", value_parser = Ts::parse_end)]
    to: Option<Ts>,
    /// The ensemble's configuration, for the threshold
    #[arg(long, value_name = "FILE")]
    ensemble: Option<PathBuf>,
    #[command(flatten)]
    list: ListArgs,
}

impl ModelCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(out),
            Self::Show(args) => args.run(out),
            Self::Compare(args) => args.run(out),
            Self::Promote(args) => args.run(out),
            Self::Rollback(args) => args.run(out),
            Self::Validate(args) => args.run(out),
        }
    }
}

impl ListArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let listed = self.folder.versions().list()?;
        if self.json {
            let rows: Vec<Value> = listed.iter().map(row).collect();
            return json(out, &rows);
        }
        let mut rows = table(&["version", "in use", "bars", "learnt through (UTC)", "Sharpe", "win rate", "state"]);
        for Listed { version, current, metadata } in &listed {
            let mark = if *current { "yes" } else { "" };
            let line = match metadata {
                Ok(metadata) => [
                    version.to_string(),
                    mark.to_owned(),
                    metadata.timeframe.to_string(),
                    time(metadata.trained_through),
                    number(metadata.backtest_sharpe, 2),
                    metadata.backtest_win_rate.map_or_else(|| NOTHING.to_owned(), percent),
                    "whole".to_owned(),
                ],
                Err(error) => {
                    let nothing = || NOTHING.to_owned();
                    [version.to_string(), mark.to_owned(), nothing(), nothing(), nothing(), nothing(), chain(error)]
                }
            };
            rows.add_row(line);
        }
        if listed.is_empty() {
            let dir = self.folder.models.display();
            return say(out, &format!("{dir}: no version yet; `levibot train` makes one"));
        }
        say(out, &rows)
    }

    fn version(&self, named: Option<ModelVersion>) -> Result<Metadata, CliError> {
        let versions = self.folder.versions();
        Ok(match named {
            Some(version) => versions.open(&version)?.metadata,
            None => versions.open_current()?.metadata,
        })
    }

    fn changed(&self, change: Option<&Change>, version: ModelVersion, out: &mut dyn Write) -> Result<(), CliError> {
        if self.json {
            return json(out, &change);
        }
        match change {
            None => say(out, &format!("version {version} is in use already")),
            Some(Change { from: Some(from), to, .. }) => say(out, &format!("version {to} is in use now, after {from}")),
            Some(Change { to, .. }) => say(out, &format!("version {to} is in use now")),
        }
    }
}

fn row(listed: &Listed) -> Value {
    let Listed { version, current, metadata } = listed;
    let mut row = serde_json::json!({"version": version, "current": current, "whole": metadata.is_ok()});
    match metadata {
        Ok(metadata) => row["metadata"] = serde_json::to_value(metadata).unwrap_or_default(),
        Err(error) => row["error"] = chain(error).into(),
    }
    row
}

impl ShowArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let metadata = self.list.version(self.version)?;
        if self.list.json {
            return json(out, &metadata);
        }
        let mut shown = table(&["what", "value"]);
        for (key, value) in leaves(&metadata) {
            shown.add_row([key, value]);
        }
        say(out, &shown)
    }
}

impl CompareArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let (a, b) = (leaves(&self.list.version(Some(self.a))?), leaves(&self.list.version(Some(self.b))?));
        let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let differing: Vec<(&str, Option<&String>, Option<&String>)> =
            keys.into_iter().map(|key| (key.as_str(), a.get(key), b.get(key))).filter(|(_, a, b)| a != b).collect();
        if self.list.json {
            let rows = differing.iter().map(|(key, a, b)| serde_json::json!({"key": key, "a": a, "b": b}));
            return json(out, &rows.collect::<Vec<_>>());
        }
        let mut shown = table(&["what differs", self.a.as_str(), self.b.as_str()]);
        let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| NOTHING.to_owned());
        // Lists of numbers are for `--json`: a table of them tells nobody anything.
        let is_list = |key: &str| key.split('.').any(|part| part.parse::<u32>().is_ok());
        for (key, a, b) in differing.into_iter().filter(|(key, ..)| !is_list(key)) {
            shown.add_row([key.to_owned(), text(a), text(b)]);
        }
        say(out, &shown)?;
        say(
            out,
            &"figures are those of each version's own test span; `model validate --data` judges both on the same prices",
        )
    }
}

/// Every value of the metadata by its path; files by their sums are told by the digest.
fn leaves(metadata: &Metadata) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, value, found);
                }
            }
            Value::Array(list) if list.iter().all(|one| !one.is_object() && !one.is_array()) => {
                let list: Vec<String> = list.iter().map(text).collect();
                found.insert(path.to_owned(), list.join(", "));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(at, value)| walk(&format!("{path}.{at}"), value, found));
            }
            leaf => {
                found.insert(path.to_owned(), text(leaf));
            }
        }
    }
    fn text(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
    let mut value = serde_json::to_value(metadata).unwrap_or_default();
    value.as_object_mut().and_then(|fields| fields.remove("files"));
    let mut found = BTreeMap::new();
    walk("", &value, &mut found);
    found
}

impl PromoteArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let versions = self.list.folder.versions();
        // A server would refuse a version that answers otherwise than when it was trained: better now than then.
        fix_threads(1);
        Loaded::load(versions.open(&self.version)?)?;
        let change = versions.promote(&self.version, wall_now(), "command line", &self.reason)?;
        self.list.changed(change.as_ref(), self.version, out)
    }
}

impl RollbackArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let change = self.list.folder.versions().rollback(wall_now(), "command line", &self.reason)?;
        self.list.changed(Some(&change), change.to, out)
    }
}

#[derive(Debug, Serialize)]
struct Validation {
    version: ModelVersion,
    digest: String,
    files: usize,
    canary: &'static str,
    trained_through: String,
    judged: Option<Summary>,
    symbols: BTreeMap<Symbol, Summary>,
    /// The figures of training's report, over this range.
    evaluation: Option<Evaluation>,
    notes: Vec<String>,
}

impl ValidateArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let ensemble = super::ensemble(self.ensemble.as_deref())?;
        let version = self.list.version(self.version)?.version;
        fix_threads(1);
        let loaded = Loaded::load(self.list.folder.versions().open(&version).map_err(LoadError::from)?)?;
        let metadata = loaded.metadata();
        let mut validation = Validation {
            version,
            digest: metadata.digest.clone(),
            files: metadata.files.len(),
            canary: "answered as in training",
            trained_through: metadata.trained_through.to_string(),
            judged: None,
            symbols: BTreeMap::new(),
            evaluation: None,
            notes: Vec::new(),
        };
        if let Some(path) = &self.data {
            self.judge(&loaded, path, ensemble.threshold, &mut validation)?;
        }
        if self.list.json { json(out, &validation) } else { validation.show(out) }
    }

    fn judge(
        &self,
        loaded: &Loaded,
        path: &std::path::Path,
        threshold: f64,
        validation: &mut Validation,
    ) -> Result<(), CliError> {
        let metadata = loaded.metadata();
        let (table, notes) = data::build(loaded, path, None, self.to)?;
        let wanted = |sample: &crate::dataset::Sample| {
            let close = table.close_ts(*sample);
            let unseen = close > metadata.trained_through && self.from.is_none_or(|from| close >= from);
            unseen && table.outcome(*sample).is_some()
        };
        let samples: Vec<_> = data::samples(&table, None).into_iter().filter(wanted).collect();
        let rows = judge(loaded, &table, &samples)?;
        let prob_up: Vec<f64> = rows.iter().map(|row| row.forecast.prob_up).collect();
        let rules = Rules { threshold, round_trip_cost: metadata.round_trip_cost };
        validation.evaluation = Evaluation::of(&table, &samples, &prob_up, rules);
        if rows.is_empty() {
            let (version, through) = (metadata.version, metadata.trained_through);
            return Err(CliError::NothingToJudge { symbol: None, version, through, forced: true });
        }
        let (horizon, cost) = (metadata.horizon_bars, metadata.round_trip_cost);
        let symbols: std::collections::BTreeSet<Symbol> = rows.iter().map(|row| row.symbol).collect();
        validation.judged = Some(Summary::of(&rows, symbols.len(), horizon, cost, threshold));
        for symbol in symbols {
            let own: Vec<_> = rows.iter().filter(|row| row.symbol == symbol).cloned().collect();
            validation.symbols.insert(symbol, Summary::of(&own, 1, horizon, cost, threshold));
        }
        validation.notes = notes;
        Ok(())
    }
}

impl Validation {
    fn show(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let Self { version, digest, files, canary, .. } = self;
        say(
            out,
            &format!("version {version} is whole: {files} files, digest {digest}, questions of training {canary}"),
        )?;
        let Some(judged) = &self.judged else { return Ok(()) };
        say(out, &format!("on bars after {}, which it has not learnt from:", self.trained_through))?;
        say(out, &pairs(&judged.pairs()))?;
        let mut each = table(&["symbol", "bars", "accuracy", "always up", "Brier", "coverage", "accuracy there"]);
        let share = |x: Option<f64>| x.map_or_else(|| NOTHING.to_owned(), percent);
        for (symbol, s) in &self.symbols {
            each.add_row([
                symbol.to_string(),
                s.bars.to_string(),
                share(s.accuracy),
                share(s.always_up),
                number(s.brier, 4),
                percent(s.coverage),
                share(s.accuracy_spoken),
            ]);
        }
        say(out, &each)?;
        self.notes.iter().try_for_each(|note| say(out, &format!("note: {note}")))
    }
}
