//! Work that may block for long (files that are slow to come, a long walk of the simulator), apart from everybody else.

use std::thread;

use tokio::sync::oneshot;

/// Does it on a thread of its own. The end of the daemon waits for such a thread no more than for its answer, where it
/// would wait for each of a runtime's blocking threads.
///
/// # Errors
/// In words, where there is no thread to be had or the work has panicked.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, outcome) = oneshot::channel();
    // Nobody may be left who wants to know.
    let work = move || drop(done.send(work()));
    let begun = thread::Builder::new().name("apart".to_owned()).spawn(work);
    begun.map_err(|error| format!("no thread could be started: {error}; raise this user's limit of threads"))?;
    outcome.await.map_err(|_| "the work on a thread of its own has panicked: the log says more".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_runtime_ends_without_what_is_not_done() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (go_on, blocked) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let work = apart(move || {
            begun.send(()).unwrap();
            blocked.recv().is_ok()
        });
        runtime.spawn(work);
        runtime.block_on(tokio::task::yield_now());
        begins.recv().unwrap();
        drop(runtime);
        // It would not have come to this line.
        go_on.send(()).unwrap();
    }

    #[tokio::test]
    async fn outcomes_and_panics_are_told() {
        assert_eq!(apart(|| 7).await, Ok(7));
        let panicked: Result<(), String> = apart(|| panic!("on purpose")).await;
        assert!(panicked.unwrap_err().contains("has panicked"));
    }
}
