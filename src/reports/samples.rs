//! A backtest as a driver would tell it: positions turned over every few bars on a drawn price, all sums consistent.

use std::collections::BTreeMap;

use levibot_core::backtest::{FillRow, Outcome, Point, Summary, SummaryOptions, SymbolSums, Trials, Trip, summarise};
use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Direction, ExitReason, Money, Side, Symbol, Timeframe, Ts};
use levibot_core::regime::{Activity, Regime, Trend};
use levibot_core::statistics::overfitting;

use super::{Figures, PolicyText, Report, Sweep, SweepRow, Window};

const FEE: f64 = 0.0005;
const FIRST: i64 = 1_577_836_800;

pub(super) const SOURCE: &str = "# </pre><script>alert('mine')</script> & \"more\"\nname: ema_cross\nenter_long: ema(close, fast) > ema(close, slow)\n";

fn money(value: f64) -> Money {
    Money::approx(value).unwrap()
}

fn at(bar: usize) -> Ts {
    Ts::from_secs(FIRST + 3_600 * i64::try_from(bar).unwrap())
}

/// What is written down while the bars go by.
struct Book {
    symbol: Symbol,
    cash: f64,
    fees: f64,
    qty: f64,
    entry: Option<(usize, f64)>,
    trips: Vec<Trip>,
    executions: Vec<FillRow>,
}

impl Book {
    fn fill(&mut self, bar: usize, qty: f64, price: f64, exit: Option<ExitReason>) {
        let fee = qty.abs() * price * FEE;
        self.cash -= qty * price + fee;
        self.fees += fee;
        self.executions.push(FillRow {
            ts: at(bar),
            symbol: self.symbol,
            side: if qty > 0.0 { Side::Buy } else { Side::Sell },
            qty: qty.abs(),
            price,
            fee,
            reference: price,
            exit,
        });
    }

    fn leave(&mut self, bar: usize, price: f64, exit: Option<ExitReason>) {
        let Some((entered, entry_price)) = self.entry.take() else { return };
        let gross = self.qty * (price - entry_price);
        let fees = self.qty.abs() * (entry_price + if exit.is_some() { price } else { 0.0 }) * FEE;
        let moved = (price / entry_price - 1.0).abs();
        self.trips.push(Trip {
            symbol: self.symbol,
            direction: if self.qty > 0.0 { Direction::Long } else { Direction::Short },
            entered: at(entered),
            left: exit.map(|_| at(bar)),
            bars: u32::try_from(bar - entered).unwrap(),
            qty: self.qty.abs(),
            entry_price,
            exit_price: price,
            gross,
            fees,
            funding: 0.0,
            net: gross - fees,
            adverse: moved * 0.6,
            favourable: moved * 1.3,
            exit,
            regime: Regime {
                trend: [Trend::Up, Trend::Down, Trend::Range][entered % 3],
                activity: [Activity::Calm, Activity::Usual, Activity::Wild][entered % 7 % 3],
            },
        });
        if exit.is_some() {
            self.fill(bar, -self.qty, price, exit);
        }
    }
}

/// So many hourly bars from 2020 on; a position is turned over now and then, where it is to trade at all. `drift` is added to
/// the price at each bar, a fraction.
pub(super) fn outcome(bars: usize, trades: bool, drift: f64) -> Outcome {
    let symbol: Symbol = "BTCUSDT".parse().unwrap();
    let initial = 100_000.0;
    let mut book = Book { symbol, cash: initial, fees: 0.0, qty: 0.0, entry: None, trips: vec![], executions: vec![] };
    let mut price = 20_000.0;
    let mut curve = Vec::new();
    let reasons = [ExitReason::Reverse, ExitReason::Stop, ExitReason::Target, ExitReason::Signal];
    for bar in 0..bars {
        if trades && bar > 20 && unit_draw(7, bar as u64) < 0.03 {
            book.leave(bar, price, Some(reasons[bar % 4]));
            book.qty = if unit_draw(11, bar as u64) < 0.5 { 3.0 } else { -3.0 };
            book.entry = Some((bar, price));
            let qty = book.qty;
            book.fill(bar, qty, price, None);
        }
        let leaning = if book.entry.is_some() { book.qty.signum() } else { 0.0 };
        price *= 1.0 + (unit_draw(3, bar as u64) - 0.5) * 0.012 + drift * leaning;
        let held = if book.entry.is_some() { book.qty * price } else { 0.0 };
        curve.push(Point { ts: at(bar + 1), equity: book.cash + held, gross: held.abs(), net: held });
    }
    let last = bars.saturating_sub(1);
    book.leave(last, price, None);
    let final_equity = curve.last().map_or(initial, |point| point.equity);
    let fills = book.executions.len() as u64;
    let turnover = book.executions.iter().map(|fill| fill.qty * fill.price).sum();
    let sums = SymbolSums { bars: bars as u64, fills, turnover, fees: money(book.fees), ..SymbolSums::default() };
    Outcome {
        timeframe: Timeframe::HOUR,
        from: (bars > 0).then(|| at(1)),
        to: (bars > 0).then(|| at(bars)),
        bars: bars as u64,
        frames: bars as u64,
        orders: fills,
        fills,
        decisions: fills,
        unanswered: 0,
        refused: BTreeMap::from([("leverage".to_owned(), 3)]),
        turnover,
        slippage: 0.0,
        fees: money(book.fees),
        funding: Money::ZERO,
        net_pnl: money(final_equity) - money(initial),
        initial_equity: money(initial),
        final_equity: money(final_equity),
        leverage_max: curve.iter().map(|point| point.gross / point.equity).fold(0.0, f64::max),
        halts: vec![(at(5), "daily loss <b>5 %</b>".to_owned())],
        curve,
        trips: book.trips,
        executions: book.executions,
        symbols: BTreeMap::from([(symbol, sums)]),
    }
}

pub(super) fn summary(outcome: &Outcome, trials: Option<Trials>) -> Summary {
    summarise(outcome, &SummaryOptions { resamples: 200, trials, ..SummaryOptions::default() })
}

/// A grid of 12 x 8 runs.
pub(super) fn sweep() -> Sweep {
    let figures = |fast: f64, slow: f64| Figures {
        net_pnl: (slow - fast) * 40.0 - 3_000.0,
        total_return: Some(((slow - fast) * 40.0 - 3_000.0) / 100_000.0),
        sharpe: Some((slow / 60.0).sin() - fast / 40.0 + 0.4),
        max_drawdown: Some(0.1 + fast / 300.0),
        trades: 120,
        fills: 240,
    };
    let grid = (1..=12).flat_map(|fast| (1..=8).map(move |slow| (f64::from(fast) * 5.0, f64::from(slow) * 25.0)));
    let rows = grid.map(|(fast, slow)| SweepRow { values: vec![fast, slow], figures: figures(fast, slow) }).collect();
    let returns: Vec<Vec<f64>> =
        (0..8).map(|trial| (0..400).map(|period| unit_draw(trial, period) - 0.49).collect()).collect();
    Sweep {
        parameters: vec!["fast".to_owned(), "slow".to_owned()],
        chosen_by: "Sharpe ratio".to_owned(),
        rows,
        chosen: Some(3),
        overfitting: overfitting(&returns, 8),
    }
}

pub(super) fn windows() -> Vec<Window> {
    let figures = |n: usize, key| Figures {
        net_pnl: (unit_draw(key, n as u64) - 0.45) * 9_000.0,
        total_return: Some((unit_draw(key, n as u64) - 0.45) * 0.09),
        sharpe: Some((unit_draw(key, n as u64) - 0.45) * 4.0),
        max_drawdown: Some(0.08),
        trades: 31,
        fills: 62,
    };
    let window = |n: usize| Window {
        train_from: at(n * 2_160),
        train_to: at((n + 4) * 2_160),
        from: at((n + 4) * 2_160),
        to: at((n + 5) * 2_160),
        parameters: vec![("fast".to_owned(), 10.0), ("slow".to_owned(), 50.0)],
        train: Figures { sharpe: Some(1.4 + unit_draw(5, n as u64)), ..figures(n, 5) },
        test: figures(n, 9),
    };
    (0..8).map(window).collect()
}

/// What a report is made of, so that it can be borrowed.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) outcome: Outcome,
    pub(super) summary: Summary,
    pub(super) symbols: Vec<Symbol>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) costs: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
    pub(super) data: Vec<String>,
    pub(super) parameters: Vec<(String, f64)>,
    pub(super) sweep: Option<Sweep>,
    pub(super) windows: Vec<Window>,
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Sample {
    /// One run, nothing tried beside it.
    pub(super) fn plain(outcome: Outcome) -> Self {
        let summary = summary(&outcome, None);
        Self {
            outcome,
            summary,
            symbols: vec!["BTCUSDT".parse().unwrap()],
            settings: owned(&[("zeta", "first <as given>"), ("alpha", "second"), ("limits", "none")]),
            costs: owned(&[("fees", "5 bps a side"), ("slippage", "none")]),
            notes: vec!["limits: none <really>".to_owned()],
            data: vec!["BTCUSDT-1h.csv: 26,280 bars".to_owned()],
            parameters: vec![("fast".to_owned(), 10.0), ("slow".to_owned(), 20.0)],
            sweep: None,
            windows: Vec::new(),
        }
    }

    /// With a sweep and windows.
    pub(super) fn chosen(outcome: Outcome) -> Self {
        let trials = Trials { count: 96, sharpe_variance: 0.5 };
        let summary = summary(&outcome, Some(trials));
        Self { summary, sweep: Some(sweep()), windows: windows(), ..Self::plain(outcome) }
    }

    pub(super) fn report(&self) -> Report<'_> {
        Report {
            policy: PolicyText { name: "ema_cross <script>", source: SOURCE, parameters: &self.parameters },
            symbols: &self.symbols,
            currency: "USDT",
            settings: &self.settings,
            costs: &self.costs,
            data: &self.data,
            notes: &self.notes,
            seconds: 0.25,
            build: "0.1.0",
            outcome: &self.outcome,
            summary: &self.summary,
            sweep: self.sweep.as_ref(),
            windows: &self.windows,
        }
    }
}
