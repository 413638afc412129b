//! Many sets of parameters over one market.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indicatif::ProgressBar;
use levibot_core::backtest::Trials;
use levibot_core::domain::{Span, Ts};
use levibot_core::statistics::{self, Overfitting};

use super::grid::Grid;
use super::request::Objective;
use super::trial::{Ground, Score, TrialError, best};
use super::view::{Row, SweepView};
use super::{BacktestError, pool};
use crate::telemetry::clock;

/// Blocks that the returns are cut into, as in the paper of the method.
const BLOCKS: usize = 16;
/// With more trials than these the probability of overfitting takes minutes.
const OVERFITTING_TRIALS_MAX: usize = 20_000;
/// The most memory that the returns of all trials may take, bytes.
const RETURNS_BYTES_MAX: usize = 1 << 30;

/// A finished sweep.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) view: SweepView,
    /// The best parameters.
    pub(super) best: Vec<(String, f64)>,
    /// What the best one has to be measured against; `None` where fewer than two trials have a Sharpe ratio.
    pub(super) trials: Option<Trials>,
    /// What must be known of it.
    pub(super) note: Option<String>,
}

/// How a sweep is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) threads: usize,
    pub(super) objective: Objective,
    pub(super) stop: &'a AtomicBool,
    pub(super) bar: &'a ProgressBar,
}

/// Runs every point of the grid.
///
/// # Errors
/// [`BacktestError`] where every point is refused, or a run cannot go on.
pub(super) fn sweep(
    ground: &Ground<'_>,
    grid: &Grid<'_>,
    (from, to): (Option<Ts>, Option<Ts>),
    how: How<'_>,
) -> Result<Sweep, BacktestError> {
    let began = clock::monotonic_now();
    let room = Room::new(grid.len(), RETURNS_BYTES_MAX);
    let work = |at: usize| {
        let score = ground.score(&grid.point(at), from, to);
        how.bar.inc(1);
        score.map(|score| room.keep(score))
    };
    let done = pool::each(how.threads, grid.len(), how.stop, work);
    let seconds = (clock::monotonic_now() - began).secs_f64();
    let Sorted { mut scores, refused, reason } = sorted(done)?;
    let Some((at, _)) = best(scores.iter().map(|(at, score)| (*at, score)), how.objective) else {
        return Err(nothing(how.stop, reason));
    };
    let named = |at: usize| grid.point(at).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let row =
        |(at, score): &(usize, Score)| Row::of(grid.point(*at).into_iter().map(|(_, value)| value).collect(), score);
    let bars: u64 = scores.iter().map(|(_, score)| score.bars).sum();
    let sharpes: Vec<Option<f64>> = scores.iter().map(|(_, score)| score.sharpe).collect();
    let rows = scores.iter().map(row).collect();
    let view = SweepView {
        objective: how.objective.to_string(),
        names: grid.names(),
        points: grid.len(),
        trials: scores.len(),
        refused,
        refused_first: reason,
        interrupted: how.stop.load(Ordering::Relaxed),
        overfitting: room.overfitting(&mut scores),
        chosen: scores.iter().position(|(point, _)| *point == at),
        seconds,
        bars_per_second: if seconds > 0.0 { bars as f64 / seconds } else { 0.0 },
        rows,
    };
    Ok(Sweep { view, best: named(at), trials: Trials::of(&sharpes), note: room.refusal() })
}

/// What came of every point.
struct Sorted {
    scores: Vec<(usize, Score)>,
    refused: usize,
    /// Why the first of those was refused.
    reason: Option<String>,
}

fn sorted(done: Vec<Option<Result<Score, TrialError>>>) -> Result<Sorted, BacktestError> {
    let mut sorted = Sorted { scores: Vec::with_capacity(done.len()), refused: 0, reason: None };
    for (at, one) in done.into_iter().enumerate() {
        match one {
            Some(Ok(score)) => sorted.scores.push((at, score)),
            Some(Err(TrialError::Refused(why))) => {
                sorted.refused += 1;
                sorted.reason.get_or_insert(why);
            }
            Some(Err(TrialError::Failed(why))) => return Err(BacktestError::Run(why)),
            None => {}
        }
    }
    Ok(sorted)
}

/// There is no best one.
fn nothing(stop: &AtomicBool, reason: Option<String>) -> BacktestError {
    if stop.load(Ordering::Relaxed) {
        return BacktestError::Interrupted;
    }
    let reason = reason.unwrap_or_else(|| "nothing was tried".to_owned());
    let reason = format!("the policy refuses every point of the grid, the first with: {reason}");
    BacktestError::value("--sweep", "a grid", reason, "choose names and values that the policy takes")
}

/// Room for the returns of all trials, which the probability of overfitting is made of. Where there is not enough, it is left out
/// and nothing more is kept.
#[derive(Debug)]
struct Room {
    points: usize,
    bytes_max: usize,
    /// Of all returns so far, kept or not: the sum does not depend on who came first.
    bytes: AtomicUsize,
}

impl Room {
    const fn new(points: usize, bytes_max: usize) -> Self {
        Self { points, bytes_max, bytes: AtomicUsize::new(0) }
    }

    /// The score, without its returns where there is no room for them.
    fn keep(&self, score: Score) -> Score {
        let bytes = score.returns.capacity() * size_of::<f64>();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.points <= OVERFITTING_TRIALS_MAX && before.saturating_add(bytes) <= self.bytes_max {
            return score;
        }
        Score { returns: Vec::new(), ..score }
    }

    /// Why the probability of overfitting is left out, where it is.
    fn refusal(&self) -> Option<String> {
        let why = if self.points > OVERFITTING_TRIALS_MAX {
            format!("{} points are more than {OVERFITTING_TRIALS_MAX}", self.points)
        } else if self.bytes.load(Ordering::Relaxed) > self.bytes_max {
            format!("the returns of {} points take more than {} MiB", self.points, self.bytes_max >> 20)
        } else {
            return None;
        };
        Some(format!("the probability of overfitting is left out: {why}; draw fewer points with --sweep-random"))
    }

    /// Whether choosing the best picks luck; `None` where it cannot be told, or is left out.
    fn overfitting(&self, scores: &mut [(usize, Score)]) -> Option<Overfitting> {
        if self.refusal().is_some() {
            return None;
        }
        let returns: Vec<Vec<f64>> = scores.iter_mut().map(|(_, score)| std::mem::take(&mut score.returns)).collect();
        statistics::overfitting(&returns, BLOCKS)
    }
}

/// What is trained on and what is tested on, one after the other; the tests follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) train: (Ts, Ts),
    pub(super) test: (Ts, Ts),
}

/// The windows of a walk-forward test between `first` and `last`: each trains for `train`, leaves out `embargo`, and tests for
/// `test`; a test that would reach over the end is cut there.
pub(super) fn windows(first: Ts, last: Ts, train: Span, embargo: Span, test: Span) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut begin = first + train + embargo;
    while begin < last {
        let end = (begin + test).min(last);
        let trained = begin - embargo;
        windows.push(Window { train: (trained - train, trained), test: (begin, end) });
        begin = begin + test;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_are_kept_only_where_there_is_room_for_all() {
        let score = || Score { returns: vec![0.01; 100], ..super::super::trial::tests::score(5, None, 0.1) };
        let small = Room::new(3, 2_400);
        let kept: Vec<usize> = (0..3).map(|_| small.keep(score()).returns.len()).collect();
        assert_eq!((kept, small.refusal()), (vec![100; 3], None));
        assert_eq!(small.keep(score()).returns.len(), 0);
        assert!(small.refusal().unwrap().contains("overfitting is left out"), "{:?}", small.refusal());
        assert_eq!(small.overfitting(&mut [(0, score()), (1, score())]), None);
        let many = Room::new(OVERFITTING_TRIALS_MAX + 1, usize::MAX);
        assert_eq!(many.keep(score()).returns.capacity(), 0);
        assert!(many.refusal().unwrap().contains("20001 points are more than 20000"), "{:?}", many.refusal());
    }

    #[test]
    fn windows_train_strictly_before_they_test_and_tests_leave_no_gap() {
        let day = |n: i64| Ts::EPOCH + Span::DAY.times(n);
        let found = windows(day(0), day(100), Span::DAY.times(30), Span::DAY, Span::DAY.times(20));
        assert_eq!(found.len(), 4);
        assert_eq!(found.first().map(|w| (w.train, w.test)), Some(((day(0), day(30)), (day(31), day(51)))));
        for pair in found.windows(2) {
            assert_eq!(pair[0].test.1, pair[1].test.0);
        }
        for window in &found {
            assert_eq!(window.test.0 - window.train.1, Span::DAY);
            assert_eq!(window.train.1 - window.train.0, Span::DAY.times(30));
        }
        assert_eq!(found.last().map(|w| w.test.1), Some(day(100)), "the last one is cut");
        assert!(windows(day(0), day(31), Span::DAY.times(30), Span::DAY, Span::DAY).is_empty());
    }
}
