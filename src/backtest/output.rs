//! The folder of a result.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use levibot_core::domain::Symbol;
use levibot_core::engine::StrategyPolicy;

use super::view::{RulesView, SearchView, Settings, SweepView, WalkView};
use super::{BacktestError, Done, policy};
use crate::reports::{self, PolicyText, Report, Sweep, SweepRow, Window};

/// Values of a parameter that are listed one by one.
const VALUES_SHOWN: usize = 100;

fn fail(path: PathBuf) -> impl FnOnce(io::Error) -> BacktestError {
    move |source| BacktestError::Write { path, source }
}

/// Makes the folder and sees that it can be written to, before any work is done for it.
pub(super) fn prepare(folder: &Path) -> Result<(), BacktestError> {
    fs::create_dir_all(folder).map_err(fail(folder.to_owned()))?;
    let probe = folder.join(".levibot-probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(fail(folder.to_owned()))
}

/// Writes the report, or its figures alone.
pub(super) fn write(folder: &Path, done: &Done, policies: &[StrategyPolicy], whole: bool) -> Result<(), BacktestError> {
    let Done { view, outcome, summary, .. } = done;
    let settings = &view.settings;
    let first = policies.first();
    let source = first.map(StrategyPolicy::source).unwrap_or_default();
    let name = settings.policies.keys().cloned().collect::<Vec<_>>().join(", ");
    let mut parameters: Vec<(String, f64)> = first.map(policy::parameters).unwrap_or_default().into_iter().collect();
    if let Some(walk) = &view.walk_forward {
        parameters.retain(|(name, _)| !walk.names.contains(name));
    }
    let symbols: Vec<Symbol> = settings.symbols.clone();
    let (asked, costs) = (asked(settings, view.walk_forward.as_ref()), costs(settings));
    let files = format!("{}, digest {}", settings.data, settings.data_hash);
    let data: Vec<String> = std::iter::once(files).chain(settings.instruments.iter().map(rules)).collect();
    let notes = notes(done);
    let sweep = view.sweep.as_ref().map(sweep);
    let windows = view.walk_forward.as_ref().map(windows).unwrap_or_default();
    let report = Report {
        policy: PolicyText { name: &name, source, parameters: &parameters },
        symbols: &symbols,
        currency: &settings.account.currency,
        settings: &asked,
        costs: &costs,
        data: &data,
        notes: &notes,
        seconds: view.seconds,
        build: env!("CARGO_PKG_VERSION"),
        outcome,
        summary,
        sweep: sweep.as_ref(),
        windows: &windows,
    };
    if whole {
        reports::write(folder, &report)?
    } else {
        reports::write_figures(folder, &report)?
    };
    Ok(())
}

/// The trading rules of a symbol in a line.
fn rules((symbol, rules): (&Symbol, &RulesView)) -> String {
    let RulesView { tick, step, min_qty, min_notional, told_from_prices } = rules;
    let from = if *told_from_prices { ", told from its prices" } else { "" };
    format!(
        "rules of {symbol}: tick {tick}, step {step}, least quantity {min_qty}, least notional {min_notional}{from}"
    )
}

fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// What was asked for besides costs.
fn asked(settings: &Settings, walk: Option<&WalkView>) -> Vec<(String, String)> {
    let account = &settings.account;
    let kind = match account.kind {
        levibot_core::domain::AccountKind::Linear => "linear",
        levibot_core::domain::AccountKind::Spot => "spot",
    };
    let mut pairs = vec![pair("timeframe", settings.timeframe)];
    pairs.extend(settings.from.map(|from| pair("from", from)));
    pairs.extend(settings.to.map(|to| pair("to", to)));
    pairs.extend(walk.map(|walk| pair("chosen for each window", walk.names.join(", "))));
    if let Some(model) = &settings.model {
        let sample = if model.in_sample { ", IN SAMPLE" } else { "" };
        pairs.push(pair("model", format!("{}, learnt through {}{sample}", model.version, model.trained_through)));
        pairs.push(pair("threshold of the ensemble", model.threshold));
    }
    pairs.extend([
        pair("account", kind),
        pair("cash", format!("{} {}", account.cash, account.currency)),
        pair("limits", with_hash(&settings.limits.from, settings.limits.hash.as_deref())),
        pair("seed", settings.costs.seed),
    ]);
    pairs.extend(
        settings.config.as_ref().map(|config| pair("configuration", with_hash(&config.file, Some(&config.hash)))),
    );
    pairs.extend(settings.search.iter().flat_map(searched));
    pairs
}

fn with_hash(what: &str, hash: Option<&str>) -> String {
    hash.map_or_else(|| what.to_owned(), |hash| format!("{what}, hash {hash}"))
}

/// What was searched.
fn searched(search: &SearchView) -> Vec<(String, String)> {
    let list = |values: &[f64]| match values {
        [first, second, .., last] if values.len() > VALUES_SHOWN => {
            format!("{first}, {second} … {last}: {} values", values.len())
        }
        all => all.iter().map(f64::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut pairs = vec![pair("objective", &search.objective)];
    pairs.extend(search.values.iter().map(|(name, values)| pair(&format!("tried {name}"), list(values))));
    pairs.extend(search.random.map(|points| pair("points drawn", points)));
    pairs.extend(search.walk_forward.map(|walk| {
        let days = |seconds: f64| format!("{} d", seconds / 86_400.0);
        let (train, test, embargo) = (days(walk.train), days(walk.test), days(walk.embargo));
        pair("walk-forward", format!("{train} to choose on, {embargo} left out, {test} to run on"))
    }));
    pairs
}

fn costs(settings: &Settings) -> Vec<(String, String)> {
    let costs = &settings.costs;
    vec![
        pair("fee a side", costs.fee),
        pair("spread", costs.spread),
        pair("slippage", costs.slippage),
        pair("latency, ms", costs.latency_ms),
        pair("participation", costs.participation),
        match (&costs.funding_files, costs.funding) {
            (None, Some(rate)) => pair("funding every 8 hours", rate),
            (files, _) => pair("funding", format!("rates of {}", files.as_deref().unwrap_or_default())),
        },
    ]
}

/// What must be known before the figures are believed.
fn notes(done: &Done) -> Vec<String> {
    let settings = &done.view.settings;
    let mut notes = Vec::new();
    if settings.account.unlimited {
        notes.push("limits: none; the policy is measured by itself".to_owned());
    }
    let told: Vec<&str> = settings
        .instruments
        .iter()
        .filter(|(_, rules)| rules.told_from_prices)
        .map(|(symbol, _)| symbol.as_str())
        .collect();
    if !told.is_empty() {
        notes.push(format!("trading rules told from prices, without minimum: {}", told.join(", ")));
    }
    if done.interrupted {
        notes.push("interrupted: what was done by then".to_owned());
    }
    notes.extend(done.view.warnings.iter().cloned());
    notes
}

fn sweep(view: &SweepView) -> Sweep {
    let row = |row: &super::Row| SweepRow { values: row.values.clone(), figures: row.figures };
    Sweep {
        parameters: view.names.clone(),
        chosen_by: view.objective.clone(),
        rows: view.rows.iter().map(row).collect(),
        chosen: view.chosen,
        overfitting: view.overfitting.clone(),
    }
}

fn windows(view: &WalkView) -> Vec<Window> {
    let window = |window: &super::WindowView| Window {
        train_from: window.train_from,
        train_to: window.train_to,
        from: window.test_from,
        to: window.test_to,
        parameters: view.names.iter().cloned().zip(window.values.iter().copied()).collect(),
        train: window.train,
        test: window.test,
    };
    view.windows.iter().map(window).collect()
}
