mod bounds;
mod exact;
mod funding;

use proptest::prelude::*;

use super::*;
use crate::account::Approved;
use crate::domain::decimals::decimal_to_f64;
use crate::domain::instrument::RawInstrument;
use crate::domain::{
    AccountKind, Actions, Bar, Cause, Context, DoneReason, Event, Fill, Instrument, InstrumentId, Ix, Leg, Money,
    Order, OrderId, Qty, Quote, Report, Side, Span, Ts,
};
use crate::record::Record;

const BTC: Ix = Ix(0);
const ETH: Ix = Ix(1);

fn instrument(symbol: &str) -> Instrument {
    let raw = RawInstrument {
        id: InstrumentId { venue: "sim".parse().unwrap(), symbol: symbol.parse().unwrap() },
        base: "BASE".into(),
        quote: "USDT".into(),
        tick: "0.1".parse().unwrap(),
        step: "0.001".parse().unwrap(),
        min_qty: "0.002".parse().unwrap(),
        min_notional: "5".parse().unwrap(),
    };
    raw.try_into().unwrap()
}

fn raw_setup() -> RawPaperSetup {
    let latency = Span::from_millis(50);
    RawPaperSetup { seed: 42, fee: 0.0005, spread: 0.0002, slippage: 0.0001, latency, participation: 0.1, funding: 0.0 }
}

/// No spread, no slippage, no latency: prices can be told by heart.
fn plain() -> RawPaperSetup {
    RawPaperSetup { spread: 0.0, slippage: 0.0, latency: Span::ZERO, participation: 1.0, ..raw_setup() }
}

struct Bench {
    venue: PaperVenue,
    out: Actions<Report>,
}

impl Bench {
    fn new(raw: RawPaperSetup) -> Self {
        Self::of(AccountKind::Linear, raw)
    }

    fn of(kind: AccountKind, raw: RawPaperSetup) -> Self {
        let account = PaperAccount { kind, currency: "USDT".into(), initial_cash: "100000".parse().unwrap() };
        let table = [instrument("BTCUSDT"), instrument("ETHUSDT")];
        Self { venue: PaperVenue::new(raw.try_into().unwrap(), &account, &table), out: Actions::new() }
    }

    fn forgetful(self) -> Self {
        Self { venue: self.venue.forgetful(), ..self }
    }

    fn terse(self) -> Self {
        Self { venue: self.venue.terse(), ..self }
    }

    fn submit(&mut self, order: &Order, now: Ts) -> Vec<Report> {
        self.venue.submit(Approved::for_test(order.clone()), now, &mut self.out);
        self.out.drain().collect()
    }

    fn event(&mut self, event: &Event, now: Ts) -> Vec<Report> {
        self.venue.on_event(event, now, &mut self.out);
        self.out.drain().collect()
    }

    /// Begins with a position in the first instrument, which cost nothing worth mentioning.
    fn holding(mut self, side: Side, qty: &str) -> Self {
        let order = OrderId::foreign("BTCUSDT".parse().unwrap(), "before").unwrap();
        let (price, qty, fee, ts) = ("1".parse().unwrap(), qty.parse().unwrap(), Money::ZERO, Ts::EPOCH);
        let symbol = "BTCUSDT".parse().unwrap();
        let fill = Fill { order, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts };
        self.venue.recover(&Record::Foreign { fill, name: "before".into() }, ts);
        self
    }

    fn cancel(&mut self, id: OrderId, now: Ts) -> Vec<Report> {
        self.venue.cancel(id, now, &mut self.out);
        self.out.drain().collect()
    }

    /// A closed one-minute bar, told at its close.
    fn bar(&mut self, minute: i64, open: f64, volume: f64) -> Vec<Report> {
        self.event(&bar(BTC, minute, open, volume), at(minute + 1))
    }
}

fn at(minute: i64) -> Ts {
    Ts::from_secs(60 * minute)
}

fn bar(instrument: Ix, minute: i64, open: f64, volume: f64) -> Event {
    let bar = Bar { open_ts: at(minute), open, high: open * 1.01, low: open * 0.99, close: open, volume };
    Event::Bar { instrument, bar, context: Context::default() }
}

fn quote(instrument: Ix, ts: Ts, bid: f64, ask: f64, size: f64) -> Event {
    Event::Quote { instrument, quote: Quote { ts, bid, ask, bid_size: size, ask_size: size } }
}

fn order(name: &str, side: Side, qty: &str, created: Ts) -> Order {
    Order {
        id: format!("lb-{name}").parse().unwrap(),
        symbol: "BTCUSDT".parse().unwrap(),
        side,
        leg: Leg::Entry,
        qty: qty.parse().unwrap(),
        cause: Cause::Decision { bar: created },
        attempt: 1,
        trigger: None,
        created,
    }
}

fn fills(reports: &[Report]) -> Vec<&Fill> {
    reports.iter().filter_map(|r| if let Report::Fill(fill) = r { Some(fill) } else { None }).collect()
}

fn ends(reports: &[Report]) -> Vec<DoneReason> {
    reports.iter().filter_map(|r| if let Report::Done { reason, .. } = r { Some(*reason) } else { None }).collect()
}

fn refusal(reports: &[Report]) -> &str {
    match reports {
        [Report::Done { reason: DoneReason::Rejected, text: Some(text), .. }] => text,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[test]
fn the_deciding_bar_never_fills() {
    let mut bench = Bench::new(plain());
    bench.bar(0, 100.0, 5.0);
    let buy = order("a", Side::Buy, "1", at(1));
    assert_eq!(bench.submit(&buy, at(1)), [Report::Accepted { order: buy.id }]);
    assert_eq!(bench.bar(0, 100.0, 5.0), [], "the bar that decided, told again");
    let reports = bench.bar(1, 101.0, 5.0);
    let fill = fills(&reports)[0];
    assert_eq!((fill.price.to_string(), fill.qty.to_string(), fill.ts), ("101".into(), "1".into(), at(1)));
    assert_eq!(fill.fee.to_string(), "0.0505");
    assert_eq!(ends(&reports), [DoneReason::Filled]);
    assert_eq!(bench.venue.query(buy.id), VenueAnswer::Unknown);
}

#[test]
fn an_order_of_mid_bar_waits_for_the_next_one() {
    let mut bench = Bench::new(plain());
    let created = at(1) + Span::SECOND;
    bench.submit(&order("a", Side::Buy, "1", created), created);
    assert_eq!(bench.bar(1, 100.0, 5.0), []);
    assert_eq!(fills(&bench.bar(2, 102.0, 5.0))[0].price.to_string(), "102");
}

#[test]
fn latency_within_a_bar_costs_no_bar_and_a_longer_one_does() {
    let mut quick = Bench::new(RawPaperSetup { latency: Span::SECOND, ..plain() });
    quick.submit(&order("a", Side::Buy, "1", at(1)), at(1));
    let reports = quick.bar(1, 100.0, 5.0);
    let ts = fills(&reports)[0].ts;
    assert!(ts > at(1) && ts < at(2), "the fill is not before the order is live: {ts}");

    let mut slow = Bench::new(RawPaperSetup { latency: Span::MINUTE, ..plain() });
    let created = at(1);
    slow.submit(&order("a", Side::Buy, "1", created), created);
    let minutes = (1..4).find(|minute| !fills(&slow.bar(*minute, 100.0, 5.0)).is_empty());
    let mut slowest = Bench::new(RawPaperSetup { latency: Span::MINUTE, seed: 3, ..plain() });
    slowest.submit(&order("a", Side::Buy, "1", created), created);
    let slowest = (1..4).find(|minute| !fills(&slowest.bar(*minute, 100.0, 5.0)).is_empty());
    assert!(minutes.is_some_and(|m| m <= 2) && slowest.is_some_and(|m| m <= 2), "{minutes:?} {slowest:?}");
}

#[test]
fn spread_slippage_and_ticks_are_against_us() {
    let mut bench = Bench::new(RawPaperSetup { spread: 0.002, participation: 1.0, ..raw_setup() });
    let mut sell = order("b", Side::Sell, "1", at(1));
    sell.leg = Leg::Exit;
    bench.submit(&order("a", Side::Buy, "1", at(1)), at(1));
    bench.submit(&sell, at(1));
    let reports = bench.bar(1, 1000.0, 5.0);
    let prices: Vec<f64> = fills(&reports).iter().map(|f| f.price.to_f64()).collect();
    assert!(prices[0] >= 1001.0 && prices[0] <= 1001.3, "{prices:?}");
    assert!(prices[1] <= 999.0 && prices[1] >= 998.7, "{prices:?}");
}

#[test]
fn parts_are_whole_steps_of_a_share_of_the_volume() {
    let mut bench = Bench::new(RawPaperSetup { participation: 0.1, ..plain() });
    let buy = order("a", Side::Buy, "1", at(1));
    bench.submit(&buy, at(1));
    assert_eq!(bench.bar(1, 100.0, 0.0), [], "no volume, no fill");
    assert_eq!(bench.bar(2, 100.0, 0.009), [], "less than a step");
    assert_eq!(fills(&bench.bar(3, 100.0, 4.0199))[0].qty.to_string(), "0.401");
    assert_eq!(bench.venue.query(buy.id), VenueAnswer::Live { filled: "0.401".parse().unwrap() });
    assert_eq!(bench.bar(3, 100.0, 4.0199), [], "no bar is used twice");
    let last = bench.bar(4, 101.0, 1e12);
    assert_eq!(fills(&last)[0].qty.to_string(), "0.599");
    assert_eq!(ends(&last), [DoneReason::Filled]);
}

#[test]
fn an_unsound_bar_or_quote_fills_nothing() {
    let mut bench = Bench::new(plain());
    bench.submit(&order("a", Side::Buy, "1", at(1)), at(1));
    assert_eq!(bench.bar(1, f64::NAN, 5.0), []);
    assert_eq!(bench.bar(1, -1.0, 5.0), []);
    assert_eq!(bench.event(&quote(BTC, at(1), 101.0, 100.0, 5.0), at(1)), [], "bid over ask");
    assert_eq!(fills(&bench.bar(2, 100.0, 5.0)).len(), 1, "and an unsound quote does not silence the bars");
}

#[test]
fn from_the_first_quote_on_bars_fill_nothing() {
    let mut bench = Bench::new(RawPaperSetup { latency: Span::SECOND, ..plain() });
    bench.event(&quote(BTC, at(0), 99.9, 100.1, 5.0), at(0));
    let (buy, sell) = (order("a", Side::Buy, "1", at(1)), order("b", Side::Sell, "1", at(1)));
    bench.submit(&buy, at(1));
    bench.submit(&sell, at(1));
    assert_eq!(bench.bar(1, 100.0, 5.0), []);
    assert_eq!(bench.event(&quote(BTC, at(1), 99.8, 100.2, 5.0), at(1)), [], "not live yet");
    let reports = bench.event(&quote(BTC, at(2), 99.7, 100.3, 5.0), at(2));
    let prices: Vec<String> = fills(&reports).iter().map(|f| f.price.to_string()).collect();
    assert_eq!(prices, ["100.3", "99.7"]);
    assert_eq!(fills(&reports)[0].ts, at(2));
}

#[test]
fn a_trigger_fills_at_once_from_the_closed_bar_and_the_rest_later() {
    let mut bench = Bench::new(RawPaperSetup { participation: 0.1, ..plain() }).holding(Side::Buy, "1");
    bench.bar(0, 100.0, 4.0);
    let mut stop = order("a", Side::Sell, "1", at(1));
    stop.trigger = Some("99.5".parse().unwrap());
    stop.leg = Leg::Exit;
    let reports = bench.submit(&stop, at(1));
    let fill = fills(&reports)[0];
    assert_eq!((fill.price.to_string(), fill.qty.to_string(), fill.ts), ("99.5".into(), "0.4".into(), at(1)));
    let rest = bench.bar(1, 98.0, 100.0);
    assert_eq!(fills(&rest)[0].price.to_string(), "98");
    assert_eq!(ends(&rest), [DoneReason::Filled]);
}

#[test]
fn a_trigger_means_nothing_where_quotes_are_known() {
    let mut bench = Bench::new(plain());
    bench.event(&quote(BTC, at(0), 99.9, 100.1, 5.0), at(0));
    bench.bar(0, 100.0, 4.0);
    let mut stop = order("a", Side::Sell, "1", at(1));
    stop.trigger = Some("99.5".parse().unwrap());
    assert_eq!(bench.submit(&stop, at(1)), [Report::Accepted { order: stop.id }]);
    let reports = bench.event(&quote(BTC, at(1), 99.0, 99.2, 5.0), at(1));
    assert_eq!(fills(&reports)[0].price.to_string(), "99");
}

#[test]
fn what_a_venue_would_not_take_is_rejected_in_words() {
    let mut bench = Bench::new(plain());
    bench.bar(0, 100.0, 4.0);
    let mut unknown = order("a", Side::Buy, "1", at(1));
    unknown.symbol = "DOGEUSDT".parse().unwrap();
    assert!(refusal(&bench.submit(&unknown, at(1))).contains("DOGEUSDT is not traded here"));
    for (name, qty, words) in [
        ("b", "0", "is zero"),
        ("c", "0.0015", "whole number of steps"),
        ("d", "0.001", "under the least, 0.002"),
        ("e", "0.01", "notional 1 is under the least, 5"),
        ("f", "100000000000000", "beyond what is kept exact"),
    ] {
        let refused = order(name, Side::Buy, qty, at(1));
        let reports = bench.submit(&refused, at(1));
        assert!(refusal(&reports).contains(words), "{name}: {reports:?}");
        assert_eq!(bench.venue.query(refused.id), VenueAnswer::Unknown);
        assert_eq!(bench.submit(&refused, at(1)), [], "it stays over");
    }
    let mut dust = order("g", Side::Sell, "0.001", at(1));
    dust.leg = Leg::Exit;
    assert_eq!(bench.submit(&dust, at(1)), [Report::Accepted { order: dust.id }], "a small position can be closed");
}

#[test]
fn an_id_is_one_order_whatever_happens_to_it() {
    let mut bench = Bench::new(plain());
    let buy = order("a", Side::Buy, "1", at(1));
    bench.submit(&buy, at(1));
    assert_eq!(bench.submit(&buy, at(1)), [Report::Accepted { order: buy.id }]);
    assert_eq!(fills(&bench.bar(1, 100.0, 5.0)).len(), 1);
    assert_eq!(bench.submit(&buy, at(2)), []);
    assert_eq!(bench.bar(2, 100.0, 5.0), []);
}

#[test]
fn a_cancel_ends_what_is_live_and_nothing_else() {
    let mut bench = Bench::new(RawPaperSetup { participation: 0.1, ..plain() });
    let buy = order("a", Side::Buy, "1", at(1));
    bench.submit(&buy, at(1));
    bench.bar(1, 100.0, 5.0);
    assert_eq!(ends(&bench.cancel(buy.id, at(2))), [DoneReason::Cancelled]);
    assert_eq!(bench.cancel(buy.id, at(2)), []);
    assert_eq!(bench.bar(2, 100.0, 5.0), []);
    assert_eq!(bench.venue.query(buy.id), VenueAnswer::Unknown);
}

#[test]
fn one_instrument_never_fills_from_another() {
    let mut bench = Bench::new(plain());
    bench.submit(&order("a", Side::Buy, "1", at(1)), at(1));
    assert_eq!(bench.event(&bar(ETH, 1, 100.0, 5.0), at(2)), []);
    assert_eq!(bench.event(&bar(Ix(9), 1, 100.0, 5.0), at(2)), [], "an instrument out of the table");
    bench.event(&quote(ETH, at(2), 10.0, 10.1, 5.0), at(2));
    assert_eq!(fills(&bench.bar(2, 100.0, 5.0)).len(), 1, "another's quotes do not silence these bars");
}

#[test]
fn only_the_last_finished_orders_are_kept() {
    let mut bench = Bench::new(plain());
    for n in 0..10_050 {
        bench.submit(&order(&n.to_string(), Side::Buy, "0", at(1)), at(1));
    }
    assert_eq!(bench.submit(&order("10049", Side::Buy, "1", at(1)), at(1)), []);
    assert_eq!(bench.submit(&order("60", Side::Buy, "1", at(1)), at(1)), []);
    assert_eq!(bench.submit(&order("3", Side::Buy, "1", at(1)), at(1)).len(), 1);
}

/// One thing that happens to a venue.
#[derive(Debug, Clone)]
enum Step {
    Submit(Order),
    Cancel(OrderId),
    Market(Event),
}

fn run(venue: &mut PaperVenue, step: &Step, now: Ts) -> Vec<Report> {
    let mut out = Actions::new();
    match step {
        Step::Submit(order) => venue.submit(Approved::for_test(order.clone()), now, &mut out),
        Step::Cancel(id) => venue.cancel(*id, now, &mut out),
        Step::Market(event) => venue.on_event(event, now, &mut out),
    }
    out.drain().collect()
}

/// What a host would put on record around a step.
fn records(step: &Step, reports: &[Report]) -> Vec<Record> {
    let mut records = Vec::new();
    if let Step::Submit(order) = step {
        records.push(Record::Intent { order: order.clone(), reserved: Money::ZERO, bracket: None });
    }
    records.extend(reports.iter().map(|report| match report.clone() {
        Report::Accepted { order } => Record::Accepted { order },
        Report::Fill(fill) => Record::Fill { fill },
        Report::Done { order, reason, text } => Record::Done { order, reason, text },
        other => panic!("nobody asked for {other:?}"),
    }));
    records
}

/// Partial fills, a trigger, cancels, refusals, a resubmission and, from the middle on, quotes for one symbol.
fn script() -> Vec<(Step, Ts)> {
    let mut steps = Vec::new();
    for minute in 0..24_i64 {
        let now = at(minute + 1);
        let open = 100.0 + (minute % 5) as f64;
        for ix in [BTC, ETH] {
            steps.push((Step::Market(bar(ix, minute, open, 3.0 + (minute % 3) as f64)), now));
        }
        let mut entry = order(&format!("e{minute}"), Side::Buy, "0.7", now);
        if minute % 2 == 1 {
            entry.symbol = "ETHUSDT".parse().unwrap();
        }
        if minute % 4 == 3 {
            entry.trigger = Some("100.5".parse().unwrap());
            entry.leg = Leg::Exit;
            entry.side = Side::Sell;
        }
        if minute % 6 == 5 {
            entry.qty = Qty::ZERO;
        }
        steps.push((Step::Submit(entry.clone()), now));
        if minute % 7 == 6 {
            steps.push((Step::Submit(entry.clone()), now));
            steps.push((Step::Cancel(format!("lb-e{}", minute - 1).parse().unwrap()), now));
        }
        if minute >= 12 {
            steps.push((Step::Market(quote(BTC, now + Span::SECOND, open, open + 0.2, 2.0)), now + Span::SECOND));
        }
    }
    steps
}

#[test]
fn a_rebuilt_venue_goes_on_exactly_as_the_one_that_was_lost() {
    let script = script();
    let mut whole = Bench::new(raw_setup());
    let told: Vec<Vec<Report>> = script.iter().map(|(step, now)| run(&mut whole.venue, step, *now)).collect();
    assert!(told.iter().flatten().filter(|r| matches!(r, Report::Fill(_))).count() > 20, "the script is too quiet");
    for cut in 0..=script.len() {
        let mut rebuilt = Bench::new(raw_setup());
        for ((step, now), reports) in script.iter().zip(&told).take(cut) {
            if let Step::Market(event) = step {
                rebuilt.venue.observe(event);
            }
            records(step, reports).iter().for_each(|record| rebuilt.venue.recover(record, *now));
        }
        for ((step, now), reports) in script.iter().zip(&told).skip(cut) {
            assert_eq!(&run(&mut rebuilt.venue, step, *now), reports, "cut at {cut}, {step:?}");
        }
    }
}

#[test]
fn a_cut_between_two_reports_loses_and_doubles_nothing() {
    let mut bench = Bench::new(plain());
    let buy = order("a", Side::Buy, "1", at(1));
    let mut all = records(&Step::Submit(buy.clone()), &bench.submit(&buy, at(1)));
    let filled = bench.bar(1, 100.0, 5.0);
    all.extend(records(&Step::Market(Event::FrameEnd), &filled));
    let rebuilt = |records: &[Record]| {
        let mut bench = Bench::new(plain());
        records.iter().for_each(|record| bench.venue.recover(record, at(1)));
        bench
    };
    assert_eq!(rebuilt(&all[..1]).venue.query(buy.id), VenueAnswer::Unknown, "an intent alone never came here");
    assert_eq!(rebuilt(&all[..1]).submit(&buy, at(1)), [Report::Accepted { order: buy.id }]);
    assert_eq!(rebuilt(&all[..2]).bar(1, 100.0, 5.0), filled);
    let mut without_end = rebuilt(&all[..3]);
    assert_eq!(without_end.venue.query(buy.id), VenueAnswer::Live { filled: buy.qty });
    assert_eq!(without_end.bar(2, 100.0, 5.0), filled[1..], "only the end was still to be told");
    assert_eq!(rebuilt(&all).bar(2, 100.0, 5.0), []);
}

proptest! {
    #[test]
    fn fills_add_up_once_and_are_never_better_than_the_market(
        seed: u64,
        buy: bool,
        steps in 2..5_000_u32,
        spread in 0.0..0.01_f64,
        slippage in 0.0..0.01_f64,
        latency_ms in 0..60_000_i64,
        participation in 0.01..=1.0_f64,
        offset in 0..60_i64,
        bars in prop::collection::vec((1.0..5_000.0_f64, 0.0..4.0_f64, any::<bool>()), 1..40),
    ) {
        let latency = Span::from_millis(latency_ms);
        let side = if buy { Side::Buy } else { Side::Sell };
        let raw = RawPaperSetup { seed, spread, slippage, latency, participation, ..raw_setup() };
        let mut bench = Bench::new(raw).holding(side.opposite(), "5");
        let submitted = at(1) + Span::SECOND.times(offset);
        let mut order = order("p", side, &format!("{}.{:03}", steps / 1000, steps % 1000), submitted);
        order.leg = Leg::Exit;
        let mut reports = bench.submit(&order, submitted);
        for (n, (price, volume, as_quote)) in bars.iter().enumerate() {
            let minute = i64::try_from(n).unwrap();
            let (event, open_ts) = if *as_quote {
                (quote(BTC, at(minute + 1), *price, price * 1.001, *volume), at(minute + 1))
            } else {
                (bar(BTC, minute, *price, *volume), at(minute))
            };
            let new = bench.event(&event, at(minute + 1));
            for fill in fills(&new) {
                prop_assert!(open_ts >= submitted, "filled by what began before it was sent");
                prop_assert!(fill.ts >= submitted && fill.ts <= at(minute + 1));
                prop_assert!(fill.fee >= Money::ZERO);
                prop_assert!((fill.price.get() % instrument("BTCUSDT").tick()).is_zero());
                let paid = fill.price.to_f64();
                let fair = if *as_quote && buy { price * 1.001 } else { *price };
                let adverse = if buy { paid >= fair * (1.0 - 1e-8) } else { paid <= (fair * (1.0 + 1e-8)).max(0.1) };
                prop_assert!(adverse, "{paid} against {fair}");
                prop_assert!(fill.qty.to_f64() <= participation * volume * (1.0 + 1e-8) + 1e-12);
            }
            reports.extend(new);
        }
        let sum: f64 = fills(&reports).iter().map(|f| decimal_to_f64(f.qty.get())).sum();
        let exact = fills(&reports).iter().fold(Qty::ZERO, |sum, f| sum + f.qty);
        let done = ends(&reports);
        prop_assert!(sum <= order.qty.to_f64() + 1e-9);
        prop_assert_eq!(done.len(), usize::from(exact == order.qty));
        let trades: std::collections::BTreeSet<u64> = fills(&reports).iter().map(|f| f.trade_id).collect();
        prop_assert_eq!(trades.len(), fills(&reports).len());
    }
}
