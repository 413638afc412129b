use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::domain::{BarFault, Span};

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Loads one file of the given bytes.
fn load_one(name: &str, bytes: &[u8]) -> Result<Loaded, FileError> {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, name, bytes);
    load(symbol_of(&path)?, &[path], None)
}

/// All messages of an error and its sources.
fn chain(error: &FileError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

const GOOD: &str = "Date,Open,High,Low,Close,Volume\n\
    2022-01-01 00:00:00+00:00,2,4,1,3,10\n\
    2022-01-01 01:00:00+00:00,3,5,2,4,11\n\
    2022-01-01 02:00:00+00:00,4,6,3,5,12\n";

#[test]
fn every_layout_is_read_by_its_header() {
    let first =
        |ts: &str| Bar { open_ts: ts.parse().unwrap(), open: 2.0, high: 4.0, low: 1.0, close: 3.0, volume: 10.0 };
    let cases = [
        ("BTCUSDT.csv", "BTCUSDT", "1h", "2022-01-01", GOOD),
        (
            "ALGOUSDT-1m-2022-01.csv",
            "ALGOUSDT",
            "1m",
            "2022-01-01",
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,\
             ignore\n1640995200000,2,4,1,3,10,1640995259999,30.5,7,5,15.2,0\n1640995260000,2,4,1,3,10,1640995319999,30.5,\
             7,5,15.2,0\n",
        ),
        (
            "SBER.csv",
            "SBER",
            "1d",
            "2022-01-01",
            ",open,close,high,low,value,volume,begin,end\n0,2,3,4,1,30.5,10,2022-01-01,2022-01-01 23:59:59\n\
             1,2,3,4,1,30.5,10,2022-01-02,2022-01-02 23:59:59\n",
        ),
        (
            "GAZP.csv",
            "GAZP",
            "1h",
            "2022-01-17T07:00:00Z",
            "begin,open,high,low,close,volume\n2022-01-17 10:00:00+03:00,2,4,1,3,10\n2022-01-17 11:00:00+03:00,2,4,1,3,10\n",
        ),
        (
            "AKBNK.IS.csv",
            "AKBNK.IS",
            "1d",
            "2022-01-03",
            "Date,Close,High,Low,Open,Volume\n2022-01-03,3,4,1,2,10\n2022-01-04,3,4,1,2,10\n2022-01-07,3,4,1,2,10\n",
        ),
    ];
    for (name, symbol, timeframe, ts, text) in cases {
        let plain = load_one(name, text.as_bytes()).unwrap();
        assert_eq!(plain.series.symbol.as_str(), symbol);
        assert_eq!(plain.series.timeframe.to_string(), timeframe, "{name}");
        assert_eq!(plain.series.bars[0], first(ts), "{name}");
        assert!(plain.reports[0].faults.is_empty(), "{}", plain.reports[0]);
        // Compression is seen in the bytes, so even a wrong name does no harm.
        let packed = load_one(name, &gzip(text)).unwrap();
        assert_eq!(packed.series, plain.series);
    }
}

#[test]
fn several_gzip_members_spaces_and_a_byte_order_mark_are_fine() {
    let (head, tail) = GOOD.split_at(GOOD.len() / 2);
    let members = [gzip(head), gzip(tail)].concat();
    let plain = load_one("A.csv", GOOD.as_bytes()).unwrap().series;
    assert_eq!(load_one("A.csv.gz", &members).unwrap().series, plain);
    let marked = format!("\u{feff}{}", GOOD.replace(',', " , ").replace('\n', "\r\n"));
    assert_eq!(load_one("A.csv", marked.as_bytes()).unwrap().series, plain);
}

#[test]
fn every_kind_of_bad_row_is_left_out_and_counted() {
    let day = "2022-01-01 ";
    let rows = [
        ("00:00:00,2,4,1,3,10", None),
        ("yesterday,2,4,1,3,10", Some(RowFault::Time)),
        ("01:00:00,2,x,1,3,10", Some(RowFault::Number)),
        ("01:00:00,2,,1,3,10", Some(RowFault::Number)),
        ("01:00:00,2,4,1,3", Some(RowFault::Fields)),
        ("01:00:00,2,4,1,3,10,9", Some(RowFault::Fields)),
        ("01:00:00,NaN,4,1,3,10", Some(RowFault::Bar(BarFault::NotFinite))),
        ("01:00:00,2,inf,1,3,10", Some(RowFault::Bar(BarFault::NotFinite))),
        ("01:00:00,2,4,0,3,10", Some(RowFault::Bar(BarFault::NotPositive))),
        ("01:00:00,2,4,1,3,-10", Some(RowFault::Bar(BarFault::NegativeVolume))),
        ("01:00:00,2,1,4,3,10", Some(RowFault::Bar(BarFault::HighUnderLow))),
        ("01:00:00,2,4,1,5,10", Some(RowFault::Bar(BarFault::OutsideRange))),
        ("01:00:00,2,4,1,3,10", None),
        ("01:00:00,2,4,1,2,10", Some(RowFault::Duplicate)),
        ("00:00:00,2,4,1,3,10", Some(RowFault::OutOfOrder)),
        ("02:00:00,2,4,1,3,0", None),
        ("05:30:00,2,4,1,3,10", None),
    ];
    let mut text = "date,open,high,low,close,volume\n".to_owned();
    let mut expected: BTreeMap<RowFault, FaultCount> = BTreeMap::new();
    for (at, (row, fault)) in rows.iter().enumerate() {
        text.push_str(&format!("{day}{row}\n"));
        if let Some(fault) = fault {
            let line = at as u64 + 2;
            expected.entry(*fault).or_insert(FaultCount { count: 0, first_line: line }).count += 1;
        }
    }
    let Loaded { series, reports } = load_one("A.csv", text.as_bytes()).unwrap();
    let report = &reports[0];
    assert_eq!(report.faults, expected);
    assert_eq!((report.rows, report.kept, report.gaps, report.misaligned), (17, 4, 1, 1));
    assert_eq!(report.longest, Span::MINUTE.times(210));
    assert_eq!(series.bars.len(), 4);
    let line = report.to_string();
    for part in ["4 of 17 rows", "1 gaps (longest step 3.5 h)", "1 off the grid", "unreadable number x2 from line 4"] {
        assert!(line.contains(part) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_range_missed_by_rounding_is_widened_and_noted() {
    let rows = "2022-01-03,6.620553970336913,6.620553970336914,6.4,6.5,1\n2022-01-04,6.62055,6.62056,6.4,6.5,1\n\
                2022-01-05,6.6,6.5,6.4,6.5,1\n";
    let text = format!("date,high,open,low,close,volume\n{rows}");
    let Loaded { series, reports } = load_one("A.csv", text.as_bytes()).unwrap();
    assert_eq!(series.bars.len(), 2);
    assert!(series.bars.iter().all(|bar| bar.check().is_ok()));
    assert!((series.bars[0].high - 6.620553970336914).abs() < 1e-16, "{:?}", series.bars[0]);
    assert_eq!((reports[0].widened, reports[0].faults.len()), (1, 1));
    assert!(reports[0].to_string().contains("1 widened by a rounding error"), "{}", reports[0]);
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    // Long enough that much of it can be decompressed before the cut.
    let mut long = "date,open,high,low,close,volume\n".to_owned();
    for n in 0..50_000_i64 {
        long.push_str(&format!("{},2,4,1,3,{n}\n", 1_640_995_200 + n * 60));
    }
    let whole = gzip(&long);
    assert_eq!(load_one("A.csv.gz", &whole).unwrap().series.bars.len(), 50_000);
    for cut in [3, 12, whole.len() / 2, whole.len() - 1] {
        let error = load_one("A.csv.gz", &whole[..cut]).unwrap_err();
        assert!(matches!(error, FileError::Read { .. }), "{error:?}");
        assert!(chain(&error).contains("A.csv.gz") && chain(&error).contains("fetch it again"), "{}", chain(&error));
    }
    let mut flipped = whole.clone();
    let at = whole.len() - 6;
    flipped[at] ^= 1;
    assert!(matches!(load_one("A.csv.gz", &flipped), Err(FileError::Read { .. })), "the checksum is checked");

    assert!(matches!(load_one("A.csv", b""), Err(FileError::Empty { .. })));
    assert!(matches!(load_one("A.csv", &gzip("")), Err(FileError::Empty { .. })));
    let no_rows = load_one("A.csv", b"date,open,high,low,close,volume\n").unwrap_err();
    assert!(no_rows.to_string().contains("holds no good row (no faults)"), "{no_rows}");
    let latin = [GOOD.as_bytes(), b"2022-01-01 03:00:00,1,1,1,1,\xe9\n"].concat();
    assert!(matches!(load_one("A.csv", &latin), Err(FileError::NotUtf8 { line: 5, .. })));
    assert!(matches!(load_one("A.csv", b"\xff\xfed\0a\0"), Err(FileError::NotUtf8 { line: 1, .. })));
}

#[test]
fn missing_or_ambiguous_columns_are_named() {
    let text = GOOD.replace("Volume", "Amount").replace("Date", "day");
    let error = load_one("A.csv", text.as_bytes()).unwrap_err().to_string();
    for part in ["A.csv lacks a column for time, volume", "`day`", "`Amount`", "open_time, date, begin"] {
        assert!(error.contains(part), "{error}");
    }
    let error = load_one("A.csv", GOOD.replace("Volume", "CLOSE").as_bytes()).unwrap_err();
    assert!(matches!(error, FileError::RepeatedColumn { column: "close", .. }), "{error:?}");
}

#[test]
fn files_of_one_symbol_join_in_time_order() {
    let dir = TempDir::new().unwrap();
    let header = "time,open,high,low,close,volume\n";
    let rows = |from: i64, to: i64| -> String {
        let row = |n: i64| format!("{},2,4,1,3,{n}\n", 1_640_995_200 + n * 60);
        header.to_owned() + &(from..to).map(row).collect::<String>()
    };
    // By name the later file comes first; it begins two bars before the earlier one ends.
    write(&dir, "AAA-1m-a.csv", rows(8, 20).as_bytes());
    write(&dir, "AAA-1m-b.csv.gz", &gzip(&rows(0, 10)));
    write(&dir, "AAA-1m-c.csv", rows(25, 30).as_bytes());
    write(&dir, "BBB.csv", rows(0, 5).as_bytes());
    write(&dir, ".hidden.csv", b"");
    write(&dir, "notes.txt", b"");
    fs::create_dir(dir.path().join("CCC.csv")).unwrap();

    let found = discover(dir.path()).unwrap();
    let names: Vec<(&str, usize)> = found.iter().map(|(s, paths)| (s.as_str(), paths.len())).collect();
    assert_eq!(names, [("AAA", 3), ("BBB", 1)]);
    let (symbol, paths) = found.first_key_value().unwrap();
    let Loaded { series, reports } = load(*symbol, paths, None).unwrap();
    let volumes: Vec<f64> = series.bars.iter().map(|bar| bar.volume).collect();
    assert_eq!(volumes, (0..20).chain(25..30).map(f64::from).collect::<Vec<_>>());
    let kept: Vec<(u64, u64)> = reports.iter().map(|r| (r.kept, r.gaps)).collect();
    assert_eq!(kept, [(10, 0), (10, 0), (5, 1)]);
    assert_eq!(reports[1].faults[&RowFault::Overlap], FaultCount { count: 2, first_line: 2 });
}

#[test]
fn the_timeframe_is_inferred_and_a_wrong_one_refused() {
    let dir = TempDir::new().unwrap();
    let hourly = write(&dir, "AAA.csv", GOOD.as_bytes());
    let single = write(&dir, "BBB.csv", GOOD.lines().take(2).collect::<Vec<_>>().join("\n").as_bytes());
    let symbol = "AAA".parse().unwrap();
    let error = load(symbol, std::slice::from_ref(&hourly), Some(Timeframe::MINUTE)).unwrap_err().to_string();
    assert!(error.contains("is not of timeframe 1m: its bars are 1h apart"), "{error}");
    assert!(load(symbol, &[hourly], Some(Timeframe::HOUR)).is_ok());
    let error = load(symbol, std::slice::from_ref(&single), None).unwrap_err();
    assert!(matches!(error, FileError::NoTimeframe { .. }), "{error}");
    assert!(load(symbol, &[single], Some(Timeframe::HOUR)).is_ok(), "one bar can be of any timeframe");
}

#[test]
fn discovery_says_what_is_wrong_with_a_path() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(discover(dir.path()), Err(FileError::NothingFound { .. })));
    assert!(matches!(discover(&dir.path().join("absent")), Err(FileError::List { .. })));
    let path = write(&dir, "prices.csv", GOOD.as_bytes());
    let error = discover(&path).unwrap_err();
    assert!(chain(&error).contains("prices.csv") && chain(&error).contains("`prices` is not a symbol"), "{error}");
    let path = write(&dir, "BTCUSDT", GOOD.as_bytes());
    assert_eq!(discover(&path).unwrap().into_keys().next().unwrap().as_str(), "BTCUSDT");
}

/// Reads real data from the folder in `LEVIBOT_SHARED_DATA`, or else from `shared/data` beside the workspace.
#[test]
fn real_hourly_files_load_without_faults() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("LEVIBOT_SHARED_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !root.is_dir() {
        println!("skipped: no price data at {} (LEVIBOT_SHARED_DATA names another place)", root.display());
        return;
    }
    let found = discover(&root.join("crypto/1h")).unwrap();
    assert_eq!(found.len(), 9);
    let mut all = Vec::new();
    for (at, (symbol, paths)) in found.iter().enumerate() {
        let Loaded { series, reports } = load(*symbol, paths, None).unwrap();
        println!("{}", reports[0]);
        assert_eq!(series.timeframe, Timeframe::HOUR);
        assert!(series.bars.len() > 19_000 && reports[0].faults.is_empty() && reports[0].misaligned == 0);
        assert!(reports[0].gaps < 20, "{}", reports[0]);
        all.push((crate::domain::Ix::from_usize(at).unwrap(), series));
    }
    let total: usize = all.iter().map(|(_, series)| series.bars.len()).sum();
    let mut feed = FileFeed::new(all, Timeframe::HOUR, None, None).unwrap();
    let mut given = 0;
    while let Some(crate::domain::MarketEvent::Frame(frame)) = crate::domain::Feed::next_event(&mut feed) {
        given += frame.bars.len();
    }
    assert_eq!(given, total, "every bar is given once");
}
