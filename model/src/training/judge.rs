//! A version judged on bars that it has not learnt from.

use std::path::Path;

use levibot_core::domain::{Symbol, Ts};
use levibot_core::forecast::{Asked, window_hash};

use crate::dataset::{DatasetError, Sample, Table, Wanted};
use crate::ensemble::Loaded;
use crate::progress::Progress;
use crate::versions::Metadata;

/// Windows that are asked at once: a window is 10 kB.
pub(super) const ASK_AT_ONCE: usize = 64;

/// On what a version is judged.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// A folder of price files.
    pub data: &'a Path,
    /// Only these of the version's symbols are judged; `None` for all. The others still count in the context.
    pub symbols: Option<&'a [Symbol]>,
    /// Bars that close at or after this; `None` for the first one that the version has not learnt from.
    pub from: Option<Ts>,
    /// Bars and outcomes up to this; `None` for all there are.
    pub to: Option<Ts>,
    /// Confidence from which calls count as acted on.
    pub threshold: f64,
}

/// Why a version cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The data cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The version did not answer.
    #[error("version {version} did not answer: {reason}")]
    Silent {
        /// Which version.
        version: levibot_core::domain::ModelVersion,
        /// Its words.
        reason: String,
    },
}

/// The first close after which a version that has learnt from `metadata.trained_through` knows nothing: the horizon later,
/// so that no bar is judged that shares one with an outcome it has seen, and `embargo_bars` after that.
pub fn unseen_from(metadata: &Metadata, embargo_bars: u32) -> Ts {
    let bars = i64::from(metadata.horizon_bars) + i64::from(embargo_bars);
    metadata.trained_through + metadata.timeframe.span().times(bars)
}

/// The table of a range with the horizon and cost of a version.
pub(crate) fn table_of(metadata: &Metadata, range: &Range<'_>, progress: &dyn Progress) -> Result<Table, DatasetError> {
    let wanted = Wanted {
        path: range.data,
        symbols: Some(&metadata.symbols),
        timeframe: Some(metadata.timeframe),
        from: range.from,
        to: range.to,
        horizon_bars: metadata.horizon_bars,
        round_trip_cost: metadata.round_trip_cost,
    };
    Ok(Table::build(&wanted, progress)?.table)
}

/// Samples of `symbols` (`None` for all) that close at or after `from` and whose outcome is known, in the order of series
/// and time.
pub(crate) fn resolved(table: &Table, from: Ts, symbols: Option<&[Symbol]>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (series, number) in table.series.iter().zip(0..) {
        if symbols.is_some_and(|symbols| !symbols.contains(&series.symbol)) {
            continue;
        }
        for (at, _) in (0..).zip(&series.bars).skip(series.first) {
            let sample = Sample { series: number, at };
            if table.close_ts(sample) >= from && table.outcome(sample).is_some() {
                samples.push(sample);
            }
        }
    }
    samples
}

/// The probabilities of a version for samples.
pub(crate) fn forecast(
    loaded: &Loaded,
    table: &Table,
    samples: &[Sample],
    progress: &dyn Progress,
) -> Result<Vec<f64>, JudgeError> {
    let version = loaded.metadata().version;
    progress.begin("forecasting", samples.len() as u64);
    let mut all = Vec::with_capacity(samples.len());
    for some in samples.chunks(ASK_AT_ONCE) {
        let asked: Vec<Asked> = some.iter().map(|sample| question(table, *sample)).collect();
        for answer in loaded.forecast(&asked, table.timeframe) {
            let forecast = answer.map_err(|refusal| JudgeError::Silent { version, reason: format!("{refusal:?}") })?;
            all.push(forecast.prob_up);
        }
        progress.step(some.len() as u64, "");
    }
    progress.end();
    Ok(all)
}

/// A sample as the daemon would ask about it.
pub(crate) fn question(table: &Table, sample: Sample) -> Asked {
    let window = table.window(sample).to_vec();
    Asked {
        symbol: table.series_of(sample).symbol,
        bar: table.close_ts(sample),
        features: window_hash(&window),
        window,
    }
}
