//! What calls would have earned, net of costs.

use levibot_core::domain::{Direction, Ts};
use levibot_core::statistics::{Call, Overlapping, Z95, effective_size, evaluate, max_drawdown, mean, sharpe, wilson};
use serde::{Deserialize, Serialize};

use super::{Range, Told, interval, share, time_text};
use crate::dataset::Table;

const YEAR_SECS: f64 = 365.25 * 86_400.0;
/// Most points of a curve that is kept.
const POINTS_MAX: usize = 400;

/// What acting on calls would have earned (`levibot_core::statistics::evaluate`): each symbol has an equal part of the
/// capital, each call a `1 / horizon` of it for as many bars as it looks ahead, and every call pays the whole round trip.
/// No stop, limit or size of the account has a say: this judges calls, not the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portfolio {
    /// What is acted on, in words.
    pub rule: String,
    /// Calls.
    pub calls: u64,
    /// Share of bars with a call, 0 to 1.
    pub coverage: f64,
    /// Mean return of a call over its horizon less the cost of a round trip, a fraction.
    pub mean_call: Option<f64>,
    /// Share of calls that earned something net of costs, 0 to 1.
    pub win_rate: Option<f64>,
    /// 95 % interval of `win_rate` by effective calls.
    pub win_interval: Option<[f64; 2]>,
    /// Mean net return a bar, a fraction of the capital.
    pub mean_bar: f64,
    /// Annualised Sharpe ratio of net returns a bar; none without any change.
    pub sharpe: Option<f64>,
    /// How many models were tried on these bars before this figure was chosen.
    pub trials: u32,
    /// Net return over all bars, compounded, a fraction.
    pub total: f64,
    /// Deepest fall of the compounded capital from a peak, 0 to 1.
    pub max_drawdown: f64,
    /// What is bought and sold a day, as a multiple of the capital.
    pub turnover_day: f64,
    /// The compounded capital, 1 at the start; at most about 400 points.
    pub equity: Vec<Point>,
}

/// A point of a curve over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    #[serde(with = "time_text")]
    pub time: Ts,
    /// How much.
    pub value: f64,
}

/// Judges acting on `calls`, which are some of the bars of `range`.
pub(super) fn trade(table: &Table, calls: &[&Told], range: &Range, rule: String) -> Portfolio {
    let series: Vec<_> = table.series.iter().map(|series| series.bars.as_slice()).collect();
    let how = Overlapping {
        timeframe: table.timeframe,
        horizon_bars: table.horizon_bars as usize,
        round_trip_cost: range.rules.round_trip_cost,
        from: range.from,
        to: range.resolved,
    };
    let list: Vec<Call> = calls.iter().map(|told| call(told)).collect();
    let found = evaluate(&series, &list, &how);
    let nets: Vec<f64> = calls.iter().map(|told| net_of(told, range.rules.round_trip_cost)).collect();
    let returns = found.net();
    let years = (range.resolved - range.from).secs_f64() / YEAR_SECS;
    let a_year = if years > 0.0 { returns.len() as f64 / years } else { 0.0 };
    let effective = effective_size(found.calls, table.horizon_bars, range.design);
    let win_rate = found.hit_rate();
    let equity = compound(&found.returns);
    Portfolio {
        rule,
        calls: calls.len() as u64,
        coverage: share(calls.len(), range.bars).unwrap_or(0.0),
        mean_call: mean(&nets),
        win_rate,
        win_interval: win_rate.and_then(|rate| interval(wilson(rate * effective, effective, Z95))),
        mean_bar: mean(&returns).unwrap_or(0.0),
        sharpe: sharpe(&returns, a_year),
        trials: 1,
        total: equity.last().map_or(0.0, |point| point.value - 1.0),
        max_drawdown: max_drawdown(&returns),
        turnover_day: found.turnover * a_year / 365.25,
        equity: thin(equity),
    }
}

fn call(told: &Told) -> Call {
    let side = if told.says_up() { Direction::Long } else { Direction::Short };
    Call { series: told.sample.series as usize, at: told.sample.at as usize, side }
}

fn net_of(told: &Told, round_trip_cost: f64) -> f64 {
    let gain = told.log_return.exp_m1();
    (if told.says_up() { gain } else { -gain }) - round_trip_cost
}

fn compound(returns: &[(Ts, f64)]) -> Vec<Point> {
    let mut value = 1.0;
    let point = |(time, net): &(Ts, f64)| {
        value *= 1.0 + net;
        Point { time: *time, value }
    };
    returns.iter().map(point).collect()
}

/// At most about [`POINTS_MAX`] points, the last one among them.
fn thin(points: Vec<Point>) -> Vec<Point> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let count = points.len();
    let kept = |at: usize| at % every == every - 1 || at + 1 == count;
    points.into_iter().enumerate().filter(|(at, _)| kept(*at)).map(|(_, point)| point).collect()
}
