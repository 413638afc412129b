//! The verdict as a type.

use std::ops::Deref;

/// Something the account has checked, reserved capital for and put on record. Only the account can make one, and only
/// this can be given to a venue: there is no way to send an order around risk. It is neither serialised nor built from
/// parts, so it cannot be smuggled in from outside either.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    pub(in crate::account) const fn new(inner: T) -> Self {
        Self(inner)
    }

    /// For tests of venues inside this crate.
    #[cfg(test)]
    pub(crate) const fn for_test(inner: T) -> Self {
        Self(inner)
    }
}

impl<T> Deref for Approved<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
