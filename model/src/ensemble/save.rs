//! The files of a version besides its metadata: members, fusion, questions of training.

use std::fs;
use std::path::Path;

use levibot_core::domain::Member;
use levibot_core::forecast::Asked;
use levibot_core::fusion::Fusion;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::member::{Loader, guarded};
use super::{CANARY_FILE, Canary, LoadError, MemberModel, Voters, native};
use crate::versions::{Draft, MemberEntry, Metadata, Trained};

/// Weights and calibrations in a version.
pub const FUSION_FILE: &str = "fusion.json";

/// Where a member is kept in a version; sentiment has no model of its own.
const fn place(member: Member) -> Option<&'static str> {
    match member {
        Member::Lightgbm => Some("lightgbm.txt"),
        Member::Tft => Some("tft"),
        Member::Sentiment => None,
    }
}

/// Writes a version: its members, fusion, the answers of the members in memory to at least
/// [`super::CANARY_QUESTIONS_MIN`] questions, and its metadata. What was written is loaded again and has to give the
/// same answers before the version gets its name, because native code does not always tell that a disk was full.
///
/// # Errors
/// [`LoadError`]; nothing of the version is left then.
pub fn save(draft: Draft, trained: Trained, voters: &Voters, questions: &[Asked]) -> Result<Metadata, LoadError> {
    save_by(&native::load, draft, trained, voters, questions)
}

pub(super) fn save_by(
    loader: Loader<'_>,
    draft: Draft,
    trained: Trained,
    voters: &Voters,
    questions: &[Asked],
) -> Result<Metadata, LoadError> {
    for (member, model) in &voters.members {
        let Some(place) = place(*member) else { continue };
        let path = draft.folder().join(place);
        let saved = guarded(|| model.save(&path));
        saved.map_err(|reason| LoadError::Save { member: *member, path, reason })?;
    }
    let path = draft.folder().join(CANARY_FILE);
    let canary =
        Canary::answered(questions, voters).map_err(|reason| LoadError::Unanswered { path: path.clone(), reason })?;
    write_json(&draft, FUSION_FILE, &voters.fusion)?;
    write_json(&draft, CANARY_FILE, &canary)?;
    let written = load_voters(loader, draft.folder(), &trained.members)?;
    read_json::<Canary>(&path)?.check(&path, &written)?;
    Ok(draft.commit(trained)?)
}

/// Loads members and fusion from a folder.
pub(super) fn load_voters(loader: Loader<'_>, folder: &Path, entries: &[MemberEntry]) -> Result<Voters, LoadError> {
    let path = folder.join(FUSION_FILE);
    let fusion: Fusion = read_json(&path)?;
    let known = |member: Member| entries.iter().any(|entry| entry.name == member);
    if !fusion.is_sound() || !fusion.members.iter().all(|part| known(part.member)) {
        let reason = "its weights or calibrations cannot be meant, or are those of other members".to_owned();
        return Err(LoadError::Content { path, reason });
    }
    let mut members: Vec<(Member, Box<dyn MemberModel>)> = Vec::new();
    for entry in entries {
        let Some(place) = place(entry.name) else { continue };
        let path = folder.join(place);
        let loaded = guarded(|| loader(entry, &path));
        let model = loaded.map_err(|reason| LoadError::Member { member: entry.name, path, reason })?;
        members.push((entry.name, model));
    }
    members.sort_by_key(|(member, _)| *member);
    Ok(Voters { members, fusion })
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let fail = |reason: String| LoadError::Content { path: path.to_owned(), reason };
    let text = fs::read(path).map_err(|error| fail(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))
}

fn write_json(draft: &Draft, name: &str, value: &impl Serialize) -> Result<(), LoadError> {
    let fail =
        |error: serde_json::Error| LoadError::Content { path: draft.folder().join(name), reason: error.to_string() };
    let bytes = serde_json::to_vec(value).map_err(fail)?;
    Ok(draft.write(name, &bytes)?)
}
