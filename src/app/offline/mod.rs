//! What needs no running daemon: recompute a record, run it again, collect the market's bars, stop an account.

mod audit;
mod collect;
mod replay_record;
mod seats;
mod simulate;
mod stopping;

use std::path::{Path, PathBuf};

use super::AppError;
use crate::journal::JOURNAL_FILE;

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

pub use audit::{AuditOutcome, audit};
pub use collect::{Collected, collect};
pub use replay_record::{ReplayOutcome, replay_record};
pub use simulate::simulate;
pub use stopping::{CloseRequest, StopRequest, Stopped, Stuck, close, stop};
