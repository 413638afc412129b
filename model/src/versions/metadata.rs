//! `model_metadata.json`: what a version is, and the sums of its files.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use levibot_core::domain::hash::{hex, sha256};
use levibot_core::domain::{Member, ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::{PROTOCOL_VERSION, schema_hash};
use serde::{Deserialize, Serialize};

use super::disk::sum_of;
use super::error::{FileFault, VersionError, io_error};

/// Its file in the folder of a version.
pub const METADATA_FILE: &str = "model_metadata.json";

/// What training knows of a version; [`super::Draft::commit`] adds name, program and sums.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Annualised Sharpe ratio of the test span, net of costs; `None` when nothing was traded there.
    pub backtest_sharpe: Option<f64>,
    /// Share of trades of the test span that earned something net of costs, 0 to 1; `None` without a trade.
    pub backtest_win_rate: Option<f64>,
    /// The settings, whole.
    pub hyperparams: serde_json::Value,
    /// Close of the first bar that it has learnt from.
    pub trained_from: Ts,
    /// Close of the last bar that it has learnt from, outcomes included.
    pub trained_through: Ts,
    /// Bar length.
    pub timeframe: Timeframe,
    /// How many bars ahead it looks.
    pub horizon_bars: u32,
    /// Entering and leaving together, a fraction of notional.
    pub round_trip_cost: f64,
    /// Symbols that it was trained on, sorted.
    pub symbols: Vec<Symbol>,
    /// Who votes.
    pub members: Vec<MemberEntry>,
    /// `Ensemble::hash` of the configuration that it was trained under.
    pub ensemble_hash: u64,
    /// Of every random draw.
    pub seed: u64,
    /// Figures of validation and test.
    pub evaluation: serde_json::Value,
}

/// One member of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// Which member.
    pub name: Member,
    /// Its weight as training chose it, 0 to 1.
    pub weight: f64,
    /// The inputs that it is shown, in the order of a row.
    pub columns: Vec<FeatureId>,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// Its length.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// The file. Times are UTC, written as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Its name, `YYYYMMDD_HHMMSS`.
    pub version: ModelVersion,
    /// When it was trained.
    #[serde(with = "time_text")]
    pub train_date: Ts,
    /// Annualised Sharpe ratio of the test span, net of costs; null when nothing was traded there.
    pub backtest_sharpe: Option<f64>,
    /// Share of trades of the test span that earned something net of costs; null without a trade.
    pub backtest_win_rate: Option<f64>,
    /// The settings, whole.
    pub hyperparams: serde_json::Value,
    /// Close of the first bar that it has learnt from.
    #[serde(with = "time_text")]
    pub trained_from: Ts,
    /// Close of the last bar that it has learnt from, outcomes included.
    #[serde(with = "time_text")]
    pub trained_through: Ts,
    /// `forecast::schema_hash` of the program that trained it, 16 hexadecimal digits.
    pub schema: String,
    /// `forecast::PROTOCOL_VERSION` of that program.
    pub protocol: u16,
    /// Version of that program.
    pub build: String,
    /// Bar length.
    pub timeframe: Timeframe,
    /// How many bars ahead it looks.
    pub horizon_bars: u32,
    /// Entering and leaving together, a fraction of notional.
    pub round_trip_cost: f64,
    /// Symbols that it was trained on.
    pub symbols: Vec<Symbol>,
    /// Who votes.
    pub members: Vec<MemberEntry>,
    /// Hash of the ensemble's configuration, 16 hexadecimal digits.
    pub ensemble_hash: String,
    /// Of every random draw.
    pub seed: u64,
    /// Every other file of the folder, by its path from there.
    pub files: BTreeMap<String, FileSum>,
    /// SHA-256 over the sums of the files in the order of their names, and over everything else that stands here.
    pub digest: String,
    /// Figures of validation and test.
    pub evaluation: serde_json::Value,
}

/// A hash as it is written here.
pub(super) fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}

impl Metadata {
    pub(super) fn seal(version: ModelVersion, at: Ts, trained: Trained, files: BTreeMap<String, FileSum>) -> Self {
        let mut metadata = Self {
            version,
            train_date: at,
            backtest_sharpe: trained.backtest_sharpe.filter(|x| x.is_finite()),
            backtest_win_rate: trained.backtest_win_rate.filter(|x| x.is_finite()),
            hyperparams: trained.hyperparams,
            trained_from: trained.trained_from,
            trained_through: trained.trained_through,
            schema: hash_text(schema_hash()),
            protocol: PROTOCOL_VERSION,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            timeframe: trained.timeframe,
            horizon_bars: trained.horizon_bars,
            round_trip_cost: trained.round_trip_cost,
            symbols: trained.symbols,
            members: trained.members,
            ensemble_hash: hash_text(trained.ensemble_hash),
            seed: trained.seed,
            files,
            digest: String::new(),
            evaluation: trained.evaluation,
        };
        metadata.digest = metadata.digest_now();
        metadata
    }

    /// What `digest` must be.
    fn digest_now(&self) -> String {
        let bare = Self { digest: String::new(), ..self.clone() };
        // These types have a JSON, and it is read back to the same values; without one no digest would agree.
        let rest = serde_json::to_vec(&bare).unwrap_or_default();
        let sums: Vec<&[u8]> = self.files.values().map(|file| file.sha256.as_bytes()).collect();
        hex(&sha256(&[&sha256(&sums), &rest]))
    }

    /// Reads the file in a version's folder and checks it against itself, its folder's name and this program.
    pub(super) fn read(folder: &Path, version: &ModelVersion) -> Result<Self, VersionError> {
        let path = folder.join(METADATA_FILE);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(VersionError::File { path, found: FileFault::Missing });
            }
            other => other.map_err(io_error("read the metadata", &path))?,
        };
        let refuse = |reason: String| VersionError::Metadata { path: path.clone(), reason };
        // The schema is looked at first: another program's metadata may have other keys too.
        let raw: serde_json::Value = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        let wanted = hash_text(schema_hash());
        match raw.get("schema").and_then(serde_json::Value::as_str) {
            Some(found) if found != wanted => {
                return Err(VersionError::Schema { path, found: found.to_owned(), wanted });
            }
            _ => {}
        }
        let metadata: Self = serde_json::from_value(raw).map_err(|error| refuse(error.to_string()))?;
        if metadata.version != *version {
            return Err(refuse(format!("it is that of version {}", metadata.version)));
        }
        if metadata.digest != metadata.digest_now() {
            return Err(VersionError::File { path, found: FileFault::Digest });
        }
        Ok(metadata)
    }

    /// Compares every file with its length and sum.
    pub(super) fn verify(&self, folder: &Path) -> Result<(), VersionError> {
        for (name, wanted) in &self.files {
            let path = folder.join(name);
            let fault = |found| VersionError::File { path: path.clone(), found };
            if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(fault(FileFault::Outside));
            }
            let bytes = match std::fs::symlink_metadata(&path) {
                Ok(file) if file.is_file() => file.len(),
                Ok(_) => return Err(fault(FileFault::Missing)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(fault(FileFault::Missing)),
                Err(error) => return Err(io_error("look at the file", &path)(error)),
            };
            if bytes != wanted.bytes {
                return Err(fault(FileFault::Size { found: bytes, wanted: wanted.bytes }));
            }
            let found = sum_of(&path)?.sha256;
            if found != wanted.sha256 {
                return Err(fault(FileFault::Sum { found, wanted: wanted.sha256.clone() }));
            }
        }
        Ok(())
    }
}

/// Instants as text.
pub(super) mod time_text {
    use levibot_core::domain::Ts;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(in crate::versions) fn serialize<S: Serializer>(ts: &Ts, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(ts)
    }

    pub(in crate::versions) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Ts, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}
