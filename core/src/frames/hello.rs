//! The first frame each way: who speaks, and whether the two understand each other.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Version of what is said over frames. Raised by any change that an older side would misread.
pub const PROTOCOL: u16 = 1;

/// What each side says first. Unknown keys are passed over, so that a newer side can still be told that it is newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the speaker.
    pub protocol: u16,
    /// Version and commit of the speaker's binary, for people.
    pub build: String,
    /// Hash of the message types, or of the features, that the speaker was built with.
    pub schema: u64,
    /// What the speaker is: `daemon`, `cli`, `engine`, `model`.
    pub role: String,
}

/// Why two sides cannot talk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Their protocol is lower than ours.
    #[error(
        "the {} (build {}, protocol {}) is older than this {} (build {}, protocol {}): restart the {0} with build {4}",
        theirs.role, theirs.build, theirs.protocol, ours.role, ours.build, ours.protocol
    )]
    TheyAreOlder {
        /// What we said.
        ours: Box<Hello>,
        /// What they said.
        theirs: Box<Hello>,
    },
    /// Our protocol is lower than theirs.
    #[error(
        "this {} (build {}, protocol {}) is older than the {} (build {}, protocol {}): restart this {0} with build {4}",
        ours.role, ours.build, ours.protocol, theirs.role, theirs.build, theirs.protocol
    )]
    WeAreOlder {
        /// What we said.
        ours: Box<Hello>,
        /// What they said.
        theirs: Box<Hello>,
    },
    /// The same protocol, but other types or features. Hashes do not tell which side is older; the builds do.
    #[error(
        "this {} (build {}, schema {:016x}) and the {} (build {}, schema {:016x}) were built with different schemas: \
         install the newer of the two builds on both sides and restart the older",
        ours.role, ours.build, ours.schema, theirs.role, theirs.build, theirs.schema
    )]
    Schema {
        /// What we said.
        ours: Box<Hello>,
        /// What they said.
        theirs: Box<Hello>,
    },
}

/// Whether two sides understand each other: the same protocol and the same schema. Build and role may differ.
///
/// # Errors
/// [`HelloError`], which says who is older and what to do.
pub fn check_hello(ours: &Hello, theirs: &Hello) -> Result<(), HelloError> {
    let order = theirs.protocol.cmp(&ours.protocol);
    if order == Ordering::Equal && ours.schema == theirs.schema {
        return Ok(());
    }
    let (ours, theirs) = (Box::new(ours.clone()), Box::new(theirs.clone()));
    Err(match order {
        Ordering::Less => HelloError::TheyAreOlder { ours, theirs },
        Ordering::Greater => HelloError::WeAreOlder { ours, theirs },
        Ordering::Equal => HelloError::Schema { ours, theirs },
    })
}
