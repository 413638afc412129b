//! Decisions against what happened.

use levibot_core::domain::{Direction, Forecast, Symbol, Ts};
use levibot_core::forecast::QUESTIONS_MAX;
use levibot_core::statistics::{
    Judged, Z95, accuracy, accuracy_from, brier, calibration_error, effective_size, wilson,
};
use serde::Serialize;

use super::CliError;
use crate::dataset::{Outcome, Sample, Table};
use crate::ensemble::Loaded;

/// A forecast and what became of its bar.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) symbol: Symbol,
    pub(super) bar: Ts,
    pub(super) forecast: Forecast,
    pub(super) outcome: Outcome,
    /// Whether the version has learnt from what came after the bar.
    pub(super) in_sample: bool,
}

impl Row {
    /// Whether the side was right; `None` when the move earned nobody anything.
    pub(super) fn is_hit(&self) -> Option<bool> {
        self.outcome.label.map(|up| up == (self.forecast.side() == Direction::Long))
    }

    /// What the side earned after costs, as a fraction of notional.
    pub(super) fn net(&self, round_trip_cost: f64) -> f64 {
        let gross = self.outcome.log_return.exp_m1();
        match self.forecast.side() {
            Direction::Long => gross - round_trip_cost,
            Direction::Short => -gross - round_trip_cost,
        }
    }
}

/// Asks a version about samples that have an outcome; those without one are passed over.
pub(super) fn judge(loaded: &Loaded, table: &Table, samples: &[Sample]) -> Result<Vec<Row>, CliError> {
    let metadata = loaded.metadata();
    let known: Vec<(Sample, Outcome)> =
        samples.iter().filter_map(|sample| Some((*sample, table.outcome(*sample)?))).collect();
    let mut rows = Vec::with_capacity(known.len());
    for part in known.chunks(QUESTIONS_MAX) {
        let asked: Vec<_> = part.iter().map(|(sample, _)| crate::training::question(table, *sample)).collect();
        let answers = loaded.forecast(&asked, metadata.timeframe);
        for ((one, answer), (_, outcome)) in asked.iter().zip(answers).zip(part) {
            let (symbol, bar) = (one.symbol, one.bar);
            let refused = |refusal| CliError::Refused { version: metadata.version, symbol, bar, refusal };
            let in_sample = bar <= metadata.trained_through;
            rows.push(Row { symbol, bar, forecast: answer.map_err(refused)?, outcome: *outcome, in_sample });
        }
    }
    Ok(rows)
}

/// Figures over rows. Shares are 0 to 1; what cannot be told is null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Bars.
    pub(super) bars: usize,
    /// Those of them that the version has learnt from.
    pub(super) in_sample: usize,
    /// Bars whose move exceeded the costs: accuracy and Brier are over these.
    pub(super) decisive: usize,
    /// About how many of them are independent: outcomes overlap.
    pub(super) independent: f64,
    /// Share of right sides.
    pub(super) accuracy: Option<f64>,
    /// Its 95 % interval, overlap taken into account.
    pub(super) accuracy_95: Option<[f64; 2]>,
    /// What always saying "up" would have had.
    pub(super) always_up: Option<f64>,
    /// Mean squared error of the probability; 0.25 is a coin's.
    pub(super) brier: Option<f64>,
    /// Expected calibration error.
    pub(super) calibration_error: Option<f64>,
    /// The confidence from which it speaks.
    pub(super) threshold: f64,
    /// Share of bars on which it speaks.
    pub(super) coverage: f64,
    /// Share of right sides where it speaks.
    pub(super) accuracy_spoken: Option<f64>,
    /// Mean of what a trade earned where it speaks, net of a round trip, as a fraction of notional.
    pub(super) net_mean_spoken: Option<f64>,
}

impl Summary {
    /// Of the rows of `symbols` symbols.
    pub(super) fn of(rows: &[Row], symbols: usize, horizon_bars: u32, round_trip_cost: f64, threshold: f64) -> Self {
        let judged: Vec<Judged> = rows
            .iter()
            .filter_map(|row| Some(Judged { probability: row.forecast.prob_up, happened: row.outcome.label? }))
            .collect();
        let spoken: Vec<&Row> = rows.iter().filter(|row| row.forecast.confidence() >= threshold).collect();
        let nets: Vec<f64> = spoken.iter().map(|row| row.net(round_trip_cost)).collect();
        // Symbols of one instant move together; as if they were one is the careful end.
        let independent = effective_size(judged.len(), horizon_bars, symbols.max(1) as f64);
        let all = accuracy(&judged, 1.0);
        let interval = all.and_then(|all| wilson(all.share() * independent, independent, Z95));
        let ups = judged.iter().filter(|one| one.happened).count();
        Self {
            bars: rows.len(),
            in_sample: rows.iter().filter(|row| row.in_sample).count(),
            decisive: judged.len(),
            independent: if judged.is_empty() { 0.0 } else { independent },
            accuracy: all.map(|all| all.share()),
            accuracy_95: interval.map(|bounds| [bounds.low, bounds.high]),
            always_up: (!judged.is_empty()).then(|| ups as f64 / judged.len() as f64),
            brier: brier(&judged),
            calibration_error: calibration_error(&judged),
            threshold,
            coverage: if rows.is_empty() { 0.0 } else { spoken.len() as f64 / rows.len() as f64 },
            accuracy_spoken: accuracy_from(&judged, threshold).map(|sure| sure.share()),
            net_mean_spoken: levibot_core::statistics::mean(&nets),
        }
    }

    /// For people.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        use super::out::{NOTHING, number, percent};
        let share = |x: Option<f64>| x.map_or_else(|| NOTHING.to_owned(), percent);
        let interval = self
            .accuracy_95
            .map_or_else(String::new, |[low, high]| format!(" (95 %: {} to {})", percent(low), percent(high)));
        vec![
            ("bars", format!("{}, of them in sample {}", self.bars, self.in_sample)),
            ("moves over the costs", format!("{}, about {:.0} independent", self.decisive, self.independent)),
            ("accuracy on all of them", format!("{}{interval}", share(self.accuracy))),
            ("always up", share(self.always_up)),
            ("Brier (a coin has 0.25)", number(self.brier, 4)),
            ("calibration error", number(self.calibration_error, 4)),
            ("speaks from confidence", percent(self.threshold)),
            ("coverage", percent(self.coverage)),
            ("accuracy where it speaks", share(self.accuracy_spoken)),
            ("net of costs a trade there", share(self.net_mean_spoken)),
        ]
    }
}
