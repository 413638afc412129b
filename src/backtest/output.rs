//! The folder of a result.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{BacktestError, Done};

/// The file of the result as JSON.
const RESULT: &str = "result.json";

fn fail(path: PathBuf) -> impl FnOnce(io::Error) -> BacktestError {
    move |source| BacktestError::Write { path, source }
}

/// Makes the folder and sees that it can be written to, before any work is done for it.
pub(super) fn prepare(folder: &Path) -> Result<(), BacktestError> {
    fs::create_dir_all(folder).map_err(fail(folder.to_owned()))?;
    let probe = folder.join(".levibot-probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(fail(folder.to_owned()))
}

/// Writes everything, the result last: where it is, all of it is.
pub(super) fn write(folder: &Path, done: &Done, _report: bool) -> Result<(), BacktestError> {
    let result = folder.join(RESULT);
    let text = serde_json::to_string_pretty(&done.view).map_err(io::Error::from).map_err(fail(result.clone()))?;
    let beside = folder.join(".result.json.new");
    fs::write(&beside, text + "\n").and_then(|()| fs::rename(&beside, &result)).map_err(fail(result))
}
