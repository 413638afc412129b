//! The page: one file, no script, nothing from elsewhere.

use std::fmt::Write as _;

use super::svg::escape;
use super::{MemberReport, Report, charts};
use crate::training::evaluation::{Evaluation, Portfolio, Skill};

const STYLE: &str = include_str!("style.css");

/// A dash for what is not there.
fn percent(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$} %", value * 100.0))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn interval(ends: Option<[f64; 2]>) -> String {
    ends.map_or_else(|| "–".to_owned(), |[low, high]| format!("{:.1} to {:.1} %", low * 100.0, high * 100.0))
}

/// A table; the first column and those marked `text` are words.
fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, list: &[String]| -> String {
        list.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect()
    };
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let body: String = rows.into_iter().map(|row| format!("<tr>{}</tr>", cells("td", &row))).collect();
    let head = cells("th", &heads);
    format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
}

fn section(title: &str, wide: bool, body: &str) -> String {
    let class = if wide { " class=\"wide\"" } else { "" };
    format!("<section{class}><h2>{}</h2>{body}</section>\n", escape(title))
}

fn key(entries: &[(&str, &str)]) -> String {
    let one = |(class, name): &(&str, &str)| format!("<span><i class=\"{class}\"></i>{}</span>", escape(name));
    format!("<p class=\"key\">{}</p>", entries.iter().map(one).collect::<String>())
}

pub(super) fn page(report: &Report) -> String {
    let test = &report.test;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Model {version}</title><style>{STYLE}</style></head><body><main>\n\
         <h1>Model {version}</h1><p class=\"soft\">trained {at} on {symbols} symbols, bars of {timeframe}, \
         {horizon} bars ahead; figures are of the test part, {from} to {to}, which nothing was chosen on</p>\n",
        version = escape(report.version.as_str()),
        at = report.trained_at,
        symbols = report.data.symbols.len(),
        timeframe = report.data.timeframe,
        horizon = report.hyperparams.horizon_bars,
        from = charts::day(test.from),
        to = charts::day(test.to),
    );
    for warning in report.warnings.iter().chain(&test.warnings) {
        let _ = writeln!(out, "<div class=\"warning\">{}</div>", escape(warning));
    }
    out.push_str(&headline(test));
    out.push_str("<div class=\"grid\">\n");
    for part in [skill, portfolios, by_symbol, members] {
        out.push_str(&part(report));
    }
    report.members.iter().filter(|member| member.weight.is_some()).for_each(|member| out.push_str(&learning(member)));
    for part in [time, leak, data, settings] {
        out.push_str(&part(report));
    }
    out.push_str("</div></main></body></html>\n");
    out
}

fn headline(test: &Evaluation) -> String {
    let at = |index: usize| test.skill.get(index).and_then(|skill| skill.accuracy);
    let figures = [
        ("accuracy, every bar", percent(at(0), 1)),
        ("accuracy, surest 20 %", percent(at(1), 1)),
        ("accuracy, surest 5 %", percent(at(2), 1)),
        ("Brier score", number(test.full().and_then(|skill| skill.brier), 4)),
        ("calibration error", percent(test.full().and_then(|skill| skill.ece), 2)),
        ("Sharpe net, surest 20 %", number(test.at_coverage.sharpe, 2)),
        ("net a call, surest 20 %", percent(test.at_coverage.mean_call, 3)),
        ("max drawdown, surest 20 %", percent(Some(test.at_coverage.max_drawdown), 1)),
    ];
    let one =
        |(name, value): (&str, String)| format!("<div><b>{}</b><span>{}</span></div>", escape(&value), escape(name));
    format!("<div class=\"figures\">{}</div>\n", figures.map(one).concat())
}

fn skill_row(name: String, one: &Skill) -> Vec<String> {
    vec![
        name,
        one.calls.to_string(),
        format!("{:.0}", one.effective),
        percent(one.accuracy, 2),
        interval(one.interval),
        percent(one.accuracy_any_move, 2),
        percent(one.always_up, 2),
        percent(one.ema_cross, 2),
        number(one.brier, 4),
        number(one.log_loss, 4),
        percent(one.ece, 2),
        format!("{:.3}", one.confidence),
    ]
}

const SKILL_HEADS: [&str; 12] = [
    "",
    "calls",
    "independent",
    "accuracy",
    "95 % interval",
    "any move",
    "always up",
    "EMA 12/26",
    "Brier",
    "log loss",
    "ECE",
    "confidence from",
];

fn skill(report: &Report) -> String {
    let test = &report.test;
    let rows = test.skill.iter().map(|one| skill_row(format!("surest {:.0} %", one.coverage * 100.0), one));
    let note = format!(
        "<p class=\"soft\">{} bars judged; {} of them moved less than a round trip costs and have no label: accuracy and \
         scores are over the others, &ldquo;any move&rdquo; over all. {} of the labelled ones rose; always saying that share \
         would score a Brier of {}. Intervals are by independent outcomes: those that overlap or move together count less.</p>",
        test.bars,
        percent(Some(test.unlabelled), 1),
        percent(test.up, 1),
        number(test.brier_base, 4),
    );
    let accuracy =
        charts::accuracy(test) + &key(&[("a", "model, with interval"), ("b", "always up"), ("c", "EMA 12/26")]);
    section("Accuracy by coverage", false, &accuracy)
        + &section(
            "Reliability",
            false,
            &(charts::reliability(test)
                + "<p class=\"soft\">Across: probability that was said. Up: how often the price rose. On the dashed line they agree.</p>"),
        )
        + &section("Calls against always-up and EMA cross", true, &(table(&SKILL_HEADS, rows) + &note))
}

fn portfolios(report: &Report) -> String {
    let both = [&report.test.at_threshold, &report.test.at_coverage];
    let row = |one: &Portfolio| {
        vec![
            one.rule.clone(),
            one.calls.to_string(),
            percent(Some(one.coverage), 1),
            percent(one.mean_call, 3),
            percent(one.win_rate, 1),
            interval(one.win_interval),
            number(one.sharpe, 2),
            one.trials.to_string(),
            percent(Some(one.total), 2),
            percent(Some(one.max_drawdown), 2),
            format!("{:.2}", one.turnover_day),
        ]
    };
    let heads = [
        "",
        "calls",
        "coverage",
        "net a call",
        "win rate net",
        "95 % interval",
        "Sharpe",
        "trials",
        "net in all",
        "max drawdown",
        "turnover a day",
    ];
    let body = charts::equity(both)
        + &key(&[("a", &both[0].rule), ("b", &both[1].rule)])
        + &table(&heads, both.map(row))
        + &format!(
            "<p class=\"soft\">Every call is held for {} bars with an equal part of the capital and pays {} for the round trip. \
             Sharpe is annualised, over all bars of the test part, those without a call included.</p>",
            report.hyperparams.horizon_bars,
            percent(Some(report.hyperparams.round_trip_cost), 3),
        );
    section("Test calls, net of costs", true, &body)
}

fn by_symbol(report: &Report) -> String {
    let rows = report.test.symbols.iter().flat_map(|own| {
        own.skill.iter().map(|one| skill_row(format!("{} {:.0} %", own.symbol, one.coverage * 100.0), one))
    });
    section("By symbol", true, &table(&SKILL_HEADS, rows))
}

fn members(report: &Report) -> String {
    let rows = report.members.iter().map(|member| {
        let fit = member.calibration.map(|fit| format!("{:.3}, {:+.3}", fit.slope, fit.intercept));
        vec![
            member.name.name().to_owned(),
            percent(Some(member.weight_configured), 1),
            percent(member.weight, 1),
            fit.unwrap_or_else(|| "–".to_owned()),
            member.inputs.to_string(),
            member.note.clone(),
        ]
    });
    let heads = ["member", "configured", "weight", "calibration (slope, intercept)", "inputs", ""];
    let body = table(&heads, rows)
        + &format!(
            "<p class=\"soft\">Weighted average of calibrated votes, calibrated again ({:.3}, {:+.3}). The daemon acts from a \
             confidence of {} on.</p>",
            report.calibration.slope, report.calibration.intercept, report.threshold
        );
    section("Who votes", true, &body)
}

fn learning(member: &MemberReport) -> String {
    let names: Vec<(&str, &str)> =
        ["a", "b", "c"].into_iter().cycle().zip(member.curves.iter().map(|curve| curve.name.as_str())).collect();
    let curves = if member.curves.is_empty() { String::new() } else { charts::curves(member) + &key(&names) };
    section(
        &format!("How {} learnt", member.name.name()),
        false,
        &(curves + &format!("<p>{}</p>", escape(&member.note))),
    ) + &section(&format!("What {} looks at", member.name.name()), false, &charts::importance(member))
}

fn time(report: &Report) -> String {
    let split = &report.split;
    let row = |name: &str, from, to, samples: usize| {
        vec![name.to_owned(), format!("{from}"), format!("{to}"), samples.to_string()]
    };
    let rows = [
        row("training", split.first, split.training_end, split.training),
        row("validation: early stopping", split.training_end, split.stopping_end, split.stopping),
        row("validation: calibration, weights", split.stopping_end, split.validation_end, split.calibration),
        row("test: figures only", split.validation_end, split.last, split.test),
    ];
    let dropped = split.dropped;
    let note = format!(
        "<p class=\"soft\">Trained through {}. Left out: {} whose outcome reaches over a border, {} right after one, {} without a \
         known outcome.</p>",
        split.trained_through, dropped.purged, dropped.embargoed, dropped.unresolved
    );
    let stages = report.stages.iter().map(|stage| vec![stage.stage.clone(), format!("{:.1}", stage.seconds)]);
    let memory = format!("<p class=\"soft\">Most memory at once: {} MiB.</p>", report.memory_peak_bytes >> 20);
    section("How time was divided", true, &(table(&["", "from", "to", "samples"], rows) + &note))
        + &section("How long it took", false, &(table(&["stage", "seconds"], stages) + &memory))
}

fn leak(report: &Report) -> String {
    let check = &report.leak_check;
    let verdict = if check.is_clean() {
        let text = "No row knows of bars after it";
        format!(
            "<p class=\"good\">{text}: {} rows computed again from data cut at {} instants are the same, bit for bit.</p>",
            check.rows,
            check.instants.len()
        )
    } else {
        "<p class=\"bad\">Rows differ when the future is cut away.</p>".to_owned()
    };
    section("Leak check", false, &verdict)
}

fn data(report: &Report) -> String {
    let list = |lines: &[String]| -> String {
        format!("<ul>{}</ul>", lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect::<String>())
    };
    let mut body =
        format!("<p>{}: {} bars</p>", escape(&report.data.path), report.data.bars) + &list(&report.data.files);
    if !report.data.left_out.is_empty() {
        body += &format!("<h3>Left out</h3>{}", list(&report.data.left_out));
    }
    section("Data", true, &body)
}

fn settings(report: &Report) -> String {
    let text = serde_json::to_string_pretty(&report.hyperparams).unwrap_or_default();
    section("Hyperparameters", true, &format!("<pre>{}</pre>", escape(&text)))
}
