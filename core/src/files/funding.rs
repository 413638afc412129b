//! Files of funding rates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::reader::open;
use super::{FileError, listed, stamp, symbol_of};
use crate::domain::{FundingRates, Span, Symbol, Ts};

/// Names of the columns as Binance's archive (`data.binance.vision`, "fundingRate") and its API ("Get Funding Rate History")
/// have them.
const TIME_NAMES: [&str; 2] = ["calc_time", "fundingTime"];
const RATE_NAMES: [&str; 2] = ["last_funding_rate", "fundingRate"];
const SYMBOL_NAMES: [&str; 1] = ["symbol"];

/// A rate and where it stands.
#[derive(Debug)]
struct Row {
    ts: Ts,
    rate: f64,
    line: u64,
}

/// The rows of one symbol in one file.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    rows: Vec<Row>,
}

/// The funding rates at `path`, a file or a folder of them named as price files are, by symbol.
///
/// Comma-separated text with a header, plain or gzip: `calc_time,funding_interval_hours,last_funding_rate`, of the symbol in
/// the file's name, or `symbol,fundingTime,fundingRate`, of any number of symbols. Other columns are passed over. A time is
/// taken as the nearest whole minute, because a payment is stamped some milliseconds beside its instant; the intervals are as
/// they are. Files of one symbol are put together in the order of their first rows.
///
/// # Errors
/// [`FileError`] when a file cannot be read or lacks a column, and for the first row that is damaged or not after the one
/// before it: a rate left out would be money left out.
pub fn funding(path: &Path) -> Result<BTreeMap<Symbol, FundingRates>, FileError> {
    let mut found: BTreeMap<Symbol, Vec<Part>> = BTreeMap::new();
    for path in listed(path)? {
        for (symbol, rows) in read(&path)? {
            found.entry(symbol).or_default().push(Part { path: path.clone(), rows });
        }
    }
    found.into_iter().map(|(symbol, parts)| Ok((symbol, joined(parts)?))).collect()
}

fn joined(mut parts: Vec<Part>) -> Result<FundingRates, FileError> {
    parts.sort_by_key(|part| part.rows.first().map(|row| row.ts));
    let rows = parts.iter().flat_map(|part| part.rows.iter().map(|row| (row.ts, row.rate))).collect();
    FundingRates::new(rows).map_err(|(at, fault)| {
        let mut all = parts.iter().flat_map(|part| part.rows.iter().map(|row| (&part.path, row.line)));
        let (path, line) = all.nth(at).map_or_else(|| (PathBuf::new(), 0), |(path, line)| (path.clone(), line));
        FileError::Funding { path, line, fault }
    })
}

fn read(path: &Path) -> Result<BTreeMap<Symbol, Vec<Row>>, FileError> {
    let mut csv = open(path)?;
    let read_error = |line: u64| move |source: csv::Error| FileError::Read { path: path.to_owned(), line, source };
    let mut record = ByteRecord::new();
    if !csv.read_byte_record(&mut record).map_err(read_error(1))? {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    let columns = Columns::find(path, &record)?;
    let named = if columns.symbol.is_none() { Some(symbol_of(path)?) } else { None };
    let mut found: BTreeMap<Symbol, Vec<Row>> = BTreeMap::new();
    loop {
        let line = csv.position().line();
        if !csv.read_byte_record(&mut record).map_err(read_error(line))? {
            return Ok(found);
        }
        let damaged = |what| FileError::FundingRow { path: path.to_owned(), line, what };
        let (symbol, ts, rate) = columns.row(&record).map_err(damaged)?;
        let symbol = symbol.or(named).ok_or_else(|| damaged("a symbol"))?;
        found.entry(symbol).or_default().push(Row { ts, rate, line });
    }
}

/// Where the columns are.
#[derive(Debug)]
struct Columns {
    time: usize,
    rate: usize,
    symbol: Option<usize>,
    count: usize,
}

impl Columns {
    fn find(path: &Path, header: &ByteRecord) -> Result<Self, FileError> {
        let place = |names: &[&str]| {
            header
                .iter()
                .position(|field| names.iter().any(|name| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes())))
        };
        match (place(&TIME_NAMES), place(&RATE_NAMES)) {
            (Some(time), Some(rate)) => Ok(Self { time, rate, symbol: place(&SYMBOL_NAMES), count: header.len() }),
            _ => {
                let found = header.iter().map(|field| format!("`{}`", String::from_utf8_lossy(field))).collect();
                Err(FileError::FundingColumns { path: path.to_owned(), found })
            }
        }
    }

    /// What a row says, or what is missing in it.
    fn row(&self, record: &ByteRecord) -> Result<(Option<Symbol>, Ts, f64), &'static str> {
        if record.len() != self.count {
            return Err("as many fields as the header has");
        }
        let text = |at: usize| record.get(at).and_then(|field| std::str::from_utf8(field.trim_ascii()).ok());
        let ts = record.get(self.time).and_then(stamp::parse).ok_or("a time (milliseconds since 1970, or a date)")?;
        let rate = text(self.rate).and_then(|text| text.parse().ok()).ok_or("a rate (a fraction such as 0.0001)")?;
        let symbol = match self.symbol {
            Some(at) => Some(text(at).and_then(|text| text.parse().ok()).ok_or("a symbol")?),
            None => None,
        };
        Ok((symbol, nearest_minute(ts), rate))
    }
}

fn nearest_minute(ts: Ts) -> Ts {
    let minute = Span::MINUTE.nanos();
    Ts::from_nanos(ts.nanos().saturating_add(minute / 2).div_euclid(minute).saturating_mul(minute))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ARCHIVE: &str = "calc_time,funding_interval_hours,last_funding_rate
1704067200000,8,0.00037409
1704096000007,8,-0.0001
1704110400012,4,0.00000123
";

    fn of(files: &[(&str, &str)]) -> Result<BTreeMap<Symbol, FundingRates>, FileError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        funding(folder.path())
    }

    fn at(text: &str) -> Ts {
        text.parse().unwrap()
    }

    #[test]
    fn the_archive_is_read_with_its_intervals_and_without_its_milliseconds() {
        let rates = of(&[("BTCUSDT-fundingRate-2024-01.csv", ARCHIVE)]).unwrap();
        let expected = [
            (at("2024-01-01T00:00:00Z"), 0.000_374_09),
            (at("2024-01-01T08:00:00Z"), -0.0001),
            (at("2024-01-01T12:00:00Z"), 0.000_001_23),
        ];
        assert_eq!(rates.len(), 1);
        assert_eq!(rates[&"BTCUSDT".parse().unwrap()].rows(), expected);
    }

    #[test]
    fn the_api_tells_many_symbols_in_one_file_in_any_order_of_columns() {
        let text = "fundingRate,symbol,fundingTime,markPrice\n0.0001,BTCUSDT,1570608000000,\n\
                    -0.03,ETHUSDT,1570608000001,180.5\n0.0002,BTCUSDT,1570636800000,8600\n";
        let rates = of(&[("funding.csv", text)]).unwrap();
        let count = |symbol: &str| rates[&symbol.parse::<Symbol>().unwrap()].rows().len();
        assert_eq!((rates.len(), count("BTCUSDT"), count("ETHUSDT")), (2, 2, 1));
    }

    #[test]
    fn months_are_put_together_in_the_order_of_their_rows() {
        let later = "calc_time,funding_interval_hours,last_funding_rate\n1706745600000,8,0.0005\n";
        let rates = of(&[("BTCUSDT-a.csv", later), ("BTCUSDT-b.csv", ARCHIVE)]).unwrap();
        let rows = rates[&"BTCUSDT".parse().unwrap()].rows().to_vec();
        assert_eq!((rows.len(), rows[3]), (4, (at("2024-02-01T00:00:00Z"), 0.0005)));
    }

    #[test]
    fn a_damaged_or_unsorted_file_is_refused_with_its_line_and_the_reason() {
        for (from, to, words) in [
            ("1704096000007,8,-0.0001", "1704096000007,8,none", &["line 3", "a rate"][..]),
            ("1704096000007,8,-0.0001", "1704096000007,8", &["line 3", "fields"]),
            ("1704096000007,8,-0.0001", "yesterday,8,-0.0001", &["line 3", "a time"]),
            ("1704096000007,8,-0.0001", "1704067200000,8,-0.0001", &["line 3", "is not after", "sort"]),
            ("1704110400012,4,", "1704067200000,4,", &["line 4", "is not after"]),
            ("0.00037409", "0.37409", &["line 2", "not between -0.1 and 0.1"]),
            ("0.00037409", "NaN", &["line 2", "not between"]),
            ("last_funding_rate", "rate", &["lacks", "`rate`", "last_funding_rate"]),
        ] {
            assert!(ARCHIVE.contains(from), "{from}");
            let error = of(&[("BTCUSDT.csv", &ARCHIVE.replacen(from, to, 1))]).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)) && error.contains("BTCUSDT.csv"), "{error}");
        }
        let twice = of(&[("BTCUSDT-1.csv", ARCHIVE), ("BTCUSDT-2.csv", ARCHIVE)]).unwrap_err().to_string();
        assert!(twice.contains("BTCUSDT-2.csv") && twice.contains("line 2"), "{twice}");
        assert!(of(&[("BTCUSDT.csv", "")]).is_err() && of(&[]).is_err());
        let no_symbol = of(&[("btc.csv", ARCHIVE)]).unwrap_err().to_string();
        assert!(no_symbol.contains("cannot tell the symbol"), "{no_symbol}");
    }
}
