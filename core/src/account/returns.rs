//! Returns of the last bars of every symbol, side by side by instant: how much each moves, and how much two move alike.

use serde::{Deserialize, Serialize};

use super::policy::{PolicyError, refuse};
use crate::domain::{Bar, Ix, Timeframe};

/// The keys under `correlation`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCorrelation {
    /// Bars that are looked back upon.
    #[serde(default = "defaults::window")]
    pub window_bars: u32,
    /// Returns that two symbols must have in common before anything is said of them.
    #[serde(default = "defaults::least")]
    pub min_bars: u32,
    /// Correlation from which two positions count as one bet, 0 to 1.
    #[serde(default = "defaults::threshold")]
    pub threshold: f64,
}

mod defaults {
    pub(super) const fn window() -> u32 {
        200
    }
    pub(super) const fn least() -> u32 {
        60
    }
    pub(super) const fn threshold() -> f64 {
        0.8
    }
}

/// Longest window: no more bars are kept to prime it with after a start.
const WINDOW_MAX: u32 = 1_000;
/// Fewer say nothing: of ten unrelated returns every hundredth pair has a correlation over 0.75.
const LEAST_MIN: u32 = 10;

impl RawCorrelation {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let Self { window_bars, min_bars, threshold } = *self;
        if window_bars > WINDOW_MAX || min_bars < LEAST_MIN || min_bars > window_bars {
            let remedy = "write 10 <= min_bars <= window_bars <= 1000";
            let value = format!("{min_bars} of {window_bars}");
            return Err(refuse("correlation.min_bars", value, "nothing can be measured with it", remedy));
        }
        if !threshold.is_finite() || threshold <= 0.0 || threshold > 1.0 {
            let remedy = "write a number over 0 and up to 1, such as 0.8";
            return Err(refuse("correlation.threshold", threshold, "it is no correlation that can be reached", remedy));
        }
        Ok(())
    }
}

/// One return and the number of its bar.
#[derive(Debug, Clone, Copy)]
struct Cell {
    bar: i64,
    value: f64,
}

/// The last close of a symbol and the number of its bar.
#[derive(Debug, Clone, Copy)]
struct Last {
    bar: i64,
    close: f64,
}

const EMPTY: Cell = Cell { bar: i64::MIN, value: 0.0 };
const NONE: Last = Last { bar: i64::MIN, close: 0.0 };

/// See the module. All memory is taken when it is made.
#[derive(Debug, Clone)]
pub(super) struct Returns {
    bar_nanos: i64,
    window: usize,
    least: u32,
    last: Vec<Last>,
    /// `window` of each symbol; a bar stands at its number modulo the window.
    cells: Vec<Cell>,
}

impl Returns {
    pub(super) fn new(keys: &RawCorrelation, timeframe: Timeframe, symbols: usize) -> Self {
        let window = keys.window_bars as usize;
        Self {
            bar_nanos: timeframe.span().nanos(),
            window,
            least: keys.min_bars,
            last: vec![NONE; symbols],
            cells: vec![EMPTY; symbols.saturating_mul(window)],
        }
    }

    /// Takes what `old` knows of a symbol that stood at `from` there and stands at `to` here. Nothing when the windows
    /// differ: then all is primed anew.
    pub(super) fn adopt(&mut self, to: usize, old: &Self, from: usize) {
        if (self.window, self.bar_nanos) != (old.window, old.bar_nanos) {
            return;
        }
        let (theirs, ours) = (old.span(from), self.span(to));
        if let (Some(was), Some(is)) = (old.last.get(from), self.last.get_mut(to)) {
            *is = *was;
        }
        if let (Some(was), Some(is)) = (old.cells.get(theirs), self.cells.get_mut(ours)) {
            is.copy_from_slice(was);
        }
    }

    /// Bars that fill the window of a symbol: one more than there are returns in it.
    pub(super) const fn bars(&self) -> usize {
        self.window.saturating_add(1)
    }

    fn span(&self, symbol: usize) -> std::ops::Range<usize> {
        let from = symbol.saturating_mul(self.window);
        from..from.saturating_add(self.window)
    }

    /// Takes a sound bar; `false` when one of its time or a later one is known already. A return is made of two bars
    /// that follow each other: over a hole there is none.
    pub(super) fn take(&mut self, ix: Ix, bar: &Bar) -> bool {
        let number = bar.open_ts.nanos().div_euclid(self.bar_nanos);
        let span = self.span(ix.at());
        let window = self.window;
        let (Some(last), Some(cells)) = (self.last.get_mut(ix.at()), self.cells.get_mut(span)) else { return false };
        if number <= last.bar {
            return false;
        }
        let before = std::mem::replace(last, Last { bar: number, close: bar.close });
        if before.bar == number - 1 {
            let place = number.rem_euclid(i64::try_from(window).unwrap_or(i64::MAX));
            if let Some(cell) = usize::try_from(place).ok().and_then(|place| cells.get_mut(place)) {
                *cell = Cell { bar: number, value: (bar.close / before.close).ln() };
            }
        }
        true
    }

    /// What is known of a symbol, and the number of the oldest bar that still counts.
    fn of(&self, ix: Ix) -> Option<(&[Cell], i64)> {
        let last = self.last.get(ix.at())?;
        let window = i64::try_from(self.window).unwrap_or(i64::MAX);
        Some((self.cells.get(self.span(ix.at()))?, last.bar.saturating_sub(window).saturating_add(1)))
    }

    /// Pearson's correlation of the returns of two symbols at the instants that both have, -1 to 1. `None` with too few
    /// of them, or where one has not moved at all.
    pub(super) fn correlation(&self, a: Ix, b: Ix) -> Option<f64> {
        let ((of_a, from_a), (of_b, from_b)) = (self.of(a)?, self.of(b)?);
        let from = from_a.max(from_b);
        let (mut n, mut mean_a, mut mean_b, mut aa, mut bb, mut ab) = (0_u32, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (x, y) in of_a.iter().zip(of_b).filter(|(x, y)| x.bar == y.bar && x.bar >= from) {
            n += 1;
            let count = f64::from(n);
            let (da, db) = (x.value - mean_a, y.value - mean_b);
            mean_a += da / count;
            mean_b += db / count;
            aa += da * (x.value - mean_a);
            bb += db * (y.value - mean_b);
            ab += da * (y.value - mean_b);
        }
        let scale = (aa * bb).sqrt();
        (n >= self.least && scale > 0.0).then(|| (ab / scale).clamp(-1.0, 1.0))
    }

    /// Standard deviation of a symbol's returns, a fraction of price a bar. `None` with too few of them, or where it has
    /// not moved at all.
    pub(super) fn volatility(&self, ix: Ix) -> Option<f64> {
        let (cells, from) = self.of(ix)?;
        let (mut n, mut mean, mut m2) = (0_u32, 0.0, 0.0);
        for cell in cells.iter().filter(|cell| cell.bar >= from && cell.bar > i64::MIN) {
            n += 1;
            let delta = cell.value - mean;
            mean += delta / f64::from(n);
            m2 += delta * (cell.value - mean);
        }
        let variance = m2 / f64::from(n.saturating_sub(1).max(1));
        (n >= self.least && variance > 0.0).then(|| variance.sqrt())
    }
}

#[cfg(test)]
#[path = "returns_tests.rs"]
mod tests;
