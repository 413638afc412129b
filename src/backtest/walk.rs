//! Walk-forward: parameters chosen on the past, run on what came after, again and again. Each test ends flat, with the costs of
//! that: the next one begins with other parameters.

use std::sync::atomic::Ordering;

use levibot_core::backtest::{Keep, Outcome};
use levibot_core::domain::{Money, Span, Ts};

use super::grid::Grid;
use super::request::Walk;
use super::stitch::stitch;
use super::sweep::{How, Window, windows};
use super::trial::{Ground, Score, TrialError, best};
use super::view::{WalkView, WindowView};
use super::{BacktestError, load, pool};
use crate::telemetry::clock;

/// A finished walk: the joined tests, and what was chosen for each.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) outcome: Outcome,
    pub(super) view: WalkView,
    /// What must be known of it.
    pub(super) notes: Vec<String>,
    /// Of the runs on tests alone.
    pub(super) seconds: f64,
}

/// The windows that the data have room for, and how many have none because no whole bar lies in their training or their test: a
/// weekend, an outage, the rest at the end.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) windows: Vec<Window>,
    pub(super) skipped: usize,
}

/// Plans the windows.
///
/// # Errors
/// [`BacktestError`] where there is none.
pub(super) fn plan(ground: &Ground<'_>, walk: Walk, from: Option<Ts>, to: Option<Ts>) -> Result<Plan, BacktestError> {
    let (first, last) = load::span(ground.market, from, to).unwrap_or((Ts::EPOCH, Ts::EPOCH));
    let bar = ground.market.timeframe.span();
    let days = |span: Span| format!("{:.1} days", span.secs_f64() / 86_400.0);
    if walk.train < bar || walk.test < bar {
        let reason = format!("a window must hold a bar of {} at least", ground.market.timeframe);
        return Err(BacktestError::value("--walk-forward", walk, reason, "write TRAIN/TEST such as 180d/30d"));
    }
    let all = windows(first, last, walk.train, walk.embargo, walk.test);
    let planned = all.len();
    let has_bar = |(from, to): (Ts, Ts)| load::has_bar(ground.market, from, to);
    let windows: Vec<Window> = all.into_iter().filter(|one| has_bar(one.train) && has_bar(one.test)).collect();
    if windows.is_empty() {
        let reason = format!("with an embargo of {} it does not fit into {}", days(walk.embargo), days(last - first));
        return Err(BacktestError::value("--walk-forward", walk, reason, "take shorter windows or more data"));
    }
    Ok(Plan { skipped: planned - windows.len(), windows })
}

/// Chooses on the training span of every window and runs on its test.
pub(super) fn walk(
    ground: &Ground<'_>,
    grid: &Grid<'_>,
    plan: &Plan,
    how: How<'_>,
    keep: Keep,
) -> Result<Walked, BacktestError> {
    let Plan { windows, skipped } = plan;
    let mut notes: Vec<String> = Vec::new();
    if *skipped > 0 {
        notes.push(format!("{skipped} windows are left out: no whole bar lies in their training or their test"));
    }
    let began = clock::monotonic_now();
    let points = grid.len();
    let train = |at: usize| {
        let (window, point) = (windows.get(at / points)?, at % points);
        let score = ground.score(&grid.point(point), Some(window.train.0), Some(window.train.1));
        how.bar.inc(1);
        // What no other is compared with is not kept.
        Some(score.map(|score| Score { returns: Vec::new(), ..score }))
    };
    let trained = pool::each(how.threads, windows.len() * points, how.stop, train);
    let train_seconds = (clock::monotonic_now() - began).secs_f64();
    let mut trained = trained.into_iter().map(Option::flatten);
    let (mut outcomes, mut views, mut seconds) = (Vec::new(), Vec::new(), 0.0);
    for (at, window) in windows.iter().enumerate() {
        let scores = trained.by_ref().take(points).collect::<Vec<_>>();
        if scores.iter().any(Option::is_none) {
            break;
        }
        let Some(choice) = choose(grid, &scores, how)? else { continue };
        let run = clock::monotonic_now();
        let outcome = test(ground, &choice.values, *window, outcomes.last(), keep)?;
        seconds += (clock::monotonic_now() - run).secs_f64();
        let score = Score::of(&outcome, ground.on_initial);
        views.push(WindowView::of(*window, &choice.values, choice.train, &score));
        let left = outcome.final_equity;
        outcomes.push(outcome);
        if left <= Money::ZERO && !ground.on_initial {
            notes.push(used_up((at + 1, windows.len()), *window, left));
            break;
        }
    }
    let tested = views.len();
    let outcome = stitch(outcomes).ok_or_else(|| nothing(how))?;
    let view = WalkView {
        objective: how.objective.to_string(),
        names: grid.names(),
        points,
        planned: windows.len(),
        skipped: *skipped,
        interrupted: how.stop.load(Ordering::Relaxed) && tested < windows.len(),
        train_seconds,
        windows: views,
    };
    Ok(Walked { outcome, view, notes, seconds })
}

/// Why a walk ends early, with the number of the window, of how many.
fn used_up((number, of): (usize, usize), window: Window, left: Money) -> String {
    let (from, to) = window.test;
    format!(
        "the walk ends with window {number} of {of}, {from} to {to}: it has used up the equity ({left} is left), and nothing can be \
         traded after it"
    )
}

fn nothing(how: How<'_>) -> BacktestError {
    if how.stop.load(Ordering::Relaxed) {
        return BacktestError::Interrupted;
    }
    let remedy = "choose names and values that the policy takes";
    BacktestError::value("--sweep", "a grid", "the policy refuses every point of it", remedy)
}

/// What was best on a training span.
struct Choice<'a> {
    values: Vec<(&'a str, f64)>,
    train: &'a Score,
}

/// The best point; `None` where the policy refuses all.
fn choose<'a>(
    grid: &'a Grid<'_>,
    scores: &'a [Option<Result<Score, TrialError>>],
    how: How<'_>,
) -> Result<Option<Choice<'a>>, BacktestError> {
    if let Some(TrialError::Failed(why)) =
        scores.iter().flatten().filter_map(|one| one.as_ref().err()).find(|e| matches!(e, TrialError::Failed(_)))
    {
        return Err(BacktestError::Run(why.clone()));
    }
    let good = scores.iter().enumerate().filter_map(|(at, one)| Some((at, one.as_ref()?.as_ref().ok()?)));
    Ok(best(good, how.objective).map(|(at, train)| Choice { values: grid.point(at), train }))
}

/// Runs on the test of a window with what the one before has left; what it holds at the end is left there with its costs, since
/// the next window begins with other parameters. An account without limits that trades a fixed size begins with the same cash each
/// time: what it trades does not depend on its equity, which may be below zero.
fn test(
    ground: &Ground<'_>,
    values: &[(&str, f64)],
    window: Window,
    before: Option<&Outcome>,
    keep: Keep,
) -> Result<Outcome, BacktestError> {
    let mut setup = ground.setup.clone();
    if let Some(before) = before.filter(|_| !ground.on_initial) {
        setup.initial_cash = before.final_equity;
    }
    let ground = Ground { setup: &setup, leaves_at_end: true, ..*ground };
    ground.run(values, Some(window.test.0), Some(window.test.1), keep).map_err(|error| match error {
        TrialError::Refused(why) | TrialError::Failed(why) => BacktestError::Run(why),
    })
}
