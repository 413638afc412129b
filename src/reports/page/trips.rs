//! The list of trades.

use levibot_core::backtest::Trip;

use super::super::words::{count, duration, number, price, signed, signed_percent};
use super::super::{Report, TRADES_CSV, csv_files};
use super::html::{Table, Width, cell, coloured, note, section};
use super::minute;

/// Trades shown from the beginning and from the end.
const SHOWN: usize = 30;

pub(super) fn trips(report: &Report<'_>) -> String {
    let trips = &report.outcome.trips;
    if trips.is_empty() {
        return String::new();
    }
    let whole = trips.len() <= 2 * SHOWN;
    let mut body = table(trips.iter().take(if whole { trips.len() } else { SHOWN }));
    if !whole {
        let left_out = trips.len() - 2 * SHOWN;
        body += &note(&format!("{} more are in {TRADES_CSV}.", count(left_out as u64)));
        body += &table(trips.iter().skip(trips.len() - SHOWN));
    }
    let text = "Prices are means of the fills. Adverse and favourable: furthest that the price was against and for the \
                position, by highs and lows of whole bars. Money is in quote currency.";
    body += &note(text);
    let count = count(trips.len() as u64);
    section(
        "Trades",
        Width::Long,
        &format!("<details open=\"open\"><summary>{count} trades</summary>\n{body}</details>"),
    )
}

fn table<'a>(trips: impl Iterator<Item = &'a Trip>) -> String {
    let heads = [
        "entered",
        "symbol",
        "side",
        "quantity",
        "entry",
        "exit",
        "held",
        "gross",
        "fees",
        "funding",
        "net",
        "adverse",
        "favourable",
        "left by",
        "market",
    ];
    let mut table = Table::new(&heads);
    for trip in trips {
        let held =
            trip.left.map_or_else(|| "open".to_owned(), |left| duration(left.secs_f64() - trip.entered.secs_f64()));
        table.row(&[
            cell(minute(trip.entered)),
            cell(trip.symbol.as_str()),
            cell(csv_files::direction(trip.direction)),
            cell(price(trip.qty)),
            cell(price(trip.entry_price)),
            cell(price(trip.exit_price)),
            cell(held),
            cell(signed(trip.gross, 2)),
            cell(number(trip.fees, 2)),
            cell(number(trip.funding, 2)),
            coloured(&signed(trip.net, 2), trip.net),
            cell(signed_percent(-trip.adverse, 2)),
            cell(signed_percent(trip.favourable, 2)),
            cell(trip.exit.map(|exit| exit.to_string()).unwrap_or_default()),
            cell(format!("{} {}", csv_files::trend(trip.regime.trend), csv_files::activity(trip.regime.activity))),
        ]);
    }
    table.finish()
}
