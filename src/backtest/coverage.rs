//! What the files do not cover of what is traded: rates of funding, and prices of what is still held.

use levibot_core::backtest::{MarketPast, Outcome};
use levibot_core::domain::{FundingRates, Span, Symbol, Ts};

/// The longest time between two rates that is none too many; venues pay every 8 hours or more often.
const APART_MAX: Span = Span::DAY;

/// Where no rates of funding stand for over a day between `from` and `to`, in words; `None` where they stand throughout.
pub(super) fn words(symbol: Symbol, rates: &FundingRates, from: Ts, to: Ts) -> Option<String> {
    let inside = rates.rows().iter().map(|(ts, _)| *ts).filter(|ts| (from..=to).contains(ts));
    let (mut holes, mut before) = (Vec::new(), from);
    for ts in inside.chain([to]) {
        if ts - before > APART_MAX {
            holes.push((before, ts));
        }
        before = ts;
    }
    let (first, last) = holes.first()?;
    let days: f64 = holes.iter().map(|(from, to)| (*to - *from).secs_f64() / 86_400.0).sum();
    let more = match holes.len() {
        1 => String::new(),
        more => format!(" and {} times more, together {days:.1} days", more - 1),
    };
    Some(format!(
        "{symbol}: no rates of funding from {first} to {last}{more}; nothing is paid there, so add the files that --funding lacks"
    ))
}

/// A line for every position that stands at the end although the prices of its symbol ended before those of others.
pub(super) fn stale(outcome: &Outcome, market: &MarketPast) -> Vec<String> {
    let Some(end) = outcome.to else { return Vec::new() };
    let open = outcome.trips.iter().filter(|trip| trip.left.is_none());
    let stale = open.filter_map(|trip| {
        let series = market.symbols.iter().find(|one| one.symbol == trip.symbol)?;
        let past = series.bars.partition_point(|bar| bar.close_ts(market.timeframe) <= end);
        let last = series.bars.get(past.checked_sub(1)?)?;
        let closed = last.close_ts(market.timeframe);
        let gain = outcome.symbols.get(&trip.symbol)?.unrealised;
        (closed < end).then(|| {
            format!(
                "{}: its prices end at {closed}, and a position of it, {} at the most, stands at the last one, {}, until {end}; its gain \
                 of {} is on paper",
                trip.symbol,
                trip.qty,
                last.close,
                gain.rounded(2)
            )
        })
    });
    stale.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Ts {
        text.parse().unwrap()
    }

    fn told(rates: &[&str]) -> Option<String> {
        let rates = FundingRates::new(rates.iter().map(|ts| (at(ts), 0.0001)).collect()).unwrap();
        words("BTCUSDT".parse().unwrap(), &rates, at("2022-01-01"), at("2022-01-05"))
    }

    #[test]
    fn rates_that_stand_throughout_need_no_words() {
        assert_eq!(told(&["2022-01-02", "2022-01-03", "2022-01-04", "2022-01-07"]), None);
    }

    #[test]
    fn rates_that_begin_late_end_early_or_have_holes_are_told() {
        let late = told(&["2022-01-03", "2022-01-04"]).unwrap();
        assert!(
            late.contains("BTCUSDT: no rates of funding from 2022-01-01T00:00:00Z to 2022-01-03T00:00:00Z;"),
            "{late}"
        );
        let both = told(&["2021-12-31", "2022-01-02T12:00:00Z"]).unwrap();
        assert!(both.contains("and 1 times more, together 4.0 days"), "{both}");
        let none = told(&["2020-01-01", "2023-01-01"]).unwrap();
        assert!(none.contains("to 2022-01-05T00:00:00Z;"), "{none}");
    }
}
