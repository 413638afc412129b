//! How much of it may be luck.

use levibot_core::backtest::{Interval, Paths, Period, Summary};
use levibot_core::statistics::Quantiles;

use super::super::Report;
use super::super::scale::{Axis, span_of};
use super::super::words::{count, number, percent, signed, signed_percent, small};
use super::html::{Table, Width, cell, note, said, section};
use super::plot::{Plot, Unit};
use super::{ends, or_none};

/// Fewer trades than these tell nothing.
const TRADES_MIN: usize = 30;
/// Probability from which luck alone is an unlikely reason.
const SURE: f64 = 0.95;
/// Probability of overfitting up to which the choice from a sweep is believed.
const OVERFITTING_MAX: f64 = 0.2;

/// What the figures allow to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `good`, `warn` or `bad`.
    pub(super) class: &'static str,
    /// In short.
    pub(super) short: &'static str,
    /// Why.
    pub(super) reasons: String,
}

/// A sober line: what can be told from luck, and what cannot.
pub(super) fn verdict(report: &Report<'_>) -> Verdict {
    let summary = report.summary;
    let trades = summary.trades.count;
    if report.outcome.fills == 0 {
        let reasons = "No order was filled, so there is nothing to judge.".to_owned();
        return Verdict { class: "warn", short: "No trade was made", reasons };
    }
    let interval = summary.intervals.and_then(|all| all.sharpe.map(|sharpe| (all.confidence, sharpe)));
    let chance = &summary.chance;
    let deflated = chance.deflated.and_then(|deflated| Some((deflated.trials.count, deflated.probability?)));
    // Where other runs were tried and it cannot be told how much their choice is worth, nothing is sure.
    let is_chosen = chance.deflated.is_some() || report.sweep.is_some_and(|sweep| sweep.rows.len() > 1);
    let overfitting = report.sweep.and_then(|sweep| sweep.overfitting.as_ref()).map(|one| one.pbo);
    let mut reasons = vec![format!("{} trades over {} years", count(trades as u64), small(summary.years))];
    if let (Some(sharpe), Some((level, one))) = (summary.sharpe, interval) {
        let two = |end: f64| number(end, 2);
        reasons.push(format!("Sharpe ratio {}, {} interval {}", two(sharpe), percent(level, 0), ends(one, two)));
    }
    if let Some(probability) = chance.probabilistic_sharpe {
        reasons.push(format!("{} probability that the true ratio is over zero", percent(probability, 0)));
    }
    if let Some((trials, probability)) = deflated {
        reasons.push(format!("{} after {} trials", percent(probability, 0), count(u64::from(trials))));
    }
    if is_chosen && deflated.is_none() {
        reasons.push("what is left of it after all that was tried cannot be told".to_owned());
    }
    if let Some(pbo) = overfitting {
        reasons.push(format!("{} probability of overfitting", percent(pbo, 0)));
    }
    let is_sure = interval.is_some_and(|(_, one)| one.low > 0.0)
        && chance.probabilistic_sharpe.is_some_and(|probability| probability >= SURE)
        && deflated.map_or(!is_chosen, |(_, probability)| probability >= SURE)
        && overfitting.is_none_or(|pbo| pbo <= OVERFITTING_MAX);
    let (class, short) = if summary.net_pnl <= 0.0 {
        ("bad", "Earned nothing after costs")
    } else if trades < TRADES_MIN {
        ("warn", "Cannot be told from luck: too few trades")
    } else if !is_sure {
        ("warn", "Cannot be told from luck")
    } else if deflated.is_none() {
        ("good", "Better than luck, if nothing else was tried on these bars")
    } else {
        ("good", "Better than luck, with all that was tried counted in")
    };
    Verdict { class, short, reasons: reasons.join("; ") + "." }
}

/// The deepest drawdown by the ends of what intervals are drawn from, and a name of that.
pub(super) fn by_periods(summary: &Summary) -> Option<(String, f64)> {
    let all = summary.intervals?;
    let unit = match summary.returns.period {
        Period::Day => "day",
        Period::Bar => "bar",
    };
    let name = if all.joined == 1 { format!("by {unit}s") } else { format!("by {} {unit}s each", all.joined) };
    Some((name, all.max_drawdown_of_periods?))
}

pub(super) fn chance(report: &Report<'_>) -> String {
    let summary = report.summary;
    if report.outcome.fills == 0 {
        return String::new();
    }
    let two = |value: f64| number(value, 2);
    let one_percent = |value: f64| percent(value, 1);
    let mut table = Table::new(&["", "value", "interval", ""]);
    let mut row = |name: &str, value: String, interval: String, words: &str| {
        table.row(&[cell(name), cell(value), cell(interval), said(words)]);
    };
    let intervals = summary.intervals;
    let within =
        |one: Option<Interval>, write: &dyn Fn(f64) -> String| one.map_or_else(String::new, |one| ends(one, write));
    row(
        "Sharpe ratio a year",
        or_none(summary.sharpe, two),
        within(intervals.and_then(|all| all.sharpe), &two),
        "mean over deviation of returns",
    );
    row(
        "return a year",
        or_none(summary.annual_return, one_percent),
        within(intervals.and_then(|all| all.annual_return), &one_percent),
        "",
    );
    row("deepest drawdown", or_none(summary.max_drawdown, one_percent), String::new(), "by the close of every bar");
    if let Some((name, depth)) = by_periods(summary) {
        row(
            &format!("the same {name}"),
            one_percent(depth),
            within(intervals.and_then(|all| all.max_drawdown), &one_percent),
            "other orders of the same returns fall deeper or less deep",
        );
    }
    row("volatility a year", or_none(summary.volatility, one_percent), String::new(), "standard deviation of returns");
    let chance = &summary.chance;
    row(
        "PSR",
        or_none(chance.probabilistic_sharpe, one_percent),
        String::new(),
        "probability that the true Sharpe ratio exceeds zero",
    );
    if let Some(deflated) = chance.deflated {
        let words = format!(
            "probability that it exceeds {}, the best of {} worthless trials",
            two(deflated.expected_max_sharpe),
            count(u64::from(deflated.trials.count))
        );
        row("DSR", or_none(deflated.probability, one_percent), String::new(), &words);
    }
    row(
        "years needed",
        or_none(chance.min_track_record_years, small),
        String::new(),
        "to be sure that the true Sharpe ratio exceeds zero",
    );
    if let Some(entries) = summary.entries {
        let words = format!(
            "probability of a gain as large with entries at random times ({} against {} on average)",
            signed(entries.observed, 0),
            signed(entries.mean, 0)
        );
        row("p of entries", number(entries.p_value, 3), String::new(), &words);
    }
    let about = summary.returns;
    let period = match about.period {
        Period::Day => "days",
        Period::Bar => "bars",
    };
    let drawn = intervals.map_or_else(
        || "No intervals: too few returns, or none were asked for.".to_owned(),
        |all| {
            format!(
                "Intervals are {}, from {} series drawn by the stationary bootstrap in blocks of {} returns on average.",
                percent(all.confidence, 0),
                count(u64::from(all.draws)),
                number(all.block, 1)
            )
        },
    );
    let text = format!("{} returns of {period}. {drawn}", count(about.count as u64));
    section("How sure this is", Width::Wide, &(table.finish() + &note(&text)))
}

/// Ranges of many paths: thin from 5 to 95 of a hundred, thick from 25 to 75, a mark at the median, a dot at what happened.
fn ranges(rows: &[(&str, Quantiles)], happened: Option<f64>, unit: Unit, label: &str, across: &str) -> String {
    let span = span_of(rows.iter().flat_map(|(_, one)| [one.p05, one.p95]).chain(happened));
    let mut plot =
        Plot::new(Axis::linear(span).padded(0.04), Axis::linear((0.0, rows.len() as f64))).values_across(unit, 6);
    for (at, (name, one)) in rows.iter().rev().enumerate() {
        let y = at as f64 + 0.5;
        plot = plot
            .name_up(y, name)
            .stroke("a far", (one.p05, y), (one.p95, y))
            .stroke("a near", (one.p25, y), (one.p75, y))
            .dot("a", (one.p50, y), "median");
        if let Some(value) = happened {
            plot = plot.dot("b", (value, y), "what happened");
        }
    }
    plot.finish(label, "", across, 5.0)
}

pub(super) fn orders(report: &Report<'_>) -> String {
    let Some(test) = report.summary.orders else { return String::new() };
    let both = |of: fn(&Paths) -> Quantiles| [("drawn", of(&test.redrawn)), ("shuffled", of(&test.shuffled))];
    let (terminal, deepest) = (both(|paths| paths.terminal), both(|paths| paths.max_drawdown));
    let ended = report.summary.total_return.map(|value| 1.0 + value);
    let mut table = Table::new(&["", "5 %", "25 %", "median", "75 %", "95 %"]);
    let mut rows = |what: &str, all: &[(&str, Quantiles)], write: &dyn Fn(f64) -> String| {
        for (name, one) in all {
            let values = [one.p05, one.p25, one.p50, one.p75, one.p95].map(|value| cell(write(value)));
            table.row(&[vec![cell(format!("{what}, {name}"))], values.to_vec()].concat());
        }
    };
    rows("last equity", &terminal, &|value| signed_percent(value - 1.0, 1));
    rows("drawdown", &deepest, &|value| percent(value, 1));
    let text = format!(
        "{} paths of each kind. Drawn: as many trades, each taken at random from all; shuffled: all trades in another order. \
         {} of the drawn paths fell to {} of the first equity. Blue: nine of ten paths, half of them, the median; orange: what \
         happened. Drawdowns are by closed trades.",
        count(u64::from(test.draws)),
        percent(test.redrawn.ruin, 1),
        percent(test.ruin_level, 0),
    );
    let body = ranges(
        &terminal,
        ended,
        Unit::Plain,
        "Last equity of other orders of the same trades",
        "last equity, multiples of the first",
    ) + &ranges(
        &deepest,
        None,
        Unit::Percent,
        "Deepest drawdown of other orders of the same trades",
        "deepest drawdown",
    ) + &table.finish()
        + &note(&text);
    section("The same trades in other orders", Width::Half, &body)
}
