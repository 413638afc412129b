//! What runs once a quote, once an order, once a bar and once an instant.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot be set up has to stop")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use levibot_core::account::{Account, AccountSetup, Action, RiskPolicy, State};
use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::*;
use levibot_core::driver::{EngineInput, Input, Output, Pace, Sequencer, VenueCommand};
use levibot_core::engine::{Core, EngineAction, EngineSetup, StrategyPolicy};
use levibot_core::fills::{PaperAccount, PaperSetup, PaperVenue, RawPaperSetup};
use levibot_core::record::Record;

const SYMBOLS: usize = 12;
const HISTORY: usize = 600;
const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 50.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 12
  rebalance_frequency: weekly
  max_correlated_positions: 12
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 500}
";

fn ix(at: usize) -> Ix {
    Ix::from_usize(at).unwrap()
}

fn setup() -> AccountSetup {
    let instrument = |at: usize| {
        let id = InstrumentId { venue: "sim".parse().unwrap(), symbol: format!("S{at:02}").parse().unwrap() };
        let raw = RawInstrument {
            id,
            base: format!("S{at:02}"),
            quote: "USDT".into(),
            tick: "0.01".parse().unwrap(),
            step: "0.001".parse().unwrap(),
            min_qty: "0.001".parse().unwrap(),
            min_notional: "5".parse().unwrap(),
        };
        raw.try_into().unwrap()
    };
    AccountSetup {
        name: "paper".into(),
        kind: AccountKind::Linear,
        currency: "USDT".into(),
        initial_cash: "10000".parse().unwrap(),
        instruments: (0..SYMBOLS).map(instrument).collect(),
        risk: RiskPolicy::from_yaml(RISK).unwrap(),
        cost_per_side: 0.0005,
        resume_next_day: false,
        unlimited: false,
    }
}

fn venue() -> PaperVenue {
    let raw = RawPaperSetup {
        seed: 7,
        fee: 0.0005,
        spread: 0.0002,
        slippage: 0.0001,
        latency: Span::from_millis(50),
        participation: 1.0,
        funding: 0.0,
    };
    let account = setup();
    PaperVenue::new(PaperSetup::try_from(raw).unwrap(), &PaperAccount::from(&account), &account.instruments)
}

fn core(ix: Ix) -> Core {
    let text = "
policy:
  name: bench
  entry: {long: 'crosses_above(ema(close, 5), ema(close, 20))', short: 'crosses_below(ema(close, 5), ema(close, 20))'}
  bracket: {stop: 2 * atr(14), target: 4 * atr(14), time: 48}
  volatility: atr(14) / close
";
    Core::new(EngineSetup::new(ix, Timeframe::MINUTE, StrategyPolicy::from_yaml(text).unwrap()))
}

fn account(now: Ts) -> Account {
    let started = Record::Started {
        run: "bench".parse().unwrap(),
        timeframe: Timeframe::MINUTE,
        config_hash: String::new(),
        setup: Box::new(setup()),
    };
    Account::open(now, started, &mut Actions::new()).unwrap()
}

/// Made-up random walks.
fn frames(count: usize) -> Vec<Frame> {
    let mut price = [100.0_f64; SYMBOLS];
    let mut frame = |at: usize| {
        let open_ts = Ts::from_secs(1_654_041_600 + 60 * i64::try_from(at).unwrap());
        let before = price;
        let bars = price.iter_mut().enumerate().map(|(symbol, price)| {
            let draw = |n: u64| unit_draw(symbol as u64 + 1, at as u64 * 4 + n) - 0.5;
            let open = *price;
            *price = open * (1.0 + 0.004 * draw(0));
            let (high, low) = (open.max(*price) * 1.0005, open.min(*price) * 0.9995);
            (ix(symbol), Bar { open_ts, open, high, low, close: *price, volume: 1e6 })
        });
        let bars = bars.collect();
        let context = Context::of(before.into_iter().zip(price));
        Frame { ts: open_ts + Span::MINUTE, bars, missing: Vec::new(), context }
    };
    (0..count).map(&mut frame).collect()
}

fn enter(at: usize, bar: Ts) -> Event {
    let bracket = BracketSpec { stop: Some(50.0), target: Some(50.0), trailing: None, time_exit: None };
    let intent = Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 0.02,
        reference: 100.0,
        size: Size::Account,
        bracket,
    };
    let intent = Some(intent);
    Event::Decision(Decision { instrument: ix(at), bar, policy: 7, features: 9, forecast: None, intent })
}

/// A decision through every check, its order to the venue, and its fill into the ledger.
fn trade(account: &mut Account, at: usize, now: Ts) -> usize {
    let (mut out, mut records) = (Actions::new(), 0);
    account.step(&enter(at, now), now, &mut out);
    let mut order = None;
    for action in out.drain() {
        match action {
            Action::Submit(approved) => order = Some(Order::clone(&approved)),
            Action::Record(_) => records += 1,
            _ => {}
        }
    }
    let order = order.unwrap();
    let price: Price = "100".parse().unwrap();
    let fee = "0.25".parse().unwrap();
    let Order { id, symbol, side, qty, .. } = order;
    let fill = Fill { order: id, trade_id: 1, symbol, side, price, qty, fee, commission: None, ts: now };
    for report in [
        Report::Accepted { order: id },
        Report::Fill(fill),
        Report::Done { order: id, reason: DoneReason::Filled, text: None },
    ] {
        account.step(&Event::Report(report), now, &mut out);
    }
    records + out.drain().filter(|a| matches!(a, Action::Record(_))).count()
}

fn quoted(at: usize, now: Ts, bid: f64) -> Event {
    let quote = Quote { ts: now, bid, ask: bid + 0.02, bid_size: 10.0, ask_size: 10.0 };
    Event::Quote { instrument: ix(at), quote }
}

fn warm_account(now: Ts) -> Account {
    let mut account = account(now);
    (0..SYMBOLS).for_each(|at| account.step(&quoted(at, now, 100.0), now, &mut Actions::new()));
    account
}

fn accounts(c: &mut Criterion) {
    let now = Ts::from_secs(1_654_041_600);
    let mut busy = warm_account(now);
    (0..SYMBOLS).for_each(|at| assert!(trade(&mut busy, at, now) >= 5));
    let (mut out, mut n) = (Actions::new(), 0_u32);
    c.bench_function("account: a quote with 12 open positions", |b| {
        b.iter(|| {
            n = n.wrapping_add(1);
            let event = quoted(n as usize % SYMBOLS, now, 100.0 + f64::from(n % 7) * 0.01);
            busy.step(black_box(&event), now, &mut out);
            out.drain().count()
        });
    });
    c.bench_function("account: an order from decision to done", |b| {
        b.iter_batched_ref(|| warm_account(now), |account| trade(account, 3, now), BatchSize::SmallInput);
    });
}

/// An order of `fills` parts from its intent to its end, as records into the ledger.
fn book(state: &mut State, n: u64, fills: u64) {
    let (symbol, now) = ("S00".parse().unwrap(), Ts::from_nanos(i64::try_from(n).unwrap()));
    let id: OrderId = format!("lb-{n}").parse().unwrap();
    let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let (part, price): (Qty, Price) = ("0.003".parse().unwrap(), "100.07".parse().unwrap());
    let qty = (0..fills).fold(Qty::ZERO, |sum, _| sum + part);
    let (cause, reserved) = (Cause::Command { seq: n }, "1".parse().unwrap());
    let order = Order { id, symbol, side, leg: Leg::Entry, qty, cause, attempt: 1, trigger: None, created: now };
    state.apply(now, &Record::Intent { order, reserved, bracket: None }).unwrap();
    state.apply(now, &Record::Accepted { order: id }).unwrap();
    for at in 0..fills {
        let (trade_id, fee) = (n * fills + at, "0.00015".parse().unwrap());
        let fill = Fill { order: id, trade_id, symbol, side, price, qty: part, fee, commission: None, ts: now };
        state.apply(now, &Record::Fill { fill }).unwrap();
    }
    state.apply(now, &Record::Done { order: id, reason: DoneReason::Filled, text: None }).unwrap();
}

/// What an order and a fill cost the ledger, early and late in its life: it must be the same.
fn ledgers(c: &mut Criterion) {
    const ORDERS: u64 = 90_000;
    let now = Ts::from_secs(1_654_041_600);
    let mut setup = setup();
    setup.initial_cash = "100000000".parse().unwrap();
    let (run, config_hash) = ("bench".parse().unwrap(), String::new());
    let started = Record::Started { run, timeframe: Timeframe::MINUTE, config_hash, setup: Box::new(setup) };
    let young = State::open(now, &started).unwrap();
    let mut old = young.clone();
    (0..ORDERS - ORDERS / 10).for_each(|n| book(&mut old, n, 1));
    let mut group = c.benchmark_group("ledger");
    group.sample_size(20);
    group.throughput(Throughput::Elements(4_000));
    group.bench_function("4,000 fills into one position", |b| {
        b.iter_batched_ref(|| young.clone(), |state| book(state, 0, 4_000), BatchSize::LargeInput);
    });
    group.throughput(Throughput::Elements(ORDERS / 10));
    for (name, state, from) in [
        ("the first 9,000 of 90,000 orders", &young, 0),
        ("the last 9,000 of 90,000 orders", &old, ORDERS - ORDERS / 10),
    ] {
        let orders = from..from + ORDERS / 10;
        group.bench_function(name, |b| {
            let all = |state: &mut State| orders.clone().for_each(|n| book(state, n, 1));
            b.iter_batched_ref(|| state.clone(), all, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn engines(c: &mut Criterion) {
    let frames = frames(4_000);
    let mut core = core(ix(0));
    let bars: Vec<(Bar, Context)> = frames.iter().map(|f| (f.bars[0].1, f.context)).collect();
    bars[..HISTORY].iter().for_each(|(bar, context)| core.prime(bar, context));
    let warm = core.clone();
    let (mut out, mut at) = (Actions::new(), HISTORY);
    c.bench_function("engine: a bar with all features", |b| {
        b.iter(|| {
            if at == bars.len() {
                (core, at) = (warm.clone(), HISTORY);
            }
            let (bar, context) = bars[at];
            at += 1;
            core.step(&Event::Bar { instrument: ix(0), bar, context }, bar.open_ts, &mut out);
            out.drain().count()
        });
    });
    c.bench_function("engine: a snapshot", |b| b.iter(|| black_box(&warm).snapshot()));
}

/// The whole of a run in one thread: how many records it makes.
fn run(frames: &[Frame], engines: &[Core]) -> usize {
    let (history, live) = frames.split_at(HISTORY);
    let now = history.last().unwrap().ts;
    let mut sequencer = Sequencer::new(Pace::Lockstep, account(now), now);
    sequencer.remember(history);
    let (mut venue, mut live, mut records) = (venue(), live.iter(), 0);
    let mut engines: Vec<Core> = engines.to_vec();
    let (mut out, mut inputs) = (Actions::new(), VecDeque::new());
    let (mut reports, mut actions) = (Actions::new(), Actions::new());
    sequencer.begin(&mut out);
    inputs.extend((0..SYMBOLS).map(|at| Input::Attach { instrument: ix(at), generation: 1 }));
    loop {
        for output in out.drain() {
            match output {
                Output::Record(..) => records += 1,
                Output::Venue(now, command) => {
                    match command {
                        VenueCommand::Market(events) => {
                            events.iter().for_each(|event| venue.on_event(event, now, &mut reports));
                        }
                        VenueCommand::Submit(order) => venue.submit(order, now, &mut reports),
                        VenueCommand::Cancel(id) => venue.cancel(id, now, &mut reports),
                        VenueCommand::Query(id) => venue.tell_of(id, now, &mut reports),
                        VenueCommand::Reconcile => venue.tell_all(now, &mut reports),
                        VenueCommand::Instruments(table) => venue.set_instruments(&table),
                    }
                    inputs.push_back(Input::Venue { reports: reports.drain().collect() });
                }
                Output::Engine(instrument, EngineInput::Bar(bar, context)) => {
                    let (core, close) = (&mut engines[instrument.at()], bar.close_ts(Timeframe::MINUTE));
                    core.step(&Event::Bar { instrument, bar, context }, close, &mut actions);
                    let decision = actions.drain().find_map(|action| match action {
                        EngineAction::Decide(decision) => Some(decision),
                        EngineAction::Ask(_) => None,
                    });
                    // As often as engines give one.
                    let is_due = close.nanos() / Span::MINUTE.nanos() % 16 == 0;
                    let snapshot = is_due.then(|| core.snapshot());
                    inputs.push_back(Input::Answer { instrument, generation: 1, bar: close, decision, snapshot });
                }
                Output::Engine(instrument, EngineInput::Position(view)) => {
                    engines[instrument.at()].step(&Event::Position(view), Ts::EPOCH, &mut actions);
                }
                Output::WantMarket => inputs.push_back(match live.next() {
                    Some(frame) => Input::Market(MarketEvent::Frame(frame.clone())),
                    None => Input::MarketEnded,
                }),
                Output::Finished => return records,
                _ => {}
            }
        }
        sequencer.step(inputs.pop_front().unwrap(), &mut out);
    }
}

fn instants(c: &mut Criterion) {
    const INSTANTS: usize = 500;
    let frames = frames(HISTORY + INSTANTS);
    let engines: Vec<Core> = (0..SYMBOLS)
        .map(|at| {
            let mut core = core(ix(at));
            frames[..HISTORY].iter().for_each(|frame| core.prime(&frame.bars[at].1, &frame.context));
            core
        })
        .collect();
    assert!(run(&frames, &engines) > INSTANTS, "something is traded");
    let mut group = c.benchmark_group("sequencer");
    group.throughput(Throughput::Elements(INSTANTS as u64)).sample_size(20);
    group.bench_function("lockstep instants of 12 symbols", |b| b.iter(|| run(&frames, &engines)));
    group.finish();
}

/// What one order takes, one by one: a mean hides the orders that a trader remembers.
fn percentiles(_: &mut Criterion) {
    const ORDERS: usize = 50_000;
    let now = Ts::from_secs(1_654_041_600);
    let time = |at: usize| {
        let mut account = warm_account(now);
        let began = Instant::now();
        black_box(trade(&mut account, at % SYMBOLS, now));
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..ORDERS).map(time).collect();
    times.sort_unstable();
    let at = |per_mille: usize| times[(ORDERS - 1) * per_mille / 1_000];
    let [p50, p99, p999] = [500, 990, 999].map(at);
    let text = format!(
        "account: one order, all checks and the ledger: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?} of {ORDERS}\n"
    );
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

criterion_group!(hot_paths, accounts, ledgers, engines, instants, percentiles);
criterion_main!(hot_paths);
