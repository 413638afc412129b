//! One symbol's rows, as its engine makes them.

use levibot_core::domain::{Bar, Context, Ts};
use levibot_core::features::FeatureSet;
use levibot_core::forecast::{INPUTS, WINDOW, input_ids};

/// Bars that are asked about together: windows that follow each other share all rows but one, and what the transformer
/// made of a row is kept by whoever was asked.
const RUN_BARS: usize = 1_024;

/// Bars that follow each other, to be asked about by one worker.
#[derive(Debug)]
pub(super) struct Run {
    /// Place of the symbol.
    pub(super) symbol: u16,
    /// Closes of the bars.
    pub(super) closes: Vec<Ts>,
    /// The rows of their windows: `WINDOW - 1` more than bars.
    rows: Vec<f32>,
}

impl Run {
    /// The window of each bar, oldest first.
    pub(super) fn windows(&self) -> impl Iterator<Item = (Ts, &[f32])> {
        self.closes.iter().copied().zip(self.rows.windows(WINDOW * INPUTS).step_by(INPUTS))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Column {
    features: FeatureSet,
    rows: Vec<f32>,
    closes: Vec<Ts>,
}

impl Default for Column {
    fn default() -> Self {
        Self { features: FeatureSet::new(input_ids()), rows: Vec::new(), closes: Vec::new() }
    }
}

impl Column {
    /// Takes a bar, as the engine does.
    #[expect(clippy::cast_possible_truncation, reason = "features are bounded, so that they stay finite as f32")]
    pub(super) fn take(&mut self, bar: &Bar, context: &Context) {
        self.features.update(bar, context);
        if self.features.is_warm() {
            self.rows.extend(self.features.values().iter().map(|x| *x as f32));
        }
    }

    /// Asks about the bar that was taken last and closed at `close`, where its window is whole. Gives a run when one is
    /// full.
    pub(super) fn ask(&mut self, symbol: u16, close: Ts) -> Option<Run> {
        if self.rows.len() >= WINDOW * INPUTS {
            self.closes.push(close);
        }
        if self.closes.len() < RUN_BARS { None } else { self.rest(symbol) }
    }

    /// What was asked since the last run.
    pub(super) fn rest(&mut self, symbol: u16) -> Option<Run> {
        if self.closes.is_empty() {
            return None;
        }
        let closes = std::mem::take(&mut self.closes);
        let of_bars = (closes.len() + WINDOW - 1) * INPUTS;
        let rows = self.rows.split_off(self.rows.len() - of_bars);
        self.rows = rows[rows.len() - (WINDOW - 1) * INPUTS..].to_vec();
        Some(Run { symbol, closes, rows })
    }
}
