//! `result.json`: the figures and the settings, in the same order every time.

use std::collections::BTreeMap;

use levibot_core::backtest::{Summary, SymbolSums};
use levibot_core::domain::{Money, Symbol, Timeframe, Ts};
use levibot_core::statistics::Overfitting;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Figures, Report, ReportError, Sweep, Window};

/// Pairs as an object, in their order.
#[derive(Debug)]
struct Pairs<'a, T>(&'a [(String, T)]);

impl<T: Serialize> Serialize for Pairs<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What stands first is what programs ask for.
#[derive(Debug, Serialize)]
struct ResultFile<'a> {
    bars: u64,
    fills: u64,
    fees: f64,
    net_pnl: f64,
    final_equity: f64,
    max_drawdown: Option<f64>,
    sharpe: Option<f64>,
    seconds: f64,
    bars_per_second: Option<f64>,
    policy: &'a str,
    parameters: Pairs<'a, f64>,
    symbols: &'a [Symbol],
    currency: &'a str,
    timeframe: Timeframe,
    from: Option<String>,
    to: Option<String>,
    settings: Pairs<'a, String>,
    costs: Pairs<'a, String>,
    data: &'a [String],
    notes: &'a [String],
    build: &'a str,
    exact: ExactPart,
    account: AccountPart<'a>,
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<SweepPart<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    walk_forward: Vec<WindowPart<'a>>,
}

/// Money without rounding, as text.
#[derive(Debug, Serialize)]
struct ExactPart {
    fees: Money,
    funding: Money,
    net_pnl: Money,
    initial_equity: Money,
    final_equity: Money,
}

/// What the account did.
#[derive(Debug, Serialize)]
struct AccountPart<'a> {
    frames: u64,
    orders: u64,
    decisions: u64,
    refused: &'a BTreeMap<String, u64>,
    turnover: f64,
    slippage: f64,
    funding: f64,
    initial_equity: f64,
    leverage_max: Option<f64>,
    halts: Vec<(String, &'a str)>,
    symbols: &'a BTreeMap<Symbol, SymbolSums>,
}

#[derive(Debug, Serialize)]
struct SweepPart<'a> {
    parameters: &'a [String],
    chosen_by: &'a str,
    chosen: Option<usize>,
    overfitting: Option<&'a Overfitting>,
    rows: Vec<SweepRowPart<'a>>,
}

#[derive(Debug, Serialize)]
struct SweepRowPart<'a> {
    values: &'a [f64],
    #[serde(flatten)]
    figures: &'a Figures,
}

#[derive(Debug, Serialize)]
struct WindowPart<'a> {
    train_from: String,
    train_to: String,
    from: String,
    to: String,
    parameters: Pairs<'a, f64>,
    train: &'a Figures,
    test: &'a Figures,
}

fn sweep_part(sweep: &Sweep) -> SweepPart<'_> {
    SweepPart {
        parameters: &sweep.parameters,
        chosen_by: &sweep.chosen_by,
        chosen: sweep.chosen,
        overfitting: sweep.overfitting.as_ref(),
        rows: sweep.rows.iter().map(|row| SweepRowPart { values: &row.values, figures: &row.figures }).collect(),
    }
}

fn window_part(window: &Window) -> WindowPart<'_> {
    WindowPart {
        train_from: window.train_from.to_string(),
        train_to: window.train_to.to_string(),
        from: window.from.to_string(),
        to: window.to.to_string(),
        parameters: Pairs(&window.parameters),
        train: &window.train,
        test: &window.test,
    }
}

/// The figures and the settings as JSON, indented, with a line break at the end. What is not finite is `null`.
///
/// # Errors
/// [`ReportError::Json`]; none of these types is known to have one.
pub fn result_json(report: &Report<'_>) -> Result<Vec<u8>, ReportError> {
    let (outcome, summary) = (report.outcome, report.summary);
    let text = |ts: Option<Ts>| ts.map(|ts| ts.to_string());
    let finite = |value: f64| value.is_finite().then_some(value);
    let file = ResultFile {
        bars: outcome.bars,
        fills: outcome.fills,
        fees: outcome.fees.to_f64(),
        net_pnl: outcome.net_pnl.to_f64(),
        final_equity: outcome.final_equity.to_f64(),
        max_drawdown: summary.max_drawdown,
        sharpe: summary.sharpe,
        seconds: report.seconds,
        bars_per_second: finite(outcome.bars as f64 / report.seconds),
        policy: report.policy.name,
        parameters: Pairs(report.policy.parameters),
        symbols: report.symbols,
        currency: report.currency,
        timeframe: outcome.timeframe,
        from: text(outcome.from),
        to: text(outcome.to),
        settings: Pairs(report.settings),
        costs: Pairs(report.costs),
        data: report.data,
        notes: report.notes,
        build: report.build,
        exact: ExactPart {
            fees: outcome.fees,
            funding: outcome.funding,
            net_pnl: outcome.net_pnl,
            initial_equity: outcome.initial_equity,
            final_equity: outcome.final_equity,
        },
        account: AccountPart {
            frames: outcome.frames,
            orders: outcome.orders,
            decisions: outcome.decisions,
            refused: &outcome.refused,
            turnover: outcome.turnover,
            slippage: outcome.slippage,
            funding: outcome.funding.to_f64(),
            initial_equity: outcome.initial_equity.to_f64(),
            leverage_max: finite(outcome.leverage_max),
            halts: outcome.halts.iter().map(|(ts, words)| (ts.to_string(), words.as_str())).collect(),
            symbols: &outcome.symbols,
        },
        summary,
        sweep: report.sweep.map(sweep_part),
        walk_forward: report.windows.iter().map(window_part).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&file)?;
    bytes.push(b'\n');
    Ok(bytes)
}
