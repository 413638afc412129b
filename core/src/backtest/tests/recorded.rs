//! Backtests that tell every record that a daemon would have written.

use crate::backtest::floor::Floor;
use crate::backtest::forecasts::Cursors;
use crate::backtest::run::run_with;
use crate::backtest::seat::seats;
use crate::backtest::{BacktestError, Forecasts, Job, Opening, Outcome};
use crate::domain::{Frame, MarketEvent, Ts};
use crate::engine::StrategyPolicy;
use crate::features::FeatureId;
use crate::record::Record;

/// A backtest as [`crate::backtest::run`] does it, with its records.
pub(super) fn run_recorded(job: &Job<'_>, sink: &mut dyn FnMut(Ts, Record)) -> Result<Outcome, BacktestError> {
    run_with(job, sink)
}

/// What is replayed, beside the events.
pub(super) struct Replay<'a> {
    /// Frames before the first event, oldest first.
    pub(super) history: &'a [Frame],
    /// By instrument.
    pub(super) policies: &'a [StrategyPolicy],
    /// What engines compute beside what their policies look at, so that hashes of features can be compared.
    pub(super) features: &'a [FeatureId],
    pub(super) forecasts: Option<&'a Forecasts>,
}

/// The same phases over events as they come, which hold quotes beside bars.
pub(super) fn replay(
    opening: Opening,
    replay: &Replay<'_>,
    events: impl IntoIterator<Item = MarketEvent>,
    sink: &mut dyn FnMut(Ts, Record),
) -> Outcome {
    let (symbols, timeframe) = (opening.account.state().books().len(), opening.account.state().timeframe());
    let seats = seats(replay.policies, replay.features, timeframe, true);
    let mut floor = Floor::new(opening, seats, Cursors::new(replay.forecasts, None), super::made_up::ALL, sink);
    let mut past = vec![Vec::new(); symbols];
    for frame in replay.history {
        for (ix, bar) in &frame.bars {
            past[ix.at()].push((*bar, frame.context));
        }
    }
    floor.begin(&past);
    events.into_iter().for_each(|event| floor.market(&event));
    floor.finish()
}
