//! Whether a row knows anything of what comes after it.

use std::collections::BTreeMap;

use levibot_core::domain::hash::{hash64, unit_draw};
use levibot_core::domain::{Symbol, Ts};
use levibot_core::files::Series;
use serde::Serialize;

use super::{DatasetError, RowSource, SymbolRows, Table};
use crate::progress::Progress;

/// A value that was another one before the future was known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leak {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Name of the value.
    pub feature: String,
    /// Close of the last bar before the data were cut at which it differs.
    pub at: Ts,
    /// Its value in the table.
    pub full: f32,
    /// Its value computed from the data up to the cut alone.
    pub truncated: f32,
    /// In how many of the rows compared it differs.
    pub rows: u64,
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakCheck {
    /// Where the data were cut.
    pub instants: Vec<Ts>,
    /// Rows that were compared bit for bit.
    pub rows: u64,
    /// Values that differ, each symbol and feature once; none in a sound table.
    pub leaks: Vec<Leak>,
}

impl LeakCheck {
    /// Whether rows were compared and none differs.
    pub const fn is_clean(&self) -> bool {
        self.rows > 0 && self.leaks.is_empty()
    }
}

/// Computes the rows again from data that are cut at `instants` instants, drawn from `seed` among the closes of samples,
/// and compares every row up to the cut with that of the table, bit for bit. A row that knows of bars after it, be it
/// the next one or statistics of the whole series, cannot pass: at the cut those bars are not there.
///
/// # Errors
/// [`DatasetError::Files`] when the bars do not fit together.
pub fn truncated_against_full(
    data: &[Series],
    table: &Table,
    source: &dyn RowSource,
    instants: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<LeakCheck, DatasetError> {
    let cuts = draw(table, instants, seed);
    let names = source.names();
    let mut check = LeakCheck { instants: cuts.clone(), rows: 0, leaks: Vec::new() };
    let mut found: BTreeMap<(Symbol, usize), Leak> = BTreeMap::new();
    progress.begin("checking for leaks", cuts.len() as u64);
    for cut in cuts {
        let known: Vec<Series> = data.iter().map(|series| until(series, cut)).collect();
        let again = source.rows(&known, table.timeframe).map_err(DatasetError::Files)?;
        for (series, rows) in known.iter().zip(&again) {
            check.rows += compare(table, series.symbol, rows, &names, &mut found);
        }
        progress.step(1, "");
    }
    progress.end();
    check.leaks = found.into_values().collect();
    Ok(check)
}

/// Different closes of samples, ascending. The first bars are not drawn before the later ones are exhausted: a cut with
/// nothing before it compares nothing.
fn draw(table: &Table, instants: usize, seed: u64) -> Vec<Ts> {
    let mut closes: Vec<Ts> = Vec::new();
    for series in &table.series {
        closes.extend(series.bars[series.first..].iter().map(|bar| bar.close_ts(table.timeframe)));
    }
    closes.sort_unstable();
    closes.dedup();
    let key = hash64(&[b"leak check", &seed.to_le_bytes()]);
    let mut order: Vec<(u64, Ts)> =
        closes.into_iter().enumerate().map(|(n, ts)| (unit_draw(key, n as u64).to_bits(), ts)).collect();
    order.sort_unstable();
    let mut cuts: Vec<Ts> = order.into_iter().take(instants).map(|(_, ts)| ts).collect();
    cuts.sort_unstable();
    cuts
}

fn until(series: &Series, cut: Ts) -> Series {
    let end = series.bars.partition_point(|bar| bar.close_ts(series.timeframe) <= cut);
    Series { symbol: series.symbol, timeframe: series.timeframe, bars: series.bars[..end].to_vec() }
}

/// Compares the rows of one symbol, notes what differs and tells how many rows there were.
fn compare(
    table: &Table,
    symbol: Symbol,
    again: &SymbolRows,
    names: &[String],
    found: &mut BTreeMap<(Symbol, usize), Leak>,
) -> u64 {
    let Some(series) = table.series.iter().find(|series| series.symbol == symbol) else { return 0 };
    let width = names.len();
    let pairs = series.rows.chunks(width).zip(again.rows.chunks(width));
    for (bar, (full, truncated)) in series.bars.iter().zip(pairs) {
        let differs = |at: &usize| full[*at].to_bits() != truncated[*at].to_bits();
        for at in (0..width).filter(differs) {
            let leak = found.entry((symbol, at)).or_insert_with(|| Leak {
                symbol,
                feature: names[at].clone(),
                at: bar.open_ts,
                full: full[at],
                truncated: truncated[at],
                rows: 0,
            });
            leak.rows += 1;
            leak.at = bar.close_ts(table.timeframe);
            (leak.full, leak.truncated) = (full[at], truncated[at]);
        }
    }
    (again.rows.len() / width) as u64
}
