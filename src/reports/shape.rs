//! What is drawn of a curve: fewer points with every spike, drawdowns, histograms.

use levibot_core::backtest::{Point, ReturnsBasis};

/// The same line with at most two points a column: the lowest and the highest of each, in their order, so that no spike is
/// lost; the first and the last stay. Points are by time, oldest first; what is not finite is left out.
pub(super) fn thin(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let finite = || points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
    let Some(((first, _), (last, _))) = finite().next().zip(finite().next_back()) else { return Vec::new() };
    if points.len() <= 2 * columns.max(2) {
        return finite().collect();
    }
    let width = (last - first) / columns.max(2) as f64;
    let mut out = Vec::with_capacity(2 * columns + 2);
    let mut column = Column::default();
    let mut number = 0.0;
    for point in finite() {
        let of_point = ((point.0 - first) / width).floor().min(columns.max(2) as f64 - 1.0);
        if of_point > number {
            column.leave(&mut out);
            number = of_point;
        }
        column.take(point);
    }
    column.leave(&mut out);
    // The ends are where a reader looks: they are exact.
    let ends = (finite().next(), finite().next_back());
    if let (Some(start), Some(end)) = ends {
        if out.first() != Some(&start) {
            out.insert(0, start);
        }
        if out.last() != Some(&end) {
            out.push(end);
        }
    }
    out
}

/// Lowest and highest of what fell into one column, each with its place in the order.
#[derive(Default)]
struct Column {
    low: Option<(f64, f64)>,
    high: Option<(f64, f64)>,
}

impl Column {
    fn take(&mut self, point: (f64, f64)) {
        if self.low.is_none_or(|low| point.1 < low.1) {
            self.low = Some(point);
        }
        if self.high.is_none_or(|high| point.1 > high.1) {
            self.high = Some(point);
        }
    }

    fn leave(&mut self, out: &mut Vec<(f64, f64)>) {
        let (low, high) = (self.low.take(), self.high.take());
        if let (Some(low), Some(high)) = (low, high) {
            let (one, two) = if low.0 <= high.0 { (low, high) } else { (high, low) };
            out.push(one);
            if one != two {
                out.push(two);
            }
        }
    }
}

/// A curve as seconds since the epoch and what `value` takes of a point.
pub(super) fn line(curve: &[Point], value: impl Fn(&Point) -> f64) -> Vec<(f64, f64)> {
    curve.iter().map(|point| (point.ts.secs_f64(), value(point))).collect()
}

/// How far equity was below its highest so far, zero or less: a fraction of that, or of `initial` where returns are taken on
/// the first equity. `initial` counts as seen.
pub(super) fn drawdown(curve: &[Point], initial: f64, basis: ReturnsBasis) -> Vec<(f64, f64)> {
    let mut peak = initial;
    let below = |point: &Point| {
        peak = peak.max(point.equity);
        let whole = if basis == ReturnsBasis::InitialEquity { initial } else { peak };
        (point.ts.secs_f64(), if whole > 0.0 { (point.equity - peak) / whole } else { 0.0 })
    };
    curve.iter().map(below).collect()
}

/// A histogram: bins of equal width, and what lay outside is in the first and the last one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// Lower end of the first bin.
    pub(super) low: f64,
    /// Width of a bin.
    pub(super) width: f64,
    /// How many are in each.
    pub(super) counts: Vec<u64>,
    /// How many were outside the range that is shown.
    pub(super) beyond: u64,
}

/// Of the finite values, over their range without the outer hundredth at both ends where these are far out. `None` for
/// fewer than two values or no width.
pub(super) fn histogram(values: &[f64], bins: usize) -> Option<Histogram> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in the list, not negative"
        )]
        let place = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
        sorted.get(place).copied()
    };
    let (inner_low, inner_high) = (at(0.01)?, at(0.99)?);
    let room = (inner_high - inner_low) * 0.5;
    let (low, high) = (at(0.0)?.max(inner_low - room), at(1.0)?.min(inner_high + room));
    let width = (high - low) / bins.max(1) as f64;
    if sorted.len() < 2 || !(width.is_finite() && width > 0.0) {
        return None;
    }
    let mut counts = vec![0; bins.max(1)];
    let mut beyond = 0;
    for value in &sorted {
        beyond += u64::from(*value < low || *value > high);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins")]
        let bin = ((value - low) / width).floor().clamp(0.0, bins.max(1) as f64 - 1.0) as usize;
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    Some(Histogram { low, width, counts, beyond })
}
