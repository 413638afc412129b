//! The file of trees: LightGBM's text and a seal.

use std::path::Path;

use levibot_core::domain::hash::{hex, sha256};
use levibot_core::features::FeatureId;

use super::LightGbmError;

/// What the last line begins with. LightGBM's readers stop before it.
const SEAL: &str = "levibot_sha256=";

fn digest(text: &str) -> String {
    hex(&sha256(&[text.as_bytes()]))
}

/// The text with its seal.
pub(super) fn seal(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    format!("{text}\n{SEAL}{}\n", digest(text))
}

/// The names of columns as they stand in the text.
pub(super) fn names(columns: &[FeatureId]) -> String {
    columns.iter().map(|id| id.name()).collect::<Vec<_>>().join(" ")
}

/// The text of a file whose seal is whole and whose columns are these.
pub(super) fn read(path: &Path, columns: &[FeatureId]) -> Result<String, LightGbmError> {
    let damaged = |reason| LightGbmError::Damaged { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|source| LightGbmError::Read { path: path.to_owned(), source })?;
    let sealed = String::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let cut = || damaged("its last line is not the seal, as in a file that was cut short");
    let (text, last) = sealed.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(cut)?;
    let found = last.strip_prefix(SEAL).ok_or_else(cut)?;
    if found != digest(text) {
        return Err(damaged("its text is not the one that was sealed"));
    }
    let wanted = names(columns);
    let found = text.lines().find_map(|line| line.strip_prefix("feature_names=")).unwrap_or_default();
    if found != wanted {
        return Err(LightGbmError::Columns { path: path.to_owned(), found: found.to_owned(), wanted });
    }
    Ok(format!("{text}\n"))
}
