//! How results are spread.

use levibot_core::backtest::{Extreme, Period, ReturnsBasis, periods};

use super::super::Report;
use super::super::scale::Axis;
use super::super::shape::{Histogram, histogram};
use super::super::words::{count, duration, percent, signed, signed_percent};
use super::html::{Width, note, section};
use super::plot::{Plot, Unit};

const BINS: usize = 41;

pub(super) fn distributions(report: &Report<'_>) -> String {
    let outcome = report.outcome;
    let on_initial = report.summary.returns.returns_basis == ReturnsBasis::InitialEquity;
    let returns = periods(outcome, on_initial);
    let of_what = match returns.about.period {
        Period::Day => "return of a UTC day",
        Period::Bar => "return of a bar",
    };
    let closed = || outcome.trips.iter().filter(|trip| trip.left.is_some());
    let results: Vec<f64> = closed().map(|trip| trip.net).collect();
    let held: Vec<f64> =
        closed().filter_map(|trip| Some((trip.left?.secs_f64() - trip.entered.secs_f64()).max(0.0))).collect();
    // In the unit that the longest ones ask for, so that marks are round.
    let longest = held.iter().copied().fold(0.0, f64::max);
    let (unit, unit_name) = [(86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")]
        .into_iter()
        .find(|(unit, _)| longest >= 3.0 * unit)
        .unwrap_or((1.0, "seconds"));
    let held: Vec<f64> = held.iter().map(|secs| secs / unit).collect();
    let percent_of = |value: f64| signed_percent(value, 2);
    let money = |value: f64| signed(value, 2);
    let extremes = &report.summary.extremes;
    let named = |name: &str, one: Option<Extreme>| {
        one.map(|one| format!("{name} {} ({})", signed_percent(one.change, 2), super::day(one.start)))
    };
    let of_days: Vec<String> =
        [named("best day", extremes.best_day), named("worst day", extremes.worst_day)].into_iter().flatten().collect();
    let about = report.summary.skewness.zip(report.summary.kurtosis).map(|(skewness, kurtosis)| {
        format!("skewness {}, kurtosis {} (normal: 3)", signed(skewness, 2), super::number(kurtosis, 2))
    });
    let of_days = of_days.into_iter().chain(about).collect::<Vec<_>>().join("; ");
    let trades = &report.summary.trades;
    let of_trades = format!(
        "mean {}, win {}, loss {}; longest run of losses {}",
        super::or_none(trades.expectancy, money),
        super::or_none(trades.mean_win, money),
        super::or_none(trades.mean_loss, money),
        trades.longest_losing_run,
    );
    let of_held = trades.holding_seconds.as_ref().map(|held| {
        format!("median {}, nine of ten from {} to {}", duration(held.p50), duration(held.p05), duration(held.p95))
    });
    chart("Returns", &returns.values, true, Unit::Percent, of_what, &percent_of, &of_days)
        + &chart("Trades", &results, true, Unit::Plain, "net result of a trade, quote currency", &money, &of_trades)
        + &chart(
            "Holding times",
            &held,
            false,
            Unit::Plain,
            &format!("{unit_name} from the first fill to the last"),
            &|value| duration(value * unit),
            &of_held.unwrap_or_default(),
        )
}

fn chart(
    title: &str,
    values: &[f64],
    has_sides: bool,
    unit: Unit,
    across: &str,
    write: &dyn Fn(f64) -> String,
    text: &str,
) -> String {
    if values.is_empty() {
        return String::new();
    }
    let Some(bins) = histogram(values, BINS) else {
        let text = format!(
            "{} of them, all alike: {}.",
            count(values.len() as u64),
            values.first().copied().map(write).unwrap_or_default()
        );
        return section(title, Width::Half, &note(&text));
    };
    let Histogram { low, width, counts, beyond } = &bins;
    let most = counts.iter().max().copied().unwrap_or(1);
    let high = low + width * counts.len() as f64;
    let mut plot = Plot::new(Axis::linear((*low, high)), Axis::linear((0.0, most as f64)))
        .rules(Unit::Plain, 4)
        .values_across(unit, 6);
    for (at, n) in counts.iter().enumerate() {
        let (from, to) = (low + width * at as f64, low + width * (at + 1) as f64);
        let class = match has_sides {
            false => "a",
            true if (from + to) > 0.0 => "gain",
            true => "loss",
        };
        let title = format!("{} to {}: {}", write(from), write(to), count(*n));
        plot = plot.rect(class, (from + width * 0.06, 0.0), (to - width * 0.06, *n as f64), 1.0, &title);
    }
    let outside = if *beyond == 0 {
        String::new()
    } else {
        format!(
            ". {} further out in the outermost bars ({})",
            count(*beyond),
            percent(*beyond as f64 / values.len() as f64, 1)
        )
    };
    let label = format!("Histogram: {across}, {} values", values.len());
    section(title, Width::Half, &(plot.finish(&label, "how many", across, 12.0) + &note(&(text.to_owned() + &outside))))
}
