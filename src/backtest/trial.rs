//! One run of a policy over the market, and what of it is compared with others.

use levibot_core::account::AccountSetup;
use levibot_core::backtest::{self, Forecasts, Job, Keep, KeyFigures, MarketPast, Outcome, key_figures};
use levibot_core::domain::{Money, Ts};
use levibot_core::engine::StrategyPolicy;
use levibot_core::fills::PaperSetup;

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
    /// Whether what is held at the end of a run is left there, with its costs, see [`Job::leaves_at_end`].
    pub(super) leaves_at_end: bool,
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
    /// These four as in [`backtest::Summary`].
    pub(super) total_return: Option<f64>,
    pub(super) sharpe: Option<f64>,
    pub(super) calmar: Option<f64>,
    pub(super) max_drawdown: Option<f64>,
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
        let Self { market, setup, paper, forecasts, leaves_at_end, .. } = *self;
        backtest::run(&Job { market, from, to, setup, paper, policies, forecasts, keep, leaves_at_end })
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
        let KeyFigures { returns, total_return, sharpe, calmar, max_drawdown, .. } = key_figures(outcome, on_initial);
        Self {
            net_pnl: outcome.net_pnl,
            fees: outcome.fees,
            final_equity: outcome.final_equity,
            bars: outcome.bars,
            fills: outcome.fills,
            trades: outcome.trips.iter().filter(|trip| trip.left.is_some()).count() as u64,
            total_return,
            sharpe,
            calmar,
            max_drawdown,
            returns: returns.values,
        }
    }

    /// As it is shown.
    pub(super) fn figures(&self) -> Figures {
        Figures {
            net_pnl: self.net_pnl.to_f64(),
            total_return: self.total_return,
            sharpe: self.sharpe,
            max_drawdown: self.max_drawdown,
            trades: self.trades,
            fills: self.fills,
        }
    }

    /// What makes it better than another: more is better. A gain that never fell has no Calmar ratio that could be written
    /// down; it is better than any that has one.
    pub(super) fn by(&self, objective: Objective) -> Option<f64> {
        match objective {
            Objective::Sharpe => self.sharpe,
            Objective::NetPnl => Some(self.net_pnl.to_f64()),
            Objective::Calmar => {
                let never_fell = self.net_pnl > Money::ZERO && self.max_drawdown.is_some_and(|depth| depth <= 0.0);
                self.calmar.or_else(|| never_fell.then_some(f64::INFINITY))
            }
        }
    }
}

/// The one with the highest objective; of equal ones the one that gained most, of those the first.
pub(super) fn best<'a>(
    scores: impl Iterator<Item = (usize, &'a Score)>,
    objective: Objective,
) -> Option<(usize, &'a Score)> {
    // One that never traded has no Sharpe ratio; it is better than nothing, and worse than any that has one.
    let value = |score: &Score| score.by(objective).unwrap_or(f64::NEG_INFINITY);
    let is_better = |one: &Score, other: &Score| {
        value(one).total_cmp(&value(other)).then_with(|| one.net_pnl.cmp(&other.net_pnl)).is_gt()
    };
    scores.reduce(|best, next| if is_better(next.1, best.1) { next } else { best })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::backtest) fn score(net_pnl: i64, calmar: Option<f64>, max_drawdown: f64) -> Score {
        Score {
            net_pnl: Money::new(net_pnl.into()).unwrap(),
            fees: Money::ZERO,
            final_equity: Money::ZERO,
            bars: 1,
            fills: 2,
            trades: 1,
            total_return: None,
            sharpe: None,
            calmar,
            max_drawdown: Some(max_drawdown),
            returns: Vec::new(),
        }
    }

    fn chosen(scores: &[Score], objective: Objective) -> usize {
        best(scores.iter().enumerate(), objective).unwrap().0
    }

    #[test]
    fn a_gain_that_never_fell_is_better_than_any_calmar_ratio() {
        let (idle, good, even) = (score(0, None, 0.0), score(50, Some(9.0), 0.1), score(20, None, 0.0));
        assert_eq!(chosen(&[idle.clone(), good.clone(), even.clone()], Objective::Calmar), 2);
        assert_eq!(chosen(&[even, score(30, None, 0.0), good.clone()], Objective::Calmar), 1, "the larger of two");
        assert_eq!(chosen(&[idle, good], Objective::Calmar), 1, "what never traded never fell either");
    }

    #[test]
    fn of_equal_ones_the_first_is_taken() {
        let one = score(5, Some(1.0), 0.1);
        assert_eq!(chosen(&[score(4, Some(0.5), 0.1), one.clone(), one], Objective::NetPnl), 1);
    }
}
