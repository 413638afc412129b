//! What earned and what lost: costs, and trades by what they have in common.

use levibot_core::backtest::{Group, Trades};
use levibot_core::statistics::Quantiles;

use super::super::Report;
use super::super::scale::{Axis, span_of};
use super::super::words::{count, duration, number, percent, signed};
use super::html::{Table, Width, bar, cell, coloured, note, section};
use super::plot::{Plot, Unit};
use super::{minute, or_none};

/// From the gain before costs to the net one, each cost a step.
pub(super) fn costs(report: &Report<'_>) -> String {
    let costs = report.summary.costs;
    let net = report.summary.net_pnl;
    if report.outcome.fills == 0 {
        return String::new();
    }
    let steps = [("fees", costs.fees), ("slippage", costs.slippage), ("funding", costs.funding)];
    let mut boxes = vec![("gross", 0.0, costs.gross_pnl)];
    let mut at = costs.gross_pnl;
    for (name, cost) in steps {
        boxes.push((name, at, at - cost));
        at -= cost;
    }
    boxes.push(("net", 0.0, net));
    let span = span_of(boxes.iter().flat_map(|(_, from, to)| [*from, *to]).chain([0.0]));
    let mut plot =
        Plot::new(Axis::linear((0.0, boxes.len() as f64)), Axis::linear(span).padded(0.04)).rules(Unit::Plain, 5);
    for (n, (name, from, to)) in boxes.iter().enumerate() {
        let x = n as f64 + 0.5;
        let class = if to >= from { "gain" } else { "loss" };
        let value = signed(to - from, 2);
        plot = plot.rect(class, (x - 0.32, *from), (x + 0.32, *to), 1.0, &format!("{name}: {value}")).name_across(
            x,
            name,
            Some(&signed(to - from, if span.1 - span.0 >= 1_000.0 { 0 } else { 2 })),
        );
    }
    let shares = [("fees", costs.fees_share), ("slippage", costs.slippage_share), ("funding", costs.funding_share)];
    let words: Vec<String> =
        shares.iter().filter_map(|(name, share)| share.map(|share| format!("{name} {}", percent(share, 1)))).collect();
    let text = if words.is_empty() {
        "There was no gain before costs that they could be a share of.".to_owned()
    } else {
        format!("Of the gain before costs: {}.", words.join(", "))
    };
    let up = format!("from gross to net, {}", report.currency);
    section("Costs", Width::Half, &(plot.finish("Costs from gross gain to net gain", &up, "", 13.0) + &note(&text)))
}

/// How trades went while they were held.
pub(super) fn trades(report: &Report<'_>) -> String {
    let Trades { holding_seconds, holding_bars, adverse, favourable, .. } = &report.summary.trades;
    let mut table = Table::new(&["", "5 %", "25 %", "median", "75 %", "95 %", "largest"]);
    let mut rows = 0;
    let mut row = |name: &str, one: Option<&Quantiles>, write: &dyn Fn(f64) -> String| {
        if let Some(one) = one {
            let values = [one.p05, one.p25, one.p50, one.p75, one.p95, one.max].map(|value| cell(write(value)));
            table.row(&[vec![cell(name)], values.to_vec()].concat());
            rows += 1;
        }
    };
    row("held", holding_seconds.as_ref(), &duration);
    row("held, bars", holding_bars.as_ref(), &|value| number(value, 0));
    row("against us (MAE)", adverse.as_ref(), &|value| percent(value, 2));
    row("for us (MFE)", favourable.as_ref(), &|value| percent(value, 2));
    if rows == 0 {
        return String::new();
    }
    let text = "Furthest that the price was against and for a position, fractions of its entry price.";
    section("While trades were held", Width::Half, &(table.finish() + &note(text)))
}

pub(super) fn breakdowns(report: &Report<'_>) -> String {
    let by = &report.summary.by;
    [
        ("By symbol", &by.symbol),
        ("By side", &by.side),
        ("By exit", &by.exit),
        ("By market at entry", &by.regime),
        ("By weekday of entry, UTC", &by.weekday),
        ("By hour of entry, UTC", &by.hour),
    ]
    .into_iter()
    .map(|(title, groups)| group(title, groups))
    .collect()
}

fn group(title: &str, groups: &[Group]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let most = groups.iter().map(|group| group.net.abs()).fold(0.0, f64::max);
    let digits = if most >= 1_000.0 { 0 } else { 2 };
    let money = |value: f64| signed(value, digits);
    let mut table = Table::new(&["", "trades", "wins", "mean", "its interval", "net", ""]);
    for one in groups {
        let bounds = one.mean_bounds.map(|b| format!("{} to {}", money(b.low), money(b.high)));
        table.row(&[
            cell(one.key.replace('_', " ")),
            cell(count(one.trades as u64)),
            cell(or_none(one.win_rate, |rate| percent(rate, 1))),
            cell(or_none(one.mean, money)),
            cell(bounds.unwrap_or_default()),
            coloured(&money(one.net), one.net),
            bar(one.net, most),
        ]);
    }
    section(title, Width::Half, &table.finish())
}

/// What the account did, and what it refused.
pub(super) fn account(report: &Report<'_>) -> String {
    let outcome = report.outcome;
    let mut table = Table::of_words();
    let mut row = |name: &str, value: String| table.row(&[cell(name), cell(value)]);
    row("frames", count(outcome.frames));
    row("decisions that wanted something", count(outcome.decisions));
    row("orders", count(outcome.orders));
    row("fills", count(outcome.fills));
    row("turnover", format!("{} {}", number(outcome.turnover, 2), report.currency));
    row(
        "largest leverage",
        if outcome.leverage_max.is_finite() {
            format!("{} x", number(outcome.leverage_max, 2))
        } else {
            "beyond measure: equity was used up".to_owned()
        },
    );
    for (check, times) in &outcome.refused {
        row(&format!("refused: {check}"), count(*times));
    }
    for (ts, words) in &outcome.halts {
        row(&format!("halt {}", minute(*ts)), words.clone());
    }
    section("What the account did", Width::Half, &table.finish())
}
