//! Symbols that come and go.

use super::*;

/// Without BTCUSDT and its price.
fn without_btc(text: &str) -> String {
    edited(&edited(text, "\"BTCUSDT\", ", ""), "BTCUSDT = 94000.0\n", "")
}

fn waiting(changes: &[Change]) -> Vec<&str> {
    changes.iter().filter(|c| c.effect == Effect::NeedsRestart).map(|c| c.key.as_str()).collect()
}

#[test]
fn what_comes_and_goes_with_a_symbol_counts_at_once_in_realtime() {
    let (old, new) = (load(LIVE).unwrap(), load(without_btc(LIVE)).unwrap());
    for (from, to) in [(&old, &new), (&new, &old)] {
        let changes = from.diff(to);
        assert_eq!(waiting(&changes), [""; 0]);
        for key in ["market.symbols", "market.simulator.prices.BTCUSDT", "instruments.BTCUSDT.tick"] {
            assert!(changes.iter().any(|change| change.key == key), "{key}: {changes:?}");
        }
        assert_eq!(from.symbols_can_change(to), Ok(()));
    }
    // The price of a symbol that stays is another thing.
    let dearer = load(edited(&without_btc(LIVE), "ETHUSDT = 3350.0", "ETHUSDT = 3351.0")).unwrap();
    assert_eq!(waiting(&old.diff(&dearer)), ["market.simulator.prices.ETHUSDT"]);
}

#[test]
fn what_stands_against_it_is_named() {
    let old = load(LIVE).unwrap();
    let venue = load(edited(&without_btc(LIVE), "venue = \"sim\"", "venue = \"other\"")).unwrap();
    assert!(old.symbols_can_change(&venue).unwrap_err().contains("`market.venue` changes too"));
    assert!(waiting(&old.diff(&venue)).contains(&"market.symbols"));
    let lockstep = |text: &str| load(edited(text, "pace = \"realtime\"", "pace = \"lockstep\"")).unwrap();
    let (old, new) = (lockstep(LIVE), lockstep(&without_btc(LIVE)));
    assert!(old.symbols_can_change(&new).unwrap_err().contains("a replay's outcome is named by its symbols"));
    assert!(waiting(&old.diff(&new)).contains(&"market.symbols"));
}

#[test]
fn the_watch_is_on_unless_it_is_turned_off() {
    let old = load(LIVE).unwrap();
    assert!(old.run.watch && load(edited(LIVE, "watch = true\n", "")).unwrap().run.watch);
    let off = load(edited(LIVE, "watch = true", "watch = false")).unwrap();
    assert!(!off.run.watch);
    let changes = old.diff(&off);
    assert_eq!((changes.len(), changes[0].key.as_str(), changes[0].effect), (1, "run.watch", Effect::Live));
    assert_eq!(old.hash(), off.hash(), "nothing is decided by it");
}
