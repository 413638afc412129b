//! Trips by what they have in common.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Trip;
use super::trades::left;
use super::{ratio, two_sided};
use crate::domain::{Direction, Span};
use crate::regime::{Activity, Regime, Trend};
use crate::statistics::{Bounds, mean, std_dev, wilson};

/// Trips that have something in common. Quote currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common: `BTCUSDT`, `up_wild`, `07`, `monday`, `long`, `stop`.
    pub key: String,
    /// How many.
    pub trades: usize,
    /// Those that gained after costs.
    pub wins: usize,
    /// `wins / trades`.
    pub win_rate: Option<f64>,
    /// Its Wilson bounds.
    pub win_rate_bounds: Option<Bounds>,
    /// Sum of net gains.
    pub net: f64,
    /// Mean net gain.
    pub mean: Option<f64>,
    /// Its bounds, mean +- z * deviation / root of the count; absent for fewer than two trips.
    pub mean_bounds: Option<Bounds>,
}

/// Positions that were left, by what they have in common; what nothing has is not listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdowns {
    /// By symbol, in their order.
    pub symbol: Vec<Group>,
    /// By regime at entry: trend and activity.
    pub regime: Vec<Group>,
    /// By hour of the entry, UTC, `00` to `23`.
    pub hour: Vec<Group>,
    /// By weekday of the entry, UTC, from `monday` on.
    pub weekday: Vec<Group>,
    /// By direction: `long`, `short`.
    pub side: Vec<Group>,
    /// By reason of the exit.
    pub exit: Vec<Group>,
}

impl Breakdowns {
    pub(super) fn of(trips: &[Trip], confidence: f64) -> Self {
        let z = two_sided(confidence);
        Self {
            symbol: groups(trips, z, |trip| (0, trip.symbol.to_string())),
            regime: groups(trips, z, |trip| regime(trip.regime)),
            hour: groups(trips, z, |trip| {
                let hour = trip.entered.time_of_day().nanos() / Span::HOUR.nanos();
                (hour, format!("{hour:02}"))
            }),
            weekday: groups(trips, z, |trip| {
                let day = trip.entered.weekday();
                (day, weekday(day).to_owned())
            }),
            side: groups(trips, z, |trip| match trip.direction {
                Direction::Long => (0, "long".to_owned()),
                Direction::Short => (1, "short".to_owned()),
            }),
            exit: groups(trips, z, |trip| (0, trip.exit.map_or_else(|| "unknown".to_owned(), |why| why.to_string()))),
        }
    }
}

const fn weekday(day: i64) -> &'static str {
    match day {
        0 => "monday",
        1 => "tuesday",
        2 => "wednesday",
        3 => "thursday",
        4 => "friday",
        5 => "saturday",
        _ => "sunday",
    }
}

fn regime(regime: Regime) -> (i64, String) {
    let (first, trend) = match regime.trend {
        Trend::Up => (0, "up"),
        Trend::Range => (3, "range"),
        Trend::Down => (6, "down"),
    };
    let (second, activity) = match regime.activity {
        Activity::Calm => (0, "calm"),
        Activity::Usual => (1, "usual"),
        Activity::Wild => (2, "wild"),
    };
    (first + second, format!("{trend}_{activity}"))
}

/// Net gains of the trips that were left, by place and key.
fn groups(trips: &[Trip], z: f64, key: impl Fn(&Trip) -> (i64, String)) -> Vec<Group> {
    let mut found: BTreeMap<(i64, String), Vec<f64>> = BTreeMap::new();
    for trip in left(trips) {
        found.entry(key(trip)).or_default().push(trip.net);
    }
    found.into_iter().map(|((_, key), nets)| group(key, &nets, z)).collect()
}

fn group(key: String, nets: &[f64], z: f64) -> Group {
    let wins = nets.iter().filter(|net| **net > 0.0).count();
    let (mean, n) = (mean(nets), nets.len() as f64);
    let bounds = |mean: f64, deviation: f64| {
        let reach = z * deviation / n.sqrt();
        Bounds { low: mean - reach, high: mean + reach }
    };
    Group {
        key,
        trades: nets.len(),
        wins,
        win_rate: ratio(wins as f64, n),
        win_rate_bounds: wilson(wins as f64, n, z),
        net: nets.iter().sum(),
        mean,
        mean_bounds: mean.zip(std_dev(nets)).map(|(mean, deviation)| bounds(mean, deviation)),
    }
}
