//! What long work tells about itself.

use std::fmt::Debug;

/// Hears how far work is. Implementations show a bar, write lines, or stay silent.
pub trait Progress: Debug + Sync {
    /// A stage begins: its name for people, and how many steps it has.
    fn begin(&self, stage: &str, steps: u64);

    /// So many steps are done since the last call; `note` is a word on how it goes, or empty.
    fn step(&self, steps: u64, note: &str);

    /// The stage is done.
    fn end(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}

    fn step(&self, _: u64, _: &str) {}

    fn end(&self) {}
}
