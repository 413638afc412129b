//! When ledger and venue are compared, and whether orders wait for it.

use levibot_core::domain::{Event, ReconcileCause, Report, Span, Ts};
use levibot_core::driver::{Input, Pace};

use super::RiskManager;
use crate::telemetry::clock::monotonic_now;

/// How often they are compared in quiet times.
const EVERY: Span = Span::from_secs(30);
/// Looks that are further apart than this say that the process slept or starved. The venue went on meanwhile.
const GAP: Span = Span::from_secs(2);
/// How often a comparison is asked for while orders wait for one.
const AGAIN: Span = Span::SECOND;

/// Watches this process's own time, all of it monotonic.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    looked: Option<Ts>,
    /// When a comparison was last asked for.
    asked: Option<Ts>,
    /// When the venue last answered one.
    answered: Option<Ts>,
    /// Questions that have gone to the venue, and answers that have come.
    sent: u64,
    received: u64,
    hold: Hold,
}

/// Whether orders wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Hold {
    #[default]
    None,
    /// For a question that has not gone yet: one that was under way says nothing of the gap.
    Question,
    /// For the answer to the question of this number.
    Answer(u64),
}

impl Comparisons {
    /// Time has passed: whether a comparison is due, and why.
    pub(super) fn look(&mut self, now: Ts) -> Option<ReconcileCause> {
        let passed = self.looked.replace(now).map_or(Span::ZERO, |looked| now - looked);
        let asked = *self.asked.get_or_insert(now);
        let cause = if passed > GAP {
            self.hold = Hold::Question;
            ReconcileCause::Gap
        } else if self.holds() && now - asked >= AGAIN {
            ReconcileCause::Gap
        } else if now - asked >= EVERY {
            ReconcileCause::Periodic
        } else {
            return None;
        };
        self.asked = Some(now);
        Some(cause)
    }

    /// Whether the process slept or starved since the last look: what it does before it looks again waits already. The look
    /// asks.
    pub(super) fn notice_gap(&mut self, now: Ts) -> bool {
        let is_gap = self.looked.is_some_and(|looked| now - looked > GAP);
        if is_gap {
            self.hold = Hold::Question;
        }
        is_gap
    }

    /// A question has gone to the venue.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
        if self.hold == Hold::Question {
            self.hold = Hold::Answer(self.sent);
        }
    }

    /// The venue has answered one. It answers in order.
    pub(super) fn answered(&mut self, now: Ts) {
        self.received += 1;
        self.answered = Some(now);
        if matches!(self.hold, Hold::Answer(number) if self.received >= number) {
            self.hold = Hold::None;
        }
    }

    /// Whether orders wait.
    pub(super) fn holds(&self) -> bool {
        self.hold != Hold::None
    }

    /// How long ago the venue last answered.
    pub(super) fn age(&self, now: Ts) -> Option<Span> {
        self.answered.map(|answered| now - answered)
    }
}

impl RiskManager {
    /// Has ledger and venue compared when it is time. A replay's venue is a part of it.
    pub(super) fn compare(&mut self) {
        if self.parts.pace != Pace::Realtime || !self.begun || self.venue.is_lost() {
            return;
        }
        let now = monotonic_now();
        let due = self.comparisons.look(now);
        self.outbox.hold(self.comparisons.holds());
        if let Some(age) = self.comparisons.age(now) {
            self.measures.metrics().comparisons().set_age(age);
        }
        if let Some(cause) = due {
            self.input(Input::Control(Event::Reconcile { cause }));
        }
    }

    /// After a gap the mailbox is worked off before the clock is looked at: nothing that comes of it leaves before the venue
    /// was asked.
    pub(super) fn hold_after_gap(&mut self) {
        if self.parts.pace == Pace::Realtime && self.begun && self.comparisons.notice_gap(monotonic_now()) {
            self.outbox.hold(true);
        }
    }

    /// The venue has carried out a command.
    pub(super) fn venue_answered(&mut self, reports: &[Report]) {
        self.venue.answered();
        if reports.iter().any(|report| matches!(report, Report::State(_))) {
            self.comparisons.answered(monotonic_now());
            self.outbox.hold(self.comparisons.holds());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Ts {
        Ts::from_secs(1_000) + Span::from_millis(millis)
    }

    /// Looks every 5 ms, as the host does.
    fn causes(of: &mut Comparisons, from: i64, to: i64) -> Vec<(i64, ReconcileCause)> {
        (from / 5..to / 5).map(|n| n * 5).filter_map(|ms| of.look(at(ms)).map(|cause| (ms, cause))).collect()
    }

    #[test]
    fn in_quiet_times_they_are_compared_by_the_clock() {
        let mut comparisons = Comparisons::default();
        let periodic = |ms| (ms, ReconcileCause::Periodic);
        assert_eq!(causes(&mut comparisons, 0, 70_000), [periodic(30_000), periodic(60_000)]);
        assert!(!comparisons.holds());
        assert_eq!(comparisons.age(at(70_000)), None);
        comparisons.answered(at(70_000));
        assert_eq!(comparisons.age(at(71_000)), Some(Span::SECOND));
    }

    #[test]
    fn after_a_gap_orders_wait_for_an_answer_to_a_question_that_was_put_after_it() {
        let mut comparisons = Comparisons::default();
        assert_eq!(causes(&mut comparisons, 0, 1_000), []);
        comparisons.sent();
        assert_eq!(comparisons.look(at(2_995)), None, "two seconds are no gap");
        assert_eq!(comparisons.look(at(5_000)), Some(ReconcileCause::Gap));
        assert!(comparisons.holds());
        comparisons.answered(at(5_005));
        assert!(comparisons.holds(), "the answer was made before");
        comparisons.sent();
        assert!(comparisons.holds());
        comparisons.answered(at(5_010));
        assert!(!comparisons.holds());
    }

    #[test]
    fn a_gap_is_noticed_before_it_is_looked_at() {
        let mut comparisons = Comparisons::default();
        assert!(!comparisons.notice_gap(at(9_000)), "nothing was looked at yet");
        comparisons.look(at(0));
        comparisons.sent();
        assert!(!comparisons.notice_gap(at(2_000)) && !comparisons.holds());
        assert!(comparisons.notice_gap(at(2_001)) && comparisons.holds());
        comparisons.answered(at(2_002));
        assert!(comparisons.holds(), "the answer was made before");
        assert_eq!(comparisons.look(at(2_005)), Some(ReconcileCause::Gap), "it is asked all the same");
    }

    #[test]
    fn while_orders_wait_it_is_asked_again() {
        let mut comparisons = Comparisons::default();
        comparisons.look(at(0));
        comparisons.look(at(3_000));
        let gap = |ms| (ms, ReconcileCause::Gap);
        assert_eq!(causes(&mut comparisons, 3_005, 5_500), [gap(4_000), gap(5_000)]);
        // A second gap makes the question under way worthless.
        comparisons.sent();
        comparisons.look(at(9_000));
        comparisons.answered(at(9_005));
        assert!(comparisons.holds());
    }
}
