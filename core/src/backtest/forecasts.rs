//! What the model said, found bar by bar.

use super::Forecasts;
use crate::domain::{Forecast, Ts};

/// A place in the forecasts of every symbol, which only goes forward.
#[derive(Debug)]
pub(super) struct Cursors<'a> {
    lists: &'a [Vec<(Ts, Forecast)>],
    next: Vec<usize>,
}

impl<'a> Cursors<'a> {
    pub(super) fn new(forecasts: Option<&'a Forecasts>) -> Self {
        let lists = forecasts.map_or(&[][..], |forecasts| forecasts.symbols.as_slice());
        Self { lists, next: vec![0; lists.len()] }
    }

    /// What was said of the bar of instrument `at` that closed at `bar`. What cannot be meant is no forecast.
    pub(super) fn find(&mut self, at: usize, bar: Ts) -> Option<Forecast> {
        let (list, next) = (self.lists.get(at)?, self.next.get_mut(at)?);
        while list.get(*next).is_some_and(|(close, _)| *close < bar) {
            *next += 1;
        }
        let (_, forecast) = list.get(*next).filter(|(close, forecast)| *close == bar && forecast.is_sound())?;
        Some(*forecast)
    }
}
