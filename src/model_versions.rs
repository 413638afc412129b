//! What this program needs to know of the versions of the fusion model: which is in use, and what it has learnt from.

use std::io;
use std::path::{Path, PathBuf};

use levibot_core::domain::{ModelVersion, Timeframe, Ts};
use serde::Deserialize;

/// The link to the version in use.
pub const CURRENT: &str = "current";
/// What a version is, in its folder.
pub const METADATA: &str = "model_metadata.json";

/// What is needed to know of a version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Which. A replay asks this one and no other.
    pub version: ModelVersion,
    /// Close of the last bar that it has learnt from.
    #[serde(deserialize_with = "time_of_text")]
    pub trained_through: Ts,
    /// Hash of the inputs that it was trained on, 16 hexadecimal digits.
    pub schema: String,
    /// Bar length that it was trained on.
    pub timeframe: Timeframe,
    /// SHA-256 over its files, hexadecimal: a part of a replay's name.
    pub digest: String,
}

fn time_of_text<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Ts, D::Error> {
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

/// Why a version is not found.
#[derive(Debug)]
pub enum FindFault {
    /// The one that is named is not there.
    NoVersion(ModelVersion),
    /// Its description cannot be read.
    Read(PathBuf, io::Error),
    /// Its description cannot be understood.
    Text(PathBuf, serde_json::Error),
}

/// The folder of a version, or the link to the one in use.
pub fn folder(dir: &Path, version: Option<ModelVersion>) -> PathBuf {
    version.map_or_else(|| dir.join(CURRENT), |version| dir.join(format!("ensemble_{version}")))
}

/// The version that is named, or the one in use; `None` where none is in use.
///
/// # Errors
/// [`FindFault`].
pub fn find(dir: &Path, version: Option<ModelVersion>) -> Result<Option<Metadata>, FindFault> {
    let folder = folder(dir, version);
    let file = folder.join(METADATA);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match version {
                Some(version) => Err(FindFault::NoVersion(version)),
                // A link without its folder is damage, not the lack of a version.
                None if folder.is_symlink() || folder.exists() => Err(FindFault::Read(file, error)),
                None => Ok(None),
            };
        }
        Err(error) => return Err(FindFault::Read(file, error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| FindFault::Text(file, error))
}
