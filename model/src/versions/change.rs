//! Which version is in use: the link `current`, its history, and what is removed.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use levibot_core::domain::{ModelVersion, Ts};
use serde::{Deserialize, Serialize};

use super::disk::{change_lock, sync};
use super::draft::GONE;
use super::error::{VersionError, io_error};
use super::metadata::time_text;
use super::{Versions, folder_of, version_of};

/// The link to the version in use.
const CURRENT: &str = "current";
/// What was in use when, and why: one line of JSON a change.
const HISTORY: &str = "history.jsonl";

/// How a version came into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was chosen.
    Promote,
    /// The one after it was taken back.
    Rollback,
}

/// One change of the version in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    #[serde(with = "time_text")]
    pub time: Ts,
    /// How.
    pub kind: ChangeKind,
    /// What was in use before.
    pub from: Option<ModelVersion>,
    /// What is in use since.
    pub to: ModelVersion,
    /// Who did it, such as `train`, `retrain` or a person.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Versions {
    /// The version that the link names; `None` when there is no link. Whether it can be used is for [`Self::open`].
    ///
    /// # Errors
    /// [`VersionError::Link`] when `current` is something else, [`VersionError::Io`].
    pub fn current(&self) -> Result<Option<ModelVersion>, VersionError> {
        let path = self.dir.join(CURRENT);
        match fs::read_link(&path) {
            Ok(to) => match to.to_str().and_then(version_of) {
                Some(version) => Ok(Some(version)),
                None => Err(VersionError::Link { path }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => Err(VersionError::Link { path }),
            Err(error) => Err(io_error("read the link", &path)(error)),
        }
    }

    /// The version that was in use before the present one, rollbacks taken as such.
    ///
    /// # Errors
    /// Those of [`Self::current`] and [`Self::history`].
    pub fn previous(&self) -> Result<Option<ModelVersion>, VersionError> {
        let mut stack: Vec<ModelVersion> = Vec::new();
        let mut enter = |version: ModelVersion, kind: ChangeKind| {
            if kind == ChangeKind::Rollback && stack.len() > 1 {
                stack.pop();
            }
            if stack.last() != Some(&version) {
                stack.push(version);
            }
        };
        for change in self.history()? {
            change.from.into_iter().for_each(|from| enter(from, ChangeKind::Promote));
            enter(change.to, change.kind);
        }
        // The link is the truth: somebody may have died between it and the history, or moved it by hand.
        self.current()?.into_iter().for_each(|current| enter(current, ChangeKind::Promote));
        Ok(stack.len().checked_sub(2).map(|at| stack[at]))
    }

    /// Puts a version into use, if it is whole. Whoever follows the link sees the old one or the new one, never none.
    /// `None` when it is in use already.
    ///
    /// # Errors
    /// Those of [`Self::open`]; [`VersionError::Full`] or [`VersionError::Io`], and the old one stays in use.
    pub fn promote(
        &self,
        version: &ModelVersion,
        at: Ts,
        by: &str,
        reason: &str,
    ) -> Result<Option<Change>, VersionError> {
        let _lock = change_lock(&self.dir)?;
        self.open(version)?;
        let from = self.current()?;
        if from == Some(*version) {
            return Ok(None);
        }
        self.change(at, ChangeKind::Promote, from, *version, by, reason).map(Some)
    }

    /// Puts the version into use again that was in use before. Done twice, it goes back twice.
    ///
    /// # Errors
    /// [`VersionError::NoPrevious`], and those of [`Self::promote`].
    pub fn rollback(&self, at: Ts, by: &str, reason: &str) -> Result<Change, VersionError> {
        let _lock = change_lock(&self.dir)?;
        let from = self.current()?;
        let Some(to) = self.previous()? else { return Err(VersionError::NoPrevious { dir: self.dir.clone() }) };
        self.open(&to)?;
        self.change(at, ChangeKind::Rollback, from, to, by, reason)
    }

    /// Removes the oldest versions until `keep` are left, but neither the one in use nor the one before it.
    ///
    /// # Errors
    /// [`VersionError::Io`].
    pub fn prune(&self, keep: usize) -> Result<Vec<ModelVersion>, VersionError> {
        let _lock = change_lock(&self.dir)?;
        self.sweep()?;
        let (current, previous) = (self.current()?, self.previous()?);
        let names = self.names()?;
        let over = names.len().saturating_sub(keep);
        let spared = |version: &ModelVersion| Some(*version) == current || Some(*version) == previous;
        let removed: Vec<ModelVersion> = names.into_iter().filter(|version| !spared(version)).take(over).collect();
        for version in &removed {
            let (from, to) = (self.folder(version), self.dir.join(format!("{GONE}{version}")));
            // First the name goes, at once; a death in the middle leaves no half version behind.
            fs::rename(&from, &to).map_err(io_error("move the folder away", &from))?;
            fs::remove_dir_all(&to).map_err(io_error("remove the folder", &to))?;
        }
        sync(&self.dir)?;
        Ok(removed)
    }

    /// Every change, oldest first. An incomplete last line, left by a death while writing, is passed over.
    ///
    /// # Errors
    /// [`VersionError::History`] for any other line that is no entry, [`VersionError::Io`].
    pub fn history(&self) -> Result<Vec<Change>, VersionError> {
        let path = self.dir.join(HISTORY);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io_error("read the history", &path))?,
        };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let entry = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| VersionError::History {
                path: path.clone(),
                line: at + 1,
                reason: error.to_string(),
            })
        };
        text[..whole].lines().enumerate().map(entry).collect()
    }

    fn change(
        &self,
        time: Ts,
        kind: ChangeKind,
        from: Option<ModelVersion>,
        to: ModelVersion,
        by: &str,
        reason: &str,
    ) -> Result<Change, VersionError> {
        let change = Change { time, kind, from, to, by: by.to_owned(), reason: reason.to_owned() };
        self.link(&to)?;
        if let Err(error) = self.note(&change) {
            match &from {
                Some(from) => self.link(from)?,
                None => {
                    let path = self.dir.join(CURRENT);
                    fs::remove_file(&path).map_err(io_error("remove the link", &path))?;
                }
            }
            return Err(error);
        }
        Ok(change)
    }

    /// Swaps the link: a new one beside it takes its name.
    fn link(&self, to: &ModelVersion) -> Result<(), VersionError> {
        let (path, new) = (self.dir.join(CURRENT), self.dir.join(".current"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("remove the link", &new)(error)),
            _ => {}
        }
        symlink(folder_of(to), &new).map_err(io_error("make a link", &new))?;
        fs::rename(&new, &path).map_err(io_error("swap the link", &path))?;
        sync(&self.dir)
    }

    fn note(&self, change: &Change) -> Result<(), VersionError> {
        let path = self.dir.join(HISTORY);
        let append = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) as u64;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            let mut line = serde_json::to_vec(change)?;
            line.push(b'\n');
            let written = file.write_all(&line).and_then(|()| file.sync_all());
            if written.is_err() {
                let _ = file.set_len(whole);
            }
            written
        };
        append().map_err(io_error("write the history", &path))?;
        sync(&self.dir)
    }
}
