//! Whether the venue still answers.

use levibot_core::domain::{Span, Ts};

/// The most that one look counts for. Looks that are further apart say that this process slept, not that the venue did: a
/// machine that was suspended finds its answers in the mailbox when it wakes up.
const LOOK_MAX: Span = Span::from_millis(250);

/// Counts the commands that the venue owes an answer to, and the time in which it has given none.
#[derive(Debug)]
pub(super) struct VenueWatch {
    patience: Span,
    owed: u64,
    /// Time without an answer while one was owed, and while this process was awake.
    silent: Span,
    looked: Option<Ts>,
    /// Why it is lost; heard of or not.
    lost: Option<String>,
    is_told: bool,
}

impl VenueWatch {
    /// A venue that is silent for `patience` (monotonic time) while it owes an answer is lost.
    pub(super) const fn new(patience: Span) -> Self {
        Self { patience, owed: 0, silent: Span::ZERO, looked: None, lost: None, is_told: false }
    }

    /// A command has left.
    pub(super) const fn asked(&mut self) {
        self.owed += 1;
    }

    /// An answer came in.
    pub(super) const fn answered(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.silent = Span::ZERO;
    }

    /// Time has passed until `now`, monotonic.
    pub(super) fn look(&mut self, now: Ts) {
        let passed = self.looked.map_or(Span::ZERO, |looked| now - looked).min(LOOK_MAX);
        self.looked = Some(now);
        if self.owed == 0 {
            self.silent = Span::ZERO;
            return;
        }
        self.silent = Span::from_nanos(self.silent.nanos().saturating_add(passed.nanos()));
        if self.silent >= self.patience {
            let secs = self.patience.secs_f64();
            self.lose(format!("it owes an answer to {} command(s) and has given none for {secs} s", self.owed));
        }
    }

    /// It is lost. The first reason stands.
    pub(super) fn lose(&mut self, why: String) {
        self.lost.get_or_insert(why);
    }

    /// Whether it is lost, so that nothing is sent to it any more.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Why it is lost, once.
    pub(super) fn news(&mut self) -> Option<String> {
        if self.lost.is_none() || std::mem::replace(&mut self.is_told, true) { None } else { self.lost.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent_for(watch: &mut VenueWatch, from: Ts, millis: i64) -> Ts {
        for at in 0..=millis / 5 {
            watch.look(from + Span::from_millis(at * 5));
        }
        from + Span::from_millis(millis)
    }

    #[test]
    fn silence_counts_while_an_answer_is_owed_and_is_told_once() {
        let mut watch = VenueWatch::new(Span::from_secs(10));
        let now = silent_for(&mut watch, Ts::from_secs(1), 60_000);
        assert!(!watch.is_lost(), "nothing was asked");
        watch.asked();
        watch.asked();
        let now = silent_for(&mut watch, now, 9_990);
        assert!(!watch.is_lost());
        watch.answered();
        let now = silent_for(&mut watch, now, 9_990);
        assert!(!watch.is_lost(), "it has answered something meanwhile");
        silent_for(&mut watch, now, 20);
        assert!(watch.is_lost());
        let why = watch.news().unwrap();
        assert!(why.contains("1 command(s)") && why.contains("10 s"), "{why}");
        watch.lose("another reason".to_owned());
        assert_eq!(watch.news(), None);
    }

    #[test]
    fn a_process_that_slept_does_not_blame_the_venue() {
        let mut watch = VenueWatch::new(Span::from_secs(10));
        watch.asked();
        watch.look(Ts::from_secs(1));
        watch.look(Ts::from_secs(3_600));
        assert!(!watch.is_lost());
        watch.answered();
        watch.answered();
        watch.asked();
        silent_for(&mut watch, Ts::from_secs(3_600), 9_000);
        assert!(!watch.is_lost(), "an answer that nobody waited for makes no debt");
    }
}
