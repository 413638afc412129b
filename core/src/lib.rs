//! The pure cores of levibot.
//!
//! Every decision of the product is made here by state machines of one shape,
//! `step(&mut self, &Event, Ts, &mut Actions)`: no clock, no IO (only [`files`] opens files), no environment and no
//! randomness. The daemon hosts them in actors and threads; the backtester and the simulator drive the same code in a
//! loop. Whatever happened can therefore be run again from its record, bit for bit.

pub mod account;
pub mod alerts;
pub mod backtest;
pub mod chain;
pub mod domain;
pub mod driver;
pub mod engine;
pub mod features;
pub mod files;
pub mod fills;
pub mod forecast;
pub mod frames;
pub mod fusion;
pub mod labels;
pub mod policy;
pub mod record;
pub mod regime;
pub mod simulator;
pub mod statistics;
pub mod supervision;
