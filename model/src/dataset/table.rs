//! The table that everything reads.

use levibot_core::domain::{Bar, Symbol, Timeframe, Ts};
use levibot_core::forecast::{INPUTS, WINDOW};
use levibot_core::labels::Outcome;

/// One symbol's bars with their rows and outcomes, one of each a bar.
#[derive(Debug, Clone)]
pub struct SymbolTable {
    /// Which symbol.
    pub symbol: Symbol,
    /// Closed bars, strictly ascending.
    pub bars: Vec<Bar>,
    /// [`INPUTS`] values a bar, in the order of `forecast::input_ids`, as a live engine computes them.
    pub rows: Vec<f32>,
    /// What became of each bar; `None` where the data end before its horizon, or hold a gap in it.
    pub outcomes: Vec<Option<Outcome>>,
    /// The first bar whose window is whole and whose features are warm.
    pub first: usize,
}

/// A bar in question: the index of its series, and its index in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sample {
    /// Index into [`Table::series`].
    pub series: u32,
    /// Index into the bars of the series, at or after its `first`.
    pub at: u32,
}

/// All symbols.
#[derive(Debug, Clone)]
pub struct Table {
    /// Bar length.
    pub timeframe: Timeframe,
    /// How many bars ahead outcomes look.
    pub horizon_bars: u32,
    /// In symbol order.
    pub series: Vec<SymbolTable>,
}

impl Table {
    /// The series of a sample.
    pub fn series_of(&self, sample: Sample) -> &SymbolTable {
        &self.series[sample.series as usize]
    }

    /// The row of a sample: [`INPUTS`] values.
    pub fn row(&self, sample: Sample) -> &[f32] {
        let at = sample.at as usize;
        &self.series_of(sample).rows[at * INPUTS..(at + 1) * INPUTS]
    }

    /// The window of a sample: [`WINDOW`] rows, oldest first, the last of which is its own.
    pub fn window(&self, sample: Sample) -> &[f32] {
        let end = sample.at as usize + 1;
        &self.series_of(sample).rows[(end - WINDOW) * INPUTS..end * INPUTS]
    }

    /// Close of a sample's bar.
    pub fn close_ts(&self, sample: Sample) -> Ts {
        self.series_of(sample).bars[sample.at as usize].close_ts(self.timeframe)
    }

    /// What became of a sample.
    pub fn outcome(&self, sample: Sample) -> Option<Outcome> {
        self.series_of(sample).outcomes[sample.at as usize]
    }

    /// ln(close `bars` later / close); `None` beyond the end of the series.
    pub fn forward_return(&self, sample: Sample, bars: usize) -> Option<f64> {
        let series = self.series_of(sample);
        let at = sample.at as usize;
        let later = series.bars.get(at + bars)?;
        Some((later.close / series.bars[at].close).ln())
    }
}
