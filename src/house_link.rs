//! The way to the risk manager for those who are made before it, and answers that are never dropped.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

use actix::dev::SendError;
use actix::prelude::*;

use crate::risk_manager::Tell;

/// Bound once, when the risk manager has been started.
#[derive(Clone, Default)]
pub struct HouseLink(Arc<OnceLock<Recipient<Tell>>>);

impl fmt::Debug for HouseLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HouseLink").field(&self.0.get().is_some()).finish()
    }
}

impl HouseLink {
    /// Says where the risk manager is. Later calls change nothing.
    pub fn bind(&self, house: Recipient<Tell>) {
        let _ = self.0.set(house);
    }

    /// Tries once.
    ///
    /// # Errors
    /// The message itself, when the mailbox is full, or nobody is there (yet).
    #[expect(clippy::result_large_err, reason = "the message comes back whole, so that nothing is lost")]
    pub fn try_send(&self, tell: Tell) -> Result<(), SendError<Tell>> {
        match self.0.get() {
            Some(house) => house.try_send(tell),
            // Not there yet is as good as busy: it is tried again.
            None => Err(SendError::Full(tell)),
        }
    }
}

/// Answers on their way to the risk manager: kept, in order, as long as its mailbox is full.
#[derive(Debug)]
pub struct Outgoing {
    house: HouseLink,
    waiting: VecDeque<Tell>,
}

impl Outgoing {
    /// Nothing waits yet.
    pub const fn new(house: HouseLink) -> Self {
        Self { house, waiting: VecDeque::new() }
    }

    /// Sends `tell` after all that waits; `false` when something still waits, and [`Self::flush`] must be called again.
    pub fn send(&mut self, tell: Tell) -> bool {
        self.waiting.push_back(tell);
        self.flush()
    }

    /// Sends what waits; `false` when something still does.
    pub fn flush(&mut self) -> bool {
        while let Some(tell) = self.waiting.pop_front() {
            match self.house.try_send(tell) {
                Ok(()) => {}
                Err(SendError::Full(tell)) => {
                    self.waiting.push_front(tell);
                    return false;
                }
                Err(SendError::Closed(_)) => self.waiting.clear(),
            }
        }
        true
    }
}
