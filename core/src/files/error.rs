//! What can be wrong with files.

use std::io;
use std::path::PathBuf;

use crate::domain::ids::NameError;
use crate::domain::{FundingFault, Ix, Symbol, Timeframe, Ts};

/// A price file, or a set of them, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A path that does not exist or may not be looked into.
    #[error("cannot list price files at {}: check that the path exists and may be read", path.display())]
    List {
        /// What was to be listed.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder without price files.
    #[error("{} holds no price file: name them like BTCUSDT.csv or BTCUSDT-1m-2023-02.csv.gz", path.display())]
    NothingFound {
        /// The folder.
        path: PathBuf,
    },
    /// A file name that does not begin with a symbol.
    #[error("cannot tell the symbol of {}: name it like BTCUSDT.csv or BTCUSDT-1m-2023-02.csv.gz", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        source: NameError,
    },
    /// A file that cannot be opened.
    #[error("cannot open {}: check that it may be read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Reading or decompressing broke off, as it does in a truncated gzip file.
    #[error("cannot read {} beyond line {line}: it is cut short or damaged, fetch it again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The line near which it happened, from 1.
        line: u64,
        /// What happened.
        source: csv::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("{} is not UTF-8 at line {line}: save it as UTF-8 text", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first such line, from 1.
        line: u64,
    },
    /// A file without even a header.
    #[error("{} is empty: fetch it again or remove it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A header that lacks what a candle needs.
    #[error(
        "{} lacks a column for {}: found {}; name the columns of comma-separated text open, high, low, close, volume \
         and one of open_time, date, begin, time, timestamp, datetime",
        path.display(), missing.join(", "), found.join(", ")
    )]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// What is not there.
        missing: Vec<&'static str>,
        /// The header as it stands.
        found: Vec<String>,
    },
    /// Two columns of one name, so that either could be meant.
    #[error("{} has more than one column `{column}`: remove or rename all but one", path.display())]
    RepeatedColumn {
        /// The file.
        path: PathBuf,
        /// Its name in lower case.
        column: &'static str,
    },
    /// A header that lacks what a file of funding rates needs.
    #[error(
        "{} lacks a column for the time or the rate: found {}; name the columns of comma-separated text calc_time and \
         last_funding_rate, or symbol, fundingTime and fundingRate",
        path.display(), found.join(", ")
    )]
    FundingColumns {
        /// The file.
        path: PathBuf,
        /// The header as it stands.
        found: Vec<String>,
    },
    /// A row of a file of funding rates that cannot be read.
    #[error("{} line {line} lacks {what}: fetch the file again or mend the row", path.display())]
    FundingRow {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is not there.
        what: &'static str,
    },
    /// A row of a file of funding rates that cannot be meant.
    #[error("{} line {line}: {fault}", path.display())]
    Funding {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        fault: FundingFault,
    },
    /// A header, and no row that could be kept.
    #[error("{} holds no good row ({faults}): check what was saved in it", path.display())]
    NoBars {
        /// The file.
        path: PathBuf,
        /// The faults of its rows in words.
        faults: String,
    },
    /// A file of which too much would be left out.
    #[error(
        "{} has {left_out} bad rows of {rows} ({faults}), and what is left would be other prices: sort its rows by time, leave \
         out the doubled ones and mend the rest, or fetch it again",
        path.display()
    )]
    TooManyFaults {
        /// The file.
        path: PathBuf,
        /// Rows that are no bar or not in order.
        left_out: u64,
        /// All rows.
        rows: u64,
        /// The faults in words.
        faults: String,
    },
    /// A file whose bars are of another length than the rest or than was asked for.
    #[error(
        "{} is not of timeframe {expected}: its bars are {} apart; set the right timeframe or keep files of one \
         timeframe in a folder",
        path.display(), found.map_or_else(|| "an unusual time".to_owned(), |t| t.to_string())
    )]
    Timeframe {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: Timeframe,
        /// The most common distance of its bars, where it is between a second and a week.
        found: Option<Timeframe>,
    },
    /// Too few bars to infer a timeframe, or an unusual distance between them.
    #[error(
        "cannot tell how long the bars of {symbol} are: {} holds {bars} ({faults}), and their most common distance is none of a \
         second to a week; give the length, as in --timeframe 1h, or a file of more bars",
        path.display()
    )]
    NoTimeframe {
        /// The symbol.
        symbol: Symbol,
        /// The file with most bars.
        path: PathBuf,
        /// How many it has.
        bars: usize,
        /// Its faults in words.
        faults: String,
    },
    /// Bars that cannot be put together to those that are asked for.
    #[error(
        "the bars of {symbol} are {from} long, and {to} (--timeframe) is no multiple of that: ask for a multiple of {from}, or give \
         files of shorter bars"
    )]
    NoMultiple {
        /// The symbol.
        symbol: Symbol,
        /// The length of its bars.
        from: Timeframe,
        /// What was asked for.
        to: Timeframe,
    },
    /// Bars of which none that is asked for would be whole.
    #[error(
        "no bar of {symbol} would have all its {} parts of {from}: ask for bars shorter than {to} (--timeframe), or give more rows",
        to.secs() / from.secs()
    )]
    NoWhole {
        /// The symbol.
        symbol: Symbol,
        /// The length of its bars.
        from: Timeframe,
        /// What was asked for.
        to: Timeframe,
    },
    /// A series that does not fit into a feed: out of order, or of another timeframe than the feed.
    #[error("the bars of {symbol} are not ascending bars of {timeframe}: load them with that timeframe")]
    Unfit {
        /// The symbol.
        symbol: Symbol,
        /// The feed's timeframe.
        timeframe: Timeframe,
    },
    /// One instrument twice in a feed.
    #[error("instrument {} stands twice in the feed: give each symbol once", ix.0)]
    Repeated {
        /// The instrument.
        ix: Ix,
    },
    /// A feed whose range holds no bar.
    #[error("no bar lies {}: {}", asked(*from, *to), there_is(*have))]
    EmptyRange {
        /// The start asked for.
        from: Option<Ts>,
        /// The end asked for.
        to: Option<Ts>,
        /// First opening and last closing instant of the data, `None` without data.
        have: Option<(Ts, Ts)>,
    },
}

/// A range that was asked for, in words.
pub(crate) fn asked(from: Option<Ts>, to: Option<Ts>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("between {from} and {to}"),
        (Some(from), None) => format!("at or after {from}"),
        (None, Some(to)) => format!("before {to}"),
        (None, None) => "in the data".to_owned(),
    }
}

/// First opening and last closing instant of the data, in words with a remedy.
pub(crate) fn there_is(have: Option<(Ts, Ts)>) -> String {
    match have {
        Some((first, last)) => format!("the data reach from {first} to {last}, choose a range within"),
        None => "the data are empty, give at least one series with bars".to_owned(),
    }
}
