//! The charts of a report.

use levibot_core::domain::Ts;

use super::svg::{Chart, bars, span_of};
use super::{Curve, MemberReport};
use crate::training::evaluation::{Evaluation, Portfolio};

/// Most features that a chart of importance shows.
const FEATURES_MAX: usize = 15;

fn percent(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

/// A number of rounds; nothing between two of them.
fn whole(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 { format!("{value:.0}") } else { String::new() }
}

pub(super) fn day(ts: Ts) -> String {
    ts.to_string().chars().take(10).collect()
}

/// What was said against what came; the size of a dot is how often.
pub(super) fn reliability(evaluation: &Evaluation) -> String {
    let most = evaluation.reliability.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    let mut chart = Chart::new((0.0, 1.0), (0.0, 1.0))
        .grid_y(percent)
        .ticks_x(percent)
        .line("guide", [(0.0, 0.0), (1.0, 1.0)])
        .line("a", evaluation.reliability.iter().map(|bin| (bin.said, bin.came)));
    for bin in &evaluation.reliability {
        let radius = 2.5 + 7.0 * (bin.count as f64 / most as f64).sqrt();
        let title = format!("said {:.1} %, came {:.1} %, {} bars", bin.said * 100.0, bin.came * 100.0, bin.count);
        chart = chart.dot("a", (bin.said, bin.came), radius, &title);
    }
    chart.finish("Reliability: probability that was said, and how often the price rose")
}

/// Accuracy of the surest calls with its interval, beside always-up and the cross of averages.
pub(super) fn accuracy(evaluation: &Evaluation) -> String {
    let skill = &evaluation.skill;
    let all = skill.iter().flat_map(|one| {
        let ends = one.interval.unwrap_or([0.5, 0.5]);
        [one.always_up, one.ema_cross, one.accuracy, Some(ends[0]), Some(ends[1]), Some(0.5)]
    });
    let (low, high) = span_of(all.flatten());
    let place = |at: usize| at as f64 + 0.5;
    let mut chart =
        Chart::new((0.0, skill.len() as f64), (low - 0.01, high + 0.01)).grid_y(|y| format!("{:.1} %", y * 100.0));
    for (at, one) in skill.iter().enumerate() {
        chart = chart.label_at(place(at), &format!("surest {:.0} %", one.coverage * 100.0));
        if let Some([low, high]) = one.interval {
            chart = chart.line("a wide", [(place(at), low), (place(at), high)]);
        }
        for (class, name, value) in
            [("a", "model", one.accuracy), ("b", "always up", one.always_up), ("c", "EMA 12/26", one.ema_cross)]
        {
            if let Some(value) = value {
                chart = chart.dot(class, (place(at), value), 6.0, &format!("{name}: {:.2} %", value * 100.0));
            }
        }
    }
    chart.line("guide", [(0.0, 0.5), (skill.len() as f64, 0.5)]).finish("Accuracy by coverage")
}

/// Compounded capital of calls.
pub(super) fn equity(portfolios: [&Portfolio; 2]) -> String {
    let points = || portfolios.iter().flat_map(|portfolio| &portfolio.equity);
    let time = span_of(points().map(|point| point.time.secs_f64()));
    let (low, high) = span_of(points().map(|point| point.value).chain([1.0]));
    let ends = points().map(|point| point.time).min().zip(points().map(|point| point.time).max());
    let mut chart = Chart::new(time, (low, high)).grid_y(|y| format!("{y:.3}"));
    if let Some((first, last)) = ends {
        chart = chart.ends_x(&day(first), &day(last));
    }
    for (class, portfolio) in ["a", "b"].into_iter().zip(portfolios) {
        chart = chart.line(class, portfolio.equity.iter().map(|point| (point.time.secs_f64(), point.value)));
    }
    chart.finish("Capital of test calls, net of costs")
}

/// How learning went.
pub(super) fn curves(member: &MemberReport) -> String {
    let longest = member.curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0);
    let values = span_of(member.curves.iter().flat_map(|curve| curve.values.iter().copied()));
    let mut chart = Chart::new((1.0, longest as f64), values).grid_y(|y| format!("{y:.4}")).ticks_x(whole);
    for (class, Curve { values, .. }) in ["a", "b", "c"].into_iter().cycle().zip(&member.curves) {
        chart = chart.line(class, (1..).map(f64::from).zip(values.iter().copied()));
        if let [only] = values[..] {
            chart = chart.dot(class, (1.0, only), 4.0, &format!("{only:.4}"));
        }
    }
    chart.finish(&format!("How {} learnt", member.name.name()))
}

/// The inputs that count most.
pub(super) fn importance(member: &MemberReport) -> String {
    let rows: Vec<(String, f64)> =
        member.importance.iter().take(FEATURES_MAX).map(|one| (one.feature.clone(), one.share)).collect();
    bars(&format!("What {} looks at", member.name.name()), &rows)
}
