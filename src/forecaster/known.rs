//! Forecasts that an earlier run of the same replay has on record.

use std::collections::BTreeMap;

use levibot_core::domain::{Forecast, Ix, Question, Ts};

/// Forecasts by symbol, close of the bar and hash of what the model was shown. A forecast is an input like a price: what
/// was once answered is not asked again.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<(Ix, Ts), Forecast>);

impl Known {
    /// The forecast of a question, if it is that of the same features.
    pub fn get(&self, question: &Question) -> Option<Forecast> {
        self.0.get(&(question.instrument, question.bar)).filter(|f| f.features == question.features).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Ix, Ts, Forecast)> for Known {
    fn from_iter<I: IntoIterator<Item = (Ix, Ts, Forecast)>>(forecasts: I) -> Self {
        Self(forecasts.into_iter().map(|(ix, bar, forecast)| ((ix, bar), forecast)).collect())
    }
}
