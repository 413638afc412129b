//! Looks at the link to the version in use.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use levibot_core::chain::chain;
use levibot_core::domain::ModelVersion;

use super::{Event, ServeError, log};
use crate::versions::Versions;

/// Tells [`Event::Link`] whenever the link names another version than at the last look. Ends when what it returns is
/// dropped. A link that cannot be read is told once in the log, and what is in use stays in use.
pub(super) fn spawn(
    versions: Versions,
    mut seen: ModelVersion,
    poll: Duration,
    events: SyncSender<Event>,
) -> Result<SyncSender<()>, ServeError> {
    let (alive, ended) = sync_channel::<()>(0);
    let work = move || {
        let mut complaint = None;
        while ended.recv_timeout(poll) == Err(RecvTimeoutError::Timeout) {
            let found = match versions.current() {
                Ok(Some(version)) => Ok(version),
                Ok(None) => Err("there is no link to a version in use any more".to_owned()),
                Err(error) => Err(chain(&error)),
            };
            match found {
                Ok(version) => {
                    complaint = None;
                    if version != seen {
                        seen = version;
                        if events.send(Event::Link(version)).is_err() {
                            return;
                        }
                    }
                }
                Err(text) => {
                    if complaint.as_ref() != Some(&text) {
                        log(&text);
                        complaint = Some(text);
                    }
                }
            }
        }
    };
    let builder = std::thread::Builder::new().name("follow".to_owned());
    builder.spawn(work).map_err(|source| ServeError::System { operation: "start a thread", source })?;
    Ok(alive)
}
