//! Looks at the latch file from a thread of its own: whoever writes it halts the account, also where the daemon's control
//! socket and clerk hang.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::HaltLevel;

use crate::control::Board;
use crate::house_link::HouseLink;
use crate::latch::{LatchFile, Mark};
use crate::risk_manager::Tell;
use crate::supervisor::AlertChannels;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(50);
/// An account that has not taken a halt after so long is a case for a person.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the watch when dropped.
#[derive(Debug)]
pub(super) struct LatchGuard {
    _alive: Arc<()>,
}

/// Begins to watch.
///
/// # Errors
/// When the machine has no thread left.
pub(super) fn watch(
    latch: LatchFile,
    board: Board,
    house: HouseLink,
    alerts: AlertChannels,
) -> std::io::Result<LatchGuard> {
    let alive = Arc::new(());
    let watched = Arc::downgrade(&alive);
    let mut watch = LatchWatch { latch, board, house, alerts, told: None, since: None, is_told: false };
    std::thread::Builder::new().name("latch".to_owned()).spawn(move || watch.run(&watched))?;
    Ok(LatchGuard { _alive: alive })
}

struct LatchWatch {
    latch: LatchFile,
    board: Board,
    house: HouseLink,
    alerts: AlertChannels,
    /// The writing of the file that the account was told of.
    told: Option<Mark>,
    /// Since when the file demands more than the account shows.
    since: Option<Instant>,
    /// Whether people were told that it does not follow.
    is_told: bool,
}

impl LatchWatch {
    fn run(&mut self, alive: &Weak<()>) {
        while alive.strong_count() > 0 {
            self.look(Instant::now());
            std::thread::sleep(EVERY);
        }
    }

    /// The account's own thread compares again and acts: it alone knows what was resumed meanwhile.
    fn look(&mut self, now: Instant) {
        let found = self.latch.look();
        let file = found.as_ref().map_or(HaltLevel::None, |found| found.level);
        let mark = found.map(|found| found.mark);
        let shown = self.board.account().halt;
        // A full mailbox is tried again at the next look.
        if (file != shown || mark != self.told) && self.house.try_send(Tell::LookAtLatch).is_ok() {
            self.told = mark;
        }
        if file <= shown {
            (self.since, self.is_told) = (None, false);
            return;
        }
        let since = *self.since.get_or_insert(now);
        if !self.is_told && now.saturating_duration_since(since) >= PATIENCE {
            self.is_told = true;
            let text = format!(
                "the latch file demands {file} and the account, which shows {shown}, has not followed for {} s: it hangs; \
                 kill this process (pid {}) and run `levibot flatten`",
                PATIENCE.as_secs(),
                std::process::id()
            );
            self.alerts.send(&Alert::critical(Topic::Account, None, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::Reason;

    use super::*;
    use crate::control::samples;
    use crate::telemetry::alerts::samples::Alarms;

    #[test]
    fn an_account_that_does_not_follow_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let alarms = Arc::new(Alarms::default());
        let board = samples::board();
        let mut watch = LatchWatch {
            latch: LatchFile::new(dir.path()),
            board: board.clone(),
            house: HouseLink::default(),
            alerts: AlertChannels(vec![Arc::clone(&alarms) as _]),
            told: None,
            since: None,
            is_told: false,
        };
        let begin = Instant::now();
        watch.look(begin);
        let reason = Reason { by: "somebody".into(), text: "a test".into() };
        watch.latch.set(HaltLevel::Flatten, &reason).unwrap();
        for late in [0, 1_900, 2_100, 9_000] {
            watch.look(begin + Duration::from_millis(late));
            assert_eq!(alarms.0.lock().unwrap().len(), usize::from(late > 2_000), "after {late} ms");
        }
        let mut account = samples::account();
        account.halt = HaltLevel::Flatten;
        board.show_account(account);
        watch.look(begin + Duration::from_secs(10));
        assert!(watch.since.is_none() && !watch.is_told);
    }
}
