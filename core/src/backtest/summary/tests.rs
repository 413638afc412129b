use std::collections::BTreeMap;

use super::super::{Point, SymbolBars, Trip};
use super::*;
use crate::domain::hash::unit_draw;
use crate::domain::{Bar, Direction, ExitReason, Money, Span, Timeframe};
use crate::regime::{Activity, Regime, Trend};
use crate::statistics::{max_drawdown, mean};

const DAY: i64 = 86_400;

fn money(value: f64) -> Money {
    Money::approx(value).unwrap()
}

/// An outcome that begins with 1,000 and holds something in every other frame; `start` is the open of the first frame.
fn outcome(start: &str, timeframe: Timeframe, equities: &[f64]) -> Outcome {
    let start: Ts = start.parse().unwrap();
    let ts = |at: usize| start + timeframe.span().times(at as i64 + 1);
    let gross = |at: usize| if at.is_multiple_of(2) { 500.0 } else { 0.0 };
    let point = |(at, equity): (usize, &f64)| Point { ts: ts(at), equity: *equity, gross: gross(at), net: gross(at) };
    let curve: Vec<Point> = equities.iter().enumerate().map(point).collect();
    let last = equities.last().copied().unwrap_or(1_000.0);
    Outcome {
        timeframe,
        from: curve.first().map(|point| point.ts),
        to: curve.last().map(|point| point.ts),
        bars: curve.len() as u64,
        frames: curve.len() as u64,
        orders: 0,
        fills: 0,
        decisions: 0,
        unanswered: 0,
        refused: BTreeMap::new(),
        turnover: 10_000.0,
        slippage: 2.0,
        fees: money(5.0),
        funding: money(-1.0),
        net_pnl: money(last - 1_000.0),
        initial_equity: money(1_000.0),
        final_equity: money(last),
        leverage_max: 0.5,
        halts: vec![],
        curve,
        trips: vec![],
        executions: vec![],
        symbols: BTreeMap::new(),
    }
}

fn days(equities: &[f64]) -> Outcome {
    outcome("2024-01-20", Timeframe::from_secs(86_400).unwrap(), equities)
}

/// A wandering curve that stays over zero.
fn wander(len: u64, seed: u64) -> Vec<f64> {
    let mut equity = 1_000.0;
    let next = |n| {
        equity *= 1.0 + 0.04 * (unit_draw(seed, n) - 0.49);
        equity
    };
    (0..len).map(next).collect()
}

fn trip(entered: i64, left: Option<i64>, direction: Direction, net: f64) -> Trip {
    Trip {
        symbol: "AAAUSDT".parse().unwrap(),
        direction,
        entered: Ts::from_secs(entered),
        left: left.map(Ts::from_secs),
        bars: left.map_or(1, |left| u32::try_from((left - entered) / 3_600).unwrap()),
        qty: 1.0,
        entry_price: 100.0,
        exit_price: 100.0,
        gross: net + 1.0,
        fees: 1.0,
        funding: 0.0,
        net,
        adverse: 0.01,
        favourable: 0.02,
        exit: left.map(|_| ExitReason::Signal),
        regime: Regime::default(),
    }
}

fn quick() -> SummaryOptions<'static> {
    SummaryOptions { resamples: 0, ..SummaryOptions::default() }
}

fn near(a: impl Into<Option<f64>>, b: f64) -> bool {
    a.into().is_some_and(|a| (a - b).abs() < 1e-9 * (1.0 + b.abs()))
}

fn at(text: &str) -> Ts {
    text.parse().unwrap()
}

#[test]
fn ratios_are_those_of_daily_returns() {
    let equities = wander(100, 1);
    let found = summarise(&days(&equities), &quick());
    let returns: Vec<f64> =
        std::iter::once(&1_000.0).chain(&equities).zip(&equities).map(|(from, to)| to / from - 1.0).collect();
    assert_eq!((found.returns.period, found.returns.returns_basis), (Period::Day, ReturnsBasis::Equity));
    assert_eq!(found.returns.count, 100);
    assert!(near(found.returns.periods_a_year, 365.0) && near(found.years, 100.0 / 365.0));
    let deviation = std_dev(&returns).unwrap();
    assert!(near(found.volatility, deviation * 365.0_f64.sqrt()));
    assert!(near(found.sharpe, mean(&returns).unwrap() / deviation * 365.0_f64.sqrt()));
    assert!(near(found.sortino, sortino(&returns, 365.0).unwrap()));
    assert!(near(found.max_drawdown, max_drawdown(&returns)));
    let growth = (equities[99] / 1_000.0).powf(3.65) - 1.0;
    assert!(near(found.annual_return, growth) && near(found.calmar, growth / found.max_drawdown.unwrap()));
    assert!(near(found.total_return, (money(equities[99]).to_f64() - 1_000.0) / 1_000.0));
    assert_eq!(periods(&days(&equities), false).values.len(), 100);
}

#[test]
fn few_days_are_judged_by_bars() {
    let found = summarise(&outcome("2024-01-01", Timeframe::HOUR, &wander(24 * 29, 2)), &quick());
    assert_eq!((found.returns.period, found.returns.count), (Period::Bar, 696));
    assert!(near(found.returns.periods_a_year, 8_760.0), "{:?}", found.returns);
    let found = summarise(&outcome("2024-01-01", Timeframe::HOUR, &wander(24 * 30, 2)), &quick());
    assert_eq!(
        (found.returns.period, found.returns.count),
        (Period::Day, 30),
        "a frame that closes at midnight ends a day"
    );
}

#[test]
fn days_without_frames_return_nothing() {
    let mut with_gap = days(&wander(40, 3));
    for point in with_gap.curve.iter_mut().skip(10) {
        point.ts = point.ts + Span::DAY.times(2);
    }
    let series = periods(&with_gap, false);
    assert_eq!(series.values.len(), 42);
    assert!(series.values[10].abs() < 1e-15 && series.values[11].abs() < 1e-15 && series.values[12].abs() > 1e-15);
    let product: f64 = series.values.iter().map(|x| 1.0 + x).product();
    assert!(near(product, with_gap.curve[39].equity / 1_000.0));
}

#[test]
fn returns_are_of_the_first_equity_where_that_of_the_moment_means_nothing() {
    let mut equities = vec![1_000.0; 50];
    equities[20] = -500.0;
    let lost = summarise(&days(&equities), &quick());
    assert_eq!(lost.returns.returns_basis, ReturnsBasis::InitialEquity);
    assert!(near(lost.max_drawdown, 1.5) && near(lost.extremes.worst_day.map(|day| day.change), -1.5));
    assert!(near(lost.annual_return, 0.0));
    let equities = wander(50, 4);
    let fixed = periods(&days(&equities), true);
    assert_eq!(fixed.about.returns_basis, ReturnsBasis::InitialEquity);
    assert!(near(fixed.values[7], (equities[7] - equities[6]) / 1_000.0));
    assert!(near(fixed.values.iter().sum::<f64>(), equities[49] / 1_000.0 - 1.0));
}

#[test]
fn drawdowns_run_from_peak_to_recovery() {
    // The start is a peak of 1,000.
    let found =
        summarise(&days(&[900.0, 1_000.0, 1_200.0, 1_080.0, 1_140.0, 900.0, 1_200.0, 1_300.0, 1_170.0]), &quick());
    let all = found.drawdowns.unwrap();
    let day = |n: i64| at("2024-01-20") + Span::DAY.times(n);
    let drawdown = |depth, begin, trough, recovery: Option<i64>, lasted: i64| Drawdown {
        depth,
        begin: day(begin),
        trough: day(trough),
        recovery: recovery.map(day),
        seconds: (lasted * DAY) as f64,
    };
    let wanted = [drawdown(0.25, 3, 6, Some(7), 4), drawdown(0.1, 0, 1, Some(2), 2), drawdown(0.1, 8, 9, None, 1)];
    assert_eq!(all.deepest.len(), 3);
    for (found, wanted) in all.deepest.iter().zip(wanted) {
        assert!(near(found.depth, wanted.depth), "{found:?}");
        assert_eq!(Drawdown { depth: 0.0, ..*found }, Drawdown { depth: 0.0, ..wanted });
    }
    assert!(near(all.under_water, 5.0 / 9.0) && near(all.longest_seconds, 4.0 * DAY as f64));
    let squares = 0.01 + 0.01 + 0.05_f64.powi(2) + 0.0625 + 0.01;
    assert!(near(all.ulcer_index, (squares / 9.0_f64).sqrt()), "{}", all.ulcer_index);
    assert!(near(summarise(&days(&[1_000.0, 1_100.0]), &quick()).max_drawdown, 0.0));
}

#[test]
fn the_ten_deepest_of_many_drawdowns_are_listed() {
    // Drawdowns of 1/1000 to 30/1000, in an order that is no order, all from the same peak.
    let depth = |n: u32| f64::from((n * 7) % 31) / 1_000.0;
    let equities: Vec<f64> = (1..=30).flat_map(|n| [1_000.0 * (1.0 - depth(n)), 1_000.0]).collect();
    let found = summarise(&days(&equities), &quick()).drawdowns.unwrap().deepest;
    let depths: Vec<f64> = found.iter().map(|one| (one.depth * 1_000.0).round()).collect();
    assert_eq!(depths, [30.0, 29.0, 28.0, 27.0, 26.0, 25.0, 24.0, 23.0, 22.0, 21.0]);
}

#[test]
fn months_compound_to_the_whole() {
    let equities = wander(60, 5);
    let found = summarise(&days(&equities), &quick());
    let names: Vec<(i16, i8)> = found.months.iter().map(|month| (month.year, month.month)).collect();
    assert_eq!(names, [(2024, 1), (2024, 2), (2024, 3)]);
    // From the 20th, January has 12 days, February 29.
    assert!(near(found.months[0].change, equities[11] / 1_000.0 - 1.0));
    assert!(near(found.months[1].change, equities[40] / equities[11] - 1.0));
    assert!(near(found.months[2].change, equities[59] / equities[40] - 1.0));
    let best = found.extremes.best_month.unwrap();
    let names = [at("2024-01-01"), at("2024-02-01"), at("2024-03-01")];
    let place = names.iter().position(|start| *start == best.start).unwrap();
    assert!(
        found.months.iter().all(|month| month.change <= best.change) && near(best.change, found.months[place].change)
    );
    let worst = found.extremes.worst_day.unwrap();
    let index = usize::try_from(worst.start.day() - at("2024-01-20").day()).unwrap();
    assert!(near(worst.change, equities[index] / equities[index - 1] - 1.0));
}

#[test]
fn exposure_turnover_and_costs_are_those_of_the_outcome() {
    let mut flat = days(&[1_000.0; 73]);
    flat.net_pnl = money(44.0);
    let found = summarise(&flat, &quick());
    let exposure = found.exposure.unwrap();
    assert!(near(exposure.time, 37.0 / 73.0) && near(exposure.gross, 0.5 * 37.0 / 73.0));
    assert!(near(exposure.leverage_max, 0.5));
    // 10 times the equity in a fifth of a year.
    assert!(near(found.turnover, 50.0));
    // 44 + 5 of fees - 1 of funding + 2 of slippage.
    let costs = found.costs;
    assert!(near(costs.gross_pnl, 50.0) && near(costs.fees_share, 0.1) && near(costs.slippage_share, 0.04));
    assert!(near(costs.funding_share, -0.02));
    flat.net_pnl = money(-6.0);
    assert!(summarise(&flat, &quick()).costs.fees_share.is_none(), "nothing was gained before costs");
}

#[test]
fn trades_are_counted_when_they_are_left() {
    let mut some = days(&[1_000.0; 40]);
    let hour = 3_600;
    let nets = [10.0, -5.0, -5.0, 20.0, -1.0, 0.0];
    some.trips = (0_i64..)
        .zip(nets)
        .map(|(n, net)| trip(n * 10 * hour, Some((n * 10 + 2) * hour), Direction::Long, net))
        .collect();
    // It was entered before the others, and left between the losses: by exits, the run is of three.
    some.trips.insert(0, trip(0, Some(25 * hour), Direction::Short, -2.0));
    some.trips.push(trip(90 * hour, None, Direction::Long, 7.0));
    let found = summarise(&some, &quick()).trades;
    assert_eq!((found.count, found.open, found.wins, found.losses, found.longest_losing_run), (7, 1, 2, 4, 3));
    assert!(near(found.win_rate, 2.0 / 7.0) && near(found.mean_win, 15.0) && near(found.mean_loss, -3.25));
    assert!(
        near(found.payoff, 15.0 / 3.25) && near(found.profit_factor, 30.0 / 13.0) && near(found.expectancy, 17.0 / 7.0)
    );
    let bounds = found.win_rate_bounds.unwrap();
    assert!(bounds.hold(2.0 / 7.0) && bounds.low > 0.0 && bounds.high < 0.7, "{bounds:?}");
    let holding = found.holding_seconds.unwrap();
    assert!(near(holding.p50, 7_200.0) && near(holding.max, 90_000.0), "{holding:?}");
    assert!(near(found.adverse.unwrap().p95, 0.01) && near(found.favourable.unwrap().mean, 0.02));
}

#[test]
fn groups_add_up_to_all_trades() {
    let mut some = days(&[1_000.0; 40]);
    // 1970-01-01 was a Thursday.
    let (thursday, friday) = (7 * 3_600, DAY + 15 * 3_600);
    some.trips = vec![
        trip(thursday, Some(thursday + 3_600), Direction::Long, 4.0),
        trip(thursday, Some(thursday + 3_600), Direction::Short, -2.0),
        trip(friday, Some(friday + 3_600), Direction::Long, 1.0),
        trip(friday, None, Direction::Long, 100.0),
    ];
    some.trips[2].symbol = "BBBUSDT".parse().unwrap();
    some.trips[2].exit = Some(ExitReason::Stop);
    some.trips[1].regime = Regime { trend: Trend::Down, activity: Activity::Wild };
    let by = summarise(&some, &quick()).by;
    let keys = |groups: &[Group]| groups.iter().map(|group| group.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&by.symbol), ["AAAUSDT", "BBBUSDT"]);
    assert_eq!(keys(&by.regime), ["range_usual", "down_wild"]);
    assert_eq!(keys(&by.hour), ["07", "15"]);
    assert_eq!(keys(&by.weekday), ["thursday", "friday"]);
    assert_eq!(keys(&by.side), ["long", "short"]);
    assert_eq!(keys(&by.exit), ["signal", "stop"]);
    for groups in [&by.symbol, &by.regime, &by.hour, &by.weekday, &by.side, &by.exit] {
        assert_eq!(groups.iter().map(|group| group.trades).sum::<usize>(), 3);
        assert!(near(groups.iter().map(|group| group.net).sum::<f64>(), 3.0));
    }
    let long = &by.side[0];
    assert!(near(long.mean, 2.5) && near(long.win_rate, 1.0) && long.wins == 2);
    // Deviation 1.5 * root 2 over root 2.
    let bounds = long.mean_bounds.unwrap();
    assert!(near(bounds.low, 2.5 - Z95 * 1.5) && near(bounds.high, 2.5 + Z95 * 1.5));
    assert!(by.side[1].mean_bounds.is_none());
}

#[test]
fn luck_is_reckoned_with() {
    let equities: Vec<f64> = wander(400, 6).iter().zip(1..).map(|(equity, n)| equity * 1.001_f64.powi(n)).collect();
    let run = days(&equities);
    let trials = Trials::of(&[Some(0.5), Some(1.5), None, Some(-1.0)]).unwrap();
    assert_eq!(trials.count, 4);
    let options = SummaryOptions { trials: Some(trials), resamples: 300, seed: 9, ..SummaryOptions::default() };
    let found = summarise(&run, &options);
    let deflated = found.chance.deflated.unwrap();
    let sure = found.chance.probabilistic_sharpe.unwrap();
    assert!(deflated.probability.unwrap() < sure && sure < 1.0 && deflated.expected_max_sharpe > 0.0, "{deflated:?}");
    assert!(near(found.chance.min_track_record_years, found.chance.min_track_record.unwrap() / 365.0));
    let intervals = found.intervals.unwrap();
    let (sharpe, gain) = (intervals.sharpe.unwrap(), intervals.annual_return.unwrap());
    assert!(sharpe.low < found.sharpe.unwrap() && found.sharpe.unwrap() < sharpe.high, "{sharpe:?}");
    assert!(gain.low < found.annual_return.unwrap() && found.annual_return.unwrap() < gain.high, "{gain:?}");
    assert!(intervals.max_drawdown.unwrap().low > 0.0 && intervals.joined == 1);
    assert_eq!(found, summarise(&run, &options), "a seed draws the same again");
    assert_ne!(found.intervals, summarise(&run, &SummaryOptions { seed: 10, ..options }).intervals);
    // Twelve days of minutes are too many to be drawn one by one.
    let minutes = outcome("2024-01-01", Timeframe::MINUTE, &wander(12 * 1_440, 7));
    let few = summarise(&minutes, &SummaryOptions { resamples: 20, ..options }).intervals.unwrap();
    assert_eq!(few.joined, 4);
    assert!(few.block >= 4.0, "a block of joined returns is {} of them", few.block);
    // The interval is of what happened by the ends of days, which is never deeper than by the ends of frames.
    let hours = outcome("2024-01-01", Timeframe::HOUR, &wander(60 * 24, 7));
    let found = summarise(&hours, &options);
    let by_days = found.intervals.unwrap().max_drawdown_of_periods.unwrap();
    assert!(by_days > 0.0 && by_days < found.max_drawdown.unwrap(), "{by_days} {:?}", found.max_drawdown);
    let daily = intervals.max_drawdown_of_periods;
    assert!(near(daily, summarise(&run, &options).max_drawdown.unwrap()), "of days both are one");
}

#[test]
fn the_order_of_trips_is_drawn_again() {
    let mut run = days(&[1_000.0; 40]);
    run.trips = (0..20)
        .map(|n| {
            trip(
                at("2024-01-21").secs() + n * 3_600,
                Some(at("2024-02-01").secs() + n),
                Direction::Long,
                if n % 2 == 0 { 50.0 } else { -40.0 },
            )
        })
        .collect();
    let options = SummaryOptions { on_initial: true, ..SummaryOptions::default() };
    let found = summarise(&run, &options).orders.unwrap();
    assert!(near(found.shuffled.terminal.min, 1.1) && near(found.shuffled.terminal.max, 1.1), "{found:?}");
    assert!(found.redrawn.terminal.min < 1.1 && found.redrawn.terminal.max > 1.1 && found.draws == 1_000);
    // All losses in a row would be 0.4.
    assert!(found.shuffled.max_drawdown.max <= 0.4 + 1e-9 && found.shuffled.max_drawdown.min >= 0.04 - 1e-9);
    assert!(found.shuffled.ruin < 1e-12);
}

#[test]
fn entries_at_the_right_time_are_told_from_others() {
    // 1,200 hours; it rises by a half a percent in every twentieth hour and falls a little in between.
    let start = at("2024-01-20");
    let mut close = 100.0;
    let bars = (0..1_200).map(|n| {
        let open = close;
        close *= if n % 20 == 10 { 1.005 } else { 1.0 + 0.001 * (unit_draw(3, n as u64) - 0.6) };
        let (high, low) = (f64::max(open, close), f64::min(open, close));
        Bar { open_ts: start + Span::HOUR.times(n), open, high, low, close, volume: 1.0 }
    });
    let symbols = vec![SymbolBars { symbol: "AAAUSDT".parse().unwrap(), bars: bars.collect() }];
    let market = MarketPast { timeframe: Timeframe::HOUR, symbols, funding: Vec::new() };
    let mut run = outcome("2024-01-20", Timeframe::HOUR, &[1_000.0; 1_200]);
    let entry = |n: i64, hour: i64| start.secs() + (n * 20 + hour) * 3_600;
    let trips = |hour| (0..30).map(|n| trip(entry(n, hour), Some(entry(n, hour + 2)), Direction::Long, 1.0)).collect();
    run.trips = trips(9);
    let options = SummaryOptions { market: Some(&market), ..SummaryOptions::default() };
    let good = summarise(&run, &options).entries.unwrap();
    assert!(good.p_value < 0.005 && good.trips == 30, "{good:?}");
    // Filled at the open of the tenth hour, left at that of the twelfth: both bars are earned.
    assert!(good.observed > 30.0 * 0.4, "{good:?}");
    run.trips = trips(2);
    assert!(summarise(&run, &options).entries.unwrap().p_value > 0.5);
    run.trips[0].symbol = "ZZZUSDT".parse().unwrap();
    assert_eq!(summarise(&run, &options).entries.unwrap().trips, 29, "no bars, no test");
}

#[test]
fn what_is_not_known_is_absent() {
    let mut broken = days(&wander(40, 8));
    broken.curve[7].equity = f64::NAN;
    broken.leverage_max = f64::INFINITY;
    broken.trips = vec![trip(0, Some(DAY), Direction::Long, f64::NAN)];
    let mut penniless = days(&[0.0; 40]);
    penniless.initial_equity = Money::ZERO;
    for run in [days(&[]), days(&[1_000.0]), days(&[1_000.0; 40]), broken, penniless] {
        let found = summarise(&run, &SummaryOptions::default());
        assert!(found.sharpe.is_none() && found.chance.probabilistic_sharpe.is_none() && found.calmar.is_none());
        let text = serde_json::to_string(&found).unwrap();
        // JSON writes what is not finite as null; none of these may be that.
        for key in [
            "years",
            "net_pnl",
            "gross_pnl",
            "slippage",
            "periods_a_year",
            "under_water",
            "ulcer_index",
            "time",
            "net",
            "return",
        ] {
            assert!(!text.contains(&format!("\"{key}\":null")), "{key}: {text}");
        }
    }
    let empty = summarise(&days(&[]), &SummaryOptions::default());
    assert!(empty.max_drawdown.is_none() && empty.exposure.is_none() && empty.trades.win_rate.is_none());
    assert!(empty.intervals.is_none() && empty.orders.is_none() && empty.months.is_empty() && near(empty.years, 0.0));
}
