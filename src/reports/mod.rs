//! The report of a backtest: a page for people, a picture, the figures for programs, and tables of everything.
//!
//! [`write`] is the way in. What is written says what the run was, so that it can be repeated, and how much of it may be
//! luck, so that it is not believed too soon.

mod csv_files;
mod error;
mod page;
mod picture;
mod place;
mod result;
#[cfg(test)]
mod samples;
mod scale;
mod shape;
#[cfg(test)]
mod tests;
mod words;

use std::path::{Path, PathBuf};

use levibot_core::backtest::{Outcome, Summary};
use levibot_core::domain::{Symbol, Ts};

pub use error::ReportError;
pub use picture::{Ink, Line, Pane, Picture, PictureError, Theme, Unit};
pub use result::result_json;

/// For people: one page that needs nothing else.
pub const REPORT_HTML: &str = "report.html";
/// Equity and drawdown.
pub const EQUITY_PNG: &str = "equity.png";
/// For programs: the figures and the settings.
pub const RESULT_JSON: &str = "result.json";
/// Every position.
pub const TRADES_CSV: &str = "trades.csv";
/// Every execution.
pub const FILLS_CSV: &str = "fills.csv";
/// The account at the end of each frame.
pub const EQUITY_CSV: &str = "equity.csv";

/// All files that a folder of a result may hold.
const FILES: [&str; 6] = [TRADES_CSV, FILLS_CSV, EQUITY_CSV, RESULT_JSON, EQUITY_PNG, REPORT_HTML];

/// Everything that is told of a backtest.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// How it was decided.
    pub policy: PolicyText<'a>,
    /// What was traded, in instrument order.
    pub symbols: &'a [Symbol],
    /// Currency of the account, as in `USDT`.
    pub currency: &'a str,
    /// What was asked for, name and value, in the order in which it is to be shown: range, account, limits, search, seed.
    pub settings: &'a [(String, String)],
    /// What trading was made to cost, likewise: fees, spread, slippage, latency, funding.
    pub costs: &'a [(String, String)],
    /// What the prices were, a line each: where they came from and their digest, and the trading rules of every symbol.
    pub data: &'a [String],
    /// What must be known before anything here is believed, as in `limits: none`.
    pub notes: &'a [String],
    /// Wall-clock seconds that the run took.
    pub seconds: f64,
    /// Version of the program.
    pub build: &'a str,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What that means.
    pub summary: &'a Summary,
    /// The sweep that this run was chosen from.
    pub sweep: Option<&'a Sweep>,
    /// Walk-forward windows, oldest first; then the outcome is that of the windows joined. Empty: there were none.
    pub windows: &'a [Window],
}

/// A policy as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct PolicyText<'a> {
    /// Its name.
    pub name: &'a str,
    /// The file, as it was read.
    pub source: &'a str,
    /// What its parameters were.
    pub parameters: &'a [(String, f64)],
}

/// A sweep over parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Names of the parameters that were varied.
    pub parameters: Vec<String>,
    /// What the best was chosen by: `sharpe`, `net_pnl` or `calmar`.
    pub chosen_by: String,
    /// What was tried, in the order of the grid.
    pub rows: Vec<SweepRow>,
    /// Place of the chosen one in `rows`.
    pub chosen: Option<usize>,
    /// Whether choosing among them picks luck, where it could be told (combinatorially symmetric cross-validation).
    pub overfitting: Option<levibot_core::statistics::Overfitting>,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// By parameter.
    pub values: Vec<f64>,
    /// Its figures.
    pub figures: Figures,
}

/// The figures of one of many runs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Gain after costs, account currency.
    pub net_pnl: f64,
    /// The same as a fraction of the first equity.
    pub total_return: Option<f64>,
    /// Sharpe ratio a year.
    pub sharpe: Option<f64>,
    /// Deepest drawdown, a fraction.
    pub max_drawdown: Option<f64>,
    /// Positions that were left.
    pub trades: u64,
    /// Executions.
    pub fills: u64,
}

/// A window of a walk-forward: chosen on one range, traded on the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Start of the range that parameters were chosen on.
    pub train_from: Ts,
    /// Its end.
    pub train_to: Ts,
    /// Start of the range that was traded with them.
    pub from: Ts,
    /// Its end.
    pub to: Ts,
    /// What was chosen.
    pub parameters: Vec<(String, f64)>,
    /// Figures of the range that was chosen on.
    pub train: Figures,
    /// Figures of the range that was traded.
    pub test: Figures,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The files, in the order in which they were written; the page is last, so that who sees it sees the others too.
    pub files: Vec<PathBuf>,
}

/// Writes the report into a folder, which is made where it is missing. Each file is written beside its place and moved
/// there when it is whole; files of an earlier report are taken away first.
///
/// # Errors
/// [`ReportError`] names the file, and why it could not be written.
pub fn write(dir: &Path, report: &Report<'_>) -> Result<Written, ReportError> {
    let mut place = place::Place::open(dir)?;
    place.clear(&FILES)?;
    place.put(TRADES_CSV, |out| csv_files::trades(out, report.outcome))?;
    place.put(FILLS_CSV, |out| csv_files::fills(out, report.outcome))?;
    place.put(EQUITY_CSV, |out| csv_files::equity(out, report.outcome))?;
    place.put_bytes(RESULT_JSON, &result_json(report)?)?;
    place.put_bytes(EQUITY_PNG, &equity_picture(report, Theme::Dark).png()?)?;
    place.put_bytes(REPORT_HTML, page::page(report).as_bytes())?;
    Ok(Written { files: place.written() })
}

/// Writes the figures alone, `result.json`, likewise.
///
/// # Errors
/// As [`write`].
pub fn write_figures(dir: &Path, report: &Report<'_>) -> Result<Written, ReportError> {
    let text = result_json(report)?;
    let mut place = place::Place::open(dir)?;
    place.clear(&FILES)?;
    place.put_bytes(RESULT_JSON, &text)?;
    Ok(Written { files: place.written() })
}

/// Equity over drawdown, 1200 x 675 pixels.
pub fn equity_picture(report: &Report<'_>, theme: Theme) -> Picture {
    let outcome = report.outcome;
    let equity = shape::line(&outcome.curve, |point| point.equity);
    let drawdown =
        shape::drawdown(&outcome.curve, outcome.initial_equity.to_f64(), report.summary.returns.returns_basis);
    let pane = |label: String, share, unit, ink, points| Pane {
        lines: vec![Line { name: label.clone(), ink, points, is_filled: true }],
        label,
        share,
        unit,
        may_be_log: unit == Unit::Plain,
    };
    Picture {
        title: format!("{}  {}", report.policy.name, page::symbols(report.symbols)),
        subtitle: page::one_line(report),
        width: 1200,
        height: 675,
        theme,
        panes: vec![
            pane(format!("equity, {}", report.currency), 2.4, Unit::Plain, Ink::Main, equity),
            pane("drawdown from the highest equity".to_owned(), 1.0, Unit::Percent, Ink::Bad, drawdown),
        ],
    }
}
