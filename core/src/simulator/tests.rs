use super::*;
use crate::domain::Bar;
use crate::simulator::{SimulatedSymbol, crypto_symbols};

const START: Ts = Ts::from_secs(1_704_067_200);

fn setup(timeframe: Timeframe, quote_secs: i64) -> SimulatorSetup {
    let quote_every = Span::from_secs(quote_secs);
    let symbols = crypto_symbols();
    SimulatorSetup { seed: 7, start: START, timeframe, quote_every, history_bars: 0, trend: 0.0, symbols }
}

fn minutes() -> SimulatorSetup {
    setup(Timeframe::MINUTE, 5)
}

fn take(feed: &mut SimulatedFeed, n: usize) -> Vec<MarketEvent> {
    (0..n).map(|_| feed.next_event().unwrap()).collect()
}

#[test]
fn the_same_settings_give_the_same_events_and_another_seed_gives_others() {
    let run = |seed| {
        let mut feed = SimulatedFeed::new(&SimulatorSetup { seed, ..minutes() }).unwrap();
        (feed.history(5), take(&mut feed, 200))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn quotes_come_before_the_frame_that_they_make() {
    let mut feed = SimulatedFeed::new(&minutes()).unwrap();
    let events = take(&mut feed, 13 * 50);
    for (at, minute) in events.chunks(13).enumerate() {
        let open_ts = START + Span::MINUTE.times(i64::try_from(at).unwrap());
        let MarketEvent::Frame(frame) = &minute[12] else { panic!("no frame after twelve quotes") };
        assert_eq!((frame.ts, frame.missing.len()), (open_ts + Span::MINUTE, 0));
        let mids: Vec<Vec<f64>> = minute[..12]
            .iter()
            .enumerate()
            .map(|(n, event)| {
                let MarketEvent::Quotes { ts, quotes } = event else { panic!("a frame too early") };
                assert_eq!(*ts, open_ts + Span::from_secs(5 * i64::try_from(n + 1).unwrap()));
                assert!(quotes.iter().all(|(_, q)| q.is_sound() && q.ts == *ts && q.bid < q.ask));
                assert!(quotes.is_sorted_by_key(|(ix, _)| *ix));
                quotes.iter().map(|(_, q)| q.mid()).collect()
            })
            .collect();
        for (i, (ix, bar)) in frame.bars.iter().enumerate() {
            assert_eq!((ix.at(), bar.check(), bar.open_ts), (i, Ok(()), open_ts));
            let tick = crypto_symbols()[i].tick;
            let of = |value: f64| mids.iter().map(|m| m[i]).any(|mid| (mid - value).abs() < 0.51 * tick);
            assert!((mids[0][i] - bar.open).abs() < 0.51 * tick && (mids[11][i] - bar.close).abs() < 0.51 * tick);
            assert!(of(bar.high) && of(bar.low) && bar.volume > 0.0, "{bar:?}");
        }
    }
}

#[test]
fn prices_lie_on_ticks() {
    let mut feed = SimulatedFeed::new(&minutes()).unwrap();
    for event in take(&mut feed, 100) {
        let MarketEvent::Quotes { quotes, .. } = event else { continue };
        for ((_, quote), symbol) in quotes.iter().zip(crypto_symbols()) {
            for price in [quote.bid, quote.ask] {
                let ticks = price / symbol.tick;
                assert!((ticks - ticks.round()).abs() < 1e-6, "{price} of {symbol:?}");
                assert!(price.to_string().len() <= 9, "{price} has no more digits than its tick");
            }
        }
    }
}

#[test]
fn history_ends_at_the_start_and_its_length_does_not_change_the_path() {
    let mut feed = SimulatedFeed::new(&minutes()).unwrap();
    assert_eq!(feed.history(usize::MAX).len(), usize::from(WARM_UP_BARS));
    let few = feed.history(3);
    assert_eq!(
        few.iter().map(|f| f.ts).collect::<Vec<_>>(),
        [START - Span::MINUTE.times(2), START - Span::MINUTE, START]
    );
    assert!(few.iter().all(|f| f.context.count == 12));
    let mut other = SimulatedFeed::new(&minutes()).unwrap();
    assert_eq!(take(&mut feed, 100), take(&mut other, 100), "with and without history");
    assert_eq!(feed.history(3), few, "events do not change history");
}

#[test]
fn an_added_symbol_leaves_the_others_as_they_were() {
    let few = [2, 3, 9].map(|at| crypto_symbols()[at]).to_vec();
    let mut few = SimulatedFeed::new(&SimulatorSetup { symbols: few, ..minutes() }).unwrap();
    let mut more = SimulatorSetup { symbols: crypto_symbols(), ..minutes() };
    more.symbols.push(SimulatedSymbol {
        ix: Ix(40),
        symbol: "NEWUSDT".parse().unwrap(),
        start_price: 1.0,
        tick: 0.001,
    });
    more.symbols.reverse();
    let mut more = SimulatedFeed::new(&more).unwrap();
    for (a, b) in take(&mut few, 100).into_iter().zip(take(&mut more, 100)) {
        match (a, b) {
            (MarketEvent::Quotes { quotes: a, .. }, MarketEvent::Quotes { quotes: b, .. }) => {
                assert_eq!(b.len(), 13);
                assert!(a.iter().all(|quote| b.contains(quote)));
            }
            (MarketEvent::Frame(a), MarketEvent::Frame(b)) => assert!(a.bars.iter().all(|bar| b.bars.contains(bar))),
            other => panic!("different kinds: {other:?}"),
        }
    }
}

#[test]
fn a_walk_that_was_put_forward_goes_on_as_if_it_had_not_been() {
    let whole = take(&mut SimulatedFeed::new(&minutes()).unwrap(), 13 * 40);
    // On a bar's end, between quotes, inside a bar, at the start and before it.
    for secs in [600, 603, 625, 0, -60] {
        let to = START + Span::from_secs(secs);
        let rest: Vec<MarketEvent> = whole.iter().filter(|event| event.ts() > to).cloned().collect();
        let mut fresh = SimulatedFeed::new(&minutes()).unwrap();
        fresh.fast_forward(to);
        assert_eq!(take(&mut fresh, rest.len()), rest, "{secs} s");
        // The same from the middle of a run, with a frame due.
        let mut running = SimulatedFeed::new(&minutes()).unwrap();
        take(&mut running, 12);
        let to = to.max(START + Span::MINUTE);
        running.fast_forward(to);
        let rest: Vec<MarketEvent> = whole.iter().filter(|event| event.ts() > to).cloned().collect();
        assert_eq!(take(&mut running, rest.len()), rest, "{secs} s");
    }
}

#[test]
fn history_after_a_restart_holds_the_frames_that_were_events() {
    let mut feed = SimulatedFeed::new(&minutes()).unwrap();
    let frames: Vec<Frame> = take(&mut feed, 13 * 20)
        .into_iter()
        .filter_map(|event| match event {
            MarketEvent::Frame(frame) => Some(frame),
            MarketEvent::Quotes { .. } => None,
        })
        .collect();
    let mut restarted = SimulatedFeed::new(&minutes()).unwrap();
    restarted.fast_forward(START + Span::MINUTE.times(20));
    assert_eq!(restarted.history(20), frames);
    assert_eq!(restarted.history(usize::MAX).len(), usize::from(WARM_UP_BARS));
}

/// A year and a half of hourly bars of each symbol, from quotes of a minute.
fn long_path() -> &'static Vec<Vec<Bar>> {
    static BARS: std::sync::OnceLock<Vec<Vec<Bar>>> = std::sync::OnceLock::new();
    BARS.get_or_init(|| {
        let mut feed = SimulatedFeed::new(&setup(Timeframe::HOUR, 60)).unwrap();
        let mut bars = vec![Vec::new(); 12];
        while bars[0].len() < 13_000 {
            if let Some(MarketEvent::Frame(frame)) = feed.next_event() {
                for (ix, bar) in frame.bars {
                    bars[ix.at()].push(bar);
                }
            }
        }
        bars
    })
}

fn returns(bars: &[Bar]) -> Vec<f64> {
    bars.windows(2).map(|pair| (pair[1].close / pair[0].close).ln()).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let cov = |a: &[f64], ma: f64, b: &[f64], mb: f64| a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>();
    cov(x, mx, y, my) / (cov(x, mx, x, mx) * cov(y, my, y, my)).sqrt()
}

#[test]
fn hourly_volatility_is_that_of_crypto_and_tails_are_fat() {
    for (bars, symbol) in long_path().iter().zip(crypto_symbols()) {
        let r = returns(bars);
        let volatility = mean(&r.iter().map(|x| x * x).collect::<Vec<_>>()).sqrt();
        let kurtosis = mean(&r.iter().map(|x| x.powi(4)).collect::<Vec<_>>()) / volatility.powi(4);
        println!("{}: {:.2} % an hour, kurtosis {kurtosis:.1}", symbol.symbol, 100.0 * volatility);
        let range = if symbol.symbol.as_str() == "BTCUSDT" { 0.005..0.01 } else { 0.006..0.02 };
        assert!(range.contains(&volatility) && kurtosis > 4.0, "{} {volatility} {kurtosis}", symbol.symbol);
        assert!(bars.iter().all(|bar| bar.check().is_ok()));
        assert!(bars.iter().all(|bar| (0.02..50.0).contains(&(bar.close / symbol.start_price))));
    }
}

#[test]
fn volatility_clusters_while_returns_do_not_repeat() {
    for bars in long_path() {
        let r = returns(bars);
        let size: Vec<f64> = r.iter().map(|x| x.abs()).collect();
        for lag in [1, 2, 3, 6] {
            let clustering = correlation(&size[lag..], &size[..size.len() - lag]);
            assert!(clustering > 0.05, "lag {lag}: {clustering}");
        }
        let repeating = correlation(&r[1..], &r[..r.len() - 1]);
        assert!(repeating.abs() < 0.06, "{repeating}");
    }
}

#[test]
fn symbols_move_together_but_not_as_one() {
    let all: Vec<Vec<f64>> = long_path().iter().map(|bars| returns(bars)).collect();
    let mut pairs = Vec::new();
    for i in 0..all.len() {
        pairs.extend(all[..i].iter().map(|other| correlation(&all[i], other)));
    }
    let common = mean(&pairs);
    println!("mean correlation {common:.2}");
    assert!((0.2..0.9).contains(&common), "{common}");
}

#[test]
fn volume_follows_the_move_and_the_hour() {
    let bars = &long_path()[3];
    let volume: Vec<f64> = bars[1..].iter().map(|bar| bar.volume).collect();
    let size: Vec<f64> = returns(bars).iter().map(|x| x.abs()).collect();
    assert!(correlation(&volume, &size) > 0.2);
    let at = |hour: i64| {
        let of_hour = bars.iter().filter(|bar| bar.open_ts.time_of_day() == Span::HOUR.times(hour));
        mean(&of_hour.map(|bar| bar.volume).collect::<Vec<_>>())
    };
    assert!(at(15) > 1.5 * at(3), "{} {}", at(15), at(3));
}

#[test]
fn spreads_widen_when_prices_move_more() {
    let mut feed = SimulatedFeed::new(&setup(Timeframe::HOUR, 60)).unwrap();
    let (mut spreads, mut moves) = (Vec::new(), Vec::new());
    let mut of_bar = Vec::new();
    while moves.len() < 2_000 {
        match feed.next_event() {
            Some(MarketEvent::Quotes { quotes, .. }) => {
                of_bar.push((quotes[3].1.ask - quotes[3].1.bid) / quotes[3].1.mid())
            }
            Some(MarketEvent::Frame(frame)) => {
                let bar = frame.bars[3].1;
                moves.push((bar.high / bar.low).ln());
                spreads.push(mean(&of_bar));
                of_bar.clear();
            }
            None => panic!("the market ended"),
        }
    }
    assert!(correlation(&spreads, &moves) > 0.4, "{}", correlation(&spreads, &moves));
}

#[test]
fn history_is_walked_whole_and_ends_with_the_bars_that_the_feed_remembers() {
    let setup = SimulatorSetup { history_bars: 1_500, trend: 0.4, ..minutes() };
    let mut walked = Vec::new();
    walk_history(&setup, setup.start, |frame| walked.push(frame.clone())).unwrap();
    assert_eq!(walked.len(), 1_500);
    assert_eq!((walked[0].ts, walked[1_499].ts), (START - Span::MINUTE.times(1_499), START));
    let mut feed = SimulatedFeed::new(&setup).unwrap();
    assert_eq!(feed.history(usize::MAX), walked[1_500 - usize::from(WARM_UP_BARS)..]);
    let mut few = 0;
    walk_history(&minutes(), minutes().start, |_| few += 1).unwrap();
    assert_eq!(few, u32::from(WARM_UP_BARS), "never less than engines are primed with");
}

/// Share of cases in which the return of the last 32 bars says the side of the next 12, where it is surest.
fn surest_calls_right(trend: f64) -> f64 {
    let history_bars = 96 * 120;
    let quote_every = Span::from_secs(300);
    let symbols = crypto_symbols()[..6].to_vec();
    let timeframe: Timeframe = "15m".parse().unwrap();
    let setup = SimulatorSetup { timeframe, quote_every, history_bars, trend, symbols, ..minutes() };
    let mut closes: Vec<Vec<f64>> = vec![Vec::new(); 6];
    walk_history(&setup, setup.start, |frame| frame.bars.iter().for_each(|(ix, bar)| closes[ix.at()].push(bar.close)))
        .unwrap();
    let pair = |c: &[f64]| ((c[32] / c[0]).ln(), (c[44] / c[32]).ln());
    let mut calls: Vec<(f64, f64)> = closes.iter().flat_map(|c| c.windows(45).map(pair)).collect();
    calls.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    calls.truncate(calls.len() / 5);
    calls.iter().filter(|(past, next)| past * next > 0.0).count() as f64 / calls.len() as f64
}

#[test]
fn a_trend_can_be_learnt_and_without_one_there_is_nothing() {
    let (none, some) = (surest_calls_right(0.0), surest_calls_right(0.3));
    println!("right without a trend: {none:.3}, with one of 0.3: {some:.3}");
    assert!((0.45..0.55).contains(&none), "{none}");
    assert!((0.57..0.72).contains(&some) && some > none + 0.06, "{some}");
}

#[test]
fn without_a_trend_the_walk_is_the_one_it_always_was() {
    let mut feed = SimulatedFeed::new(&minutes()).unwrap();
    let (events, history) = (take(&mut feed, 500), feed.history(100));
    let hash = crate::domain::hash::hash64(&[format!("{events:?}{history:?}").as_bytes()]);
    assert_eq!(hash, 0xd762_190c_d658_4db9);
}
