//! What share of its time an engine was ready.

use crate::domain::{Span, Ts};

/// Ready time over scheduled time. Scheduled is the time in which an engine is wanted and the account lets it run; its
/// starts, crashes, backoffs and quarantines count against it, stops by a person and halts of the account do not.
#[derive(Debug, Clone, Default)]
pub struct Availability {
    last: Option<Ts>,
    is_scheduled: bool,
    is_ready: bool,
    /// Nanoseconds.
    scheduled: i64,
    /// Nanoseconds.
    ready: i64,
}

impl Availability {
    /// How it is from `now` (monotonic) on; what was said before held until now. Ready counts while it is scheduled alone.
    pub fn observe(&mut self, is_scheduled: bool, is_ready: bool, now: Ts) {
        (self.scheduled, self.ready) = self.until(now);
        self.last = Some(now);
        (self.is_scheduled, self.is_ready) = (is_scheduled, is_ready);
    }

    /// The share, 0 to 1; `None` while it has not been scheduled at all.
    pub fn ratio(&self, now: Ts) -> Option<f64> {
        let (scheduled, ready) = self.until(now);
        (scheduled > 0).then(|| ready as f64 / scheduled as f64)
    }

    /// Scheduled and ready time up to now.
    fn until(&self, now: Ts) -> (i64, i64) {
        let passed = self.last.map_or(Span::ZERO, |last| now - last).nanos().max(0);
        let part = |counts: bool| if counts { passed } else { 0 };
        let ready = part(self.is_scheduled && self.is_ready);
        (self.scheduled.saturating_add(part(self.is_scheduled)), self.ready.saturating_add(ready))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> Ts {
        Ts::from_secs(secs)
    }

    #[test]
    fn crashes_count_against_it_and_stops_do_not() {
        let mut availability = Availability::default();
        assert_eq!(availability.ratio(at(5)), None);
        availability.observe(true, false, at(10));
        assert_eq!(availability.ratio(at(10)), None, "no time has passed");
        assert_eq!(availability.ratio(at(11)), Some(0.0));
        availability.observe(true, true, at(20));
        assert_eq!(availability.ratio(at(30)), Some(0.5));
        availability.observe(false, false, at(50));
        assert_eq!(availability.ratio(at(1_000)), Some(0.75), "while it is not wanted nothing counts");
        availability.observe(false, true, at(1_000));
        availability.observe(true, false, at(2_000));
        assert_eq!(availability.ratio(at(2_020)), Some(0.5));
    }

    proptest! {
        #[test]
        fn it_is_a_share_that_depends_on_lengths_alone(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0..100_i64), 1..50),
        ) {
            let (mut availability, mut often) = (Availability::default(), Availability::default());
            let (mut now, mut scheduled, mut ready) = (0, 0, 0);
            for (is_scheduled, is_ready, length) in steps {
                availability.observe(is_scheduled, is_ready, at(now));
                for part in 0..length {
                    often.observe(is_scheduled, is_ready, at(now + part));
                }
                now += length;
                scheduled += if is_scheduled { length } else { 0 };
                ready += if is_scheduled && is_ready { length } else { 0 };
            }
            let expected = (scheduled > 0).then(|| ready as f64 / scheduled as f64);
            prop_assert_eq!(availability.ratio(at(now)), expected);
            prop_assert_eq!(often.ratio(at(now)), expected, "however often it is looked at");
        }
    }
}
