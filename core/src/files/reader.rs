//! One file of candles.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;

use super::order::{Lines, Ordered, ordered};
use super::{FileError, FileReport, RowFault, number, stamp};
use crate::domain::{Bar, BarFault, Symbol};

/// How a gzip file begins, whatever its name.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes read at once, before and after decompression.
const BUFFER_BYTES: usize = 128 * 1024;
/// Names of the time column; of several present the first one here counts.
const TIME_NAMES: [&str; 6] = ["open_time", "date", "begin", "time", "timestamp", "datetime"];
/// How far, as a share of the price, an open or close may lie outside low and high and still count as on the edge.
/// Prices adjusted for dividends are products of long numbers and miss each other in their last digits.
const ROUNDING_MAX: f64 = 1e-9;
/// So many rows of a file may be left out, whatever their share.
const LEFT_OUT_MAX: u64 = 20;
/// Of more than these, this share of all: one in so many. What is left of a worse file are other prices than its maker meant.
const LEFT_OUT_ONE_IN: u64 = 100;
const NUMBER_NAMES: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// A file's good rows, strictly ascending, and the report so far.
#[derive(Debug)]
pub(super) struct RawFile {
    pub(super) bars: Vec<Bar>,
    pub(super) report: FileReport,
    /// Line of the first kept row.
    pub(super) first_line: u64,
}

/// Where the columns are.
#[derive(Debug)]
struct Columns {
    time: usize,
    numbers: [usize; 5],
    count: usize,
}

pub(super) fn read(path: &Path, symbol: Symbol) -> Result<RawFile, FileError> {
    let mut csv = open(path)?;
    let read_error = |line: u64| move |source: csv::Error| FileError::Read { path: path.to_owned(), line, source };
    let not_utf8 = |line: u64| FileError::NotUtf8 { path: path.to_owned(), line };

    let mut record = ByteRecord::new();
    if !csv.read_byte_record(&mut record).map_err(read_error(1))? {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    std::str::from_utf8(record.as_slice()).map_err(|_| not_utf8(1))?;
    let columns = Columns::find(path, &record)?;

    let mut file = RawFile { bars: Vec::new(), report: FileReport::new(path.to_owned(), symbol), first_line: 0 };
    let mut lines = Lines::default();
    loop {
        let line = csv.position().line();
        if !csv.read_byte_record(&mut record).map_err(read_error(line))? {
            break;
        }
        std::str::from_utf8(record.as_slice()).map_err(|_| not_utf8(line))?;
        file.take(&columns, &record, line, &mut lines);
    }
    if file.bars.is_empty() {
        return Err(FileError::NoBars { path: path.to_owned(), faults: file.report.faults_in_words() });
    }
    file.arrange(&lines);
    let left_out = file.report.rows - file.bars.len() as u64;
    if left_out > LEFT_OUT_MAX && left_out.saturating_mul(LEFT_OUT_ONE_IN) > file.report.rows {
        let (rows, faults) = (file.report.rows, file.report.faults_in_words());
        return Err(FileError::TooManyFaults { path: path.to_owned(), left_out, rows, faults });
    }
    Ok(file)
}

pub(super) fn open(path: &Path) -> Result<csv::Reader<Box<dyn Read>>, FileError> {
    let open = |source| FileError::Open { path: path.to_owned(), source };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(open)?);
    let is_gzip = raw.fill_buf().map_err(open)?.starts_with(&GZIP_MAGIC);
    let text: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    // The header is read as a record like any other, and a row of the wrong length is a fault of that row alone.
    Ok(csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER_BYTES).from_reader(text))
}

impl Columns {
    fn find(path: &Path, header: &ByteRecord) -> Result<Self, FileError> {
        let is = |name: &str, field: &[u8]| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        let place = |name: &'static str| {
            let mut places = header.iter().enumerate().filter(|(_, field)| is(name, field)).map(|(at, _)| at);
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(FileError::RepeatedColumn { path: path.to_owned(), column: name }),
                (place, None) => Ok(place),
            }
        };
        let mut missing = Vec::new();
        let mut time = None;
        for name in TIME_NAMES {
            time = time.or(place(name)?);
        }
        if time.is_none() {
            missing.push("time");
        }
        let mut numbers = [0; 5];
        for (slot, name) in numbers.iter_mut().zip(NUMBER_NAMES) {
            match place(name)? {
                Some(at) => *slot = at,
                None => missing.push(name),
            }
        }
        match time {
            Some(time) if missing.is_empty() => Ok(Self { time, numbers, count: header.len() }),
            _ => {
                let found = header.iter().map(|field| format!("`{}`", String::from_utf8_lossy(field))).collect();
                Err(FileError::MissingColumns { path: path.to_owned(), missing, found })
            }
        }
    }

    /// The bar of a row, and whether its range had to be widened by a rounding error.
    fn bar(&self, record: &ByteRecord) -> Result<(Bar, bool), RowFault> {
        if record.len() != self.count {
            return Err(RowFault::Fields);
        }
        let open_ts = stamp::parse(&record[self.time]).ok_or(RowFault::Time)?;
        let number = |at: usize| number::parse(&record[at]).ok_or(RowFault::Number);
        let [open, high, low, close, volume] = self.numbers;
        let bar = Bar {
            open_ts,
            open: number(open)?,
            high: number(high)?,
            low: number(low)?,
            close: number(close)?,
            volume: number(volume)?,
        };
        match bar.check() {
            Ok(()) => Ok((bar, false)),
            Err(BarFault::OutsideRange) => Ok((widened(bar).ok_or(RowFault::Bar(BarFault::OutsideRange))?, true)),
            Err(fault) => Err(RowFault::Bar(fault)),
        }
    }
}

/// The bar with low and high moved to its open and close, where these lie outside by no more than rounding.
fn widened(bar: Bar) -> Option<Bar> {
    let high = bar.high.max(bar.open).max(bar.close);
    let low = bar.low.min(bar.open).min(bar.close);
    let is_rounding = high - bar.high <= bar.high * ROUNDING_MAX && bar.low - low <= bar.low * ROUNDING_MAX;
    is_rounding.then_some(Bar { high, low, ..bar })
}

impl RawFile {
    fn take(&mut self, columns: &Columns, record: &ByteRecord, line: u64, lines: &mut Lines) {
        self.report.rows += 1;
        match columns.bar(record) {
            Ok((bar, is_widened)) => {
                self.report.widened += u64::from(is_widened);
                lines.push(self.bars.len(), line);
                self.bars.push(bar);
            }
            Err(fault) => self.report.add(fault, line),
        }
    }

    /// Brings the rows into the order of time.
    fn arrange(&mut self, lines: &Lines) {
        let Ordered { bars, is_reversed, left_out, first } = ordered(std::mem::take(&mut self.bars));
        (self.bars, self.report.is_reversed) = (bars, is_reversed);
        self.first_line = lines.of(first);
        for (at, fault) in left_out {
            self.report.add(fault, lines.of(at));
        }
    }
}
