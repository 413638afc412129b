//! Funding at the venue: who pays whom, for which instants, and once.

use super::*;
use crate::domain::{Funding, FundingRates};

const RATE: f64 = 0.0001;

fn hour(n: i64) -> Ts {
    Ts::from_secs(3_600 * n)
}

fn funded(rate: f64) -> Bench {
    Bench::new(RawPaperSetup { funding: rate, fee: 0.0, ..plain() })
}

impl Bench {
    /// A closed bar of one hour, told at its close.
    fn hour(&mut self, n: i64, open: f64, close: f64) -> Vec<Report> {
        let bar = Bar { open_ts: hour(n), open, high: open.max(close), low: open.min(close), close, volume: 1e6 };
        self.venue.bar(BTC, &bar, hour(n + 1), &mut self.out);
        self.out.drain().collect()
    }

    fn rates(mut self, rows: &[(i64, f64)]) -> Self {
        let rows = rows.iter().map(|(n, rate)| (hour(*n), *rate)).collect();
        self.venue.set_funding(BTC, FundingRates::new(rows).unwrap());
        self
    }

    fn cash(&mut self) -> String {
        self.venue.tell_all(at(9), &mut self.out);
        match self.out.drain().next() {
            Some(Report::State(state)) => state.balances[0].1.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn payments(reports: &[Report]) -> Vec<(i64, String)> {
    let of = |report: &Report| match report {
        Report::Funding(paid) => Some(((paid.ts - Ts::EPOCH).nanos() / Span::HOUR.nanos(), paid.amount.to_string())),
        _ => None,
    };
    reports.iter().filter_map(of).collect()
}

#[test]
fn longs_pay_shorts_at_the_close_of_the_instant_and_negative_rates_turn_it_round() {
    for (side, rate, amount) in [
        (Side::Buy, RATE, "-0.022"),
        (Side::Sell, RATE, "0.022"),
        (Side::Buy, -RATE, "0.022"),
        (Side::Sell, -RATE, "-0.022"),
    ] {
        let mut bench = funded(rate).holding(side, "2");
        assert_eq!(payments(&bench.hour(6, 90.0, 100.0)), []);
        let reports = bench.hour(7, 100.0, 110.0);
        assert_eq!(payments(&reports), [(8, amount.to_owned())], "2 at a close of 110");
        let Some(Report::Funding(Funding { mark, ts, .. })) = reports.first() else { panic!("{reports:?}") };
        assert_eq!((mark.to_string().as_str(), *ts), ("110", hour(8)));
        assert_eq!(payments(&bench.hour(7, 100.0, 110.0)), [], "the same bar again");
        assert_eq!(payments(&bench.hour(8, 110.0, 120.0)), []);
    }
}

#[test]
fn what_is_paid_leaves_the_wallet() {
    let mut bench = funded(RATE).holding(Side::Buy, "2");
    let before: f64 = bench.cash().parse().unwrap();
    bench.hour(7, 100.0, 110.0);
    let after: f64 = bench.cash().parse().unwrap();
    assert!((before - after - 0.022).abs() < 1e-9, "{before} {after}");
}

#[test]
fn a_position_pays_from_the_first_instant_after_its_fill_and_a_flip_turns_the_sign() {
    let mut bench = funded(RATE);
    bench.hour(6, 100.0, 100.0);
    // Decided at 07:00, filled at the open of the bar that closes at 08:00.
    bench.submit(&order("a", Side::Buy, "1", hour(7)), hour(7));
    assert_eq!(payments(&bench.hour(7, 100.0, 100.0)), [(8, "-0.01".to_owned())]);
    for n in 8..15 {
        assert_eq!(payments(&bench.hour(n, 100.0, 100.0)), []);
    }
    // Decided at the instant itself: what was held then has paid already, and the fill comes after it.
    assert_eq!(payments(&bench.hour(15, 100.0, 100.0)), [(16, "-0.01".to_owned())]);
    bench.submit(&order("b", Side::Sell, "3", hour(16)), hour(16));
    assert_eq!(payments(&bench.hour(16, 100.0, 100.0)), []);
    for n in 17..23 {
        bench.hour(n, 100.0, 100.0);
    }
    assert_eq!(payments(&bench.hour(23, 100.0, 100.0)), [(24, "0.02".to_owned())], "short two from then on");
}

#[test]
fn who_holds_nothing_pays_nothing_and_no_spot_account_ever_does() {
    let mut bench = funded(RATE);
    (0..48).for_each(|n| assert_eq!(payments(&bench.hour(n, 100.0, 100.0)), []));
    let mut spot = Bench::of(AccountKind::Spot, RawPaperSetup { funding: RATE, ..plain() }).rates(&[(8, RATE)]);
    spot.hour(0, 100.0, 100.0);
    spot.submit(&order("a", Side::Buy, "1", hour(1)), hour(1));
    (1..48).for_each(|n| assert_eq!(payments(&spot.hour(n, 100.0, 100.0)), []));
}

#[test]
fn what_fell_due_in_a_gap_is_paid_by_what_was_held_then() {
    let mut bench = funded(RATE);
    bench.hour(4, 100.0, 100.0);
    bench.submit(&order("a", Side::Buy, "1", hour(5)), hour(5));
    bench.hour(5, 100.0, 100.0);
    bench.submit(&order("b", Side::Sell, "1", hour(6)), hour(6));
    // No bars until noon: the position was open at eight, at the last price known, and is closed at noon.
    let reports = bench.hour(12, 50.0, 40.0);
    assert_eq!(payments(&reports), [(8, "-0.01".to_owned())]);
    assert!(matches!(reports[0], Report::Funding(_)), "before the fill");
    assert_eq!(payments(&bench.hour(15, 40.0, 40.0)), []);
}

#[test]
fn a_bar_longer_than_the_interval_pays_for_every_instant_in_it() {
    let mut bench = funded(RATE).holding(Side::Sell, "1");
    let bar = Bar { open_ts: hour(0), open: 100.0, high: 100.0, low: 100.0, close: 100.0, volume: 1.0 };
    bench.venue.bar(BTC, &bar, hour(24), &mut bench.out);
    let reports: Vec<Report> = bench.out.drain().collect();
    assert_eq!(payments(&reports).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [8, 16, 24]);
}

#[test]
fn rates_on_file_are_taken_as_they_are() {
    let mut bench = funded(RATE).rates(&[(1, 0.01), (5, -0.001), (6, 0.0), (9, 0.002)]).holding(Side::Buy, "1");
    let all: Vec<_> = (0..24).flat_map(|n| payments(&bench.hour(n, 100.0, 100.0))).collect();
    assert_eq!(all, [(1, "-1".to_owned()), (5, "0.1".to_owned()), (9, "-0.2".to_owned())]);
    // Rates that begin later than the market, and a gap over the first of them.
    let mut bench = funded(0.0).rates(&[(8, 0.01)]);
    bench.hour(1, 100.0, 100.0);
    bench.submit(&order("a", Side::Buy, "1", hour(2)), hour(2));
    bench.hour(2, 100.0, 100.0);
    assert_eq!(payments(&bench.hour(12, 100.0, 100.0)), [(8, "-1".to_owned())]);
}

#[test]
fn the_first_quote_after_an_instant_pays_before_it_fills() {
    let mut bench = funded(RATE).holding(Side::Buy, "1");
    bench.event(&quote(BTC, hour(7), 99.0, 101.0, 5.0), hour(7));
    bench.submit(&order("a", Side::Sell, "1", hour(7)), hour(7));
    let reports = bench.event(&quote(BTC, hour(8) + Span::SECOND, 199.0, 201.0, 5.0), hour(8) + Span::SECOND);
    assert_eq!(payments(&reports), [(8, "-0.02".to_owned())]);
    assert!(matches!(reports[0], Report::Funding(_)) && fills(&reports).len() == 1);
}

/// What stands on record of a venue's reports.
fn on_record(order: Option<&Order>, reports: &[Report]) -> Vec<Record> {
    let intent = order.map(|order| Record::Intent { order: order.clone(), reserved: Money::ZERO, bracket: None });
    let told = reports.iter().cloned().map(|report| match report {
        Report::Accepted { order } => Record::Accepted { order },
        Report::Fill(fill) => Record::Fill { fill },
        Report::Funding(funding) => Record::Funding { funding },
        Report::Done { order, reason, text } => Record::Done { order, reason, text },
        other => panic!("nobody asked for {other:?}"),
    });
    intent.into_iter().chain(told).collect()
}

#[test]
fn a_rebuilt_venue_pays_what_is_still_due_and_nothing_twice() {
    let step = |bench: &mut Bench, n: i64| {
        let entry = (n % 7 == 3).then(|| {
            let side = if n % 2 == 0 { Side::Sell } else { Side::Buy };
            order(&format!("e{n}"), side, if n == 3 { "1.5" } else { "3" }, hour(n))
        });
        let mut records = entry.as_ref().map(|entry| on_record(Some(entry), &bench.submit(entry, hour(n))));
        let reports = bench.hour(n, 100.0 + n as f64, 100.0 + n as f64);
        records.get_or_insert_default().extend(on_record(None, &reports));
        records.unwrap_or_default()
    };
    let mut whole = funded(RATE);
    let all: Vec<Vec<Record>> = (0..60).map(|n| step(&mut whole, n)).collect();
    assert!(all.iter().flatten().filter(|r| matches!(r, Record::Funding { .. })).count() > 5);
    for cut in 0..60_i64 {
        let mut rebuilt = funded(RATE);
        for (n, records) in (0..cut).zip(&all) {
            let price = 100.0 + n as f64;
            let bar = Bar { open_ts: hour(n), open: price, high: price, low: price, close: price, volume: 1e6 };
            rebuilt.venue.observe(&Event::Bar { instrument: BTC, bar, context: Context::default() });
            records.iter().for_each(|record| rebuilt.venue.recover(record, hour(n + 1)));
        }
        for n in cut..60 {
            assert_eq!(step(&mut rebuilt, n), all[usize::try_from(n).unwrap()], "cut at {cut}, hour {n}");
        }
        assert_eq!(rebuilt.cash(), whole.cash(), "cut at {cut}");
    }
}
