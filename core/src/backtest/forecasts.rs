//! What the model said, found bar by bar.

use super::Forecasts;
use crate::domain::{Forecast, Ts};

/// A place in the forecasts of every symbol, which only goes forward.
#[derive(Debug)]
pub(super) struct Cursors<'a> {
    lists: &'a [Vec<(Ts, Forecast)>],
    next: Vec<usize>,
    /// Whether engines are shown what was asked about, to the bit.
    same_windows: bool,
}

impl<'a> Cursors<'a> {
    /// Of a backtest that begins to trade at `start`, where that is known.
    pub(super) fn new(forecasts: Option<&'a Forecasts>, start: Option<Ts>) -> Self {
        let lists = forecasts.map_or(&[][..], |forecasts| forecasts.symbols.as_slice());
        let same_windows = start.is_some() && forecasts.is_some_and(|forecasts| forecasts.start == start);
        Self { lists, next: vec![0; lists.len()], same_windows }
    }

    /// What was said of the bar of instrument `at` that closed at `bar`, and whose window has the hash `features`. What
    /// cannot be meant is no forecast.
    pub(super) fn find(&mut self, at: usize, bar: Ts, features: u64) -> Option<Forecast> {
        let (list, next) = (self.lists.get(at)?, self.next.get_mut(at)?);
        while list.get(*next).is_some_and(|(close, _)| *close < bar) {
            *next += 1;
        }
        let (_, forecast) = list.get(*next).filter(|(close, forecast)| *close == bar && forecast.is_sound())?;
        Some(*forecast).filter(|forecast| !self.same_windows || forecast.features == features)
    }
}
