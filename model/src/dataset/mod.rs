//! Rows, outcomes and samples of several symbols: what members learn from and are judged on.

mod table;

pub use table::{Outcome, Sample, SymbolTable, Table};
