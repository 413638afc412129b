//! Reads batches from the socket.

use std::io::{BufReader, Read};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use levibot_core::forecast::{Batch, QUESTIONS_MAX, ToModel, decode};
use levibot_core::frames::read_frame;

use super::{Event, ServeError};

/// Tells each batch, and at last how the stream ended. It waits while events are full, so that what comes too fast stays
/// with the sender.
pub(super) fn spawn(socket: &UnixStream, events: SyncSender<Event>) -> Result<(), ServeError> {
    let socket = socket.try_clone().map_err(|source| ServeError::System { operation: "share the socket", source })?;
    let work = move || {
        let mut socket = BufReader::with_capacity(1 << 16, socket);
        loop {
            let event = match next(&mut socket) {
                Ok(Some(batch)) => Event::Batch { batch, received: Instant::now() },
                Ok(None) => Event::Closed(Ok(())),
                Err(error) => Event::Closed(Err(error)),
            };
            let last = matches!(event, Event::Closed(_));
            if events.send(event).is_err() || last {
                return;
            }
        }
    };
    let builder = std::thread::Builder::new().name("reader".to_owned());
    builder.spawn(work).map_err(|source| ServeError::System { operation: "start a thread", source })?;
    Ok(())
}

fn next(socket: &mut impl Read) -> Result<Option<Batch>, ServeError> {
    let Some(payload) = read_frame(socket)? else { return Ok(None) };
    let ToModel::Forecast(batch) =
        decode(&payload).map_err(|source| ServeError::Words { bytes: payload.len(), source })?;
    match batch.questions.len() {
        count if count > QUESTIONS_MAX => Err(ServeError::TooMany { count }),
        _ => Ok(Some(batch)),
    }
}
