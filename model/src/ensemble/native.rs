//! The members as they are: trees and transformer.

use std::path::Path;

use super::MemberModel;
use crate::versions::MemberEntry;

/// Loads a member of a version.
pub(super) fn load(entry: &MemberEntry, path: &Path) -> Result<Box<dyn MemberModel>, String> {
    Err(format!("{} at {} is a member that this program does not have yet", entry.name.name(), path.display()))
}
