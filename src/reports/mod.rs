//! Reports.
mod picture; mod scale; mod shape; mod words;
pub use picture::*;
