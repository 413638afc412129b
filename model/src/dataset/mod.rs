//! Rows, outcomes and samples of several symbols: what members learn from and are judged on.

mod build;
mod error;
mod leak;
mod rows;
mod split;
mod table;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod walk;

pub use build::{Built, LeftOut, Wanted};
pub use error::DatasetError;
pub use leak::{Leak, LeakCheck, truncated_against_full};
pub use levibot_core::labels::Outcome;
pub use rows::{EngineRows, RowSource, SymbolRows};
pub use split::{Dropped, Part, Split};
pub use table::{Sample, SymbolTable, Table};
