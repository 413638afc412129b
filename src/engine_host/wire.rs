//! What the daemon and an engine process say to each other: [`postcard`] bytes in frames of the core.
//!
//! The daemon begins. After the two hellos each message of the daemon is numbered from 1 and answered by exactly one
//! message of the engine, in order. Whatever else an engine says ends it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use levibot_core::domain::Symbol;
use levibot_core::domain::hash::hash64;
use levibot_core::engine::{EngineSetup, SNAPSHOT_VERSION};
use levibot_core::features::{FeatureId, FeatureSet};
use levibot_core::frames::{FrameError, Hello, PROTOCOL, encode_bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::work::Said;

/// Version of the messages below. Raised by any change of them.
const MESSAGES: u16 = 2;

/// To an engine. `I` is [`EngineInput`](levibot_core::driver::EngineInput), by reference where it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToEngine<I> {
    /// Who it is; not numbered.
    Begin(Box<Begin>),
    /// Work.
    Work(I),
    /// Nothing; the answer shows that the loop turns.
    Beat,
    /// A fault to commit instead of work.
    #[cfg(feature = "fault-injection")]
    Fault(crate::control::Fault),
}

/// Who an engine is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) hello: Hello,
    pub(super) symbol: Symbol,
    pub(super) generation: u64,
    pub(super) setup: EngineSetup,
    /// [`setup_hash`] of `setup`: whether both sides mean the same configuration.
    pub(super) setup_hash: u64,
}

/// From an engine.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum FromEngine {
    /// What it is; not numbered.
    Hello {
        hello: Hello,
        generation: u64,
        /// Of what it understood.
        setup_hash: u64,
    },
    /// A message is worked off.
    Did {
        generation: u64,
        /// Which.
        number: u64,
        what: Did,
    },
}

/// What came of a message.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum Did {
    /// Nothing to say.
    Nothing,
    /// It has been told the position for the first time, the last thing a beginning engine is told.
    Ready,
    /// An answer or a question.
    Said(Said),
}

/// Appends a message as a frame.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is then as before.
pub(super) fn append(message: &impl Serialize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let failed = |error: postcard::Error| FrameError::Io { doing: "write", source: io::Error::other(error) };
    encode_bytes(&postcard::to_stdvec(message).map_err(failed)?, out)
}

/// The message of a frame; anything else, trailing bytes included, is an error in words.
pub(super) fn message<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(format!("{} bytes too many in a frame of {}", rest.len(), payload.len())),
        Err(error) => Err(format!("a frame of {} bytes is no message: {error}", payload.len())),
    }
}

/// What one side says of itself.
pub(super) fn hello(role: &str, build: String) -> Hello {
    let features = FeatureSet::new(FeatureId::ALL).schema_hash();
    let parts = [u64::from(MESSAGES), u64::from(SNAPSHOT_VERSION), features, levibot_core::forecast::schema_hash()];
    let bytes = parts.map(u64::to_le_bytes);
    Hello { protocol: PROTOCOL, build, schema: hash64(&[bytes.as_flattened()]), role: role.to_owned() }
}

/// A hash over all of a setup, as both sides compute it from what they hold.
pub(super) fn setup_hash(setup: &EngineSetup) -> u64 {
    // Writing to memory does not fail; if it ever did, the hashes would not be taken for the same.
    hash64(&[&postcard::to_stdvec(setup).unwrap_or_default()])
}

/// Tells two builds apart: the version, and which file on disk it is.
///
/// # Errors
/// When the file cannot be looked at.
pub(super) fn build(program: &Path) -> io::Result<String> {
    let file = std::fs::metadata(program)?;
    let place = [file.dev(), file.ino(), file.size()];
    let (secs, nanos) = (file.mtime(), file.mtime_nsec());
    let [dev, ino, size] = place;
    Ok(format!("{} {dev:x}.{ino:x}.{size:x}.{secs:x}.{nanos:x}", env!("CARGO_PKG_VERSION")))
}

/// Whether the two sides are one build, one protocol and one schema.
///
/// # Errors
/// How they differ, in words.
pub(super) fn check(ours: &Hello, theirs: &Hello) -> Result<(), String> {
    levibot_core::frames::check_hello(ours, theirs).map_err(|error| error.to_string())?;
    if ours.build != theirs.build {
        return Err(format!(
            "the {} is of build {}, this {} of build {}: the program was replaced while it ran; restart the daemon",
            theirs.role, theirs.build, ours.role, ours.build
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::{Ix, PositionView, Timeframe, Ts};
    use levibot_core::driver::EngineInput;
    use levibot_core::engine::{Snapshot, StrategyPolicy};
    use levibot_core::frames::Decoder;

    use super::*;

    fn setup() -> EngineSetup {
        let text = include_str!("../../policies/strategies/ema_cross_guarded.yaml");
        EngineSetup::new(Ix(3), Timeframe::HOUR, StrategyPolicy::from_yaml(text).unwrap())
    }

    fn there_and_back<T: Serialize, U: DeserializeOwned>(message_out: &T) -> Result<U, String> {
        let (mut frame, mut decoder) = (Vec::new(), Decoder::new());
        append(message_out, &mut frame).unwrap();
        decoder.push(&frame);
        message(decoder.next_frame().unwrap().unwrap())
    }

    #[test]
    fn what_is_written_by_reference_is_read_whole() {
        let snapshot = Snapshot { version: 1, schema: 2, policy: 3, bytes: vec![4; 20_000] };
        for input in [EngineInput::Restore(snapshot), EngineInput::Position(PositionView::flat(Ix(3)))] {
            let ToEngine::Work(read) = there_and_back::<_, ToEngine<EngineInput>>(&ToEngine::Work(&input)).unwrap()
            else {
                panic!("no work");
            };
            assert_eq!(read, input);
        }
        let said = Said::Answer { bar: Ts::from_secs(1), decision: None, snapshot: None };
        let did = FromEngine::Did { generation: 1, number: 2, what: Did::Said(said) };
        assert_eq!(there_and_back::<_, FromEngine>(&did).unwrap(), did);
    }

    #[test]
    fn a_setup_means_the_same_on_both_sides_and_another_one_something_else() {
        let setup = setup();
        let read: EngineSetup = there_and_back(&setup).unwrap();
        assert_eq!(setup_hash(&read), setup_hash(&setup));
        let other = EngineSetup { timeframe: Timeframe::MINUTE, ..setup.clone() };
        assert_ne!(setup_hash(&other), setup_hash(&setup));
    }

    #[test]
    fn garbage_and_trailing_bytes_are_no_message() {
        assert!(message::<FromEngine>(&[0xff; 40]).is_err());
        let mut bytes = postcard::to_stdvec(&FromEngine::Did { generation: 1, number: 1, what: Did::Ready }).unwrap();
        assert!(message::<FromEngine>(&bytes).is_ok());
        bytes.push(0);
        assert!(message::<FromEngine>(&bytes).is_err());
    }

    #[test]
    fn another_build_or_schema_is_refused_in_words() {
        let ours = hello("daemon", "1 a".to_owned());
        assert!(check(&ours, &hello("engine", "1 a".to_owned())).is_ok());
        let other = check(&ours, &hello("engine", "1 b".to_owned())).unwrap_err();
        assert!(other.contains("1 b") && other.contains("restart"), "{other}");
        let schema = Hello { schema: 1, ..hello("engine", "1 a".to_owned()) };
        assert!(check(&ours, &schema).unwrap_err().contains("schemas"));
    }
}
