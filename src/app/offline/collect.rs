//! `levibot collect`: the market's bars up to now as price files, for a model to learn from.

use std::fmt;
use std::path::PathBuf;

use levibot_core::domain::Ts;
use serde::Serialize;

use crate::app::data::{Source, progress};
use crate::app::{AppError, history};
use crate::config::Config;
use crate::journal::{JOURNAL_FILE, scan};

/// What was collected.
#[derive(Debug, Serialize)]
pub struct Collected {
    /// The folder of price files.
    pub dir: PathBuf,
    /// How many bars of all symbols there are now.
    pub bars: u64,
    /// Where they end.
    pub through: Ts,
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bars up to {} in {}", self.bars, self.through, self.dir.display())
    }
}

/// Writes the bars of a simulated market up to where the journal of its daemon stands to `history` in the data folder.
/// The daemon may be running. Prices that come from files are collected already.
///
/// # Errors
/// [`AppError`] when the source is no simulated market, or something cannot be read or written.
pub fn collect(config: &Config) -> Result<Collected, AppError> {
    let source = Source::open(config)?;
    let Some(setup) = source.simulated() else { return Err(AppError::NothingToCollect) };
    let (dir, mut through) = (config.run.data_dir.join("history"), source.start);
    let journal = config.run.data_dir.join(JOURNAL_FILE);
    if journal.is_file() {
        scan(&journal, &mut |envelope| through = through.max(envelope.ts))?;
    }
    let span = (through - source.start).nanos() / setup.timeframe.span().nanos();
    let walked = u64::from(setup.walked_bars()) + u64::try_from(span).unwrap_or(0);
    let bar = progress(walked, "simulating history");
    let mut bars = 0;
    history::write(setup, through, &dir, |frame| {
        bars += frame as u64;
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    Ok(Collected { dir, bars, through })
}
