//! The page: one file, no script, nothing from elsewhere.

mod about;
mod choice;
mod groups;
mod html;
mod luck;
mod over_time;
mod plot;
mod spread;
mod trips;

use levibot_core::backtest::Interval;
use levibot_core::domain::{Symbol, Ts};

use super::Report;
use super::words::{count, duration, escape, number, percent, signed, signed_percent};

const STYLE: &str = include_str!("style.css");
/// Names of symbols that are shown in a line; of more, how many there are.
const NAMES_MAX: usize = 6;

/// A figure that may be missing.
fn or_none(value: Option<f64>, write: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| super::words::NONE.to_owned(), write)
}

/// `YYYY-MM-DD`.
fn day(ts: Ts) -> String {
    ts.to_string().chars().take(10).collect()
}

/// `YYYY-MM-DD hh:mm`.
fn minute(ts: Ts) -> String {
    ts.to_string().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn range(from: Option<Ts>, to: Option<Ts>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{} to {}", day(from), day(to)),
        _ => "no bars".to_owned(),
    }
}

/// Names of symbols, or how many there are.
pub(super) fn symbols(all: &[Symbol]) -> String {
    let names: Vec<&str> = all.iter().take(NAMES_MAX).map(Symbol::as_str).collect();
    let more = all.len().saturating_sub(NAMES_MAX);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// The run in one line.
pub(super) fn one_line(report: &Report<'_>) -> String {
    let (outcome, summary) = (report.outcome, report.summary);
    let interval = summary.intervals.and_then(|all| all.sharpe.map(|one| (all.confidence, one)));
    let sure = interval.map(|(level, one)| format!(" ({}: {})", percent(level, 0), ends(one, |end| number(end, 2))));
    format!(
        "{}, bars of {}, net {} ({} {}), Sharpe {}{}, deepest drawdown {}",
        range(outcome.from, outcome.to),
        outcome.timeframe,
        or_none(summary.total_return, |value| signed_percent(value, 1)),
        signed(summary.net_pnl, 2),
        report.currency,
        or_none(summary.sharpe, |value| number(value, 2)),
        sure.unwrap_or_default(),
        or_none(summary.max_drawdown, |value| percent(value, 1)),
    )
}

/// The ends of an interval; a unit at the end is written once.
fn ends(interval: Interval, write: impl Fn(f64) -> String) -> String {
    between(&write(interval.low), &write(interval.high))
}

fn between(low: &str, high: &str) -> String {
    format!("{} to {high}", low.strip_suffix(" %").unwrap_or(low))
}

/// The page.
pub(super) fn page(report: &Report<'_>) -> String {
    let outcome = report.outcome;
    let name = escape(report.policy.name);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
         base-uri 'none'; form-action 'none'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{name}: backtest</title>\n\
         <style>{STYLE}</style></head>\n<body><main>\n<header><h1>{name}</h1>\n\
         <p class=\"soft\">Backtest of {} · bars of {} · {} · {} bars</p></header>\n",
        escape(&symbols(report.symbols)),
        outcome.timeframe,
        range(outcome.from, outcome.to),
        count(outcome.bars),
    );
    for words in report.notes {
        out += &format!("<div class=\"box warn\">{}</div>\n", escape(words));
    }
    let verdict = luck::verdict(report);
    out += &format!(
        "<div class=\"box {}\" role=\"note\"><b>{}</b>{}</div>\n",
        verdict.class,
        escape(verdict.short),
        escape(&verdict.reasons)
    );
    out += &headline(report);
    let whole = [over_time::equity, luck::chance, over_time::months, over_time::exposure];
    whole.iter().for_each(|part| out += &part(report));
    out += &columns(&[
        spread::distributions(report),
        groups::costs(report),
        luck::orders(report),
        groups::trades(report),
        over_time::drawdowns(report),
        groups::breakdowns(report),
    ]);
    let whole = [choice::windows, choice::sweep, trips::trips, about::policy];
    whole.iter().for_each(|part| out += &part(report));
    out += &columns(&[groups::account(report), about::settings(report)]);
    out += &about::data(report);
    out += &format!(
        "<footer>levibot {} · {} bars in {}, {} bars a second · times are UTC · a year has 365 days</footer>\n\
         </main></body></html>\n",
        escape(report.build),
        count(outcome.bars),
        duration(report.seconds),
        number(outcome.bars as f64 / report.seconds, 0),
    );
    out
}

/// Parts beside each other where there is room.
fn columns(parts: &[String]) -> String {
    format!("<div class=\"columns\">\n{}</div>\n", parts.concat())
}

fn figure(name: &str, value: &str, class: Option<&str>, more: &str) -> String {
    format!(
        "<div><dt>{}</dt><dd class=\"big {}\">{}</dd><dd class=\"more\">{}</dd></div>\n",
        escape(name),
        class.unwrap_or_default(),
        escape(value),
        escape(more)
    )
}

/// Figures that are looked at first, each with how sure it is.
fn headline(report: &Report<'_>) -> String {
    let (summary, outcome) = (report.summary, report.outcome);
    // Without a bootstrap the level is not told, and bounds of shares are there all the same.
    let level = summary.intervals.map_or_else(|| "interval".to_owned(), |all| percent(all.confidence, 0));
    let within = |interval: Option<Interval>, write: &dyn Fn(f64) -> String| {
        interval
            .map_or_else(|| "no interval: too little data".to_owned(), |one| format!("{level}: {}", ends(one, write)))
    };
    let two = |value: f64| number(value, 2);
    let one_percent = |value: f64| percent(value, 1);
    let intervals = summary.intervals;
    // The interval is of another figure than the one by bars.
    let depths = luck::by_periods(summary)
        .map_or_else(String::new, |(name, depth)| format!("{name} {}, ", one_percent(depth)))
        + &within(intervals.and_then(|all| all.max_drawdown), &one_percent);
    let net = summary.net_pnl;
    let trades = &summary.trades;
    let chance = &summary.chance;
    let mut out = vec![
        figure(
            &format!("net gain, {}", report.currency),
            &signed(net, 2),
            html::sign(net),
            &format!(
                "{} of {}",
                or_none(summary.total_return, |value| signed_percent(value, 1)),
                number(summary.initial_equity, 0)
            ),
        ),
        figure(
            "return a year",
            &or_none(summary.annual_return, |value| signed_percent(value, 1)),
            summary.annual_return.and_then(html::sign),
            &within(intervals.and_then(|all| all.annual_return), &one_percent),
        ),
        figure(
            "Sharpe ratio a year",
            &or_none(summary.sharpe, two),
            None,
            &within(intervals.and_then(|all| all.sharpe), &two),
        ),
        figure(
            "PSR: Sharpe over 0",
            &or_none(chance.probabilistic_sharpe, one_percent),
            None,
            "probability, one trial",
        ),
    ];
    if let Some(deflated) = chance.deflated {
        let more = format!("probability, of {} tried", count(u64::from(deflated.trials.count)));
        out.push(figure("DSR: after all trials", &or_none(deflated.probability, one_percent), None, &more));
    }
    if let Some(overfitting) = report.sweep.and_then(|sweep| sweep.overfitting.as_ref()) {
        let more = "probability, by the sweep";
        out.push(figure("PBO: overfitting", &one_percent(overfitting.pbo), None, more));
    }
    out.extend([
        figure("deepest drawdown", &or_none(summary.max_drawdown, one_percent), None, &depths),
        figure(
            "Sortino, Calmar",
            &format!("{}, {}", or_none(summary.sortino, two), or_none(summary.calmar, two)),
            None,
            "a year",
        ),
        figure(
            "trades",
            &count(trades.count as u64),
            None,
            &format!("{} fills, {} still open", count(outcome.fills), count(trades.open as u64)),
        ),
        figure(
            "win rate",
            &or_none(trades.win_rate, one_percent),
            None,
            &trades
                .win_rate_bounds
                .map(|b| format!("{level}: {}", between(&one_percent(b.low), &one_percent(b.high))))
                .unwrap_or_default(),
        ),
        figure(
            "profit factor",
            &or_none(trades.profit_factor, two),
            None,
            &format!("payoff {}", or_none(trades.payoff, two)),
        ),
        figure(
            &format!("costs, {}", report.currency),
            &number(summary.costs.fees + summary.costs.slippage + summary.costs.funding, 2),
            None,
            &format!("turnover {} a year", or_none(summary.turnover, |value| format!("{} x equity", number(value, 1)))),
        ),
        figure(
            "in the market",
            &or_none(summary.exposure.map(|all| all.time), one_percent),
            None,
            &format!(
                "mean exposure {}",
                or_none(summary.exposure.and_then(|all| all.gross), |value| format!("{} x equity", two(value)))
            ),
        ),
    ]);
    format!("<dl class=\"figures\">\n{}</dl>\n", out.concat())
}
