//! The day's stop, drilled on a running paper account with as many engines as a small portfolio has.

use std::fs;

use serde_json::Value;

use crate::record::{of_type, records};
use crate::support::{Home, eventually, workspace};

const ENGINES: usize = 15;

/// Fifteen symbols in a market that goes on quickly: those that have rules, and one like another.
fn fifteen() -> Home {
    let home = Home::simulated(600.0);
    let mut rules: toml::Table =
        fs::read_to_string(workspace().join("config/symbols/binance.toml")).unwrap().parse().unwrap();
    rules.insert("ZILUSDT".to_owned(), rules["ALGOUSDT"].clone());
    assert_eq!(rules.len(), ENGINES);
    home.write("symbols.toml", &rules.to_string());
    let file = home.path("symbols.toml").display().to_string();
    home.configure(|config| {
        config["market"]["instruments"] = file.into();
        config["market"]["symbols"] =
            rules.keys().map(|symbol| toml::Value::from(symbol.as_str())).collect::<Vec<_>>().into();
        let prices = config["market"]["simulator"]["prices"].as_table_mut().unwrap();
        for symbol in rules.keys() {
            prices.entry(symbol.clone()).or_insert_with(|| 100.0.into());
        }
    });
    home
}

fn ms(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no time: {value}"))
}

#[test]
fn a_drill_stops_every_engine_and_leaves_the_account_halted() {
    let home = fifteen();
    let mut daemon = home.run(&[]);
    daemon.ready();
    assert_eq!(home.ask_json(&["engines"])["running"], ENGINES);
    eventually("it trades", || (!of_type(&records(&home.data()), "fill").is_empty()).then_some(()));
    home.ask(&["risk", "test-stop", "--daily-loss", "-4.0"])
        .refused_with(1, &["4.00 %", "beyond the limit of 50.00 %"]);

    let outcome = home.ask_json(&["risk", "test-stop", "--daily-loss", "-60"]);
    assert_eq!((&outcome["stopped"], &outcome["reasons"]), (&true.into(), &Value::Array(Vec::new())), "{outcome}");
    let stop = &outcome["stop"];
    let engines = stop["engines"].as_array().unwrap();
    assert_eq!(engines.len(), ENGINES);
    let (halted, cancelled, took) = (ms(&stop["halted_ms"]), ms(&stop["cancelled_ms"]), ms(&stop["took_ms"]));
    assert!(halted <= cancelled && cancelled <= took && ms(&stop["drill_ms"]) > 0.0, "{stop}");
    for engine in engines {
        let stopped = ms(&engine["stopped_ms"]);
        assert!(halted <= stopped && stopped <= took, "{stop}");
    }
    println!("halted {halted} ms, cancelled {cancelled} ms, all {took} ms");
    assert_eq!(home.ask_json(&["engines"])["running"], 0);
    assert!(home.data().join("HALT").exists());
    home.ask(&["risk", "test-stop", "--daily-loss", "-60"]).refused_with(1, &["halted", "levibot resume"]);

    home.ask(&["resume"]).ended_with(0);
    eventually("engines run again", || (home.ask_json(&["engines"])["running"] == ENGINES).then_some(()));
    let repeated = home.ask(&["risk", "test-stop", "--daily-loss", "-60", "--repeat", "2"]);
    let text = repeated.ended_with(0);
    for part in ["halt latched", "BTCUSDT", "ZILUSDT", "2 drills", "p99", "levibot resume"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    daemon.stop().ended_with(0);

    let records = records(&home.data());
    let kinds: Vec<&str> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    let places =
        |kind: &str| kinds.iter().enumerate().filter(|(_, k)| **k == kind).map(|(at, _)| at).collect::<Vec<_>>();
    let (drills, halts, resumes) = (places("drill"), places("halt"), places("resume"));
    assert_eq!((drills.len(), halts.len(), resumes.len()), (3, 3, 2));
    for ((drill, halt), until) in drills.iter().zip(&halts).zip(resumes.iter().copied().chain([records.len()])) {
        assert!(drill < halt && *halt < until);
        assert!(records[*halt]["reason"]["by"] == "risk", "{}", records[*halt]);
        let entries = of_type(&records[*halt..until], "intent").into_iter().filter(|i| i["order"]["leg"] == "entry");
        assert_eq!(entries.count(), 0, "nothing is entered under a halt");
    }
    assert_eq!(home.ask_json(&["audit"])["clean"], true);
}
