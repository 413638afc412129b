//! The checks of one entry, kept as they are made: what was found, what is allowed, and which one said no.

use std::borrow::Cow;

use crate::record::Check;

/// As many checks as an entry meets, with room to spare, so that the list is allocated once.
const CHECKS: usize = 24;

/// The checks made so far, where they are kept.
#[derive(Debug)]
pub(super) struct Checks {
    made: Option<Vec<Check>>,
}

/// The check that failed, with its reason in words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) check: &'static str,
    pub(super) reason: String,
}

impl Checks {
    /// Checks that are kept with their reasons, or only made.
    pub(super) fn new(are_kept: bool) -> Self {
        Self { made: are_kept.then(|| Vec::with_capacity(CHECKS)) }
    }

    pub(super) fn into_made(self) -> Vec<Check> {
        self.made.unwrap_or_default()
    }

    /// A check without figures.
    pub(super) fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        self.note(name, passed, [None, None], reason)
    }

    /// That `value` is at most `limit`.
    pub(super) fn at_most(
        &mut self,
        name: &'static str,
        value: f64,
        limit: f64,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        self.note(name, value <= limit, [Some(value), Some(limit)], reason)
    }

    /// That `value` is under `limit`.
    pub(super) fn under(
        &mut self,
        name: &'static str,
        value: f64,
        limit: f64,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        self.note(name, value < limit, [Some(value), Some(limit)], reason)
    }

    /// That `value` is at least `limit`.
    pub(super) fn at_least(
        &mut self,
        name: &'static str,
        value: f64,
        limit: f64,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        self.note(name, value >= limit, [Some(value), Some(limit)], reason)
    }

    /// Numbers that a record cannot hold are left out of it; a comparison with them has failed.
    fn note(
        &mut self,
        name: &'static str,
        passed: bool,
        figures: [Option<f64>; 2],
        reason: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if let Some(made) = &mut self.made {
            let [value, limit] = figures.map(|figure| figure.filter(|x| x.is_finite()));
            made.push(Check { name: Cow::Borrowed(name), passed, value, limit });
        }
        if passed {
            return Ok(());
        }
        let reason = if self.made.is_some() { reason() } else { String::new() };
        Err(Refusal { check: name, reason })
    }
}
