//! Backtests: the engines' and the account's cores over a market of the past, driven by direct calls.
//!
//! The phases of an instant are those of [`crate::driver::Sequencer`] in lockstep, in the same order; a test holds the two
//! to the same records. What is left out is what a daemon needs and a backtest does not: threads, tape, restarts.

mod checks;
mod error;
mod floor;
mod forecasts;
mod job;
mod opening;
mod outcome;
mod rerun;
mod run;
mod seat;
mod summary;
mod tally;
mod trips;

pub use error::BacktestError;
pub use job::{Forecasts, Job, Keep, MarketPast, SymbolBars};
pub use opening::Opening;
pub use outcome::{FillRow, Outcome, Point, SymbolSums, Trip};
pub use rerun::Rerun;
pub use run::run;
pub use summary::{
    Breakdowns, Chance, Costs, Deflated, Drawdown, Drawdowns, EntryTest, Exposure, Extreme, Extremes, Group, Interval,
    Intervals, KeyFigures, Month, OrderTest, Paths, Period, Returns, ReturnsBasis, Series, Summary, SummaryOptions,
    Trades, Trials, entry_test, key_figures, periods, summarise,
};

#[cfg(test)]
mod tests;
