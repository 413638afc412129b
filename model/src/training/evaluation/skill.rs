//! How often calls came true, and how well probabilities mean what they say.

use levibot_core::statistics::{Judged, Z95, brier, calibration_error, effective_size, log_loss, reliability, wilson};
use serde::{Deserialize, Serialize};

use super::{Told, interval, share, surest};

/// Bins of the reliability diagram.
const BINS: usize = 20;

/// Figures of the surest calls. Scores are over labelled bars: those whose price moved by more than a round trip costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// Share of bars on which the model speaks, 0 to 1.
    pub coverage: f64,
    /// The lowest confidence among them, 0.5 to 1.
    pub confidence: f64,
    /// Calls.
    pub calls: u64,
    /// Calls on labelled bars.
    pub labelled: u64,
    /// How many independent outcomes the labelled ones are worth, overlap and correlation of symbols taken off.
    pub effective: f64,
    /// Share of labelled calls that came true, 0 to 1.
    pub accuracy: Option<f64>,
    /// 95 % interval of `accuracy` by effective outcomes (Wilson 1927).
    pub interval: Option<[f64; 2]>,
    /// Share of all calls, labelled or not, after which the price moved to the side that was called by anything at all.
    pub accuracy_any_move: Option<f64>,
    /// What always calling up gives on the same labelled bars.
    pub always_up: Option<f64>,
    /// What calling the side of the 12-bar average of closes against the 26-bar one gives on the same labelled bars.
    pub ema_cross: Option<f64>,
    /// Brier score, 0 (best) to 1.
    pub brier: Option<f64>,
    /// Log loss in nats, 0 (best) or more.
    pub log_loss: Option<f64>,
    /// Expected calibration error over 10 bins, 0 (best) to 1.
    pub ece: Option<f64>,
}

/// Calls of about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// From this probability on.
    pub from: f64,
    /// Up to this one.
    pub to: f64,
    /// Labelled bars in it.
    pub count: u64,
    /// Their mean probability.
    pub said: f64,
    /// Share of them whose price rose.
    pub came: f64,
}

impl Skill {
    /// Of the share `coverage` of `told` on which the model is surest.
    pub(super) fn of(told: &[&Told], coverage: f64, horizon_bars: u32, design: f64) -> Self {
        let calls = surest(told, coverage);
        let labelled: Vec<(&Told, bool)> = calls.iter().filter_map(|told| Some((*told, told.label?))).collect();
        let judged = judged(&labelled);
        let hits = |right: &dyn Fn(&Told) -> bool| {
            share(labelled.iter().filter(|(told, up)| right(told) == *up).count(), labelled.len())
        };
        let accuracy = hits(&Told::says_up);
        let effective = if labelled.is_empty() { 0.0 } else { effective_size(labelled.len(), horizon_bars, design) };
        let moved = calls.iter().filter(|told| told.says_up() == (told.log_return > 0.0)).count();
        Self {
            coverage,
            confidence: calls.iter().map(|told| told.confidence()).fold(1.0, f64::min),
            calls: calls.len() as u64,
            labelled: labelled.len() as u64,
            effective,
            accuracy,
            interval: accuracy.and_then(|hit| interval(wilson(hit * effective, effective, Z95))),
            accuracy_any_move: share(moved, calls.len()),
            always_up: hits(&|_| true),
            ema_cross: hits(&|told| told.trend_up),
            brier: brier(&judged),
            log_loss: log_loss(&judged),
            ece: calibration_error(&judged),
        }
    }
}

/// The bins that hold something.
pub(super) fn bins(told: &[&Told]) -> Vec<Bin> {
    let labelled: Vec<(&Told, bool)> = told.iter().filter_map(|told| Some((*told, told.label?))).collect();
    let bins = reliability(&judged(&labelled), BINS).into_iter().filter(|bin| bin.count > 0);
    bins.map(|bin| Bin {
        from: bin.from,
        to: bin.to,
        count: bin.count as u64,
        said: bin.probability,
        came: bin.happened,
    })
    .collect()
}

fn judged(labelled: &[(&Told, bool)]) -> Vec<Judged> {
    labelled.iter().map(|(told, up)| Judged { probability: told.prob_up, happened: *up }).collect()
}
