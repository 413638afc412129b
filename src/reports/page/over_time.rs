//! What went on from the first day to the last.

use std::collections::BTreeMap;

use levibot_core::backtest::ReturnsBasis;

use super::super::scale::{Axis, Steps, span_of};
use super::super::words::{duration, number, percent, signed};
use super::super::{Report, shape};
use super::html::{Table, Width, cell, note, section, tinted};
use super::plot::{Plot, Unit, key};
use super::{day, range};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(super) fn equity(report: &Report<'_>) -> String {
    let outcome = report.outcome;
    if outcome.curve.is_empty() {
        return section("Equity", Width::Wide, &note("No curve was kept."));
    }
    let initial = outcome.initial_equity.to_f64();
    let line = shape::line(&outcome.curve, |point| point.equity);
    let span = span_of(line.iter().map(|point| point.1).chain([initial]));
    let up = Axis::new(Steps::fitting(span), span).padded(0.03);
    let below = shape::drawdown(&outcome.curve, initial, report.summary.returns.returns_basis);
    let deepest = span_of(below.iter().map(|point| point.1));
    let ends = line.first().zip(line.last()).map(|(first, last)| (first.0, last.0)).unwrap_or_default();
    let label = format!("Equity, {}", range(outcome.from, outcome.to));
    let body = Plot::over_time(&line, up)
        .rules(Unit::Plain, 6)
        .stroke("guide", (ends.0, initial), (ends.1, initial))
        .area("a", &line)
        .finish(&label, &format!("equity at the close of each frame, {}", report.currency), "", 19.0)
        + &Plot::over_time(&below, Axis::linear((deepest.0.min(-0.001), 0.0)))
            .rules(Unit::Percent, 4)
            .area("bad", &below)
            .finish("Drawdown over time", "drawdown from the highest equity so far", "time, UTC", 9.0);
    section("Equity and drawdown", Width::Wide, &body)
}

pub(super) fn months(report: &Report<'_>) -> String {
    let months = &report.summary.months;
    if months.is_empty() {
        return String::new();
    }
    let most = months.iter().map(|month| month.change.abs()).fold(0.0, f64::max);
    let mut years: BTreeMap<i16, BTreeMap<i8, f64>> = BTreeMap::new();
    for month in months {
        years.entry(month.year).or_default().insert(month.month, month.change);
    }
    let compounds = report.summary.returns.returns_basis == ReturnsBasis::Equity;
    let heads: Vec<&str> = [""].into_iter().chain(MONTHS).chain(["year"]).collect();
    let mut table = Table::new(&heads);
    for (year, of_year) in &years {
        let total = if compounds {
            of_year.values().map(|change| 1.0 + change).product::<f64>() - 1.0
        } else {
            of_year.values().sum()
        };
        let months = (1..=12).map(|month| match of_year.get(&month) {
            Some(change) => tinted(&signed(change * 100.0, 1), *change, most),
            None => cell(""),
        });
        let year = [cell(year.to_string())];
        let total = [format!("<td><b>{}</b></td>", signed(total * 100.0, 1))];
        table.row(&year.into_iter().chain(months).chain(total).collect::<Vec<_>>());
    }
    let basis = if compounds { "Percent of the equity before" } else { "Percent of the first equity" };
    let text = format!("{basis}; calendar months, UTC. The first and the last may be parts of months.");
    section("Months", Width::Wide, &(table.finish() + &note(&text)))
}

pub(super) fn exposure(report: &Report<'_>) -> String {
    let curve = &report.outcome.curve;
    let share = |value: f64, equity: f64| if equity > 0.0 { value / equity } else { f64::NAN };
    let gross = shape::line(curve, |point| share(point.gross, point.equity));
    let net = shape::line(curve, |point| share(point.net, point.equity));
    let span = span_of(gross.iter().chain(&net).map(|point| point.1).chain([0.0]));
    if curve.is_empty() || report.outcome.fills == 0 {
        return String::new();
    }
    let body = Plot::over_time(&gross, Axis::linear(span).padded(0.03))
        .rules(Unit::Plain, 4)
        .line("b thin", &net)
        .area("c", &gross)
        .finish("Exposure over time", "exposure, multiples of equity", "time, UTC", 10.0)
        + &key(&[("c", "gross: all positions"), ("b", "net: long less short")]);
    section("Exposure", Width::Wide, &body)
}

pub(super) fn drawdowns(report: &Report<'_>) -> String {
    let Some(drawdowns) = report.summary.drawdowns.as_ref().filter(|all| !all.deepest.is_empty()) else {
        return String::new();
    };
    let mut table = Table::new(&["peak", "depth", "trough", "reached again", "length"]);
    for one in &drawdowns.deepest {
        table.row(&[
            cell(day(one.begin)),
            cell(percent(one.depth, 2)),
            cell(day(one.trough)),
            cell(one.recovery.map_or_else(|| "never".to_owned(), day)),
            cell(duration(one.seconds)),
        ]);
    }
    let text = format!(
        "Under an earlier peak {} of the time, at the longest for {}; ulcer index {} %. By closes of frames: what happened \
         inside a bar is not seen.",
        percent(drawdowns.under_water, 1),
        duration(drawdowns.longest_seconds),
        number(drawdowns.ulcer_index * 100.0, 2),
    );
    section("Deepest drawdowns", Width::Half, &(table.finish() + &note(&text)))
}
