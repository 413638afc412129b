//! Prices for a version: rows as it was trained on them.

use std::path::Path;

use levibot_core::domain::{Symbol, Ts};

use super::CliError;
use crate::dataset::{Built, Sample, Table, Wanted};
use crate::ensemble::Loaded;
use crate::progress::Silent;

/// The table that a version is asked about: its bar length, horizon and costs, its symbols (breadth and index are those
/// of the symbols together) and `more`. Nothing after `to` is looked at.
pub(super) fn build(
    loaded: &Loaded,
    path: &Path,
    more: Option<Symbol>,
    to: Option<Ts>,
) -> Result<(Table, Vec<String>), CliError> {
    let metadata = loaded.metadata();
    let mut symbols = metadata.symbols.clone();
    symbols.extend(more.filter(|symbol| !metadata.symbols.contains(symbol)));
    let wanted = Wanted {
        path,
        symbols: Some(&symbols),
        timeframe: Some(metadata.timeframe),
        from: None,
        to,
        horizon_bars: metadata.horizon_bars,
        round_trip_cost: metadata.round_trip_cost,
    };
    let Built { table, absent, .. } = Table::build(&wanted, &Silent)?;
    let mut notes = Vec::new();
    if let Some(symbol) = more {
        // Asked for by name, it has to be there; the words are those for a folder without it.
        let only = [symbol];
        if absent.contains(&symbol) {
            Table::build(&Wanted { symbols: Some(&only), ..wanted }, &Silent)?;
        }
        if !metadata.symbols.contains(&symbol) {
            notes.push(format!("{symbol} is not among the symbols that version {} has learnt from", metadata.version));
        }
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(Symbol::as_str).collect();
        let names = names.join(", ");
        notes.push(format!("no prices of {names}: breadth, index and dispersion differ from those of training"));
    }
    Ok((table, notes))
}

/// The samples of a symbol, or of all, whose windows are whole: oldest first, those of one instant in symbol order.
pub(super) fn samples(table: &Table, symbol: Option<Symbol>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (at, series) in table.series.iter().enumerate() {
        if symbol.is_some_and(|symbol| symbol != series.symbol) {
            continue;
        }
        let index = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        samples.extend((series.first..series.bars.len()).map(|bar| Sample { series: index(at), at: index(bar) }));
    }
    samples.sort_by_key(|sample| (table.close_ts(*sample), sample.series));
    samples
}
