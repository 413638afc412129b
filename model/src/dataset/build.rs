//! From files to a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levibot_core::domain::{Symbol, Timeframe, Ts};
use levibot_core::features::FeatureSet;
use levibot_core::files::{self, FileReport, Loaded, Series};
use levibot_core::forecast::{self, WINDOW};
use levibot_core::labels;

use super::rows::{EngineRows, RowSource, SymbolRows};
use super::{DatasetError, SymbolTable, Table};
use crate::progress::Progress;

/// What a table is wanted of.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted<'a> {
    /// A folder of price files, or one of them.
    pub path: &'a Path,
    /// Only these symbols; `None` for all.
    pub symbols: Option<&'a [Symbol]>,
    /// Their bar length; `None` to tell it from the bars.
    pub timeframe: Option<Timeframe>,
    /// Samples close at or after this. Bars before it warm features up and fill windows.
    pub from: Option<Ts>,
    /// Nothing after this is looked at: neither bars nor outcomes.
    pub to: Option<Ts>,
    /// How many bars ahead outcomes look, 1 or more.
    pub horizon_bars: u32,
    /// What entering and leaving costs together, a fraction of notional.
    pub round_trip_cost: f64,
}

/// A symbol without a single sample. It still counts in the context of the others, as it would live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which.
    pub symbol: Symbol,
    /// Its bars that a sample could be of or end with: those from `from` on, and what warms up before it.
    pub bars: usize,
    /// How many one sample needs.
    pub needed: usize,
}

/// A table and where it came from.
#[derive(Debug, Clone)]
pub struct Built {
    /// The table.
    pub table: Table,
    /// The bars behind it, symbols that were left out included: what the check for leaks computes again.
    pub data: Vec<Series>,
    /// What the files were like, in symbol order; rows that cannot be bars (NaN among them) are counted there.
    pub reports: Vec<FileReport>,
    /// Symbols without a sample.
    pub left_out: Vec<LeftOut>,
    /// Symbols that were asked for and have no file.
    pub absent: Vec<Symbol>,
}

impl Table {
    /// Reads files and computes the rows and outcomes of every bar.
    ///
    /// # Errors
    /// [`DatasetError`] when files cannot be used, none of the symbols is there or none of them has enough bars.
    pub fn build(wanted: &Wanted<'_>, progress: &dyn Progress) -> Result<Built, DatasetError> {
        let mut found = files::discover(wanted.path).map_err(DatasetError::Files)?;
        let absent = choose(&mut found, wanted)?;
        progress.begin("reading prices", found.len() as u64);
        let mut data: Vec<Series> = Vec::with_capacity(found.len());
        let mut reports = Vec::new();
        for (symbol, paths) in &found {
            let Loaded { mut series, reports: more } =
                files::load(*symbol, paths, wanted.timeframe).map_err(DatasetError::Files)?;
            series.bars.retain(|bar| wanted.to.is_none_or(|to| bar.close_ts(series.timeframe) <= to));
            progress.step(1, symbol.as_str());
            data.push(series);
            reports.extend(more);
        }
        progress.end();
        let (table, left_out) = Self::of(&data, wanted, &EngineRows, progress)?;
        Ok(Built { table, data, reports, left_out, absent })
    }

    /// The table of bars that are at hand; `source` computes their rows. `wanted` gives range, horizon and cost.
    ///
    /// # Errors
    /// [`DatasetError`] when series do not fit together or none has enough bars.
    pub fn of(
        data: &[Series],
        wanted: &Wanted<'_>,
        source: &dyn RowSource,
        progress: &dyn Progress,
    ) -> Result<(Self, Vec<LeftOut>), DatasetError> {
        let timeframe = common_timeframe(data)?;
        progress.begin("computing features", data.len() as u64);
        let rows = if data.iter().all(|series| series.bars.is_empty()) {
            vec![SymbolRows::default(); data.len()]
        } else {
            source.rows(data, timeframe).map_err(DatasetError::Files)?
        };
        let (mut series, mut left_out) = (Vec::with_capacity(data.len()), Vec::new());
        for (one, rows) in data.iter().zip(rows) {
            progress.step(1, one.symbol.as_str());
            match symbol_table(one.symbol, rows, timeframe, wanted) {
                Ok(table) => series.push(table),
                Err(short) => left_out.push(short),
            }
        }
        progress.end();
        if series.is_empty() {
            // Of several, the first: `max_by_key` takes the last.
            let longest = left_out.iter().rev().max_by_key(|short| short.bars);
            let Some(LeftOut { symbol, bars, needed }) = longest.cloned() else {
                return Err(no_symbol(wanted, &[]));
            };
            return Err(DatasetError::TooLittle { symbol, bars, needed });
        }
        Ok((Self { timeframe, horizon_bars: wanted.horizon_bars, series }, left_out))
    }
}

/// Keeps the files of the symbols that are wanted; tells which have none.
fn choose(found: &mut BTreeMap<Symbol, Vec<PathBuf>>, wanted: &Wanted<'_>) -> Result<Vec<Symbol>, DatasetError> {
    let mut absent = Vec::new();
    if let Some(symbols) = wanted.symbols {
        let there: Vec<Symbol> = found.keys().copied().collect();
        found.retain(|symbol, _| symbols.contains(symbol));
        absent.extend(symbols.iter().filter(|symbol| !there.contains(symbol)));
        if found.is_empty() {
            return Err(no_symbol(wanted, &there));
        }
    }
    let max = usize::from(u16::MAX);
    if found.len() > max {
        return Err(DatasetError::TooMany { count: found.len(), max });
    }
    Ok(absent)
}

fn no_symbol(wanted: &Wanted<'_>, found: &[Symbol]) -> DatasetError {
    let symbols = wanted.symbols.unwrap_or_default().to_vec();
    DatasetError::NoSymbol { path: wanted.path.to_owned(), wanted: symbols, found: found.to_vec() }
}

fn common_timeframe(data: &[Series]) -> Result<Timeframe, DatasetError> {
    let Some(first) = data.first() else { return Ok(Timeframe::HOUR) };
    match data.iter().find(|series| series.timeframe != first.timeframe) {
        None => Ok(first.timeframe),
        Some(Series { symbol, timeframe, .. }) => {
            Err(DatasetError::Timeframes { symbol: *symbol, found: *timeframe, expected: first.timeframe })
        }
    }
}

/// Adds outcomes to rows, unless no bar of the range can be a sample.
fn symbol_table(
    symbol: Symbol,
    rows: SymbolRows,
    timeframe: Timeframe,
    wanted: &Wanted<'_>,
) -> Result<SymbolTable, LeftOut> {
    let SymbolRows { bars, rows, warm } = rows;
    let horizon = wanted.horizon_bars as usize;
    let outcomes = labels::outcomes(&bars, horizon, timeframe, wanted.round_trip_cost);
    let begin = wanted.from.map_or(0, |from| bars.partition_point(|bar| bar.close_ts(timeframe) < from));
    let first = warm.max(WINDOW - 1).max(begin);
    if !outcomes.iter().skip(first).any(Option::is_some) {
        let warm_up = FeatureSet::new(forecast::input_ids()).warm_up_bars().max(WINDOW) - 1;
        let bars = bars.len() - begin.saturating_sub(warm_up).min(bars.len());
        return Err(LeftOut { symbol, bars, needed: warm_up + 1 + horizon });
    }
    Ok(SymbolTable { symbol, bars, rows, outcomes, first })
}
