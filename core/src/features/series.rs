//! Bars to test on: made from draws that depend on a seed alone.

use crate::domain::hash::unit_draw;
use crate::domain::{Bar, Context, Span, Ts};

/// A random walk of hourly bars with gaps between close and open, bars without a range and bars without volume.
pub(crate) fn walk(seed: u64, count: u64) -> Vec<(Bar, Context)> {
    let mut price = 100.0;
    (0..count)
        .map(|i| {
            let draw = |k: u64| unit_draw(seed, i * 8 + k);
            let open = price * (1.0 + 0.004 * (draw(0) - 0.5));
            let flat = draw(7) < 0.05;
            let close = if flat { open } else { open * (1.0 + 0.03 * (draw(1) - 0.5)) };
            let wick = if flat { 0.0 } else { 0.01 };
            let (high, low) = (open.max(close) * (1.0 + wick * draw(2)), open.min(close) * (1.0 - wick * draw(3)));
            let volume = if draw(4) < 0.1 { 0.0 } else { 1_000.0 * draw(4) };
            price = close;
            let open_ts = Ts::from_secs(1_700_000_000).saturating_add(Span::HOUR.times(i.cast_signed()));
            let context = Context { count: 3, breadth: draw(5), index_return: draw(6) - 0.5, dispersion: draw(5) };
            (Bar { open_ts, open, high, low, close, volume }, context)
        })
        .collect()
}
