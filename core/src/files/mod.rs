//! Readers of price files.
//!
//! A file is CSV of candles, plain or gzip. Its columns are found by their names, because every source orders and
//! spells them in its own way. A bad row is left out and counted in the [`FileReport`]; a bad file is an error, and so is one
//! with too many bad rows. Rows from new to old are turned round. The only room of the crate that opens files.

mod error;
mod feed;
mod funding;
mod number;
mod order;
mod reader;
mod report;
mod resample;
mod stamp;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use error::FileError;
pub(crate) use error::{asked, there_is};
pub use feed::FileFeed;
pub use funding::funding;
pub use report::{FaultCount, FileReport, RowFault};
pub use resample::{Resampled, resample};

use crate::domain::{Bar, Symbol, Timeframe, Ts};
use reader::RawFile;

/// The bars of one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which symbol.
    pub symbol: Symbol,
    /// The length of each bar.
    pub timeframe: Timeframe,
    /// The bars, strictly ascending in time.
    pub bars: Vec<Bar>,
}

/// A series and what its files were like.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The bars of all files.
    pub series: Series,
    /// One report a file, in the order in which the files were put together.
    pub reports: Vec<FileReport>,
}

/// The price files at `path`, by symbol and in name order.
///
/// Of a folder, all entries named `*.csv` or `*.csv.gz` that are not hidden; folders in it are not entered. A single
/// file may have any name. The symbol is the file name up to its first `-` or its `.csv`: `BTCUSDT.csv.gz`,
/// `ALGOUSDT-1m-2023-02.csv.gz`, `AKBNK.IS.csv`.
///
/// # Errors
/// [`FileError`] when the path cannot be read, holds no price file, or a name gives no valid symbol.
pub fn discover(path: &Path) -> Result<BTreeMap<Symbol, Vec<PathBuf>>, FileError> {
    let mut found: BTreeMap<Symbol, Vec<PathBuf>> = BTreeMap::new();
    for path in listed(path)? {
        found.entry(symbol_of(&path)?).or_default().push(path);
    }
    Ok(found)
}

/// A file alone, or the files of a folder in name order, at least one.
fn listed(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = |source| FileError::List { path: path.to_owned(), source };
    let mut paths = Vec::new();
    if fs::metadata(path).map_err(list)?.is_dir() {
        for entry in fs::read_dir(path).map_err(list)? {
            let entry = entry.map_err(list)?.path();
            if is_price_file(&entry) && entry.is_file() {
                paths.push(entry);
            }
        }
        paths.sort();
    } else {
        paths.push(path.to_owned());
    }
    if paths.is_empty() {
        return Err(FileError::NothingFound { path: path.to_owned() });
    }
    Ok(paths)
}

/// Reads the files of one symbol and puts them together in the order of their first bars.
///
/// Without a `timeframe` it is the most common distance of neighbouring bars, the shorter one of two equally common.
/// A bar at or before the end of an earlier file is left out and counted as [`RowFault::Overlap`].
///
/// # Errors
/// [`FileError`] when a file cannot be read, lacks a column, holds no good row or too many bad ones (over 20 and over 1 %), when the timeframe cannot be told, or
/// when a file is not of `timeframe`.
pub fn load(symbol: Symbol, paths: &[PathBuf], timeframe: Option<Timeframe>) -> Result<Loaded, FileError> {
    let mut files = paths.iter().map(|path| reader::read(path, symbol)).collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(|file| file.bars.first().map(|bar| bar.open_ts));
    let timeframe = agreed_timeframe(symbol, &files, timeframe)?;

    let mut bars: Vec<Bar> = Vec::with_capacity(files.iter().map(|file| file.bars.len()).sum());
    let mut reports = Vec::with_capacity(files.len());
    for mut file in files {
        let end = bars.last().map(|bar| bar.open_ts);
        let overlap = end.map_or(0, |end| file.bars.partition_point(|bar| bar.open_ts <= end));
        if overlap > 0 {
            let count = FaultCount { count: overlap as u64, first_line: file.first_line };
            file.report.faults.insert(RowFault::Overlap, count);
        }
        let kept = &file.bars[overlap..];
        file.report.survey(end, kept, timeframe);
        bars.extend_from_slice(kept);
        reports.push(file.report);
    }
    Ok(Loaded { series: Series { symbol, timeframe, bars }, reports })
}

/// Reads the files of one symbol as [`load`] does, and puts their bars together to bars of length `to`; gives also how many of
/// these are left out because a part of them is absent. Where the files do not tell how long their bars are, as one bar alone
/// does not, they are taken for bars of that length.
///
/// # Errors
/// As [`load`]; [`FileError::NoMultiple`] and [`FileError::NoWhole`] where the bars cannot be put together.
pub fn load_as(symbol: Symbol, paths: &[PathBuf], to: Timeframe) -> Result<(Loaded, u64), FileError> {
    let mut loaded = match load(symbol, paths, None) {
        Err(FileError::NoTimeframe { .. }) => load(symbol, paths, Some(to))?,
        other => other?,
    };
    let from = loaded.series.timeframe;
    if from == to {
        return Ok((loaded, 0));
    }
    let Resampled { bars, incomplete } =
        resample(&loaded.series.bars, from, to).ok_or(FileError::NoMultiple { symbol, from, to })?;
    if bars.is_empty() {
        return Err(FileError::NoWhole { symbol, from, to });
    }
    (loaded.series.timeframe, loaded.series.bars) = (to, bars);
    Ok((loaded, incomplete))
}

/// The one timeframe of all files: the one given, or the one of the file with most bars.
fn agreed_timeframe(symbol: Symbol, files: &[RawFile], given: Option<Timeframe>) -> Result<Timeframe, FileError> {
    let longest = files.iter().max_by_key(|file| file.bars.len());
    let inferred = longest.and_then(|file| common_spacing(&file.bars));
    let unknown = || FileError::NoTimeframe {
        symbol,
        path: longest.map(|file| file.report.path.clone()).unwrap_or_default(),
        bars: longest.map_or(0, |file| file.bars.len()),
        faults: longest.map(|file| file.report.faults_in_words()).unwrap_or_default(),
    };
    let expected = given.or(inferred).ok_or_else(unknown)?;
    for file in files {
        // A file of one bar has no spacing to disagree with.
        if file.bars.len() < 2 {
            continue;
        }
        let found = common_spacing(&file.bars);
        if found != Some(expected) {
            return Err(FileError::Timeframe { path: file.report.path.clone(), expected, found });
        }
    }
    Ok(expected)
}

/// The most common distance of neighbours, where it is a possible timeframe.
fn common_spacing(bars: &[Bar]) -> Option<Timeframe> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    // Nearly all distances are the same: one look-up serves a run of them.
    let (mut step, mut run) = (0, 0);
    for pair in bars.windows(2) {
        let next = (pair[1].open_ts - pair[0].open_ts).nanos();
        if next != step {
            *counts.entry(step).or_default() += run;
            (step, run) = (next, 0);
        }
        run += 1;
    }
    *counts.entry(step).or_default() += run;
    // `max_by_key` takes the last of equals; reversed, that is the shortest.
    let (nanos, _) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    let second = Ts::from_secs(1).nanos();
    let secs = (nanos % second == 0).then_some(nanos / second)?;
    u32::try_from(secs).ok().and_then(Timeframe::from_secs)
}

fn is_price_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    !name.starts_with('.') && (name.ends_with(".csv") || name.ends_with(".csv.gz"))
}

fn symbol_of(path: &Path) -> Result<Symbol, FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = name.to_ascii_lowercase().find(".csv").unwrap_or(name.len());
    let stem = &name[..end];
    let stem = stem.split_once('-').map_or(stem, |(symbol, _)| symbol);
    stem.parse().map_err(|source| FileError::Name { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
