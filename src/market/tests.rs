//! A feed that takes over in the middle of another.

use std::sync::{Arc, Mutex};

use levibot_core::account::RiskPolicy;
use levibot_core::domain::{AccountKind, Bar, Context as View, Frame, Ix, Quote, Span};

use super::*;

fn setup() -> Box<AccountSetup> {
    let risk = std::fs::read_to_string("policies/risk.yaml").unwrap();
    Box::new(AccountSetup {
        name: "test".to_owned(),
        kind: AccountKind::Linear,
        currency: "USDT".to_owned(),
        initial_cash: "1".parse().unwrap(),
        instruments: Vec::new(),
        risk: RiskPolicy::from_yaml(&risk).unwrap(),
        cost_per_side: 0.0,
        resume_next_day: false,
        unlimited: false,
    })
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Quotes every second of so many symbols, and a frame after every third.
#[derive(Debug)]
struct Ticks {
    symbols: u16,
    next: i64,
    due: bool,
}

impl Ticks {
    fn at(symbols: u16, next: i64) -> Box<dyn Feed> {
        Box::new(Self { symbols, next, due: false })
    }
}

impl Feed for Ticks {
    fn history(&mut self, _: usize) -> Vec<Frame> {
        Vec::new()
    }

    fn next_event(&mut self) -> Option<MarketEvent> {
        let all = (0..self.symbols).map(Ix);
        if std::mem::take(&mut self.due) {
            let ts = Ts::from_secs(self.next - 1);
            let bar = Bar { open_ts: ts - Span::from_secs(3), open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
            let bars = all.map(|ix| (ix, bar)).collect();
            return Some(MarketEvent::Frame(Frame { ts, bars, missing: Vec::new(), context: View::default() }));
        }
        let ts = Ts::from_secs(self.next);
        self.due = self.next % 3 == 0;
        self.next += 1;
        let quote = Quote { ts, bid: 1.0, ask: 2.0, bid_size: 1.0, ask_size: 1.0 };
        Some(MarketEvent::Quotes { ts, quotes: all.map(|ix| (ix, quote)).collect() })
    }
}

/// What the house hears: events as seconds with the number of symbols, a new table as the closes in its history.
struct House(Arc<Mutex<Vec<String>>>);

impl Actor for House {
    type Context = Context<Self>;
}

impl Handler<Tell> for House {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        let word = match tell {
            Tell::Input(Input::Market(MarketEvent::Quotes { ts, quotes })) => {
                format!("q{} x{}", ts.secs(), quotes.len())
            }
            Tell::Input(Input::Market(MarketEvent::Frame(frame))) => {
                format!("f{} x{}", frame.ts.secs(), frame.bars.len())
            }
            Tell::Input(Input::Grow { history, .. }) => {
                format!("grow {:?}", history.iter().map(|frame| frame.ts.secs()).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(word);
    }
}

struct Scene {
    market: Addr<Market>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new(speed: Speed) -> Self {
        let (link, heard) = (HouseLink::default(), Arc::<Mutex<Vec<String>>>::default());
        link.bind(House(Arc::clone(&heard)).start().recipient());
        Self { market: Market::new(Ticks::at(1, 1), Ts::EPOCH, speed, link).start(), heard }
    }

    /// Pulls, and waits until the house has heard so much.
    async fn pull(&self, heard: usize) {
        self.market.send(Pull).await.unwrap();
        let end = Instant::now() + PATIENCE;
        while self.heard.lock().unwrap().len() < heard {
            assert!(Instant::now() < end, "{:?}", self.heard.lock().unwrap());
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn grow(&self, from: i64) -> Result<(), String> {
        self.market.send(Grow { feed: Ticks::at(2, from), setup: setup() }).await.unwrap()
    }
}

#[actix_rt::test]
async fn nothing_is_left_out_or_given_twice_wherever_the_new_feed_begins() {
    // After quotes whose frame is still due, after a frame, and before anything was given.
    for (before, past) in [(3, "grow []"), (4, "grow [3]"), (0, "grow []")] {
        let scene = Scene::new(Speed::Unbounded);
        for n in 1..=before {
            scene.pull(n).await;
        }
        scene.grow(1).await.unwrap();
        for n in 1..=6 - before {
            scene.pull(before + 1 + n).await;
        }
        let words = ["q1", "q2", "q3", "f3", "q4", "q5"];
        let mut wanted: Vec<String> =
            words.iter().enumerate().map(|(at, word)| format!("{word} x{}", if at < before { 1 } else { 2 })).collect();
        wanted.insert(before, past.to_owned());
        assert_eq!(*scene.heard.lock().unwrap(), wanted);
    }
}

#[actix_rt::test]
async fn an_event_that_waits_for_its_time_is_given_by_the_new_feed() {
    // The first event sets the clock; the second is an hour away.
    let scene = Scene::new(Speed::Times(1.0 / 3_600.0));
    scene.pull(1).await;
    scene.market.send(Pull).await.unwrap();
    scene.grow(1).await.unwrap();
    assert_eq!(*scene.heard.lock().unwrap(), ["q1 x1", "grow []"], "at once, and nothing before its time");
}

#[actix_rt::test]
async fn a_market_that_has_ended_cannot_grow() {
    #[derive(Debug)]
    struct Nothing;
    impl Feed for Nothing {
        fn history(&mut self, _: usize) -> Vec<Frame> {
            Vec::new()
        }
        fn next_event(&mut self) -> Option<MarketEvent> {
            None
        }
    }
    let market = Market::new(Box::new(Nothing), Ts::EPOCH, Speed::Unbounded, HouseLink::default()).start();
    market.send(Pull).await.unwrap();
    let refused = market.send(Grow { feed: Ticks::at(1, 1), setup: setup() }).await.unwrap();
    assert_eq!(refused.unwrap_err(), "the market has ended");
}
