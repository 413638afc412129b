//! A child process that some end and others wait for.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module. Dropping it ends it by force and waits for that.
#[derive(Debug)]
pub struct ChildProcess {
    pid: u32,
    child: Mutex<Child>,
}

impl ChildProcess {
    /// Takes charge of a process.
    pub fn new(child: Child) -> Self {
        Self { pid: child.id(), child: Mutex::new(child) }
    }

    /// Its number.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it by force. One that has been waited for is left alone: its number may be another's by now.
    pub fn kill(&self) {
        let _ = self.child().kill();
    }

    /// How it has ended, if it has. Never waits.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&self) -> Option<io::Result<ExitStatus>> {
        self.child().try_wait().transpose()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
