//! How the votes of several members become one probability.

mod calibration;
mod ensemble;
mod fuse;

pub use calibration::Calibration;
pub use ensemble::{Ensemble, EnsembleError, MemberKeys, Voting};
pub use fuse::{Fused, Fusion, MemberFusion};
