//! What a backtest came to, as it is shown and written.

use std::collections::BTreeMap;

use levibot_core::backtest::{Outcome, Summary};
use levibot_core::domain::{ModelVersion, Money, Symbol, Timeframe, Ts, as_text};
use levibot_core::statistics::Overfitting;
use serde::{Serialize, Serializer};

use super::sweep::Window;
use super::trial::Score;
use crate::reports::Figures;

/// The result. Money is in account currency; the numbers here are for programs, the exact text is in
/// [`exact`](Self::exact).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Bars over all symbols.
    pub bars: u64,
    /// Executions.
    pub fills: u64,
    /// Orders sent.
    pub orders: u64,
    /// Positions that were taken and left.
    pub trades: u64,
    /// Fees paid.
    pub fees: f64,
    /// Funding paid (negative: received).
    pub funding: f64,
    /// What fills cost beside the price reckoned with.
    pub slippage: f64,
    /// Gain after all costs.
    pub net_pnl: f64,
    /// Cash in the beginning.
    pub initial_equity: f64,
    /// Cash and positions at the last closes.
    pub final_equity: f64,
    /// `net_pnl` as a fraction of the first equity.
    pub total_return: Option<f64>,
    /// A year, a fraction.
    pub annual_return: Option<f64>,
    /// Deepest fall from a peak, a fraction.
    pub max_drawdown: f64,
    /// Sharpe ratio a year; absent where nothing moved.
    pub sharpe: Option<f64>,
    /// Probability that the true Sharpe ratio exceeds zero.
    pub psr: Option<f64>,
    /// Probability that it exceeds the best of the trials under luck alone; only where there were trials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsr: Option<f64>,
    /// Probability of backtest overfitting; only where there were trials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pbo: Option<f64>,
    /// The simulation alone.
    pub seconds: f64,
    /// `bars / seconds`.
    pub bars_per_second: f64,
    /// Reading of the price files.
    pub load_seconds: f64,
    /// Money as exact text.
    pub exact: Exact,
    /// Entries refused, by the check that said no.
    pub refused: BTreeMap<String, u64>,
    /// Halts that the account latched.
    #[serde(serialize_with = "halts_as_text")]
    pub halts: Vec<(Ts, String)>,
    /// The grid, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepView>,
    /// The windows, where there were some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk_forward: Option<WalkView>,
    /// What it was made with.
    pub settings: Settings,
    /// What was told on the way: rows left out, settings that could mislead.
    pub warnings: Vec<String>,
}

/// Amounts without rounding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exact {
    /// As [`View::fees`].
    pub fees: Money,
    /// As [`View::funding`].
    pub funding: Money,
    /// As [`View::net_pnl`].
    pub net_pnl: Money,
    /// As [`View::initial_equity`].
    pub initial_equity: Money,
    /// As [`View::final_equity`].
    pub final_equity: Money,
}

/// What a backtest was made with: the same settings, files and version of the program give the same result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Version of the program.
    pub build: String,
    /// The price files.
    pub data: String,
    /// Hash of every bar and every rate of funding.
    pub data_hash: String,
    /// What was traded.
    pub symbols: Vec<Symbol>,
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// First bar, as asked for.
    #[serde(serialize_with = "as_text::maybe")]
    pub from: Option<Ts>,
    /// Last bar, as asked for.
    #[serde(serialize_with = "as_text::maybe")]
    pub to: Option<Ts>,
    /// Policies by name, each with its hash and what its parameters stand at.
    pub policies: BTreeMap<String, PolicyView>,
    /// The model, where a policy asks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelView>,
    /// The configuration, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigView>,
    /// The account.
    pub account: AccountView,
    /// Its limits.
    pub limits: LimitsView,
    /// What trading costs.
    pub costs: CostView,
    /// What was searched, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchView>,
    /// Trading rules by symbol.
    pub instruments: BTreeMap<Symbol, RulesView>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyView {
    /// Hash of its meaning; of a walk-forward that of the file.
    pub hash: String,
    /// Parameters; of a walk-forward without those that were chosen for each window.
    pub parameters: BTreeMap<String, f64>,
}

/// The model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelView {
    /// Which version.
    pub version: ModelVersion,
    /// SHA-256 over its files, hexadecimal.
    pub digest: String,
    /// Close of the last bar that it has learnt from.
    #[serde(serialize_with = "as_text::one")]
    pub trained_through: Ts,
    /// Whether it was asked about bars that it has learnt from: then the result means nothing.
    pub in_sample: bool,
    /// The confidence from which the ensemble speaks, 0.5 to 1.
    pub threshold: f64,
    /// Forecasts over all symbols.
    pub forecasts: u64,
    /// Name of the file that keeps them, made of all that they depend on.
    pub kept: String,
}

/// A configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigView {
    /// Its file.
    pub file: String,
    /// SHA-256 over all in it, and in the files that it names, that decisions and fills depend on.
    pub hash: String,
}

/// Limits of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitsView {
    /// Whose they are: a file, `configuration`, `shipped` or `none`.
    pub from: String,
    /// Hash of their meaning; absent where there are none.
    pub hash: Option<String>,
}

/// What was searched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchView {
    /// What is best.
    pub objective: String,
    /// The values that were tried, by parameter.
    pub values: BTreeMap<String, Vec<f64>>,
    /// How many points of the grid were drawn; absent: all were tried.
    pub random: Option<u32>,
    /// The windows, where parameters were chosen anew as time went.
    pub walk_forward: Option<WalkLengths>,
}

/// Lengths of the windows of a walk-forward test, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WalkLengths {
    /// Of what is chosen on.
    pub train: f64,
    /// Of what is run on.
    pub test: f64,
    /// Of what is left out between the two.
    pub embargo: f64,
}

/// The account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountView {
    /// `linear` or `spot`.
    pub kind: levibot_core::domain::AccountKind,
    /// Its currency.
    pub currency: String,
    /// Cash in the beginning.
    pub cash: Money,
    /// Whether no limit, stop or capital binds.
    pub unlimited: bool,
}

/// What trading costs, fractions of price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostView {
    /// Of a side.
    pub fee: f64,
    /// Ask less bid.
    pub spread: f64,
    /// Mean.
    pub slippage: f64,
    /// Mean.
    pub latency_ms: f64,
    /// Share of a bar's volume.
    pub participation: f64,
    /// Of a position's value every 8 hours; absent where files tell the rates.
    pub funding: Option<f64>,
    /// The files of the venue's rates; absent where the rate is constant.
    pub funding_files: Option<String>,
    /// Of every draw.
    pub seed: u64,
}

/// Trading rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulesView {
    /// Smallest price difference, quote currency.
    pub tick: String,
    /// Smallest quantity difference, base units.
    pub step: String,
    /// Smallest order, base units.
    pub min_qty: String,
    /// Smallest order, quote currency.
    pub min_notional: String,
    /// Whether they were told from the prices instead of the venue's word.
    pub told_from_prices: bool,
}

/// A grid of parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepView {
    /// What is best.
    pub objective: String,
    /// The parameters.
    pub names: Vec<String>,
    /// Points of the grid.
    pub points: usize,
    /// Those that were run.
    pub trials: usize,
    /// Those that the policy refuses.
    pub refused: usize,
    /// Why the first of them.
    pub refused_first: Option<String>,
    /// Whether it was ended before all were done.
    pub interrupted: bool,
    /// Whether choosing among them picks luck.
    pub overfitting: Option<Overfitting>,
    /// Place of the best one in the rows.
    pub chosen: Option<usize>,
    /// All trials together.
    pub seconds: f64,
    /// Bars of all trials a second.
    pub bars_per_second: f64,
    /// The trials, in the order of the grid.
    pub rows: Vec<Row>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The parameters, in the order of the names.
    pub values: Vec<f64>,
    /// What came of them.
    #[serde(flatten)]
    pub figures: Figures,
    /// Yearly return over the deepest drawdown.
    pub calmar: Option<f64>,
    /// Fees.
    pub fees: f64,
    /// Cash and positions at the end.
    pub final_equity: f64,
}

impl Row {
    pub(super) fn of(values: Vec<f64>, score: &Score) -> Self {
        Self {
            values,
            figures: score.figures(),
            calmar: score.calmar,
            fees: score.fees.to_f64(),
            final_equity: score.final_equity.to_f64(),
        }
    }
}

/// A walk-forward test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WalkView {
    /// What is best.
    pub objective: String,
    /// The parameters that were chosen anew.
    pub names: Vec<String>,
    /// Points of the grid.
    pub points: usize,
    /// Windows that the data have room for.
    pub planned: usize,
    /// Windows beside them in whose training or test no whole bar lies: those are left out.
    pub skipped: usize,
    /// Whether it was ended before all were done.
    pub interrupted: bool,
    /// All choices together.
    pub train_seconds: f64,
    /// The windows.
    pub windows: Vec<WindowView>,
}

/// A window of a walk-forward test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowView {
    /// Begin of what was chosen on.
    #[serde(serialize_with = "as_text::one")]
    pub train_from: Ts,
    /// Its end.
    #[serde(serialize_with = "as_text::one")]
    pub train_to: Ts,
    /// Begin of what was run on.
    #[serde(serialize_with = "as_text::one")]
    pub test_from: Ts,
    /// Its end.
    #[serde(serialize_with = "as_text::one")]
    pub test_to: Ts,
    /// What was chosen, in the order of the names.
    pub values: Vec<f64>,
    /// What came of it on its training span.
    pub train: Figures,
    /// What came of it on the test.
    pub test: Figures,
}

impl WindowView {
    pub(super) fn of(window: Window, values: &[(&str, f64)], train: &Score, test: &Score) -> Self {
        Self {
            train_from: window.train.0,
            train_to: window.train.1,
            test_from: window.test.0,
            test_to: window.test.1,
            values: values.iter().map(|(_, value)| *value).collect(),
            train: train.figures(),
            test: test.figures(),
        }
    }
}

/// Times are for people too: as text in UTC.
fn halts_as_text<S: Serializer>(halts: &[(Ts, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(halts.iter().map(|(ts, words)| (ts.to_string(), words)))
}

/// What of the result is known beside outcome and summary.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) seconds: f64,
    pub(super) load_seconds: f64,
    pub(super) sweep: Option<SweepView>,
    pub(super) walk_forward: Option<WalkView>,
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

impl View {
    pub(super) fn of(outcome: &Outcome, summary: &Summary, rest: Rest) -> Self {
        let Rest { seconds, load_seconds, sweep, walk_forward, settings, warnings } = rest;
        Self {
            bars: outcome.bars,
            fills: outcome.fills,
            orders: outcome.orders,
            trades: outcome.trips.iter().filter(|trip| trip.left.is_some()).count() as u64,
            fees: outcome.fees.to_f64(),
            funding: outcome.funding.to_f64(),
            slippage: outcome.slippage,
            net_pnl: outcome.net_pnl.to_f64(),
            initial_equity: outcome.initial_equity.to_f64(),
            final_equity: outcome.final_equity.to_f64(),
            total_return: summary.total_return,
            annual_return: summary.annual_return,
            max_drawdown: summary.max_drawdown.unwrap_or(0.0),
            sharpe: summary.sharpe,
            psr: summary.chance.probabilistic_sharpe,
            dsr: summary.chance.deflated.as_ref().and_then(|deflated| deflated.probability),
            pbo: sweep.as_ref().and_then(|sweep| sweep.overfitting.as_ref()).map(|overfitting| overfitting.pbo),
            seconds,
            bars_per_second: if seconds > 0.0 { outcome.bars as f64 / seconds } else { 0.0 },
            load_seconds,
            exact: Exact {
                fees: outcome.fees,
                funding: outcome.funding,
                net_pnl: outcome.net_pnl,
                initial_equity: outcome.initial_equity,
                final_equity: outcome.final_equity,
            },
            refused: outcome.refused.clone(),
            halts: outcome.halts.clone(),
            sweep,
            walk_forward,
            settings,
            warnings,
        }
    }
}
