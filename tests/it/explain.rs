//! The story of a trade, and the list of all of them, out of the record of a replay and of a daemon that runs.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::prices;
use crate::record::{of_type, positions, records};
use crate::support::{Home, eventually};

const BARS: i64 = 1_500;

/// A home with a replay whose files are changed.
fn edited(edits: &[[&str; 3]]) -> Home {
    let home = Home::replay();
    edits.iter().for_each(|[file, from, to]| home.edit(file, from, to));
    replay(home)
}

fn replayed() -> Home {
    replay(Home::replay())
}

fn replay(home: Home) -> Home {
    prices::write(&home.path("prices"), BARS);
    let prices = home.path("prices");
    home.run(&["--data", prices.to_str().unwrap(), "--from", "2022-01-05"]).wait().ended_with(0);
    home
}

fn section<'a>(story: &'a Value, kind: &str) -> Vec<&'a Value> {
    story["sections"].as_array().unwrap().iter().filter(|section| section["section"] == kind).collect()
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_trades_add_up_to_the_ledger_exactly() {
    let home = replayed();
    let audit = home.ask_json(&["audit"]);
    let csv = home.ask(&["trades", "--csv"]);
    let mut lines = csv.ended_with(0).lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(header[..3], ["entry_time", "exit_time", "symbol"]);
    let rows: Vec<BTreeMap<&str, &str>> =
        lines.map(|line| header.iter().copied().zip(line.split(',')).collect()).collect();
    let sum = |column: &str| rows.iter().map(|row| row[column].parse::<Decimal>().unwrap()).sum::<Decimal>();
    assert!(rows.len() > 100);
    assert_eq!([sum("gross_pnl"), sum("fees")], [decimal(&audit["realised"]), decimal(&audit["fees"])]);
    assert_eq!(sum("net_pnl"), sum("gross_pnl") - sum("fees"));
    let parts: u64 = rows.iter().map(|row| row["parts"].parse::<u64>().unwrap()).sum();
    let records = records(&home.data());
    assert_eq!(parts, of_type(&records, "fill").len() as u64);

    let json = home.ask_json(&["trades"]);
    assert_eq!(json["trades"].as_array().unwrap().len(), rows.len());
    assert_eq!(decimal(&json["totals"]["gross_pnl"]), decimal(&audit["realised"]));
    let open = rows.iter().filter(|row| row["exit_time"].is_empty()).count();
    assert_eq!(json["totals"]["open"], open);
    // Parts of the list add up to the whole.
    let of = |symbol: &str| decimal(&home.ask_json(&["trades", "--symbol", symbol])["totals"]["net_pnl"]);
    let all: Decimal = crate::support::SYMBOLS.iter().map(|symbol| of(symbol)).sum();
    assert_eq!(all, decimal(&json["totals"]["net_pnl"]));
    let early = home.ask_json(&["trades", "--to", "2022-02-01"]);
    let late = home.ask_json(&["trades", "--from", "2022-02-02T00:00:00.000000001Z"]);
    let closed = |view: &Value| view["totals"]["closed"].as_u64().unwrap();
    assert_eq!(closed(&early) + closed(&late), closed(&json));
    assert!(closed(&early) > 0 && closed(&late) > 0);
    assert!(home.ask(&["trades"]).ended_with(0).contains(" closed, "));
    home.ask(&["trades", "--csv", "--json"]).refused_with(2, &["cannot be used with"]);
}

/// The story of `what`, which must be told.
fn why(home: &Home, what: &str) -> Value {
    home.ask_json(&["why", what])
}

#[test]
fn every_way_to_a_trade_leads_to_its_whole_story() {
    let home = edited(&[["ema_cross.yaml", "stop: {default: 2.0", "stop: {default: 0.4"]]);
    let trades = home.ask_json(&["trades"]);
    let stopped = trades["trades"].as_array().unwrap().iter().find(|trade| trade["exit_reason"] == "stop").unwrap();
    let (entry, symbol) = (stopped["entry_order"].as_str().unwrap(), stopped["symbol"].as_str().unwrap());
    let records = records(&home.data());
    let find = |kind: &str, of: &dyn Fn(&Value) -> bool| records.iter().find(|r| r["type"] == kind && of(r)).unwrap();
    let intent = find("intent", &|r| r["order"]["id"] == entry);
    let exit = find("intent", &|r| r["order"]["cause"]["bracket"]["entry"] == entry);
    let exit_id = exit["order"]["id"].as_str().unwrap();
    let fill = find("fill", &|r| r["fill"]["order"] == exit_id);
    let bar = intent["order"]["cause"]["decision"]["bar"].as_i64().unwrap();
    let decision = find("decision", &|r| r["symbol"] == symbol && r["decision"]["bar"] == bar);

    let told = why(&home, entry);
    let [decided, result] = ["decision", "result"].map(|kind| section(&told, kind)[0].clone());
    assert_eq!((&decided["seq"], &decided["verdict"]), (&decision["seq"], &"approved".into()));
    assert_eq!(decided["strategy"], "ema_cross_guarded");
    let features = &decided["features"]["proven"];
    assert_eq!(features["values"].as_array().unwrap().len(), 38, "{decided}");
    let hash = decision["decision"]["features"].as_u64().unwrap();
    assert_eq!(features["hash"], format!("{hash:016x}"));
    assert!(decided["sizing"].as_array().unwrap().iter().any(|term| term["bound"] == true), "{decided}");
    for (column, key) in
        [("gross_pnl", "gross_pnl"), ("net_pnl", "net_pnl"), ("fees", "fees"), ("exit_reason", "ended_by")]
    {
        assert_eq!(result[key], stopped[column], "{column}");
    }
    let orders = section(&told, "order");
    assert_eq!(orders.len(), 2);
    assert_eq!((&orders[0]["id"], &orders[0]["asked"]), (&entry.into(), &true.into()));
    assert_eq!((&orders[1]["id"], &orders[1]["asked"]), (&exit_id.into(), &false.into()));
    assert!(orders[1]["cause"].as_str().unwrap().contains("the stop price was reached"));
    assert_eq!(section(&told, "protection").len(), 1);

    // By its beginning, its trade, its decision and its records.
    let number = fill["fill"]["trade_id"].as_u64().unwrap();
    let at = decided["bar"].as_str().unwrap();
    for what in [
        entry[..11].to_owned(),
        exit_id.to_owned(),
        number.to_string(),
        format!("{symbol}/{number}"),
        format!("{symbol}@{at}"),
        format!("{}@{bar}", symbol.to_lowercase()),
        format!("#{}", decision["seq"]),
        format!("#{}", fill["seq"]),
    ] {
        let told = why(&home, &what);
        assert!(section(&told, "result").contains(&&result), "{what}: {told}");
    }
    let text = home.ask(&["why", entry]);
    for words in
        ["ENTRY ORDER", "DECISION of", "equal to the hash on record", "<- bound", "EXIT ORDER", "ended by    stop"]
    {
        assert!(text.ended_with(0).contains(words), "`{words}` is missing in:\n{}", text.out);
    }
}

#[test]
fn what_was_refused_is_told_and_what_is_not_there_is_named() {
    let home = edited(&[["risk.yaml", "max_concurrent_positions: 15", "max_concurrent_positions: 2"]]);
    let records = records(&home.data());
    let refused = records.iter().find(|r| r["verdict"]["verdict"] == "refused").unwrap();
    let told = why(&home, &format!("#{}", refused["seq"]));
    let decided = section(&told, "decision").into_iter().find(|part| part["seq"] == refused["seq"]).unwrap();
    assert_eq!(decided["refused"]["check"], refused["verdict"]["check"]);
    assert_eq!(decided["refused"]["reason"], refused["verdict"]["reason"]);
    assert!(decided["checks"].as_array().unwrap().iter().any(|check| check["passed"] == false));
    assert!(decided["planned"]["stop"].as_f64().unwrap() > 0.0);

    let folder = home.data();
    for (what, words) in [
        ("lb-zzzzzz", "order whose id begins with lb-zzzzzz"),
        ("#99999999", "record 99999999"),
        ("BTCUSDT@2022-01-05T00:30Z", "on the bar that closed at 2022-01-05T00:30:00Z"),
        ("DOGEUSDT", "decision of DOGEUSDT"),
        ("BTCUSDT/1", "trade 1 of BTCUSDT"),
        ("a b", "BTCUSDT@2022-06-14T12:00Z"),
    ] {
        home.ask(&["why", what]).refused_with(2, &[words]);
    }
    home.ask(&["why", "#99999999"]).refused_with(2, &[&records.len().to_string(), folder.to_str().unwrap()]);
}

#[test]
fn features_that_cannot_be_had_are_said_so() {
    let home = replayed();
    let decision = of_type(&records(&home.data()), "decision")[0]["seq"].clone();
    std::fs::remove_dir_all(crate::record::run_folder(&home.data()).join("tape")).unwrap();
    let told = why(&home, &format!("#{decision}"));
    let features = &section(&told, "decision")[0]["features"];
    assert!(features["unknown"]["why"].as_str().unwrap().contains("tape_keep_days"), "{features}");
}

#[test]
fn a_running_daemon_is_explained_too() {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    let id = eventually("an order", || {
        let records = records(&home.data());
        of_type(&records, "fill").first().map(|fill| fill["fill"]["order"].as_str().unwrap().to_owned())
    });
    home.ask(&["why", &id]).ended_with(0);
    home.ask(&["trades"]).ended_with(0);
    // Asked again later, the tape has come after.
    eventually("its features are proven", || {
        let told = why(&home, &id);
        section(&told, "decision")[0]["features"].get("proven").map(|_| ())
    });
    daemon.stop().ended_with(0);
}

#[test]
fn a_halt_names_the_positions_it_found_and_the_orders_that_followed() {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("an open position", || (!positions(&records(&home.data())).is_empty()).then_some(()));
    home.ask(&["halt", "--level", "flatten", "--reason", "enough"]).ended_with(0);
    let closed = || positions(&records(&home.data())).is_empty().then_some(());
    eventually("everything is closed", closed);
    daemon.stop().ended_with(0);

    let records = records(&home.data());
    let halt = of_type(&records, "halt")[0];
    let told = why(&home, &format!("#{}", halt["seq"]));
    let part = section(&told, "record")[0];
    assert!(part["text"].as_str().unwrap().contains("enough"), "{part}");
    let [start, equity, loss] = ["start_equity", "equity", "loss"].map(|key| decimal(&part["day"][key]));
    assert_eq!(loss, start - equity);
    assert_eq!(decimal(&part["day"]["limit_pct"]), Decimal::from(50));
    let exits = |r: &&&Value| r["order"]["cause"]["command"]["seq"] == halt["seq"];
    let sent: Vec<&Value> = of_type(&records, "intent").iter().filter(exits).map(|r| &r["order"]["id"]).collect();
    assert_eq!(part["sent"].as_array().unwrap().iter().collect::<Vec<_>>(), sent);
    // One whose exit was on its way needs none, and one that fails is sent again.
    let held: BTreeSet<&str> =
        part["account"]["positions"].as_array().unwrap().iter().map(|held| held["symbol"].as_str().unwrap()).collect();
    let open: Vec<&str> =
        part["account"]["orders"].as_array().unwrap().iter().map(|order| order.as_str().unwrap()).collect();
    let exits_of = |wanted: &dyn Fn(&Value) -> bool| -> BTreeSet<&str> {
        let intents = of_type(&records, "intent").into_iter().map(|r| &r["order"]);
        let exits = intents.filter(|order| order["leg"] == "exit" && wanted(order));
        exits.map(|order| order["symbol"].as_str().unwrap()).collect()
    };
    let on_their_way = exits_of(&|order| open.contains(&order["id"].as_str().unwrap()));
    let ordered = exits_of(&|order| sent.contains(&&order["id"]));
    assert!(ordered.is_subset(&held), "{part}");
    assert!(held.iter().all(|symbol| ordered.contains(symbol) || on_their_way.contains(symbol)), "{part}");
    for id in sent {
        let told = why(&home, id.as_str().unwrap());
        let exit = section(&told, "order").into_iter().find(|order| order["id"] == *id).unwrap();
        assert_eq!((&exit["asked"], &exit["cause_seq"]), (&true.into(), &halt["seq"]));
        assert!(exit["cause"].as_str().unwrap().contains("enough"), "{exit}");
        assert_eq!(section(&told, "record")[0]["seq"], halt["seq"]);
        assert_eq!(section(&told, "result")[0]["ended_by"], "halt");
        assert_eq!(section(&told, "decision").len(), 1, "that of its entry: {told}");
    }
}
