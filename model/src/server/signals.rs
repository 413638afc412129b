//! What ends the server besides the daemon.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, Signal};

use super::ServeError;

/// From now on SIGTERM closes the reading side of the socket: what was asked is answered, then the server ends. SIGINT
/// does nothing: Ctrl-C in a terminal reaches the daemon too, which ends its model when it is done with it. To be called
/// before the first thread starts.
///
/// # Errors
/// [`ServeError::System`].
pub fn end_on_sigterm(socket: &UnixStream) -> Result<(), ServeError> {
    let fail = |operation| move |source| ServeError::System { operation, source };
    let socket = socket.try_clone().map_err(fail("share the socket"))?;
    let mut all = SigSet::empty();
    all.add(Signal::SIGTERM);
    all.add(Signal::SIGINT);
    all.thread_block().map_err(|errno| fail("hold signals back")(errno.into()))?;
    let work = move || {
        loop {
            match all.wait() {
                Ok(Signal::SIGTERM) => {
                    let _ = socket.shutdown(Shutdown::Read);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    };
    let builder = std::thread::Builder::new().name("signals".to_owned());
    builder.spawn(work).map_err(fail("start a thread"))?;
    Ok(())
}
