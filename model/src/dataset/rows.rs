//! From bars to rows, as a live engine makes them.

use std::fmt::Debug;

use levibot_core::domain::{Bar, Feed, Ix, MarketEvent, Timeframe, Ts};
use levibot_core::features::FeatureSet;
use levibot_core::files::{FileError, FileFeed, Series};
use levibot_core::forecast::{self, INPUTS};

/// The rows of one symbol.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SymbolRows {
    /// The bars that were taken, strictly ascending.
    pub bars: Vec<Bar>,
    /// [`INPUTS`] values for each of them.
    pub rows: Vec<f32>,
    /// The first bar at which all features are warm; the number of bars where none is.
    pub warm: usize,
}

/// Something that computes rows from the bars of several symbols. There is one in the product, [`EngineRows`]; the check
/// for leaks is tested with others that look ahead.
pub trait RowSource: Debug {
    /// The rows of all symbols, in the order of `data`.
    ///
    /// # Errors
    /// [`FileError`] where the bars do not fit together.
    fn rows(&self, data: &[Series], timeframe: Timeframe) -> Result<Vec<SymbolRows>, FileError>;

    /// Names of the values of a row.
    fn names(&self) -> Vec<String> {
        forecast::input_ids().iter().map(|id| id.name().to_owned()).collect()
    }
}

/// Rows as live engines compute them: the same feed of frames with the same context, the same features, and the same
/// bars passed over.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineRows;

/// One engine's part: features and what they gave.
struct Column {
    features: FeatureSet,
    last: Option<Ts>,
    out: SymbolRows,
}

impl Column {
    fn new(bars: usize) -> Self {
        let out = SymbolRows { bars: Vec::with_capacity(bars), rows: Vec::with_capacity(bars * INPUTS), warm: 0 };
        Self { features: FeatureSet::new(forecast::input_ids()), last: None, out }
    }

    /// As the engine takes a bar: not an unsound one, and none that is not after the last.
    #[expect(clippy::cast_possible_truncation, reason = "features are bounded, so that they stay finite as f32")]
    fn take(&mut self, bar: &Bar, context: &levibot_core::domain::Context) {
        if self.last.is_some_and(|last| bar.open_ts <= last) || bar.check().is_err() {
            return;
        }
        self.last = Some(bar.open_ts);
        self.features.update(bar, context);
        self.out.bars.push(*bar);
        self.out.rows.extend(self.features.values().iter().map(|x| *x as f32));
        if !self.features.is_warm() {
            self.out.warm = self.out.bars.len();
        }
    }
}

impl RowSource for EngineRows {
    fn rows(&self, data: &[Series], timeframe: Timeframe) -> Result<Vec<SymbolRows>, FileError> {
        let mut columns: Vec<Column> = data.iter().map(|series| Column::new(series.bars.len())).collect();
        let indexed = data.iter().enumerate().filter_map(|(at, series)| Some((Ix::from_usize(at)?, series.clone())));
        let mut feed = FileFeed::new(indexed.collect(), timeframe, None, None)?;
        while let Some(event) = feed.next_event() {
            let MarketEvent::Frame(frame) = event else { continue };
            for (ix, bar) in &frame.bars {
                columns[ix.at()].take(bar, &frame.context);
            }
        }
        Ok(columns.into_iter().map(|column| column.out).collect())
    }
}
