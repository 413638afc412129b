//! `levibot parity`: runs a recorded day through the backtester and shows what differs, and why.
//!
//! The day begins with account and engines as the tape gives them, and the paper venue as the journal does. From there on
//! the backtester does everything itself: market data, forecasts, and what people asked for are the record's; decisions,
//! orders and fills are its own. What a daemon in realtime did late, or a venue did otherwise than the model, shows.

mod compare;
mod day;
mod deeds;
mod differ;
mod difference;
mod drive;
mod follow;
mod gather;
mod names;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levibot_core::domain::{Span, Ts};
use levibot_core::fills::{PaperSetup, PaperSetupError, RawPaperSetup};
use serde::Serialize;

use difference::{Counts, Difference};

use super::{run_folder, words};

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
    /// Another mean time from submission to being live.
    pub latency: Option<Span>,
    /// Another share of a bar's volume, or of a quote's size, that one order may take at a time.
    pub participation: Option<f64>,
}

impl ParityRequest {
    fn paper(&self, configured: PaperSetup) -> Result<PaperSetup, PaperSetupError> {
        let raw = RawPaperSetup::from(configured);
        PaperSetup::try_from(RawPaperSetup {
            fee: self.fee.unwrap_or(raw.fee),
            spread: self.spread.unwrap_or(raw.spread),
            slippage: self.slippage.unwrap_or(raw.slippage),
            latency: self.latency.unwrap_or(raw.latency),
            participation: self.participation.unwrap_or(raw.participation),
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
    /// What no difference explains: trades of others, rounding.
    pub rest: f64,
}

impl EquityParity {
    /// Whether the rest is nothing but rounding: under a millionth of the equity.
    fn is_explained(&self) -> bool {
        self.rest.abs() <= 1e-6 * self.daemon.abs().max(1.0)
    }
}

/// What the comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParityVerdict {
    /// The whole day was compared, and nothing differs.
    Alike,
    /// Something differs.
    Differs,
    /// Nothing that was compared differs, but not everything was: [`ParityOutcome::gaps`] says what was not.
    Incomplete,
}

/// What running a day again gave.
#[derive(Debug, Serialize)]
pub struct ParityOutcome {
    /// The data folder.
    pub dir: PathBuf,
    /// The day.
    pub day: String,
    /// What it came to.
    pub verdict: ParityVerdict,
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
    /// Parts of the day that were not compared, or not as they were, in words; empty when all was.
    pub gaps: Vec<String>,
    /// What else is to be known, in words.
    pub notes: Vec<String>,
}

impl ParityOutcome {
    /// 0 when all was compared and nothing differs, 1 when something does, 6 when nothing that was compared does, but not
    /// all was.
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            ParityVerdict::Alike => 0,
            ParityVerdict::Differs => 1,
            ParityVerdict::Incomplete => 6,
        }
    }
}

/// Runs a day of a data folder again.
///
/// # Errors
/// [`AppError`] when journal or tape cannot be read, or the day is not there.
pub fn parity(config: &Config, dir: &Path, request: &ParityRequest) -> Result<ParityOutcome, AppError> {
    let dir = run_folder(dir)?;
    let paper = request.paper(config.paper).map_err(AppError::Paper)?;
    let from = Ts::EPOCH + Span::DAY.times(request.day.day());
    let mut day = day::read(config, &dir, from, paper)?;
    let spare = config.strategies.default.policy.clone();
    let driven = drive::drive(&mut day, paper, spare);
    let (differences, counts) = compare::compare(&compare::Terms {
        daemon: &day.recorded,
        backtest: &driven.records,
        marks: &driven.marks,
        held: &driven.held,
    });
    let mut by_cause = BTreeMap::<&'static str, CauseSum>::new();
    for difference in &differences {
        let sum = by_cause.entry(difference.cause.as_str()).or_default();
        sum.count += 1;
        sum.follow += u64::from(difference.follows.is_some());
        sum.effect += difference.effect;
    }
    let difference = day.equity - driven.equity;
    let explained: f64 = by_cause.values().map(|sum| sum.effect).sum();
    let equity = EquityParity { daemon: day.equity, backtest: driven.equity, difference, rest: difference - explained };
    let gaps = gaps(&day, driven.faults, &equity);
    let verdict = match (differences.is_empty(), gaps.is_empty()) {
        (false, _) => ParityVerdict::Differs,
        (true, false) => ParityVerdict::Incomplete,
        (true, true) => ParityVerdict::Alike,
    };
    Ok(ParityOutcome {
        day: names::day_name(from),
        dir,
        verdict,
        events: driven.events,
        lives: day.lives + day.silent,
        counts,
        differences,
        by_cause,
        equity,
        gaps,
        notes: notes(&day, config),
    })
}

/// What was not compared, or cannot be relied on.
fn gaps(day: &day::Day, faults: Vec<String>, equity: &EquityParity) -> Vec<String> {
    let mut gaps = faults;
    if day.lost > 0 {
        gaps.push(format!("the tape lost {} inputs to a slow disk: the backtest has not seen them", day.lost));
    }
    if day.beyond > 0 {
        gaps.push(format!("{} records lie beyond the end of a tape and are not compared", day.beyond));
    }
    if day.unlike > 0 {
        gaps.push(format!(
            "{} records or decisions do not follow from the tape itself: `levibot replay-record` says which",
            day.unlike
        ));
    }
    if !equity.is_explained() {
        gaps.push(format!(
            "{} of the difference in equity comes from nothing that was compared: trades that are not levibot's, or a fault",
            words::number((equity.rest * 1e6).round() / 1e6)
        ));
    }
    gaps
}

/// What is to be known of the comparison.
fn notes(day: &day::Day, config: &Config) -> Vec<String> {
    if day.config_hash == config.hash() {
        return Vec::new();
    }
    vec![format!(
        "the record was made with another configuration or other options than {}: fees, spread, slippage, latency and \
         participation are taken from this one",
        config.file.display()
    )]
}
