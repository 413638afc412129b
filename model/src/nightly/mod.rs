//! The nightly retraining: collect, train in a child, judge, swap, tell. See `docs/nightly.md`.

mod child;
mod cli;
mod gate;
mod history;
mod lock;
mod run;
mod store;

pub use child::{ChildError, ChildPlan};
pub use cli::RetrainArgs;
pub use gate::{BRIER_SLACK, CALLS_MIN, Contender, GateError, Ground, SPREAD_MIN, Verdict, decide, judge};
pub use history::{HISTORY_FILE, HistoryError, Night, Outcome, append};
pub use lock::{LockError, NightLock};
pub use run::{NightPlan, Step, retrain};
pub use store::{Collected, StoreError, collect};
