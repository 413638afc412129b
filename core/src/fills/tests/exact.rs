//! Fills told by heart, and the ways into the venue that must come to the same.

use super::*;

/// Everything that a script makes a venue say, bars given as they are or inside events.
fn told(mut bench: Bench, as_events: bool) -> Vec<Report> {
    for (step, now) in script() {
        match &step {
            Step::Market(Event::Bar { instrument, bar, .. }) if !as_events => {
                bench.venue.bar(*instrument, bar, now, &mut bench.out);
            }
            step => {
                let reports = run(&mut bench.venue, step, now);
                reports.into_iter().for_each(|report| bench.out.push(report));
            }
        }
    }
    bench.out.drain().collect()
}

#[test]
fn a_bar_fills_alike_whether_it_comes_inside_an_event_or_not() {
    let whole = told(Bench::new(raw_setup()), true);
    assert!(fills(&whole).len() > 20, "the script is too quiet");
    assert_eq!(told(Bench::new(raw_setup()), false), whole);
}

#[test]
fn a_terse_venue_fills_alike_and_leaves_out_what_its_fills_say() {
    // What the script sends a second time is over by then, or live.
    let once = |reports: Vec<Report>| {
        let mut seen = std::collections::BTreeSet::new();
        let name = |report: &Report| format!("{report:?}");
        reports.into_iter().filter(|report| seen.insert(name(report))).collect::<Vec<_>>()
    };
    // Of what it says a fill tells the rest, and the number of a trade is one of its own.
    let told_by_fills =
        |report: &Report| matches!(report, Report::Accepted { .. } | Report::Done { reason: DoneReason::Filled, .. });
    let unnamed = |report| match report {
        Report::Fill(fill) => Report::Fill(Fill { trade_id: 0, ..fill }),
        other => other,
    };
    for raw in [plain(), raw_setup()] {
        let whole = once(told(Bench::new(raw), true));
        let unnumbered: Vec<Report> = whole.iter().cloned().map(unnamed).collect();
        let forgetful = once(told(Bench::new(raw).without_memory(), true).into_iter().map(unnamed).collect());
        assert_eq!(forgetful, unnumbered, "without memory all is said");
        let wanted: Vec<Report> = whole.into_iter().filter(|report| !told_by_fills(report)).map(unnamed).collect();
        let terse = told(Bench::new(raw).terse(), true);
        let numbers = fills(&terse).iter().map(|fill| fill.trade_id).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(numbers.len(), fills(&terse).len(), "each trade has a number of its own");
        // Told when an order is sent that is there already.
        let said = terse.into_iter().filter(|report| !matches!(report, Report::Accepted { .. }));
        assert_eq!(once(said.map(unnamed).collect()), wanted);
    }
    let mut bench = Bench::new(plain()).terse();
    let buy = order("a", Side::Buy, "1", at(1));
    assert_eq!(bench.submit(&buy, at(1)), []);
    assert_eq!(bench.submit(&buy, at(1)), [Report::Accepted { order: buy.id }], "what is live is known");
    assert_eq!(fills(&bench.bar(1, 100.0, 5.0)).len(), 1);
    bench.venue.tell_of(buy.id, at(2), &mut bench.out);
    assert_eq!(bench.out.drain().next(), Some(Report::Absent { order: buy.id, asked: at(2), gap: false }));
    bench.venue.tell_all(at(2), &mut bench.out);
    let Some(Report::State(state)) = bench.out.drain().next() else { panic!("it has a state") };
    assert_eq!((state.fills.len(), state.positions.len()), (0, 1), "what it holds is no memory");
}

proptest! {
    #[test]
    fn without_costs_an_order_fills_wholly_at_the_open_of_the_next_bar(
        ticks in 1..20_000_000_i64,
        // Nearer than a billionth of the price counts as whole.
        beside in prop_oneof![Just(0.0), 0.05..0.95_f64],
        steps in 100..5_000_000_i64,
        buy: bool,
    ) {
        let side = if buy { Side::Buy } else { Side::Sell };
        let tick = instrument("BTCUSDT").tick();
        let mut bench = Bench::new(plain());
        let qty = rust_decimal::Decimal::new(steps, 3);
        let sent = order("a", side, &qty.to_string(), at(1));
        prop_assert_eq!(bench.submit(&sent, at(1)), [Report::Accepted { order: sent.id }]);
        // An open beside the ticks is rounded to the next one against us.
        let open = (ticks as f64 + beside) / 10.0;
        let reports = bench.bar(1, open, 1e9);
        let expected = ticks + i64::from(buy && beside > 0.0);
        let price = rust_decimal::Decimal::from(expected) * tick;
        let all = fills(&reports);
        prop_assert_eq!(all.len(), 1);
        prop_assert_eq!(all[0].price.get(), price.normalize());
        prop_assert_eq!((all[0].qty, all[0].ts), (sent.qty, at(1)));
        let fee = (price * qty * rust_decimal::Decimal::new(5, 4))
            .round_dp_with_strategy(8, rust_decimal::RoundingStrategy::AwayFromZero);
        prop_assert_eq!(all[0].fee.get(), fee.normalize());
        prop_assert_eq!(ends(&reports), [DoneReason::Filled]);
    }
}
