//! The restart policy of engines.
//!
//! One [`Policy`] an engine says when it is spawned, asked to stop, forced to stop, and when it is given up until a
//! person comes. It holds no process and no thread: a host carries out what it asks for and tells what it saw.
//! [`Escalation`] says when so many engines are given up that the account is halted, and [`Availability`] what share of
//! its time an engine was ready. All instants are the host's **monotonic** time, `Ts` being nanoseconds of that clock and
//! of nothing in trading time.

pub mod availability;
pub mod backoff;
pub mod escalation;
pub mod policy;
#[cfg(test)]
mod property_tests;
pub mod setup;
pub mod status;
#[cfg(test)]
mod tests;

pub use availability::Availability;
pub use backoff::backoff;
pub use escalation::Escalation;
pub use policy::{AlertKind, Policy, SupervisionAction, SupervisionInput};
pub use setup::{SupervisionSetup, SupervisionSetupError};
pub use status::{Counted, EngineStatus, Totals};
