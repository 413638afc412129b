//! Tests of the whole program, through its binary and its public faces.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod backtest;
mod backtest_files;
mod bad_input;
mod carried;
#[cfg(feature = "fault-injection")]
mod chaos;
mod config_errors;
mod control;
mod directions;
mod engines;
mod explain;
mod forecasts;
mod http;
mod limits;
mod mirror;
mod model;
mod model_commands;
mod parity;
mod prices;
mod realtime;
mod record;
mod reload;
mod replay;
mod shared_data;
mod stop_drill;
mod stopping;
mod strategy_schema;
mod support;
mod symbols;
mod tape_days;
mod walk_forward;
