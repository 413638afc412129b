//! Prices that more than one tick has shown.

use crate::domain::{Span, Ts};

/// How long a price must have been there: one bad tick stops nothing.
pub(super) const CONFIRM_AFTER: Span = Span::from_millis(100);

/// Lowest and highest price of a stretch of quotes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    #[inline]
    const fn at(price: f64) -> Self {
        Self { low: price, high: price }
    }

    const fn with(self, price: f64) -> Self {
        Self { low: self.low.min(price), high: self.high.max(price) }
    }
}

/// The quotes of one symbol in two stretches: the present one, at the end of which at least [`CONFIRM_AFTER`] has passed,
/// and the one before it. A move is confirmed when both show it: two quotes that far apart, and none in between that
/// denies it. Where quotes come often that is at the end of the second stretch after it began. A symbol that is not quoted
/// confirms nothing until a closed bar speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Witness {
    since: Ts,
    before: Range,
    present: Range,
}

impl Witness {
    /// A price that needs no second one: of a closed bar, or of the record.
    #[inline]
    pub(super) const fn sure(price: f64, at: Ts) -> Self {
        Self { since: at, before: Range::at(price), present: Range::at(price) }
    }

    /// One more price.
    pub(super) fn see(&mut self, price: f64, now: Ts) {
        if now - self.since >= CONFIRM_AFTER {
            (self.since, self.before, self.present) = (now, self.present, Range::at(price));
        } else {
            self.present = self.present.with(price);
        }
    }

    /// The price at which a position of this sign has lost no more than is confirmed.
    pub(super) fn price_for(&self, net: f64) -> f64 {
        if net < 0.0 { self.before.low.min(self.present.low) } else { self.before.high.max(self.present.high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at_ms(ms: i64) -> Ts {
        Ts::from_millis(1_654_041_600_000 + ms)
    }

    proptest! {
        /// What is confirmed has been shown by two quotes at least 100 ms apart and denied by none between them.
        #[test]
        fn a_confirmed_fall_lasted(steps in proptest::collection::vec((1i64..80, any::<bool>()), 1..200)) {
            let mut witness = Witness::sure(100.0, at_ms(0));
            let (mut now, mut since) = (0, None);
            for (step, low) in steps {
                now += step;
                witness.see(if low { 50.0 } else { 100.0 }, at_ms(now));
                since = if low { since.or(Some(now)) } else { None };
                if witness.price_for(1.0) < 100.0 {
                    prop_assert!(since.is_some_and(|since| now - since >= 100), "{now} {since:?}");
                }
                if since.is_some_and(|since| now - since >= 360) {
                    prop_assert!(witness.price_for(1.0) < 100.0, "two stretches, each up to 180 ms: {now} {since:?}");
                }
            }
        }
    }
}
