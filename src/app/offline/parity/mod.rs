//! `levibot parity`: runs a recorded day through the backtester and shows what differs, and why.
//!
//! The day begins with account and engines as the tape gives them, and the paper venue as the journal does. From there on
//! the backtester does everything itself: market data, forecasts, and what people asked for are the record's; decisions,
//! orders and fills are its own. What a daemon in realtime did late, or a venue did otherwise than the model, shows.

mod compare;
mod day;
mod drive;
mod names;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levibot_core::domain::Ts;
use levibot_core::fills::{PaperSetup, PaperSetupError, RawPaperSetup};
use serde::Serialize;

use compare::{Counts, Difference};

use super::run_folder;

use crate::app::AppError;
use crate::config::Config;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ParityRequest {
    /// Any time of the day (UTC).
    pub day: Ts,
    /// Another taker fee than the configured one, a fraction of notional.
    pub fee: Option<f64>,
    /// Another spread, a fraction of price.
    pub spread: Option<f64>,
    /// Another mean slippage, a fraction of price.
    pub slippage: Option<f64>,
}

impl ParityRequest {
    fn paper(&self, configured: PaperSetup) -> Result<PaperSetup, PaperSetupError> {
        let raw = RawPaperSetup::from(configured);
        PaperSetup::try_from(RawPaperSetup {
            fee: self.fee.unwrap_or(raw.fee),
            spread: self.spread.unwrap_or(raw.spread),
            slippage: self.slippage.unwrap_or(raw.slippage),
            ..raw
        })
    }
}

/// How many differences have a cause, and what they come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CauseSum {
    /// How many.
    pub count: u64,
    /// How many of them follow from an earlier one.
    pub follow: u64,
    /// By how much they make the daemon's equity larger at the end of the day, account currency.
    pub effect: f64,
}

/// Equity at the end of the day, account currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EquityParity {
    /// The daemon's.
    pub daemon: f64,
    /// The backtest's.
    pub backtest: f64,
    /// The daemon's less the backtest's.
    pub difference: f64,
    /// What no difference explains: funding, trades of others, rounding.
    pub rest: f64,
}

/// What running a day again gave.
#[derive(Debug, Serialize)]
pub struct ParityOutcome {
    /// The data folder.
    pub dir: PathBuf,
    /// The day.
    pub day: String,
    /// Market events that were run again: frames of bars, and quotes of one instant.
    pub events: u64,
    /// Lives of the daemon in the day.
    pub lives: u32,
    /// What was compared.
    pub counts: Counts,
    /// What differs, in order of time.
    pub differences: Vec<Difference>,
    /// The same by cause.
    pub by_cause: BTreeMap<&'static str, CauseSum>,
    /// Where the day ended.
    pub equity: EquityParity,
    /// What limits the comparison, in words.
    pub notes: Vec<String>,
}

impl ParityOutcome {
    /// 0 when nothing differs, 1 when something does.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.differences.is_empty())
    }
}

/// Runs a day of a data folder again.
///
/// # Errors
/// [`AppError`] when journal or tape cannot be read, or the day is not there.
pub fn parity(config: &Config, dir: &Path, request: &ParityRequest) -> Result<ParityOutcome, AppError> {
    let dir = run_folder(dir)?;
    let paper = request.paper(config.paper).map_err(AppError::Paper)?;
    let from = Ts::EPOCH + levibot_core::domain::Span::DAY.times(request.day.day());
    let mut day = day::read(config, &dir, from, paper)?;
    let spare = config.strategies.default.policy.clone();
    let driven = drive::drive(&mut day, paper, spare);
    let (differences, counts) = compare::compare(&day.recorded, &driven.records, &driven.marks);
    let mut by_cause = BTreeMap::<&'static str, CauseSum>::new();
    for difference in &differences {
        let sum = by_cause.entry(difference.cause.as_str()).or_default();
        sum.count += 1;
        sum.follow += u64::from(difference.follows);
        sum.effect += difference.effect;
    }
    let difference = day.equity - driven.equity;
    let explained: f64 = by_cause.values().map(|sum| sum.effect).sum();
    let equity = EquityParity { daemon: day.equity, backtest: driven.equity, difference, rest: difference - explained };
    let mut notes = driven.faults;
    notes.extend(limits(&day, config));
    let (events, lives) = (driven.events, day.lives);
    Ok(ParityOutcome { day: names::day_name(from), dir, events, lives, counts, differences, by_cause, equity, notes })
}

/// What limits the comparison.
fn limits(day: &day::Day, config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if day.config_hash != config.hash() {
        notes.push(format!(
            "the record was made with another configuration or other options than {}: fees, spread, slippage, latency and \
             participation are taken from this one",
            config.file.display()
        ));
    }
    if day.lost > 0 {
        notes.push(format!("the tape lost {} inputs to a slow disk: the backtest has not seen them", day.lost));
    }
    if day.beyond > 0 {
        notes.push(format!("{} records lie beyond the end of a tape and are not compared", day.beyond));
    }
    if day.unlike > 0 {
        notes.push(format!(
            "{} records or decisions do not follow from the tape itself: `levibot replay-record` says which",
            day.unlike
        ));
    }
    notes
}
