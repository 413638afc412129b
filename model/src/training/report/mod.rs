//! What a training was like, for people (`report.html`) and programs (`report.json`).

mod charts;
mod html;
mod svg;

use levibot_core::domain::{Member, ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::fusion::Calibration;
use serde::Serialize;

use super::evaluation::{Evaluation, time_text};
use super::show::StageTime;
use crate::dataset::{Dropped, LeakCheck};
use crate::settings::Settings;

/// The report as a version keeps it, for programs.
pub const REPORT_JSON: &str = "report.json";
/// The same for people: one page that needs nothing else.
pub const REPORT_HTML: &str = "report.html";

/// Everything that is told of a training.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version.
    pub version: ModelVersion,
    /// When it was trained.
    #[serde(with = "time_text")]
    pub trained_at: Ts,
    /// Version of the program.
    pub build: String,
    /// What must be known before anything here is believed.
    pub warnings: Vec<String>,
    /// What was learnt from.
    pub data: DataReport,
    /// How time was divided.
    pub split: SplitReport,
    /// Whether rows know of bars after them.
    pub leak_check: LeakCheck,
    /// Who votes, and how much.
    pub members: Vec<MemberReport>,
    /// Of the weighted average of votes.
    pub calibration: Calibration,
    /// Confidence from which the daemon acts.
    pub threshold: f64,
    /// Figures of the test part.
    pub test: Evaluation,
    /// The settings, whole.
    pub hyperparams: Settings,
    /// What each stage took; writing itself comes after the report.
    pub stages: Vec<StageTime>,
    /// The most memory that the process had at once, bytes.
    pub memory_peak_bytes: u64,
}

/// What was learnt from.
#[derive(Debug, Clone, Serialize)]
pub struct DataReport {
    /// The folder.
    pub path: String,
    /// Symbols with samples.
    pub symbols: Vec<Symbol>,
    /// Bar length.
    pub timeframe: Timeframe,
    /// Bars of these symbols.
    pub bars: u64,
    /// One line a file: rows, range, gaps, faults.
    pub files: Vec<String>,
    /// Symbols that were asked for and gave no sample, with the reason.
    pub left_out: Vec<String>,
}

/// How time was divided.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SplitReport {
    /// Close of the first sample.
    #[serde(with = "time_text")]
    pub first: Ts,
    /// All outcomes of training are known before it.
    #[serde(with = "time_text")]
    pub training_end: Ts,
    /// Early stopping looks at validation before it, calibration and weights at validation after it.
    #[serde(with = "time_text")]
    pub stopping_end: Ts,
    /// All outcomes of validation are known before it.
    #[serde(with = "time_text")]
    pub validation_end: Ts,
    /// Close of the last sample.
    #[serde(with = "time_text")]
    pub last: Ts,
    /// When the last outcome was known that anything was learnt from.
    #[serde(with = "time_text")]
    pub trained_through: Ts,
    /// Samples that members learnt from.
    pub training: usize,
    /// Samples of early stopping.
    pub stopping: usize,
    /// Samples of calibration and weights.
    pub calibration: usize,
    /// Samples of figures.
    pub test: usize,
    /// Bars that are in no part.
    pub dropped: Dropped,
}

/// One member.
#[derive(Debug, Clone, Serialize)]
pub struct MemberReport {
    /// Which.
    pub name: Member,
    /// Its weight in `config/ensemble.yaml`, made to add up to 1 over the members that are there.
    pub weight_configured: f64,
    /// Its weight as training chose it; none for a member that is absent.
    pub weight: Option<f64>,
    /// Of its raw probability.
    pub calibration: Option<Calibration>,
    /// How many inputs it is shown.
    pub inputs: usize,
    /// What there is to say of it.
    pub note: String,
    /// How learning went: what is on the horizontal axis, and the curves.
    pub curves: Vec<Curve>,
    /// Share of each input in what it says, the largest first.
    pub importance: Vec<Importance>,
}

/// How a figure went while a member learnt.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// Which figure.
    pub name: String,
    /// One value a round.
    pub values: Vec<f64>,
}

/// What an input counts.
#[derive(Debug, Clone, Serialize)]
pub struct Importance {
    /// Its name.
    pub feature: String,
    /// Its share, 0 to 1.
    pub share: f64,
}

impl Report {
    /// The page.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// JSON with a line break at its end.
    ///
    /// # Errors
    /// None of these types has one.
    pub fn json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
