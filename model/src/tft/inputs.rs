//! What the network is shown: normalised columns of past bars, the calendar of future ones, the scale of moves.

use levibot_core::domain::{Span, Symbol, Timeframe, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::{INPUTS, input_ids};
use serde::{Deserialize, Serialize};

use super::TftError;
use crate::dataset::{Sample, Table};

/// Known of every bar, past or future. Their order is that of [`calendar`].
pub(super) const KNOWN: [FeatureId; 4] = [FeatureId::DaySin, FeatureId::DayCos, FeatureId::WeekSin, FeatureId::WeekCos];
/// Future bars that are forecast together, at most.
const STEPS_MAX: u32 = 4;
/// Normalised values are held to this many standard deviations.
const SIGMAS: f64 = 5.0;
/// Volatility is taken as no smaller than this share of its mean over the training set: a target is divided by it.
const FLOOR_SHARE: f64 = 0.1;

/// How inputs are made of rows: frozen when the model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    /// Bar length.
    pub(super) timeframe: Timeframe,
    /// Past bars that are looked at.
    pub(super) window: usize,
    /// Future bars that are forecast, ascending; the last is the horizon.
    pub(super) steps: Vec<u32>,
    /// Variables of a past step, the calendar among them.
    pub(super) columns: Vec<FeatureId>,
    /// Mean of each column over the training set.
    pub(super) means: Vec<f64>,
    /// Standard deviation of each column over the training set; 0 for one that is constant.
    pub(super) deviations: Vec<f64>,
    /// Volatility is taken as no smaller than this, a fraction of price a bar.
    pub(super) volatility_floor: f64,
    /// Symbols of the training set in order.
    pub(super) symbols: Vec<KnownSymbol>,
}

/// A symbol that the network has learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownSymbol {
    /// Its name.
    pub(super) symbol: Symbol,
    /// How much it usually moves, in standard deviations of all symbols from their mean; 0 is usual.
    pub(super) level: f64,
}

/// Place of a feature in a row.
pub(super) fn place(id: FeatureId) -> usize {
    input_ids().iter().position(|input| *input == id).unwrap_or(INPUTS)
}

/// The columns of a past step: those that are asked for, once each, and the calendar, in the order of a row.
pub(super) fn past_columns(columns: &[FeatureId]) -> Vec<FeatureId> {
    input_ids().iter().copied().filter(|id| columns.contains(id) || KNOWN.contains(id)).collect()
}

/// Up to four bars evenly on the way to the horizon, which is the last.
pub(super) fn future_steps(horizon_bars: u32) -> Vec<u32> {
    let count = STEPS_MAX.min(horizon_bars).max(1);
    (1..=count).map(|k| (horizon_bars * k).div_ceil(count).max(1)).collect()
}

/// The calendar of the bar that opens at `open`, by the formulas of [`KNOWN`].
#[expect(clippy::cast_possible_truncation, reason = "sines and cosines")]
pub(super) fn calendar(open: Ts) -> [f32; KNOWN.len()] {
    let turn = |turns: f64| (std::f64::consts::TAU * turns).sin_cos();
    let day = turn(open.time_of_day().nanos() as f64 / Span::DAY.nanos() as f64);
    let week = turn(open.weekday() as f64 / 7.0);
    [day.0 as f32, day.1 as f32, week.0 as f32, week.1 as f32]
}

impl Inputs {
    /// Takes the statistics of the training samples, and of nothing else.
    pub(super) fn fit(table: &Table, train: &[Sample], columns: &[FeatureId], window: usize) -> Result<Self, TftError> {
        let columns = past_columns(columns);
        if columns.len() == KNOWN.len() {
            return Err(TftError::NoColumns);
        }
        let places: Vec<usize> = columns.iter().map(|id| place(*id)).collect();
        let mut moments = vec![Moments::default(); columns.len()];
        let mut volatility = Moments::default();
        let mut levels = vec![Moments::default(); table.series.len()];
        for sample in train {
            let row = table.row(*sample);
            moments.iter_mut().zip(&places).for_each(|(moments, at)| moments.add(f64::from(row[*at])));
            let moved = f64::from(row[place(FeatureId::EwmaVolatility)]);
            volatility.add(moved);
            levels[sample.series as usize].add(moved);
        }
        let (_, usual, _) = volatility.result();
        let volatility_floor = if usual > 0.0 { FLOOR_SHARE * usual } else { f64::EPSILON };
        Ok(Self {
            timeframe: table.timeframe,
            window,
            steps: future_steps(table.horizon_bars),
            means: moments.iter().map(|moments| moments.result().1).collect(),
            deviations: moments.iter().map(|moments| moments.result().2).collect(),
            volatility_floor,
            symbols: known_symbols(table, &levels, volatility_floor),
            columns,
        })
    }

    /// The number of a symbol: 0 for one that it has not learnt from.
    pub(super) fn number(&self, symbol: Symbol) -> usize {
        self.symbols.binary_search_by_key(&symbol, |known| known.symbol).map_or(0, |at| at + 1)
    }

    /// Symbols that have a number, the unknown one included.
    pub(super) fn vocabulary(&self) -> usize {
        self.symbols.len() + 1
    }

    /// The levels of all numbers; that of the unknown symbol is the usual one.
    #[expect(clippy::cast_possible_truncation, reason = "a few standard deviations")]
    pub(super) fn levels(&self) -> Vec<f32> {
        std::iter::once(0.0).chain(self.symbols.iter().map(|known| known.level as f32)).collect()
    }

    /// The places of its columns in a row.
    pub(super) fn places(&self) -> Vec<usize> {
        self.columns.iter().map(|id| place(*id)).collect()
    }

    /// The normalised columns of a row are added to `out`; `places` are [`Self::places`].
    #[expect(clippy::cast_possible_truncation, reason = "held to a few standard deviations")]
    pub(super) fn normalise(&self, row: &[f32], places: &[usize], out: &mut Vec<f32>) {
        let frozen = self.means.iter().zip(&self.deviations);
        out.extend(places.iter().zip(frozen).map(|(at, (mean, deviation))| {
            if *deviation > 0.0 {
                ((f64::from(row[*at]) - mean) / deviation).clamp(-SIGMAS, SIGMAS) as f32
            } else {
                0.0
            }
        }));
    }

    /// The calendar of the future steps after the bar that closes at `close`.
    pub(super) fn known(&self, close: Ts, out: &mut Vec<f32>) {
        let span = self.timeframe.span();
        for step in &self.steps {
            out.extend(calendar(close + span.times(i64::from(*step) - 1)));
        }
    }

    /// The size of a usual move over each future step, as a log return: volatility of the row times the root of bars.
    pub(super) fn scales(&self, row: &[f32]) -> impl Iterator<Item = f64> {
        let volatility = f64::from(row[place(FeatureId::EwmaVolatility)]).max(self.volatility_floor);
        self.steps.iter().map(move |step| volatility * f64::from(*step).sqrt())
    }

    /// The first thing about it that cannot be meant.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let finite = |values: &[f64]| values.iter().all(|x| x.is_finite());
        let columns = self.columns.len();
        let sorted = self.symbols.windows(2).all(|pair| pair[0].symbol < pair[1].symbol);
        let levels: Vec<f64> = self.symbols.iter().map(|known| known.level).collect();
        if self.columns != past_columns(&self.columns) || columns <= KNOWN.len() {
            Some("its columns are not those of a row in their order")
        } else if self.means.len() != columns || self.deviations.len() != columns {
            Some("its statistics are not one for each column")
        } else if !finite(&self.means) || !finite(&self.deviations) || self.deviations.iter().any(|x| *x < 0.0) {
            Some("a mean or deviation is not a number that can be meant")
        } else if !(self.volatility_floor.is_finite() && self.volatility_floor > 0.0) {
            Some("its volatility floor is not over 0")
        } else if !sorted || !finite(&levels) {
            Some("its symbols are not in order, each once and with a level")
        } else if self.steps.last().is_none_or(|last| self.steps != future_steps(*last)) {
            Some("its future steps do not lead to a horizon")
        } else {
            None
        }
    }
}

/// Every symbol that has training samples, with its level: the logarithm of its mean volatility, normalised over them.
fn known_symbols(table: &Table, levels: &[Moments], floor: f64) -> Vec<KnownSymbol> {
    let logs: Vec<(Symbol, f64)> = table
        .series
        .iter()
        .zip(levels)
        .filter(|(_, moments)| moments.count > 0.0)
        .map(|(series, moments)| (series.symbol, moments.result().1.max(floor).ln()))
        .collect();
    let mut over_symbols = Moments::default();
    logs.iter().for_each(|(_, log)| over_symbols.add(*log));
    let (_, mean, deviation) = over_symbols.result();
    let level = |log: f64| if deviation > 0.0 { ((log - mean) / deviation).clamp(-SIGMAS, SIGMAS) } else { 0.0 };
    let mut symbols: Vec<KnownSymbol> =
        logs.into_iter().map(|(symbol, log)| KnownSymbol { symbol, level: level(log) }).collect();
    symbols.sort_by_key(|known| known.symbol);
    symbols
}

/// Running mean and variance (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.count += 1.0;
        let off = x - self.mean;
        self.mean += off / self.count;
        self.squares += off * (x - self.mean);
    }

    /// Count, mean, and population standard deviation, which is 0 for what only rounding sets apart.
    fn result(&self) -> (f64, f64, f64) {
        let deviation = (self.squares / self.count.max(1.0)).sqrt();
        let constant = deviation <= 1e-7 * self.mean.abs().max(1e-5);
        (self.count, self.mean, if constant { 0.0 } else { deviation })
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::{Bar, Context};
    use levibot_core::features::FeatureSet;

    use super::*;

    #[test]
    fn future_steps_lead_evenly_to_the_horizon() {
        for (horizon, wanted) in [
            (1, vec![1]),
            (3, vec![1, 2, 3]),
            (4, vec![1, 2, 3, 4]),
            (12, vec![3, 6, 9, 12]),
            (50, vec![13, 25, 38, 50]),
        ] {
            assert_eq!(future_steps(horizon), wanted);
        }
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "sines and cosines")]
    fn the_calendar_of_a_future_bar_is_what_features_will_say_of_it() {
        let timeframe: Timeframe = "4h".parse().unwrap();
        for n in 0..50 {
            let open_ts = Ts::from_secs(1_700_000_000) + timeframe.span().times(n);
            let bar = Bar { open_ts, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
            let mut features = FeatureSet::new(&KNOWN);
            features.update(&bar, &Context::default());
            let live: Vec<f32> = features.values().iter().map(|x| *x as f32).collect();
            assert_eq!(calendar(open_ts).to_vec(), live);
        }
    }
}
