//! Leads the backtester through a recorded day.

use std::collections::BTreeMap;

use levibot_core::account::Account;
use levibot_core::backtest::{Opening, Rerun};
use levibot_core::domain::{Bar, Ix, MarketEvent, Symbol, Ts};
use levibot_core::engine::{Core, EngineSetup, StrategyPolicy};
use levibot_core::fills::PaperSetup;
use levibot_core::record::Record;

use super::day::{self, Coming, Day, Step};
use super::follow::Held;

/// What the backtest made of the day.
#[derive(Debug)]
pub(super) struct Driven {
    pub(super) records: Vec<(Ts, Record)>,
    /// Account currency.
    pub(super) equity: f64,
    /// The last price of each symbol, quote currency.
    pub(super) marks: BTreeMap<Symbol, f64>,
    /// Market events.
    pub(super) events: u64,
    /// When both sides were made alike, and what was held then: first of all in the beginning.
    pub(super) held: Vec<(Ts, Held)>,
    /// What could not be followed, in words.
    pub(super) faults: Vec<String>,
}

/// What an account holds, and when it does.
fn held(account: &Account) -> (Ts, Held) {
    let state = account.state();
    let net = state.books().iter().map(|book| (book.symbol(), book.net())).collect();
    let open = state.orders().map(|order| (order.order.id, order.order.symbol)).collect();
    (state.ts(), Held { net, open })
}

/// Runs the day again. What it is made of is used up.
pub(super) fn drive(day: &mut Day, paper: PaperSetup, spare: StrategyPolicy) -> Driven {
    let account = day.account.clone();
    let beginning = held(&account);
    let venue = day.venue.take().unwrap_or_else(|| day::venue_of(paper, account.state().setup(), day.past.iter()));
    let opening = Opening { account, asked: day::nothing(), venue };
    let mut engines = std::mem::take(&mut day.engines);
    let mut rerun = Rerun::new(opening, &day.forecasts, spare);
    for (ix, core) in engines.drain(..) {
        rerun.place(ix, core);
    }
    let mut driver = Driver {
        rerun,
        paper,
        life: 1,
        past: std::mem::take(&mut day.past),
        coming: std::mem::take(&mut day.coming),
        records: Vec::new(),
        begun: 0,
        marks: BTreeMap::new(),
        events: 0,
        held: vec![beginning],
        faults: Vec::new(),
    };
    for step in std::mem::take(&mut day.steps) {
        driver.step(step);
    }
    if let Some(cut) = day.cut {
        driver.cut(cut);
    }
    Driven {
        equity: driver.rerun.account().equity(),
        records: driver.records,
        marks: driver.marks,
        events: driver.events,
        held: driver.held,
        faults: driver.faults,
    }
}

struct Driver<'a> {
    rerun: Rerun<'a>,
    paper: PaperSetup,
    life: u32,
    past: Vec<(Ts, Record)>,
    coming: BTreeMap<Ix, std::collections::VecDeque<Coming>>,
    records: Vec<(Ts, Record)>,
    /// Records when this life began.
    begun: usize,
    marks: BTreeMap<Symbol, f64>,
    events: u64,
    held: Vec<(Ts, Held)>,
    faults: Vec<String>,
}

impl Driver<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Market(seq, event) => {
                self.rerun.count_from(seq);
                self.market(&event);
            }
            Step::Control(ts, seq, event) => {
                self.rerun.count_from(seq);
                self.rerun.control(ts, &event);
            }
            Step::Remember(ix, bar) => self.rerun.remember(ix, &bar),
            Step::Setup(ts, setup) => {
                if let Err(error) = self.rerun.reconfigure(ts, *setup) {
                    self.faults.push(format!("the setup of {ts} cannot follow: {error}"));
                }
            }
            Step::Start(ts, started) => self.restart(ts, *started),
            Step::Reopen { account, venue, cut } => {
                if let Some(cut) = cut {
                    self.cut(cut);
                }
                self.life += 1;
                self.begun = self.records.len();
                self.held.push(held(&account));
                let fresh = || day::venue_of(self.paper, account.state().setup(), self.past.iter());
                let venue = venue.map_or_else(fresh, |venue| *venue);
                self.rerun.reopen(Opening { account: *account, asked: day::nothing(), venue });
            }
        }
        self.records.append(&mut self.rerun.records());
    }

    fn restart(&mut self, ts: Ts, started: Record) {
        self.life += 1;
        let Record::Started { setup, .. } = &started else { return };
        let records = self.past.iter().chain(self.records.iter().filter(|(_, record)| day::is_of_venue(record)));
        let venue = day::venue_of(self.paper, setup, records);
        if let Err(error) = self.rerun.restart(ts, started, venue) {
            self.faults.push(format!("the start of {ts} cannot follow: {error}"));
        }
        self.begun = self.records.len();
    }

    /// What was done from `ts` on in this life has no counterpart on record.
    fn cut(&mut self, cut: Ts) {
        let (begun, mut at) = (self.begun, 0);
        self.records.retain(|(ts, _)| (at < begun || *ts < cut, at += 1).0);
    }

    fn market(&mut self, event: &MarketEvent) {
        self.events += 1;
        match event {
            MarketEvent::Quotes { quotes, .. } => {
                for (ix, quote) in quotes.iter().filter(|(_, quote)| quote.is_sound()) {
                    self.mark(*ix, quote.mid());
                }
            }
            MarketEvent::Frame(frame) => {
                for (ix, bar) in &frame.bars {
                    self.mark(*ix, bar.close);
                    self.come(*ix, bar);
                }
            }
        }
        self.rerun.market(event);
    }

    fn mark(&mut self, ix: Ix, price: f64) {
        if let Some(book) = self.rerun.account().state().book(ix) {
            self.marks.insert(book.symbol(), price);
        }
    }

    /// An engine that was given this bar first of all takes its place before it.
    fn come(&mut self, ix: Ix, bar: &Bar) {
        let Some(queue) = self.coming.get_mut(&ix) else { return };
        while queue.front().is_some_and(|coming| coming.life < self.life || (coming.first.is_none() && queue.len() > 1))
        {
            queue.pop_front();
        }
        let is_it = |coming: &Coming| coming.life == self.life && coming.first == Some(bar.open_ts);
        if !queue.front().is_some_and(is_it) {
            return;
        }
        if let Some(Coming { past, strategy, .. }) = queue.pop_front() {
            let timeframe = self.rerun.account().state().timeframe();
            let mut core = Core::new(EngineSetup::new(ix, timeframe, strategy));
            past.iter().for_each(|(bar, context)| core.prime(bar, context));
            self.rerun.place(ix, core);
        }
    }
}
