//! One run of a policy over the market, and what of it is compared with others.

use levibot_core::account::AccountSetup;
use levibot_core::backtest::{self, Forecasts, Job, Keep, MarketPast, Outcome, periods};
use levibot_core::domain::{Money, Ts};
use levibot_core::engine::StrategyPolicy;
use levibot_core::fills::PaperSetup;
use levibot_core::statistics;

use super::policy;
use super::request::Objective;
use crate::reports::Figures;

/// Everything that runs have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) market: &'a MarketPast,
    pub(super) setup: &'a AccountSetup,
    pub(super) paper: &'a PaperSetup,
    pub(super) policies: &'a [StrategyPolicy],
    /// What the model said, where a policy asks it.
    pub(super) forecasts: Option<&'a Forecasts>,
    /// Whether returns are fractions of the first equity.
    pub(super) on_initial: bool,
}

/// What trials are compared by. Account currency.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) net_pnl: Money,
    pub(super) fees: Money,
    pub(super) final_equity: Money,
    pub(super) bars: u64,
    pub(super) fills: u64,
    /// Positions that were left.
    pub(super) trades: u64,
    /// The gain as a fraction of the first equity.
    pub(super) total_return: f64,
    /// A year, of the returns below.
    pub(super) sharpe: Option<f64>,
    pub(super) calmar: Option<f64>,
    /// A fraction, 0 to 1 (over 1 where returns are fractions of the first equity and more than that was lost).
    pub(super) max_drawdown: f64,
    /// Of days where there are enough of them, else of frames.
    pub(super) returns: Vec<f64>,
}

impl Ground<'_> {
    /// Runs with these parameters from `from` to `to`.
    ///
    /// # Errors
    /// In words, when the policy refuses the parameters or the run cannot go on.
    pub(super) fn run(
        &self,
        values: &[(&str, f64)],
        from: Option<Ts>,
        to: Option<Ts>,
        keep: Keep,
    ) -> Result<Outcome, TrialError> {
        let with = |one: &StrategyPolicy| policy::with(one, values).map_err(TrialError::Refused);
        let changed: Vec<StrategyPolicy>;
        let policies = if values.is_empty() {
            self.policies
        } else {
            changed = self.policies.iter().map(with).collect::<Result<_, _>>()?;
            &changed
        };
        let Self { market, setup, paper, forecasts, .. } = *self;
        backtest::run(&Job { market, from, to, setup, paper, policies, forecasts, keep })
            .map_err(|error| TrialError::Failed(error.to_string()))
    }

    /// Runs and scores.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn score(&self, values: &[(&str, f64)], from: Option<Ts>, to: Option<Ts>) -> Result<Score, TrialError> {
        let keep = Keep { curve: true, trips: true, executions: false };
        self.run(values, from, to, keep).map(|outcome| Score::of(&outcome, self.on_initial))
    }
}

/// Why a trial came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TrialError {
    /// The policy refuses its parameters, in its words.
    Refused(String),
    /// The run could not go on.
    Failed(String),
}

impl Score {
    pub(super) fn of(outcome: &Outcome, on_initial: bool) -> Self {
        let series = periods(outcome, on_initial);
        let (about, returns) = (series.about, series.values);
        let initial = outcome.initial_equity.to_f64();
        let max_drawdown = deepest(outcome, on_initial.then_some(initial));
        let years = returns.len() as f64 / about.periods_a_year;
        let total = outcome.net_pnl.to_f64() / initial;
        let annual = if on_initial { total / years } else { (1.0 + total).max(0.0).powf(1.0 / years) - 1.0 };
        Self {
            net_pnl: outcome.net_pnl,
            fees: outcome.fees,
            final_equity: outcome.final_equity,
            bars: outcome.bars,
            fills: outcome.fills,
            trades: outcome.trips.iter().filter(|trip| trip.left.is_some()).count() as u64,
            total_return: total,
            sharpe: statistics::sharpe(&returns, about.periods_a_year),
            calmar: Some(annual / max_drawdown).filter(|calmar| calmar.is_finite()),
            max_drawdown,
            returns,
        }
    }

    /// As it is shown.
    pub(super) fn figures(&self) -> Figures {
        let finite = |value: f64| value.is_finite().then_some(value);
        Figures {
            net_pnl: self.net_pnl.to_f64(),
            total_return: finite(self.total_return),
            sharpe: self.sharpe,
            max_drawdown: finite(self.max_drawdown),
            trades: self.trades,
            fills: self.fills,
        }
    }

    /// What makes it better than another: more is better.
    pub(super) fn by(&self, objective: Objective) -> Option<f64> {
        match objective {
            Objective::Sharpe => self.sharpe,
            Objective::NetPnl => Some(self.net_pnl.to_f64()),
            Objective::Calmar => self.calmar,
        }
    }
}

/// The deepest fall of equity from a peak, as a fraction of the peak, or of `whole`.
fn deepest(outcome: &Outcome, whole: Option<f64>) -> f64 {
    let (mut peak, mut worst) = (outcome.initial_equity.to_f64(), 0.0_f64);
    for point in &outcome.curve {
        peak = peak.max(point.equity);
        worst = worst.max((peak - point.equity) / whole.unwrap_or(peak));
    }
    worst
}

/// The first of those with the highest objective.
pub(super) fn best<'a>(
    scores: impl Iterator<Item = (usize, &'a Score)>,
    objective: Objective,
) -> Option<(usize, &'a Score)> {
    let mut best: Option<(usize, &Score, f64)> = None;
    for (at, score) in scores {
        // One that never traded has no Sharpe ratio; it is better than nothing, and worse than any that has one.
        let value = score.by(objective).unwrap_or(f64::NEG_INFINITY);
        if best.is_none_or(|(_, _, highest)| value > highest) {
            best = Some((at, score, value));
        }
    }
    best.map(|(at, score, _)| (at, score))
}
