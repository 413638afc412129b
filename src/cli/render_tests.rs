use super::*;
use crate::control::samples;

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "too wide: {line}\n{text}");
        assert_eq!(line.trim_end(), line, "trailing blanks");
    }
    assert!(!text.contains('\x1b'), "no escapes in plain text: {text:?}");
}

/// The cells of the line that starts with `first`.
fn cells<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(first)).unwrap_or_else(|| panic!("no {first} in\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn engines_in_rows_with_their_errors_below() {
    let text = engines(&samples::engines(), Look::PLAIN);
    assert_fits(&text);
    assert!(text.starts_with("engines: 3 (1 running, 1 stopped, 1 crashed)"), "{text}");
    let btc = cells(&text, "BTCUSDT");
    assert_eq!(
        btc,
        ["BTCUSDT", "running", "2h15m", "10-14 12:30", "0", "long 0.015 @ 60123.4", "+12.50", "-1,234.50", "7"]
    );
    assert_eq!(cells(&text, "SOLUSDT"), ["SOLUSDT", "stopped", "0s", "-", "0", "-", "0.00", "0.00", "0"]);
    assert!(text.contains("ETHUSDT (restarts: 4): panicked: [2J out of range\n"), "{text}");
}

#[test]
fn what_engines_take_stands_below_as_far_as_it_is_known() {
    let mut view = samples::engines();
    let below = |view: &EnginesView| {
        let text = engines(view, Look::PLAIN);
        assert_fits(&text);
        text.split_once("STARTS").map(|(_, below)| format!("SYMBOL  STARTS{below}"))
    };
    let text = below(&view).unwrap();
    assert_eq!(cells(&text, "BTCUSDT"), ["BTCUSDT", "1", "12345", "0.4 %", "11.0 MB", "99.95 %"]);
    assert_eq!(cells(&text, "SOLUSDT"), ["SOLUSDT", "0", "-", "-", "-", "-"]);
    for row in &mut view.engines {
        (row.pid, row.memory_bytes) = (None, None);
    }
    let text = below(&view).unwrap();
    assert!(!text.contains("PID") && !text.contains("MEMORY"), "threads have none:\n{text}");
    for row in &mut view.engines {
        (row.cpu_percent, row.availability) = (None, None);
    }
    assert!(below(&view).is_none());
}

#[test]
fn numbers_stand_right() {
    let text = engines(&samples::engines(), Look::PLAIN);
    let end_of = |what: &str| {
        let line = text.lines().find(|line| line.contains(what)).unwrap();
        line.find(what).unwrap() + what.len()
    };
    assert_eq!(end_of("TOTAL PNL"), end_of("-1,234.50"));
    assert_eq!(end_of("UPTIME"), end_of("2h15m"));
}

#[test]
fn a_narrow_terminal_wraps_inside_cells() {
    let text = engines(&samples::engines(), Look { styled: false, width: Some(80) });
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(
        text.contains("-1,234.50") && text.contains("quarantined") && text.contains("60123.4"),
        "numbers stay whole:\n{text}"
    );
}

#[test]
fn positions_show_only_columns_in_use() {
    let text = positions(&samples::account(), Look::PLAIN);
    assert_fits(&text);
    assert!(!text.contains("TARGET") && !text.contains("STATE"), "{text}");
    assert_eq!(
        cells(&text, "BTCUSDT"),
        ["BTCUSDT", "long", "0.015", "60,123.4", "61,000", "+13.15", "59,000.5", "2h15m"]
    );
    assert!(text.contains("1 open, unrealised +13.15, at 2025-10-14 12:30:00 UTC"), "{text}");
    assert!(text.contains("ETHUSDT: entries are frozen: quarantined"), "{text}");

    let mut closing = samples::account();
    closing.symbols[0].position.as_mut().unwrap().closing = true;
    assert_eq!(cells(&positions(&closing, Look::PLAIN), "BTCUSDT").last(), Some(&"closing"));

    let mut flat = samples::account();
    flat.symbols[0].position = None;
    assert!(positions(&flat, Look::PLAIN).starts_with("no open positions\n"));
}

#[test]
fn profit_adds_up() {
    let text = profit(&samples::account(), Look::PLAIN);
    assert_fits(&text);
    assert_eq!(cells(&text, "all"), ["all", "+25.15", "-1,222.85", "+13.15", "7", "2025-10-14 12:30:00"]);
    assert_eq!(cells(&text, "realised"), ["realised", "-1,226.00"]);
    assert_eq!(cells(&text, "fees"), ["fees", "-10.00"]);
    assert_eq!(cells(&text, "net"), ["net", "-1,222.85", "-12.23 %"]);
    assert_eq!(cells(&text, "day PnL"), ["day PnL", "+25.15", "+0.29 %"]);
    assert_eq!(cells(&text, "equity"), ["equity", "8,777.15"]);
}

#[test]
fn a_halt_is_the_first_thing_to_see() {
    let mut account = samples::account();
    assert!(!profit(&account, Look::PLAIN).contains("HALTED"));
    account.halt = HaltLevel::ReduceOnly;
    account.halt_reason = Some("risk: day loss\x1b[0m of 3.1 %".to_owned());
    let board = samples::board();
    board.show_account(account.clone());
    for text in [status(&board.status(), Look::PLAIN), positions(&account, Look::PLAIN), profit(&account, Look::PLAIN)]
    {
        assert_fits(&text);
        assert!(text.starts_with("*** HALTED (reduce-only) by risk: day loss [0m of 3.1 %\n"), "{text}");
    }
}

#[test]
fn the_status_tells_whether_it_is_ready() {
    let board = samples::board();
    let text = status(&board.status(), Look::PLAIN);
    assert_fits(&text);
    assert_eq!(cells(&text, "state"), ["state", "ready"]);
    assert_eq!(cells(&text, "journal"), ["journal", "record 345, tables 5 behind"]);
    assert_eq!(cells(&text, "trading time"), ["trading time", "2025-10-14 12:30:00 UTC"]);
    assert_eq!(cells(&text, "day PnL"), ["day PnL", "+25.15 (+0.29 %)"]);
    board.beat(|pulse| pulse.ready = false);
    assert_eq!(cells(&status(&board.status(), Look::PLAIN), "state"), ["state", "starting"]);
    assert!(!text.contains("on record"));
    board.beat(|pulse| pulse.journal_failed = true);
    let lost = status(&board.status(), Look::PLAIN);
    assert_fits(&lost);
    assert!(lost.contains("nothing is put on record any more"), "{lost}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let styled = engines(&samples::engines(), Look { styled: true, width: Some(WIDTH) });
    assert!(styled.contains("\x1b["));
}

#[test]
fn the_status_shows_the_model_where_there_is_one() {
    let board = samples::board();
    assert!(!status(&board.status(), Look::PLAIN).contains("model"));
    board.show_model(crate::control::ModelView {
        state: "quarantined".to_owned(),
        version: Some("20251014_030000".to_owned()),
        trained_through: Some(crate::control::Stamp(samples::NOON)),
        pid: None,
        restarts: 4,
        last_error: Some("killed by signal 9\x1b[2J".to_owned()),
    });
    let text = status(&board.status(), Look::PLAIN);
    assert_fits(&text);
    for part in ["quarantined, version 20251014_030000, trained through", "restarts 4", "killed by signal 9 [2J"] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(part), "{text}");
    }
}
