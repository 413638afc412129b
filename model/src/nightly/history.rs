//! What became of each night, for the daemon, its metrics and people: `retrain_history.jsonl`, see `docs/nightly.md`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use levibot_core::domain::{ModelVersion, Ts};
use serde::{Deserialize, Serialize};

use super::gate::Verdict;
use super::store::Collected;
use crate::training::{StageTime, time_text};

/// Its file in the folder of versions.
pub const HISTORY_FILE: &str = "retrain_history.jsonl";

/// How a night ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new version is in use.
    Deployed,
    /// The new version was not better; the old one stays in use.
    Refused,
    /// A step failed; the old version stays in use.
    Failed,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// When it ended.
    #[serde(with = "time_text")]
    pub time: Ts,
    /// Up to when data were looked at.
    #[serde(with = "time_text")]
    pub as_of: Ts,
    /// How it ended.
    pub outcome: Outcome,
    /// The last step that was begun.
    pub step: String,
    /// What it took from start to end.
    pub seconds: f64,
    /// What each step took.
    pub steps: Vec<StageTime>,
    /// The version that was trained, if it came so far.
    pub version: Option<ModelVersion>,
    /// The version that was in use before, if any.
    pub champion: Option<ModelVersion>,
    /// Annualised Sharpe ratio of the new version's test part, net of costs.
    pub backtest_sharpe: Option<f64>,
    /// What was collected.
    pub collected: Vec<Collected>,
    /// What the gate said, if it came so far.
    pub gate: Option<Verdict>,
    /// Versions that were removed.
    pub pruned: Vec<ModelVersion>,
    /// The alert.
    pub text: String,
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: the night cannot be noted; check that the folder may be written and that the disk is not full", path.display())]
pub struct HistoryError {
    /// The file.
    path: PathBuf,
    /// Why not.
    #[source]
    source: io::Error,
}

/// Appends a line in one write and makes it durable. A line that a death left half is ended first.
///
/// # Errors
/// [`HistoryError`].
pub fn append(models: &Path, night: &Night) -> Result<(), HistoryError> {
    let path = models.join(HISTORY_FILE);
    let write = || -> io::Result<()> {
        let half = std::fs::read(&path).is_ok_and(|text| text.last().is_some_and(|byte| *byte != b'\n'));
        let mut line = if half { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, night)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(&line)?;
        file.sync_all()
    };
    write().map_err(|source| HistoryError { path: path.clone(), source })
}
