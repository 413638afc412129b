//! The journal as anybody can read it: one line of text a record, JSON at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::{Connection, Row};

/// Bytes before the JSON of a line.
const HEADER_BYTES: usize = 104;

/// The journal of a data folder, or of the only run in it.
pub(crate) fn journal_path(dir: &Path) -> PathBuf {
    run_folder(dir).join("journal.lbj")
}

/// The folder with the journal: this one, or the only one in it.
pub(crate) fn run_folder(dir: &Path) -> PathBuf {
    if dir.join("journal.lbj").exists() {
        return dir.to_owned();
    }
    let mut runs: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    runs.retain(|path| path.is_dir());
    assert!(runs.len() < 2, "several runs: {runs:?}");
    runs.pop().unwrap_or_else(|| dir.to_owned())
}

/// Whole records; a last line that is still being written is left out.
pub(crate) fn records(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(journal_path(dir)).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(&line[HEADER_BYTES..]).unwrap()).collect()
}

/// Those of a type.
pub(crate) fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

/// How many of a type each symbol has; `place` says where a record names its symbol.
pub(crate) fn by_symbol(records: &[Value], kind: &str, place: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in of_type(records, kind) {
        *counts.entry(record.pointer(place).unwrap().as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// Positions as the fills add up to them, without those that are flat.
pub(crate) fn positions(records: &[Value]) -> BTreeMap<String, Decimal> {
    let mut positions = BTreeMap::<String, Decimal>::new();
    for record in of_type(records, "fill") {
        let fill = &record["fill"];
        let qty: Decimal = fill["qty"].as_str().unwrap().parse().unwrap();
        let signed = if fill["side"] == "buy" { qty } else { -qty };
        *positions.entry(fill["symbol"].as_str().unwrap().to_owned()).or_default() += signed;
    }
    positions.retain(|_, net| !net.is_zero());
    positions
}

/// Positions as `levibot positions --json` shows them.
pub(crate) fn shown_positions(view: &Value) -> BTreeMap<String, Decimal> {
    let symbols = view["symbols"].as_array().unwrap().iter();
    let open = symbols.filter(|symbol| !symbol["position"].is_null());
    open.map(|symbol| {
        let qty: Decimal = symbol["position"]["qty"].as_str().unwrap().parse().unwrap();
        let signed = if symbol["position"]["direction"] == "long" { qty } else { -qty };
        (symbol["symbol"].as_str().unwrap().to_owned(), signed)
    })
    .collect()
}

/// Ends the test when a record that must be the only one of its kind is there twice, or none is at all.
#[track_caller]
pub(crate) fn assert_unique(records: &[Value]) {
    let mut orders = BTreeSet::new();
    for intent in of_type(records, "intent") {
        assert!(orders.insert(intent["order"]["id"].as_str().unwrap()), "sent twice: {intent}");
    }
    let mut trades = BTreeSet::new();
    for record in of_type(records, "fill") {
        let fill = &record["fill"];
        let trade = (fill["symbol"].as_str().unwrap(), fill["trade_id"].as_u64().unwrap());
        assert!(trades.insert(trade), "filled twice: {fill}");
        assert!(orders.contains(fill["order"].as_str().unwrap()), "a fill without an intent: {fill}");
    }
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], at as u64 + 1);
    }
    assert_eq!(of_type(records, "started").first().map(|r| &r["seq"]), Some(&Value::from(1)));
}

/// Rows of a table of the projection, by symbol.
pub(crate) fn rows(dir: &Path, table: &'static str) -> BTreeMap<String, u64> {
    let url = format!("sqlite://{}", run_folder(dir).join("levibot.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tables = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let query = match table {
            "orders" => sqlx::query("SELECT symbol, count(*) AS n FROM orders GROUP BY symbol"),
            "fills" => sqlx::query("SELECT symbol, count(*) AS n FROM fills GROUP BY symbol"),
            other => panic!("no query for {other}"),
        };
        let rows = query.fetch_all(&mut tables).await.unwrap();
        tables.close().await.unwrap();
        rows.iter().map(|row| (row.get("symbol"), row.get::<i64, _>("n").cast_unsigned())).collect()
    })
}
