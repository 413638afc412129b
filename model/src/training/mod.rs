//! Training: from price files to a version that says what it is worth.

mod cli;
mod error;
pub mod evaluation;
mod judge;
mod limits;
mod members;
mod pipeline;
pub mod report;
mod show;
mod weights;

pub use cli::TrainArgs;
pub(crate) use error::complain;
pub use error::{TrainError, exit};
pub(crate) use evaluation::time_text;
pub use evaluation::{Evaluation, Rules};
pub use judge::{JudgeError, Range, unseen_from};
pub(crate) use judge::{forecast, question, resolved, table_of};
pub use limits::{Interrupt, LimitError, cap_memory, die_with_parent, parse_size, parse_time_max};
pub use pipeline::{Promote, TrainPlan, Trained, read_ensemble, train};
pub use show::{Show, StageTime, line};
pub use weights::{Voice, fit_fusion};
