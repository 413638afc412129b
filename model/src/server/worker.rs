//! A thread that owns one loaded version.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use levibot_core::domain::{Forecast, ModelVersion};
use levibot_core::forecast::{Batch, Refusal};

use super::{Event, Loading, ServeError};

type Answers = Vec<Result<Forecast, Refusal>>;

/// A version and its thread. Dropping it waits until the thread has ended: native code must not be at work while the
/// process ends.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) generation: u64,
    batches: Option<SyncSender<Batch>>,
    answers: Receiver<Answers>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts loading; [`Event::Loaded`] tells the outcome.
    pub(super) fn spawn(
        generation: u64,
        version: ModelVersion,
        loading: Loading,
        events: SyncSender<Event>,
    ) -> Result<Self, ServeError> {
        let (batches, inbox) = sync_channel::<Batch>(1);
        let (outbox, answers) = sync_channel::<Answers>(1);
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| (loading.load_by)(&loading.versions, version)));
            let loaded = match outcome {
                Ok(Ok(loaded)) => loaded,
                Ok(Err(error)) => {
                    let _ = events.send(Event::Loaded { generation, outcome: Err(error.into()) });
                    return;
                }
                Err(_) => {
                    let error = ServeError::Loading("it panicked; the lines before say where".to_owned());
                    let _ = events.send(Event::Loaded { generation, outcome: Err(error) });
                    return;
                }
            };
            if events.send(Event::Loaded { generation, outcome: Ok(loaded.ready()) }).is_err() {
                return;
            }
            drop(events);
            for batch in inbox {
                if outbox.send(loaded.forecast(&batch.questions, batch.timeframe)).is_err() {
                    return;
                }
            }
        };
        let builder = std::thread::Builder::new().name(format!("version-{generation}"));
        let thread =
            builder.spawn(work).map_err(|source| ServeError::System { operation: "start a thread", source })?;
        Ok(Self { generation, batches: Some(batches), answers, thread: Some(thread) })
    }

    /// The answers to a batch. A thread that has died refuses.
    pub(super) fn ask(&self, batch: Batch) -> Answers {
        let count = batch.questions.len();
        let asked = self.batches.as_ref().is_some_and(|batches| batches.send(batch).is_ok());
        let answers = if asked { self.answers.recv().ok() } else { None };
        answers.unwrap_or_else(|| vec![Err(Refusal::Failed("the thread of the model ended".to_owned())); count])
    }

    /// Lets the thread end when it has done what it does.
    pub(super) fn end(&mut self) {
        self.batches = None;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
        // A thread that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
