//! Tables that are made up, and small models of them.

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Bar, Symbol, Timeframe, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::{INPUTS, WINDOW};

use super::super::inputs::{KNOWN, calendar, place};
use super::super::{Tft, TftHistory, TftInput};
use crate::dataset::{Outcome, Sample, SymbolTable, Table};
use crate::progress::Silent;
use crate::settings::TftSettings;

/// Usual size of a bar's log return.
pub(super) const MOVE: f64 = 0.01;

/// Roughly normal: the sum of twelve uniform draws.
pub(super) fn noise(key: u64, n: u64) -> f64 {
    (0..12).map(|k| unit_draw(key.wrapping_add(k * 7_919), n)).sum::<f64>() - 6.0
}

/// A symbol whose log return over bar `n` is `step(n)`; `fill` may write columns of row `n` besides the calendar and
/// the volatility, which is [`MOVE`].
pub(super) fn series(
    name: &str,
    bars: usize,
    horizon: usize,
    step: impl Fn(usize) -> f64,
    fill: impl Fn(usize, &mut [f32]),
) -> SymbolTable {
    let timeframe = Timeframe::HOUR;
    let start = Ts::from_secs(1_700_006_400);
    let mut close = 100.0;
    let (mut list, mut rows) = (Vec::new(), Vec::new());
    for n in 0..bars {
        let open_ts = start + timeframe.span().times(i64::try_from(n).unwrap());
        close *= step(n).exp();
        list.push(Bar { open_ts, open: close, high: close, low: close, close, volume: 1.0 });
        let mut row = vec![0.0; INPUTS];
        row[place(FeatureId::EwmaVolatility)] = MOVE as f32;
        row[place(FeatureId::LogReturn1)] = step(n) as f32;
        KNOWN.iter().zip(calendar(open_ts)).for_each(|(id, x)| row[place(*id)] = x);
        fill(n, &mut row);
        rows.extend(row);
    }
    let outcomes = (0..bars)
        .map(|at| {
            let later: &Bar = list.get(at + horizon)?;
            let log_return = (later.close / list[at].close).ln();
            let label = (log_return.abs() > 0.1 * MOVE).then_some(log_return > 0.0);
            Some(Outcome { log_return, label, resolves: later.close_ts(timeframe) })
        })
        .collect();
    SymbolTable { symbol: symbol(name), bars: list, rows, outcomes, first: WINDOW - 1 }
}

pub(super) fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

pub(super) fn table(horizon: usize, series: Vec<SymbolTable>) -> Table {
    Table { timeframe: Timeframe::HOUR, horizon_bars: u32::try_from(horizon).unwrap(), series }
}

/// Samples of all symbols in a stretch of time, as shares of the series.
pub(super) fn samples(table: &Table, from: f64, to: f64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (series, symbol) in (0_u32..).zip(&table.series) {
        let bars = symbol.bars.len() as f64;
        let (from, to) = ((bars * from) as usize, (bars * to) as usize - table.horizon_bars as usize);
        samples.extend((from.max(symbol.first)..to).map(|at| Sample { series, at: u32::try_from(at).unwrap() }));
    }
    samples
}

pub(super) fn settings() -> TftSettings {
    TftSettings {
        hidden: 8,
        heads: 2,
        window: 8,
        dropout: 0.05,
        learning_rate: 0.01,
        batch: 128,
        epochs: 4,
        patience: 4,
        windows_per_epoch: 2_560,
    }
}

/// Trains on the first 70 %, keeps what is best on the next 10 %.
pub(super) fn train(table: &Table, columns: &[FeatureId], settings: &TftSettings) -> (Tft, TftHistory) {
    let (train, validation) = (samples(table, 0.0, 0.7), samples(table, 0.7, 0.8));
    Tft::train(table, &train, &validation, columns, settings, 7, 1, &Silent).unwrap()
}

pub(super) fn input(table: &Table, sample: Sample) -> TftInput<'_> {
    TftInput { symbol: table.series_of(sample).symbol, bar: table.close_ts(sample), window: table.window(sample) }
}

/// A model that has learnt next to nothing, quickly.
pub(super) fn hasty(hidden: u32, heads: u32, horizon: usize) -> (Table, Tft) {
    let walk = |key: u64| {
        series(
            if key == 1 { "AAA" } else { "BBB" },
            400,
            horizon,
            move |n| MOVE * noise(key, n as u64),
            move |n, row| row[place(FeatureId::Rsi14)] = unit_draw(key, n as u64) as f32,
        )
    };
    let table = table(horizon, vec![walk(1), walk(2)]);
    let few = TftSettings { hidden, heads, epochs: 1, windows_per_epoch: 512, window: 10, ..settings() };
    let (model, _) = train(&table, &[FeatureId::LogReturn1, FeatureId::Rsi14], &few);
    (table, model)
}
