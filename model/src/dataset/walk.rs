//! Made-up markets for tests.

use std::path::Path;

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Bar, Timeframe, Ts};
use levibot_core::files::Series;

use super::Wanted;

/// When they begin.
pub(crate) const BEGIN: i64 = 1_577_836_800;

/// A sum of draws with mean 0 and variance 1 (Irwin-Hall).
pub(crate) fn normal(key: u64, n: u64) -> f64 {
    (0..12).map(|i| unit_draw(key, 12 * n + i)).sum::<f64>() - 6.0
}

/// Hourly bars whose log return is `step` of the bar's number.
pub(crate) fn market(symbol: &str, bars: u64, key: u64, step: impl Fn(u64) -> f64) -> Series {
    let mut close = 100.0_f64;
    let bar = |n: u64| {
        let open = close;
        close *= step(n).exp();
        let reach = 1.0 + 0.004 * unit_draw(key ^ 1, n);
        Bar {
            open_ts: Ts::from_secs(BEGIN + 3_600 * i64::try_from(n).unwrap()),
            open,
            high: open.max(close) * reach,
            low: open.min(close) / reach,
            close,
            volume: 50.0 + 100.0 * unit_draw(key ^ 2, n),
        }
    };
    Series { symbol: symbol.parse().unwrap(), timeframe: Timeframe::HOUR, bars: (0..bars).map(bar).collect() }
}

/// A geometric random walk: 1 % a bar, nothing to be learnt.
pub(crate) fn walk(symbol: &str, bars: u64, key: u64) -> Series {
    market(symbol, bars, key, |n| 0.01 * normal(key, n))
}

/// A range of everything.
pub(crate) fn wanted(horizon_bars: u32, round_trip_cost: f64) -> Wanted<'static> {
    let path = Path::new("made-up");
    Wanted { path, symbols: None, timeframe: None, from: None, to: None, horizon_bars, round_trip_cost }
}
