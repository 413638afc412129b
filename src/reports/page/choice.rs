//! What was tried: sweeps over parameters, and windows of a walk-forward.

use std::collections::BTreeMap;

use super::super::scale::{Axis, span_of};
use super::super::words::{count, number, percent, signed, signed_percent};
use super::super::{Figures, Report, Sweep, Window};
use super::html::{Table, Width, cell, coloured, note, section};
use super::plot::{Plot, Unit, key};
use super::{day, or_none};

/// Runs of a sweep that the page lists; all are in the JSON.
const ROWS_MAX: usize = 25;
/// Cells of a heat map; of more, none is drawn.
const CELLS_MAX: usize = 10_000;
/// Names along a side of a heat map.
const NAMES_MAX: usize = 10;

fn two(value: f64) -> String {
    number(value, 2)
}

fn figures(figures: &Figures) -> [String; 5] {
    [
        cell(or_none(figures.sharpe, two)),
        coloured(&or_none(figures.total_return, |value| signed_percent(value, 1)), figures.net_pnl),
        cell(signed(figures.net_pnl, 2)),
        cell(or_none(figures.max_drawdown, |value| percent(value, 1))),
        cell(count(figures.trades)),
    ]
}

pub(super) fn sweep(report: &Report<'_>) -> String {
    let Some(sweep) = report.sweep.filter(|sweep| !sweep.rows.is_empty()) else { return String::new() };
    let mut order: Vec<usize> = (0..sweep.rows.len()).collect();
    let sharpe = |at: &usize| sweep.rows.get(*at).and_then(|row| row.figures.sharpe).unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| sharpe(b).total_cmp(&sharpe(a)));
    let is_shown = |place: usize, at: usize| place < ROWS_MAX || Some(at) == sweep.chosen;
    let heads: Vec<&str> = sweep
        .parameters
        .iter()
        .map(String::as_str)
        .chain(["Sharpe", "net", report.currency, "max drawdown", "trades"])
        .collect();
    let mut table = Table::new(&heads);
    for (_, at) in order.iter().copied().enumerate().filter(|(place, at)| is_shown(*place, *at)) {
        let Some(row) = sweep.rows.get(at) else { continue };
        let cells: Vec<String> =
            row.values.iter().map(|value| cell(value.to_string())).chain(figures(&row.figures)).collect();
        if Some(at) == sweep.chosen { table.chosen(&cells) } else { table.row(&cells) }
    }
    let luck = sweep.overfitting.as_ref().map_or_else(String::new, |one| {
        format!(
            " Probability of overfitting {}: so often was the best on one half of the time no better than the median on the \
             other ({} ways to halve it).",
            percent(one.pbo, 0),
            count(one.combinations as u64)
        )
    });
    let text = format!(
        "{} runs, chosen by {}; the chosen one stands out. The best of many is better than it is worth: read it with the \
         deflated figures above.{luck}",
        count(sweep.rows.len() as u64),
        sweep.chosen_by
    );
    let shown = if sweep.rows.len() > ROWS_MAX {
        note(&format!("The best {ROWS_MAX} by Sharpe ratio; all are in result.json."))
    } else {
        String::new()
    };
    section("Sweep", Width::Long, &(heat_map(sweep) + &note(&text) + &table.finish() + &shown))
}

/// Different values of a parameter, lowest first.
fn values_of(sweep: &Sweep, parameter: usize) -> Vec<f64> {
    let mut values: Vec<f64> = sweep.rows.iter().filter_map(|row| row.values.get(parameter).copied()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup_by(|a, b| a.total_cmp(b).is_eq());
    values
}

fn place_of(values: &[f64], value: f64) -> Option<usize> {
    values.binary_search_by(|one| one.total_cmp(&value)).ok()
}

/// Sharpe ratios over the two parameters with the most values, means over the others.
fn heat_map(sweep: &Sweep) -> String {
    let mut sides: Vec<(usize, Vec<f64>)> = (0..sweep.parameters.len()).map(|at| (at, values_of(sweep, at))).collect();
    sides.sort_by_key(|(_, values)| std::cmp::Reverse(values.len()));
    let others = sides.get(2).is_some_and(|(_, values)| values.len() > 1);
    let Some(((x, xs), (y, ys))) = sides.first().cloned().zip(sides.get(1).cloned()) else { return String::new() };
    if ys.len() < 2 || xs.len() * ys.len() > CELLS_MAX {
        return String::new();
    }
    let places = |values: &[f64]| Some((place_of(&xs, *values.get(x)?)?, place_of(&ys, *values.get(y)?)?));
    let mut cells: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in &sweep.rows {
        if let (Some(place), Some(sharpe)) = (places(&row.values), row.figures.sharpe) {
            cells.entry(place).or_default().push(sharpe);
        }
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    let most = cells.values().map(|all| mean(all).abs()).fold(f64::MIN_POSITIVE, f64::max);
    let (Some(x_name), Some(y_name)) = (sweep.parameters.get(x), sweep.parameters.get(y)) else { return String::new() };
    let mut plot = Plot::new(Axis::linear((0.0, xs.len() as f64)), Axis::linear((0.0, ys.len() as f64)));
    for ((i, j), all) in &cells {
        let value = mean(all);
        let (at, class) = ((*i as f64, *j as f64), if value >= 0.0 { "gain" } else { "loss" });
        let word = |values: &[f64], at: usize| values.get(at).map(f64::to_string).unwrap_or_default();
        let title = format!("{x_name} {}, {y_name} {}: Sharpe {}", word(&xs, *i), word(&ys, *j), two(value));
        plot = plot.rect(class, at, (at.0 + 1.0, at.1 + 1.0), 0.08 + 0.92 * value.abs() / most, &title);
    }
    if let Some((i, j)) = sweep.chosen.and_then(|at| sweep.rows.get(at)).and_then(|row| places(&row.values)) {
        plot = plot.rect("ring", (i as f64, j as f64), (i as f64 + 1.0, j as f64 + 1.0), 1.0, "chosen");
    }
    for (at, value) in xs.iter().enumerate().step_by(xs.len().div_ceil(NAMES_MAX)) {
        plot = plot.name_across(at as f64 + 0.5, &value.to_string(), None);
    }
    for (at, value) in ys.iter().enumerate().step_by(ys.len().div_ceil(NAMES_MAX)) {
        plot = plot.name_up(at as f64 + 0.5, &value.to_string());
    }
    let of = if others { ", mean over the other parameters" } else { "" };
    let label = format!("Sharpe ratio by {x_name} and {y_name}{of}");
    let text = format!(
        "Sharpe ratio a year{of}: green over zero, red under it, full colour at {}; the frame is the chosen run.",
        two(most)
    );
    plot.finish(&label, y_name, x_name, 18.0) + &note(&text)
}

pub(super) fn windows(report: &Report<'_>) -> String {
    let windows = report.windows;
    if windows.is_empty() {
        return String::new();
    }
    let heads = [
        "traded",
        "chosen on",
        "parameters",
        "Sharpe before",
        "Sharpe",
        "net",
        report.currency,
        "max drawdown",
        "trades",
    ];
    let mut table = Table::new(&heads);
    for window in windows {
        let parameters: Vec<String> = window.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let mut cells = vec![
            cell(format!("{} to {}", day(window.from), day(window.to))),
            cell(format!("{} to {}", day(window.train_from), day(window.train_to))),
            cell(parameters.join(", ")),
            cell(or_none(window.train.sharpe, two)),
        ];
        cells.extend(figures(&window.test));
        table.row(&cells);
    }
    let earned = windows.iter().filter(|window| window.test.net_pnl > 0.0).count();
    let text = format!(
        "{earned} of {} windows gained. Parameters were chosen on the range before; what is traded had no part in the choice, and \
         the figures of this page are of the traded ranges joined.",
        windows.len()
    );
    section("Walk-forward", Width::Wide, &(steps(windows) + &note(&text) + &table.finish()))
}

/// What was promised beside what came.
fn steps(windows: &[Window]) -> String {
    let both = || windows.iter().flat_map(|window| [window.train.sharpe, window.test.sharpe]).flatten();
    if both().next().is_none() {
        return String::new();
    }
    let up = Axis::linear(span_of(both().chain([0.0]))).padded(0.06);
    let mut plot = Plot::new(Axis::linear((0.0, windows.len() as f64)), up).rules(Unit::Plain, 5);
    let every = windows.len().div_ceil(NAMES_MAX).max(1);
    for (at, window) in windows.iter().enumerate() {
        let x = at as f64 + 0.5;
        let (before, after) = (window.train.sharpe.unwrap_or(f64::NAN), window.test.sharpe.unwrap_or(f64::NAN));
        plot = plot
            .stroke("guide", (x, before), (x, after))
            .dot("b", (x, before), &format!("chosen with {}", two(before)))
            .dot("a", (x, after), &format!("came to {}", two(after)));
        if at.is_multiple_of(every) {
            plot = plot.name_across(x, &day(window.from), None);
        }
    }
    plot.finish(
        "Sharpe ratio of each window before and after the choice",
        "Sharpe ratio a year",
        "start of the traded range, UTC",
        12.0,
    ) + &key(&[("b", "on the range that parameters were chosen on"), ("a", "on the range that was traded")])
}
