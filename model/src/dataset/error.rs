//! Why there is nothing to learn from.

use std::path::PathBuf;

use levibot_core::domain::{Symbol, Timeframe, Ts};
use levibot_core::files::FileError;

use super::Part;

/// Data that nothing can be learnt from.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A price file, or a set of them, that cannot be used.
    #[error("the price files cannot be used")]
    Files(#[source] FileError),
    /// None of the symbols that were asked for has a file.
    #[error("{} holds no prices of {}: it has {}", path.display(), list(wanted), list(found))]
    NoSymbol {
        /// Where was looked.
        path: PathBuf,
        /// What was asked for.
        wanted: Vec<Symbol>,
        /// What is there.
        found: Vec<Symbol>,
    },
    /// Symbols of different bar lengths.
    #[error(
        "{symbol} has bars of {found} and others have {expected}: choose one timeframe or keep files of one in a folder"
    )]
    Timeframes {
        /// Which symbol differs.
        symbol: Symbol,
        /// Its bar length.
        found: Timeframe,
        /// That of the others.
        expected: Timeframe,
    },
    /// No symbol has enough bars for a single sample.
    #[error(
        "too little data: {symbol} has {bars} bars, {needed} are needed (features warm up, a window fills and the horizon \
         passes), and no other symbol has more: give a longer history or range, or a shorter timeframe"
    )]
    TooLittle {
        /// The symbol with most bars.
        symbol: Symbol,
        /// Its bars in the range.
        bars: usize,
        /// Bars that one sample needs.
        needed: usize,
    },
    /// A part of the split without a sample.
    #[error(
        "too little data: no sample is left for {part} (samples from {from} to {to}, borders and embargo left out): give a \
         longer history or range, or make split.embargo_bars and horizon_bars smaller"
    )]
    EmptyPart {
        /// Which.
        part: Part,
        /// Close of the first sample of all parts.
        from: Ts,
        /// Close of the last one.
        to: Ts,
    },
    /// A part in which nothing is to be told apart.
    #[error(
        "{part} holds {ups} moves up and {downs} moves down that exceed the cost of a round trip: both are needed to learn \
         from; give a longer history, a longer horizon_bars or a smaller round_trip_cost"
    )]
    OneClass {
        /// Which.
        part: Part,
        /// Samples labelled as rises.
        ups: usize,
        /// Samples labelled as falls.
        downs: usize,
    },
    /// More symbols than a run can have.
    #[error("{count} symbols are more than the {max} that a table can hold: choose some of them")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

fn list(symbols: &[Symbol]) -> String {
    symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ")
}
