//! The client of the model server.

use actix::prelude::*;
use levibot_core::domain::Question;

/// A question for the model.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// Whether no other engine may still ask about this instant: the batch can go.
    pub last: bool,
}
