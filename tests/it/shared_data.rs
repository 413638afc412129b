//! Recorded prices, where they are at hand.

use std::path::PathBuf;

use crate::record::{by_symbol, records};
use crate::support::{Home, workspace};

const NINE: [&str; 9] =
    ["AVAXUSDT", "BNBUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "LINKUSDT", "MATICUSDT", "NEARUSDT", "SOLUSDT"];

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("LEVIBOT_SHARED_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| workspace().join("../shared/data"));
    let folder = root.join("crypto/1h");
    folder.is_dir().then_some(folder)
}

#[test]
fn june_2022_trades_all_nine_symbols() {
    let Some(folder) = folder() else {
        println!("SKIPPED: no recorded prices at ../shared/data/crypto/1h; LEVIBOT_SHARED_DATA names another folder");
        return;
    };
    let home = Home::replay();
    // With the limits as they are shipped: this is a month in which they stop a day's trading.
    home.edit("risk.yaml", "max_daily_loss_pct: 50.0", "max_daily_loss_pct: 3.0");
    let run = home.run(&["--data", folder.to_str().unwrap(), "--from", "2022-06-01", "--to", "2022-06-30"]);
    let outcome = run.wait();
    assert!(outcome.ended_with(0).starts_with("ended: end of data"), "{}", outcome.out);
    assert!(outcome.out.contains(&format!("{} bars in", 9 * 30 * 24)), "{}", outcome.out);
    let records = records(&home.data());
    for (kind, place) in [("decision", "/symbol"), ("intent", "/order/symbol"), ("fill", "/fill/symbol")] {
        let counts = by_symbol(&records, kind, place);
        assert_eq!(counts.keys().collect::<Vec<_>>(), NINE, "{kind}");
    }
    let audit = home.ask_json(&["audit"]);
    assert_eq!(audit["clean"], true, "{audit}");
    assert_eq!(audit["tables"]["agree"]["seq"], records.len());
}
