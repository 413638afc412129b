//! The indicators of J. Welles Wilder, "New Concepts in Technical Trading Systems" (1978). All averages are his
//! smoothing, seeded with a plain mean; the first bar has no predecessor and gives no change.

use serde::{Deserialize, Serialize};

use super::Ema;
use crate::domain::Bar;

/// Average true range, in quote currency. The true range is the larger of high and previous close, less the smaller of
/// low and previous close. Warm after `bars` + 1 bars, as in TA-Lib.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Atr {
    average: Ema,
    close: Option<f64>,
}

impl Atr {
    /// Over `bars` true ranges; zero is taken as one.
    pub fn new(bars: u32) -> Self {
        Self { average: Ema::wilder(bars), close: None }
    }

    /// Takes the next bar.
    pub fn update(&mut self, bar: &Bar) {
        if let Some(close) = self.close.replace(bar.close) {
            self.average.update(bar.high.max(close) - bar.low.min(close));
        }
    }

    /// The average true range, 0 or more.
    pub const fn value(&self) -> f64 {
        self.average.value()
    }

    /// Whether the seed is complete.
    pub const fn is_warm(&self) -> bool {
        self.average.is_warm()
    }
}

/// Relative strength index of closes, 0 to 100. Warm after `bars` + 1 closes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rsi {
    gain: Ema,
    loss: Ema,
    close: Option<f64>,
}

impl Rsi {
    /// Over `bars` changes; zero is taken as one.
    pub fn new(bars: u32) -> Self {
        Self { gain: Ema::wilder(bars), loss: Ema::wilder(bars), close: None }
    }

    /// Takes the next close.
    pub fn update(&mut self, close: f64) {
        if let Some(before) = self.close.replace(close) {
            self.gain.update((close - before).max(0.0));
            self.loss.update((before - close).max(0.0));
        }
    }

    /// `100 * gain / (gain + loss)`, which is Wilder's `100 - 100 / (1 + gain / loss)`; 50 when nothing moved.
    pub fn value(&self) -> f64 {
        let all = self.gain.value() + self.loss.value();
        if all > 0.0 { 100.0 * (self.gain.value() / all) } else { 50.0 }
    }

    /// Whether the seed is complete.
    pub const fn is_warm(&self) -> bool {
        self.gain.is_warm()
    }
}

/// Directional movement: +DI, -DI and their average divergence ADX, each 0 to 100. The directional indices are warm
/// after `bars` + 1 bars, ADX after 2 `bars`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Directional {
    plus: Ema,
    minus: Ema,
    range: Atr,
    divergence: Ema,
    /// High and low of the bar before.
    extremes: Option<(f64, f64)>,
}

impl Directional {
    /// Over `bars` bars; zero is taken as one.
    pub fn new(bars: u32) -> Self {
        let ema = Ema::wilder(bars);
        Self { plus: ema, minus: ema, range: Atr::new(bars), divergence: ema, extremes: None }
    }

    /// Takes the next bar.
    pub fn update(&mut self, bar: &Bar) {
        self.range.update(bar);
        let Some((high, low)) = self.extremes.replace((bar.high, bar.low)) else { return };
        let (up, down) = (bar.high - high, low - bar.low);
        self.plus.update(if up > down && up > 0.0 { up } else { 0.0 });
        self.minus.update(if down > up && down > 0.0 { down } else { 0.0 });
        if self.range.is_warm() {
            let (plus, minus) = (self.plus.value(), self.minus.value());
            let sum = plus + minus;
            self.divergence.update(if sum > 0.0 { 100.0 * ((plus - minus).abs() / sum) } else { 0.0 });
        }
    }

    fn index(&self, movement: &Ema) -> f64 {
        let range = self.range.value();
        if range > 0.0 { 100.0 * (movement.value() / range) } else { 0.0 }
    }

    /// +DI; 0 when the range is 0.
    pub fn plus(&self) -> f64 {
        self.index(&self.plus)
    }

    /// -DI; 0 when the range is 0.
    pub fn minus(&self) -> f64 {
        self.index(&self.minus)
    }

    /// ADX; 0 when nothing moved.
    pub const fn adx(&self) -> f64 {
        self.divergence.value()
    }

    /// Whether ADX is warm.
    pub const fn is_warm(&self) -> bool {
        self.divergence.is_warm()
    }
}

/// Average directional index, 0 to 100, seeded as TA-Lib does: the first smoothed movements are the sum of `bars` - 1 of
/// them, over `bars`, where Wilder's own hold one more. Both agree in the long run: the difference shrinks by
/// 1 / `bars` with each bar. Warm after 2 `bars` bars.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adx {
    plus: Ema,
    minus: Ema,
    divergence: Ema,
    /// High and low of the bar before.
    extremes: Option<(f64, f64)>,
}

impl Adx {
    /// Over `bars` bars; zero is taken as one.
    pub fn new(bars: u32) -> Self {
        let ema = Ema::wilder(bars);
        Self { plus: ema, minus: ema, divergence: ema, extremes: None }
    }

    /// Takes the next bar.
    pub fn update(&mut self, bar: &Bar) {
        // The first bar, which has no predecessor, counts as one without movement.
        let (high, low) = self.extremes.replace((bar.high, bar.low)).unwrap_or((bar.high, bar.low));
        let (up, down) = (bar.high - high, low - bar.low);
        let smoothed = self.plus.is_warm();
        self.plus.update(if up > down && up > 0.0 { up } else { 0.0 });
        self.minus.update(if down > up && down > 0.0 { down } else { 0.0 });
        if smoothed {
            // The true range, by which both would be divided, cancels.
            let (plus, minus) = (self.plus.value(), self.minus.value());
            let sum = plus + minus;
            self.divergence.update(if sum > 0.0 { 100.0 * ((plus - minus).abs() / sum) } else { 0.0 });
        }
    }

    /// ADX; 0 when nothing moved.
    pub const fn value(&self) -> f64 {
        self.divergence.value()
    }

    /// Whether the seed is complete.
    pub const fn is_warm(&self) -> bool {
        self.divergence.is_warm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Ts;

    #[test]
    fn atr_of_two_by_hand() {
        // (high, low, close); true ranges 3 (12-9), 4 (gap: 15-11), 2 (14-12), so 3.5 and then (3.5 + 2) / 2 = 2.75.
        let mut atr = Atr::new(2);
        let mut out = Vec::new();
        for (high, low, close) in [(11.0, 9.0, 10.0), (12.0, 9.0, 11.0), (15.0, 13.0, 14.0), (14.0, 12.0, 13.0)] {
            atr.update(&Bar { open_ts: Ts::EPOCH, open: close, high, low, close, volume: 1.0 });
            out.push((atr.is_warm(), atr.value()));
        }
        assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), [false, false, true, true]);
        assert!((out[2].1 - 3.5).abs() < 1e-12 && (out[3].1 - 2.75).abs() < 1e-12, "{out:?}");
    }

    #[test]
    fn rsi_of_two_by_hand() {
        // Changes +3, -1: gain 1.5, loss 0.5, so 75. Then +2: gain 1.75, loss 0.25, so 87.5.
        let mut rsi = Rsi::new(2);
        let mut out = Vec::new();
        for close in [10.0, 13.0, 12.0, 14.0] {
            rsi.update(close);
            out.push((rsi.is_warm(), rsi.value()));
        }
        assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), [false, false, true, true]);
        assert!((out[2].1 - 75.0).abs() < 1e-12 && (out[3].1 - 87.5).abs() < 1e-12, "{out:?}");
    }
}
