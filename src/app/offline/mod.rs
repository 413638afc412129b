//! What needs no running daemon: recompute a record, run it again, compare a day of it with a backtest, collect the market's bars, stop an account.

mod audit;
mod collect;
mod parity;
mod replay_record;
mod seats;
mod simulate;
mod stopping;
mod trades;
mod trips;
pub mod why;
mod words;

use std::path::{Path, PathBuf};

use levibot_core::account::ApplyError;
use levibot_core::record::Envelope;

use super::AppError;
use super::data::progress;
use crate::journal::{JOURNAL_FILE, Place, Recovery, scan_places};

/// Records between two looks at the progress bar.
const SHOWN_EVERY: u64 = 4_096;

/// Which run a folder means: its own, or the only one in it.
fn run_folder(dir: &Path) -> Result<PathBuf, AppError> {
    let is_run = |path: &Path| path.join(JOURNAL_FILE).is_file();
    if is_run(dir) {
        return Ok(dir.to_owned());
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = entries.filter(|path| is_run(path)).collect();
    runs.sort();
    match runs.as_slice() {
        [run] => Ok(run.clone()),
        [] => Err(AppError::NoRun { dir: dir.to_owned() }),
        _ => {
            let names = runs.iter().map(|run| run.display().to_string()).collect::<Vec<_>>().join(", ");
            Err(AppError::ManyRuns { dir: dir.to_owned(), names })
        }
    }
}

/// Reads a run's journal to its end, as far as its lines are whole, with a bar of progress on a terminal. A daemon may be
/// writing it meanwhile.
///
/// # Errors
/// [`AppError::Journal`] for a damaged one, and [`AppError::Fold`] for the first record that `each` says cannot follow.
fn read(
    dir: &Path,
    what: &'static str,
    each: &mut dyn FnMut(&Envelope, Place) -> Result<(), ApplyError>,
) -> Result<Recovery, AppError> {
    let path = dir.join(JOURNAL_FILE);
    let bar = progress(path.metadata().map_or(0, |file| file.len()), what);
    let mut fault = None;
    let recovery = scan_places(&path, &mut |envelope, place| {
        if envelope.seq.is_multiple_of(SHOWN_EVERY) {
            bar.set_position(place.offset);
        }
        if fault.is_none() {
            fault = each(&envelope, place).err().map(|error| (envelope.seq, error));
        }
    });
    bar.finish_and_clear();
    match (recovery?, fault) {
        (_, Some((seq, source))) => Err(AppError::Fold { seq, dir: dir.to_owned(), source }),
        (recovery, None) => Ok(recovery),
    }
}

pub use audit::{AuditOutcome, audit};
pub use collect::{Collected, collect};
pub use parity::{ParityOutcome, ParityRequest, parity};
pub use replay_record::{ReplayOutcome, replay_record};
pub use simulate::simulate;
pub use stopping::{CloseRequest, StopRequest, Stopped, Stuck, close, stop};
pub use trades::{TradesFilter, TradesForm, trades};
pub use why::why;
