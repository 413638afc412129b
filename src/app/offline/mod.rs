//! What is done with a record while no daemon is needed: recompute it, and run it again.

mod audit;
mod replay_record;

pub use audit::{AuditOutcome, audit};
pub use replay_record::{ReplayOutcome, replay_record};
