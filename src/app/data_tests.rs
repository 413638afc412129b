use levibot_core::domain::MarketEvent;

use super::*;
use crate::config::Overrides;

fn symbols(names: &[&str]) -> Vec<Symbol> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The embedded default that trades these symbols, of the simulator or of the files in a folder.
fn config(names: &[&str], files: Option<&Path>) -> Config {
    let overrides = Overrides { symbols: Some(symbols(names)), ..Overrides::default() };
    let mut config = Config::load_default(&overrides, &std::collections::BTreeMap::new()).unwrap();
    if let Some(path) = files {
        config.market.source = MarketSource::Files { path: Some(path.to_owned()), from: None, to: None };
    }
    config
}

/// The account over the configured symbols and, behind them, one that is not any more.
fn account(config: &Config) -> AccountSetup {
    config.account_setup_in(&symbols(&["BTCUSDT", "ETHUSDT", "ADAUSDT"])).unwrap()
}

/// How many symbols each of the first frames has.
fn first_frames(source: Source) -> Vec<usize> {
    let mut feed = source.feed(None).unwrap();
    let frames = std::iter::from_fn(|| feed.next_event()).filter_map(|event| match event {
        MarketEvent::Frame(frame) => Some(frame.bars.len()),
        MarketEvent::Quotes { .. } => None,
    });
    frames.take(2).collect()
}

#[test]
fn a_simulated_symbol_that_is_carried_on_has_a_start_price_or_is_named() {
    let mut config = config(&["BTCUSDT", "ETHUSDT"], None);
    config.market.source = match config.market.source {
        MarketSource::Simulator { seed, start, quote_every, trend, speed, prices, .. } => {
            MarketSource::Simulator { seed, start, quote_every, history: Span::ZERO, trend, speed, prices }
        }
        files @ MarketSource::Files { .. } => files,
    };
    let mut source = Source::open(&config).unwrap();
    assert!(source.carried(&config).is_empty());
    source.carry(&config, &account(&config), &[]).unwrap();
    assert_eq!(source.carried(&config), account(&config).instruments[2..]);
    assert_eq!(source.traded(&config).collect::<Vec<_>>(), symbols(&["BTCUSDT", "ETHUSDT"]));
    assert_eq!(first_frames(source), [3, 3]);
    if let MarketSource::Simulator { prices, .. } = &mut config.market.source {
        prices.retain(|symbol, _| config.symbols.as_ref().unwrap().contains(symbol));
    }
    let error = Source::open(&config).unwrap().carry(&config, &account(&config), &[]).unwrap_err();
    assert!(matches!(error, AppError::NoStartPrice { symbol } if symbol.as_str() == "ADAUSDT"), "{error}");
    // Who only closes takes it in without.
    let mut source = Source::open(&config).unwrap();
    let unpriced = source.unpriced(&config, &account(&config));
    assert_eq!(unpriced, symbols(&["ADAUSDT"]));
    source.carry(&config, &account(&config), &unpriced).unwrap();
    assert_eq!(source.symbols(), symbols(&["BTCUSDT", "ETHUSDT", "ADAUSDT"]));
    assert_eq!(first_frames(source), [2, 2]);
}

#[test]
fn a_symbol_of_files_that_is_carried_on_is_read_or_its_file_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..4).map(|at| format!("{},1,2,1,1.5,9", 1_640_995_200_000_i64 + at * 900_000)).collect();
    let text = format!("open_time,open,high,low,close,volume\n{}\n", rows.join("\n"));
    for name in ["BTCUSDT", "ETHUSDT"] {
        std::fs::write(dir.path().join(format!("{name}.csv")), &text).unwrap();
    }
    let mut config = config(&["BTCUSDT", "ETHUSDT"], Some(dir.path()));
    let account = account(&config);
    // The rules are those of the account, whatever the file knows by now.
    config.market.instruments.retain(|symbol, _| config.symbols.as_ref().unwrap().contains(symbol));
    let mut source = Source::open(&config).unwrap();
    let error = source.carry(&config, &account, &[]).unwrap_err().to_string();
    assert!(error.contains("no price file for ADAUSDT"), "{error}");
    let configured = config.symbols.clone();
    config.symbols = Some(symbols(&["BTCUSDT", "ADAUSDT"]));
    assert!(matches!(Source::open(&config), Err(AppError::NoPriceFile { .. })));
    assert_eq!(Source::open_priced(&config).unwrap().symbols(), symbols(&["BTCUSDT"]));
    config.symbols = configured;
    let mut closing = Source::open(&config).unwrap();
    let unpriced = closing.unpriced(&config, &account);
    closing.carry(&config, &account, &unpriced).unwrap();
    assert_eq!((unpriced, first_frames(closing)), (symbols(&["ADAUSDT"]), vec![2, 2]));
    std::fs::write(dir.path().join("ADAUSDT.csv"), &text).unwrap();
    source.carry(&config, &account, &[]).unwrap();
    assert_eq!(first_frames(source), [3, 3]);
}
