//! From engines that are given up to an account that is halted.

use std::collections::BTreeSet;

use crate::domain::Ix;

/// Says when so many engines are in quarantine at once that what fails is no longer one engine's own fault, so that the
/// account should take no entries either.
///
/// It speaks when an engine is quarantined and the limit is reached with it, and never twice for one quarantine. A halt
/// that a person lifts while engines are still in quarantine therefore stays lifted until one more is quarantined.
#[derive(Debug, Clone)]
pub struct Escalation {
    quarantines_max: u32,
    quarantined: BTreeSet<Ix>,
}

impl Escalation {
    /// No engine is in quarantine. `quarantines_max`: so many at once halt the account, 1 to 1,000.
    pub const fn new(quarantines_max: u32) -> Self {
        Self { quarantines_max, quarantined: BTreeSet::new() }
    }

    /// This engine is in quarantine from now on. `true`: the account is to be halted.
    #[must_use = "whether the account is to be halted"]
    pub fn quarantine(&mut self, engine: Ix) -> bool {
        let is_new = self.quarantined.insert(engine);
        is_new && u32::try_from(self.quarantined.len()).is_ok_and(|count| count >= self.quarantines_max)
    }

    /// This engine is not in quarantine any more, or was not.
    pub fn lift(&mut self, engine: Ix) {
        self.quarantined.remove(&engine);
    }

    /// The engines that are in quarantine now, in instrument order.
    pub fn quarantined(&self) -> impl ExactSizeIterator<Item = Ix> {
        self.quarantined.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_limit_halts_and_so_does_each_one_more() {
        let mut escalation = Escalation::new(3);
        assert_eq!([0, 1, 2].map(|ix| escalation.quarantine(Ix(ix))), [false, false, true]);
        assert!(!escalation.quarantine(Ix(2)), "told already");
        assert!(escalation.quarantine(Ix(3)), "whatever a person lifted, one more is one more");
        escalation.lift(Ix(0));
        escalation.lift(Ix(0));
        escalation.lift(Ix(1));
        assert_eq!(escalation.quarantined().collect::<Vec<_>>(), [Ix(2), Ix(3)]);
        assert!(escalation.quarantine(Ix(1)), "the limit is crossed again");
    }

    proptest! {
        #[test]
        fn it_speaks_exactly_when_a_new_quarantine_reaches_the_limit(
            limit in 1..6_u32,
            steps in prop::collection::vec((0..8_u16, any::<bool>()), 0..100),
        ) {
            let mut escalation = Escalation::new(limit);
            let mut inside = BTreeSet::new();
            for (ix, is_quarantine) in steps {
                if is_quarantine {
                    let is_new = inside.insert(ix);
                    prop_assert_eq!(escalation.quarantine(Ix(ix)), is_new && inside.len() >= limit as usize);
                } else {
                    inside.remove(&ix);
                    escalation.lift(Ix(ix));
                }
                prop_assert_eq!(escalation.quarantined().len(), inside.len());
            }
        }
    }
}
