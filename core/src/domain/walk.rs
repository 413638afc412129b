//! The bars of several symbols, merged in time.

use super::{Bar, Context, Ts};

/// Bars of one symbol, oldest first, strictly ascending in time, each sound.
pub trait BarSeries {
    /// The bars.
    fn bars(&self) -> &[Bar];
}

/// A place in merged series: the bars that open at one instant are one frame.
///
/// The context compares with the frame before, however long ago that was. Going on allocates nothing and takes one pass
/// over the symbols.
#[derive(Debug, Clone)]
pub struct FrameWalk {
    /// The next bar of each series.
    next: Vec<usize>,
    /// Close of each series in the current frame, zero where it has no bar.
    now: Vec<f64>,
    /// The same of the frame before.
    previous: Vec<f64>,
}

impl FrameWalk {
    /// Before the first frame.
    pub fn new(symbols: usize) -> Self {
        Self { next: vec![0; symbols], now: vec![0.0; symbols], previous: vec![0.0; symbols] }
    }

    /// Just before the first frame that opens at or after `from`; it will be compared with the one before it.
    pub fn starting_at<S: BarSeries>(series: &[S], from: Ts) -> Self {
        let mut walk = Self::new(series.len());
        for (one, next) in series.iter().zip(&mut walk.next) {
            *next = one.bars().partition_point(|bar| bar.open_ts < from);
        }
        let before = |(one, next): (&S, &usize)| next.checked_sub(1).and_then(|at| one.bars().get(at).copied());
        let last = series.iter().zip(&walk.next).filter_map(before).map(|bar| bar.open_ts).max();
        for ((one, next), now) in series.iter().zip(&walk.next).zip(&mut walk.now) {
            *now = before((one, next)).filter(|bar| Some(bar.open_ts) == last).map_or(0.0, |bar| bar.close);
        }
        walk
    }

    /// When the bars of the next frame open.
    pub fn peek<S: BarSeries>(&self, series: &[S]) -> Option<Ts> {
        series.iter().zip(&self.next).filter_map(|(one, next)| one.bars().get(*next)).map(|bar| bar.open_ts).min()
    }

    /// Goes to the frame that opens at `open`.
    pub fn advance<S: BarSeries>(&mut self, series: &[S], open: Ts) {
        std::mem::swap(&mut self.previous, &mut self.now);
        for (one, (next, now)) in series.iter().zip(self.next.iter_mut().zip(&mut self.now)) {
            *now = 0.0;
            if let Some(bar) = one.bars().get(*next).filter(|bar| bar.open_ts == open) {
                *now = bar.close;
                *next += 1;
            }
        }
    }

    /// The bars of the current frame, each with the place of its series.
    pub fn bars<'a, S: BarSeries>(&self, series: &'a [S]) -> impl Iterator<Item = (usize, &'a Bar)> {
        let all = series.iter().zip(&self.next).zip(&self.now).enumerate();
        all.filter(|(_, (_, now))| **now > 0.0)
            .filter_map(|(at, ((one, next), _))| Some((at, one.bars().get(next.checked_sub(1)?)?)))
    }

    /// The bars of one series that are still to come.
    pub fn ahead<'a, S: BarSeries>(&self, series: &'a [S], at: usize) -> &'a [Bar] {
        let place = series.get(at).map(S::bars).zip(self.next.get(at));
        place.and_then(|(bars, next)| bars.get(*next..)).unwrap_or_default()
    }

    /// Goes so many frames further where there is one series: to the last of its next `count` bars.
    pub fn pass<S: BarSeries>(&mut self, series: &[S], count: usize) {
        let ([only], [next], [now], [previous]) = (series, &mut *self.next, &mut *self.now, &mut *self.previous) else {
            return;
        };
        for bar in only.bars().iter().skip(*next + count.saturating_sub(2)).take(count.min(2)) {
            (*previous, *now) = (*now, bar.close);
        }
        *next += count;
    }

    /// The next bar of one series.
    pub fn upcoming<'a, S: BarSeries>(&self, series: &'a [S], at: usize) -> Option<&'a Bar> {
        series.get(at)?.bars().get(*self.next.get(at)?)
    }

    /// Places of the series that have begun, have not ended, and have no bar in the current frame.
    pub fn missing<'a, S: BarSeries>(&'a self, series: &'a [S]) -> impl Iterator<Item = usize> {
        let all = series.iter().zip(&self.next).zip(&self.now).enumerate();
        all.filter(|(_, ((one, next), now))| **now <= 0.0 && **next > 0 && **next < one.bars().len()).map(|(at, _)| at)
    }

    /// The view across symbols in the current frame.
    pub fn context(&self) -> Context {
        Context::of(self.previous.iter().copied().zip(self.now.iter().copied()))
    }
}
