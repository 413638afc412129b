//! Backtests against the sequencer, and against reckoning without any core.

mod lockstep;
mod made_up;
mod outcomes;
mod plain;
mod recorded;
mod sameness;
