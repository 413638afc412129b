//! The state of an engine as bytes.

use serde::{Deserialize, Serialize};

use crate::features::mix_words;

/// Version of the bytes in a [`Snapshot`]. Raised by any change of what they hold.
pub const SNAPSHOT_VERSION: u16 = 4;

/// The state of an engine after a bar. The position is not in it: that is the account's to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`] of its writer.
    pub version: u16,
    /// Hash of the features and their formulas.
    pub schema: u64,
    /// Hash of the policy.
    pub policy: u64,
    /// The state, and a checksum over it and the fields above.
    pub bytes: Vec<u8>,
}

/// Why a snapshot cannot be used. The engine must then be built anew and primed with history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version of the program.
    #[error(
        "the snapshot has layout version {found}, this program reads {SNAPSHOT_VERSION}; prime the engine with history"
    )]
    Version {
        /// What it says.
        found: u16,
    },
    /// Other features, or other formulas of them.
    #[error(
        "the snapshot holds features {found:016x}, this engine computes {wanted:016x}; prime the engine with history"
    )]
    Schema {
        /// What it says.
        found: u64,
        /// What the setup needs.
        wanted: u64,
    },
    /// Another policy, or other values in it.
    #[error("the snapshot is of policy {found:016x}, this engine runs {wanted:016x}; prime the engine with history")]
    Policy {
        /// What it says.
        found: u64,
        /// What the setup needs.
        wanted: u64,
    },
    /// Another symbol or timeframe.
    #[error("the snapshot is of another instrument or timeframe; prime the engine with history")]
    Instrument,
    /// Bytes were cut off or changed.
    #[error("the snapshot is damaged: its checksum does not hold; prime the engine with history")]
    Damaged,
}

impl Snapshot {
    pub(super) fn seal(schema: u64, policy: u64, mut bytes: Vec<u8>) -> Self {
        let sum = checksum(SNAPSHOT_VERSION, schema, policy, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        Self { version: SNAPSHOT_VERSION, schema, policy, bytes }
    }

    /// The state's bytes, if this is a whole snapshot of these features and this policy.
    pub(super) fn open(&self, schema: u64, policy: u64) -> Result<&[u8], RestoreError> {
        if self.version != SNAPSHOT_VERSION {
            return Err(RestoreError::Version { found: self.version });
        }
        if self.schema != schema {
            return Err(RestoreError::Schema { found: self.schema, wanted: schema });
        }
        if self.policy != policy {
            return Err(RestoreError::Policy { found: self.policy, wanted: policy });
        }
        let (state, sum) = self.bytes.split_last_chunk::<8>().ok_or(RestoreError::Damaged)?;
        let holds = u64::from_le_bytes(*sum) == checksum(self.version, schema, policy, state);
        if holds { Ok(state) } else { Err(RestoreError::Damaged) }
    }
}

/// Against accidents, not against forgers.
fn checksum(version: u16, schema: u64, policy: u64, bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let last = rest.iter().fold(rest.len() as u64, |word, byte| (word << 8) | u64::from(*byte));
    let head = [u64::from(version), schema, policy];
    mix_words(head.into_iter().chain(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk))).chain([last]))
}
