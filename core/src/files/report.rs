//! What the rows of a file were like.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::domain::{Bar, BarFault, Span, Symbol, Timeframe, Ts};

/// Why a row was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum RowFault {
    /// More or fewer fields than the header.
    #[error("wrong number of fields")]
    Fields,
    /// A time that cannot be read.
    #[error("unreadable time")]
    Time,
    /// A price or volume that cannot be read.
    #[error("unreadable number")]
    Number,
    /// Numbers that cannot be a bar.
    #[error("{0}")]
    Bar(BarFault),
    /// The time of the row kept before it; the first one stays.
    #[error("duplicate time")]
    Duplicate,
    /// A time before that of a row kept before it, or after that of a row kept after it; the fewest rows are left out.
    #[error("time out of order")]
    OutOfOrder,
    /// A time that an earlier file of the symbol reaches to or over.
    #[error("covered by an earlier file")]
    Overlap,
}

/// How often a fault was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultCount {
    /// Rows with it.
    pub count: u64,
    /// Line of the first of them in the file, the header being line 1.
    pub first_line: u64,
}

/// What was read from one file. Its `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its symbol.
    pub symbol: Symbol,
    /// Rows under the header.
    pub rows: u64,
    /// Rows that became bars.
    pub kept: u64,
    /// The other rows.
    pub faults: BTreeMap<RowFault, FaultCount>,
    /// How often the next bar came later than one timeframe after the last, the last bar of an earlier file of the
    /// symbol included. A market that closes has one every night.
    pub gaps: u64,
    /// The longest time from one bar to the next, zero with less than two bars.
    pub longest: Span,
    /// Kept bars that do not open on a multiple of the timeframe since the epoch. A note, not a fault: a trading day
    /// may begin at any hour.
    pub misaligned: u64,
    /// Readable rows whose open or close lay outside low and high by a rounding error, under 1e-9 of the price: their low
    /// or high was moved to it. A note, not a fault.
    pub widened: u64,
    /// Whether the rows went from new to old and were turned round. A note, not a fault.
    pub is_reversed: bool,
    /// Opening instant of the first kept bar.
    pub first: Option<Ts>,
    /// Opening instant of the last kept bar.
    pub last: Option<Ts>,
}

impl FileReport {
    pub(super) fn new(path: PathBuf, symbol: Symbol) -> Self {
        Self {
            path,
            symbol,
            rows: 0,
            kept: 0,
            faults: BTreeMap::new(),
            gaps: 0,
            longest: Span::ZERO,
            misaligned: 0,
            widened: 0,
            is_reversed: false,
            first: None,
            last: None,
        }
    }

    pub(super) fn add(&mut self, fault: RowFault, line: u64) {
        let found = self.faults.entry(fault).or_insert(FaultCount { count: 0, first_line: line });
        // Of rows that were turned round the last one is met first.
        (found.count, found.first_line) = (found.count + 1, found.first_line.min(line));
    }

    /// Fills in what only the kept bars and the timeframe tell. `before` is the last bar of the file before this.
    pub(super) fn survey(&mut self, before: Option<Ts>, bars: &[Bar], timeframe: Timeframe) {
        let mut previous = before;
        for bar in bars {
            let step = previous.map_or(Span::ZERO, |ts| bar.open_ts - ts);
            self.gaps += u64::from(step > timeframe.span());
            self.longest = self.longest.max(step);
            self.misaligned += u64::from(timeframe.floor(bar.open_ts) != bar.open_ts);
            previous = Some(bar.open_ts);
        }
        self.kept = bars.len() as u64;
        self.first = bars.first().map(|bar| bar.open_ts);
        self.last = bars.last().map(|bar| bar.open_ts);
    }

    /// The faults in words, most telling part of the line.
    pub(super) fn faults_in_words(&self) -> String {
        if self.faults.is_empty() {
            return "no faults".to_owned();
        }
        let words = |(fault, n): (&RowFault, &FaultCount)| format!("{fault} x{} from line {}", n.count, n.first_line);
        self.faults.iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, symbol, rows, kept, gaps, misaligned, widened, .. } = self;
        write!(f, "{}: {symbol}, {kept} of {rows} rows", path.display())?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(f, ", {first} to {last}")?;
        }
        write!(f, ", {gaps} gaps")?;
        if *gaps > 0 {
            write!(f, " (longest step {:.1} h)", self.longest.secs_f64() / 3_600.0)?;
        }
        if *misaligned > 0 {
            write!(f, ", {misaligned} off the grid")?;
        }
        if *widened > 0 {
            write!(f, ", {widened} widened by a rounding error")?;
        }
        if self.is_reversed {
            write!(f, ", turned round, since they went from new to old")?;
        }
        write!(f, ", {}", self.faults_in_words())
    }
}
