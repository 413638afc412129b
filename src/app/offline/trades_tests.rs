use levibot_core::domain::Direction;

use super::*;

fn trip(symbol: &str, closed: Option<i64>, gross: i64) -> Trip {
    Trip {
        symbol: symbol.parse().unwrap(),
        direction: Direction::Long,
        opened: Ts::from_secs(100),
        closed: closed.map(Ts::from_secs),
        entered: "1.50".parse().unwrap(),
        cost: Decimal::from(150),
        exited: if closed.is_some() { "1.5".parse().unwrap() } else { Decimal::ZERO },
        proceeds: Decimal::from(150 + gross),
        gross: Decimal::from(gross),
        fees: "0.25".parse().unwrap(),
        funding: Decimal::ZERO,
        orders: vec!["lb-a".parse().unwrap()],
        reason: closed.map(|_| "stop"),
        parts: 2,
    }
}

fn written(form: TradesForm, trips: &[Trip]) -> String {
    let mut out = Vec::new();
    let mut sheet = Sheet { form, out: &mut out, text: String::new(), rows: Vec::new(), written: 0 };
    let mut totals = TradesTotals::default();
    sheet.begin();
    for trip in trips {
        totals.take(trip);
        sheet.row(Row::of(trip));
    }
    sheet.end(&totals).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn csv_has_a_header_plain_numbers_and_nothing_where_nothing_is() {
    let text = written(TradesForm::Csv, &[trip("BTCUSDT", Some(3_700), -3), trip("ETHUSDT", None, 0)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], HEADER);
    assert_eq!(
        lines[1],
        "1970-01-01T00:01:40Z,1970-01-01T01:01:40Z,BTCUSDT,long,1.5,100,98,-3,0.25,0,-3.25,-2.1667,3600,stop,lb-a,2"
    );
    assert_eq!(lines[2], "1970-01-01T00:01:40Z,,ETHUSDT,long,1.5,100,,0,0.25,0,-0.25,,,,lb-a,2");
    assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
}

#[test]
fn json_is_one_object_with_totals() {
    let json: serde_json::Value =
        serde_json::from_str(&written(TradesForm::Json, &[trip("A", Some(9), 5), trip("B", Some(9), -5)])).unwrap();
    assert_eq!(json["trades"].as_array().unwrap().len(), 2);
    let totals = &json["totals"];
    assert_eq!((&totals["closed"], &totals["wins"], &totals["open"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!((&totals["net_pnl"], &totals["best"]), (&"-0.50".into(), &"4.75".into()));
    let none: serde_json::Value = serde_json::from_str(&written(TradesForm::Json, &[])).unwrap();
    assert_eq!(none["trades"], serde_json::json!([]));
}

#[test]
fn a_trade_counts_when_it_ended_and_an_open_one_when_it_began() {
    let at = |secs| Some(Ts::from_secs(secs));
    let (closed, open) = (trip("A", Some(200), 0), trip("A", None, 0));
    let takes = |from, to, trip| TradesFilter { symbol: None, from, to }.takes(trip);
    assert!(takes(at(200), at(200), &closed) && !takes(at(201), None, &closed) && !takes(None, at(199), &closed));
    assert!(takes(at(201), None, &open) && takes(None, at(100), &open) && !takes(None, at(99), &open));
    assert!(!TradesFilter { symbol: "B".parse().ok(), ..TradesFilter::default() }.takes(&closed));
}

#[test]
fn the_table_says_how_it_went() {
    let text = written(TradesForm::Table, &[trip("BTCUSDT", Some(3_700), 4), trip("ETHUSDT", None, 0)]);
    for words in ["BTCUSDT", "1h0m", "+2.50 %", "1 closed, 1 won (100 %), 1 open; gross 4.00, fees 0.50, net 3.50"] {
        assert!(text.contains(words), "`{words}` is missing in:\n{text}");
    }
    let paid = Trip { funding: "1.5".parse().unwrap(), ..trip("BTCUSDT", Some(3_700), 4) };
    let text = written(TradesForm::Table, &[paid]);
    assert!(text.contains("gross 4.00, fees 0.25, funding 1.50, net 2.25"), "{text}");
    assert_eq!(written(TradesForm::Table, &[]), "0 closed, 0 open; gross 0.00, fees 0.00, net 0.00\n");
}

#[test]
fn nothing_is_written_of_a_damaged_record() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(crate::journal::JOURNAL_FILE), "no record\n").unwrap();
    for form in [TradesForm::Csv, TradesForm::Json, TradesForm::Table] {
        let mut out = Vec::new();
        let error = trades(folder.path(), &TradesFilter::default(), form, &mut out).unwrap_err();
        assert_eq!((error.exit_code(), out.as_slice()), (5, &b""[..]));
    }
}
